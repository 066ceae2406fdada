package seawall.lib.containers_test

import data.seawall.lib.containers

set(spec, templates) := {
	"kind": "StatefulSet",
	"spec": {
		"template": {"spec": spec},
		"volumeClaimTemplates": [{"metadata": {"name": name}} | some name in templates],
	},
}

test_lists if {
	spec := {"containers": [null, {"name": "a"}], "initContainers": [{"name": "i"}, 3]}
	containers.main(set(spec, [])) == [{"field": "containers", "index": 1, "container": {"name": "a"}}]
	containers.init(set(spec, [])) == [{"field": "initContainers", "index": 0, "container": {"name": "i"}}]
	containers.main({}) == []
}

test_mounts if {
	container := {
		"volumeMounts": [
			null,
			{"mountPath": "/nameless"},
			{"name": "a", "mountPath": "/a/"},
			{"name": "b", "mountPath": "/b", "readOnly": true},
			{"name": "c", "mountPath": 7, "readOnly": "true"},
		],
		"volumeDevices": [{"name": "d", "devicePath": "/dev/xvda"}, {}],
	}
	containers.mounts(container) == [
		{"field": "volumeMounts", "index": 2, "volume": "a", "path": "/a", "writable": true},
		{"field": "volumeMounts", "index": 3, "volume": "b", "path": "/b", "writable": false},
		{"field": "volumeMounts", "index": 4, "volume": "c", "path": "", "writable": true},
		{"field": "volumeDevices", "index": 0, "volume": "d", "path": "", "writable": true},
	]
	containers.mounts({"volumeMounts": {}, "volumeDevices": "x"}) == []
}

test_mounted if {
	spec := {
		"containers": [{"volumeMounts": [{"name": "a", "mountPath": "/a"}]}, {"volumeDevices": [{"name": "b"}]}],
		"initContainers": [{"volumeMounts": [{"name": "c", "mountPath": "/c"}]}],
	}
	containers.mounted(set(spec, [])) == {"a", "b", "c"}
}

fixed(name, claim) := {"name": name, "persistentVolumeClaim": {"claimName": claim}}

test_claims if {
	spec := {"volumes": [
		fixed("a", "one"),
		{"name": "b", "emptyDir": {}},
		fixed("over", "ridden"),
		{"name": "c", "persistentVolumeClaim": {"claimName": "two", "readOnly": true}},
		{"name": "d", "persistentVolumeClaim": {"claimName": 3}},
		null,
	]}
	containers.claims(set(spec, ["over"])) == [
		{"index": 0, "volume": "a", "claim": "one", "writable": true},
		{"index": 3, "volume": "c", "claim": "two", "writable": false},
	]
}

test_written_claims if {
	volumes := [
		fixed("a", "one"),
		{"name": "b", "persistentVolumeClaim": {"claimName": "two", "readOnly": true}},
		fixed("c", "three"),
		fixed("d", "four"),
	]
	container := {
		"volumeMounts": [
			{"name": "a", "mountPath": "/a"},
			{"name": "b", "mountPath": "/b"},
			{"name": "c", "mountPath": "/c", "readOnly": true},
		],
	}
	written := containers.written_claims(set({"volumes": volumes}, []), container)
	written == [{"index": 0, "volume": "a", "claim": "one", "writable": true}]
}

test_written if {
	spec := {
		"volumes": [
			{"name": "tmp", "emptyDir": {}},
			fixed("a", "one"),
			{"name": "b", "persistentVolumeClaim": {"claimName": "two", "readOnly": true}},
			fixed("c", "three"),
			fixed("d", "four"),
			fixed("e", "five"),
			fixed("over", "ridden"),
		],
		"containers": [{"volumeMounts": [
			{"name": "tmp", "mountPath": "/tmp"},
			{"name": "a", "mountPath": "/a"},
			{"name": "b", "mountPath": "/b"},
			{"name": "c", "mountPath": "/c", "readOnly": true},
			{"name": "over", "mountPath": "/over"},
		]}],
		"initContainers": [{"volumeDevices": [{"name": "e", "devicePath": "/dev/e"}]}],
	}
	containers.written(set(spec, ["over"])) == [
		{"index": 1, "volume": "a", "claim": "one", "writable": true},
		{"index": 5, "volume": "e", "claim": "five", "writable": true},
	]
	containers.written({}) == []
}

test_kind if {
	spec := {"volumes": [
		fixed("claim", "x"),
		{"name": "bare"},
		{"name": "nulls", "hostPath": null},
		{"name": "twice", "emptyDir": {}},
		{"name": "twice", "hostPath": {"path": "/x"}},
		{"name": "tpl", "emptyDir": {}},
		{"name": "nfs", "nfs": {}},
	]}
	every name, expected in {
		"claim": "persistentVolumeClaim",
		"bare": "emptyDir",
		"nulls": "emptyDir",
		"twice": "emptyDir",
		"tpl": "claimTemplate",
		"nfs": "nfs",
		"missing": "unknown",
	} {
		containers.kind(set(spec, ["tpl"]), name) == expected
	}
}

lasts(volume) if containers.lasting(set({"volumes": [object.union({"name": "v"}, volume)]}, []), "v")

test_lasting if {
	every volume in [
		{"persistentVolumeClaim": {"claimName": "x"}},
		{"hostPath": {"path": "/data"}},
		{"nfs": {"server": "a"}},
		{"csi": {"driver": "nfs.csi.k8s.io"}},
	] {
		lasts(volume)
	}
	every volume in [
		{},
		{"emptyDir": {"medium": "Memory"}},
		{"ephemeral": {}},
		{"configMap": {}},
		{"secret": {}},
		{"projected": {}},
		{"downwardAPI": {}},
		{"image": {}},
		{"gitRepo": {}},
		{"hostPath": {"path": "/etc/localtime"}},
		{"hostPath": {"path": "/dev"}},
		{"hostPath": {"path": "/lib/modules"}},
		{"hostPath": {"path": "/proc"}},
		{"hostPath": {"path": "/run/udev"}},
		{"hostPath": {"path": "/sys"}},
		{"hostPath": {"path": "/usr/share/zoneinfo/UTC"}},
		{"csi": {"driver": "secrets-store.csi.k8s.io"}},
		{"csi": {"driver": "csi.cert-manager.io"}},
		{"csi": {"driver": "csi.spiffe.io"}},
		{"persistentVolumeClaim": {"claimName": "x", "readOnly": true}},
	] {
		not lasts(volume)
	}
	containers.lasting(set({}, ["tpl"]), "tpl")
	containers.lasting(set({}, []), "missing")
}

mount(path) := {"field": "volumeMounts", "path": path}

test_covers_and_touches if {
	containers.covers(mount("/data"), "/data")
	containers.covers(mount("/data"), "/data/db")
	containers.covers(mount(""), "/data/db")
	not containers.covers(mount("/data/db"), "/data")
	not containers.covers(mount("/dat"), "/data")
	not containers.covers({"field": "volumeDevices", "path": ""}, "/data")
	not containers.covers({"field": "volumeDevices", "path": ""}, "")
	containers.touches(mount("/data"), "/data/db")
	containers.touches(mount("/data/db"), "/data")
	not containers.touches(mount("/database"), "/data")
	not containers.touches({"field": "volumeDevices", "path": "/data/db"}, "/data")
}
