package seawall.policies.access_mode_mixed_test

import data.seawall.policies.access_mode_mixed as policy

review(spec) := {"request": {"operation": "CREATE", "object": {
	"kind": "PersistentVolumeClaim",
	"metadata": {"name": "data"},
	"spec": object.union({"storageClassName": "class"}, spec),
}}}

found(spec, storage) := result if {
	result := policy.violation with input as review(spec)
		with data.cluster as {"storageclasses": {"class": {"provisioner": "p"}}, "index": {"default_classes": []}}
		with data.seawall.knowledge.provisioners.rows as {"p": {"storage": storage}}
}

mixed(modes, text, first) := {{
	"msg": concat(" ", [
		sprintf("the claim asks for %s: the volume must be capable of all of them,", [text]),
		"and the loosest decides who can mount it; a second node is not kept off it",
	]),
	"path": ["spec", "accessModes"],
	"found": modes,
	"wanted": "the one mode that the workload needs",
	"fix": sprintf("accessModes: [%s], or the one that the workload needs", [first]),
}}

empty := {{
	"msg": "the claim may only be read and is made from nothing: it gets a new disk that nobody can write to",
	"path": ["spec", "accessModes"],
	"found": ["ReadOnlyMany"],
	"wanted": "a dataSource (a snapshot or a claim to read), or ReadWriteOnce",
	"fix": "dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: <snapshot>}",
}}

test_mixed if {
	two := ["ReadWriteMany", "ReadWriteOnce"]
	found({"accessModes": two}, "file") == mixed(two, "ReadWriteOnce and ReadWriteMany", "ReadWriteOnce")
	found({"accessModes": two, "storageClassName": null}, "file") == mixed(
		two, "ReadWriteOnce and ReadWriteMany",
		"ReadWriteOnce",
	)
	readers := ["ReadOnlyMany", "ReadWriteOnce"]
	found({"accessModes": readers}, "block") == mixed(readers, "ReadWriteOnce and ReadOnlyMany", "ReadWriteOnce")
	every change in [{"volumeName": "pv"}, {"selector": {}}, {"storageClassName": ""}] {
		found(object.union({"accessModes": two}, change), "file") == set()
	}
	every modes in [["ReadWriteOnce"], ["ReadWriteOnce", "ReadWriteOnce"], ["ReadWriteOnce", "Odd"], [], "x", null] {
		found({"accessModes": modes}, "file") == set()
	}
}

test_empty if {
	found({"accessModes": ["ReadOnlyMany"]}, "block") == empty
	found({"accessModes": ["ReadOnlyMany"], "dataSource": null}, "block") == empty
	every storage in ["file", "object", "static", "hostpath"] {
		found({"accessModes": ["ReadOnlyMany"]}, storage) == set()
	}
	every change in [
		{"dataSource": {"name": "s"}},
		{"dataSourceRef": {"name": "s"}},
		{"volumeName": "pv"},
		{"storageClassName": ""},
		{"storageClassName": "other"},
	] {
		found(object.union({"accessModes": ["ReadOnlyMany"]}, change), "block") == set()
	}
}
