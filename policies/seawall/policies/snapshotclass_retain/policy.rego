# METADATA
# title: Snapshots outlive their VolumeSnapshot
# description: >-
#   With deletionPolicy Delete, removing a VolumeSnapshot, or the namespace that it is in, destroys the snapshot together
#   with the claims that it was taken of.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volume-snapshot-classes/#deletionpolicy
# - ref: https://velero.io/docs/main/csi/
# - ref: https://docs.kasten.io/latest/install/storage.html#csi-snapshot-configuration
# custom:
#   id: snapshotclass-retain
#   checklist: reclaim-policy
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Audit, tier-3: "Off"}
#   match:
#   - apiGroups: [snapshot.storage.k8s.io]
#     apiVersions: [v1]
#     resources: [volumesnapshotclasses]
#     operations: [CREATE, UPDATE]
#   parameters:
#     backupLabels: {velero.io/csi-volumesnapshot-class: true}
#     backupAnnotations: {k10.kasten.io/is-snapshot-class: true}
package seawall.policies.snapshotclass_retain

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields

violation contains {
	"msg": concat(" ", [
		"deletionPolicy is Delete: whoever removes a VolumeSnapshot or its namespace",
		"destroys the snapshot with it.",
	]),
	"path": ["deletionPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": "deletionPolicy: Retain",
} if {
	class := input.request.object
	fields.text(class, ["deletionPolicy"]) == "Delete"
	not classes.is_disposable(class)
	not serves_backups(class)
}

# serves_backups: a backup tool picks the class. Its data mover needs a snapshot for minutes, and what it keeps it sets to
# Retain itself.
serves_backups(class) if {
	some key, on in fields.dict(input.seawall.parameters, ["backupLabels"])
	on == true
	labels.label(class, key) == "true"
}

serves_backups(class) if {
	some key, on in fields.dict(input.seawall.parameters, ["backupAnnotations"])
	on == true
	labels.annotation(class, key) == "true"
}
