package seawall.policies.replicas_without_replication_test

import data.seawall.policies.replicas_without_replication as policy

set_of(replicas, container, pod) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": object.union({"containers": [object.union(base, container)]}, pod)},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
	},
}

base := {
	"name": "db",
	"image": "valkey/valkey:8",
	"volumeMounts": [{"name": "data", "mountPath": "/data"}],
}

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

found := {
	"msg": concat(" ", [
		"2 replicas of Valkey in container db have a volume each,",
		"and nothing in the template makes them replicate:",
		"they are unrelated databases behind one name, and each row exists in one of them only",
	]),
	"path": ["spec", "replicas"],
	"found": 2,
	"wanted": "replication between the replicas: Sentinel or a Valkey cluster",
	"fix": "spec: {replicas: 1}, until replication is set up",
	"key": "db",
}

test_strangers if {
	policy.violation == {found} with input as review(set_of(2, {}, {}))
}

test_quiet if {
	every value in [
		set_of(1, {}, {}),
		set_of(2, {"args": ["--replicaof", "db-0", "6379"]}, {}),
		set_of(2, {"envFrom": [{"configMapRef": {"name": "db"}}]}, {}),
		set_of(2, {"image": "acme/store:1"}, {}),
		null,
	] {
		policy.violation == set() with input as review(value)
	}
}
