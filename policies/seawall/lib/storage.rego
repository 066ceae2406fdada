# METADATA
# title: The storage behind a StatefulSet's claim templates
# description: >-
#   Joins claim templates with their class and what is known of it. Reads data.cluster: a policy that calls these
#   functions declares storageclasses.
package seawall.lib.storage

import data.seawall.lib.classes
import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.workload

# of lists the claim templates of a StatefulSet, each with
#   index, name, claim:  the template
#   class_name:          as written, or the cluster's only default class; "" where dynamic provisioning was declined,
#                        null where it cannot be told
#   class:               the StorageClass, null where it is not in the cluster
#   facts:               what is known of its volumes (see classes.facts_of), {} where nothing is
#   verified:            whether a denial may rest on these facts
of(value) := [entry |
	some template in workload.claim_templates(value)
	name := class_name(template.template)
	class := named(name)
	entry := {
		"index": template.index,
		"name": template.name,
		"claim": template.template,
		"class_name": name,
		"class": class,
		"facts": facts(class),
		"verified": verified(class),
	}
]

# class_name of a claim, with the cluster's default class where the claim names none.
class_name(claim) := name if {
	name := classes.class_of(claim)
	name != null
} else := name if {
	name := classes.the_default
} else := null

named(name) := classes.known(name) if is_string(name)

named(null) := null

# facts of the volumes of a class, {} where the class is not known.
facts(null) := {}

facts(class) := classes.facts_of(class) if is_object(class)

verified(class) if {
	is_object(class)
	classes.is_verified(class)
} else := false

# behind tells what is behind a volume of the Pod template, by the volume's name, as far as it is known:
#   path:            where it is chosen, for a violation
#   what:            the class, driver or kind, for a message
#   class:           the StorageClass that makes it, null where a PersistentVolume or the Pod says more
#   claim:           the claim or its template, {} for a volume of the Pod itself
#   facts, verified: as in of()
# Undefined where nothing is known. Besides the classes it reads persistentvolumeclaims and persistentvolumes.
behind(value, _, volume) := entry if {
	containers.kind(value, volume) == "claimTemplate"
	entry := behind_template(value, volume)
}

behind(value, namespace, volume) := entry if {
	containers.kind(value, volume) == "persistentVolumeClaim"
	entry := behind_claim(value, namespace, volume)
}

behind(value, _, volume) := object.union(entry, {"path": path, "claim": {}}) if {
	not containers.kind(value, volume) in {"claimTemplate", "persistentVolumeClaim", "unknown"}
	source := containers.volume_named(value, volume)
	entry := behind_source(source)
	path := array.concat(workload.pod_path(value), ["volumes", first_index(value, volume), entry.kind])
}

behind_template(value, volume) := entries[0] if {
	entries := [entry |
		some template in of(value)
		template.name == volume
		template.class != null
		entry := {
			"path": array.concat(
				["spec", "volumeClaimTemplates", template.index],
				classes.class_path(template.claim),
			),
			"what": sprintf("class %s", [fields.shown(template.class_name)]),
			"claim": template.claim,
			"class": template.class,
			"facts": template.facts,
			"verified": template.verified,
		}
	]
}

behind_claim(value, namespace, volume) := entries[0] if {
	entries := [entry |
		some claim in containers.claims(value)
		claim.volume == volume
		stored := data.cluster.persistentvolumeclaims[namespace][claim.claim]
		found := behind_stored(stored)
		path := array.concat(workload.pod_path(value), ["volumes", claim.index, "persistentVolumeClaim", "claimName"])
		entry := object.union(found, {"path": path, "claim": stored})
	]
}

# The volume knows more than the class: it may have been made by hand.
behind_stored(claim) := entry if {
	volume := data.cluster.persistentvolumes[fields.text(claim, ["spec", "volumeName"])]
	entry := behind_source(fields.dict(volume, ["spec"]))
} else := entry if {
	name := class_name(claim)
	class := named(name)
	class != null
	entry := {
		"what": sprintf("class %s", [fields.shown(name)]),
		"class": class,
		"facts": facts(class),
		"verified": verified(class),
	}
}

# behind_source reads the source of a PersistentVolume or of a volume of a Pod: `csi` names its driver, others are known
# by their kind.
behind_source(source) := entry if {
	driver := fields.text(source, ["csi", "driver"])
	driver != ""
	like := {"provisioner": driver, "parameters": fields.dict(source, ["csi", "volumeAttributes"])}
	entry := {
		"kind": "csi",
		"what": fields.shown(driver),
		"class": null,
		"facts": classes.facts_of(like),
		"verified": verified(like),
	}
} else := entry if {
	kinds := [kind |
		some kind, row in data.seawall.knowledge.provisioners.volumeSources
		is_string(row)
		is_object(source[kind])
	]
	kind := kinds[0]
	row := data.seawall.knowledge.provisioners.volumeSources[kind]
	entry := {
		"kind": kind,
		"what": kind,
		"class": null,
		"facts": classes.facts(row),
		"verified": verified({"provisioner": row}),
	}
}

first_index(value, volume) := indices[0] if {
	indices := [index |
		some index, entry in fields.list(workload.pod_spec(value), ["volumes"])
		fields.text(entry, ["name"]) == volume
	]
}

# data_behind tells what is behind the data directory of an engine (an entry of subject.engines): one entry as of behind
# for each volume that is mounted writable there. Volumes elsewhere hold backups, logs or settings.
data_behind(value, namespace, entry) := [found |
	volumes := {mount.volume |
		some mount in containers.file_mounts(entry.container)
		mount.writable
		some path in engines.paths(entry.container, entry.facts)
		containers.touches(mount, path)
	}
	some volume in volumes
	found := behind(value, namespace, volume)
]

# node_bound lists the volumes with lasting data that live and die with a node: of claim templates, and of claims that
# the Pods write to. Each entry is as of behind, with
#   volume:   its name
#   copies:   how many volumes hold data like it: one for each replica of a template, one for a claim
node_bound(value, namespace) := [entry |
	some volume in lasting_volumes(value)
	found := behind(value, namespace, volume.volume)
	found.facts.boundTo == "node"
	not labels.data_kind(found.claim) in {"cache", "scratch", "readonly"}
	entry := object.union(found, volume)
]

lasting_volumes(value) := array.concat(own, fixed) if {
	copies := workload.replicas(value)
	own := [volume |
		some template in workload.claim_templates(value)
		volume := {"volume": template.name, "copies": copies}
	]
	fixed := [volume |
		some claim in containers.written(value)
		volume := {"volume": claim.volume, "copies": 1}
	]
}

# remedy says what to choose where the storage behind a path does not suit a database: block storage that follows its Pod.
remedy(path) := {"wanted": wanted_of(classes.attachable), "fix": fix_of(path[count(path) - 1], classes.attachable)}

wanted_of(others) := "a class of block storage that follows its Pod" if {
	others == []
} else := text if {
	text := sprintf("a class of block storage that follows its Pod: %s", [concat(", ", others)])
}

# The last step of the path says what chose the storage.
fix_of(field, others) := sprintf("%s: %s", [field, others[0]]) if names_class(field)

fix_of(field, others) := sprintf("%s: <a class of block storage>", [field]) if {
	names_class(field)
	others == []
}

fix_of(field, _) := "use a claim of block storage, in volumeClaimTemplates of a StatefulSet" if not names_class(field)

names_class(field) if field in {"storageClassName", "volume.beta.kubernetes.io/storage-class"}
