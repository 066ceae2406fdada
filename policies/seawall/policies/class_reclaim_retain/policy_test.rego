package seawall.policies.class_reclaim_retain_test

import data.seawall.policies.class_reclaim_retain as policy

test_delete_is_found_and_patched_on_create if {
	request := review("CREATE", {"provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Delete"})
	policy.violation == {found("reclaimPolicy: Retain")} with input as request
	policy.patch == {patched} with input as request
}

test_absent_is_the_default if {
	request := review("CREATE", {"provisioner": "ebs.csi.aws.com"})
	policy.violation == {found("reclaimPolicy: Retain")} with input as request
	policy.patch == {patched} with input as request
}

test_update_is_found_and_not_patched if {
	fix := "delete this class and create it again with reclaimPolicy: Retain (its volumes stay as they are)"
	request := review("UPDATE", {"provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Delete"})
	policy.violation == {found(fix)} with input as request
	policy.patch == set() with input as request
}

test_quiet if {
	every class in quiet {
		request := review("CREATE", class)
		policy.violation == set() with input as request
		policy.patch == set() with input as request
	}
}

# Strict evaluation: what is undefined here would be an error in the server.
test_no_object if {
	policy.violation == set() with input as review("CREATE", null)
	policy.patch == set() with input as review("CREATE", null)
}

quiet := [
	{"provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Retain"},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"seawall.dev/data": "scratch"}}},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"seawall.dev/data": "cache"}}},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"seawall.dev/tier": "tier-3"}}},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"seawall.dev/tier": "dev"}}},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"}}},
	{"provisioner": "rook-ceph.ceph.rook.io/bucket"},
	{"provisioner": "kubernetes.io/no-provisioner"},
	{"provisioner": 5, "reclaimPolicy": "Delete", "metadata": []},
	{"provisioner": "ebs.csi.aws.com", "reclaimPolicy": ["Delete"], "metadata": {"labels": null}},
]

patched := {"op": "add", "path": "/reclaimPolicy", "value": "Retain"}

found(fix) := {
	"msg": concat(" ", [
		"reclaimPolicy is Delete, which is also the default:",
		"removing a claim destroys its volume and the data for good.",
	]),
	"path": ["reclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": fix,
}

review(operation, object) := {
	"request": {"operation": operation, "object": object, "oldObject": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
