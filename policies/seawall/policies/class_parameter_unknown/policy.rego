# METADATA
# title: Parameters of a class must be known to its provisioner
# description: >-
#   Parameters are plain text to the API server. A misspelt one is either ignored, so that volumes are made without
#   what was asked for, or it makes every claim of the class wait.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#parameters
# - ref: https://kubernetes-csi.github.io/docs/external-provisioner.html
# custom:
#   id: class-parameter-unknown
#   checklist: storage-class
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Warn}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
package seawall.policies.class_parameter_unknown

import data.seawall.knowledge.provisioners as known
import data.seawall.lib.classes
import data.seawall.lib.object as fields

violation contains {
	"msg": msg,
	"path": ["parameters", key],
	"found": key,
	"wanted": wanted,
	"fix": fix,
} if {
	some key in unknown
	not old[lower(key)]
	msg := concat(" ", [
		sprintf("%s knows no parameter %s:", [provisioner, fields.shown(key)]),
		"it is ignored, or no volume of the class can be made.",
	])
	meant := similar(key)
	wanted := wanted_of(meant)
	fix := fix_of(key, meant)
}

violation contains {
	"msg": msg,
	"path": ["parameters", key],
	"found": key,
	"wanted": instead,
	"fix": fix,
} if {
	some key in unknown
	instead := old[lower(key)]
	msg := sprintf("The parameter %s is out of date for %s.", [fields.shown(key), provisioner])
	fix := fix_of_old(key, instead)
}

class := input.request.object

provisioner := fields.shown(classes.provisioner(class))

# Plugins inside Kubernetes have parameters of their own, which are translated for the driver.
row := classes.facts(classes.provisioner(class)) if not classes.migrated_to(classes.provisioner(class))

# unknown parameters of the class, where those of its provisioner are known; twenty are enough for one answer.
unknown := array.slice(
	[key |
		names := known_names
		count(names) > 0
		some key, _ in fields.dict(class, ["parameters"])
		not as_compared(key) in names
		not strings.any_prefix_match(as_compared(key), prefixes)
	],
	0, 20,
)

known_names := {name |
	some key in in_full
	name := as_compared(key)
}

# in_full are the known parameters, and the same behind the driver's own name, where it reads them so.
in_full := array.concat(spelled, [name |
	some prefix, on in object.get(row, "parameterNamespaces", {})
	on == true
	some key in spelled
	name := concat("", [prefix, key])
])

prefixes := [prefix |
	some map in [known.commonPrefixes, object.get(row, "parameterPrefixes", {})]
	some key, on in map
	on == true
	prefix := as_compared(key)
]

# Most drivers read names in any case.
as_compared(key) := key if row.parameterCase == "sensitive"

as_compared(key) := lower(key) if not row.parameterCase

# old parameters, in lower case, with what to use instead.
old[name] := instead if {
	some key, instead in object.union(known.deprecatedParameters, object.get(row, "deprecatedParameters", {}))
	is_string(instead)
	name := lower(key)
}

# similar lists known parameters with the same letters: another case, or letters that changed places.
similar(key) := sort([name |
	letters := letters_of(key)
	some name, of_name in spelling
	of_name == letters
])

spelling := {name: letters |
	some name in in_full
	letters := letters_of(name)
}

letters_of(name) := sort(split(lower(name), ""))

# spelled are the known parameters as the vendor writes them.
spelled := sort([name |
	some name, on in row.parameters
	on == true
])

wanted_of(meant) := text if {
	first := meant[0]
	text := sprintf("a known parameter: %s", [first])
} else := text if {
	some_known := array.slice(spelled, 0, 20)
	text := sprintf("a known parameter, among them: %s", [concat(", ", some_known)])
}

fix_of(key, meant) := text if {
	text := sprintf("%s instead of %s", [meant[0], fields.shown(key)])
} else := text if {
	text := sprintf("remove %s", [fields.shown(key)])
}

fix_of_old(key, instead) := text if {
	startswith(instead, "without effect")
	text := sprintf("remove %s", [fields.shown(key)])
} else := text if {
	text := sprintf("%s instead of %s", [instead, fields.shown(key)])
}
