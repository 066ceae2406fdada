package seawall.policies.deployment_writes_claim_unknown_engine_test

import data.seawall.policies.deployment_writes_claim_unknown_engine as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

container(image, mount) := {
	"name": "main",
	"image": image,
	"volumeMounts": [object.union({"name": "data", "mountPath": "/var/lib/postgresql/data"}, mount)],
}

volumes := [{"name": "data", "persistentVolumeClaim": {"claimName": "db-data"}}]

workload(kind, image, mount) := {
	"kind": kind,
	"metadata": {"name": "db"},
	"spec": {"template": {"spec": {"containers": [container(image, mount)], "volumes": volumes}}},
}

pod(image) := {
	"kind": "Pod",
	"metadata": {"name": "db"},
	"spec": {"containers": [container(image, {})], "volumes": volumes},
}

labelled(value) := object.union(
	workload("ReplicaSet", "acme/store:3", {}),
	{"metadata": {"labels": {"seawall.dev/data": value}}},
)

owned(value, api, kind) := object.union(
	value,
	{"metadata": {"ownerReferences": [{"apiVersion": api, "kind": kind, "controller": true}]}},
)

cluster(modes, labels) := {"persistentvolumeclaims": {"shop": {"db-data": {
	"metadata": {"labels": labels},
	"spec": {"accessModes": modes},
}}}}

once := cluster(["ReadWriteOnce"], {})

found(path, kind, message, fix) := {{
	"msg": sprintf("a %s writes claim db-data, which one node at a time can mount: %s", [kind, message]),
	"path": path,
	"found": "db-data",
	"wanted": "a StatefulSet with volumeClaimTemplates, or a claim with ReadWriteMany if the content is shared",
	"fix": concat("", ["use kind: StatefulSet with the claim in volumeClaimTemplates", fix]),
}}

template_path := ["spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"]

waits := "after a scale the new Pod waits for the volume that the old one holds, or writes the same files"

test_workloads if {
	every kind in ["ReplicaSet", "ReplicationController"] {
		expected := found(template_path, kind, waits, "; until then it survives only with replicas: 1")
		policy.violation == expected with input as review(workload(kind, "acme/store:3", {})) with data.cluster as once
	}
}

test_pod if {
	expected := found(
		["spec", "volumes", 0, "persistentVolumeClaim", "claimName"],
		"Pod",
		"it is not started again when its node fails, and nothing keeps a second one off the volume",
		"",
	)
	policy.violation == expected with input as review(pod("acme/store:3")) with data.cluster as once
}

test_quiet if {
	every value in [
		workload("ReplicaSet", "postgres:16", {}),
		workload("ReplicaSet", "acme/store:3", {"readOnly": true}),
		object.union(workload("ReplicaSet", "acme/store:3", {}), {"spec": {"replicas": 2}}),
		labelled("scratch"),
		labelled("readonly"),
		owned(pod("acme/store:3"), "batch/v1", "Job"),
		owned(workload("ReplicaSet", "acme/store:3", {}), "apps/v1", "Deployment"),
		owned(workload("ReplicaSet", "acme/store:3", {}), "postgresql.cnpg.io/v1", "Cluster"),
	] {
		policy.violation == set() with input as review(value) with data.cluster as once
	}
	count(policy.violation) == 1 with input as review(labelled("cache")) with data.cluster as once
}

test_claim if {
	policy.violation == set() with input as review(workload("ReplicaSet", "acme/store:3", {}))
	every modes in [["ReadWriteOnce"], ["ReadWriteOncePod"]] {
		count(policy.violation) == 1 with input as review(workload("ReplicaSet", "acme/store:3", {}))
			with data.cluster as cluster(modes, {})
	}
	every modes in [["ReadWriteMany"], ["ReadOnlyMany"], ["ReadWriteOnce", "ReadWriteMany"], []] {
		policy.violation == set() with input as review(workload("ReplicaSet", "acme/store:3", {}))
			with data.cluster as cluster(modes, {})
	}
	every label in ["scratch", "readonly"] {
		policy.violation == set() with input as review(workload("ReplicaSet", "acme/store:3", {}))
			with data.cluster as cluster(["ReadWriteOnce"], {"seawall.dev/data": label})
	}
}
