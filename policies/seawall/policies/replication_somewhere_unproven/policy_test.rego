package seawall.policies.replication_somewhere_unproven_test

import data.seawall.policies.replication_somewhere_unproven as policy

set_of(replicas, image) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": image,
			"volumeMounts": [{"name": "data", "mountPath": "/data"}],
		}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}],
	},
}

cluster := {
	"storageclasses": {
		"fast": {"provisioner": "ebs.csi.aws.com"},
		"ceph": {"provisioner": "rbd.csi.ceph.com", "reclaimPolicy": "Retain"},
	},
	"index": {"classes_by_provisioner": {"ebs.csi.aws.com": ["fast"]}, "supported_classes": ["ceph"]},
}

review(value, operation, copies) := {
	"request": {"operation": operation, "namespace": "shop", "object": value},
	"seawall": {"tier": "tier-0", "parameters": {"copies": copies}},
}

found(reason, fix) := {
	"msg": concat(" ", [
		"the workload keeps its data on class fast (ebs.csi.aws.com), whose volumes exist once, in one zone,",
		reason,
	]),
	"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
	"found": "fast",
	"wanted": "a class whose volumes exist more than once (ceph), or 3 replicas that replicate",
	"fix": fix,
	"key": "data/the workload",
}

few := "and the set has replicas: 1, where the tier wants 3 copies"

test_few_members if {
	create := review(set_of(1, "acme/store:3"), "CREATE", 3)
	policy.violation == {found(few, "storageClassName: ceph")} with input as create with data.cluster as cluster
	update := review(set_of(1, "acme/store:3"), "UPDATE", 3)
	by_replicas := found(few, "spec: {replicas: 3}, with replication between them")
	policy.violation == {by_replicas} with input as update with data.cluster as cluster
}

test_quiet if {
	every case in [
		{"value": set_of(1, "acme/store:3"), "copies": 1},
		{"value": set_of(3, "acme/store:3"), "copies": 3},
		{"value": set_of(0, "acme/store:3"), "copies": 3},
		{"value": set_of(1, "zookeeper:3.9"), "copies": 3},
		{"value": null, "copies": 3},
	] {
		policy.violation == set() with input as review(case.value, "CREATE", case.copies) with data.cluster as cluster
	}
}
