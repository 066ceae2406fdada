# METADATA
# title: Exemptions are complete, bounded and not expired
# description: >-
#   An exemption by annotation needs a reason, a last day that the tier permits and, in tier-0, an approver. One that
#   lacks any of these does not count, and whoever wrote it should learn that at once.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/
# custom:
#   id: exemption-wellformed
#   checklist: governance
#   severity: medium
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   match:
#   - apiGroups: [apps]
#     apiVersions: [v1]
#     resources: [statefulsets, deployments, replicasets]
#     operations: [CREATE, UPDATE]
#   - apiGroups: ['']
#     apiVersions: [v1]
#     resources: [persistentvolumeclaims]
#     operations: [CREATE, UPDATE]
#     via: direct
#   - {apiGroups: [''], apiVersions: [v1], resources: [persistentvolumes, namespaces], operations: [CREATE, UPDATE]}
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
#   exemptible: false
#   parameters: {maxDays: 90, approver: false}
#   tierParameters: {tier-0: {maxDays: 14, approver: true}, tier-1: {maxDays: 30}, tier-3: {maxDays: 365}}
package seawall.policies.exemption_wellformed

import data.seawall.lib.dates
import data.seawall.lib.labels
import data.seawall.lib.object as fields

target := input.request.object

text(key) := trim_space(labels.annotation(target, key))

exempt := text("seawall.dev/exempt")

ids := {id |
	some word in split(exempt, ",")
	id := trim_space(word)
	id != ""
}

at(key) := ["metadata", "annotations", key]

violation contains {
	"msg": "An exemption that names no policy spares nothing.",
	"path": at("seawall.dev/exempt"),
	"wanted": "ids of policies, separated by commas",
	"fix": "name the policies, or remove the annotation",
} if {
	exempt != ""
	ids == set()
}

violation contains {
	"msg": sprintf("No policy %s is loaded, so the exemption does not count.", [shown]),
	"path": at("seawall.dev/exempt"),
	"found": shown,
	"wanted": "ids of policies that are loaded",
	"fix": "take the id from the brackets of the message that rejected the object",
	"key": concat(" ", ["unknown", id]),
} if {
	some id in ids
	not data.seawall.knowledge.policies[id]
	shown := fields.shown(id)
}

violation contains {
	"msg": sprintf("Nobody can be exempted from %s by an annotation.", [id]),
	"path": at("seawall.dev/exempt"),
	"found": id,
	"wanted": "policies that permit exemptions on the object",
	"fix": sprintf("remove %s from the annotation; the platform team can exempt in the configuration", [id]),
	"key": concat(" ", ["never", id]),
} if {
	some id in ids
	data.seawall.knowledge.policies[id].exemptible == false
}

violation contains {
	"msg": "The exemption has no reason, so nobody can judge later whether it is still needed.",
	"path": at("seawall.dev/exempt-reason"),
	"wanted": "why the object is spared",
	"fix": "add the annotation seawall.dev/exempt-reason",
} if {
	exempt != ""
	text("seawall.dev/exempt-reason") == ""
}

violation contains {
	"msg": sprintf("In %s an exemption needs somebody who approved it.", [input.seawall.tier]),
	"path": at("seawall.dev/exempt-by"),
	"wanted": "who approved the exemption",
	"fix": "add the annotation seawall.dev/exempt-by",
} if {
	exempt != ""
	input.seawall.parameters.approver
	text("seawall.dev/exempt-by") == ""
}

until := text("seawall.dev/exempt-until")

today := labels.day(input.seawall.now)

violation contains {
	"msg": "The exemption has no last day; one that never ends is a hole that nobody remembers.",
	"path": at("seawall.dev/exempt-until"),
	"wanted": wanted,
	"fix": "add the annotation seawall.dev/exempt-until: YYYY-MM-DD",
} if {
	exempt != ""
	until == ""
}

violation contains {
	"msg": "The last day of the exemption is no date, so the exemption does not count.",
	"path": at("seawall.dev/exempt-until"),
	"found": fields.shown(until),
	"wanted": wanted,
	"fix": "seawall.dev/exempt-until: YYYY-MM-DD",
} if {
	exempt != ""
	until != ""
	not dates.number(until)
}

violation contains {
	"msg": sprintf("The exemption expired on %s and does not count any more.", [until]),
	"path": at("seawall.dev/exempt-until"),
	"found": until,
	"wanted": wanted,
	"fix": "fix what was exempt and remove the annotations, or agree on a new day",
} if {
	exempt != ""
	days_left < 0
}

violation contains {
	"msg": sprintf("The exemption would last longer than %s permits.", [input.seawall.tier]),
	"path": at("seawall.dev/exempt-until"),
	"found": until,
	"wanted": wanted,
	"fix": sprintf("choose a day at most %v days from today", [input.seawall.parameters.maxDays]),
} if {
	exempt != ""
	days_left > input.seawall.parameters.maxDays
}

days_left := dates.number(until) - dates.number(today)

wanted := sprintf("a day from %s on, at most %v days ahead", [today, input.seawall.parameters.maxDays])
