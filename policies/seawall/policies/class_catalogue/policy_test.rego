package seawall.policies.class_catalogue_test

import data.seawall.policies.class_catalogue as policy

labelled(labels) := {"metadata": {"name": "new", "labels": labels}, "provisioner": "p"}

supported(more) := object.union(
	labelled(object.union({"seawall.dev/supported": "true"}, more)),
	{"metadata": {"annotations": {"kubernetes.io/description": "d"}}},
)

cluster(names, supported_names) := {
	"storageclasses": {name: {"provisioner": "p"} | some name in names},
	"index": {"supported_classes": supported_names},
}

review(operation, value, groups) := {
	"request": {
		"operation": operation,
		"object": value,
		"oldObject": labelled({}),
		"userInfo": {"groups": ["team"]},
	},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {"groups": groups}},
}

outside := {
	"msg": concat(" ", [
		"The class is not in the platform's catalogue: it is one more that nobody chose,",
		"and claims on it are rejected where the tier is high.",
	]),
	"path": ["metadata", "labels", "seawall.dev/supported"],
	"found": "",
	"wanted": "\"true\" or \"false\"",
	"fix": concat(" ", [
		"metadata.labels: {seawall.dev/supported: \"true\"} and what it is for,",
		"or \"false\" where it is for no claims of developers",
	]),
}

test_outside if {
	policy.violation == {outside} with input as review("CREATE", labelled({}), [])
		with data.cluster as cluster(["a"], ["a"])
	policy.violation == {outside} with input as review("CREATE", labelled({}), [])
		with data.cluster as cluster([], [])
		with data.seawall.knowledge.catalogue.classes as {"other": {}}
	policy.violation == set() with input as review("UPDATE", labelled({}), [])
		with data.cluster as cluster(["a"], ["a"])
	policy.violation == set() with input as review("CREATE", labelled({}), []) with data.cluster as cluster(["a"], [])
	every settings in [{"new": false}, {"new": {}}, {"new": true}] {
		policy.violation == set() with input as review("CREATE", labelled({}), [])
			with data.cluster as cluster(["a"], ["a"])
			with data.seawall.knowledge.catalogue.classes as settings
	}
}

description := {
	"msg": "The class is in the catalogue and does not say what it is for: developers choose by that.",
	"path": ["metadata", "annotations", "kubernetes.io/description"],
	"wanted": "one line for developers",
	"fix": "metadata.annotations: {kubernetes.io/description: <medium, copies, what for>}",
}

test_description if {
	bare := labelled({"seawall.dev/supported": "true"})
	every operation in ["CREATE", "UPDATE"] {
		policy.violation == {description} with input as review(operation, bare, []) with data.cluster as {}
	}
	policy.violation == {description} with input as review("CREATE", bare, [])
		with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"new": {}}
	every settings in [{"new": false}, {"new": {"description": "x"}}] {
		policy.violation == set() with input as review("CREATE", bare, [])
			with data.cluster as {}
			with data.seawall.knowledge.catalogue.classes as settings
	}
}

word(label, found, what, known) := {
	"msg": sprintf("%s is no %s, so the class is offered to none.", [found, what]),
	"path": ["metadata", "labels", label],
	"found": found,
	"wanted": sprintf("one of %s", [known]),
	"fix": sprintf("metadata.labels: {%s: <one of them>}, or leave it out for all of them", [label]),
}

test_words if {
	tier := word("seawall.dev/tier", "gold", "tier: no namespace has it", "tier-0, tier-1, tier-2, tier-3")
	profile := word(
		"seawall.dev/workload-profile",
		"olpt",
		"profile: no workload has it",
		"analytics, cache, general, oltp, queue, vector",
	)
	value := supported({"seawall.dev/tier": "gold", "seawall.dev/workload-profile": "olpt"})
	policy.violation == {tier, profile} with input as review("CREATE", value, []) with data.cluster as {}
	policy.violation == set() with input as review("CREATE", value, [])
		with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"new": {}}
	every label in [{}, {"seawall.dev/tier": "dev"}, {"seawall.dev/workload-profile": "cache"}] {
		policy.violation == set() with input as review("CREATE", supported(label), []) with data.cluster as {}
	}
}

test_too_many if {
	expected := {
		"msg": concat(" ", [
			"With this class the platform supports 3, more than 2: nobody can keep so many apart,",
			"and each wants to be watched, tested and moved to new drivers.",
		]),
		"path": ["metadata", "name"],
		"found": "new",
		"wanted": "at most 2 supported classes",
		"fix": "use one of the others, or take one out first; knowledge.catalogue.maxClasses is the limit",
	}
	every operation in ["CREATE", "UPDATE"] {
		policy.violation == {expected} with input as review(operation, supported({}), [])
			with data.cluster as cluster(["a", "b"], ["a", "b"])
			with data.seawall.knowledge.catalogue.maxClasses as 2
	}
	policy.violation == set() with input as review("CREATE", supported({}), [])
		with data.cluster as cluster(["a", "new"], ["a", "new"])
		with data.seawall.knowledge.catalogue.maxClasses as 2
	known := object.union(review("UPDATE", supported({}), []), {"request": {"oldObject": supported({})}})
	policy.violation == set() with input as known
		with data.cluster as cluster(["a", "b", "new"], ["a", "b", "new"])
		with data.seawall.knowledge.catalogue.maxClasses as 2
	policy.violation == set() with input as review("CREATE", supported({}), [])
		with data.cluster as cluster(["a", "b"], ["a", "b"])
		with data.seawall.knowledge.catalogue.maxClasses as null
	eight := ["a", "b", "c", "d", "e", "f", "g", "h"]
	count(policy.violation) == 1 with input as review("CREATE", supported({}), [])
		with data.cluster as cluster(eight, eight)
		with data.seawall.knowledge.catalogue.maxClasses as "2"
}

test_too_many_without_a_catalogue if {
	policy.violation == {{
		"msg": concat(" ", [
			"With this class the cluster has 3, more than 2, and no catalogue says which to use:",
			"every claim is a choice that somebody makes alone.",
		]),
		"path": ["metadata", "name"],
		"found": "new",
		"wanted": "at most 2 classes",
		"fix": "label the classes to use seawall.dev/supported: \"true\", and take the others away",
	}} with input as review("CREATE", labelled({}), [])
		with data.cluster as cluster(["a", "b"], [])
		with data.seawall.knowledge.catalogue.maxClasses as 2
	policy.violation == set() with input as review("CREATE", labelled({}), [])
		with data.cluster as cluster(["a", "new"], [])
		with data.seawall.knowledge.catalogue.maxClasses as 2
	policy.violation == set() with input as review("UPDATE", labelled({}), [])
		with data.cluster as cluster(["a", "b"], [])
		with data.seawall.knowledge.catalogue.maxClasses as 2
	policy.violation == set() with input as review("CREATE", supported({}), [])
		with data.cluster as cluster(["a", "b"], [])
		with data.seawall.knowledge.catalogue.maxClasses as 2

	# Where no class is wanted: one of none is one too many, but nobody knows how many there are before they are synced.
	count(policy.violation) == 1 with input as review("CREATE", labelled({}), [])
		with data.cluster as cluster([], [])
		with data.seawall.knowledge.catalogue.maxClasses as 0
	policy.violation == set() with input as review("CREATE", labelled({}), [])
		with data.cluster as {}
		with data.seawall.knowledge.catalogue.maxClasses as 0
}

test_creator if {
	policy.violation == {{
		"msg": "Classes are made by members of a, b: this one would be nobody's to keep.",
		"path": ["metadata", "name"],
		"found": "new",
		"wanted": "a member of a, b",
		"fix": "ask a member of a, b for the class, or use one that there is",
		"key": "creator",
	}} with input as review("CREATE", labelled({}), ["a", 1, "b"]) with data.cluster as {}
	every groups in [[], [1], ["a", "team"]] {
		policy.violation == set() with input as review("CREATE", labelled({}), groups) with data.cluster as {}
	}
	policy.violation == set() with input as review("UPDATE", labelled({}), ["a"]) with data.cluster as {}
}

test_quiet if {
	every value in [
		{"metadata": {"name": "new"}},
		object.union(labelled({}), {"provisioner": "x/bucket"}),
		labelled({"addonmanager.kubernetes.io/mode": "Reconcile"}),
		null,
	] {
		policy.violation == set() with input as review("CREATE", value, ["a"])
			with data.cluster as cluster(["a", "b"], ["a"])
	}
}
