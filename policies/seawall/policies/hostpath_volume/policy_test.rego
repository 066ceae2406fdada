package seawall.policies.hostpath_volume_test

import data.seawall.policies.hostpath_volume as policy

test_volume if {
	policy.violation == {{
		"msg": concat(" ", [
			"This volume is the directory /srv/data of whatever node its Pod runs on:",
			"on another node the Pod finds another directory, mostly an empty one, and the data goes with the node.",
		]),
		"path": ["spec", "hostPath"],
		"found": "/srv/data",
		"wanted": "a volume that is known to lie on one node (local), or one of a storage driver",
		"fix": concat("", [
			"local: {path: /srv/data} instead of hostPath, with nodeAffinity for its node ",
			"and a class that has volumeBindingMode: WaitForFirstConsumer",
		]),
	}} with input as review(volume({}, {}))
}

test_volumes_that_may_be_so if {
	every object in [
		volume({"annotations": {"pv.kubernetes.io/provisioned-by": "rancher.io/local-path"}}, {}),
		volume({"labels": {"seawall.dev/data": "scratch"}}, {}),
		volume({}, {"accessModes": ["ReadOnlyMany"]}),
		volume({}, {"hostPath": null}),
		null,
	] {
		policy.violation == set() with input as review(object)
	}
}

test_database if {
	policy.violation == {{
		"msg": concat(" ", [
			"PostgreSQL in container db keeps its data in the directory /srv/pg of whatever node it runs on:",
			"on another node it starts with another directory, mostly an empty one, and the data goes with the node.",
		]),
		"path": ["spec", "template", "spec", "volumes", 0, "hostPath"],
		"found": "/srv/pg",
		"wanted": "a class of block storage that follows its Pod",
		"fix": "use a claim of block storage, in volumeClaimTemplates of a StatefulSet",
	}} with input as review(deployment({})) with data.cluster as {}
	policy.violation == set() with input as review(deployment({"seawall.dev/data": "cache"}))
}

volume(metadata, spec) := {
	"kind": "PersistentVolume",
	"metadata": metadata,
	"spec": object.union({"hostPath": {"path": "/srv/data"}, "accessModes": ["ReadWriteOnce"]}, spec),
}

deployment(labels) := {
	"kind": "Deployment",
	"metadata": {"labels": labels},
	"spec": {"template": {"spec": {
		"containers": [{
			"name": "db",
			"image": "postgres:16",
			"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
		}],
		"volumes": [{"name": "data", "hostPath": {"path": "/srv/pg"}}],
	}}},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
