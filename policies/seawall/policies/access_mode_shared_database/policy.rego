# METADATA
# title: The data of a single-writer engine is not mounted by many nodes
# description: >
#   ReadWriteMany lets two Pods on two nodes mount one data directory. Two servers on it corrupt it, and nothing in the
#   volume stops them.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
# custom:
#   id: access-mode-shared-database
#   checklist: access-mode
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: persistentvolumeclaims, optional: true}
package seawall.policies.access_mode_shared_database

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

writers := [entry |
	some entry in subject.engines
	entry.sure
	entry.facts.single_writer
]

# shared: many nodes can mount the claim, and nobody gave a reason.
shared(claim) if {
	"ReadWriteMany" in fields.list(claim, ["spec", "accessModes"])
	trim_space(labels.annotation(claim, "seawall.dev/shared-writers")) == ""
}

message(entry, kind, name) := sprintf(
	"%s in container %s keeps its data on %s %s with ReadWriteMany: two servers can open and corrupt it",
	[entry.title, entry.name, kind, fields.shown(name)],
)

fix := concat(" ", [
	"ask for ReadWriteOnce (or ReadWriteOncePod);",
	"if sharing is right, say why in the annotation seawall.dev/shared-writers of the claim",
])

violation contains {
	"msg": message(entry, "claim template", template.name),
	"path": ["spec", "volumeClaimTemplates", template.index, "spec", "accessModes"],
	"found": template.template.spec.accessModes,
	"wanted": ["ReadWriteOnce"],
	"fix": fix,
} if {
	some template in workload.claim_templates(target)
	shared(template.template)
	some entry in writers
	template.name in engines.data_volumes(target, entry)
}

violation contains {
	"msg": message(entry, "claim", fixed.claim),
	"path": array.concat(workload.pod_path(target), ["volumes", fixed.index, "persistentVolumeClaim", "claimName"]),
	"found": fixed.claim,
	"wanted": "a claim with ReadWriteOnce",
	"fix": fix,
} if {
	some fixed in containers.claims(target)
	shared(data.cluster.persistentvolumeclaims[namespace][fixed.claim])
	some entry in writers
	fixed.volume in engines.data_volumes(target, entry)
}
