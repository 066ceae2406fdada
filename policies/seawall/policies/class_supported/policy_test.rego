package seawall.policies.class_supported_test

import data.seawall.policies.class_supported as policy

class(labels) := {
	"metadata": {"labels": labels},
	"provisioner": "p",
	"reclaimPolicy": "Retain",
}

supported(labels) := class(object.union({"seawall.dev/supported": "true"}, labels))

cluster := {
	"storageclasses": {
		"any": supported({}),
		"gold": supported({"seawall.dev/tier": "tier-0"}),
		"logs": supported({"seawall.dev/workload-profile": "queue"}),
		"temporary": supported({"seawall.dev/data": "scratch"}),
		"old": class({}),
	},
	"index": {
		"supported_classes": ["any", "gold", "logs", "temporary"],
		"default_classes": ["old"],
	},
}

review(object) := {
	"request": {"operation": "CREATE", "object": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-1", "parameters": {}},
}

claim(name) := {"kind": "PersistentVolumeClaim", "spec": {"storageClassName": name}}

set(image, name) := {
	"kind": "StatefulSet",
	"spec": {
		"template": {"spec": {"containers": [{"name": "c", "image": image}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": name}}],
	},
}

found(name, fault, wanted) := {
	"msg": sprintf("The claim uses class %s, which %s.", [name, fault]),
	"path": ["spec", "storageClassName"],
	"found": name,
	"wanted": sprintf("a class that the platform supports for %s", [wanted]),
	"fix": "storageClassName: any",
}

test_faults if {
	fault := "the platform does not support: nobody promises to watch it, to expand it or to restore from it"
	expected := found("old", fault, "tier-1: any, logs")
	policy.violation == {expected} with input as review(claim("old")) with data.cluster as cluster
	policy.violation == {found("gold", "the platform does not support for tier-1", "tier-1: any, logs")}
		with input as review(claim("gold"))
		with data.cluster as cluster
	policy.violation == {found("temporary", "is meant for data that may vanish, not for tier-1", "tier-1: any, logs")}
		with input as review(claim("temporary"))
		with data.cluster as cluster
	policy.violation == {expected} with input as review({"kind": "PersistentVolumeClaim", "spec": {}})
		with data.cluster as cluster
}

test_profile if {
	fault := "the platform supports for other workloads, not for profile oltp"
	other := found("logs", fault, "tier-1 and profile oltp: any")
	policy.violation == {object.union(other, {
		"msg": replace(other.msg, "The claim", "The claim template data"),
		"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
	})} with input as review(set("postgres:17", "logs")) with data.cluster as cluster
	every image in ["kafka:4", "acme/store:1"] {
		policy.violation == set() with input as review(set(image, "logs")) with data.cluster as cluster
	}
}

test_configuration if {
	settings := {"any": {"tiers": ["tier-0"]}, "old": {"rank": 1}}
	policy.violation == set() with input as review(claim("old"))
		with data.cluster as cluster
		with data.seawall.knowledge.catalogue.classes as settings
	policy.violation == {object.union(found("any", "the platform does not support for tier-1", "tier-1: old, logs"), {
		"fix": "storageClassName: old",
	})} with input as review(claim("any"))
		with data.cluster as cluster
		with data.seawall.knowledge.catalogue.classes as settings
}

test_nothing_passes if {
	policy.violation == {{
		"msg": "The claim uses class old, which the platform does not support for tier-1.",
		"path": ["spec", "storageClassName"],
		"found": "old",
		"wanted": "a class that the platform supports for tier-1",
		"fix": concat(" ", [
			"ask the platform team for a class;",
			"`seawall policy catalogue` shows which there are for each tier and profile",
		]),
	}} with input as review(claim("old"))
		with data.cluster as object.union(cluster, {"index": {"supported_classes": []}})
		with data.seawall.knowledge.catalogue.classes as {"old": {"tiers": ["tier-0"]}}
}

test_quiet if {
	every value in [
		claim("any"),
		claim("logs"),
		claim("absent"),
		claim(""),
		object.union(claim("old"), {"spec": {"volumeName": "v"}}),
		object.union(claim("old"), {"spec": {"selector": {}}}),
		object.union(claim("temporary"), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		{"kind": "Deployment"},
		null,
	] {
		policy.violation == set() with input as review(value) with data.cluster as cluster
	}
	bare := {"storageclasses": {"old": class({})}, "index": {"supported_classes": [], "default_classes": []}}
	policy.violation == set() with input as review(claim("old")) with data.cluster as bare
}
