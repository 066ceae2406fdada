package seawall.policies.quorum_odd_test

import data.seawall.policies.quorum_odd as policy

set_of(replicas, image, container) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db", "namespace": "shop"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {"containers": [object.union({"name": "db", "image": image}, container)]}},
	},
}

review(value, least) := {
	"request": {"operation": "CREATE", "namespace": "shop", "object": value},
	"seawall": {"tier": "tier-1", "parameters": {"members": least}},
}

even(title, voters, loss, replicas, found, wanted) := {
	"msg": sprintf("%s with %d voting members survives the loss of %d of them, no more than with %d", [
		title,
		voters,
		loss,
		voters - 1,
	]),
	"path": ["spec", "replicas"],
	"found": found,
	"wanted": wanted,
	"fix": sprintf("spec: {replicas: %d}", [replicas]),
	"key": "db",
}

test_even if {
	at_least := "an odd number of voting members, at least 3"
	policy.violation == {even("etcd", 4, 1, 5, 4, at_least)} with input as review(set_of(4, "etcd:3.6", {}), 3)
	anything := "an odd number of voting members"
	policy.violation == {even("etcd", 2, 0, 3, 2, anything)} with input as review(set_of(2, "etcd:3.6", {}), 1)
}

test_few if {
	policy.violation == {{
		"msg": "etcd votes with 1, too few members for a majority that outlives a failure",
		"path": ["spec", "replicas"],
		"found": 1,
		"wanted": "an odd number of voting members, at least 3",
		"fix": "spec: {replicas: 3}",
		"key": "db",
	}} with input as review(set_of(1, "etcd:3.6", {}), 3)
}

test_arbiter if {
	mongo := set_of(2, "mongo:7", {"args": ["--replSet", "rs0"]})
	at_least := "an odd number of voting members, at least 3"
	policy.violation == {even("MongoDB", 2, 0, 3, 2, at_least)} with input as review(mongo, 3)
	near := {"statefulsets": {"shop": {"db-arbiter": {"spec": {"replicas": 1}}, "other": {"spec": {"replicas": 1}}}}}
	policy.violation == set() with input as review(mongo, 3) with data.cluster as near
	far := {"statefulsets": {"other": {"db-arbiter": {}}}}
	policy.violation == {even("MongoDB", 2, 0, 3, 2, at_least)} with input as review(mongo, 3) with data.cluster as far
}

test_quiet if {
	every value in [
		set_of(3, "etcd:3.6", {}),
		set_of(0, "etcd:3.6", {}),
		set_of(2, "mongo:7", {}),
		set_of(2, "cassandra:5", {}),
		set_of(2, "acme/store:1", {}),
		null,
	] {
		policy.violation == set() with input as review(value, 3)
	}
	policy.violation == set() with input as review(set_of(1, "etcd:3.6", {}), 1)
}
