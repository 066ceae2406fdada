package seawall.policies.replicas_without_replication_unseen_test

import data.seawall.policies.replicas_without_replication_unseen as policy

set_of(replicas, container) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {"containers": [object.union(base, container)]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
	},
}

base := {
	"name": "db",
	"image": "valkey/valkey:8",
	"volumeMounts": [{"name": "data", "mountPath": "/data"}],
}

hiding := {"envFrom": [{"configMapRef": {"name": "db"}}]}

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

found := {
	"msg": concat(" ", [
		"whether the 2 replicas of Valkey in container db replicate cannot be seen:",
		"unless the configuration that is mounted says so, they are unrelated databases behind one name",
	]),
	"path": ["spec", "replicas"],
	"found": 2,
	"wanted": "replication between the replicas: Sentinel or a Valkey cluster",
	"fix": "look into the configuration; without replication, spec: {replicas: 1}",
	"key": "db",
}

test_hidden if {
	policy.violation == {found} with input as review(set_of(2, hiding))
}

test_quiet if {
	every value in [
		set_of(1, hiding),
		set_of(2, {}),
		set_of(2, object.union(hiding, {"args": ["--replicaof", "db-0", "6379"]})),
		null,
	] {
		policy.violation == set() with input as review(value)
	}
}
