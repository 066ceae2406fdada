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
	by_expression := expression("app", "Exists", [])
	selectors.own_selector({
		"kind": "StatefulSet",
		"spec": {"selector": by_expression, "template": {"metadata": {"labels": labels}}},
	}) == by_expression
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

host_key := "kubernetes.io/hostname"

base := ["spec", "template", "spec"]

test_affinity_terms if {
	value := set({"affinity": {"podAffinity": {
		"requiredDuringSchedulingIgnoredDuringExecution": [null, term({})],
		"preferredDuringSchedulingIgnoredDuringExecution": [
			null,
			{"weight": 1},
			{"weight": 1, "podAffinityTerm": {"topologyKey": "a"}},
		],
	}}})
	at := array.concat(base, ["affinity", "podAffinity"])
	selectors.affinity_terms(value, "podAffinity") == [
		{
			"kind": "podAffinity",
			"path": array.concat(at, ["requiredDuringSchedulingIgnoredDuringExecution", 1]),
			"term": term({}),
		},
		{
			"kind": "podAffinity",
			"path": array.concat(at, ["preferredDuringSchedulingIgnoredDuringExecution", 2, "podAffinityTerm"]),
			"term": {"topologyKey": "a"},
		},
	]
	selectors.affinity_terms(value, "podAntiAffinity") == []
	selectors.affinity_terms(set({"affinity": {"podAffinity": []}}), "podAffinity") == []
	selectors.affinity_terms(null, "podAffinity") == []
}

test_constraints if {
	selectors.constraints(set({"topologySpreadConstraints": [null, {"topologyKey": "a"}]})) == [{
		"kind": "topologySpreadConstraints",
		"path": array.concat(base, ["topologySpreadConstraints", 1]),
		"term": {"topologyKey": "a"},
	}]
	selectors.constraints(set({"topologySpreadConstraints": "x"})) == []
	selectors.constraints(null) == []
}

test_node_keys if {
	selectors.node_keys([null, {"matchFields": [{"key": "a"}]}, {"matchExpressions": [null, {"key": "b"}]}]) == [
		{"path": [2, "matchExpressions", 0, "key"], "key": ""},
		{"path": [2, "matchExpressions", 1, "key"], "key": "b"},
	]
	selectors.node_keys([]) == []
}

node_terms(terms) := {"affinity": {"nodeAffinity": {
	"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms},
}}}

one_of(key, operator, values) := [{"key": key, "operator": operator, "values": values}]

pin(rest, node) := {"path": array.concat(base, rest), "node": node}

affinity_path := ["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"]

test_pins if {
	selectors.pins(set({"nodeName": "a"})) == [pin(["nodeName"], "a")]
	selectors.pins(set({"nodeSelector": {host_key: "a", "disk": "ssd"}})) == [pin(["nodeSelector", host_key], "a")]
	on_a := {"matchExpressions": one_of(host_key, "In", ["a"])}
	every terms in [
		[on_a],
		[on_a, on_a],
		[{"matchExpressions": array.concat(one_of("disk", "In", ["ssd"]), one_of(host_key, "In", ["a"]))}],
		[{"matchFields": one_of("metadata.name", "In", ["a"])}],
		[on_a, {"matchFields": one_of("metadata.name", "In", ["a"])}],
	] {
		selectors.pins(set(node_terms(terms))) == [pin(affinity_path, "a")]
	}
	all_ways := object.union(node_terms([on_a]), {"nodeName": "b", "nodeSelector": {host_key: "c"}})
	selectors.pins(set(all_ways)) == [
		pin(["nodeName"], "b"),
		pin(["nodeSelector", host_key], "c"),
		pin(affinity_path, "a"),
	]
}

test_no_pins if {
	on_a := {"matchExpressions": one_of(host_key, "In", ["a"])}
	every terms in [
		[],
		[null],
		[on_a, {"matchExpressions": one_of(host_key, "In", ["b"])}],
		[on_a, {"matchExpressions": one_of("disk", "In", ["ssd"])}],
		[{"matchExpressions": one_of(host_key, "In", ["a", "b"])}],
		[{"matchExpressions": one_of(host_key, "In", [])}],
		[{"matchExpressions": one_of(host_key, "In", [1])}],
		[{"matchExpressions": one_of(host_key, "NotIn", ["a"])}],
		[{"matchExpressions": one_of("disk", "In", ["a"])}],
		[{"matchExpressions": one_of("metadata.name", "In", ["a"])}],
		[{"matchFields": one_of(host_key, "In", ["a"])}],
	] {
		selectors.pins(set(node_terms(terms))) == []
	}
	every pod in [{}, {"nodeName": ""}, {"nodeName": 1}, {"nodeSelector": {"disk": "ssd"}}, {"nodeSelector": []}] {
		selectors.pins(set(pod)) == []
	}
	selectors.pins(null) == []
}

storage_classes := {
	"static": {"metadata": {"name": "static"}, "provisioner": "kubernetes.io/no-provisioner"},
	"zonal": {"metadata": {"name": "zonal"}, "provisioner": "ebs.csi.aws.com"},
}

cluster := {
	"storageclasses": storage_classes,
	"persistentvolumes": {
		"local-1": {"spec": {"local": {"path": "/mnt/1"}}},
		"zonal-1": {"spec": {"csi": {"driver": "ebs.csi.aws.com"}}},
	},
	"persistentvolumeclaims": {"here": {
		"local": {"spec": {"volumeName": "local-1"}},
		"zonal": {"spec": {"volumeName": "zonal-1"}},
		"static": {"spec": {"storageClassName": "static"}},
	}},
}

templated(class) := object.union(set({}), {"spec": {"volumeClaimTemplates": [{
	"metadata": {"name": "data"},
	"spec": {"storageClassName": class},
}]}})

claimed(claim) := set({"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]})

test_storage_of_pinned_pods if {
	every value in [templated("static"), claimed("local"), claimed("static")] {
		selectors.on_static_storage(value, "here") with data.cluster as cluster
		not selectors.on_unknown_storage(value, "here") with data.cluster as cluster
	}
	every value in [templated("zonal"), claimed("zonal"), set({})] {
		not selectors.on_static_storage(value, "here") with data.cluster as cluster
		not selectors.on_unknown_storage(value, "here") with data.cluster as cluster
	}
	every value in [templated("absent"), templated(""), claimed("absent")] {
		not selectors.on_static_storage(value, "here") with data.cluster as cluster
		selectors.on_unknown_storage(value, "here") with data.cluster as cluster
	}
	selectors.on_unknown_storage(claimed("local"), "there") with data.cluster as cluster
	selectors.on_unknown_storage(templated("static"), "here")
	selectors.on_unknown_storage(claimed("static"), "here")
}

# The labels that Kubernetes itself writes on nodes.
test_topology_keys if {
	selectors.hostname == "kubernetes.io/hostname"
	selectors.zone == "topology.kubernetes.io/zone"
}
