# METADATA
# title: PersistentVolume must be retained
# description: >-
#   The reclaim policy of the volume, not of its class, decides whether the data goes with the claim. A volume
#   with Delete takes the data with it, and one that was kept so far must not lose that by accident.
# related_resources:
# - ref: https://kubernetes.io/docs/tasks/administer-cluster/change-pv-reclaim-policy/
# custom:
#   id: volume-reclaim-retain
#   checklist: reclaim-policy
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: 'Off'}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [''], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
package seawall.policies.volume_reclaim_retain

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields

violation contains {
	"msg": "persistentVolumeReclaimPolicy is Delete: the volume and its data are destroyed with the claim.",
	"path": ["spec", "persistentVolumeReclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": "persistentVolumeReclaimPolicy: Retain",
} if {
	input.request.operation == "CREATE"
	deletes_data
}

violation contains {
	"msg": "persistentVolumeReclaimPolicy is Delete: the volume and its data are destroyed with the claim.",
	"path": ["spec", "persistentVolumeReclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix,
} if {
	input.request.operation == "UPDATE"
	deletes_data
	not labels.allows_delete(input.request.object, input.seawall.now)
	name := fields.shown(labels.name(input.request.object))
	today := labels.day(input.seawall.now)
	fix := concat(" ", [
		"persistentVolumeReclaimPolicy: Retain, or, to let this data go today, the annotations",
		sprintf("seawall.dev/allow-delete: %s and", [name]),
		sprintf("seawall.dev/allow-delete-on: \"%s\"", [today]),
	])
}

violation contains {
	"msg": "persistentVolumeReclaimPolicy is Recycle: the volume is wiped as soon as its claim is gone.",
	"path": ["spec", "persistentVolumeReclaimPolicy"],
	"found": "Recycle",
	"wanted": "Retain",
	"fix": "persistentVolumeReclaimPolicy: Retain",
} if {
	reclaim_policy(input.request.object) == "Recycle"
	not is_disposable
}

# A provisioner copies Delete from the class and never reads the field again, so a volume of a claim can be
# kept this way without a class of its own.
patch contains {"op": "add", "path": "/spec/persistentVolumeReclaimPolicy", "value": "Retain"} if {
	input.request.operation == "CREATE"
	deletes_data
}

deletes_data if {
	reclaim_policy(input.request.object) == "Delete"
	holds_data
	not is_disposable
}

# Absent means Retain, other than for classes.
reclaim_policy(volume) := fields.field(volume, ["spec", "persistentVolumeReclaimPolicy"], "Retain")

holds_data if claim_name != ""

# Made by hand: somebody knows a disk that was there before.
holds_data if labels.annotation(input.request.object, "pv.kubernetes.io/provisioned-by") == ""

# Its maker copied the annotation, which drivers ask for on volumes that they did not make. A provisioner names the claim
# for which it makes a volume.
holds_data if {
	input.request.operation == "CREATE"
	driver := fields.text(input.request.object, ["spec", "csi", "driver"])
	labels.annotation(input.request.object, "pv.kubernetes.io/provisioned-by") == driver
}

# Kept until now, whatever it holds.
holds_data if {
	input.request.operation == "UPDATE"
	reclaim_policy(input.request.oldObject) == "Retain"
}

claim_name := fields.text(input.request.object, ["spec", "claimRef", "name"])

# Retain on volumes that are made for a while would leak a disk for each of them.
is_disposable if labels.is_disposable(input.request.object)

is_disposable if classes.is_disposable(classes.known(classes.class_of(input.request.object)))

is_disposable if labels.is_disposable(claim)

is_disposable if labels.is_controlled_by(claim, "Pod")

claim := data.cluster.persistentvolumeclaims[namespace][name] if {
	namespace := fields.text(input.request.object, ["spec", "claimRef", "namespace"])
	name := claim_name
}
