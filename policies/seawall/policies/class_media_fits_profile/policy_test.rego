package seawall.policies.class_media_fits_profile_test

import data.seawall.policies.class_media_fits_profile as policy

test_class if {
	slow := object.union(class("st1"), {"metadata": {"labels": {"seawall.dev/workload-profile": "oltp"}}})
	policy.violation == {{
		"msg": "The class is labelled oltp, but its disks are throughput HDD (st1): each commit waits for such a disk.",
		"path": ["parameters", "type"],
		"found": "st1",
		"wanted": "a type for small writes",
		"fix": "parameters: {type: gp3}",
	}} with input as review(slow)
	policy.violation == set() with input as review(class("st1"))
}

test_engine if {
	policy.violation == {{
		"msg": concat(" ", [
			"PostgreSQL in container db keeps data on throughput HDD (st1):",
			"each commit waits for such a disk.",
		]),
		"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
		"found": "class slow",
		"wanted": "a class of disks for small writes: quick",
		"fix": "storageClassName: quick",
	}} with input as review(set("slow")) with data.cluster as cluster
	policy.violation == set() with input as review(set("quick")) with data.cluster as cluster
	policy.violation == set() with input as review(set("slow")) with data.cluster as {}
}

# A Deployment is not matched, but a configuration may do so.
test_label_on_a_deployment if {
	labelled := object.union(set("slow"), {
		"kind": "Deployment",
		"metadata": {"labels": {"seawall.dev/workload-profile": "oltp"}},
	})
	policy.violation == set() with input as review(labelled) with data.cluster as cluster
}

cluster := {
	"storageclasses": {"slow": class("st1"), "quick": class("gp3")},
	"index": {"classes_by_provisioner": {"ebs.csi.aws.com": ["quick", "slow"]}},
}

class(type) := {"kind": "StorageClass", "provisioner": "ebs.csi.aws.com", "parameters": {"type": type}}

set(name) := {
	"kind": "StatefulSet",
	"spec": {
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": name}}],
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": "postgres:16",
			"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
		}]}},
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {
		"now": "2026-01-15T12:00:00Z",
		"tier": "tier-2",
		"parameters": {"profiles": ["oltp", "queue"], "families": ["postgres"]},
	},
}
