# METADATA
# title: Storage classes, their provisioners, and the class of a claim
# description: >-
#   What rules need to know of a StorageClass: its defaults, what is known of its provisioner, and which other
#   classes of the cluster would pass. Functions below "Cluster" read data.cluster: a policy that calls one
#   declares storageclasses.
package seawall.lib.classes

import data.seawall.lib.labels
import data.seawall.lib.object as fields

# Claims ---

# class_of is the class name of a claim (or PersistentVolume): a string, "" where dynamic provisioning was
# declined, null where nothing was said. The old annotation still wins over the field in the API server.
class_of(claim) := name if {
	name := fields.field(claim, ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"], null)
	is_string(name)
} else := name if {
	name := fields.field(claim, ["spec", "storageClassName"], null)
	is_string(name)
} else := null

# class_path is where the class of a claim is written, or would be.
class_path(claim) := ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"] if {
	is_string(fields.field(claim, ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"], null))
} else := ["spec", "storageClassName"]

# Classes ---

# provisioner of a class, "" where there is none.
provisioner(class) := fields.text(class, ["provisioner"])

# reclaim_policy of a class, with the API's default.
reclaim_policy(class) := fields.field(class, ["reclaimPolicy"], "Delete")

# binding_mode of a class, with the API's default.
binding_mode(class) := fields.field(class, ["volumeBindingMode"], "Immediate")

# is_disposable: the class is made for data that may vanish.
is_disposable(class) if labels.is_disposable(class)

is_disposable(class) if labels.is_development(class)

# is_bucket: it makes buckets, not volumes; no rule on volumes applies.
is_bucket(class) if makes_buckets(provisioner(class))

makes_buckets(name) if {
	suffixes := [suffix |
		some suffix, on in data.seawall.knowledge.provisioners.bucketSuffixes
		on == true
	]
	strings.any_suffix_match(name, suffixes)
}

# is_static: volumes are made by hand, the class only groups them; each volume has a reclaim policy
# of its own.
is_static(class) if facts(provisioner(class)).storage == "static"

# is_addon_managed: the cluster's add-on manager writes the class again and again; users cannot change it.
is_addon_managed(class) if labels.label(class, "addonmanager.kubernetes.io/mode") in {"Reconcile", "EnsureExists"}

# Provisioners ---

# row_of is the name of the row of knowledge about a provisioner, "" where nothing is known: an unknown
# provisioner is unknown, not bad. The configuration switches a row or another name off with `false`.
row_of(name) := name if {
	is_object(data.seawall.knowledge.provisioners.rows[name])
} else := row if {
	row := data.seawall.knowledge.provisioners.inTree.migrated[name]
	is_string(row)
} else := row if {
	row := data.seawall.knowledge.provisioners.aliases[name]
	is_string(row)
} else := row if {
	row := rows_by_suffix(name)[0]
} else := ""

rows_by_suffix(name) := [row |
	some suffix, row in data.seawall.knowledge.provisioners.suffixes
	is_string(row)
	endswith(name, suffix)
]

# migrated_to is the CSI driver that serves a plugin inside Kubernetes; undefined for every other name.
migrated_to(name) := driver if {
	driver := data.seawall.knowledge.provisioners.inTree.migrated[name]
	is_string(driver)
}

# removed_in is the release of Kubernetes that took a plugin away; undefined for every other name.
removed_in(name) := release if {
	release := data.seawall.knowledge.provisioners.inTree.removed[name]
	is_string(release)
}

# facts is what is known of a provisioner, {} where nothing is.
facts(name) := row if {
	row := data.seawall.knowledge.provisioners.rows[row_of(name)]
	is_object(row)
} else := {}

# facts_of is what is known of the volumes of a class: the facts of its provisioner, changed by the class's
# parameters.
facts_of(class) := object.union(base, changes) if {
	base := facts(provisioner(class))
	changes := {key: value |
		some variant in object.get(base, "variants", [])
		applies(variant, class)
		not applies(fields.dict(variant, ["unless"]), class)
		some key, value in variant.set
	}
}

# applies: a parameter of the class has a value for which the variant is written. Drivers compare
# without case.
applies(variant, class) if {
	some key, value in fields.dict(class, ["parameters"])
	lower(key) in variant.parameters
	is_string(value)
	lower(value) in object.get(variant, "oneOf", [])
}

applies(variant, class) if {
	some key, value in fields.dict(class, ["parameters"])
	lower(key) in variant.parameters
	is_string(value)
	strings.any_suffix_match(lower(value), object.get(variant, "suffixes", []))
}

# is_verified: the facts were read in the vendor's documents; others must not lead to a denial or a patch.
is_verified(class) if facts(provisioner(class)).verified == true

# Parameters ---

# stated lists the texts that a class gives for parameters of these names (lower case). Drivers that tell upper from
# lower case are few, and a class that relies on it is not.
stated(class, names) := [value |
	some key, value in fields.dict(class, ["parameters"])
	lower(key) in names
	is_string(value)
	value != ""
]

# switched_on are the keys of a map of knowledge that are not switched off, in lower case.
switched_on(map) := {lower(key) |
	some key, on in map
	on == true
}

# encryption of the volumes of a class: "on", "off", or "incomplete" where the class asks for it but names no secret or
# key service, without which the driver cannot make a volume. "unknown" where the class does not decide.
encryption(class) := "on" if {
	encryption_facts(class).mode == "always"
} else := "unknown" if {
	encryption_facts(class).mode != "parameter"
} else := "off" if {
	not asks_for_encryption(class)
} else := "incomplete" if {
	needed := switched_on(fields.dict(encryption_facts(class), ["needsSecret"]))
	count(needed) > 0
	stated(class, needed) == []
} else := "on"

# encryption_facts is what is known of encryption by a provisioner, for what this class makes.
encryption_facts(class) := found if {
	found := facts_of(class).encryption
	is_string(found.mode)
} else := {"mode": "unknown"}

# encryption_verified: a denial may rest on what encryption says.
encryption_verified(class) if {
	is_verified(class)
	object.get(encryption_facts(class), "verified", true) == true
}

asks_for_encryption(class) if {
	known_way := encryption_facts(class)
	names := union({switched_on(fields.dict(known_way, ["aliases"])), {lower(known_way.parameter)}})
	some value in stated(class, names)
	switches_on(value, fields.list(known_way, ["values"]))
}

asks_for_encryption(class) if {
	some parameter, word in fields.dict(encryption_facts(class), ["words"])
	some value in stated(class, {lower(parameter)})
	word in split(lower(value), " ")
}

switches_on(value, values) if lower(value) in {lower(other) | some other in values}

switches_on(_, values) if values == []

# own_key: the class names a key of the customer's own. Undefined where the provisioner has no parameter for one.
own_key(class) := count(stated(class, names)) > 0 if {
	names := switched_on(fields.dict(encryption_facts(class), ["keyParameters"]))
	count(names) > 0
}

# slow_medium is the slow type of disk that the class chooses, by name or by leaving the choice to the provisioner;
# undefined for all others. `stated` tells which.
slow_medium(class) := {"type": type, "why": why, "stated": chosen != []} if {
	row := facts(provisioner(class))
	chosen := stated(class, switched_on(row.media.parameters))
	slow := [other |
		some other in types(chosen, row)
		is_string(row.media.slow[lower(other)])
	]
	type := slow[0]
	why := row.media.slow[lower(type)]
}

types(chosen, row) := [fallback] if {
	chosen == []
	fallback := fields.text(row, ["defaultType"])
} else := chosen

# Cluster ---

# known is the class of this name in the cluster, null where there is none.
known(name) := class if {
	class := data.cluster.storageclasses[name]
} else := null

# the_default is the name of the default class where the cluster has exactly one; of several the newest wins
# silently, which nobody should rely on.
the_default := name if {
	names := data.cluster.index.default_classes
	count(names) == 1
	name := names[0]
}

# retaining lists the classes of a provisioner that keep their volumes and are meant for data, sorted.
retaining(name) := [other |
	some other in object.get(data.cluster.index.classes_by_provisioner, name, [])
	class := known(other)
	reclaim_policy(class) == "Retain"
	not is_disposable(class)
]

# encrypting lists the classes of a provisioner whose volumes are encrypted, sorted.
encrypting(name) := [other |
	some other in object.get(data.cluster.index.classes_by_provisioner, name, [])
	class := known(other)
	encryption(class) == "on"
	not is_disposable(class)
]

# attachable lists classes of block storage whose volumes follow their pod to another node, sorted, ten at most. It
# walks the provisioners of the cluster, which are few, not the classes.
attachable := array.slice(
	sort([name |
		some provisioner_name, names in data.cluster.index.classes_by_provisioner
		row := facts(provisioner_name)
		row.storage == "block"
		row.boundTo != "node"
		some name in array.slice(names, 0, 10)
		not is_disposable(known(name))
	]),
	0, 10,
)
