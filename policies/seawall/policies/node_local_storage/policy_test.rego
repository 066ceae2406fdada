package seawall.policies.node_local_storage_test

import data.seawall.policies.node_local_storage as policy

test_one_copy if {
	policy.violation == {found} with input as review(set("near", 1, {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("near", 2, {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("far", 1, {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("static", 1, {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("unsure", 1, {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("near", 1, {})) with data.cluster as {}
	policy.violation == set() with input as review(null) with data.cluster as cluster
}

test_data_that_may_vanish if {
	every kind in ["cache", "scratch", "readonly"] {
		labels := {"seawall.dev/data": kind}
		policy.violation == set() with input as review(set("near", 1, labels)) with data.cluster as cluster
	}
}

found := {
	"msg": concat(" ", [
		"Volume data lies on one node (class near) and there is no other copy:",
		"the data goes with the node or its disk, and nothing runs while the node is drained.",
	]),
	"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
	"found": "class near",
	"wanted": "a class of block storage that follows its Pod: far",
	"fix": "storageClassName: far",
}

cluster := {
	"storageclasses": {
		"near": {"provisioner": "topolvm.io"},
		"far": {"provisioner": "ebs.csi.aws.com"},
		"static": {"provisioner": "kubernetes.io/no-provisioner"},
		"unsure": {"provisioner": "carina.storage.io"},
	},
	"index": {"classes_by_provisioner": {"topolvm.io": ["near"], "ebs.csi.aws.com": ["far"]}},
}

set(class, replicas, labels) := {
	"kind": "StatefulSet",
	"metadata": {"labels": labels},
	"spec": {
		"replicas": replicas,
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": class}}],
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-0", "parameters": {}},
}
