package seawall.policies.provisioner_in_tree_test

import data.seawall.policies.provisioner_in_tree as policy

test_class if {
	policy.violation == {{
		"msg": concat(" ", [
			"kubernetes.io/glusterfs is a plugin that Kubernetes removed in v1.26:",
			"nobody provisions volumes for this class, claims on it stay Pending.",
		]),
		"path": ["provisioner"],
		"found": "kubernetes.io/glusterfs",
		"wanted": "the name of a CSI driver",
		"fix": "provisioner: <name of a CSI driver>",
	}} with input as class("kubernetes.io/glusterfs")
}

test_volume if {
	policy.violation == {{
		"msg": concat(" ", [
			"kubernetes.io/rbd is a plugin that Kubernetes removed in v1.31:",
			"no node can mount this volume.",
		]),
		"path": ["spec", "rbd"],
		"found": "rbd",
		"wanted": "the CSI driver rbd.csi.ceph.com",
		"fix": "csi: {driver: rbd.csi.ceph.com, volumeHandle: <id of the volume>} instead of rbd",
	}} with input as volume({"rbd": {"image": "a"}})
}

test_quiet if {
	every request in [
		class("rbd.csi.ceph.com"),
		class("kubernetes.io/aws-ebs"),
		class("kubernetes.io/no-provisioner"),
		class(""),
		class(null),
		volume({"local": {"path": "/a"}}),
		volume({"awsElasticBlockStore": {"volumeID": "a"}}),
		volume({"rbd": null}),
		volume(null),
		review(null),
	] {
		policy.violation == set() with input as request
	}
}

class(provisioner) := review({"kind": "StorageClass", "provisioner": provisioner})

volume(spec) := review({"kind": "PersistentVolume", "spec": spec})

review(object) := {"request": {"operation": "CREATE", "object": object, "oldObject": null}}
