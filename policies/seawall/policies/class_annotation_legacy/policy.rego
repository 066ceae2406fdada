# METADATA
# title: Claims name their class in storageClassName
# description: >-
#   The old annotation for the class of a claim still works and wins over the field, where people and tools look for it.
#   The oldest one is not read any more.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
# custom:
#   id: class-annotation-legacy
#   checklist: storage-class
#   severity: low
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
package seawall.policies.class_annotation_legacy

import data.seawall.lib.object as fields

beta := "volume.beta.kubernetes.io/storage-class"

alpha := "volume.alpha.kubernetes.io/storage-class"

annotated(key) := found if {
	found := fields.field(input.request.object, ["metadata", "annotations", key], null)
	is_string(found)
}

violation contains {
	"msg": concat(" ", [
		sprintf("The annotation %s was replaced by the field storageClassName;", [beta]),
		"it wins over the field, where people and tools look for the class.",
	]),
	"path": ["metadata", "annotations", beta],
	"found": class_name,
	"wanted": sprintf("storageClassName: %s", [text]),
	"fix": sprintf("storageClassName: %s, without the annotation", [text]),
} if {
	class_name := annotated(beta)
	not is_contradicted
	text := shown(class_name)
}

violation contains {
	"msg": concat(" ", [
		sprintf("The annotation %s wins over storageClassName: %s:", [beta, shown(in_field)]),
		sprintf("the claim has class %s, whatever the field says.", [shown(class_name)]),
	]),
	"path": ["metadata", "annotations", beta],
	"found": class_name,
	"wanted": "storageClassName alone",
	"fix": sprintf("remove the annotation to use %s, or write storageClassName: %s and remove it", [
		shown(in_field),
		shown(class_name),
	]),
} if {
	is_contradicted
	class_name := annotated(beta)
}

violation contains {
	"msg": concat(" ", [
		sprintf("The annotation %s is not read any more:", [alpha]),
		"without storageClassName the claim gets the cluster's default class.",
	]),
	"path": ["metadata", "annotations", alpha],
	"found": class_name,
	"wanted": "no such annotation",
	"fix": "remove the annotation, and write the class that is meant into storageClassName",
} if {
	class_name := annotated(alpha)
}

in_field := found if {
	found := fields.field(input.request.object, ["spec", "storageClassName"], null)
	is_string(found)
}

is_contradicted if annotated(beta) != in_field

shown(name) := "\"\"" if {
	name == ""
} else := fields.shown(name)
