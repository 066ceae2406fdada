# METADATA
# title: Claims for existing volumes say which class these have
# description: >-
#   A claim that names a volume, or selects volumes by labels, and says nothing of the class gets the default class filled
#   in. It then no longer matches a volume of another class or of none, and waits for ever.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
# custom:
#   id: static-claim-class
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: both}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.static_claim_class

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.workload

claim := input.request.object

volume_name := fields.text(claim, ["spec", "volumeName"])

# Both are known and differ. Through the API server the default is filled in before Seawall sees the claim, so a class
# that is written is judged like one that was filled in.
violation contains {
	"msg": concat(" ", [
		sprintf("Volume %s has %s and the claim has %s:", [
			fields.shown(volume_name),
			words(volume_class),
			words(claim_class),
		]),
		"a claim is only bound to a volume of its own class, so this one stays Pending.",
		"Where no class is written, the default is filled in.",
	]),
	"path": path,
	"found": claim_class,
	"wanted": "the class of the volume",
	"fix": fix(path, volume_class),
} if {
	claim_class != volume_class
	not volume_names_claim
	path := classes.class_path(claim)
}

# What the class will be, or what the volume's is, cannot be told.
violation contains {
	"msg": concat(" ", [
		sprintf("The claim asks for %s and says nothing of the class:", [what]),
		"the default is filled in, and the claim stays Pending where the volume has another class or none.",
	]),
	"path": ["spec", "storageClassName"],
	"wanted": "the class of the volume, which may be empty",
	"fix": fix(["spec", "storageClassName"], likely_class),
} if {
	what := asked
	classes.class_of(claim) == null
	not is_decided
	not volume_names_claim
}

# asked says for what the claim asks; undefined where the volume is provisioned.
asked := text if {
	volume_name != ""
	text := sprintf("volume %s", [fields.shown(volume_name)])
} else := "volumes by their labels" if {
	fields.field(claim, ["spec", "selector"], null) != null
}

volume := data.cluster.persistentvolumes[volume_name]

# volume_class is "" for a volume without a class; undefined where the volume is not known.
volume_class := name if {
	name := classes.class_of(volume)
	name != null
} else := "" if {
	volume
}

likely_class := name if {
	name := volume_class
} else := ""

# claim_class is the class that the claim has or will get; undefined where that cannot be told.
claim_class := name if {
	name := classes.class_of(claim)
	name != null
} else := name if {
	name := classes.the_default
} else := "" if {
	has_no_default
}

has_no_default if data.cluster.index.default_classes == []

# is_decided: nothing written, but what will happen is known.
is_decided if {
	volume_class
	claim_class
}

is_decided if has_no_default

# A volume that names the claim is bound to it without a look at the class.
volume_names_claim if {
	fields.text(volume, ["spec", "claimRef", "name"]) == labels.name(claim)
	fields.text(volume, ["spec", "claimRef", "namespace"]) == workload.namespace(input.request)
}

words(name) := "no class" if {
	name == ""
} else := sprintf("class %s", [fields.shown(name)])

fix(path, name) := text if {
	name == ""
	field := path[count(path) - 1]
	text := sprintf("%s: \"\"", [field])
} else := text if {
	field := path[count(path) - 1]
	text := sprintf("%s: %s", [field, fields.shown(name)])
}
