package seawall.policies.anti_affinity_host_test

import data.seawall.policies.anti_affinity_host as policy

review(value, operation, strength) := {
	"request": {"operation": operation, "namespace": "shop", "object": value},
	"seawall": {"tier": "tier-2", "parameters": {"strength": strength}},
}

sts(replicas, pod) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db", "namespace": "shop"},
	"spec": {
		"replicas": replicas,
		"selector": {"matchLabels": {"app": "db"}},
		"template": {"metadata": {"labels": {"app": "db"}}, "spec": pod},
	},
}

term(key) := {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "db"}}}

required(key) := {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term(key)]}}}

preferred(key) := {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{
	"weight": 100,
	"podAffinityTerm": term(key),
}]}}}

spread(key, when, skew) := {"topologySpreadConstraints": [object.union(
	term(key),
	{"whenUnsatisfiable": when, "maxSkew": skew},
)]}

missing(replicas) := {
	"msg": sprintf("nothing keeps the %s replicas apart: they can land on one node, %s", [
		replicas,
		"and its failure or drain takes every copy at once",
	]),
	"path": ["spec", "template", "spec", "affinity"],
	"found": "no anti-affinity or spread over kubernetes.io/hostname that selects the set's own Pods",
	"wanted": "pod anti-affinity on kubernetes.io/hostname, at least preferred",
	"fix": concat(" ", [
		"spec.template.spec.affinity.podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution:",
		"[{weight: 100, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}}]}",
	]),
}

firm_wanted := {
	"wanted": "required pod anti-affinity on kubernetes.io/hostname",
	"fix": concat(" ", [
		"spec.template.spec.affinity.podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution:",
		"[{topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}]},",
		"with at least as many nodes as replicas",
	]),
}

only_preferred := object.union(firm_wanted, {
	"msg": concat(" ", [
		"the 3 replicas are kept on different nodes only as a preference:",
		"when space is short they share a node",
	]),
	"path": ["spec", "template", "spec", "affinity"],
	"found": "preferred spread over kubernetes.io/hostname",
})

added := {{
	"op": "add",
	"path": "/spec/template/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/-",
	"value": {"weight": 100, "podAffinityTerm": term("kubernetes.io/hostname")},
}}

test_nothing if {
	policy.violation == {missing("3")} with input as review(sts(3, {}), "CREATE", "preferred")
	policy.patch == added with input as review(sts(3, {}), "CREATE", "preferred")
	policy.violation == {missing("2")} with input as review(sts(2, {}), "CREATE", "preferred")
	policy.patch == added with input as review(sts(2, {}), "CREATE", "preferred")
}

test_update_is_not_patched if {
	policy.violation == {missing("3")} with input as review(sts(3, {}), "UPDATE", "preferred")
	policy.patch == set() with input as review(sts(3, {}), "UPDATE", "preferred")
}

test_one_replica if {
	every replicas in [0, 1, null] {
		every strength in ["preferred", "required"] {
			policy.violation == set() with input as review(sts(replicas, {}), "CREATE", strength)
			policy.patch == set() with input as review(sts(replicas, {}), "CREATE", strength)
		}
	}
}

test_preferred_is_enough if {
	every pod in [
		preferred("kubernetes.io/hostname"),
		required("kubernetes.io/hostname"),
		required("topology.kubernetes.io/zone"),
		spread("kubernetes.io/hostname", "ScheduleAnyway", 1),
		spread("kubernetes.io/hostname", "DoNotSchedule", 2),
	] {
		policy.violation == set() with input as review(sts(3, pod), "CREATE", "preferred")
		policy.patch == set() with input as review(sts(3, pod), "CREATE", "preferred")
	}
}

test_other_keys_do_not_count if {
	every pod in [
		preferred("topology.kubernetes.io/zone"),
		required("example.com/rack"),
		spread("topology.kubernetes.io/zone", "DoNotSchedule", 1),
	] {
		policy.violation == {missing("3")} with input as review(sts(3, pod), "CREATE", "preferred")
		policy.patch == added with input as review(sts(3, pod), "CREATE", "preferred")
	}
}

test_required if {
	expected := {object.union(missing("3"), firm_wanted)}
	policy.violation == expected with input as review(sts(3, {}), "CREATE", "required")
	policy.patch == set() with input as review(sts(3, {}), "CREATE", "required")
	every pod in [
		preferred("kubernetes.io/hostname"),
		spread("kubernetes.io/hostname", "ScheduleAnyway", 1),
		spread("kubernetes.io/hostname", "DoNotSchedule", 2),
	] {
		policy.violation == {only_preferred} with input as review(sts(3, pod), "CREATE", "required")
		policy.patch == set() with input as review(sts(3, pod), "CREATE", "required")
	}
	every pod in [
		required("kubernetes.io/hostname"),
		required("topology.kubernetes.io/zone"),
		spread("kubernetes.io/hostname", "DoNotSchedule", 1),
	] {
		policy.violation == set() with input as review(sts(3, pod), "CREATE", "required")
	}
}

test_foreign_selector_is_not_copied if {
	foreign := object.union(sts(3, {}), {"spec": {"selector": {"matchLabels": {"app": "web"}}}})
	policy.violation == {missing("3")} with input as review(foreign, "CREATE", "preferred")
	policy.patch == set() with input as review(foreign, "CREATE", "preferred")
}
