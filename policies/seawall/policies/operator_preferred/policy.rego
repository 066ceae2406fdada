# METADATA
# title: An operator runs the replicas of a database
# description: >-
#   A StatefulSet starts Pods in order and knows nothing of primaries, failover, backups or upgrades of a database. For
#   engines with an established operator this is work that nobody needs to do by hand.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/extend-kubernetes/operator/
# custom:
#   id: operator-preferred
#   checklist: operators
#   severity: low
#   actions: {tier-0: Audit, tier-1: Audit, tier-2: "Off", tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context: []
package seawall.policies.operator_preferred

import data.seawall.lib.approach
import data.seawall.lib.engines
import data.seawall.lib.replication
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

# Whoever wrote down another approach for this very workload has chosen.
chosen if {
	own := approach.own_approach(target)
	approach.is_approach(own)
	own != "operator"
}

applies if {
	workload.replicas(target) > 1
	count(workload.controllers(target)) == 0
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	not chosen
}

violation contains {
	"msg": concat(" ", [
		sprintf("%s replicas of %s in container %s are run by a StatefulSet alone:", [number, entry.title, entry.name]),
		"failover, backups and upgrades are left to people, where an operator could do them",
	]),
	"path": ["kind"],
	"found": "StatefulSet",
	"wanted": concat(": ", ["an operator", concat(", ", names)]),
	"fix": concat(" ", [
		"move to a resource of such an operator, or write down the choice:",
		"metadata: {labels: {seawall.dev/storage-approach: csi-statefulset}}",
	]),
	"key": entry.name,
} if {
	applies
	some entry in subject.engines
	entry.sure
	names := replication.operator_names(entry.facts)
	count(names) > 0
	count(engines.lasting_mounts(target, entry)) > 0
	number := workload.count_text(workload.replicas(target))
}
