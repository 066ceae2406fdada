package seawall.lib.selectors_test

import data.seawall.lib.selectors

labels := {"app": "db", "role": "primary"}

expression(key, operator, values) := {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}

test_matches if {
	every selector in [
		{},
		{"matchLabels": {}},
		{"matchLabels": null},
		{"matchLabels": {"app": "db"}},
		{"matchLabels": labels},
		expression("app", "In", ["db", "x"]),
		expression("app", "NotIn", ["x"]),
		expression("absent", "NotIn", ["x"]),
		expression("app", "Exists", []),
		expression("absent", "DoesNotExist", []),
		{"matchExpressions": [{"key": "app", "operator": "Exists"}]},
	] {
		selectors.matches(selector, labels)
	}
}

test_does_not_match if {
	every selector in [
		null,
		"x",
		{"matchLabels": {"app": "other"}},
		{"matchLabels": {"app": "db", "absent": "x"}},
		expression("app", "In", ["x"]),
		expression("absent", "In", ["x"]),
		expression("app", "In", "db"),
		expression("app", "NotIn", ["db"]),
		expression("absent", "Exists", []),
		expression("app", "DoesNotExist", []),
		expression("app", "Unknown", []),
		{"matchExpressions": [null]},
		{"matchLabels": {"app": "db"}, "matchExpressions": [{"key": "absent", "operator": "Exists"}]},
	] {
		not selectors.matches(selector, labels)
	}
}

set(pod) := {
	"kind": "StatefulSet",
	"spec": {
		"selector": {"matchLabels": {"app": "db"}},
		"template": {"metadata": {"labels": labels}, "spec": pod},
	},
}

test_own_selector if {
	selectors.own_selector(set({})) == {"matchLabels": {"app": "db"}}
	not selectors.own_selector({"spec": {"selector": {"matchLabels": {"app": "db"}}}})
	every empty in [{}, {"matchLabels": null}, {"matchLabels": {}, "matchExpressions": []}] {
		not selectors.own_selector({"spec": {"selector": empty}})
	}
	not selectors.own_selector({"spec": {}})
	not selectors.own_selector({})
	not selectors.own_selector({"spec": {"selector": "x"}})
}

own := {"matchLabels": {"app": "db"}}

term(extra) := object.union({"topologyKey": "kubernetes.io/hostname", "labelSelector": own}, extra)

required(terms) := selectors.required_terms(
	set({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}),
	"here",
)

test_required_terms if {
	every extra in [
		{},
		{"namespaces": ["here"]},
		{"namespaces": ["there", "here"]},
		{"namespaceSelector": {}},
		{"namespaceSelector": {"matchLabels": {"a": "b"}}},
		{"namespaces": ["there"], "namespaceSelector": {}},
		{"matchLabelKeys": ["role"]},
		{"mismatchLabelKeys": ["absent"]},
	] {
		required([term(extra)]) == [term(extra)]
	}
	every extra in [{"namespaces": ["there"]}, {"mismatchLabelKeys": ["role"]}] {
		required([term(extra)]) == []
	}
	required([{"topologyKey": "kubernetes.io/hostname"}, null]) == []
	required("x") == []
}

test_namespace_is_not_known if {
	value := set({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term({"namespaces": ["x"]})]}}})
	count(selectors.required_terms(value, "")) == 1
}

test_preferred_terms if {
	value := set({"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
		{"weight": 1, "podAffinityTerm": term({})},
		{"weight": 1, "podAffinityTerm": term({"namespaces": ["there"]})},
		{"weight": 1, "podAffinityTerm": {"labelSelector": {"matchLabels": {"app": "other"}}}},
		{"weight": 1},
		null,
	]}}})
	selectors.preferred_terms(value, "here") == [term({})]
	selectors.preferred_terms({}, "here") == []
}

test_spread_constraints if {
	good := {"topologyKey": "a", "labelSelector": own}
	value := set({"topologySpreadConstraints": [
		good,
		{"topologyKey": "a"},
		{"topologyKey": "a", "labelSelector": {"matchLabels": {"app": "other"}}},
		null,
	]})
	selectors.spread_constraints(value) == [good]
	selectors.spread_constraints({}) == []
}
