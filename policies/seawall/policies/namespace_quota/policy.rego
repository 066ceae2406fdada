# METADATA
# title: A namespace with data has a storage quota
# description: >-
#   Storage is shared. Without a ResourceQuota one namespace can take all of it, by growth or by a script that creates
#   claims, and claims that retain their volumes give nothing back.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/policy/resource-quotas/#storage-resource-quota
# custom:
#   id: namespace-quota
#   checklist: sizing
#   severity: medium
#   actions: {tier-0: Audit, tier-1: Audit, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [""], apiVersions: [v1], resources: [namespaces], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: persistentvolumeclaims, optional: false}
#   - {resource: resourcequotas, optional: false}
package seawall.policies.namespace_quota

import data.seawall.lib.labels
import data.seawall.lib.object as fields

target := input.request.object

name := labels.name(target)

# Drivers and storage operators live here: what they claim is the platform's own affair.
is_storage_system if labels.label(target, "seawall.dev/storage-system") == "true"

# Claims of this one namespace. A new namespace has none yet: it is judged when it changes, and by the audit.
claims := [claim_name |
	some claim_name, claim in data.cluster.persistentvolumeclaims[name]
	not labels.is_disposable(claim)
	not labels.is_owned_by(claim, "Pod")
]

is_limited if {
	some quota in data.cluster.resourcequotas[name]
	some resource, _ in fields.dict(quota, ["spec", "hard"])
	limits_storage(resource)
}

limits_storage(resource) if resource == "requests.storage"

limits_storage(resource) if endswith(resource, ".storageclass.storage.k8s.io/requests.storage")

counted := "1 claim" if {
	count(claims) == 1
} else := sprintf("%d claims", [count(claims)])

violation contains {
	"msg": concat(" ", [
		sprintf("nothing limits the storage of the %s of namespace %s:", [counted, shown]),
		"by growth or by mistake it can take what others share",
	]),
	"path": ["metadata", "name"],
	"found": name,
	"wanted": "a ResourceQuota on requests.storage, or on that of a storage class",
	"fix": sprintf("kubectl create quota storage -n %s --hard=requests.storage=<so many Gi>", [shown]),
	"key": "storage-quota",
} if {
	not is_storage_system
	count(claims) > 0
	not is_limited
	shown := fields.shown(name)
}
