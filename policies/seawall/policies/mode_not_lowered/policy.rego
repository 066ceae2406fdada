# METADATA
# title: Tier, mode and patch labels of a namespace are not lowered
# description: >-
#   The labels seawall.dev/tier, mode and patch decide how a namespace is guarded. Who may edit a namespace must
#   not be able to switch the guard off, and a typo must not do it silently.
# related_resources:
# - ref: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/
# custom:
#   id: mode-not-lowered
#   checklist: governance
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   exemptible: false
#   match:
#   - {apiGroups: [''], apiVersions: [v1], resources: [namespaces], operations: [CREATE, UPDATE]}
#   parameters: {groups: ['system:masters'], defaultTier: tier-2, defaultMode: warn}
package seawall.policies.mode_not_lowered

import data.seawall.lib.object as fields

# Strictest first.
values := {
	"seawall.dev/mode": ["enforce", "warn", "audit", "off"],
	"seawall.dev/patch": ["enabled", "disabled"],
	"seawall.dev/tier": ["tier-0", "tier-1", "tier-2", "tier-3", "dev"],
}

# How much is lost: going to a higher number is lowering. dev is another word for tier-3.
ranks := {
	"seawall.dev/mode": {"enforce": 0, "warn": 1, "audit": 2, "off": 3},
	"seawall.dev/patch": {"enabled": 0, "disabled": 1},
	"seawall.dev/tier": {"tier-0": 0, "tier-1": 1, "tier-2": 2, "tier-3": 3, "dev": 3},
}

violation contains {
	"msg": msg,
	"path": ["metadata", "labels", key],
	"found": value,
	"wanted": wanted,
	"fix": fix,
} if {
	some key, known in values
	value := written(input.request.object, key)
	is_string(value)
	not value in known
	shown := fields.shown(value)
	allowed := concat(", ", known)
	msg := sprintf("%s is no value of %s: the default would apply in silence.", [shown, key])
	wanted := sprintf("one of %s", [allowed])
	fix := sprintf("set %s to one of %s, or remove it", [key, allowed])
}

violation contains {
	"msg": msg,
	"path": ["metadata", "labels", key],
	"found": to,
	"wanted": from,
	"fix": fix,
} if {
	input.request.operation == "UPDATE"
	some key, known in values
	changed := written(input.request.object, key)
	changed != written(input.request.oldObject, key)

	# Other values are what the rule above reports.
	changed in array.concat(known, [null])
	from := effective(input.request.oldObject, key)
	to := effective(input.request.object, key)
	ranks[key][to] > ranks[key][from]
	not may_lower
	members := groups
	msg := concat(" ", [
		sprintf("%s is lowered from %s to %s: the namespace would be guarded less than decided.", [key, from, to]),
		sprintf("Only members of %s may do that.", [members]),
	])
	fix := sprintf("%s: %s, or have a member of %s change it", [key, from, members])
}

may_lower if {
	some group in fields.list(input.request, ["userInfo", "groups"])
	group in input.seawall.parameters.groups
}

groups := concat(", ", [group |
	some group in input.seawall.parameters.groups
	is_string(group)
])

# written is the value as it stands there, null where there is none.
written(namespace, key) := fields.field(namespace, ["metadata", "labels", key], null)

# effective is the value that counts: what is written, unless it is no value at all, else the default.
effective(namespace, key) := value if {
	value := written(namespace, key)
	value in values[key]
} else := value if {
	value := unwritten(mode_of(namespace))[key]
}

mode_of(namespace) := value if {
	value := written(namespace, "seawall.dev/mode")
	value in values["seawall.dev/mode"]
} else := value if {
	value := input.seawall.parameters.defaultMode
}

# What applies to a namespace without the label. Patches are written exactly where the mode is enforce.
unwritten(mode) := {"seawall.dev/mode": mode, "seawall.dev/patch": patch, "seawall.dev/tier": tier} if {
	patch := patch_default(mode)
	tier := input.seawall.parameters.defaultTier
}

patch_default(mode) := "enabled" if {
	mode == "enforce"
} else := "disabled"
