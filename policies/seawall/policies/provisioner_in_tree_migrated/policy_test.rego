package seawall.policies.provisioner_in_tree_migrated_test

import data.seawall.policies.provisioner_in_tree_migrated as policy

test_class if {
	expected := {found(["provisioner"], "kubernetes.io/cinder", "provisioner: cinder.csi.openstack.org")}
	policy.violation == expected with input as class("kubernetes.io/cinder", {})
}

test_volume if {
	fix := "csi: {driver: cinder.csi.openstack.org, volumeHandle: <id of the volume>} instead of cinder"
	expected := {found(["spec", "cinder"], "cinder", fix)}
	policy.violation == expected with input as volume({"cinder": {"volumeID": "a"}}, {})
}

test_quiet if {
	every request in [
		class("cinder.csi.openstack.org", {}),
		class("kubernetes.io/rbd", {}),
		class("kubernetes.io/no-provisioner", {}),
		class("kubernetes.io/cinder", {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}),
		class(3, {}),
		volume({"nfs": {"path": "/a"}}, {}),
		volume({"rbd": {"image": "a"}}, {}),
		volume({"cinder": null}, {}),
		volume({"cinder": {}}, {"annotations": {"pv.kubernetes.io/provisioned-by": "cinder.csi.openstack.org"}}),
		review(null),
	] {
		policy.violation == set() with input as request
	}
}

found(path, value, fix) := {
	"msg": concat(" ", [
		"kubernetes.io/cinder is no longer a part of Kubernetes:",
		"requests are translated for the CSI driver cinder.csi.openstack.org,",
		"whose own features and parameters cannot be used that way.",
	]),
	"path": path,
	"found": value,
	"wanted": "the CSI driver cinder.csi.openstack.org",
	"fix": fix,
}

class(provisioner, metadata) := review({
	"kind": "StorageClass",
	"metadata": metadata,
	"provisioner": provisioner,
})

volume(spec, metadata) := review({"kind": "PersistentVolume", "metadata": metadata, "spec": spec})

review(object) := {"request": {"operation": "CREATE", "object": object, "oldObject": null}}
