# METADATA
# title: Volumes that grow by themselves have a limit
# description: >-
#   TopoLVM's pvc-autoresizer grows a claim up to the limit that the claim names, and leaves one without a limit alone:
#   it fills up although everybody believes that it grows.
# related_resources:
# - ref: https://github.com/topolvm/pvc-autoresizer#how-to-use
# custom:
#   id: autoresize-limit
#   checklist: capacity
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - apiGroups: [""]
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [CREATE, UPDATE]
#     via: both
#   context:
#   - {resource: storageclasses, optional: true}
package seawall.policies.autoresize_limit

import data.seawall.lib.claims
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.quantities
import data.seawall.lib.storage

target := input.request.object

applies if {
	claims.volume_mode(target) == "Filesystem"
	not labels.data_kind(target) in {"cache", "scratch", "readonly"}
	not labels.is_owned_by(target, "Pod")
}

setting(value, key) := labels.annotation(value, concat("/", ["resize.topolvm.io", key]))

# asks: the claim itself says how it is to grow.
asks if {
	some key in ["threshold", "inodes-threshold", "increase"]
	setting(target, key) != ""
}

asks if setting(target, "enabled") == "true"

limit := setting(target, "storage_limit")

is_limited if quantities.milli(limit) > 0

# Where older releases read the limit.
is_limited if quantities.milli(fields.field(target, ["spec", "resources", "limits", "storage"], null)) > 0

reason := "the annotations of this claim ask that it grows by itself, but that happens only up to a limit, and it has none" if {
	asks
} else := text if {
	name := storage.class_name(target)
	setting(storage.named(name), "enabled") == "true"
	shown := fields.shown(name)
	text := sprintf("the class %s grows volumes by itself, but only up to a limit, and this claim has none", [shown])
}

found := "no limit" if {
	limit == ""
} else := limit

violation contains {
	"msg": sprintf("%s: nothing grows it before it is full", [why]),
	"path": ["metadata", "annotations", "resize.topolvm.io/storage_limit"],
	"found": found,
	"wanted": "resize.topolvm.io/storage_limit with the size up to which the volume may grow",
	"fix": "metadata: {annotations: {resize.topolvm.io/storage_limit: <a size>}}",
} if {
	applies
	not is_limited
	why := reason
}
