# METADATA
# title: The only copy of data must not lie on one node
# description: >-
#   A node-local volume is lost with its node, and while the node is drained its Pod runs nowhere. That is right for
#   engines that keep copies on several nodes, and a loss of data for all others.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#local
# custom:
#   id: node-local-storage
#   checklist: storage-class
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: 'Off'}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.node_local_storage

import data.seawall.lib.object as fields
import data.seawall.lib.replication
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

violation contains {
	"msg": msg,
	"path": entry.path,
	"found": entry.what,
	"wanted": remedy.wanted,
	"fix": remedy.fix,
} if {
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some entry in subject.node_bound
	entry.copies == 1
	entry.verified
	entry.facts.storage != "static"
	not joined
	msg := concat(" ", [
		sprintf("Volume %s lies on one node (%s)", [fields.shown(entry.volume), entry.what]),
		"and there is no other copy:",
		"the data goes with the node or its disk, and nothing runs while the node is drained.",
	])
	remedy := storage.remedy(entry.path)
}

# joined: the workload is one member of a group whose others, with their copies, run elsewhere.
joined if {
	seen := subject.evidence
	some engine in subject.engines
	shown := replication.signs(engine.facts, seen)
	makes_a_member(engine, shown)
}

makes_a_member(_, shown) if "elsewhere" in shown

makes_a_member(engine, shown) if {
	engine.facts.replicates == true
	count(shown) > 0
}
