# METADATA
# title: An access mode that the storage probably lacks
# description: >
#   What access-mode-supported would deny, where it is likely and not certain: storage of one node, provisioners that nobody
#   looked up, many readers of block storage, and volumes made by hand, whose driver may have a special mode.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
# custom:
#   id: access-mode-doubtful
#   checklist: access-mode
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE]}
#   context:
#   - {resource: storageclasses, optional: true}
package seawall.policies.access_mode_doubtful

import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields

target := input.request.object

# What is asked for and the storage probably lacks: storage (who would give it) and modes. Nothing, or one entry.
doubts := [doubt |
	made := claims.provisioned(target)
	modes := [mode |
		some mode in made.refused
		likely(made.facts, mode)
	]
	doubt := {"modes": modes, "storage": sprintf("class %s (%s)", [made.class, made.provisioner])}
] if {
	fields.text(target, ["kind"]) == "PersistentVolumeClaim"
} else := [doubt |
	# A provisioner made the others, and their claims were judged.
	labels.annotation(target, "pv.kubernetes.io/provisioned-by") == ""
	driver := fields.text(target, ["spec", "csi", "driver"])
	facts := classes.facts(driver)
	facts.verified
	not is_special(facts, fields.text(target, ["spec", "csi", "volumeHandle"]))
	modes := claims.refused(target, classes.row_of(driver), facts)
	doubt := {"modes": modes, "storage": sprintf("driver %s", [fields.shown(driver)])}
]

# Some drivers have a special mode for handles that begin like this.
is_special(facts, handle) if {
	some start, on in object.get(facts, "specialHandles", {})
	on != false
	startswith(handle, start)
}

# What is proven is denied by access-mode-supported.
likely(facts, mode) if {
	facts.verified
	not claims.proven(facts, mode)
}

# Of storage that nobody looked up: a file system on a disk is not shared, and a file server has no disks to give.
likely(facts, mode) if {
	not facts.verified
	facts.storage == "block"
	mode == "ReadWriteMany"
	claims.volume_mode(target) == "Filesystem"
}

likely(facts, mode) if {
	not facts.verified
	facts.storage in {"file", "object"}
	mode == "Block"
}

violation contains {
	"msg": sprintf("%s is not known to give %s: Pods on a second node may wait for the volume forever", [
		doubt.storage,
		concat(" or ", doubt.modes),
	]),
	"path": ["spec", "accessModes"],
	"found": fields.list(target, ["spec", "accessModes"]),
	"wanted": "ReadWriteOnce, or storage that is known to be shared between nodes",
	"fix": concat(" ", [
		"accessModes: [ReadWriteOnce] if one node at a time is enough;",
		"if the storage does share, correct its row in knowledge.provisioners of the configuration",
	]),
} if {
	some doubt in doubts
	count(doubt.modes) > 0
	not "Block" in doubt.modes
}

violation contains {
	"msg": sprintf("%s is not known to make raw block volumes: the Pods may wait for the volume forever", [doubt.storage]),
	"path": ["spec", "volumeMode"],
	"found": "Block",
	"wanted": "Filesystem, or block storage",
	"fix": "volumeMode: Filesystem; if it has devices, correct its row in knowledge.provisioners of the configuration",
} if {
	some doubt in doubts
	"Block" in doubt.modes
}
