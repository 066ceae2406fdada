package seawall.policies.delete_claim_test

import data.seawall.policies.delete_claim as policy

test_bound_claim if {
	policy.violation == {found("")} with input as review(claim({}), "dev", "tier-2")
}

test_protected_claim_in_the_lowest_tier if {
	labels := {"seawall.dev/protected": "true", "seawall.dev/data": "cache"}
	policy.violation == {found("")} with input as review(claim({"labels": labels}), "dev", "tier-3")
}

test_half_an_allowance if {
	by_name := claim({"annotations": {"seawall.dev/allow-delete": "data"}})
	policy.violation == {found("data")} with input as review(by_name, "dev", "tier-2")
	by_day := claim({"annotations": {"seawall.dev/allow-delete-on": "2026-01-15"}})
	policy.violation == {found("")} with input as review(by_day, "dev", "tier-2")
}

test_controllers_that_finish if {
	every user in [
		"system:kube-controller-manager",
		"system:serviceaccount:kube-system:generic-garbage-collector",
		"system:serviceaccount:kube-system:namespace-controller",
	] {
		policy.violation == set() with input as review(claim({}), user, "tier-0")
	}
}

test_claim_of_a_set_that_deletes_claims if {
	owned := claim({"ownerReferences": [{"kind": "StatefulSet", "name": "db"}]})
	controller := "system:serviceaccount:kube-system:statefulset-controller"
	policy.violation == set() with input as review(owned, controller, "tier-0")
	policy.violation == {found("")} with input as review(claim({}), controller, "tier-0")
	policy.violation == {found("")} with input as review(owned, "dev", "tier-0")
}

test_quiet if {
	every object in [
		{"metadata": {"name": "data"}, "spec": {}, "status": {"phase": "Pending"}},
		claim({"labels": {"seawall.dev/data": "scratch"}}),
		claim({"labels": {"seawall.dev/data": "cache"}}),
		claim({"ownerReferences": [{"kind": "Pod", "controller": true}]}),
		claim({"annotations": {"seawall.dev/allow-delete": "data", "seawall.dev/allow-delete-on": "2026-01-15"}}),
		{"metadata": [], "spec": 1, "status": null},
		null,
	] {
		policy.violation == set() with input as review(object, "dev", "tier-2")
	}
	policy.violation == set() with input as review(claim({}), "dev", "tier-3")
}

found(annotation) := {
	"msg": concat(" ", [
		"The claim data holds data: deleting it takes the volume from its workload and,",
		"where the reclaim policy is Delete, destroys the data for good.",
	]),
	"path": ["metadata", "annotations", "seawall.dev/allow-delete"],
	"found": annotation,
	"wanted": "data",
	"fix": concat(" ", [
		"kubectl annotate pvc data -n shop --overwrite",
		"seawall.dev/allow-delete=data seawall.dev/allow-delete-on=2026-01-15, then delete it",
	]),
}

claim(metadata) := {
	"metadata": object.union({"name": "data", "namespace": "shop"}, metadata),
	"spec": {"volumeName": "v"},
	"status": {"phase": "Bound"},
}

# The name of the request is empty when a collection is deleted.
review(old, user, tier) := {
	"request": {"operation": "DELETE", "name": "", "oldObject": old, "userInfo": {"username": user}},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": tier, "parameters": {}},
}
