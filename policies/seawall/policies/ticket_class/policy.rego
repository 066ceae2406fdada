# METADATA
# title: Classes that the platform hands out are asked for
# description: >-
#   A class for which the platform wants a ticket is scarce or costly, or has conditions. Whoever takes it without
#   asking takes it from somebody, and moving the data off it later needs a downtime.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/
# custom:
#   id: ticket-class
#   checklist: self-service
#   severity: low
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Warn}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: direct}
#   context:
#   - {resource: storageclasses, optional: false}
#   parameters: {groups: ['system:masters', 'kubeadm:cluster-admins']}
package seawall.policies.ticket_class

import data.seawall.lib.catalogue
import data.seawall.lib.catalogue_claims
import data.seawall.lib.claims
import data.seawall.lib.object as fields

target := input.request.object

violation contains {
	"msg": msg,
	"path": path,
	"found": entry.class_name,
	"wanted": wanted,
	"fix": fix,
} if {
	some entry in catalogue_claims.of(target)
	catalogue.by_ticket(entry.class_name)

	# A volume that exists was handed out before.
	not claims.static(entry.claim)
	not may_take
	msg := concat(" ", [
		sprintf("The %s uses class %s, which the platform team hands out on request:", [
			entry.title,
			fields.shown(entry.class_name),
		]),
		"it is scarce, costly or has conditions.",
	])
	path := catalogue_claims.class_path(entry)
	names := catalogue_claims.alternatives(catalogue_claims.need(target, entry.claim, input.seawall.tier))
	wanted := wanted_of(names)
	fix := sprintf("%s, or have the platform team create it", [catalogue_claims.fix(entry, names)])
}

may_take if {
	some group in fields.list(input.request, ["userInfo", "groups"])
	group in input.seawall.parameters.groups
}

wanted_of(names) := "a class that needs no request" if {
	names == []
} else := text if {
	shown := catalogue_claims.shown(names)
	text := sprintf("a class that needs no request: %s", [shown])
}
