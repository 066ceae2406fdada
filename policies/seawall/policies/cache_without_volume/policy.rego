# METADATA
# title: A store that may be a cache says so, or has a volume
# description: >
#   Redis and its relatives, and Prometheus, are run as caches and as databases. Without a volume and without a word
#   that the data may go, nobody knows which it is until a node is drained.
# related_resources:
# - ref: https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
# custom:
#   id: cache-without-volume
#   checklist: statefulset
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE], via: direct}
#   context: []
package seawall.policies.cache_without_volume

import data.seawall.lib.engines
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

applies if {
	not workload.judged_at_owner(target)
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
}

# said_cache: the settings throw data away, or never write it.
said_cache(container) if {
	some element in engines.elements(container)
	regex.match(`(^|[ "'])allkeys-(lru|lfu|random)`, element)
}

said_cache(container) if {
	some index, element in engines.elements(container)
	element == ""
	engines.before(engines.elements(container), index) == "--save"
}

said_cache(container) if {
	some element in engines.elements(container)
	regex.match(`--save (""|'')`, element)
}

violation contains {
	"msg": sprintf(
		"%s in container %s has no lasting volume and is not declared a cache: what it holds is lost with the Pod",
		[entry.title, entry.name],
	),
	"path": array.concat(workload.pod_path(target), ["containers", entry.index, "volumeMounts"]),
	"found": "no writable claim at the data directory",
	"wanted": "a claim at the data directory, or the label seawall.dev/data: cache",
	"fix": "label the workload seawall.dev/data: cache if the data may be lost, else mount a claim at the data directory",
} if {
	applies
	some place, entry in subject.engines
	entry.sure
	entry.facts.volume == "advised"
	not said_cache(entry.container)
	subject.unsaved[place] != null
}
