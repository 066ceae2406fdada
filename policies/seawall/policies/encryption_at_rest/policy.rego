# METADATA
# title: Volumes must be encrypted at rest
# description: >-
#   Disks are replaced, snapshots are shared and storage is given back: whoever gets hold of a volume that is not
#   encrypted can read the data. Some drivers encrypt only when the class says so.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#parameters
# custom:
#   id: encryption-at-rest
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: 'Off'}
#   patch: []
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
#   - apiGroups: ['']
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [CREATE]
#     via: both
#   context:
#   - {resource: storageclasses, optional: true}
#   parameters: {claims: false, requireCustomerKey: false}
#   tierParameters:
#     tier-0: {claims: true}
#     tier-1: {claims: true}
package seawall.policies.encryption_at_rest

import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage

violation contains {
	"msg": sprintf("The class %s: %s", [fault.msg, fault.why]),
	"path": ["parameters", fault.parameter],
	"found": fault.found,
	"wanted": fault.wanted,
	"fix": concat("", ["parameters: {", fault.fix, "}"]),
} if {
	fields.text(input.request.object, ["kind"]) == "StorageClass"
	fault := fault_of(input.request.object)
}

violation contains {
	"msg": msg,
	"path": path,
	"found": name,
	"wanted": wanted,
	"fix": fix,
} if {
	input.seawall.parameters.claims == true
	claim := input.request.object
	fields.text(claim, ["kind"]) == "PersistentVolumeClaim"
	not asks_for_a_volume_that_exists(claim)
	not labels.is_owned_by(claim, "Pod")
	name := storage.class_name(claim)
	class := storage.named(name)
	fault := fault_of(class)
	shown := fields.shown(name)
	msg := sprintf("Class %s %s: %s", [shown, fault.msg, fault.why])
	path := classes.class_path(claim)
	others := array.slice(passing(class), 0, 10)
	wanted := wanted_of(others)
	fix := fix_of(path, class, fault, others)
}

# Switched on where nothing was said about it. What the user wrote is not overridden, and a driver that needs a secret
# could make no volume at all.
patch contains {"op": "add", "path": path, "value": "true"} if {
	class := input.request.object
	input.request.operation == "CREATE"
	fields.text(class, ["kind"]) == "StorageClass"
	fault_of(class)
	known_way := classes.encryption_facts(class)
	known_way.safeToPatch == true
	is_object(fields.field(class, ["parameters"], {}))
	not mentioned(class, known_way.parameter)
	path := concat("/", ["/parameters", fields.escape(known_way.parameter)])
}

mentioned(class, parameter) if {
	some key, _ in fields.dict(class, ["parameters"])
	lower(key) == lower(parameter)
}

# fault_of is what is missing in a class; undefined where nothing is, or where nobody can tell.
fault_of(class) := fault if {
	judged(class)
	classes.encryption(class) == "off"
	known_way := classes.encryption_facts(class)
	fault := {
		"msg": sprintf(
			"does not ask for encryption, and %s encrypts only when asked",
			[fields.shown(classes.provisioner(class))],
		),
		"why": "whoever gets hold of a disk or a snapshot can read the data.",
		"parameter": known_way.parameter,
		"found": "not encrypted",
		"wanted": "encrypted volumes",
		"fix": concat("", [setting(known_way), secret(known_way)]),
	}
} else := fault if {
	input.seawall.parameters.requireCustomerKey == true
	judged(class)
	classes.own_key(class) == false
	parameter := key_parameters(class)[0]
	fault := {
		"msg": "names no key of your own",
		"why": "with the provider's key you can neither revoke access nor prove who had it.",
		"parameter": parameter,
		"found": "the provider's key",
		"wanted": "a key of your own",
		"fix": sprintf("%s: <key>", [parameter]),
	}
}

key_parameters(class) := sort([parameter |
	some parameter, on in classes.encryption_facts(class).keyParameters
	on == true
])

judged(class) if {
	classes.encryption_verified(class)
	not labels.is_development(class)
	not classes.is_addon_managed(class)
}

setting(known_way) := text if {
	text := sprintf("%s: \"%s\"", [known_way.parameter, known_way.values[0]])
} else := text if {
	text := sprintf("%s: <secret with the passphrase>", [known_way.parameter])
}

secret(known_way) := text if {
	names := sort(object.keys(known_way.needsSecret))
	text := sprintf(", %s: <secret or key service>", [names[0]])
} else := ""

# A volume that was made by hand is as encrypted as its maker made it.
asks_for_a_volume_that_exists(claim) if fields.text(claim, ["spec", "volumeName"]) != ""

asks_for_a_volume_that_exists(claim) if fields.field(claim, ["spec", "selector"], null) != null

passing(class) := [name |
	some name in classes.encrypting(classes.provisioner(class))
	other := classes.known(name)
	not fault_of(other)
]

wanted_of(others) := "a class that encrypts" if {
	others == []
} else := sprintf("a class that encrypts: %s", [concat(", ", others)])

fix_of(path, class, fault, others) := fix if {
	others == []
	fix := concat("", [
		"create a class with provisioner: ",
		fields.shown(classes.provisioner(class)),
		", the same parameters and ",
		fault.fix,
		", and name it in ",
		path[count(path) - 1],
	])
} else := sprintf("%s: %s", [path[count(path) - 1], others[0]])
