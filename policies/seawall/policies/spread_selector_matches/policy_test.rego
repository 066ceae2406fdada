package seawall.policies.spread_selector_matches_test

import data.seawall.policies.spread_selector_matches as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

workload(kind, replicas, pod) := {
	"kind": kind,
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"selector": {"matchLabels": {"app": "db"}},
		"template": {"metadata": {"labels": {"app": "db"}}, "spec": pod},
	},
}

zone := "topology.kubernetes.io/zone"

own := {"labelSelector": {"matchLabels": {"app": "db"}}}

other := {"labelSelector": {"matchLabels": {"app": "web"}}}

term(selector) := object.union({"topologyKey": zone}, selector)

constraint(selector) := {"topologySpreadConstraints": [term(selector)]}

away(terms) := {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}

base := ["spec", "template", "spec"]

at_constraint := array.concat(base, ["topologySpreadConstraints", 0, "labelSelector"])

at_term := array.concat(base, [
	"affinity", "podAntiAffinity",
	"requiredDuringSchedulingIgnoredDuringExecution", 0,
	"labelSelector",
])

remedy := {
	"wanted": "a labelSelector that matches the labels of the template",
	"fix": "labelSelector: <spec.selector>",
}

missing(kind, path) := object.union(remedy, {
	"msg": sprintf("%s over %s has no labelSelector, so it selects no Pods and has no use.", [kind, zone]),
	"path": path,
	"found": "no labelSelector",
	"key": sprintf("%s topology.kubernetes.io/zone without labelSelector", [kind]),
})

strange := object.union(remedy, {
	"msg": concat(" ", [
		"The constraint over topology.kubernetes.io/zone does not select the workload's own Pods:",
		"it does not spread them.",
	]),
	"path": at_constraint,
	"found": other.labelSelector,
	"key": "topologySpreadConstraints topology.kubernetes.io/zone",
})

none := {
	"msg": concat(" ", [
		"None of the pod anti-affinity terms selects the set's own Pods:",
		"its 3 replicas may still share a node.",
	]),
	"path": array.concat(base, ["affinity", "podAntiAffinity"]),
	"found": "terms about other Pods only",
	"wanted": "a term whose labelSelector matches the labels of the template",
	"fix": "labelSelector: <spec.selector>",
}

test_missing if {
	policy.violation == {missing("topologySpreadConstraints", at_constraint)} with input as review(workload(
		"StatefulSet",
		3, constraint({}),
	))
	policy.violation == {missing("podAntiAffinity", at_term)} with input as review(workload(
		"Deployment",
		1, away([term({})]),
	))
}

test_constraint_of_others if {
	every kind in ["StatefulSet", "Deployment"] {
		policy.violation == {strange} with input as review(workload(kind, 1, constraint(other)))
		policy.violation == set() with input as review(workload(kind, 1, constraint(own)))
	}
}

test_no_term_is_own if {
	policy.violation == {none} with input as review(workload("StatefulSet", 3, away([term(other)])))
	policy.violation == set() with input as review(workload("StatefulSet", 1, away([term(other)])))
	policy.violation == set() with input as review(workload("Deployment", 3, away([term(other)])))
	policy.violation == set() with input as review(workload("StatefulSet", 3, away([term(other), term(own)])))
	policy.violation == {none, strange} with input as review(workload(
		"StatefulSet", 3,
		object.union(away([term(other)]), constraint(other)),
	))
}

test_meant_for_others if {
	every extra in [{"namespaces": ["web"]}, {"mismatchLabelKeys": ["app"]}] {
		value := workload("StatefulSet", 3, away([object.union(term(own), extra)]))
		policy.violation == set() with input as review(value)
	}
	here := workload("StatefulSet", 3, away([object.union(term(other), {"namespaces": ["web", "shop"]})]))
	policy.violation == {none} with input as review(here)
}
