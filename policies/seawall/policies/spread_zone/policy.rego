# METADATA
# title: Replicas of a StatefulSet spread over zones
# description: >
#   Three or more replicas without a spread over zones may all run in one zone; its failure then takes the majority or
#   every copy of the data.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
# custom:
#   id: spread-zone
#   checklist: topology
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: "Off", tier-3: "Off"}
#   patch: [tier-0, tier-1]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: nodes, optional: true}
package seawall.policies.spread_zone

import data.seawall.lib.selectors
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

# With two replicas host anti-affinity is what counts; from three on a zone can hold the majority.
enough if workload.replicas(target) >= 3

# A known cluster with fewer than two zones has nothing to spread over. Without nodes nothing is known.
single_zone if {
	count(data.cluster.nodes) > 0
	count(data.cluster.index.zones) < 2
}

spread if {
	some constraint in selectors.spread_constraints(target)
	constraint.topologyKey == selectors.zone
}

spread if {
	some term in array.concat(
		selectors.required_terms(target, namespace),
		selectors.preferred_terms(target, namespace),
	)
	term.topologyKey == selectors.zone
}

lacking if {
	enough
	not single_zone
	not spread
}

violation contains {
	"msg": sprintf(
		"nothing spreads the %s replicas over zones: one zone can hold the majority, and its failure stops the set",
		[workload.count_text(workload.replicas(target))],
	),
	"path": ["spec", "template", "spec", "topologySpreadConstraints"],
	"found": "no constraint or anti-affinity over topology.kubernetes.io/zone that selects the set's own Pods",
	"wanted": "a topology spread constraint over topology.kubernetes.io/zone",
	"fix": concat(" ", [
		"spec.template.spec.topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone,",
		"whenUnsatisfiable: ScheduleAnyway, labelSelector: <spec.selector>}]",
	]),
} if {
	lacking
}

# Only ever a preference: volumes that exist pin their Pods to a zone, and DoNotSchedule would strand them.
patch contains {
	"op": "add",
	"path": "/spec/template/spec/topologySpreadConstraints/-",
	"value": {
		"maxSkew": 1,
		"topologyKey": selectors.zone,
		"whenUnsatisfiable": "ScheduleAnyway",
		"labelSelector": selector,
	},
} if {
	input.request.operation == "CREATE"
	lacking
	selector := selectors.own_selector(target)
}
