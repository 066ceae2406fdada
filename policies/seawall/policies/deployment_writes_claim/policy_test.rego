package seawall.policies.deployment_writes_claim_test

import data.seawall.policies.deployment_writes_claim as policy

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
	workload("Deployment", "postgres:16", {}),
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

found(path, message, fix) := {{
	"msg": concat("", ["PostgreSQL in container main writes claim db-data from ", message]),
	"path": path,
	"found": "db-data",
	"wanted": "a StatefulSet with volumeClaimTemplates",
	"fix": concat("", ["use kind: StatefulSet with the claim in volumeClaimTemplates", fix]),
}}

template_path := ["spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"]

second := "starts a second server on the same data, or one that waits for it forever"

alone := "; until then it survives only with replicas: 1"

with_spec(value, spec) := object.union(value, {"spec": spec})

test_deployment if {
	value := workload("Deployment", "postgres:16", {})
	rolling := concat("", [alone, " and strategy: {type: Recreate}"])
	by_default := found(template_path, sprintf("a Deployment: a rolling update or a scale %s", [second]), rolling)
	policy.violation == by_default with input as review(value)
	recreated := found(template_path, sprintf("a Deployment: a scale %s", [second]), alone)
	policy.violation == recreated with input as review(with_spec(value, {"strategy": {"type": "Recreate"}}))
	many := found(template_path, "a Deployment: its 3 replicas are servers on the same data, or wait for it forever", rolling)
	policy.violation == many with input as review(with_spec(value, {"replicas": 3}))
}

test_workloads if {
	every kind in ["ReplicaSet", "ReplicationController"] {
		expected := found(template_path, sprintf("a %s: a scale %s", [kind, second]), alone)
		policy.violation == expected with input as review(workload(kind, "postgres:16", {}))
	}
}

test_pod if {
	expected := found(
		["spec", "volumes", 0, "persistentVolumeClaim", "claimName"],
		"a Pod: it is not started again when its node fails, and nothing keeps a second one off the volume",
		"",
	)
	policy.violation == expected with input as review(pod("postgres:16"))
}

test_quiet if {
	every value in [
		workload("Deployment", "acme/store:3", {}),
		workload("Deployment", "postgres:16", {"readOnly": true}),
		labelled("scratch"),
		labelled("readonly"),
		owned(pod("postgres:16"), "batch/v1", "Job"),
		owned(workload("ReplicaSet", "postgres:16", {}), "apps/v1", "Deployment"),
		owned(workload("Deployment", "postgres:16", {}), "postgresql.cnpg.io/v1", "Cluster"),
	] {
		policy.violation == set() with input as review(value)
	}
	count(policy.violation) == 1 with input as review(labelled("cache"))
}

test_claim if {
	every modes in [["ReadWriteOnce"], ["ReadWriteMany"], ["ReadOnlyMany", "ReadWriteOnce"], []] {
		count(policy.violation) == 1 with input as review(workload("Deployment", "postgres:16", {}))
			with data.cluster as cluster(modes, {})
	}
	policy.violation == set() with input as review(workload("Deployment", "postgres:16", {}))
		with data.cluster as cluster(["ReadOnlyMany"], {})
	every label in ["scratch", "readonly"] {
		policy.violation == set() with input as review(workload("Deployment", "postgres:16", {}))
			with data.cluster as cluster(["ReadWriteOnce"], {"seawall.dev/data": label})
	}
}
