package seawall.policies.ticket_class_test

import data.seawall.policies.ticket_class as policy

class(labels) := {"metadata": {"labels": labels}, "provisioner": "p", "reclaimPolicy": "Retain"}

cluster := {
	"storageclasses": {
		"keep": class({"seawall.dev/supported": "true"}),
		"gold": class({"seawall.dev/ticket-only": "true"}),
	},
	"index": {"supported_classes": ["keep"], "default_classes": []},
}

review(value, groups, allowed) := {
	"request": {"operation": "CREATE", "object": value, "userInfo": {"groups": groups}},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-1", "parameters": {"groups": allowed}},
}

claim(name) := {"kind": "PersistentVolumeClaim", "spec": {"storageClassName": name}}

found(name, names) := {
	"msg": sprintf(
		"The claim uses class %s, which the platform team hands out on request: it is scarce, costly or has conditions.",
		[name],
	),
	"path": ["spec", "storageClassName"],
	"found": name,
	"wanted": sprintf("a class that needs no request: %s", [names]),
	"fix": "storageClassName: keep, or have the platform team create it",
}

test_by_label if {
	every groups in [["team"], [], null] {
		policy.violation == {found("gold", "keep")} with input as review(claim("gold"), groups, ["admins"])
			with data.cluster as cluster
	}
	set := {
		"kind": "StatefulSet",
		"spec": {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "gold"}}]},
	}
	policy.violation == {object.union(found("gold", "keep"), {
		"msg": replace(found("gold", "keep").msg, "The claim", "The claim template data"),
		"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
	})} with input as review(set, [], []) with data.cluster as cluster
}

test_by_configuration if {
	settings := {"gold": {"ticket": false, "rank": 200}, "silver": {"ticket": true}}
	policy.violation == {found("silver", "keep, gold")} with input as review(claim("silver"), [], [])
		with data.cluster as cluster
		with data.seawall.knowledge.catalogue.classes as settings
	policy.violation == set() with input as review(claim("gold"), [], [])
		with data.cluster as cluster
		with data.seawall.knowledge.catalogue.classes as settings
}

test_nothing_else if {
	policy.violation == {object.union(found("gold", ""), {
		"wanted": "a class that needs no request",
		"fix": concat(" ", [
			"ask the platform team for a class;",
			"`seawall policy catalogue` shows which there are for each tier and profile,",
			"or have the platform team create it",
		]),
	})} with input as review(claim("gold"), [], [])
		with data.cluster as object.union(cluster, {"index": {"supported_classes": []}})
}

test_quiet if {
	every value in [
		claim("keep"),
		claim("absent"),
		claim(""),
		claim(null),
		object.union(claim("gold"), {"spec": {"volumeName": "v"}}),
		object.union(claim("gold"), {"spec": {"selector": {}}}),
		{"kind": "Deployment"},
		null,
	] {
		policy.violation == set() with input as review(value, [], []) with data.cluster as cluster
	}
	policy.violation == set() with input as review(claim("gold"), ["a", "admins"], ["admins"]) with data.cluster as cluster
}
