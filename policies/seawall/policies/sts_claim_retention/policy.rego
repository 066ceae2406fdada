# METADATA
# title: StatefulSet must keep its claims
# description: >-
#   persistentVolumeClaimRetentionPolicy Delete removes the claims, and with most classes the data, when the set
#   is deleted or scaled down.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#persistentvolumeclaim-retention
# custom:
#   id: sts-claim-retention
#   checklist: reclaim-policy
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: 'Off'}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
package seawall.policies.sts_claim_retention

import data.seawall.lib.labels
import data.seawall.lib.object as fields

consequences := {
	"whenDeleted": "deleting the StatefulSet, also to make it anew, deletes all its claims.",
	"whenScaled": "every scale-in, also by an autoscaler, deletes the claims of the replicas that go.",
}

violation contains {
	"msg": msg,
	"path": ["spec", "persistentVolumeClaimRetentionPolicy", moment],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix,
} if {
	some moment, consequence in consequences
	deletes_claims(moment)
	msg := sprintf("%s is Delete: %s", [moment, consequence])
	fix := sprintf("%s: Retain", [moment])
}

# The field is mutable and outside the Pod template: no restart.
patch contains {"op": "add", "path": path, "value": "Retain"} if {
	input.request.operation == "CREATE"
	some moment, _ in consequences
	deletes_claims(moment)
	path := sprintf("/spec/persistentVolumeClaimRetentionPolicy/%s", [moment])
}

deletes_claims(moment) if {
	set := input.request.object
	fields.text(set, ["spec", "persistentVolumeClaimRetentionPolicy", moment]) == "Delete"
	fields.list(set, ["spec", "volumeClaimTemplates"]) != []
	not labels.is_disposable(set)
}
