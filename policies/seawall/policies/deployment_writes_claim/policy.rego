# METADATA
# title: A database with a claim runs in a StatefulSet
# description: >
#   Deployments, ReplicaSets, ReplicationControllers and bare Pods promise neither at most one Pod per volume nor a
#   volume per Pod: an update or a scale starts a second server on the same data, or one that waits for it forever.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/
# custom:
#   id: deployment-writes-claim
#   checklist: statefulset
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [deployments, replicasets], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [replicationcontrollers], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   context:
#   - {resource: persistentvolumeclaims, optional: true}
package seawall.policies.deployment_writes_claim

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

# harmless: what the cluster knows of the claim says that nothing of worth is written.
harmless(name) if labels.data_kind(data.cluster.persistentvolumeclaims[namespace][name]) in {"scratch", "readonly"}

harmless(name) if {
	claim := data.cluster.persistentvolumeclaims[namespace][name]
	fields.list(claim, ["spec", "accessModes"]) == ["ReadOnlyMany"]
}

consequence := "it is not started again when its node fails, and nothing keeps a second one off the volume" if {
	workload.is_pod(target)
} else := "a scale or rolling update starts a second server on the same data, or one that waits for it forever"

violation contains {
	"msg": sprintf("%s in container %s writes claim %s from a %s: %s", [
		entry.title,
		entry.name,
		fields.shown(claim.claim),
		fields.shown(fields.text(target, ["kind"])),
		consequence,
	]),
	"path": array.concat(workload.pod_path(target), ["volumes", claim.index, "persistentVolumeClaim", "claimName"]),
	"found": claim.claim,
	"wanted": "a StatefulSet with volumeClaimTemplates",
	"fix": concat(" ", [
		"use kind: StatefulSet with the claim in volumeClaimTemplates;",
		"until then a Deployment survives only with replicas: 1 and strategy: {type: Recreate}",
	]),
} if {
	applies
	some entry in engines.found(target)
	entry.sure
	some claim in containers.written_claims(target, entry.container)
	not harmless(claim.claim)
}
