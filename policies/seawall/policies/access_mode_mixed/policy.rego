# METADATA
# title: A claim asks for one access mode
# description: >
#   Kubernetes does not enforce access modes: of several, the loosest decides who can mount the volume. And an empty disk
#   that may only be read is of no use to anybody.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
# custom:
#   id: access-mode-mixed
#   checklist: access-mode
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
#   context:
#   - {resource: storageclasses, optional: true}
package seawall.policies.access_mode_mixed

import data.seawall.lib.claims
import data.seawall.lib.object as fields
import data.seawall.lib.storage

claim := input.request.object

modes := {mode |
	# A volume that exists has the modes that it has.
	not claims.static(claim)
	storage.class_name(claim) != ""
	some mode in fields.list(claim, ["spec", "accessModes"])
}

# From strict to loose.
order := ["ReadWriteOncePod", "ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"]

# filled: the volume is made from something, so there is something to read.
filled if {
	some field in ["dataSource", "dataSourceRef"]
	fields.field(claim, ["spec", field], null) != null
}

violation contains {
	"msg": concat(" ", [
		sprintf("the claim asks for %s: the volume must be capable of all of them, and the loosest decides", [text]),
		"who can mount it; a second node is not kept off it",
	]),
	"path": ["spec", "accessModes"],
	"found": fields.list(claim, ["spec", "accessModes"]),
	"wanted": "the one mode that the workload needs",
	"fix": sprintf("accessModes: [%s], or the one that the workload needs", [listed[0]]),
} if {
	listed := [mode |
		some mode in order
		mode in modes
	]
	count(listed) > 1
	text := concat(" and ", listed)
}

# On file and object storage the class may lead to files that exist; a new disk has not even a file system.
violation contains {
	"msg": "the claim may only be read and is made from nothing: it gets a new disk that nobody can write to",
	"path": ["spec", "accessModes"],
	"found": fields.list(claim, ["spec", "accessModes"]),
	"wanted": "a dataSource (a snapshot or a claim to read), or ReadWriteOnce",
	"fix": "dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: <snapshot>}",
} if {
	modes == {"ReadOnlyMany"}
	not filled
	class := storage.named(storage.class_name(claim))
	storage.facts(class).storage == "block"
}
