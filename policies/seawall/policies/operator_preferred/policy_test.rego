package seawall.policies.operator_preferred_test

import data.seawall.policies.operator_preferred as policy

set_of(replicas, image, labels) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db", "labels": labels},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": image,
			"volumeMounts": [{"name": "data", "mountPath": "/data"}],
		}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}}],
	},
}

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

owned(value) := object.union(
	value,
	{"metadata": {"ownerReferences": [{"apiVersion": "x.example/v1", "kind": "X", "controller": true}]}},
)

found := {
	"msg": concat(" ", [
		"3 replicas of RabbitMQ in container db are run by a StatefulSet alone:",
		"failover, backups and upgrades are left to people, where an operator could do them",
	]),
	"path": ["kind"],
	"found": "StatefulSet",
	"wanted": "an operator: RabbitMQ Cluster Operator",
	"fix": concat(" ", [
		"move to a resource of such an operator, or write down the choice:",
		"metadata: {labels: {seawall.dev/storage-approach: csi-statefulset}}",
	]),
	"key": "db",
}

test_names_operators if {
	policy.violation == {found} with input as review(set_of(3, "rabbitmq:4", {}))
	by_label := set_of(3, "rabbitmq:4", {"seawall.dev/storage-approach": "operator"})
	policy.violation == {found} with input as review(by_label)
}

test_quiet if {
	every value in [
		set_of(1, "rabbitmq:4", {}),
		set_of(3, "acme/store:1", {}),
		set_of(3, "memcached:1.6", {}),
		set_of(3, "rabbitmq:4", {"seawall.dev/storage-approach": "csi-statefulset"}),
		set_of(3, "rabbitmq:4", {"seawall.dev/data": "cache"}),
		owned(set_of(3, "rabbitmq:4", {})),
		null,
	] {
		policy.violation == set() with input as review(value)
	}
}

test_switched_off if {
	policy.violation == set() with input as review(set_of(3, "rabbitmq:4", {}))
		with data.seawall.knowledge.engines.table.rabbitmq.operators as {"rabbitmq.com": false}
	policy.violation == set() with input as review(set_of(3, "rabbitmq:4", {}))
		with data.seawall.knowledge.operators.groups as {"rabbitmq.com": false}
	policy.violation == set() with input as review(set_of(3, "rabbitmq:4", {}))
		with data.seawall.knowledge.engines.table.rabbitmq.operators as false
}
