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
is_bucket(class) if {
	strings.any_suffix_match(provisioner(class), data.seawall.knowledge.provisioners.bucketSuffixes)
}

# is_static: volumes are made by hand, the class only groups them; each volume has a reclaim policy
# of its own.
is_static(class) if facts(provisioner(class)).storage == "static"

# is_addon_managed: the cluster's add-on manager writes the class again and again; users cannot change it.
is_addon_managed(class) if labels.label(class, "addonmanager.kubernetes.io/mode") in {"Reconcile", "EnsureExists"}

# Provisioners ---

# row_of is the name of the row of knowledge about a provisioner, "" where nothing is known: an unknown
# provisioner is unknown, not bad.
row_of(name) := name if {
	name in object.keys(data.seawall.knowledge.provisioners.rows)
} else := row if {
	row := object.get(data.seawall.knowledge.provisioners.inTree.migrated, name, "")
	row != ""
} else := row if {
	row := object.get(data.seawall.knowledge.provisioners.aliases, name, "")
	row != ""
} else := "" if {
	rows_by_suffix(name) == []
} else := row if {
	row := rows_by_suffix(name)[0]
}

rows_by_suffix(name) := [row |
	some entry in data.seawall.knowledge.provisioners.suffixes
	endswith(name, entry.suffix)
	row := entry.row
]

# facts is what is known of a provisioner, {} where nothing is.
facts(name) := object.get(data.seawall.knowledge.provisioners.rows, row_of(name), {})

# facts_of is what is known of the volumes of a class: the facts of its provisioner, changed by the class's
# parameters.
facts_of(class) := object.union(base, changes) if {
	base := facts(provisioner(class))
	changes := {key: value |
		some variant in object.get(base, "variants", [])
		applies(variant, class)
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
