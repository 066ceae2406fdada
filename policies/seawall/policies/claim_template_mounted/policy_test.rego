package seawall.policies.claim_template_mounted_test

import data.seawall.policies.claim_template_mounted as policy

review(mount) := {"request": {"operation": "CREATE", "object": {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"template": {"spec": {
			"containers": [object.union({"name": "main"}, mount)],
			"volumes": [{"name": "conf", "configMap": {"name": "conf"}}],
		}},
		"volumeClaimTemplates": [null, {"metadata": {"name": "data"}}],
	},
}}}

idle(fix) := {{
	"msg": "volumeClaimTemplate data is mounted by no container: it stays empty, and the data is lost with the Pod",
	"path": ["spec", "volumeClaimTemplates", 1],
	"found": "data",
	"wanted": "a volumeMount or volumeDevice of that name in some container",
	"fix": fix,
}}

test_not_mounted if {
	expected := idle("mount it: volumeMounts: [{name: data, mountPath: <data directory>}]")
	policy.violation == expected with input as review({})
	policy.violation == expected with input as review({"volumeMounts": [{"name": "conf", "mountPath": "/etc/x"}]})
}

test_mistyped if {
	expected := idle(concat("; ", [
		"mount it: volumeMounts: [{name: data, mountPath: <data directory>}]",
		"a container mounts daat, dtaa, which does not exist",
	]))
	mounts := [{"name": "dtaa", "mountPath": "/b"}, {"name": "daat", "mountPath": "/a"}]
	policy.violation == expected with input as review({"volumeMounts": mounts})
}

test_mounted if {
	policy.violation == set() with input as review({"volumeMounts": [{"name": "data", "mountPath": "/data"}]})
	policy.violation == set() with input as review({"volumeDevices": [{"name": "data", "devicePath": "/dev/xvda"}]})
}
