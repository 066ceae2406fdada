# METADATA
# title: No data in directories of a node
# description: >-
#   A hostPath is a directory of whatever node the Pod runs on. On another node the Pod finds another directory, mostly
#   an empty one; nothing limits its size, and the data goes with the node.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
# custom:
#   id: hostpath-volume
#   checklist: storage-class
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Audit}
#   match:
#   - {apiGroups: [''], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE]}
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
package seawall.policies.hostpath_volume

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

violation contains {
	"msg": msg,
	"path": ["spec", "hostPath"],
	"found": directory,
	"wanted": "a volume that is known to lie on one node (local), or one of a storage driver",
	"fix": fix,
} if {
	volume := input.request.object
	fields.text(volume, ["kind"]) == "PersistentVolume"
	is_object(fields.field(volume, ["spec", "hostPath"], null))
	not is_provisioned(volume)
	not labels.data_kind(volume) in {"cache", "scratch", "readonly"}
	not is_read_only(volume)
	directory := shown_directory(fields.dict(volume, ["spec", "hostPath"]))
	msg := concat(" ", [
		sprintf("This volume is the directory %s of whatever node its Pod runs on:", [directory]),
		"on another node the Pod finds another directory, mostly an empty one, and the data goes with the node.",
	])
	fix := concat("", [
		sprintf("local: {path: %s} instead of hostPath, with nodeAffinity for its node and a class that has ", [directory]),
		"volumeBindingMode: WaitForFirstConsumer",
	])
}

violation contains {
	"msg": msg,
	"path": path,
	"found": directory,
	"wanted": remedy.wanted,
	"fix": remedy.fix,
} if {
	target := input.request.object
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some engine in subject.engines
	engine.sure
	some name in engines.data_volumes(target, engine)
	some index, volume in fields.list(workload.pod_spec(target), ["volumes"])
	fields.text(volume, ["name"]) == name
	containers.kind(target, name) == "hostPath"
	path := array.concat(workload.pod_path(target), ["volumes", index, "hostPath"])
	directory := shown_directory(fields.dict(volume, ["hostPath"]))
	msg := concat(" ", [
		sprintf("%s in container %s keeps its data", [engine.title, engine.name]),
		sprintf("in the directory %s of whatever node it runs on:", [directory]),
		"on another node it starts with another directory, mostly an empty one, and the data goes with the node.",
	])
	remedy := storage.remedy(path)
}

# What a provisioner makes is judged at its class, and at those who use it: a denial here would leave claims waiting.
is_provisioned(volume) if labels.annotation(volume, "pv.kubernetes.io/provisioned-by") != ""

is_read_only(volume) if fields.list(volume, ["spec", "accessModes"]) == ["ReadOnlyMany"]

shown_directory(source) := fields.shown(fields.field(source, ["path"], ""))
