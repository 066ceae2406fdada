package seawall.policies.deployment_claim_strategy_test

import data.seawall.policies.deployment_claim_strategy as policy

review(operation, value) := {"request": {"operation": operation, "namespace": "shop", "object": value}}

deployment(replicas, strategy, mount) := {
	"kind": "Deployment",
	"metadata": {"name": "web"},
	"spec": {
		"replicas": replicas,
		"strategy": strategy,
		"template": {"spec": {
			"containers": [{"volumeMounts": [object.union({"name": "data", "mountPath": "/data"}, mount)]}],
			"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "web-data"}}],
		}},
	},
}

plain := deployment(1, null, {})

by_default := {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}

cluster(modes) := {"persistentvolumeclaims": {"shop": {"web-data": {"spec": {"accessModes": modes}}}}}

once := cluster(["ReadWriteOnce"])

held(reach) := {{
	"msg": concat(" ", [
		"a rolling update starts the new Pod while the old one holds claim web-data,",
		sprintf("which %s can mount: the update hangs, or both write the same files", [reach]),
	]),
	"path": ["spec", "strategy"],
	"found": "RollingUpdate",
	"wanted": "Recreate",
	"fix": "strategy: {type: Recreate} without rollingUpdate; an update then stops the old Pod first",
}}

recreate := {{"op": "add", "path": "/spec/strategy", "value": {"type": "Recreate"}}}

test_create if {
	every value in [
		plain,
		deployment(0, {}, {}),
		deployment(null, {"type": "RollingUpdate"}, {}),
		deployment(1, by_default, {}),
	] {
		policy.violation == held("one node at a time") with input as review("CREATE", value) with data.cluster as once
		policy.patch == recreate with input as review("CREATE", value) with data.cluster as once
	}
	policy.violation == held("one Pod at a time") with input as review("CREATE", plain)
		with data.cluster as cluster(["ReadWriteOncePod"])
}

test_no_patch if {
	policy.violation == held("one node at a time") with input as review("UPDATE", plain) with data.cluster as once
	policy.patch == set() with input as review("UPDATE", plain) with data.cluster as once
	every strategy in [
		{"rollingUpdate": {"maxSurge": 1}},
		{"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}},
		"RollingUpdate",
	] {
		value := deployment(1, strategy, {})
		policy.violation == held("one node at a time") with input as review("CREATE", value) with data.cluster as once
		policy.patch == set() with input as review("CREATE", value) with data.cluster as once
	}
}

test_quiet if {
	every value in [
		deployment(2, null, {}),
		deployment(1, {"type": "Recreate"}, {}),
		deployment(1, {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, {}),
		deployment(1, null, {"readOnly": true}),
	] {
		policy.violation == set() with input as review("CREATE", value) with data.cluster as once
		policy.patch == set() with input as review("CREATE", value) with data.cluster as once
	}
}

# What may be shared between nodes, or is not known, must never be patched.
test_claim if {
	every modes in [["ReadWriteMany"], ["ReadWriteOnce", "ReadWriteMany"], ["ReadOnlyMany"], []] {
		policy.violation == set() with input as review("CREATE", plain) with data.cluster as cluster(modes)
		policy.patch == set() with input as review("CREATE", plain) with data.cluster as cluster(modes)
	}
	policy.violation == set() with input as review("CREATE", plain)
	policy.patch == set() with input as review("CREATE", plain)
	policy.patch == set() with input as review("CREATE", plain) with data.cluster as {"persistentvolumeclaims": {}}
}
