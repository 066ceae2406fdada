package seawall.policies.volume_reclaim_retain_test

import data.seawall.policies.volume_reclaim_retain as policy

test_provisioned_volume if {
	request := review("CREATE", volume("Delete", {}), null)
	policy.violation == {deletes("persistentVolumeReclaimPolicy: Retain")} with input as request with data.cluster as {}
	policy.patch == {patched} with input as request with data.cluster as {}
}

test_static_volume if {
	object := {"metadata": {"name": "v"}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}}
	request := review("CREATE", object, null)
	policy.violation == {deletes("persistentVolumeReclaimPolicy: Retain")} with input as request with data.cluster as {}
	policy.patch == {patched} with input as request with data.cluster as {}
}

test_recycle_is_found_and_not_patched if {
	request := review("CREATE", volume("Recycle", {}), null)
	policy.violation == {{
		"msg": "persistentVolumeReclaimPolicy is Recycle: the volume is wiped as soon as its claim is gone.",
		"path": ["spec", "persistentVolumeReclaimPolicy"],
		"found": "Recycle",
		"wanted": "Retain",
		"fix": "persistentVolumeReclaimPolicy: Retain",
	}} with input as request with data.cluster as {}
	policy.patch == set() with input as request with data.cluster as {}
}

test_update_is_found_and_not_patched if {
	every old in ["Retain", "Delete", null] {
		request := review("UPDATE", volume("Delete", {}), volume(old, {}))
		policy.violation == {deletes(on_update)} with input as request with data.cluster as {}
		policy.patch == set() with input as request with data.cluster as {}
	}
}

test_update_is_allowed_by_name_and_day if {
	request := review("UPDATE", volume("Delete", allowed), volume("Retain", {}))
	policy.violation == set() with input as request with data.cluster as {}
	policy.patch == set() with input as request with data.cluster as {}
}

test_update_is_not_allowed_by_half if {
	every key in object.keys(allowed) {
		request := review("UPDATE", volume("Delete", object.remove(allowed, [key])), volume("Retain", {}))
		policy.violation == {deletes(on_update)} with input as request with data.cluster as {}
	}
}

test_quiet_where_the_claim_or_class_is_disposable if {
	every cluster in [
		{"storageclasses": {"fast": {"metadata": {"labels": {"seawall.dev/data": "scratch"}}}}},
		{"storageclasses": {"fast": {"metadata": {"labels": {"seawall.dev/tier": "tier-3"}}}}},
		{"persistentvolumeclaims": {"shop": {"data": {"metadata": {"labels": {"seawall.dev/data": "cache"}}}}}},
		{"persistentvolumeclaims": {"shop": {"data": {"metadata": {"ownerReferences": [
			{"kind": "Pod", "controller": true},
		]}}}}},
	] {
		request := review("CREATE", volume("Delete", {}), null)
		policy.violation == set() with input as request with data.cluster as cluster
		policy.patch == set() with input as request with data.cluster as cluster
	}
}

test_fires_beside_other_claims_and_classes if {
	cluster := {
		"storageclasses": {"slow": {"metadata": {"labels": {"seawall.dev/data": "scratch"}}}, "fast": {}},
		"persistentvolumeclaims": {
			"shop": {"data": {"metadata": {"ownerReferences": [{"kind": "Pod"}]}}},
			"other": {"data": {"metadata": {"labels": {"seawall.dev/data": "cache"}}}},
		},
	}
	request := review("CREATE", volume("Delete", {}), null)
	policy.patch == {patched} with input as request with data.cluster as cluster
}

test_quiet if {
	every object in [
		volume("Retain", {}),
		volume(null, {}),
		{"metadata": {"annotations": provisioned}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}},
		{"metadata": {"labels": {"seawall.dev/data": "scratch"}}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}},
		{"metadata": {"labels": {"seawall.dev/data": "scratch"}}, "spec": {"persistentVolumeReclaimPolicy": "Recycle"}},
		{"metadata": null, "spec": []},
		null,
	] {
		request := review("CREATE", object, null)
		policy.violation == set() with input as request with data.cluster as {}
		policy.patch == set() with input as request with data.cluster as {}
	}
}

on_update := concat(" ", [
	"persistentVolumeReclaimPolicy: Retain, or, to let this data go today, the annotations",
	"seawall.dev/allow-delete: v and seawall.dev/allow-delete-on: \"2026-01-15\"",
])

allowed := {"seawall.dev/allow-delete": "v", "seawall.dev/allow-delete-on": "2026-01-15"}

provisioned := {"pv.kubernetes.io/provisioned-by": "ebs.csi.aws.com"}

patched := {"op": "add", "path": "/spec/persistentVolumeReclaimPolicy", "value": "Retain"}

deletes(fix) := {
	"msg": "persistentVolumeReclaimPolicy is Delete: the volume and its data are destroyed with the claim.",
	"path": ["spec", "persistentVolumeReclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix,
}

volume(reclaim, annotations) := {
	"metadata": {"name": "v", "annotations": object.union(provisioned, annotations)},
	"spec": {
		"persistentVolumeReclaimPolicy": reclaim,
		"storageClassName": "fast",
		"claimRef": {"namespace": "shop", "name": "data"},
	},
}

review(operation, object, old) := {
	"request": {"operation": operation, "object": object, "oldObject": old},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
