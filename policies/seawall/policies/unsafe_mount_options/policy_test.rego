package seawall.policies.unsafe_mount_options_test

import data.seawall.policies.unsafe_mount_options as policy

test_class if {
	policy.violation == {found(["mountOptions", 1], "mountOptions")} with input as review(class(["noatime", "nobarrier"]))
	policy.violation == set() with input as review(class(["noatime"]))
	policy.violation == set() with input as review(class(["ro", "nobarrier"]))
}

test_volume if {
	policy.violation == {found(["spec", "mountOptions", 0], "mountOptions")} with input as review(volume(["nobarrier"]))
	policy.violation == set() with input as review(volume([]))
}

test_parameter if {
	with_parameter := object.union(class([]), {"parameters": {"MountOptions": "nobarrier"}})
	policy.violation == {found(["parameters", "MountOptions"], "MountOptions")} with input as review(with_parameter)
}

test_switched_off if {
	options := {"filesystem": {"nobarrier": false}, "nfs": {}}
	policy.violation == set() with input as review(class(["nobarrier"]))
		with data.seawall.knowledge.provisioners.mountOptions as options
	with_parameter := object.union(class([]), {"parameters": {"mountOptions": "nobarrier"}})
	policy.violation == set() with input as review(with_parameter)
		with data.seawall.knowledge.provisioners.mountOptionParameters as {"mountoptions": false}
}

test_other_kinds if {
	policy.violation == set() with input as review({"kind": "ConfigMap", "mountOptions": ["nobarrier"]})
	policy.violation == set() with input as review(null)
}

found(path, place) := {
	"msg": concat(" ", [
		"Mount option nobarrier: it drops the write barriers,",
		"so that a power cut or node crash can corrupt the file system.",
	]),
	"path": path,
	"found": "nobarrier",
	"wanted": "mounted without nobarrier",
	"fix": sprintf("remove nobarrier from %s", [place]),
	"key": sprintf("%s: nobarrier", [place]),
}

class(options) := {"kind": "StorageClass", "provisioner": "ebs.csi.aws.com", "mountOptions": options}

volume(options) := {"kind": "PersistentVolume", "spec": {"mountOptions": options}}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
