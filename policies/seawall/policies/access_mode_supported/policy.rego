# METADATA
# title: A claim asks for an access mode that its storage has
# description: >
#   A claim with ReadWriteMany on block storage, or for a raw device of a file storage, is never provisioned, or its second
#   node never gets the volume: the Pods wait forever.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
# custom:
#   id: access-mode-supported
#   checklist: access-mode
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
#   context:
#   - {resource: storageclasses, optional: false}
package seawall.policies.access_mode_supported

import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.object as fields

claim := input.request.object

# What is not proven is for access-mode-doubtful.
refused := [found |
	made := claims.provisioned(claim)
	some mode in made.refused
	claims.proven(made.facts, mode)
	found := {"mode": mode, "class": made.class, "provisioner": made.provisioner}
]

# The classes that would pass.
others := claims.giving(claim)

listed(before) := before if {
	others == []
} else := sprintf("%s: %s", [before, concat(", ", others)])

# The name of a class stands where it is read from.
class_field := field if {
	path := classes.class_path(claim)
	field := path[count(path) - 1]
}

move(otherwise) := otherwise if {
	others == []
} else := sprintf("%s: %s", [class_field, others[0]])

violation contains {
	"msg": sprintf("class %s (%s) makes volumes for one node at a time: with ReadWriteMany %s", [
		found.class,
		found.provisioner,
		"the claim is never provisioned, or Pods on a second node wait for it forever",
	]),
	"path": ["spec", "accessModes"],
	"found": fields.list(claim, ["spec", "accessModes"]),
	"wanted": listed("ReadWriteOnce, or a class that shares volumes between nodes"),
	"fix": sprintf("accessModes: [ReadWriteOnce]; if several nodes must write, %s", [
		move("a class of a file storage (NFS, CephFS, EFS, Azure Files, Filestore)"),
	]),
} if {
	some found in refused
	found.mode == "ReadWriteMany"
}

violation contains {
	"msg": sprintf("class %s (%s) makes no raw block volumes: the claim is never provisioned", [
		found.class,
		found.provisioner,
	]),
	"path": ["spec", "volumeMode"],
	"found": "Block",
	"wanted": listed("Filesystem, or a class of a block storage"),
	"fix": sprintf("volumeMode: Filesystem; if a device is needed, %s", [move("a class of a block storage")]),
} if {
	some found in refused
	found.mode == "Block"
}
