# METADATA
# title: A StatefulSet has state
# description: >
#   A StatefulSet without a lasting volume pays for ordered, one by one updates, and for Pods that stay away when their node is
#   lost, without having anything to protect. Some want only the stable names.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#using-statefulsets
# custom:
#   id: statefulset-without-volume
#   checklist: statefulset
#   severity: low
#   actions: {tier-0: Audit, tier-1: Audit, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
package seawall.policies.statefulset_without_volume

import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

# An engine without a volume is for database-without-volume and cache-without-volume, a template that no container mounts for
# claim-template-mounted.
stateless if {
	fields.list(target, ["spec", "volumeClaimTemplates"]) == []
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	not workload.operator_owned(target)
	subject.engines == []
	not lasting
}

lasting if {
	some name in containers.mounted(target)
	containers.lasting(target, name)
}

violation contains {
	"msg": "no container has a volume that outlives its Pod: a Deployment updates and recovers faster",
	"path": ["spec", "volumeClaimTemplates"],
	"found": "no lasting volume",
	"wanted": "a Deployment, volumeClaimTemplates, or a word that the data may go",
	"fix": concat(" ", [
		"kind: Deployment if the Pods need no stable names; volumeClaimTemplates if they keep data;",
		"else the label seawall.dev/data: scratch",
	]),
} if {
	stateless
}
