# METADATA
# title: Database containers declare what they need
# description: >-
#   A database without requests is put on a full node and killed first when memory runs short there. So is one that uses
#   more memory than it requests.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
# - ref: https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/
# custom:
#   id: resources-declared
#   checklist: sizing
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: limitranges, optional: true}
package seawall.policies.resources_declared

import data.seawall.lib.object as fields
import data.seawall.lib.quantities
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"cache", "scratch"}
}

# judged are the engines with data of their own. A port is too weak a sign.
judged := [entry |
	applies
	some entry in subject.engines
	entry.by != "port"
	fields.text(entry.facts, ["volume"]) != "none"
]

written(entry, kind, resource) := fields.field(entry.container, ["resources", kind, resource], null)

# states: a request of nothing is none.
states(quantity) if {
	quantity != null
	not nothing(quantity)
}

nothing(quantity) if quantities.milli(quantity) == 0

# requests: the API takes a limit as the request where there is none.
requests(entry, resource) if states(written(entry, "requests", resource))

requests(entry, resource) if {
	written(entry, "requests", resource) == null
	states(written(entry, "limits", resource))
}

# given: the Pod as a whole, or the namespace, provides for what the container does not say itself.
given(resource) if {
	some kind in ["requests", "limits"]
	fields.field(workload.pod_spec(target), ["resources", kind, resource], null) != null
}

given(resource) if {
	some kind in ["default", "defaultRequest"]
	ranged(kind, resource)
}

limited(resource) if fields.field(workload.pod_spec(target), ["resources", "limits", resource], null) != null

limited(resource) if ranged("default", resource)

# ranged: a LimitRange gives containers a default. A namespace has one or two.
ranged(kind, resource) if {
	some range in data.cluster.limitranges[workload.namespace(input.request)]
	some limit in fields.list(range, ["spec", "limits"])
	fields.text(limit, ["type"]) == "Container"
	fields.field(limit, [kind, resource], null) != null
}

missing(entry) := [resource |
	some resource in ["cpu", "memory"]
	not requests(entry, resource)
	not given(resource)
]

harms := {
	"cpu": "busy neighbours starve it",
	"memory": "it is among the first to be killed when memory runs short",
}

violation contains {
	"msg": sprintf(
		"container %s runs %s without a request for %s: the scheduler may put it on a full node, where %s",
		[entry.name, entry.title, listed, concat(" and ", harm)],
	),
	"path": array.concat(workload.pod_path(target), ["containers", entry.index, "resources", "requests"]),
	"found": sprintf("no request for %s", [listed]),
	"wanted": sprintf("a request for %s", [listed]),
	"fix": sprintf("resources: {requests: {%s}}", [concat(", ", lines)]),
} if {
	some entry in judged
	resources := missing(entry)
	count(resources) > 0
	listed := concat(" and ", resources)
	harm := [text |
		some resource in resources
		text := harms[resource]
	]
	lines := [sprintf("%s: <what it needs>", [resource]) | some resource in resources]
}

# excess tells what is wrong with the memory limit, and how to mend it; undefined where nothing is.
excess(entry, request) := {
	"text": "no limit",
	"found": "no limit",
	"fix": sprintf("limits: {memory: %s}", [quantities.shown(request)]),
} if {
	written(entry, "limits", "memory") == null
	not limited("memory")
}

# Raising the request takes nothing away from a database that runs.
excess(entry, request) := {
	"text": sprintf("a limit of %s", [quantities.shown(limit)]),
	"found": limit,
	"fix": sprintf("requests: {memory: %s}", [quantities.shown(limit)]),
} if {
	limit := written(entry, "limits", "memory")
	quantities.milli(limit) != quantities.milli(request)
}

violation contains {
	"msg": concat(" ", [
		sprintf("container %s runs %s with a memory request of %s and %s:", [
			entry.name,
			entry.title,
			quantities.shown(request),
			wrong.text,
		]),
		"what it uses above the request is not kept free for it, and it is killed for that when the node runs short",
	]),
	"path": array.concat(workload.pod_path(target), ["containers", entry.index, "resources", "limits", "memory"]),
	"found": wrong.found,
	"wanted": "a limit that equals the request",
	"fix": sprintf("resources: {%s}", [wrong.fix]),
} if {
	some entry in judged
	request := written(entry, "requests", "memory")
	quantities.milli(request) > 0
	wrong := excess(entry, request)
}
