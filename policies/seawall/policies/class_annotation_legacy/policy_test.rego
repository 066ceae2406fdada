package seawall.policies.class_annotation_legacy_test

import data.seawall.policies.class_annotation_legacy as policy

beta := "volume.beta.kubernetes.io/storage-class"

alpha := "volume.alpha.kubernetes.io/storage-class"

test_beta if {
	every spec in [{}, {"storageClassName": "fast"}, {"storageClassName": null}, {"storageClassName": 3}] {
		policy.violation == {replaced("fast", "fast")} with input as review({beta: "fast"}, spec)
	}
	policy.violation == {replaced("", "\"\"")} with input as review({beta: ""}, {})
}

test_disagreement if {
	policy.violation == {disagrees("slow")} with input as review({beta: "fast"}, {"storageClassName": "slow"})
	policy.violation == {disagrees("\"\"")} with input as review({beta: "fast"}, {"storageClassName": ""})
}

test_alpha if {
	every spec in [{}, {"storageClassName": "fast"}] {
		policy.violation == {not_read} with input as review({alpha: "anything"}, spec)
	}
	both := {alpha: "anything", beta: "fast"}
	policy.violation == {not_read, replaced("fast", "fast")} with input as review(both, {})
}

test_quiet if {
	every annotations in [{}, null, [beta], {beta: null}, {beta: 1, alpha: {}}, {"other": "fast"}] {
		policy.violation == set() with input as review(annotations, {"storageClassName": "fast"})
	}
	policy.violation == set() with input as {"request": {"object": null}}
}

replaced(value, text) := {
	"msg": concat(" ", [
		"The annotation volume.beta.kubernetes.io/storage-class was replaced by the field storageClassName;",
		"it wins over the field, where people and tools look for the class.",
	]),
	"path": ["metadata", "annotations", beta],
	"found": value,
	"wanted": sprintf("storageClassName: %s", [text]),
	"fix": sprintf("storageClassName: %s, without the annotation", [text]),
}

disagrees(text) := {
	"msg": concat(" ", [
		sprintf("The annotation %s wins over storageClassName: %s:", [beta, text]),
		"the claim has class fast, whatever the field says.",
	]),
	"path": ["metadata", "annotations", beta],
	"found": "fast",
	"wanted": "storageClassName alone",
	"fix": sprintf("remove the annotation to use %s, or write storageClassName: fast and remove it", [text]),
}

not_read := {
	"msg": concat(" ", [
		"The annotation volume.alpha.kubernetes.io/storage-class is not read any more:",
		"without storageClassName the claim gets the cluster's default class.",
	]),
	"path": ["metadata", "annotations", alpha],
	"found": "anything",
	"wanted": "no such annotation",
	"fix": "remove the annotation, and write the class that is meant into storageClassName",
}

review(annotations, spec) := {"request": {
	"operation": "CREATE",
	"object": {"metadata": {"annotations": annotations}, "spec": spec},
	"oldObject": null,
}}
