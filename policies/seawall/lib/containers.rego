# METADATA
# title: Containers, their mounts and the volumes behind them
# description: >
#   Which volume a container mounts, how, and whether what it writes there outlives the Pod.
package seawall.lib.containers

import data.seawall.lib.object as fields
import data.seawall.lib.workload

# main lists the containers of a workload with their index; init the init containers, native sidecars among them.
main(value) := listed(value, "containers")

init(value) := listed(value, "initContainers")

listed(value, field) := [entry |
	some index, container in fields.list(workload.pod_spec(value), [field])
	is_object(container)
	entry := {"field": field, "index": index, "container": container}
]

# mounts of a container: file systems and raw block devices. A device has no path in the data directory's sense.
mounts(container) := array.concat(file_mounts(container), device_mounts(container))

file_mounts(container) := [mount |
	some index, entry in fields.list(container, ["volumeMounts"])
	volume := fields.text(entry, ["name"])
	volume != ""
	mount := {
		"field": "volumeMounts",
		"index": index,
		"volume": volume,
		"path": trim_right(fields.text(entry, ["mountPath"]), "/"),
		"writable": writable(entry),
	}
]

device_mounts(container) := [mount |
	some index, entry in fields.list(container, ["volumeDevices"])
	volume := fields.text(entry, ["name"])
	volume != ""
	mount := {"field": "volumeDevices", "index": index, "volume": volume, "path": "", "writable": true}
]

writable(entry) := false if {
	workload.flag_at(entry, ["readOnly"])
} else := true

# mounted are the names of all volumes that any container mounts.
mounted(value) := {mount.volume |
	some entry in array.concat(main(value), init(value))
	some mount in mounts(entry.container)
}

# claims are the volumes of the Pod spec that name a claim and are not overridden by a claim template.
claims(value) := [claim |
	templates := {template.name | some template in workload.claim_templates(value)}
	some index, volume in fields.list(workload.pod_spec(value), ["volumes"])
	name := fields.text(volume, ["name"])
	not name in templates
	claim_name := fields.text(volume, ["persistentVolumeClaim", "claimName"])
	claim_name != ""
	claim := {
		"index": index,
		"volume": name,
		"claim": claim_name,
		"writable": writable(fields.dict(volume, ["persistentVolumeClaim"])),
	}
]

# writes: the container can write to the volume of that name.
writes(container, volume) if {
	some mount in mounts(container)
	mount.volume == volume
	mount.writable
}

# written_claims are the fixed claims that the container can write to.
written_claims(value, container) := [claim |
	some claim in claims(value)
	claim.writable
	writes(container, claim.volume)
]

# written lists the fixed claims that any container, init containers among them, can write to. Most workloads have none.
written(value) := [claim |
	fixed := claims(value)
	count(fixed) > 0
	volumes := {mount.volume |
		some entry in array.concat(main(value), init(value))
		some mount in mounts(entry.container)
		mount.writable
	}
	some claim in fixed
	claim.writable
	claim.volume in volumes
]

# kind of the volume that a mount's name means: claimTemplate, the key of the volume's source, or "unknown" where the
# name is not explained by the object. A volume without a source is an emptyDir, as the API defaults it.
kind(value, name) := "claimTemplate" if {
	is_claim_template(value, name)
} else := found if {
	found := source_kind(volume_named(value, name))
} else := "unknown"

is_claim_template(value, name) if {
	some template in workload.claim_templates(value)
	template.name == name
}

# volume_named is the first volume of that name. (An invalid object may have several.)
volume_named(value, name) := volumes[0] if {
	volumes := [volume |
		some volume in fields.list(workload.pod_spec(value), ["volumes"])
		fields.text(volume, ["name"]) == name
	]
}

source_kind(volume) := found if {
	sources := sort([key |
		some key, source in volume
		key != "name"
		source != null
	])
	found := sources[0]
} else := "emptyDir"

# What these hold is gone with the Pod, or was never the workload's to write.
passing_kinds := {
	"configMap", "downwardAPI", "emptyDir", "ephemeral", "gitRepo", "image", "projected", "secret",
}

# lasting: what is written to the volume outlives the Pod, as far as the object tells. A name that the object does not
# explain counts as lasting: not knowing is no fault.
lasting(value, name) if {
	found := kind(value, name)
	not found in passing_kinds
	not plumbing(found, value, name)
}

# Host paths of the system (time zone files, devices) and inline drivers that deliver secrets hold no data.
plumbing("hostPath", value, name) if {
	path := fields.text(volume_named(value, name), ["hostPath", "path"])
	strings.any_prefix_match(path, ["/etc/", "/dev", "/lib/modules", "/proc", "/run/", "/sys", "/usr/share/zoneinfo"])
}

plumbing("csi", value, name) if {
	driver := fields.text(volume_named(value, name), ["csi", "driver"])
	driver in {"csi.cert-manager.io", "csi.spiffe.io", "secrets-store.csi.k8s.io"}
}

plumbing("persistentVolumeClaim", value, name) if {
	workload.flag_at(volume_named(value, name), ["persistentVolumeClaim", "readOnly"])
}

# covers: a file at the path lies on the mount.
covers(mount, path) if {
	mount.path == path
	mount.field == "volumeMounts"
}

covers(mount, path) if {
	mount.field == "volumeMounts"
	startswith(path, concat("", [mount.path, "/"]))
}

# touches: the mount covers the path or lies below it.
touches(mount, path) if covers(mount, path)

touches(mount, path) if {
	mount.field == "volumeMounts"
	startswith(mount.path, concat("", [path, "/"]))
}
