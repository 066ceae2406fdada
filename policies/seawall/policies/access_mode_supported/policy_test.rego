package seawall.policies.access_mode_supported_test

import data.seawall.policies.access_mode_supported as policy

review(spec) := {"request": {"operation": "CREATE", "object": {
	"kind": "PersistentVolumeClaim",
	"metadata": {"name": "data"},
	"spec": spec,
}}}

shared := {"storageClassName": "disk", "accessModes": ["ReadWriteMany"]}

device := {"storageClassName": "share", "accessModes": ["ReadWriteOnce"], "volumeMode": "Block"}

classes := {
	"disk": {"provisioner": "disk.example.com"},
	"share": {"provisioner": "share.example.com"},
	"cached": {"provisioner": "share.example.com", "metadata": {"labels": {"seawall.dev/data": "cache"}}},
	"guess": {"provisioner": "guess.example.com"},
	"local": {"provisioner": "local.example.com"},
	"other": {"provisioner": "other.example.com"},
}

one := ["ReadWriteOnce", "ReadWriteOncePod"]

many := ["ReadWriteMany", "ReadWriteOnce"]

rows := {
	"disk.example.com": {"filesystemModes": one, "blockModes": one, "boundTo": "zone", "verified": true},
	"share.example.com": {"filesystemModes": many, "blockModes": [], "boundTo": "network", "verified": true},
	"guess.example.com": {"filesystemModes": one, "blockModes": [], "boundTo": "zone", "verified": false},
	"local.example.com": {"filesystemModes": one, "blockModes": [], "boundTo": "node", "verified": true},
}

cluster(names) := {
	"storageclasses": {name: class |
		some name in names
		class := classes[name]
	},
	"index": {
		"default_classes": [],
		"classes_by_provisioner": {provisioner: members |
			some name in names
			provisioner := classes[name].provisioner
			members := [member |
				some member in names
				classes[member].provisioner == provisioner
			]
		},
	},
}

found(spec, names) := result if {
	result := policy.violation with input as review(spec)
		with data.cluster as cluster(names)
		with data.seawall.knowledge.provisioners.rows as rows
}

no_sharing := {
	"msg": concat(" ", [
		"class disk (disk.example.com) makes volumes for one node at a time: with ReadWriteMany",
		"the claim is never provisioned, or Pods on a second node wait for it forever",
	]),
	"path": ["spec", "accessModes"],
	"found": ["ReadWriteMany"],
	"wanted": "ReadWriteOnce, or a class that shares volumes between nodes: share",
	"fix": "accessModes: [ReadWriteOnce]; if several nodes must write, storageClassName: share",
}

no_device := {
	"msg": "class share (share.example.com) makes no raw block volumes: the claim is never provisioned",
	"path": ["spec", "volumeMode"],
	"found": "Block",
	"wanted": "Filesystem, or a class of a block storage: disk",
	"fix": "volumeMode: Filesystem; if a device is needed, storageClassName: disk",
}

test_sharing if {
	found(shared, ["disk", "share", "cached", "guess", "local", "other"]) == {no_sharing}
	found(shared, ["disk"]) == {object.union(no_sharing, {
		"wanted": "ReadWriteOnce, or a class that shares volumes between nodes",
		"fix": concat(" ", [
			"accessModes: [ReadWriteOnce]; if several nodes must write,",
			"a class of a file storage (NFS, CephFS, EFS, Azure Files, Filestore)",
		]),
	})}
}

test_device if {
	found(device, ["disk", "share"]) == {no_device}
	found(device, ["share"]) == {object.union(no_device, {
		"wanted": "Filesystem, or a class of a block storage",
		"fix": "volumeMode: Filesystem; if a device is needed, a class of a block storage",
	})}
}

test_quiet if {
	all := ["disk", "share", "guess", "local", "other"]
	every change in [
		{"accessModes": ["ReadWriteOnce"]},
		{"accessModes": ["ReadWriteOncePod"]},
		{"accessModes": ["ReadOnlyMany"]},
		{"storageClassName": "share"},
		{"storageClassName": "guess"},
		{"storageClassName": "local"},
		{"storageClassName": "other"},
		{"storageClassName": "missing"},
		{"storageClassName": ""},
		{"volumeName": "pv"},
		{"selector": {"matchLabels": {"a": "b"}}},
	] {
		found(object.union(shared, change), all) == set()
	}
	every change in [{"storageClassName": "guess"}, {"storageClassName": "local"}, {"volumeName": "pv"}] {
		found(object.union(device, change), all) == set()
	}
}
