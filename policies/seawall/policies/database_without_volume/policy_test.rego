package seawall.policies.database_without_volume_test

import data.seawall.policies.database_without_volume as policy

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
	"volumeMounts": [{"name": volume, "mountPath": "/var/lib/postgresql/data"}],
}

scratch := [{"name": "scratch", "emptyDir": {}}]

fix := concat(" ", [
	"add a volumeClaimTemplate (StatefulSet) or a claim and mount it at the data directory;",
	"label the workload seawall.dev/data: scratch if the data may be lost",
])

none(path) := {{
	"msg": concat(" ", [
		"PostgreSQL in container main has no volume that outlives the Pod:",
		"its data is lost when the Pod is deleted or drained",
	]),
	"path": path,
	"found": "no writable claim",
	"wanted": "a claim mounted at the data directory",
	"fix": fix,
}}

test_no_volume if {
	bare := {"name": "main", "image": "postgres:16"}
	expected := none(["spec", "template", "spec", "containers", 0, "volumeMounts"])
	policy.violation == expected with input as review(sts(bare, [], {}))
	pod := {"kind": "Pod", "spec": {"containers": [bare]}}
	on_pod := none(["spec", "containers", 0, "volumeMounts"])
	policy.violation == on_pod with input as review(pod)
}

test_scratch if {
	expected := {{
		"msg": concat(" ", [
			"PostgreSQL in container main keeps its data directory on emptyDir scratch:",
			"it is lost when the Pod is deleted or drained",
		]),
		"path": ["spec", "template", "spec", "containers", 0, "volumeMounts", 0],
		"found": "emptyDir",
		"wanted": "a claim mounted at the data directory",
		"fix": fix,
	}}
	policy.violation == expected with input as review(sts(container("postgres:16", "scratch"), scratch, {}))
}

test_quiet if {
	bare := {"name": "main", "image": "postgres:16"}
	every value in [
		sts(container("postgres:16", "claim"), [], {}),
		sts({"name": "main", "image": "redis:7"}, [], {}),
		sts({"name": "main", "image": "acme/store:3"}, [], {}),
		sts({"name": "main", "image": "acme/orders-postgres:3"}, [], {}),
		sts(container("redis:7", "scratch"), scratch, {}),
		sts(bare, [], {"seawall.dev/data": "cache"}),
		sts(bare, [], {"seawall.dev/data": "scratch"}),
		sts(bare, [], {"seawall.dev/data": "readonly"}),
		sts(container("postgres:16", "scratch"), scratch, {"seawall.dev/data": "scratch"}),
		object.union(
			sts(bare, [], {}),
			{"metadata": {"ownerReferences": [{"apiVersion": "acid.zalan.do/v1", "controller": true}]}},
		),
	] {
		policy.violation == set() with input as review(value)
	}
}

# One container may say two things; the data directory on scratch is the more exact one.
test_one_violation_per_container if {
	count(policy.violation) == 1 with input as review(sts(container("postgres:16", "scratch"), scratch, {}))
}

# A doubtful image denies nothing, wherever its data is.
test_doubtful_image_on_scratch if {
	value := sts({"name": "main", "image": "acme/orders-kafka:1", "command": ["/x"]}, scratch, {})
	policy.violation == set() with input as review(value)
}
