# METADATA
# title: Label selectors and spreading
# description: >
#   The full semantics of label selectors, and whether the affinity or spread terms of a Pod template apply to the
#   Pods of that very template.
package seawall.lib.selectors

import data.seawall.lib.object as fields
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
