# METADATA
# title: Replicas do not share a claim of one node
# description: >
#   Several replicas that write one claim which one node at a time can mount: those on other nodes never start, and those on
#   the same node write the same files.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
# custom:
#   id: shared-claim-many-replicas
#   checklist: access-mode
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments, replicasets], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [replicationcontrollers], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: persistentvolumeclaims, optional: false}
package seawall.policies.shared_claim_many_replicas

import data.seawall.lib.claims
import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

replicas := workload.replicas(target)

applies if {
	replicas > 1
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"scratch", "readonly"}
}

# A StatefulSet can give each replica a volume of its own; others share, or are alone.
other_remedy := {
	"wanted": "one replica, a claim with ReadWriteMany, or a StatefulSet with volumeClaimTemplates",
	"fix": concat(" ", [
		"replicas: 1; or kind: StatefulSet with the claim in volumeClaimTemplates, a volume for each replica;",
		"or a claim with ReadWriteMany if the replicas share files",
	]),
}

remedy := {
	"wanted": "volumeClaimTemplates, one replica, or a claim with ReadWriteMany",
	"fix": concat(" ", [
		"move the claim to volumeClaimTemplates, a volume for each replica;",
		"or replicas: 1; or a claim with ReadWriteMany if the replicas share files",
	]),
} if {
	fields.text(target, ["kind"]) == "StatefulSet"
} else := other_remedy

violation contains {
	"msg": concat(" ", [
		sprintf("%s replicas write claim %s,", [workload.count_text(replicas), fields.shown(written.claim)]),
		sprintf("which %s can mount:", [claims.reach(claim)]),
		"the others never start, or write the same files",
	]),
	"path": array.concat(workload.pod_path(target), ["volumes", written.index, "persistentVolumeClaim", "claimName"]),
	"found": written.claim,
	"wanted": remedy.wanted,
	"fix": remedy.fix,
} if {
	applies
	some written in containers.written(target)
	claim := claims.known(namespace, written.claim)
	claims.single_node(claim)
	not claims.harmless(claim)
}
