package seawall.lib.intree_test

import data.seawall.lib.intree

test_classes if {
	intree.uses({"kind": "StorageClass", "provisioner": "kubernetes.io/rbd"}) == [{
		"plugin": "kubernetes.io/rbd",
		"path": ["provisioner"],
		"found": "kubernetes.io/rbd",
	}]
	intree.uses({"kind": "StorageClass", "spec": {"rbd": {}}}) == [{
		"plugin": "",
		"path": ["provisioner"],
		"found": "",
	}]
}

test_volumes if {
	rbd := {"plugin": "kubernetes.io/rbd", "path": ["spec", "rbd"], "found": "rbd"}
	intree.uses({"kind": "PersistentVolume", "spec": {"rbd": {"image": "a"}, "cinder": null, "csi": {}}}) == [rbd]
	intree.uses({"kind": "PersistentVolume", "provisioner": "kubernetes.io/rbd", "spec": ["rbd"]}) == []
}

test_fixes if {
	intree.fix_of({"path": ["provisioner"], "found": "a"}, "d") == "provisioner: d"
	of_volume := intree.fix_of({"path": ["spec", "rbd"], "found": "rbd"}, "d")
	of_volume == "csi: {driver: d, volumeHandle: <id of the volume>} instead of rbd"
}

# Every plugin that knowledge names can be found in a volume.
test_sources_are_complete if {
	plugins := {plugin | some plugin in intree.sources}
	migrated := object.keys(data.seawall.knowledge.provisioners.inTree.migrated)
	removed := object.keys(data.seawall.knowledge.provisioners.inTree.removed)
	(migrated | removed) - plugins == set()
}
