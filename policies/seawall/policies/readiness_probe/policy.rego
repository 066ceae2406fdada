# METADATA
# title: Stateful containers have a readiness probe
# description: >
#   Without a readiness probe a Pod counts as ready the moment its process starts: Services send traffic to a database
#   that is still recovering, and a rolling update goes on to the next replica before this one is back.
# related_resources:
# - ref: https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
# custom:
#   id: readiness-probe
#   checklist: probes
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: services, optional: true}
package seawall.policies.readiness_probe

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.object as fields
import data.seawall.lib.probes
import data.seawall.lib.subject as shared
import data.seawall.lib.workload

subject := input.request.object

is_set if fields.text(subject, ["kind"]) == "StatefulSet"

# A Deployment is stateful when it has a claim.
stateful if is_set

stateful if count(containers.claims(subject)) > 0

# governing is the Service that the set names, {} as long as it is not known.
governing := service if {
	name := fields.text(subject, ["spec", "serviceName"])
	service := data.cluster.services[workload.namespace(input.request)][name]
} else := {}

# servers are the containers that should have a probe.
servers := probes.subjects_beside(subject, shared.engines)

unready := [entry |
	stateful
	some entry in servers
	not probes.has_readiness(entry.container)
]

# safe: adding a probe cannot do harm.
safe(entry) if {
	is_set
	engines.declared(subject) != "none"
	not probes.trapped(subject, entry, governing)
}

violation contains {
	"msg": sprintf(
		"container %s runs %s and has no readiness probe: it gets traffic, and lets updates go on, before it can serve",
		[entry.name, entry.title],
	),
	"path": array.concat(workload.pod_path(subject), ["containers", entry.index, "readinessProbe"]),
	"found": "no readinessProbe",
	"wanted": wanted(entry),
	"fix": fix(entry),
} if {
	some entry in unready
}

wanted(entry) := probe if {
	safe(entry)
	probe := probes.probe(entry)
} else := "a readinessProbe"

fix(entry) := concat(" ", [
	"add a readinessProbe that answers before the peers are there (tcpSocket); or set podManagementPolicy: Parallel",
	"and publishNotReadyAddresses: true on the governing Service, since otherwise a stricter probe can keep the first",
	"replica waiting for peers that are never started",
]) if {
	is_set
	probes.trapped(subject, entry, governing)
} else := sprintf(
	"add readinessProbe: {tcpSocket: {port: %d}, initialDelaySeconds: 10, periodSeconds: 10, timeoutSeconds: 5}",
	[port],
) if {
	port := probes.port(entry)
} else := "declare the port under ports and add a readinessProbe with tcpSocket on it"

patch contains {
	"op": "add",
	"path": sprintf("/spec/template/spec/containers/%d/readinessProbe", [entry.index]),
	"value": probe,
} if {
	input.request.operation == "CREATE"
	some entry in unready
	safe(entry)
	probe := probes.probe(entry)
}
