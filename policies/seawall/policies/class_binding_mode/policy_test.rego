package seawall.policies.class_binding_mode_test

import data.seawall.policies.class_binding_mode as policy

test_zonal if {
	request := review("CREATE", {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "Immediate"})
	fix := "volumeBindingMode: WaitForFirstConsumer"
	policy.violation == {found("ebs.csi.aws.com", "zone", fix)} with input as request
	policy.patch == {patched} with input as request
}

test_absent_is_the_default if {
	request := review("CREATE", {"provisioner": "rancher.io/local-path"})
	fix := "volumeBindingMode: WaitForFirstConsumer"
	policy.violation == {found("rancher.io/local-path", "node", fix)} with input as request
	policy.patch == {patched} with input as request
}

test_update_is_found_and_not_patched if {
	request := review("UPDATE", {"provisioner": "topolvm.io"})
	fix := concat(" ", [
		"delete this class and create it again",
		"with volumeBindingMode: WaitForFirstConsumer (its volumes stay)",
	])
	policy.violation == {found("topolvm.io", "node", fix)} with input as request
	policy.patch == set() with input as request
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
	{"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"},
	{"provisioner": "nfs.csi.k8s.io"},
	{"provisioner": "efs.csi.aws.com"},
	{"provisioner": "driver.longhorn.io"},
	{"provisioner": "rook-ceph.rbd.csi.ceph.com"},
	{"provisioner": "disk.csi.azure.com", "parameters": {"skuName": "Premium_ZRS"}},
	{"provisioner": "kubernetes.io/no-provisioner"},
	{"provisioner": "example.com/disk"},
	{"provisioner": "csi.proxmox.sinextra.dev"},
	{"provisioner": "ebs.csi.aws.com", "metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}},
	{"provisioner": null, "parameters": 5},
	{"provisioner": "ebs.csi.aws.com", "volumeBindingMode": {}},
]

patched := {"op": "add", "path": "/volumeBindingMode", "value": "WaitForFirstConsumer"}

found(provisioner, place, fix) := {
	"msg": concat(" ", [
		"volumeBindingMode is Immediate, which is also the default, but",
		sprintf("volumes of %s are tied to a %s:", [provisioner, place]),
		"one that is placed before its pod can keep the pod Pending.",
	]),
	"path": ["volumeBindingMode"],
	"found": "Immediate",
	"wanted": "WaitForFirstConsumer",
	"fix": fix,
}

review(operation, object) := {
	"request": {"operation": operation, "object": object, "oldObject": object},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
