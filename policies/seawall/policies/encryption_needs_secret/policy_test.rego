package seawall.policies.encryption_needs_secret_test

import data.seawall.policies.encryption_needs_secret as policy

test_no_secret if {
	policy.violation == {found(
		"driver.longhorn.io",
		"csi.storage.k8s.io/node-publish-secret-name or csi.storage.k8s.io/node-stage-secret-name",
		concat("", [
			"parameters: {csi.storage.k8s.io/node-publish-secret-name: <name>, ",
			"csi.storage.k8s.io/node-publish-secret-namespace: <namespace>}",
		]),
	)} with input as review("driver.longhorn.io", {"encrypted": "true"})
}

test_no_key_service if {
	row := {
		"encryption": {
			"mode": "parameter",
			"parameter": "encrypted",
			"needsSecret": {"a-off": false, "kms": true},
		},
		"verified": true,
	}
	policy.violation == {found("p", "kms", "parameters: {kms: <id>}")} with input as review("p", {"encrypted": "yes"})
		with data.seawall.knowledge.provisioners.rows as {"p": row}
}

test_quiet if {
	every parameters in [
		{},
		{"encrypted": "false"},
		{"encrypted": "true", "csi.storage.k8s.io/node-stage-secret-name": "keys"},
		{"encrypted": "true", "csi.storage.k8s.io/node-publish-secret-name": "keys"},
		null,
	] {
		policy.violation == set() with input as review("driver.longhorn.io", parameters)
	}
	policy.violation == set() with input as review("ebs.csi.aws.com", {"encrypted": "true"})
}

test_not_verified if {
	row := {"encryption": {"mode": "parameter", "parameter": "e", "needsSecret": {"kms": true}}, "verified": false}
	policy.violation == set() with input as review("p", {"e": "true"})
		with data.seawall.knowledge.provisioners.rows as {"p": row}
}

found(provisioner, wanted, fix) := {
	"msg": concat(" ", [
		sprintf("The class asks %s for encryption", [provisioner]),
		"but names no secret and no key service: no volume of it can be made or mounted.",
	]),
	"path": ["parameters"],
	"found": "no secret",
	"wanted": wanted,
	"fix": fix,
	"key": "secret",
}

review(provisioner, parameters) := {
	"request": {"operation": "CREATE", "object": {"provisioner": provisioner, "parameters": parameters}},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
