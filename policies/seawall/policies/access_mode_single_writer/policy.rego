# METADATA
# title: The only writer of a volume is held to be the only one
# description: >
#   ReadWriteOnce keeps other nodes off a volume, not other Pods on the same node. ReadWriteOncePod keeps off every second
#   Pod, which an engine that must be alone on its data directory deserves.
# related_resources:
# - ref: https://kubernetes.io/docs/tasks/administer-cluster/change-pv-access-mode-readwriteoncepod/
# custom:
#   id: access-mode-single-writer
#   checklist: access-mode
#   severity: medium
#   actions: {tier-0: Audit, tier-1: Audit, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   context:
#   - {resource: storageclasses, optional: false}
package seawall.policies.access_mode_single_writer

import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.engines
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

writers := [entry |
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some entry in subject.engines
	entry.sure
	entry.facts.single_writer
]

# Templates of one node on CSI storage that can hold a volume to one Pod. Volumes on a host path are not CSI volumes, and
# volumes made by hand have the modes that they have.
open_to_a_node := [stored |
	some stored in subject.templates
	fields.list(stored.claim, ["spec", "accessModes"]) == ["ReadWriteOnce"]
	not fields.text(stored.facts, ["storage"]) in {"hostpath", "static"}
	not startswith(classes.provisioner(stored.class), "kubernetes.io/")
	row := classes.row_of(classes.provisioner(stored.class))
	"ReadWriteOncePod" in claims.offered(row, stored.facts, claims.volume_mode(stored.claim))
]

message(entry, name) := concat(" ", [
	sprintf("%s in container %s must be alone on its data, but claim template %s", [entry.title, entry.name, name]),
	"does not see to it: with ReadWriteOnce a second Pod on the node can mount it",
])

violation contains {
	"msg": message(entry, fields.shown(stored.name)),
	"path": ["spec", "volumeClaimTemplates", stored.index, "spec", "accessModes"],
	"found": ["ReadWriteOnce"],
	"wanted": ["ReadWriteOncePod"],
	"fix": concat(" ", [
		"accessModes: [ReadWriteOncePod] in new sets; needs Kubernetes 1.29",
		"and a driver with csi-provisioner 3.0, csi-attacher 3.3 and csi-resizer 1.3 or newer",
	]),
} if {
	some entry in writers
	some stored in open_to_a_node
	stored.name in engines.data_volumes(target, entry)
}
