# METADATA
# title: A Deployment with a claim of one node stops the old Pod first
# description: >
#   A rolling update, the default, starts the new Pod while the old one holds the volume: on another node the update hangs, on
#   the same node both write the same files.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment
# custom:
#   id: deployment-claim-strategy
#   checklist: statefulset
#   severity: critical
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: persistentvolumeclaims, optional: false}
package seawall.policies.deployment_claim_strategy

import data.seawall.lib.claims
import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

# The claims that the old Pod keeps from the new one. More than one replica is another fault: shared-claim-many-replicas.
# Claims that are not known may be shared between nodes, and Recreate would stop a service for nothing.
held := [entry |
	workload.replicas(target) < 2
	workload.surges(target)
	some written in containers.written(target)
	claim := claims.known(namespace, written.claim)
	claims.single_node(claim)
	entry := {"name": fields.shown(written.claim), "reach": claims.reach(claim)}
]

violation contains {
	"msg": concat(" ", [
		sprintf("a rolling update starts the new Pod while the old one holds claim %s,", [first.name]),
		sprintf("which %s can mount: the update hangs, or both write the same files", [first.reach]),
	]),
	"path": ["spec", "strategy"],
	"found": "RollingUpdate",
	"wanted": "Recreate",
	"fix": "strategy: {type: Recreate} without rollingUpdate; an update then stops the old Pod first",
} if {
	first := held[0]
}

# settings_are_defaults: what a user wrote by hand is not overridden. (The API server fills in the same 25% where nothing was
# written.)
settings_are_defaults if {
	is_object(fields.field(target, ["spec", "strategy"], {}))
	every setting in ["maxSurge", "maxUnavailable"] {
		fields.field(target, ["spec", "strategy", "rollingUpdate", setting], "25%") == "25%"
	}
}

# The whole strategy: the API server refuses rollingUpdate, which it has filled in, beside Recreate; and an update that brings
# the strategy back, as a replace of the original file does, brings it back as a whole.
patch contains {"op": "add", "path": "/spec/strategy", "value": {"type": "Recreate"}} if {
	input.request.operation == "CREATE"
	count(held) > 0
	settings_are_defaults
}
