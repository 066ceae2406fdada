package seawall.policies.object_storage_for_database_test

import data.seawall.policies.object_storage_for_database as policy

test_class_of_a_template if {
	policy.violation == {found} with input as review(set("slow", {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("block", {})) with data.cluster as cluster
	policy.violation == set() with input as review(set("slow", {})) with data.cluster as {}
}

test_data_that_may_vanish if {
	every kind in ["cache", "scratch", "readonly"] {
		object := set("slow", {"seawall.dev/data": kind})
		policy.violation == set() with input as review(object) with data.cluster as cluster
	}
	durable := set("slow", {"seawall.dev/data": "durable"})
	policy.violation == {found} with input as review(durable) with data.cluster as cluster
}

# Engines that are made for buckets share the files with others.
test_engine_that_shares if {
	shared := {
		"sure": true,
		"title": "Loki",
		"name": "loki",
		"facts": {"single_writer": false, "data_paths": ["/var/lib/postgresql/data"]},
		"container": set("slow", {}).spec.template.spec.containers[0],
	}
	policy.violation == set() with input as review(set("slow", {}))
		with data.cluster as cluster
		with data.seawall.lib.subject.engines as [shared]
}

found := {
	"msg": concat(" ", [
		"PostgreSQL in container db keeps its data",
		"in a bucket that is mounted as if it were a file system (class slow):",
		"without atomic renames, locks and writes in the middle of a file it loses or corrupts the data.",
	]),
	"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
	"found": "class slow",
	"wanted": "a class of block storage that follows its Pod: block",
	"fix": "storageClassName: block",
}

cluster := {
	"storageclasses": {"slow": {"provisioner": "blob.csi.azure.com"}, "block": {"provisioner": "ebs.csi.aws.com"}},
	"index": {"classes_by_provisioner": {"blob.csi.azure.com": ["slow"], "ebs.csi.aws.com": ["block"]}},
}

set(class, labels) := {
	"kind": "StatefulSet",
	"metadata": {"labels": labels},
	"spec": {
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": class}}],
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": "postgres:16",
			"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
		}]}},
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
