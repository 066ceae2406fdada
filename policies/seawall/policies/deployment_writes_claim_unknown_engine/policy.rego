# METADATA
# title: A writer of a single-node claim runs in a StatefulSet
# description: >
#   A claim that one node at a time can mount, written from a Deployment, stops the next rolling update: the new Pod
#   waits for a volume that the old Pod holds.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
# custom:
#   id: deployment-writes-claim-unknown-engine
#   checklist: statefulset
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [deployments, replicasets], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [replicationcontrollers], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   context:
#   - {resource: persistentvolumeclaims, optional: true}
package seawall.policies.deployment_writes_claim_unknown_engine

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"scratch", "readonly"}
}

# What a recognised engine writes is judged by deployment-writes-claim.
engine_claims := {claim.claim |
	some entry in engines.found(target)
	entry.sure
	some claim in containers.written_claims(target, entry.container)
}

# single_node: the claim is known, and only one node, or one Pod, can mount it at a time.
single_node(claim) if {
	modes := fields.list(claim, ["spec", "accessModes"])
	some mode in ["ReadWriteOnce", "ReadWriteOncePod"]
	mode in modes
	not "ReadWriteMany" in modes
}

consequence := "it is not started again when its node fails, and nothing keeps a second one off the volume" if {
	workload.is_pod(target)
} else := "after a scale or update the new Pod waits for the volume that the old one holds"

violation contains {
	"msg": sprintf("a %s writes claim %s, which one node at a time can mount: %s", [
		fields.shown(fields.text(target, ["kind"])),
		fields.shown(written.claim),
		consequence,
	]),
	"path": array.concat(workload.pod_path(target), ["volumes", written.index, "persistentVolumeClaim", "claimName"]),
	"found": written.claim,
	"wanted": "a StatefulSet with volumeClaimTemplates, or a claim with ReadWriteMany if the content is shared",
	"fix": concat(" ", [
		"use kind: StatefulSet with the claim in volumeClaimTemplates;",
		"until then a Deployment survives only with replicas: 1 and strategy: {type: Recreate}",
	]),
} if {
	applies
	some listed in array.concat(containers.main(target), containers.init(target))
	some written in containers.written_claims(target, listed.container)
	not written.claim in engine_claims
	claim := data.cluster.persistentvolumeclaims[namespace][written.claim]
	single_node(claim)
	not labels.data_kind(claim) in {"scratch", "readonly"}
}
