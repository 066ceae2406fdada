package seawall.policies.class_single_default_test

import data.seawall.policies.class_single_default as policy

new_key := "storageclass.kubernetes.io/is-default-class"

old_key := "storageclass.beta.kubernetes.io/is-default-class"

class(annotations) := {"metadata": {"name": "newer", "annotations": annotations}}

review(operation, new, old) := {"request": {"operation": operation, "object": new, "oldObject": old}}

cluster(names) := {"index": {"default_classes": names}}

found(key, shown, names) := {
	"msg": concat("", [
		"There is a default class already: ",
		shown,
		". Of several the newest wins without a word, so claims that name no class get whichever was made last.",
	]),
	"path": ["metadata", "annotations", key],
	"found": "true",
	"wanted": "one default class",
	"fix": concat(" ", [
		"kubectl annotate storageclass",
		names,
		"storageclass.kubernetes.io/is-default-class-",
		"storageclass.beta.kubernetes.io/is-default-class-",
	]),
}

test_second_default if {
	every key in [new_key, old_key] {
		policy.violation == {found(key, "usual", "usual")} with input as review("CREATE", class({key: "true"}), null)
			with data.cluster as cluster(["newer", "usual"])
	}
	policy.violation == {found(new_key, "a, b", "a b")}
		with input as review("UPDATE", class({new_key: "true"}), class({new_key: "false"}))
		with data.cluster as cluster(["a", "b"])
}

test_quiet if {
	default_class := class({new_key: "true"})
	policy.violation == set() with input as review("CREATE", default_class, null) with data.cluster as cluster([])
	policy.violation == set() with input as review("CREATE", default_class, null) with data.cluster as cluster(["newer"])
	policy.violation == set() with input as review("CREATE", class({new_key: "false"}), null)
		with data.cluster as cluster(["usual"])
	policy.violation == set() with input as review("UPDATE", default_class, class({old_key: "true"}))
		with data.cluster as cluster(["newer", "usual"])
	policy.violation == set() with input as review("CREATE", null, null) with data.cluster as cluster(["usual"])
}
