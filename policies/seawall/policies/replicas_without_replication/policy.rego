# METADATA
# title: Replicas of a database replicate
# description: >-
#   Several replicas of an image that runs one server, each with a volume of its own and nothing that makes them
#   replicate, are unrelated databases behind one name: every row exists once, and a client finds in one what another
#   has never seen.
# related_resources:
# - ref: https://kubernetes.io/docs/tasks/run-application/run-replicated-stateful-application/
# custom:
#   id: replicas-without-replication
#   checklist: replication
#   severity: critical
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context: []
package seawall.policies.replicas_without_replication

import data.seawall.lib.replication
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

violation contains {
	"msg": concat(" ", [
		sprintf("%s replicas of %s in container %s have a volume each,", [number, entry.title, entry.name]),
		"and nothing in the template makes them replicate:",
		"they are unrelated databases behind one name, and each row exists in one of them only",
	]),
	"path": ["spec", "replicas"],
	"found": workload.replicas(target),
	"wanted": concat(": ", ["replication between the replicas", replication.ways(entry.facts)]),
	"fix": "spec: {replicas: 1}, until replication is set up",
	"key": entry.name,
} if {
	some stranger in subject.strangers
	not stranger.hidden
	entry := stranger.entry
	number := workload.count_text(workload.replicas(target))
}
