package seawall.policies.data_path_on_volume_test

import data.seawall.policies.data_path_on_volume as policy

review(value) := {
	"request": {"operation": "CREATE", "namespace": "shop", "object": value},
	"seawall": {"parameters": {"images": {"postgres": ["/var/lib/postgresql/data", "/var/lib/postgresql"], "redis": ["/data"]}}},
}

container(image, path, more) := object.union(
	{
		"name": "main",
		"image": image,
		"volumeMounts": [{"name": "claim", "mountPath": path}],
	},
	more,
)

sts(main, labels) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db", "labels": labels},
	"spec": {
		"template": {"spec": {
			"containers": [main],
			"volumes": [{"name": "scratch", "emptyDir": {}}, {"name": "settings", "configMap": {"name": "c"}}],
		}},
		"volumeClaimTemplates": [{"metadata": {"name": "claim"}}],
	},
}

lost(prefix, where, first, there) := {{
	"msg": concat(" ", [
		sprintf("PostgreSQL in container main keeps its data in %s, and its volume is mounted at %s:", [where, there]),
		"the data is lost when the Pod is deleted or drained",
	]),
	"path": array.concat(prefix, ["containers", 0, "volumeMounts"]),
	"found": there,
	"wanted": sprintf("the volume mounted at %s", [where]),
	"fix": sprintf("volumeMounts: [{name: claim, mountPath: %s}]", [first]),
}}

template := ["spec", "template", "spec"]

built_in := "/var/lib/postgresql/data or /var/lib/postgresql"

env(name, value) := {"env": [{"name": name, "value": value}]}

mounts(others) := {"volumeMounts": array.concat([{"name": "claim", "mountPath": "/data"}], others)}

test_lost if {
	by_image := lost(template, built_in, "/var/lib/postgresql/data", "/data")
	policy.violation == by_image with input as review(sts(container("postgres:16", "/data", {}), {}))
	by_env := lost(template, "/pg", "/pg", "/data")
	policy.violation == by_env with input as review(sts(container("acme.test/postgres:16", "/data", env("PGDATA", "/pg")), {}))
	on_pod := lost(["spec"], built_in, "/var/lib/postgresql/data", "/data")
	pod := {"kind": "Pod", "spec": {
		"containers": [container("postgres:16", "/data", {})],
		"volumes": [{"name": "claim", "persistentVolumeClaim": {"claimName": "x"}}],
	}}
	policy.violation == on_pod with input as review(pod)
}

test_several_mounts if {
	there := mounts([{"name": "scratch", "mountPath": "/tmp"}, {"name": "other", "mountPath": "/other"}])
	expected := lost(template, built_in, "/var/lib/postgresql/data", "/data, /other")
	policy.violation == expected with input as review(sts(container("postgres:16", "/data", there), {}))
}

test_quiet if {
	every value in [
		sts(container("postgres:16", "/var/lib/postgresql/data", {}), {}),
		sts(container("postgres:16", "/var/lib/postgresql", {}), {}),
		sts(container("postgres:16", "/data", env("PGDATA", "/data/pg")), {}),
		sts(container("postgres:16", "/data", env("PGDATA", "$(X)/pg")), {}),
		sts(container("postgres:16", "/data", env("OTHER", "x=/data/pg")), {}),
		sts(container("postgres:16", "/data", {"args": ["-c", "config_file=/x"]}), {}),
		sts(container("postgres:16", "/data", {"envFrom": [{}]}), {}),
		sts(container("postgres:16", "/data", mounts([{"name": "settings", "mountPath": "/etc/x"}])), {}),
		sts(container("postgres:16", "/data", mounts([{"name": "scratch", "mountPath": "/var/lib/postgresql/data"}])), {}),
		sts(container("postgres:16", "/data", {"volumeMounts": []}), {}),
		sts(container("postgres:16", "/data", {"volumeDevices": [{"name": "claim"}]}), {}),
		sts(container("acme.test/postgres:16", "/data", {}), {}),
		sts(container("acme/orders-postgres:16", "/data", env("PGDATA", "/pg")), {}),
		sts(container("acme/store:16", "/data", env("PGDATA", "/pg")), {}),
		sts(container("redis:7", "/backup", {}), {}),
		sts(container("postgres:16", "/data", {}), {"seawall.dev/data": "cache"}),
		sts(container("postgres:16", "/data", {}), {"seawall.dev/data": "scratch"}),
		sts(container("postgres:16", "/data", {}), {"seawall.dev/data": "readonly"}),
		object.union(
			sts(container("postgres:16", "/data", {}), {}),
			{"metadata": {"ownerReferences": [{"apiVersion": "acid.zalan.do/v1", "controller": true}]}},
		),
	] {
		policy.violation == set() with input as review(value)
	}
}
