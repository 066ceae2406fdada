package seawall.policies.mode_not_lowered_test

import data.seawall.policies.mode_not_lowered as policy

test_lowered if {
	every change in [
		["tier", "tier-0", "tier-1"],
		["tier", "tier-1", "tier-2"],
		["tier", "tier-2", "tier-3"],
		["tier", "tier-2", "dev"],
		["mode", "enforce", "warn"],
		["mode", "warn", "audit"],
		["mode", "audit", "off"],
		["patch", "enabled", "disabled"],
	] {
		[label, from, to] := change
		key := sprintf("seawall.dev/%s", [label])
		policy.violation == {lowered(key, from, to)} with input as update({key: from}, {key: to}, ["dev"])
		policy.violation == set() with input as update({key: to}, {key: from}, ["dev"])
		policy.violation == set() with input as update({key: from}, {key: to}, ["dev", "system:masters"])
	}
}

test_removed if {
	expected := {
		lowered("seawall.dev/tier", "tier-0", "tier-2"),
		lowered("seawall.dev/mode", "enforce", "warn"),
		lowered("seawall.dev/patch", "enabled", "disabled"),
	}
	old := {"seawall.dev/tier": "tier-0", "seawall.dev/mode": "enforce", "seawall.dev/patch": "enabled"}
	policy.violation == expected with input as update(old, {}, [])
}

test_removed_at_the_default if {
	old := {"seawall.dev/tier": "tier-2", "seawall.dev/mode": "warn", "seawall.dev/patch": "disabled"}
	policy.violation == set() with input as update(old, {}, [])
}

test_patch_label_follows_the_mode if {
	enforced := {"seawall.dev/mode": "enforce"}
	with_patch := object.union(enforced, {"seawall.dev/patch": "enabled"})
	policy.violation == set() with input as update(with_patch, enforced, [])
	without_patch := object.union(enforced, {"seawall.dev/patch": "disabled"})
	expected := {lowered("seawall.dev/patch", "enabled", "disabled")}
	policy.violation == expected with input as update(enforced, without_patch, [])
}

test_no_value if {
	every request in [
		{"operation": "CREATE", "object": namespace({"seawall.dev/mode": "enforced"})},
		{
			"operation": "UPDATE",
			"object": namespace({"seawall.dev/mode": "enforced"}),
			"oldObject": namespace({"seawall.dev/mode": "enforce"}),
		},
	] {
		policy.violation == {{
			"msg": "enforced is no value of seawall.dev/mode: the default would apply in silence.",
			"path": ["metadata", "labels", "seawall.dev/mode"],
			"found": "enforced",
			"wanted": "one of enforce, warn, audit, off",
			"fix": "set seawall.dev/mode to one of enforce, warn, audit, off, or remove it",
		}} with input as review(request)
	}
}

test_created_low if {
	labels := {"seawall.dev/tier": "dev", "seawall.dev/mode": "off", "seawall.dev/patch": "disabled"}
	policy.violation == set() with input as review({"operation": "CREATE", "object": namespace(labels)})
}

test_shapes if {
	every object in [null, {}, {"metadata": []}, {"metadata": {"labels": {"seawall.dev/mode": 5}}}] {
		old := namespace({"seawall.dev/mode": "audit", "seawall.dev/tier": "dev"})
		policy.violation == set() with input as review({"operation": "UPDATE", "object": object, "oldObject": old})
	}
}

lowered(key, from, to) := {
	"msg": concat(" ", [
		sprintf("%s is lowered from %s to %s: the namespace would be guarded less than decided.", [key, from, to]),
		"Only members of system:masters may do that.",
	]),
	"path": ["metadata", "labels", key],
	"found": to,
	"wanted": from,
	"fix": sprintf("%s: %s, or have a member of system:masters change it", [key, from]),
}

namespace(labels) := {"metadata": {"name": "shop", "labels": labels}}

update(old, new, groups) := review({
	"operation": "UPDATE",
	"object": namespace(new),
	"oldObject": namespace(old),
	"userInfo": {"username": "dev", "groups": groups},
})

review(request) := {
	"request": request,
	"seawall": {
		"now": "2026-01-15T12:00:00Z",
		"tier": "tier-2",
		"parameters": {"groups": ["system:masters"], "defaultTier": "tier-2", "defaultMode": "warn"},
	},
}
