# METADATA
# title: No mount options that trade data for speed
# description: >-
#   Some mount options make a disk faster by giving up what a database relies on: write barriers, the journal, file
#   locks, or that a write waits until the server answers. After a crash, or a stall, the data is damaged.
# related_resources:
# - ref: https://man7.org/linux/man-pages/man5/nfs.5.html
# - ref: https://man7.org/linux/man-pages/man5/ext4.5.html
# custom:
#   id: unsafe-mount-options
#   checklist: storage-class
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
#   - {apiGroups: [''], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE, UPDATE]}
package seawall.policies.unsafe_mount_options

import data.seawall.knowledge.provisioners as known
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage

target := input.request.object

is_class if fields.text(target, ["kind"]) == "StorageClass"

is_volume if fields.text(target, ["kind"]) == "PersistentVolume"

violation contains {
	"msg": sprintf("Mount option %s: %s.", [option, why]),
	"path": place.path,
	"found": option,
	"wanted": sprintf("mounted without %s", [option]),
	"fix": sprintf("remove %s from %s", [option, place.name]),
	"key": sprintf("%s: %s", [place.name, option]),
} if {
	not labels.data_kind(target) in {"cache", "scratch", "readonly"}
	not "ro" in listed_options
	some place in places
	some option in place.options
	some kind in place.kinds
	why := known.mountOptions[kind][option]
	is_string(why)
}

# places where mount options are written, each with the kinds of file systems that read them.
places := array.concat(in_list, in_parameters)

in_list := [place |
	some index, text in fields.list(target, list_path)
	place := {
		"path": array.concat(list_path, [index]),
		"name": "mountOptions",
		"options": options(text),
		"kinds": kinds,
	}
]

list_path := ["mountOptions"] if is_class

list_path := ["spec", "mountOptions"] if is_volume

# Classes of some drivers have mount options among their parameters.
in_parameters := [place |
	is_class
	some key, text in fields.dict(target, ["parameters"])
	reader := known.mountOptionParameters[lower(key)]
	place := {
		"path": ["parameters", key],
		"name": key,
		"options": options(text),
		"kinds": read_by(reader),
	}
]

listed_options := {option |
	some place in in_list
	some option in place.options
}

read_by(reader) := ["filesystem", "nfs"] if reader == "nfs"

read_by(reader) := kinds if reader == "class"

kinds := ["filesystem", "nfs"] if {
	mounts_nfs
} else := ["filesystem"]

mounts_nfs if {
	is_class
	classes.facts_of(target).protocol == "nfs"
	classes.is_verified(target)
}

mounts_nfs if {
	is_volume
	source := storage.behind_source(fields.dict(target, ["spec"]))
	source.facts.protocol == "nfs"
	source.verified
}

# options of a text, which may hold several.
options(text) := {option |
	is_string(text)
	some part in split(replace(lower(text), ";", ","), ",")
	option := trim_space(part)
}
