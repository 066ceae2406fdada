package seawall.policies.cache_without_volume_test

import data.seawall.policies.cache_without_volume as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

sts(container, volumes, labels) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db", "labels": labels},
	"spec": {
		"template": {"spec": {"containers": [container], "volumes": volumes}},
		"volumeClaimTemplates": [{"metadata": {"name": "claim"}}],
	},
}

container(image, volume) := {
	"name": "main",
	"image": image,
	"volumeMounts": [{"name": volume, "mountPath": "/data"}],
}

scratch := [{"name": "scratch", "emptyDir": {}}]

lost := {{
	"msg": concat(" ", [
		"Redis in container main has no lasting volume and is not declared a cache:",
		"what it holds is lost with the Pod",
	]),
	"path": ["spec", "template", "spec", "containers", 0, "volumeMounts"],
	"found": "no writable claim at the data directory",
	"wanted": "a claim at the data directory, or the label seawall.dev/data: cache",
	"fix": "label the workload seawall.dev/data: cache if the data may be lost, else mount a claim at the data directory",
}}

redis(args) := {"name": "main", "image": "redis:7", "args": args}

test_lost if {
	policy.violation == lost with input as review(sts(redis([]), [], {}))
	policy.violation == lost with input as review(sts(container("redis:7", "scratch"), scratch, {}))
	policy.violation == lost with input as review(sts(redis(["--save", "900 1"]), [], {}))
	policy.violation == lost with input as review(sts(redis(["--maxmemory-policy", "noeviction"]), [], {}))
}

test_quiet if {
	every value in [
		sts(container("redis:7", "claim"), [], {}),
		sts(redis([]), [], {"seawall.dev/data": "cache"}),
		sts(redis([]), [], {"seawall.dev/data": "scratch"}),
		sts(redis([]), [], {"seawall.dev/data": "readonly"}),
		sts(redis(["--maxmemory-policy", "allkeys-lru"]), [], {}),
		sts(redis(["--save", ""]), [], {}),
		sts({"name": "main", "image": "redis:7", "command": ["sh", "-c", "redis-server --save ''"]}, [], {}),
		sts({"name": "main", "image": "memcached:1"}, [], {}),
		sts({"name": "main", "image": "postgres:16"}, [], {}),
		sts({"name": "main", "image": "acme/orders-redis:1"}, [], {}),
		object.union(
			sts(redis([]), [], {}),
			{"metadata": {"ownerReferences": [{"apiVersion": "databases.spotahome.com/v1", "controller": true}]}},
		),
	] {
		policy.violation == set() with input as review(value)
	}
}
