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

import data.seawall.lib.claims
import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"scratch", "readonly"}
}

# harmless: what the cluster knows of the claim says that nothing of worth is written.
harmless(name) if claims.harmless(claims.known(namespace, name))

harmless(name) if claims.modes(claims.known(namespace, name)) == ["ReadOnlyMany"]

kind := fields.text(target, ["kind"])

# What comes of it, and how to live with it until it is a StatefulSet, depends on who starts the Pods.
consequence := "it is not started again when its node fails, and nothing keeps a second one off the volume" if {
	kind == "Pod"
} else := text if {
	workload.replicas(target) > 1
	text := sprintf("its %s replicas are servers on the same data, or wait for it forever", [
		workload.count_text(workload.replicas(target)),
	])
} else := "a rolling update or a scale starts a second server on the same data, or one that waits for it forever" if {
	workload.surges(target)
} else := "a scale starts a second server on the same data, or one that waits for it forever"

meanwhile := "" if {
	kind == "Pod"
} else := "; until then it survives only with replicas: 1 and strategy: {type: Recreate}" if {
	workload.surges(target)
} else := "; until then it survives only with replicas: 1"

violation contains {
	"msg": sprintf("%s in container %s writes claim %s from a %s: %s", [
		entry.title,
		entry.name,
		fields.shown(claim.claim),
		fields.shown(kind),
		consequence,
	]),
	"path": array.concat(workload.pod_path(target), ["volumes", claim.index, "persistentVolumeClaim", "claimName"]),
	"found": claim.claim,
	"wanted": "a StatefulSet with volumeClaimTemplates",
	"fix": sprintf("use kind: StatefulSet with the claim in volumeClaimTemplates%s", [meanwhile]),
} if {
	applies
	some entry in subject.engines
	entry.sure
	some claim in containers.written_claims(target, entry.container)
	not harmless(claim.claim)
}
