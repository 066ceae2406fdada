# METADATA
# title: The replication of a database can be seen
# description: >-
#   As replicas-without-replication, where settings that the object does not show, such as a mounted ConfigMap, may
#   hold the replication that the template does not.
# related_resources:
# - ref: https://kubernetes.io/docs/tasks/run-application/run-replicated-stateful-application/
# custom:
#   id: replicas-without-replication-unseen
#   checklist: replication
#   severity: medium
#   actions: {tier-0: Audit, tier-1: Audit, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context: []
package seawall.policies.replicas_without_replication_unseen

import data.seawall.lib.replication
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

violation contains {
	"msg": concat(" ", [
		sprintf("whether the %s replicas of %s in container %s replicate cannot be seen:", [
			number,
			entry.title,
			entry.name,
		]),
		"unless the configuration that is mounted says so, they are unrelated databases behind one name",
	]),
	"path": ["spec", "replicas"],
	"found": workload.replicas(target),
	"wanted": concat(": ", ["replication between the replicas", replication.ways(entry.facts)]),
	"fix": "look into the configuration; without replication, spec: {replicas: 1}",
	"key": entry.name,
} if {
	some stranger in subject.strangers
	stranger.hidden
	entry := stranger.entry
	number := workload.count_text(workload.replicas(target))
}
