# METADATA
# title: Replicas of a StatefulSet do not share a node
# description: Replicas on one node fail together; a drain or a broken node then takes every copy of the data at once.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#affinity-and-anti-affinity
# custom:
#   id: anti-affinity-host
#   checklist: topology
#   severity: high
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   patch: [tier-1, tier-2]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context: []
#   parameters: {strength: preferred}
#   tierParameters: {tier-0: {strength: required}}
package seawall.policies.anti_affinity_host

import data.seawall.lib.selectors
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

path := ["spec", "template", "spec", "affinity"]

several if workload.replicas(target) > 1

required if input.seawall.parameters.strength == "required"

# Different zones are different nodes, if the scheduler must keep to them.
firm_keys := {selectors.hostname, selectors.zone}

constraints := selectors.spread_constraints(target)

firm if {
	some term in selectors.required_terms(target, namespace)
	term.topologyKey in firm_keys
}

firm if {
	some constraint in constraints
	constraint.topologyKey == selectors.hostname
	constraint.whenUnsatisfiable == "DoNotSchedule"
	constraint.maxSkew == 1
}

apart if firm

apart if {
	some term in selectors.preferred_terms(target, namespace)
	term.topologyKey == selectors.hostname
}

apart if {
	some constraint in constraints
	constraint.topologyKey == selectors.hostname
}

violation contains {
	"msg": sprintf(
		"nothing keeps the %s replicas apart: they can land on one node, and its failure or drain takes every copy at once",
		[workload.count_text(workload.replicas(target))],
	),
	"path": path,
	"found": "no anti-affinity or spread over kubernetes.io/hostname that selects the set's own Pods",
	"wanted": wanted,
	"fix": fix,
} if {
	several
	not apart
}

violation contains {
	"msg": sprintf(
		"the %s replicas are kept on different nodes only as a preference: when space is short they share a node",
		[workload.count_text(workload.replicas(target))],
	),
	"path": path,
	"found": "preferred spread over kubernetes.io/hostname",
	"wanted": wanted,
	"fix": fix,
} if {
	several
	required
	apart
	not firm
}

wanted := "required pod anti-affinity on kubernetes.io/hostname" if {
	required
} else := "pod anti-affinity on kubernetes.io/hostname, at least preferred"

fix := concat(" ", [
	"spec.template.spec.affinity.podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution:",
	"[{topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}]},",
	"with at least as many nodes as replicas",
]) if {
	required
} else := concat(" ", [
	"spec.template.spec.affinity.podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution:",
	"[{weight: 100, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}}]}",
])

# A required term is never written: with fewer nodes than replicas it would strand Pods.
patch contains {
	"op": "add",
	"path": concat("", [
		"/spec/template/spec/affinity/podAntiAffinity/",
		"preferredDuringSchedulingIgnoredDuringExecution/-",
	]),
	"value": {
		"weight": 100,
		"podAffinityTerm": {"topologyKey": selectors.hostname, "labelSelector": selector},
	},
} if {
	input.request.operation == "CREATE"
	not required
	several
	not apart
	selector := selectors.own_selector(target)
}
