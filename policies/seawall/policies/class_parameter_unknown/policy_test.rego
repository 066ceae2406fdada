package seawall.policies.class_parameter_unknown_test

import data.seawall.policies.class_parameter_unknown as policy

test_misspelt if {
	policy.violation == {{
		"msg": concat(" ", [
			"ebs.csi.aws.com knows no parameter encyrpted:",
			"it is ignored, or no volume of the class can be made.",
		]),
		"path": ["parameters", "encyrpted"],
		"found": "encyrpted",
		"wanted": "a known parameter: encrypted",
		"fix": "encrypted instead of encyrpted",
	}} with input as review("ebs.csi.aws.com", {"encyrpted": "true", "type": "gp3"})
}

test_out_of_date if {
	policy.violation == {{
		"msg": "The parameter zones is out of date for ebs.csi.aws.com.",
		"path": ["parameters", "zones"],
		"found": "zones",
		"wanted": "allowedTopologies",
		"fix": "allowedTopologies instead of zones",
	}} with input as review("ebs.csi.aws.com", {"zones": "a,b"})
}

test_switched_off if {
	row := {
		"parameters": {"one": true, "two": false},
		"parameterPrefixes": {"a-": true, "b-": false},
		"parameterNamespaces": {"c/": true, "d/": false},
		"deprecatedParameters": {"three": false},
	}
	found := {violation.found: violation.wanted | some violation in policy.violation}
		with input as review("p", {"One": "", "two": "", "three": "", "a-x": "", "b-x": "", "c/one": "", "d/one": "", "zone": "", "common/x": ""})
		with data.seawall.knowledge.provisioners.rows as {"p": row}
		with data.seawall.knowledge.provisioners.deprecatedParameters as {"zone": false}
		with data.seawall.knowledge.provisioners.commonPrefixes as {"common/": true}
	found == {name: "a known parameter, among them: one" | some name in ["two", "three", "b-x", "d/one", "zone"]}
}

test_quiet if {
	policy.violation == set() with input as review("ebs.csi.aws.com", {})
	policy.violation == set() with input as review("ebs.csi.aws.com", null)
	policy.violation == set() with input as review("kubernetes.io/aws-ebs", {"encyrpted": "true"})
	policy.violation == set() with input as review("unknown", {"encyrpted": "true"})
}

review(provisioner, parameters) := {
	"request": {"operation": "CREATE", "object": {"provisioner": provisioner, "parameters": parameters}},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-2", "parameters": {}},
}
