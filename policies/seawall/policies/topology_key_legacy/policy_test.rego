package seawall.policies.topology_key_legacy_test

import data.seawall.policies.topology_key_legacy as policy

review(value, operation) := {"request": {"operation": operation, "namespace": "shop", "object": value}}

old := "failure-domain.beta.kubernetes.io/zone"

new := "topology.kubernetes.io/zone"

legacy(path, fix, key) := {
	"msg": concat(" ", [
		"failure-domain.beta.kubernetes.io/zone is deprecated since Kubernetes v1.17, and new nodes need not carry it:",
		"what rests on it finds no nodes, or spreads nothing.",
	]),
	"path": path,
	"found": old,
	"wanted": new,
	"fix": fix,
	"key": key,
}

test_workloads if {
	pod := {
		"topologySpreadConstraints": [{"topologyKey": new}, {"topologyKey": old}],
		"nodeSelector": {old: "a"},
	}
	base := ["spec", "template", "spec"]
	expected := {
		legacy(
			array.concat(base, ["topologySpreadConstraints", 1, "topologyKey"]),
			"topologyKey: topology.kubernetes.io/zone",
			"topologySpreadConstraints failure-domain.beta.kubernetes.io/zone",
		),
		legacy(
			array.concat(base, ["nodeSelector", old]),
			"topology.kubernetes.io/zone instead of failure-domain.beta.kubernetes.io/zone",
			"nodeSelector failure-domain.beta.kubernetes.io/zone",
		),
	}
	every kind in ["StatefulSet", "Deployment"] {
		every operation in ["CREATE", "UPDATE"] {
			value := {"kind": kind, "spec": {"template": {"spec": pod}}}
			policy.violation == expected with input as review(value, operation)
		}
	}
}

volume(key) := {
	"kind": "PersistentVolume",
	"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key}]}]}}},
}

test_volumes if {
	path := ["spec", "nodeAffinity", "required", "nodeSelectorTerms", 0, "matchExpressions", 0, "key"]
	expected := {legacy(
		path, "key: topology.kubernetes.io/zone",
		"nodeAffinity failure-domain.beta.kubernetes.io/zone",
	)}
	policy.violation == expected with input as review(volume(old), "CREATE")
	policy.violation == set() with input as review(volume(new), "CREATE")
}

class(provisioner, parameters, key) := {
	"kind": "StorageClass",
	"provisioner": provisioner,
	"parameters": parameters,
	"allowedTopologies": [{"matchLabelExpressions": [{"key": key}]}],
}

test_classes if {
	expected := {legacy(
		["allowedTopologies", 0, "matchLabelExpressions", 0, "key"], "key: topology.kubernetes.io/zone",
		"allowedTopologies failure-domain.beta.kubernetes.io/zone",
	)}
	policy.violation == expected with input as review(class("ebs.csi.aws.com", {"zone": "a"}, old), "CREATE")
	policy.violation == set() with input as review(class("ebs.csi.aws.com", {"zone": "a"}, new), "CREATE")
}

test_parameters if {
	value := class("kubernetes.io/aws-ebs", {"zones": "a,b", "type": "gp2"}, new)
	expected := {{
		"msg": "The parameter zones is out of date: it chooses zones whether or not the Pods can run there.",
		"path": ["parameters", "zones"],
		"found": "zones",
		"wanted": "allowedTopologies",
		"fix": concat(" ", [
			"allowedTopologies: [{matchLabelExpressions: [{key: topology.kubernetes.io/zone, values: [a,b]}]}]",
			"instead of zones, in a new class",
		]),
	}}
	policy.violation == expected with input as review(value, "CREATE")
	policy.violation == set() with input as review(value, "UPDATE")
}
