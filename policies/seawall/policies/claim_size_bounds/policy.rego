# METADATA
# title: Claims have a sane size
# description: >-
#   A wrong letter makes a volume a thousand times too small or too large, and a decimal unit makes it smaller than
#   was meant. Neither is noticed before the volume is full.
# related_resources:
# - ref: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
# custom:
#   id: claim-size-bounds
#   checklist: sizing
#   severity: low
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - apiGroups: [""]
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [CREATE, UPDATE]
#     via: both
#   parameters: {min: 100Mi, max: 64Ti}
package seawall.policies.claim_size_bounds

import data.seawall.lib.claims
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.quantities

target := input.request.object

path := ["spec", "resources", "requests", "storage"]

size := fields.field(target, path, null)

applies if {
	not labels.data_kind(target) in {"cache", "scratch", "readonly"}
	not labels.is_owned_by(target, "Pod")
}

# A bound that is no quantity does not bind.
smallest := input.seawall.parameters.min

largest := input.seawall.parameters.max

# too_small: a volume that exists already has the size that it has.
too_small if {
	not claims.static(target)
	quantities.milli(size) < quantities.milli(smallest)
}

too_large if quantities.milli(size) > quantities.milli(largest)

# losses: how many percent a decimal unit is less than the binary one of the same letter.
losses := {"k": "2", "M": "5", "G": "7", "T": "9", "P": "11", "E": "13"}

binaries := {"k": "Ki", "M": "Mi", "G": "Gi", "T": "Ti", "P": "Pi", "E": "Ei"}

violation contains {
	"msg": concat(" ", [
		sprintf("this claim asks for %s, less than %s, which a file system alone can fill:", [
			quantities.shown(size),
			quantities.shown(smallest),
		]),
		"its volume is full before it is of use, so the unit may be a slip",
	]),
	"path": path,
	"found": size,
	"wanted": sprintf("at least %s", [quantities.shown(smallest)]),
	"fix": "resources: {requests: {storage: <a size>}}",
} if {
	applies
	too_small
}

violation contains {
	"msg": concat(" ", [
		sprintf("this claim asks for %s, more than %s: it may wait forever for such a volume, or cost accordingly,", [
			quantities.shown(size),
			quantities.shown(largest),
		]),
		"and a claim never shrinks, so the unit may be a slip",
	]),
	"path": path,
	"found": size,
	"wanted": sprintf("at most %s", [quantities.shown(largest)]),
	"fix": "resources: {requests: {storage: <a size>}}",
} if {
	applies
	too_large
}

violation contains {
	"msg": sprintf(
		"%s is a decimal size, %s percent less than %s, which most people and tools mean: what counts on the rest runs out of space",
		[quantities.shown(size), loss, wanted],
	),
	"path": path,
	"found": size,
	"wanted": wanted,
	"fix": sprintf("resources: {requests: {storage: %s}}", [wanted]),
} if {
	applies
	unit := quantities.suffix(size)
	loss := losses[unit]
	not too_small
	not too_large
	wanted := concat("", [trim_suffix(size, unit), binaries[unit]])
}
