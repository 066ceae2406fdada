# METADATA
# title: The class of a claim exists
# description: >-
#   A claim that names a class which is not in the cluster is accepted and then waits for ever, and the Pods with
#   it. The class is immutable, so a typo is only mended by making the claim again.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
# custom:
#   id: class-exists
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
#   context:
#   - {resource: storageclasses, optional: false}
#   parameters: {strictReferences: false}
package seawall.policies.class_exists

import data.seawall.lib.classes
import data.seawall.lib.object as fields

# A claim without a class is not judged: DefaultStorageClass fills one in, or a controller does as soon as there is a
# default, and that one exists. The empty name means that no class is wanted.
violation contains {
	"msg": msg,
	"path": path,
	"found": name,
	"wanted": wanted,
	"fix": fix,
} if {
	name := classes.class_of(input.request.object)
	not name in {null, ""}
	classes.known(name) == null
	not bound_by_hand
	msg := concat(" ", [
		sprintf("The class %s is not in this cluster:", [fields.shown(name)]),
		"the claim stays Pending until somebody creates it, or a volume by hand that carries its name.",
	])
	path := classes.class_path(input.request.object)
	others := array.slice(offered, 0, 10)
	wanted := wanted_of(others)
	fix := fix_of(path[count(path) - 1], others)
}

# bound_by_hand: the claim picks among volumes that exist. Their class is a name to match, no class need be there.
bound_by_hand if {
	input.seawall.parameters.strictReferences != true
	picks
}

picks if fields.text(input.request.object, ["spec", "volumeName"]) != ""

picks if fields.field(input.request.object, ["spec", "selector"], null) != null

# What to use instead: the platform's catalogue, else the default.
offered := names if {
	names := data.cluster.index.supported_classes
	names != []
} else := names if {
	names := data.cluster.index.default_classes
} else := []

wanted_of(others) := "a class of this cluster" if {
	others == []
} else := sprintf("a class of this cluster: %s", [concat(", ", others)])

fix_of(field, others) := fix if {
	others == []
	fix := sprintf("kubectl get storageclass, and name one of them in %s", [field])
} else := fix if {
	first := others[0]
	fix := sprintf("%s: %s", [field, first])
}
