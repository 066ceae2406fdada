package seawall.policies.class_expandable_test

import data.seawall.policies.class_expandable as policy

test_absent_is_found_and_patched if {
	request := review("CREATE", {"provisioner": "ebs.csi.aws.com"})
	policy.violation == {found("ebs.csi.aws.com")} with input as request
	policy.patch == {{"op": "add", "path": "/allowVolumeExpansion", "value": true}} with input as request
}

test_false_is_found_and_not_overridden if {
	request := review("CREATE", {"provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": false})
	policy.violation == {found("ebs.csi.aws.com")} with input as request
	policy.patch == set() with input as request
}

test_unverified_is_found_and_not_patched if {
	request := review("CREATE", {"provisioner": "csi.proxmox.sinextra.dev"})
	policy.violation == {found("csi.proxmox.sinextra.dev")} with input as request
	policy.patch == set() with input as request
}

test_update_is_found_and_not_patched if {
	every class in [
		{"provisioner": "ebs.csi.aws.com"},
		{"provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": false},
	] {
		request := review("UPDATE", class)
		policy.violation == {found("ebs.csi.aws.com")} with input as request
		policy.patch == set() with input as request
	}
}

test_quiet if {
	every class in quiet {
		request := review("CREATE", class)
		policy.violation == set() with input as request
		policy.patch == set() with input as request
	}
}

test_no_object if {
	policy.violation == set() with input as review("CREATE", null)
	policy.patch == set() with input as review("CREATE", null)
}

quiet := [
	{"provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": true},
	{"provisioner": "kubernetes.io/no-provisioner"},
	{"provisioner": "k8s.io/minikube-hostpath"},
	{"provisioner": "rancher.io/local-path", "allowVolumeExpansion": false},
	{"provisioner": "efs.csi.aws.com"},
	{"provisioner": "example.com/disk"},
	{"provisioner": "pd.csi.storage.gke.io", "metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}},
	{"provisioner": [], "metadata": 1},
	{"provisioner": "ebs.csi.aws.com", "allowVolumeExpansion": "false"},
]

found(provisioner) := {
	"msg": concat(" ", [
		sprintf("allowVolumeExpansion is not true although %s can expand:", [provisioner]),
		"a full volume of this class can only be replaced, with a copy and downtime.",
	]),
	"path": ["allowVolumeExpansion"],
	"found": false,
	"wanted": true,
	"fix": "allowVolumeExpansion: true",
}

review(operation, object) := {
	"request": {"operation": operation, "object": object, "oldObject": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
