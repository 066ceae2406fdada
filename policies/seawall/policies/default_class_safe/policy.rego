# METADATA
# title: The default class is safe for whoever does not choose
# description: >-
#   Claims that name no class are written by those who know least about storage. What the default class gives them
#   should keep their data, be placed where the Pod runs, and grow.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass
# custom:
#   id: default-class-safe
#   checklist: class-standard
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.default_class_safe

import data.seawall.lib.catalogue
import data.seawall.lib.classes
import data.seawall.lib.object as fields

target := input.request.object

# is_default: claims without a class get it, and it has volumes of its own. A class that says that its volumes may
# vanish is the default of a cluster where they may.
is_default if {
	catalogue.default_key(target)
	not classes.is_disposable(target)
	not classes.is_bucket(target)
	not classes.is_static(target)
}

violation contains {
	"msg": concat(" ", [
		"The default class has reclaimPolicy Delete:",
		"claims that name no class lose their data with the claim, and nobody chose that.",
	]),
	"path": ["reclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix_of("reclaimPolicy: Retain", {"CREATE"}),
} if {
	is_default
	classes.reclaim_policy(target) == "Delete"
}

violation contains {
	"msg": concat(" ", [
		"The default class has volumeBindingMode Immediate:",
		sprintf("its volumes are tied to a %s before it is known where the Pod can run.", [place]),
	]),
	"path": ["volumeBindingMode"],
	"found": "Immediate",
	"wanted": "WaitForFirstConsumer",
	"fix": fix_of("volumeBindingMode: WaitForFirstConsumer", {"CREATE"}),
} if {
	is_default
	classes.binding_mode(target) == "Immediate"
	place := classes.facts_of(target).boundTo
	place in {"zone", "node"}
	classes.is_verified(target)
}

violation contains {
	"msg": concat(" ", [
		"The default class does not allow expansion although its driver can:",
		"a full volume can only be replaced, with a copy and downtime.",
	]),
	"path": ["allowVolumeExpansion"],
	"found": false,
	"wanted": true,
	"fix": fix_of("allowVolumeExpansion: true", {"CREATE", "UPDATE"}),
} if {
	is_default
	fields.field(target, ["allowVolumeExpansion"], false) == false
	classes.facts_of(target).expansion == true
}

# fix_of a line that this class can take: an immutable field only while it is new. Classes that the cluster's add-on
# manager writes come back as they were.
fix_of(line, operations) := line if {
	input.request.operation in operations
	not classes.is_addon_managed(target)
} else := sprintf("make another class with %s the default, and take the annotation %s off this one", [line, key]) if {
	key := catalogue.default_key(target)
}
