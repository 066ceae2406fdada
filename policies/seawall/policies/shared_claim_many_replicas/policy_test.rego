package seawall.policies.shared_claim_many_replicas_test

import data.seawall.policies.shared_claim_many_replicas as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

workload(kind, replicas, mount) := {
	"kind": kind,
	"metadata": {"name": "web"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {
			"containers": [{"volumeMounts": [object.union({"name": "data", "mountPath": "/data"}, mount)]}],
			"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}],
		}},
	},
}

labelled(value) := object.union(workload("Deployment", 2, {}), {"metadata": {"labels": {"seawall.dev/data": value}}})

owned(value, api, kind) := object.union(
	value,
	{"metadata": {"ownerReferences": [{"apiVersion": api, "kind": kind, "controller": true}]}},
)

cluster(modes, labels) := {"persistentvolumeclaims": {"shop": {"web-data": {
	"metadata": {"labels": labels},
	"spec": {"accessModes": modes},
}}}}

once := cluster(["ReadWriteOnce"], {})

shared(replicas, who, remedy) := {object.union(remedy, {
	"msg": concat(" ", [
		sprintf("%s replicas write claim web-data, which %s can mount:", [replicas, who]),
		"the others never start, or write the same files",
	]),
	"path": ["spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"],
	"found": "web-data",
})}

alone := {
	"wanted": "one replica, a claim with ReadWriteMany, or a StatefulSet with volumeClaimTemplates",
	"fix": concat(" ", [
		"replicas: 1; or kind: StatefulSet with the claim in volumeClaimTemplates, a volume for each replica;",
		"or a claim with ReadWriteMany if the replicas share files",
	]),
}

each := {
	"wanted": "volumeClaimTemplates, one replica, or a claim with ReadWriteMany",
	"fix": concat(" ", [
		"move the claim to volumeClaimTemplates, a volume for each replica;",
		"or replicas: 1; or a claim with ReadWriteMany if the replicas share files",
	]),
}

test_shared if {
	every kind in ["Deployment", "ReplicaSet", "ReplicationController"] {
		policy.violation == shared("2", "one node at a time", alone) with input as review(workload(kind, 2, {}))
			with data.cluster as once
	}
	policy.violation == shared("3", "one node at a time", each) with input as review(workload("StatefulSet", 3, {}))
		with data.cluster as once
	policy.violation == shared("2", "one Pod at a time", alone) with input as review(workload("Deployment", 2, {}))
		with data.cluster as cluster(["ReadWriteOncePod"], {})
	policy.violation == shared("2", "one node at a time", alone) with input as review(labelled("cache"))
		with data.cluster as once
}

test_quiet if {
	every value in [
		workload("Deployment", 1, {}),
		workload("Deployment", 0, {}),
		workload("Deployment", null, {}),
		workload("Deployment", 2, {"readOnly": true}),
		labelled("scratch"),
		labelled("readonly"),
		owned(workload("ReplicaSet", 2, {}), "apps/v1", "Deployment"),
		owned(workload("Deployment", 2, {}), "postgresql.cnpg.io/v1", "Cluster"),
	] {
		policy.violation == set() with input as review(value) with data.cluster as once
	}
}

test_claim if {
	every modes in [["ReadWriteMany"], ["ReadOnlyMany"], ["ReadWriteOnce", "ReadWriteMany"], []] {
		policy.violation == set() with input as review(workload("Deployment", 2, {}))
			with data.cluster as cluster(modes, {})
	}
	every label in ["scratch", "readonly"] {
		policy.violation == set() with input as review(workload("Deployment", 2, {}))
			with data.cluster as cluster(["ReadWriteOnce"], {"seawall.dev/data": label})
	}
	policy.violation == set() with input as review(workload("Deployment", 2, {}))
		with data.cluster as {"persistentvolumeclaims": {}}
}
