package seawall.policies.snapshotclass_retain_test

import data.seawall.policies.snapshotclass_retain as policy

test_delete if {
	policy.violation == {found} with input as review({"deletionPolicy": "Delete"})
	every metadata in [
		{"labels": {"seawall.dev/data": "durable"}},
		{"labels": {"velero.io/csi-volumesnapshot-class": "no"}},
		{"annotations": {"k10.kasten.io/is-snapshot-class": "no"}},
		{"labels": {"off": "true"}},
		{"annotations": {"off": "true"}},
		null,
	] {
		policy.violation == {found} with input as review({"deletionPolicy": "Delete", "metadata": metadata})
	}
}

test_quiet if {
	every object in [
		{"deletionPolicy": "Retain"},
		{"deletionPolicy": null},
		{},
		null,
		{"deletionPolicy": "Delete", "metadata": {"labels": {"velero.io/csi-volumesnapshot-class": "true"}}},
		{"deletionPolicy": "Delete", "metadata": {"annotations": {"k10.kasten.io/is-snapshot-class": "true"}}},
		{"deletionPolicy": "Delete", "metadata": {"labels": {"seawall.dev/data": "cache"}}},
		{"deletionPolicy": "Delete", "metadata": {"labels": {"seawall.dev/tier": "dev"}}},
	] {
		policy.violation == set() with input as review(object)
	}
}

found := {
	"msg": concat(" ", [
		"deletionPolicy is Delete: whoever removes a VolumeSnapshot or its namespace",
		"destroys the snapshot with it.",
	]),
	"path": ["deletionPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": "deletionPolicy: Retain",
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {
		"now": "2026-01-15T12:00:00Z",
		"tier": "tier-2",
		"parameters": {
			"backupLabels": {"velero.io/csi-volumesnapshot-class": true, "off": false},
			"backupAnnotations": {"k10.kasten.io/is-snapshot-class": true, "off": false},
		},
	},
}
