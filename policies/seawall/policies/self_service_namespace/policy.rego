# METADATA
# title: A namespace with a tier has what its team needs to serve itself
# description: >-
#   A team can only claim storage on its own where somebody answers for the namespace, where a quota says how much it
#   may take, and where the catalogue has a class for its tier.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/policy/resource-quotas/#storage-resource-quota
# custom:
#   id: self-service-namespace
#   checklist: self-service
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: namespaces, optional: true}
#   - {resource: resourcequotas, optional: true}
#   - {resource: storageclasses, optional: true}
#   parameters: {owners: [seawall.dev/owner]}
package seawall.policies.self_service_namespace

import data.seawall.lib.catalogue
import data.seawall.lib.labels
import data.seawall.lib.object as fields

target := input.request.object

name := labels.name(target)

# Who gives a namespace a tier means it for teams. Drivers and operators of storage live in others.
applies if {
	catalogue.tier_word(labels.label(target, "seawall.dev/tier")) in catalogue.tiers
	labels.label(target, "seawall.dev/storage-system") != "true"
}

violation contains {
	"msg": concat(" ", [
		"The namespace has a tier and no owner:",
		"nobody is asked before its data is moved, and nobody is called when it is lost.",
	]),
	"path": ["metadata", "labels", key],
	"wanted": sprintf("a label or annotation %s", [shown]),
	"fix": sprintf("metadata.labels: {%s: <team>}", [key]),
} if {
	applies
	not owned
	key := owner_keys[0]
	shown := concat(" or ", owner_keys)
}

owner_keys := [key |
	some key in input.seawall.parameters.owners
	is_string(key)
]

owned if {
	some key in owner_keys
	trim_space(labels.label(target, key)) != ""
}

owned if {
	some key in owner_keys
	trim_space(labels.annotation(target, key)) != ""
}

# A namespace that is being made cannot have a quota yet.
violation contains {
	"msg": concat(" ", [
		"The namespace has a tier and no quota of storage:",
		"one claim too large, or a set that scales without end, takes what the others need.",
	]),
	"path": ["metadata", "name"],
	"found": name,
	"wanted": "a ResourceQuota with requests.storage, for all classes or for each",
	"fix": sprintf("kubectl create quota storage --namespace %s --hard requests.storage=<size>", [fields.shown(name)]),
	"key": "quota",
} if {
	applies
	data.cluster.namespaces[name]
	is_object(data.cluster.resourcequotas)
	not has_quota
}

# The quotas of one namespace: a handful.
has_quota if {
	some quota in data.cluster.resourcequotas[name]
	some resource, _ in fields.dict(quota, ["spec", "hard"])
	is_storage(resource)
}

is_storage(resource) if resource == "requests.storage"

is_storage(resource) if endswith(resource, ".storageclass.storage.k8s.io/requests.storage")

violation contains {
	"msg": sprintf("The catalogue has no class for %s: %s", [
		input.seawall.tier,
		"whatever the team of this namespace claims is rejected or reported.",
	]),
	"path": ["metadata", "labels", "seawall.dev/tier"],
	"found": labels.label(target, "seawall.dev/tier"),
	"wanted": sprintf("a class that the platform supports for %s", [input.seawall.tier]),
	"fix": "the platform team adds one: `seawall policy catalogue` shows what there is",
	"key": "class",
} if {
	applies
	catalogue.in_use
	is_object(data.cluster.storageclasses)
	catalogue.permitted_for(widest) == []
}

# Any profile, any engine.
widest := object.union(catalogue.need(input.seawall.tier, "general"), {"certain": false, "replicates": true})
