# METADATA
# title: A single replica is not tied to one node
# description: >-
#   A Pod that may run on one node only stays down while that node is drained or broken, even if its volume could follow
#   it. The same is told of several replicas where the volumes may be static ones of that node.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
# custom:
#   id: node-pinned-doubtful
#   checklist: placement
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.node_pinned_doubtful

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
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some pin in selectors.pins(target)
	mild
	not selectors.on_static_storage(target, namespace)
	msg := concat(" ", [
		sprintf("%s tied to node %s:", [subject, fields.shown(pin.node)]),
		"while that node is drained or broken, nothing of it runs.",
	])
	fix := fix_of(pin.path[count(pin.path) - 1])
}

several if workload.replicas(target) > 1

mild if not several

# Several replicas are the matter of node-pinned where what is behind their claims is known.
mild if selectors.on_unknown_storage(target, namespace)

subject := text if {
	several
	text := sprintf("All %s replicas are", [workload.count_text(workload.replicas(target))])
} else := "The Pod is"

# The last step of the path says what ties the Pods.
fix_of("nodeName") := "remove nodeName"

fix_of(step) := "remove kubernetes.io/hostname from nodeSelector" if step == selectors.hostname

fix_of("nodeSelectorTerms") := "remove the term on one node, or choose nodes by a label that several of them have"
