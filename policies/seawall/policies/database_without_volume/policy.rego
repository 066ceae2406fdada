# METADATA
# title: A database has a volume that outlives its Pod
# description: >
#   A database without a volume, or with its data directory on an emptyDir, loses everything when its Pod is deleted,
#   evicted or drained.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#emptydir
# custom:
#   id: database-without-volume
#   checklist: statefulset
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   context: []
package seawall.policies.database_without_volume

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
}

at(entry) := array.concat(workload.pod_path(target), ["containers", entry.index, "volumeMounts"])

fix := concat(" ", [
	"add a volumeClaimTemplate (StatefulSet) or a claim and mount it at the data directory;",
	"label the workload seawall.dev/data: scratch if the data may be lost",
])

# keeping: the engines whose data must outlive the Pod, with what is wrong: null where it does.
keeping := [{"entry": entry, "lack": lack} |
	applies
	some place, entry in subject.engines
	entry.sure
	engines.needs_volume(entry)
	lack := subject.unsaved[place]
]

violation contains {
	"msg": sprintf(
		"%s in container %s has no volume that outlives the Pod: its data is lost when the Pod is deleted or drained",
		[found.entry.title, found.entry.name],
	),
	"path": at(found.entry),
	"found": "no writable claim",
	"wanted": "a claim mounted at the data directory",
	"fix": fix,
} if {
	some found in keeping
	found.lack.reason == "none"
}

violation contains {
	"msg": sprintf(
		"%s in container %s keeps its data directory on %s %s: it is lost when the Pod is deleted or drained",
		[found.entry.title, found.entry.name, kind, fields.shown(mount.volume)],
	),
	"path": array.concat(at(found.entry), [mount.index]),
	"found": kind,
	"wanted": "a claim mounted at the data directory",
	"fix": fix,
} if {
	some found in keeping
	mount := found.lack.mount
	kind := containers.kind(target, mount.volume)
}
