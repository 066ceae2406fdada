# METADATA
# title: Data of the highest tier has a priority class
# description: >-
#   Pods without a priority class wait behind batch jobs, or make way for them, when nodes fail and room is short.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
# custom:
#   id: priority-class
#   checklist: placement
#   severity: medium
#   actions: {tier-0: Audit, tier-1: "Off", tier-2: "Off", tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
package seawall.policies.priority_class

import data.seawall.lib.approach
import data.seawall.lib.object as fields
import data.seawall.lib.workload

target := input.request.object

path := array.concat(workload.pod_path(target), ["priorityClassName"])

violation contains {
	"msg": concat(" ", [
		sprintf("this %s keeps data and its Pods have no priority class:", [fields.shown(fields.text(target, ["kind"]))]),
		"when nodes fail and room is short, they wait behind, or make way for, work that could wait",
	]),
	"path": path,
	"found": "no priorityClassName",
	"wanted": "a PriorityClass above that of what can wait",
	"fix": "spec: {template: {spec: {priorityClassName: <a class>}}}",
} if {
	fields.field(target, path, "") == ""
	approach.chooses(target)
}
