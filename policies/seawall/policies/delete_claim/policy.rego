# METADATA
# title: Claims with data are not deleted by accident
# description: >-
#   Deleting a claim takes the volume from its workload and, with reclaim policy Delete, destroys the data. It
#   takes two annotations that name the claim and the day.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
# custom:
#   id: delete-claim
#   checklist: deletion-protection
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   exemptible: false
#   match:
#   - apiGroups: ['']
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [DELETE]
#     via: direct
#   guardsFinalizers: false
package seawall.policies.delete_claim

import data.seawall.lib.labels
import data.seawall.lib.object as fields

# They only finish what somebody else has started: it is stopped at the namespace or at the owner, here it
# would be wedged.
finishing := {
	"system:kube-controller-manager",
	"system:serviceaccount:kube-system:generic-garbage-collector",
	"system:serviceaccount:kube-system:namespace-controller",
}

violation contains {
	"msg": msg,
	"path": ["metadata", "annotations", "seawall.dev/allow-delete"],
	"found": found,
	"wanted": name,
	"fix": fix,
} if {
	# request.name is empty when a collection is deleted.
	claim := input.request.oldObject
	is_guarded(claim)
	was_bound(claim)
	not is_throwaway(claim)
	not labels.is_controlled_by(claim, "Pod")
	not is_finishing
	not is_wanted_by_set(claim)
	not labels.allows_delete(claim, input.seawall.now)
	name := fields.shown(labels.name(claim))
	namespace := fields.shown(fields.text(claim, ["metadata", "namespace"]))
	today := labels.day(input.seawall.now)
	found := labels.annotation(claim, "seawall.dev/allow-delete")
	msg := concat(" ", [
		sprintf("The claim %s holds data: deleting it takes the volume from its workload and,", [name]),
		"where the reclaim policy is Delete, destroys the data for good.",
	])
	fix := concat(" ", [
		sprintf("kubectl annotate pvc %s -n %s --overwrite", [name, namespace]),
		sprintf("seawall.dev/allow-delete=%s seawall.dev/allow-delete-on=%s,", [name, today]),
		"then delete it",
	])
}

is_guarded(_) if input.seawall.tier != "tier-3"

is_guarded(claim) if labels.is_protected(claim)

was_bound(claim) if fields.text(claim, ["spec", "volumeName"]) != ""

was_bound(claim) if fields.text(claim, ["status", "phase"]) == "Bound"

# Who protects a claim on purpose means more than who labelled it as a cache.
is_throwaway(claim) if {
	labels.is_disposable(claim)
	not labels.is_protected(claim)
}

is_finishing if input.request.userInfo.username in finishing

# Its set has persistentVolumeClaimRetentionPolicy Delete: only then the controller puts its reference on the
# claim.
is_wanted_by_set(claim) if {
	input.request.userInfo.username == "system:serviceaccount:kube-system:statefulset-controller"
	labels.is_owned_by(claim, "StatefulSet")
}
