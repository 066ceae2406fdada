package seawall.policies.class_named_test

import data.seawall.policies.class_named as policy

class(policy_of_class, labels) := {
	"metadata": {"labels": labels},
	"provisioner": "p",
	"reclaimPolicy": policy_of_class,
}

plain := {
	"storageclasses": {
		"usual": class("Delete", {}),
		"keep": class("Retain", {}),
		"scratch": class("Retain", {"seawall.dev/data": "scratch"}),
	},
	"index": {
		"default_classes": ["usual"],
		"supported_classes": [],
		"classes_by_provisioner": {"p": ["keep", "scratch", "usual"]},
	},
}

supported(profile) := class("Retain", {"seawall.dev/supported": "true", "seawall.dev/workload-profile": profile})

catalogue := {
	"storageclasses": {"usual": class("Retain", {}), "db": supported("oltp"), "logs": supported("queue")},
	"index": {
		"default_classes": ["usual"],
		"supported_classes": ["db", "logs"],
		"classes_by_provisioner": {"p": ["db", "logs", "usual"]},
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}

claim(spec) := {"kind": "PersistentVolumeClaim", "spec": object.union({"accessModes": ["ReadWriteOnce"]}, spec)}

stateful(image) := {
	"kind": "StatefulSet",
	"spec": {
		"template": {"spec": {"containers": [{"name": "c", "image": image}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
	},
}

found(title, default_class, wanted, fix) := {
	"msg": concat("", [
		"The ",
		title,
		" names no class: ",
		default_class,
		" decides whether the data is encrypted, replicated and kept,",
		" it can change any day, and the claim keeps what it got.",
	]),
	"path": ["spec", "storageClassName"],
	"wanted": wanted,
	"fix": fix,
}

test_without_a_catalogue if {
	policy.violation == {found(
		"claim",
		"the default, now usual,",
		"storageClassName with one of keep, usual",
		"storageClassName: keep",
	)} with input as review(claim({})) with data.cluster as plain
	policy.patch == set() with input as review(claim({})) with data.cluster as plain
	policy.violation == {found(
		"claim",
		"the default of the cluster",
		"storageClassName with a class that suits the data",
		"storageClassName: <one of `kubectl get storageclass`>",
	)} with input as review(claim({})) with data.cluster as {}
}

path := ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"]

test_with_a_catalogue if {
	expected := found(
		"claim template data",
		"the default, now usual,",
		"storageClassName with one of db",
		"storageClassName: db",
	)
	policy.violation == {object.union(expected, {"path": path})} with input as review(stateful("postgres:17"))
		with data.cluster as catalogue
	policy.patch == {{"op": "add", "path": "/spec/volumeClaimTemplates/0/spec/storageClassName", "value": "db"}}
		with input as review(stateful("postgres:17"))
		with data.cluster as catalogue
	guess := found(
		"claim template data",
		"the default, now usual,",
		"storageClassName with one of db, logs",
		"storageClassName: db",
	)
	policy.violation == {object.union(guess, {"path": path})} with input as review(stateful("acme/store:1"))
		with data.cluster as catalogue
	policy.patch == set() with input as review(stateful("acme/store:1")) with data.cluster as catalogue
}

test_configuration if {
	settings := {"usual": {"rank": 1}}
	policy.patch == {{"op": "add", "path": "/spec/storageClassName", "value": "usual"}} with input as review(claim({}))
		with data.cluster as plain
		with data.seawall.knowledge.catalogue.classes as settings
}

test_nothing_passes if {
	policy.violation == {found(
		"claim",
		"the default of the cluster",
		"storageClassName with a class that suits the data",
		concat(" ", [
			"ask the platform team for a class;",
			"`seawall policy catalogue` shows which there are for each tier and profile",
		]),
	)} with input as review(claim({}))
		with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"db": {}}
}

test_copies_are_not_patched if {
	every spec in [{"dataSource": {"kind": "VolumeSnapshot"}}, {"dataSourceRef": {"kind": "VolumeSnapshot"}}] {
		count(policy.violation) == 1 with input as review(claim(spec)) with data.cluster as catalogue
		policy.patch == set() with input as review(claim(spec)) with data.cluster as catalogue
	}
	count(policy.patch) == 1 with input as review(object.union(
		claim({"dataSource": null}),
		{"metadata": {"labels": {"seawall.dev/workload-profile": "queue"}}},
	))
		with data.cluster as catalogue
}

test_only_new_claims_are_patched if {
	update := object.union(review(stateful("postgres:17")), {"request": {"operation": "UPDATE"}})
	policy.patch == set() with input as update with data.cluster as catalogue
}

test_quiet if {
	every value in [
		claim({"storageClassName": "any"}),
		claim({"storageClassName": ""}),
		claim({"volumeName": "v"}),
		claim({"selector": {}}),
		object.union(claim({}), {"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "any"}}}),
		object.union(claim({}), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		object.union(stateful("postgres:17"), {"metadata": {"labels": {"seawall.dev/data": "scratch"}}}),
		{"kind": "PersistentVolumeClaim"},
		{"kind": "Deployment"},
		null,
	] {
		policy.violation == set() with input as review(value) with data.cluster as catalogue
		policy.patch == set() with input as review(value) with data.cluster as catalogue
	}
}
