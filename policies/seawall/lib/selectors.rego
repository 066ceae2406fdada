# METADATA
# title: Label selectors, spreading and pinning
# description: >
#   The full semantics of label selectors, whether the affinity or spread terms of a Pod template apply to the Pods of
#   that very template, and what ties it to one node.
package seawall.lib.selectors

import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.workload

hostname := "kubernetes.io/hostname"

zone := "topology.kubernetes.io/zone"

# matches: a selector that is missing matches nothing, an empty one everything.
matches(selector, labels) if {
	is_object(selector)
	every key, value in fields.dict(selector, ["matchLabels"]) {
		object.get(labels, key, null) == value
	}
	every expression in fields.list(selector, ["matchExpressions"]) {
		expression_holds(expression, labels)
	}
}

expression_holds(expression, labels) if {
	fields.text(expression, ["operator"]) == "In"
	key := fields.text(expression, ["key"])
	value := object.get(labels, key, null)
	value in fields.list(expression, ["values"])
}

expression_holds(expression, labels) if {
	fields.text(expression, ["operator"]) == "NotIn"
	key := fields.text(expression, ["key"])
	value := object.get(labels, key, null)
	not value in fields.list(expression, ["values"])
}

expression_holds(expression, labels) if {
	fields.text(expression, ["operator"]) == "Exists"
	fields.text(expression, ["key"]) in object.keys(labels)
}

expression_holds(expression, labels) if {
	fields.text(expression, ["operator"]) == "DoesNotExist"
	not fields.text(expression, ["key"]) in object.keys(labels)
}

# own_selector is spec.selector where it selects the Pods of the template, as the API demands; undefined otherwise.
own_selector(value) := selector if {
	selector := object.get(value, ["spec", "selector"], null)
	matches(selector, workload.pod_labels(value))
	chooses(selector)
}

# chooses: the selector is not empty, in whichever way that is written.
chooses(selector) if count(fields.dict(selector, ["matchLabels"])) > 0

chooses(selector) if count(fields.list(selector, ["matchExpressions"])) > 0

# required_terms and preferred_terms: pod anti-affinity terms that keep the Pods of this template apart.
required_terms(value, namespace) := [term |
	some term in fields.list(
		workload.pod_spec(value),
		["affinity", "podAntiAffinity", "requiredDuringSchedulingIgnoredDuringExecution"],
	)
	means_own(term, workload.pod_labels(value), namespace)
]

preferred_terms(value, namespace) := [term |
	some weighted in fields.list(
		workload.pod_spec(value),
		["affinity", "podAntiAffinity", "preferredDuringSchedulingIgnoredDuringExecution"],
	)
	term := fields.dict(weighted, ["podAffinityTerm"])
	means_own(term, workload.pod_labels(value), namespace)
]

# spread_constraints of the template that count the Pods of this template.
spread_constraints(value) := [constraint |
	some constraint in fields.list(workload.pod_spec(value), ["topologySpreadConstraints"])
	matches(fields.field(constraint, ["labelSelector"], null), workload.pod_labels(value))
]

means_own(term, labels, namespace) if {
	matches(fields.field(term, ["labelSelector"], null), labels)
	in_namespace(term, namespace)
	every key in fields.list(term, ["mismatchLabelKeys"]) {
		not key in object.keys(labels)
	}
}

# Without a list, the namespace of the Pod.
in_namespace(term, _) if count(fields.list(term, ["namespaces"])) == 0

in_namespace(term, namespace) if namespace in fields.list(term, ["namespaces"])

# A namespaceSelector may match the own namespace: its labels are not known here, so the doubt is the author's.
in_namespace(term, _) if fields.field(term, ["namespaceSelector"], null) != null

# A manifest that does not name its namespace may be meant for the one that the term lists.
in_namespace(_, namespace) if namespace == ""

# affinity_terms lists all terms of podAffinity or podAntiAffinity, whichever Pods they mean, each with
#   kind:  podAffinity or podAntiAffinity
#   path:  where the term is
#   term:  the term
affinity_terms(value, kind) := array.concat(firm, soft) if {
	at := array.concat(workload.pod_path(value), ["affinity", kind])
	terms := fields.dict(value, at)
	firm := [entry |
		some index, term in fields.list(terms, ["requiredDuringSchedulingIgnoredDuringExecution"])
		is_object(term)
		path := array.concat(at, ["requiredDuringSchedulingIgnoredDuringExecution", index])
		entry := {"kind": kind, "path": path, "term": term}
	]
	soft := [entry |
		some index, weighted in fields.list(terms, ["preferredDuringSchedulingIgnoredDuringExecution"])
		term := fields.field(weighted, ["podAffinityTerm"], null)
		is_object(term)
		path := array.concat(at, ["preferredDuringSchedulingIgnoredDuringExecution", index, "podAffinityTerm"])
		entry := {"kind": kind, "path": path, "term": term}
	]
}

# constraints lists all topology spread constraints in the same way.
constraints(value) := [entry |
	at := array.concat(workload.pod_path(value), ["topologySpreadConstraints"])
	some index, term in fields.list(value, at)
	is_object(term)
	path := array.concat(at, [index])
	entry := {"kind": "topologySpreadConstraints", "path": path, "term": term}
]

# node_keys lists the node labels that node selector terms ask for, each with its key and its path below the list.
node_keys(terms) := [entry |
	some index, term in terms
	some position, expression in fields.list(term, ["matchExpressions"])
	key := fields.text(expression, ["key"])
	entry := {"path": [index, "matchExpressions", position, "key"], "key": key}
]

# pins lists what ties the Pods of a template to one node, each with path and node.
pins(value) := [entry |
	by_name := name_pin(value)
	by_label := label_pin(value)
	by_affinity := affinity_pin(value)
	some entry in [by_name, by_label, by_affinity]
	entry.node != ""
]

name_pin(value) := {"path": path, "node": node} if {
	path := array.concat(workload.pod_path(value), ["nodeName"])
	node := fields.text(value, path)
}

label_pin(value) := {"path": path, "node": node} if {
	path := array.concat(workload.pod_path(value), ["nodeSelector", hostname])
	node := fields.text(value, path)
}

# One of the terms must hold, so all of them must name the same node.
affinity_pin(value) := {"path": path, "node": node} if {
	path := array.concat(
		workload.pod_path(value),
		["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"],
	)
	node := only_node(fields.list(value, path))
}

only_node(terms) := node if {
	distinct := {each |
		some term in terms
		each := node_of(term)
	}
	count(distinct) == 1
	nodes := [each | some each in distinct]
	node := nodes[0]
} else := ""

# node_of is the one node that a term allows, "" where it allows several or names none.
node_of(term) := node if {
	nodes := array.concat(
		single_values(fields.list(term, ["matchExpressions"]), hostname),
		single_values(fields.list(term, ["matchFields"]), "metadata.name"),
	)
	node := nodes[0]
} else := ""

single_values(expressions, key) := [value |
	some expression in expressions
	fields.text(expression, ["key"]) == key
	fields.text(expression, ["operator"]) == "In"
	values := fields.list(expression, ["values"])
	count(values) == 1
	value := values[0]
	is_string(value)
]

# on_static_storage: a volume that was made by hand on a node, so that the Pods run where it is anyway. Reads
# storageclasses, persistentvolumeclaims and persistentvolumes.
on_static_storage(value, _) if {
	some entry in storage.of(value)
	entry.facts.storage == "static"
}

on_static_storage(value, namespace) if {
	some claim in containers.claims(value)
	entry := storage.behind(value, namespace, claim.volume)
	lies_on_a_node(entry)
}

lies_on_a_node(entry) if entry.facts.storage == "static"

lies_on_a_node(entry) if entry.what == "local"

# on_unknown_storage: what is behind a claim or claim template cannot be told, so it may be a volume as above.
on_unknown_storage(value, _) if {
	some entry in storage.of(value)
	entry.class == null
}

on_unknown_storage(value, namespace) if {
	some claim in containers.claims(value)
	not storage.behind(value, namespace, claim.volume)
}
