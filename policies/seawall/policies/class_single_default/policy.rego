# METADATA
# title: There is one default class
# description: >-
#   Of several default classes the newest wins without a word. Claims that name no class then get other storage than
#   those of yesterday, because somebody installed a driver.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#default-storageclass
# custom:
#   id: class-single-default
#   checklist: class-standard
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: false}
package seawall.policies.class_single_default

import data.seawall.lib.catalogue
import data.seawall.lib.labels

# Only a warning: whoever changes the default passes through two of them, or through none, which is worse.
violation contains {
	"msg": msg,
	"path": ["metadata", "annotations", key],
	"found": "true",
	"wanted": "one default class",
	"fix": fix,
} if {
	key := catalogue.default_key(input.request.object)

	# It becomes one only now.
	before := object.get(input.request, "oldObject", null)
	not catalogue.default_key(before)
	others := [name |
		some name in data.cluster.index.default_classes
		name != labels.name(input.request.object)
	]
	others != []
	shown := concat(", ", array.slice(others, 0, 10))
	msg := concat(" ", [
		sprintf("There is a default class already: %s.", [shown]),
		"Of several the newest wins without a word, so claims that name no class get whichever was made last.",
	])
	names := concat(" ", array.slice(others, 0, 10))
	keys := catalogue.default_keys
	fix := sprintf("kubectl annotate storageclass %s %s- %s-", [names, keys[0], keys[1]])
}
