package seawall.policies.spread_zone_test

import data.seawall.policies.spread_zone as policy

review(value, operation) := {"request": {"operation": operation, "namespace": "shop", "object": value}}

sts(replicas, pod) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"selector": {"matchLabels": {"app": "db"}},
		"template": {"metadata": {"labels": {"app": "db"}}, "spec": pod},
	},
}

term(key) := {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "db"}}}

zone := "topology.kubernetes.io/zone"

missing := {
	"msg": concat(" ", [
		"nothing spreads the 3 replicas over zones: one zone can hold the majority,",
		"and its failure stops the set",
	]),
	"path": ["spec", "template", "spec", "topologySpreadConstraints"],
	"found": "no constraint or anti-affinity over topology.kubernetes.io/zone that selects the set's own Pods",
	"wanted": "a topology spread constraint over topology.kubernetes.io/zone",
	"fix": concat(" ", [
		"spec.template.spec.topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone,",
		"whenUnsatisfiable: ScheduleAnyway, labelSelector: <spec.selector>}]",
	]),
}

added := {{
	"op": "add",
	"path": "/spec/template/spec/topologySpreadConstraints/-",
	"value": {
		"maxSkew": 1,
		"topologyKey": "topology.kubernetes.io/zone",
		"whenUnsatisfiable": "ScheduleAnyway",
		"labelSelector": {"matchLabels": {"app": "db"}},
	},
}}

test_nothing if {
	policy.violation == {missing} with input as review(sts(3, {}), "CREATE")
	policy.patch == added with input as review(sts(3, {}), "CREATE")
	policy.violation == {missing} with input as review(sts(3, {}), "UPDATE")
	policy.patch == set() with input as review(sts(3, {}), "UPDATE")
}

test_few_replicas if {
	every replicas in [0, 1, 2, null] {
		policy.violation == set() with input as review(sts(replicas, {}), "CREATE")
		policy.patch == set() with input as review(sts(replicas, {}), "CREATE")
	}
}

cluster(names, zones) := {"nodes": {name: {} | some name in names}, "index": {"zones": zones}}

test_zones_of_the_cluster if {
	policy.violation == set() with input as review(sts(3, {}), "CREATE") with data.cluster as cluster(["a"], ["z1"])
	policy.patch == set() with input as review(sts(3, {}), "CREATE") with data.cluster as cluster(["a"], ["z1"])
	policy.violation == set() with input as review(sts(3, {}), "CREATE") with data.cluster as cluster(["a"], [])
	policy.violation == {missing} with input as review(sts(3, {}), "CREATE")
		with data.cluster as cluster(["a"], ["y", "z"])
	policy.violation == {missing} with input as review(sts(3, {}), "CREATE") with data.cluster as cluster([], [])
}

test_spread if {
	every pod in [
		{"topologySpreadConstraints": [object.union(term(zone), {"whenUnsatisfiable": "ScheduleAnyway"})]},
		{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(zone)]}}},
		{"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
			"weight": 1,
			"podAffinityTerm": term(zone),
		}]}}},
	] {
		policy.violation == set() with input as review(sts(3, pod), "CREATE")
		policy.patch == set() with input as review(sts(3, pod), "CREATE")
	}
}

test_hosts_are_not_zones if {
	host := term("kubernetes.io/hostname")
	every pod in [
		{"topologySpreadConstraints": [host]},
		{"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [host]}}},
	] {
		policy.violation == {missing} with input as review(sts(3, pod), "CREATE")
	}
}

test_foreign_selector_is_not_copied if {
	foreign := object.union(sts(3, {}), {"spec": {"selector": {"matchLabels": {"app": "web"}}}})
	policy.violation == {missing} with input as review(foreign, "CREATE")
	policy.patch == set() with input as review(foreign, "CREATE")
}
