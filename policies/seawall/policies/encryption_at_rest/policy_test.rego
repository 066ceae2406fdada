package seawall.policies.encryption_at_rest_test

import data.seawall.policies.encryption_at_rest as policy

test_class_without_encryption if {
	policy.violation == {unencrypted} with input as review(ebs({"type": "gp3"}))
	policy.violation == {unencrypted} with input as review(ebs({}))
	policy.violation == set() with input as review(ebs({"encrypted": "true"}))
}

test_customer_key if {
	wanted := with_parameters(review(ebs({"encrypted": "true"})), {"claims": false, "requireCustomerKey": true})
	policy.violation == {{
		"msg": concat(" ", [
			"The class names no key of your own:",
			"with the provider's key you can neither revoke access nor prove who had it.",
		]),
		"path": ["parameters", "kmsKeyId"],
		"found": "the provider's key",
		"wanted": "a key of your own",
		"fix": "parameters: {kmsKeyId: <key>}",
	}} with input as wanted
	policy.violation == set() with input as review(ebs({"encrypted": "true"}))
}

test_parameter_that_is_switched_off if {
	row := {
		"encryption": {"mode": "always", "keyParameters": {"keyOne": false, "keyTwo": true}},
		"verified": true,
	}
	wanted := with_parameters(
		review({"kind": "StorageClass", "provisioner": "p"}),
		{"claims": false, "requireCustomerKey": true},
	)
	paths := {violation.path | some violation in policy.violation} with input as wanted
		with data.seawall.knowledge.provisioners.rows as {"p": row}
	paths == {["parameters", "keyTwo"]}
}

test_claim if {
	policy.violation == {claimed} with input as review_claim(claim({})) with data.cluster as cluster
	policy.violation == set() with input as review(claim({})) with data.cluster as cluster
	policy.violation == set() with input as review_claim(claim({"volumeName": "v"})) with data.cluster as cluster
	policy.violation == set() with input as review_claim(claim({"storageClassName": "safe"})) with data.cluster as cluster
	policy.violation == set() with input as review_claim(claim({})) with data.cluster as {}
}

# The patches are off by default, so that no case can show them.
test_patch if {
	every class in [ebs({}), ebs({"type": "gp3"}), ebs(null), object.remove(ebs({}), ["parameters"]), eks] {
		policy.patch == {{"op": "add", "path": "/parameters/encrypted", "value": "true"}} with input as review(class)
	}
	every class in [
		ebs({"encrypted": "false"}),
		ebs({"Encrypted": "no"}),
		ebs({"encrypted": null}),
		ebs({"encrypted": "true"}),
		ebs(["encrypted"]),
		ebs("x"),
		object.union(ebs({}), {"kind": "PersistentVolumeClaim"}),
		object.union(ebs({}), {"provisioner": "rbd.csi.ceph.com"}),
		object.union(ebs({}), {"provisioner": "linodebs.csi.linode.com"}),
		object.union(ebs({}), {"metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}}),
		null,
	] {
		policy.patch == set() with input as review(class)
	}
	update := object.union(review(ebs({})), {"request": {"operation": "UPDATE"}})
	policy.patch == set() with input as update
	keyless := with_parameters(review(ebs({"encrypted": "true"})), {"claims": false, "requireCustomerKey": true})
	policy.patch == set() with input as keyless
}

unencrypted := {
	"msg": concat(" ", [
		"The class does not ask for encryption, and ebs.csi.aws.com encrypts only when asked:",
		"whoever gets hold of a disk or a snapshot can read the data.",
	]),
	"path": ["parameters", "encrypted"],
	"found": "not encrypted",
	"wanted": "encrypted volumes",
	"fix": "parameters: {encrypted: \"true\"}",
}

claimed := {
	"msg": concat(" ", [
		"Class fast does not ask for encryption, and ebs.csi.aws.com encrypts only when asked:",
		"whoever gets hold of a disk or a snapshot can read the data.",
	]),
	"path": ["spec", "storageClassName"],
	"found": "fast",
	"wanted": "a class that encrypts: safe",
	"fix": "storageClassName: safe",
}

cluster := {
	"storageclasses": {"fast": ebs({}), "safe": ebs({"encrypted": "true"})},
	"index": {"classes_by_provisioner": {"ebs.csi.aws.com": ["fast", "safe"]}},
}

ebs(parameters) := {"kind": "StorageClass", "provisioner": "ebs.csi.aws.com", "parameters": parameters}

eks := {"kind": "StorageClass", "provisioner": "ebs.csi.eks.amazonaws.com"}

claim(more) := {"kind": "PersistentVolumeClaim", "spec": object.union({"storageClassName": "fast"}, more)}

review(object) := {
	"request": {"operation": "CREATE", "object": object, "oldObject": null},
	"seawall": {
		"now": "2026-01-15T12:00:00Z",
		"tier": "tier-2",
		"parameters": {"claims": false, "requireCustomerKey": false},
	},
}

review_claim(object) := with_parameters(review(object), {"claims": true, "requireCustomerKey": false})

with_parameters(request, parameters) := object.union(request, {"seawall": {"parameters": parameters}})
