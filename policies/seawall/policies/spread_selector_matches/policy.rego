# METADATA
# title: Spread constraints and anti-affinity select the workload's own Pods
# description: >-
#   A constraint or term whose selector is missing or selects other Pods is accepted and does nothing: the replicas look
#   spread in the manifest, and may all run on one node or in one zone.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
# custom:
#   id: spread-selector-matches
#   checklist: topology
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
package seawall.policies.spread_selector_matches

import data.seawall.lib.object as fields
import data.seawall.lib.selectors
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

near := selectors.affinity_terms(target, "podAffinity")

away := selectors.affinity_terms(target, "podAntiAffinity")

constraints := selectors.constraints(target)

# own are the anti-affinity terms and constraints that do spread the Pods of this template.
own := array.concat(
	selectors.spread_constraints(target),
	array.concat(
		selectors.required_terms(target, namespace),
		selectors.preferred_terms(target, namespace),
	),
)

violation contains {
	"msg": msg,
	"path": array.concat(entry.path, ["labelSelector"]),
	"found": "no labelSelector",
	"wanted": remedy.wanted,
	"fix": remedy.fix,
	"key": sprintf("%s %s without labelSelector", [entry.kind, topology(entry)]),
} if {
	some entry in array.concat(constraints, array.concat(near, away))
	selector_of(entry) == null
	msg := sprintf(
		"%s over %s has no labelSelector, so it selects no Pods and has no use.",
		[entry.kind, topology(entry)],
	)
	remedy := remedy_of(entry.kind)
}

violation contains {
	"msg": msg,
	"path": array.concat(entry.path, ["labelSelector"]),
	"found": selector,
	"wanted": remedy.wanted,
	"fix": remedy.fix,
	"key": sprintf("%s %s", [entry.kind, topology(entry)]),
} if {
	some entry in constraints
	selector := selector_of(entry)
	is_object(selector)
	not spread_over(fields.text(entry.term, ["topologyKey"]))
	msg := concat(" ", [
		sprintf("The constraint over %s does not select the workload's own Pods:", [topology(entry)]),
		"it does not spread them.",
	])
	remedy := remedy_of(entry.kind)
}

# Terms about other applications are common, so a single one is no fault: only that no term is about the own Pods. Of a
# Deployment even that is usual.
violation contains {
	"msg": msg,
	"path": ["spec", "template", "spec", "affinity", "podAntiAffinity"],
	"found": "terms about other Pods only",
	"wanted": "a term whose labelSelector matches the labels of the template",
	"fix": "labelSelector: <spec.selector>",
} if {
	fields.text(target, ["kind"]) == "StatefulSet"
	workload.replicas(target) > 1
	own == []
	possibly_own
	msg := concat(" ", [
		"None of the pod anti-affinity terms selects the set's own Pods:",
		sprintf("its %s replicas may still share a node.", [workload.count_text(workload.replicas(target))]),
	])
}

# possibly_own: a term that looks at Pods of this namespace, and not expressly at those with other labels.
possibly_own if {
	some entry in away
	is_object(selector_of(entry))
	selectors.in_namespace(entry.term, namespace)
	fields.list(entry.term, ["mismatchLabelKeys"]) == []
}

spread_over(key) if {
	some term in own
	term.topologyKey == key
}

selector_of(entry) := fields.field(entry.term, ["labelSelector"], null)

topology(entry) := fields.shown(fields.text(entry.term, ["topologyKey"]))

remedy_of(kind) := {
	"wanted": "a labelSelector that matches the Pods to be near",
	"fix": "labelSelector: {matchLabels: <labels of those Pods>}",
} if {
	kind == "podAffinity"
} else := {
	"wanted": "a labelSelector that matches the labels of the template",
	"fix": "labelSelector: <spec.selector>",
}
