package seawall.policies.node_local_storage_doubtful_test

import data.seawall.policies.node_local_storage_doubtful as policy

test_three_that_may_share_a_node if {
	policy.violation == {{
		"msg": concat(" ", [
			"Each volume data lies on one node (class near), there are 3 of them,",
			"and nothing forces them onto different nodes:",
			"one node that fails can take most copies of the data with it, or all.",
		]),
		"path": path,
		"found": "class near",
		"wanted": "three replicas or more that are forced onto different nodes",
		"fix": concat(" ", [
			"affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution:",
			"[{topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}]}}",
		]),
	}} with input as review(set("near", 3)) with data.cluster as cluster
}

test_two if {
	found := {{"fix": violation.fix, "found": violation.found} | some violation in policy.violation}
		with input as review(set("static", 2))
		with data.cluster as cluster
	found == {{
		"fix": "replicas: 3, with required pod anti-affinity on kubernetes.io/hostname",
		"found": "class static",
	}}
}

test_one_that_seems_local if {
	policy.violation == {{
		"msg": concat(" ", [
			"Volume data seems to lie on one node (class unsure) and there is no other copy:",
			"the data goes with the node or its disk.",
		]),
		"path": path,
		"found": "class unsure",
		"wanted": "a class of block storage that follows its Pod: far",
		"fix": "storageClassName: far",
	}} with input as review(set("unsure", 1)) with data.cluster as cluster
	policy.violation == set() with input as review(set("near", 1)) with data.cluster as cluster
	policy.violation == set() with input as review(set("anything", 1)) with data.cluster as cluster
	policy.violation == set() with input as review(set("anything", 2)) with data.cluster as cluster
}

test_quiet if {
	policy.violation == set() with input as review(set("far", 3)) with data.cluster as cluster
	policy.violation == set() with input as review(null) with data.cluster as cluster
}

path := ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"]

cluster := {
	"storageclasses": {
		"near": {"provisioner": "topolvm.io"},
		"far": {"provisioner": "ebs.csi.aws.com"},
		"static": {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"},
		"anything": {"provisioner": "kubernetes.io/no-provisioner"},
		"unsure": {"provisioner": "carina.storage.io"},
	},
	"index": {"classes_by_provisioner": {"topolvm.io": ["near"], "ebs.csi.aws.com": ["far"]}},
}

set(class, replicas) := {
	"kind": "StatefulSet",
	"spec": {
		"replicas": replicas,
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": class}}],
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-0", "parameters": {}},
}
