# METADATA
# title: Copies on node-local volumes must be on different nodes
# description: >-
#   Node-local volumes suit engines that replicate, with three members that are forced onto different nodes. With fewer,
#   or with members that may share a node, one node can take the majority of the copies, or all.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#local
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
# custom:
#   id: node-local-storage-doubtful
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Audit, tier-3: 'Off'}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.node_local_storage_doubtful

import data.seawall.lib.classes
import data.seawall.lib.object as fields
import data.seawall.lib.replication
import data.seawall.lib.selectors
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

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
	doubtful(entry)
	not joined
	msg := concat(" ", [
		sprintf("Volume %s seems to lie on one node (%s)", [fields.shown(entry.volume), entry.what]),
		"and there is no other copy: the data goes with the node or its disk.",
	])
	remedy := storage.remedy(entry.path)
}

violation contains {
	"msg": msg,
	"path": entry.path,
	"found": entry.what,
	"wanted": "three replicas or more that are forced onto different nodes",
	"fix": fix,
} if {
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some entry in subject.node_bound
	entry.copies > 1
	likely(entry)
	not enough(entry)
	not elsewhere
	msg := concat(" ", [
		sprintf("Each volume %s lies on one node (%s),", [fields.shown(entry.volume), entry.what]),
		sprintf("there are %s of them,", [workload.count_text(entry.copies)]),
		sprintf("and %s:", [weakness(entry)]),
		"one node that fails can take most copies of the data with it, or all.",
	])
	fix := fix_of(entry)
}

# enough: three copies, and no two of them on a node.
enough(entry) if {
	entry.copies >= 3
	firm
}

# Different zones are different nodes, if the scheduler must keep to them.
firm if {
	some term in selectors.required_terms(target, namespace)
	term.topologyKey in {selectors.hostname, selectors.zone}
}

firm if {
	some constraint in selectors.spread_constraints(target)
	constraint.topologyKey == selectors.hostname
	constraint.whenUnsatisfiable == "DoNotSchedule"
	constraint.maxSkew == 1
}

weakness(entry) := "nothing forces them onto different nodes" if {
	entry.copies >= 3
} else := "two are no majority"

fix_of(entry) := text if {
	entry.copies >= 3
	text := concat(" ", [
		"affinity: {podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution:",
		"[{topologyKey: kubernetes.io/hostname, labelSelector: <spec.selector>}]}}",
	])
} else := "replicas: 3, with required pod anti-affinity on kubernetes.io/hostname"

# likely: the volume is, as far as can be told, on a node.
likely(entry) if entry.facts.storage != "static"

likely(entry) if waits(entry)

doubtful(entry) if not entry.verified

doubtful(entry) if waits(entry)

# Volumes that are made by hand can be anything. A class that makes the scheduler wait for the Pod is the way in which local
# ones are written.
waits(entry) if {
	entry.facts.storage == "static"
	classes.binding_mode(entry.class) == "WaitForFirstConsumer"
}

# signs of replication, by engine.
signs := [entry |
	seen := subject.evidence
	some engine in subject.engines
	shown := replication.signs(engine.facts, seen)
	entry := {"replicates": object.get(engine.facts, "replicates", false), "shown": shown}
]

# elsewhere: the workload is one part of a group whose other members run in other sets.
elsewhere if {
	some entry in signs
	"elsewhere" in entry.shown
}

# joined: the copies of its only Pod are there, or its engine was told of peers, which can be nowhere else.
joined if elsewhere

joined if {
	some entry in signs
	entry.replicates == true
	count(entry.shown) > 0
}
