# METADATA
# title: No plugins that Kubernetes has removed
# description: >-
#   Classes and volumes of storage plugins that were removed from Kubernetes are still accepted by the API server, but
#   nothing provisions or mounts them.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#volume-types
# custom:
#   id: provisioner-in-tree
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE]}
package seawall.policies.provisioner_in_tree

import data.seawall.lib.classes
import data.seawall.lib.intree

# Drivers that took over; the other vendors have none of the kind.
successors := {
	"kubernetes.io/cephfs": "cephfs.csi.ceph.com",
	"kubernetes.io/rbd": "rbd.csi.ceph.com",
}

consequences := {
	"PersistentVolume": "no node can mount this volume.",
	"StorageClass": "nobody provisions volumes for this class, claims on it stay Pending.",
}

violation contains {
	"msg": msg,
	"path": entry.path,
	"found": entry.found,
	"wanted": wanted,
	"fix": fix,
} if {
	some entry in intree.uses(input.request.object)
	release := classes.removed_in(entry.plugin)
	msg := concat(" ", [
		sprintf("%s is a plugin that Kubernetes removed in %s:", [entry.plugin, release]),
		consequences[input.request.object.kind],
	])
	wanted := wanted_of(entry)
	fix := intree.fix_of(entry, object.get(successors, entry.plugin, "<name of a CSI driver>"))
}

wanted_of(entry) := text if {
	driver := successors[entry.plugin]
	text := sprintf("the CSI driver %s", [driver])
} else := "the name of a CSI driver" if {
	entry.path == ["provisioner"]
} else := "a CSI driver"
