package seawall.policies.class_exists_test

import data.seawall.policies.class_exists as policy

test_class_that_is_missing if {
	policy.violation == {on_field} with input as review(claim({}), false) with data.cluster as cluster({})
}

test_annotation_wins if {
	annotated := {
		"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}},
		"spec": {"storageClassName": "slow"},
	}
	expected := object.union(on_field, {
		"path": ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"],
		"fix": "kubectl get storageclass, and name one of them in volume.beta.kubernetes.io/storage-class",
	})
	policy.violation == {expected} with input as review(annotated, false) with data.cluster as cluster({})
}

test_classes_that_would_pass if {
	supported := object.union(on_field, {
		"wanted": "a class of this cluster: gold, silver",
		"fix": "storageClassName: gold",
	})
	index := {"supported_classes": ["gold", "silver"], "default_classes": ["slow"]}
	policy.violation == {supported} with input as review(claim({}), false) with data.cluster as cluster(index)
	by_default := object.union(on_field, {
		"wanted": "a class of this cluster: slow",
		"fix": "storageClassName: slow",
	})
	one := {"supported_classes": [], "default_classes": ["slow"]}
	policy.violation == {by_default} with input as review(claim({}), false) with data.cluster as cluster(one)
	none := {"supported_classes": [], "default_classes": []}
	policy.violation == {on_field} with input as review(claim({}), false) with data.cluster as cluster(none)
}

test_volumes_by_hand if {
	every spec in [{"volumeName": "v"}, {"selector": {}}, {"selector": {"matchLabels": {"a": "b"}}}] {
		policy.violation == set() with input as review(claim(spec), false) with data.cluster as cluster({})
		policy.violation == {on_field} with input as review(claim(spec), true) with data.cluster as cluster({})
	}
	every spec in [{"volumeName": ""}, {"volumeName": null, "selector": null}] {
		policy.violation == {on_field} with input as review(claim(spec), false) with data.cluster as cluster({})
	}
}

test_quiet if {
	every object in [
		{"spec": {"storageClassName": "slow"}},
		{"spec": {"storageClassName": ""}},
		{"spec": {"storageClassName": null}},
		{"spec": {}},
		{"metadata": [], "spec": 4},
		null,
	] {
		policy.violation == set() with input as review(object, true) with data.cluster as cluster({})
	}
}

on_field := {
	"msg": concat(" ", [
		"The class fast is not in this cluster:",
		"the claim stays Pending until somebody creates it, or a volume by hand that carries its name.",
	]),
	"path": ["spec", "storageClassName"],
	"found": "fast",
	"wanted": "a class of this cluster",
	"fix": "kubectl get storageclass, and name one of them in storageClassName",
}

claim(spec) := {"spec": object.union({"storageClassName": "fast"}, spec)}

cluster(index) := {"storageclasses": {"slow": {"provisioner": "p"}}, "index": index}

review(object, strict) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {"strictReferences": strict}},
}
