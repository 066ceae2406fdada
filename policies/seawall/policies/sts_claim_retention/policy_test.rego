package seawall.policies.sts_claim_retention_test

import data.seawall.policies.sts_claim_retention as policy

deleted := found("whenDeleted", "deleting the StatefulSet, also to make it anew, deletes all its claims.")

scaled := found("whenScaled", "every scale-in, also by an autoscaler, deletes the claims of the replicas that go.")

test_both_moments if {
	request := review("CREATE", set_with({"whenDeleted": "Delete", "whenScaled": "Delete"}, {}))
	policy.violation == {deleted, scaled} with input as request
	policy.patch == {patched("whenDeleted"), patched("whenScaled")} with input as request
}

test_one_moment if {
	request := review("CREATE", set_with({"whenScaled": "Delete"}, {}))
	policy.violation == {scaled} with input as request
	policy.patch == {patched("whenScaled")} with input as request
}

test_update_is_found_and_not_patched if {
	request := review("UPDATE", set_with({"whenDeleted": "Delete"}, {}))
	policy.violation == {deleted} with input as request
	policy.patch == set() with input as request
}

test_quiet if {
	every object in [
		set_with({}, {}),
		set_with(null, {}),
		set_with({"whenDeleted": "Retain", "whenScaled": "Retain"}, {}),
		set_with({"whenDeleted": null, "whenScaled": 3}, {}),
		set_with({"whenDeleted": "Delete"}, {"seawall.dev/data": "cache"}),
		set_with({"whenDeleted": "Delete"}, {"seawall.dev/data": "scratch"}),
		{"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}},
		{"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}, "volumeClaimTemplates": null}},
		{"spec": []},
		null,
	] {
		request := review("CREATE", object)
		policy.violation == set() with input as request
		policy.patch == set() with input as request
	}
}

found(moment, consequence) := {
	"msg": sprintf("%s is Delete: %s", [moment, consequence]),
	"path": ["spec", "persistentVolumeClaimRetentionPolicy", moment],
	"found": "Delete",
	"wanted": "Retain",
	"fix": sprintf("%s: Retain", [moment]),
}

patched(moment) := {
	"op": "add",
	"path": sprintf("/spec/persistentVolumeClaimRetentionPolicy/%s", [moment]),
	"value": "Retain",
}

set_with(retention, labels) := {
	"metadata": {"name": "db", "labels": labels},
	"spec": {"persistentVolumeClaimRetentionPolicy": retention, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
}

review(operation, object) := {
	"request": {"operation": operation, "object": object, "oldObject": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
