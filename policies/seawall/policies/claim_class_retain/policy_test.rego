package seawall.policies.claim_class_retain_test

import data.seawall.policies.claim_class_retain as policy

test_class_with_delete if {
	policy.violation == {on_field} with input as review(claim({})) with data.cluster as cluster({})
}

test_annotation_wins if {
	annotated := {
		"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}},
		"spec": {"storageClassName": "keep"},
	}
	policy.violation == {on_annotation} with input as review(annotated) with data.cluster as cluster({})
}

test_default_class if {
	unnamed := {"spec": {"accessModes": ["ReadWriteOnce"]}}
	one := object.union(cluster({}), {"index": {"default_classes": ["fast"]}})
	policy.violation == {on_field} with input as review(unnamed) with data.cluster as one
	two := object.union(cluster({}), {"index": {"default_classes": ["fast", "keep"]}})
	policy.violation == set() with input as review(unnamed) with data.cluster as two
	policy.violation == set() with input as review(unnamed) with data.cluster as cluster({})
	policy.violation == set() with input as review({"spec": {}}) with data.cluster as one
}

test_nothing_retains if {
	alone := {
		"storageclasses": {"fast": {"provisioner": "p"}},
		"index": {"classes_by_provisioner": {"p": ["fast"]}},
	}
	policy.violation == {object.union(on_field, {
		"wanted": "a class with reclaimPolicy: Retain",
		"fix": concat(" ", [
			"create a class with provisioner: p, the same parameters and reclaimPolicy: Retain,",
			"and name it in storageClassName",
		]),
	})} with input as review(claim({})) with data.cluster as alone
}

test_bound_claim if {
	bound := {"spec": {"storageClassName": "fast", "volumeName": "v"}}
	by_volume := object.union(on_field, {"fix": concat(" ", [
		"kubectl patch pv v --type merge -p",
		"'{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}'",
	])})
	deleting := cluster({"persistentvolumes": {"v": {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}}})
	policy.violation == {by_volume} with input as review(bound) with data.cluster as deleting
	policy.violation == {by_volume} with input as review(bound) with data.cluster as cluster({})
	kept := cluster({"persistentvolumes": {"v": {"spec": {}}}})
	policy.violation == set() with input as review(bound) with data.cluster as kept
}

test_quiet if {
	every object in [
		{"spec": {"storageClassName": "keep"}},
		{"spec": {"storageClassName": "unknown"}},
		{"spec": {"storageClassName": ""}},
		{"spec": {"storageClassName": "local"}},
		{"spec": {"storageClassName": "buckets"}},
		claim({"labels": {"seawall.dev/data": "cache"}}),
		claim({"labels": {"seawall.dev/data": "scratch"}}),
		claim({"ownerReferences": [{"kind": "Pod"}]}),
		{"metadata": [], "spec": null},
		null,
	] {
		policy.violation == set() with input as review(object) with data.cluster as cluster({})
	}
}

on_field := found(["spec", "storageClassName"], "storageClassName: keep")

on_annotation := found(
	["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"],
	"volume.beta.kubernetes.io/storage-class: keep",
)

found(path, fix) := {
	"msg": concat(" ", [
		"The class fast has reclaimPolicy Delete:",
		"when this claim is removed, its volume and the data are destroyed for good.",
	]),
	"path": path,
	"found": "fast",
	"wanted": "a class that retains: keep",
	"fix": fix,
}

claim(metadata) := {"metadata": metadata, "spec": {"storageClassName": "fast"}}

cluster(more) := object.union(
	{
		"storageclasses": {
			"fast": {"provisioner": "p", "reclaimPolicy": "Delete"},
			"keep": {"provisioner": "p", "reclaimPolicy": "Retain"},
			"local": {"provisioner": "kubernetes.io/no-provisioner"},
			"buckets": {"provisioner": "rook-ceph.ceph.rook.io/bucket"},
		},
		"index": {"classes_by_provisioner": {"p": ["fast", "keep"]}},
	},
	more,
)

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}

test_best_first if {
	grows := {"provisioner": "p", "reclaimPolicy": "Retain", "allowVolumeExpansion": true}
	more := cluster({
		"storageclasses": {"z-grows": grows},
		"index": {"classes_by_provisioner": {"p": ["fast", "keep", "z-grows"]}},
	})
	policy.violation == {object.union(on_field, {
		"wanted": "a class that retains: z-grows, keep",
		"fix": "storageClassName: z-grows",
	})} with input as review(claim({})) with data.cluster as more
}

test_of_the_catalogue if {
	labels := {"metadata": {"labels": {"seawall.dev/supported": "true"}}}
	other := object.union(labels, {"provisioner": "q", "reclaimPolicy": "Retain"})
	more := cluster({
		"storageclasses": {"fast": labels, "other": other},
		"index": {"supported_classes": ["fast", "other"]},
	})
	policy.violation == {object.union(on_field, {
		"wanted": "a class that retains: other",
		"fix": "storageClassName: other",
	})} with input as review(claim({})) with data.cluster as more
	alone := cluster({"storageclasses": {"fast": labels}, "index": {"supported_classes": ["fast"]}})
	policy.violation == {on_field} with input as review(claim({})) with data.cluster as alone
}
