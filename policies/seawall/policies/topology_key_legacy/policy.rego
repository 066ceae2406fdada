# METADATA
# title: The old labels of zones and regions are not used
# description: >-
#   failure-domain.beta.kubernetes.io labels are deprecated since Kubernetes v1.17, and clouds stop to set them on new
#   nodes. What is spread, chosen or bound by them then finds no nodes, or is not spread at all.
# related_resources:
# - ref: https://kubernetes.io/docs/reference/labels-annotations-taints/#failure-domainbetakubernetesiozone
# - ref: https://github.com/kubernetes/kubernetes/pull/81431
# custom:
#   id: topology-key-legacy
#   checklist: topology
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE, UPDATE]}
package seawall.policies.topology_key_legacy

import data.seawall.knowledge.provisioners as known
import data.seawall.lib.classes
import data.seawall.lib.object as fields
import data.seawall.lib.selectors
import data.seawall.lib.workload

target := input.request.object

prefix := "failure-domain.beta.kubernetes.io/"

violation contains {
	"msg": msg,
	"path": place.path,
	"found": place.label,
	"wanted": wanted,
	"fix": fix,
	"key": sprintf("%s %s", [place.field, fields.shown(place.label)]),
} if {
	some place in places
	startswith(place.label, prefix)
	msg := concat(" ", [
		fields.shown(place.label),
		"is deprecated since Kubernetes v1.17, and new nodes need not carry it:",
		"what rests on it finds no nodes, or spreads nothing.",
	])
	wanted := replace(place.label, prefix, "topology.kubernetes.io/")
	fix := fix_of(place.path[count(place.path) - 1], place.label, fields.shown(wanted))
}

# Parameters of CSI drivers are the matter of class-parameter-unknown. Those of plugins inside Kubernetes are known to
# nobody else, and the class could not be changed later.
violation contains {
	"msg": sprintf(
		"The parameter %s is out of date: it chooses zones whether or not the Pods can run there.",
		[fields.shown(key)],
	),
	"path": ["parameters", key],
	"found": key,
	"wanted": "allowedTopologies",
	"fix": fix,
} if {
	input.request.operation == "CREATE"
	classes.migrated_to(classes.provisioner(target))
	some key, value in fields.dict(target, ["parameters"])
	known.deprecatedParameters[lower(key)] == "allowedTopologies"
	fix := concat(" ", [
		sprintf("allowedTopologies: [{matchLabelExpressions: [{key: %s, values: [%s]}]}]", [
			selectors.zone,
			zones_of(value),
		]),
		sprintf("instead of %s, in a new class", [fields.shown(key)]),
	])
}

zones_of(value) := value if {
	is_string(value)
	regex.match(`^[A-Za-z0-9-]+(, *[A-Za-z0-9-]+)*$`, value)
} else := "<zones>"

fix_of("topologyKey", _, wanted) := sprintf("topologyKey: %s", [wanted])

fix_of("key", _, wanted) := sprintf("key: %s", [wanted])

fix_of(step, label, wanted) := sprintf("%s instead of %s", [wanted, fields.shown(label)]) if {
	not step in {"topologyKey", "key"}
}

# places lists where labels of nodes are named, each with the label, its path, and the field it belongs to. An object of
# another kind does not have the field.
places := array.concat(array.concat(spreading, choosing), array.concat(of_class, of_volume))

spreading := [place |
	some entry in array.concat(
		selectors.constraints(target),
		array.concat(
			selectors.affinity_terms(target, "podAffinity"),
			selectors.affinity_terms(target, "podAntiAffinity"),
		),
	)
	label := fields.text(entry.term, ["topologyKey"])
	path := array.concat(entry.path, ["topologyKey"])
	place := {"label": label, "path": path, "field": entry.kind}
]

choosing := array.concat(by_label, by_affinity) if {
	at := array.concat(workload.pod_path(target), ["nodeSelector"])
	by_label := [place |
		some label, _ in fields.dict(target, at)
		path := array.concat(at, [label])
		place := {"label": label, "path": path, "field": "nodeSelector"}
	]
	by_affinity := asked_for(array.concat(
		workload.pod_path(target),
		["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"],
	))
}

of_volume := asked_for(["spec", "nodeAffinity", "required", "nodeSelectorTerms"])

# asked_for lists the labels that the node selector terms at a path ask for.
asked_for(at) := [place |
	some entry in selectors.node_keys(fields.list(target, at))
	path := array.concat(at, entry.path)
	place := {"label": entry.key, "path": path, "field": "nodeAffinity"}
]

of_class := [place |
	some index, term in fields.list(target, ["allowedTopologies"])
	some position, expression in fields.list(term, ["matchLabelExpressions"])
	label := fields.text(expression, ["key"])
	path := ["allowedTopologies", index, "matchLabelExpressions", position, "key"]
	place := {"label": label, "path": path, "field": "allowedTopologies"}
]
