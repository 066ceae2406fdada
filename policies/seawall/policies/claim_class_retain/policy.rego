# METADATA
# title: Claims must use a class that retains volumes
# description: >-
#   A claim on a class with reclaimPolicy Delete loses its data the moment the claim is removed, by hand, by
#   Helm or by a deleted namespace.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming
# custom:
#   id: claim-class-retain
#   checklist: reclaim-policy
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: 'Off'}
#   match:
#   - apiGroups: ['']
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [CREATE, UPDATE]
#     via: both
#   context:
#   - {resource: storageclasses, optional: false}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.claim_class_retain

import data.seawall.lib.catalogue
import data.seawall.lib.catalogue_claims
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields

violation contains {
	"msg": msg,
	"path": path,
	"found": class_name,
	"wanted": wanted,
	"fix": fix,
} if {
	class_name := judged
	class := classes.known(class_name)
	class != null
	classes.reclaim_policy(class) == "Delete"
	not classes.is_static(class)
	not classes.is_bucket(class)
	not labels.is_disposable(input.request.object)
	not labels.is_owned_by(input.request.object, "Pod")
	not volume_is_retained
	msg := concat(" ", [
		sprintf("The class %s has reclaimPolicy Delete:", [class_name]),
		"when this claim is removed, its volume and the data are destroyed for good.",
	])
	path := classes.class_path(input.request.object)
	others := array.slice(others_for(classes.provisioner(class)), 0, 10)
	wanted := wanted_of(others)
	fix := fix_of(path, classes.provisioner(class), others)
}

# The class that the claim will have. Nothing written: the API server fills in the default class, and which
# one that will be is certain only while there is exactly one.
judged := class_name if {
	fields.dict(input.request.object, ["spec"]) != {}
	class_name := classes.class_of(input.request.object)
	class_name != null
} else := class_name if {
	fields.dict(input.request.object, ["spec"]) != {}
	class_name := classes.the_default
}

# Once bound, the volume decides, and volume-reclaim-retain may have kept it.
volume_is_retained if {
	name := volume_name
	volume := data.cluster.persistentvolumes[name]
	fields.field(volume, ["spec", "persistentVolumeReclaimPolicy"], "Retain") == "Retain"
}

volume_name := fields.text(input.request.object, ["spec", "volumeName"])

# others_for are the classes that would pass, best first: those of the platform's catalogue that retain, else those of
# the same provisioner.
others_for(provisioner) := names if {
	names := of_catalogue
	names != []
} else := names if {
	names := catalogue.best_of(classes.retaining(provisioner), need)
}

of_catalogue := [name |
	some name in catalogue_claims.offers(need)
	classes.reclaim_policy(classes.known(name)) == "Retain"
]

need := catalogue_claims.need(input.request.object, input.request.object, input.seawall.tier)

wanted_of(others) := "a class with reclaimPolicy: Retain" if {
	others == []
} else := sprintf("a class that retains: %s", [concat(", ", others)])

# The class of a claim cannot change any more once there is a volume; the policy of the volume can.
fix_of(path, provisioner, others) := fix if {
	volume_name != ""
	name := fields.shown(volume_name)
	fix := sprintf(
		"kubectl patch pv %s --type merge -p '{\"spec\":{\"persistentVolumeReclaimPolicy\":\"Retain\"}}'",
		[name],
	)
} else := fix if {
	others == []
	field := path[count(path) - 1]
	fix := concat(" ", [
		sprintf("create a class with provisioner: %s, the same parameters and reclaimPolicy: Retain,", [provisioner]),
		sprintf("and name it in %s", [field]),
	])
} else := fix if {
	first := others[0]
	field := path[count(path) - 1]
	fix := sprintf("%s: %s", [field, first])
}
