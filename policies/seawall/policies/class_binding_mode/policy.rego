# METADATA
# title: Zonal and node-local classes must wait for the first consumer
# description: >-
#   With volumeBindingMode Immediate, which is the default, the volume is placed before anybody knows where the
#   pod can run. A volume that is tied to a zone or a node then keeps its pod Pending.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
# custom:
#   id: class-binding-mode
#   checklist: topology
#   severity: high
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.class_binding_mode

import data.seawall.lib.classes

# The field is immutable: once the class exists it takes a new one.
fixes := {
	"CREATE": "volumeBindingMode: WaitForFirstConsumer",
	"UPDATE": "delete this class and create it again with volumeBindingMode: WaitForFirstConsumer (its volumes stay)",
}

violation contains {
	"msg": msg,
	"path": ["volumeBindingMode"],
	"found": "Immediate",
	"wanted": "WaitForFirstConsumer",
	"fix": fix,
} if {
	places_too_early
	provisioner := classes.provisioner(input.request.object)
	place := classes.facts_of(input.request.object).boundTo
	msg := concat(" ", [
		"volumeBindingMode is Immediate, which is also the default, but",
		sprintf("volumes of %s are tied to a %s:", [provisioner, place]),
		"one that is placed before its pod can keep the pod Pending.",
	])
	fix := fixes[input.request.operation]
}

# Defaulting hides whether Immediate was written or left out, so both are patched.
patch contains {"op": "add", "path": "/volumeBindingMode", "value": "WaitForFirstConsumer"} if {
	input.request.operation == "CREATE"
	places_too_early
}

places_too_early if {
	class := input.request.object
	classes.binding_mode(class) == "Immediate"
	classes.facts_of(class).boundTo in {"zone", "node"}
	classes.is_verified(class)
	not classes.is_static(class)
	not classes.is_addon_managed(class)
}
