# METADATA
# title: A writer of a single-node claim runs in a StatefulSet
# description: >
#   A claim that one node at a time can mount, written from a bare Pod, ReplicaSet or ReplicationController: nothing keeps a
#   second Pod off the volume, or lets it wait for one that never comes.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
# custom:
#   id: deployment-writes-claim-unknown-engine
#   checklist: statefulset
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [replicasets], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [replicationcontrollers], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   context:
#   - {resource: persistentvolumeclaims, optional: true}
package seawall.policies.deployment_writes_claim_unknown_engine

import data.seawall.lib.claims
import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

# Deployments have policies of their own: deployment-claim-strategy, and for many replicas, of whatever kind,
# shared-claim-many-replicas. A Deployment of one replica that stops the old Pod first is in order.
applies if {
	workload.replicas(target) < 2
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"scratch", "readonly"}
}

# What a recognised engine writes is judged by deployment-writes-claim.
engine_claims := {claim.claim |
	some entry in subject.engines
	entry.sure
	some claim in containers.written_claims(target, entry.container)
}

kind := fields.text(target, ["kind"])

consequence := "it is not started again when its node fails, and nothing keeps a second one off the volume" if {
	kind == "Pod"
} else := "after a scale the new Pod waits for the volume that the old one holds, or writes the same files"

meanwhile := "" if {
	kind == "Pod"
} else := "; until then it survives only with replicas: 1"

violation contains {
	"msg": concat(" ", [
		sprintf("a %s writes claim %s,", [fields.shown(kind), fields.shown(written.claim)]),
		sprintf("which %s can mount: %s", [claims.reach(claim), consequence]),
	]),
	"path": array.concat(workload.pod_path(target), ["volumes", written.index, "persistentVolumeClaim", "claimName"]),
	"found": written.claim,
	"wanted": "a StatefulSet with volumeClaimTemplates, or a claim with ReadWriteMany if the content is shared",
	"fix": sprintf("use kind: StatefulSet with the claim in volumeClaimTemplates%s", [meanwhile]),
} if {
	applies
	some written in containers.written(target)
	not written.claim in engine_claims
	claim := claims.known(namespace, written.claim)
	claims.single_node(claim)
	not claims.harmless(claim)
}
