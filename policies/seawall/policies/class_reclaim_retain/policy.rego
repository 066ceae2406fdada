# METADATA
# title: StorageClass must retain volumes
# description: >-
#   A class with reclaimPolicy Delete, which is the default, destroys a volume and its data when the claim is
#   removed. Nobody can undelete a disk.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
# custom:
#   id: class-reclaim-retain
#   checklist: reclaim-policy
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.class_reclaim_retain

import data.seawall.lib.classes

# The field is immutable: once the class exists it takes a new one.
fixes := {
	"CREATE": "reclaimPolicy: Retain",
	"UPDATE": "delete this class and create it again with reclaimPolicy: Retain (its volumes stay as they are)",
}

violation contains {
	"msg": msg,
	"path": ["reclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix,
} if {
	deletes_data
	msg := concat(" ", [
		"reclaimPolicy is Delete, which is also the default:",
		"removing a claim destroys its volume and the data for good.",
	])
	fix := fixes[input.request.operation]
}

# Defaulting hides whether Delete was written or left out, so both are patched.
patch contains {"op": "add", "path": "/reclaimPolicy", "value": "Retain"} if {
	input.request.operation == "CREATE"
	deletes_data
}

deletes_data if {
	class := input.request.object
	classes.provisioner(class) != ""
	classes.reclaim_policy(class) == "Delete"
	not classes.is_disposable(class)
	not classes.is_bucket(class)
	not classes.is_static(class)
	not classes.is_addon_managed(class)
}
