# METADATA
# title: Replicas are not tied to one node
# description: >-
#   Several replicas that may run on one node only have one failure domain: a failure or drain of that node stops all of
#   them at once, and none can start anywhere else.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
# custom:
#   id: node-pinned
#   checklist: placement
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.node_pinned

import data.seawall.lib.object as fields
import data.seawall.lib.selectors
import data.seawall.lib.workload

target := input.request.object

namespace := workload.namespace(input.request)

violation contains {
	"msg": msg,
	"path": pin.path,
	"found": pin.node,
	"wanted": "a choice of several nodes",
	"fix": fix,
} if {
	workload.replicas(target) > 1
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some pin in selectors.pins(target)
	not excused
	msg := concat(" ", [
		sprintf("All %s replicas", [workload.count_text(workload.replicas(target))]),
		sprintf("are tied to node %s:", [fields.shown(pin.node)]),
		"its failure or drain stops every one of them, and none can start elsewhere.",
	])
	fix := fix_of(pin.path[count(pin.path) - 1])
}

excused if selectors.on_static_storage(target, namespace)

# Static volumes cannot be ruled out: see node-pinned-doubtful.
excused if selectors.on_unknown_storage(target, namespace)

# The last step of the path says what ties the Pods.
fix_of("nodeName") := "remove nodeName"

fix_of(step) := "remove kubernetes.io/hostname from nodeSelector" if step == selectors.hostname

fix_of("nodeSelectorTerms") := "remove the term on one node, or choose nodes by a label that several of them have"
