package seawall.lib.classes_test

import data.seawall.lib.classes

annotation := "volume.beta.kubernetes.io/storage-class"

test_class_of_a_claim if {
	classes.class_of({"spec": {"storageClassName": "a"}}) == "a"
	classes.class_of({"spec": {"storageClassName": ""}}) == ""
	classes.class_of({"spec": {"storageClassName": null}}) == null
	classes.class_of({"spec": {"storageClassName": 1}}) == null
	classes.class_of({}) == null
	classes.class_of({"metadata": {"annotations": {annotation: "b"}}, "spec": {"storageClassName": "a"}}) == "b"
	classes.class_of({"metadata": {"annotations": {annotation: 1}}, "spec": {"storageClassName": "a"}}) == "a"
}

test_class_path if {
	classes.class_path({"spec": {"storageClassName": "a"}}) == ["spec", "storageClassName"]
	classes.class_path({}) == ["spec", "storageClassName"]
	classes.class_path({"metadata": {"annotations": {annotation: "b"}}}) == ["metadata", "annotations", annotation]
}

test_defaults if {
	classes.reclaim_policy({}) == "Delete"
	classes.reclaim_policy({"reclaimPolicy": "Retain"}) == "Retain"
	classes.binding_mode({}) == "Immediate"
	classes.binding_mode({"volumeBindingMode": "WaitForFirstConsumer"}) == "WaitForFirstConsumer"
	classes.provisioner({}) == ""
}

test_kinds_of_classes if {
	classes.is_disposable({"metadata": {"labels": {"seawall.dev/data": "cache"}}})
	classes.is_disposable({"metadata": {"labels": {"seawall.dev/tier": "dev"}}})
	not classes.is_disposable({})
	classes.is_bucket({"provisioner": "rook-ceph.ceph.rook.io/bucket"})
	not classes.is_bucket({"provisioner": "rook-ceph.rbd.csi.ceph.com"})
	classes.is_static({"provisioner": "kubernetes.io/no-provisioner"})
	not classes.is_static({"provisioner": "ebs.csi.aws.com"})
	not classes.is_static({})
	classes.is_addon_managed({"metadata": {"labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"}}})
	not classes.is_addon_managed({"metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Ignored"}}})
}

test_rows if {
	classes.row_of("ebs.csi.aws.com") == "ebs.csi.aws.com"
	classes.row_of("kubernetes.io/gce-pd") == "pd.csi.storage.gke.io"
	classes.row_of("netapp.io/trident") == "csi.trident.netapp.io"
	classes.row_of("rook-ceph.rbd.csi.ceph.com") == "rbd.csi.ceph.com"
	classes.row_of("cluster.local/release-nfs-subdir-external-provisioner") == "nfs-provisioner"
	classes.row_of("xrbd.csi.ceph.com") == ""
	classes.row_of("") == ""
	classes.facts("unknown") == {}
	classes.facts("topolvm.io").boundTo == "node"
}

test_every_row_is_complete if {
	every name, row in data.seawall.knowledge.provisioners.rows {
		classes.row_of(name) == name
		row.storage in {"block", "file", "object", "hostpath", "static"}
		row.boundTo in {"node", "zone", "region", "datastore", "cluster", "backend", "network"}
		row.encryption.mode in {"always", "parameter", "backend", "none"}
		is_boolean(row.replicated)
		is_boolean(row.snapshots)
		is_boolean(row.expansion)
		is_boolean(row.verified)
		is_array(row.filesystemModes)
		is_array(row.blockModes)
		startswith(row.source, "https://")
	}
}

test_every_other_name_has_a_row if {
	known := object.keys(data.seawall.knowledge.provisioners.rows)
	every row in data.seawall.knowledge.provisioners.aliases {
		row in known
	}
	every row in data.seawall.knowledge.provisioners.inTree.migrated {
		row in known
	}
	every row in data.seawall.knowledge.provisioners.suffixes {
		row in known
	}
}

# Otherwise a class could set one key to two values, which is an error of every policy that asks.
test_variants_do_not_disagree if {
	conflicts := {[name, key] |
		some name, row in data.seawall.knowledge.provisioners.rows
		some one in object.get(row, "variants", [])
		some other in object.get(row, "variants", [])
		some key, value in one.set
		object.get(other.set, key, value) != value
	}
	conflicts == set()
}

test_parameters_change_facts if {
	lrs := {"provisioner": "disk.csi.azure.com", "parameters": {"skuName": "Premium_LRS", "other": "x_zrs"}}
	classes.facts_of(lrs).boundTo == "zone"
	zrs := {"provisioner": "disk.csi.azure.com", "parameters": {"skuName": "Premium_ZRS"}}
	classes.facts_of(zrs).boundTo == "region"
	classes.facts_of(zrs).replicated == true
	classes.facts_of({"provisioner": "driver.longhorn.io"}).replicated == true
	one := {"provisioner": "driver.longhorn.io", "parameters": {"numberOfReplicas": "1", "staleReplicaTimeout": "2"}}
	classes.facts_of(one).replicated == false
	other := {"provisioner": "driver.longhorn.io", "parameters": {"fsType": "1", "numberOfReplicas": 1}}
	classes.facts_of(other).replicated == true
	classes.facts_of({"provisioner": "driver.longhorn.io", "parameters": null}).replicated == true
	classes.facts_of({"provisioner": "unknown", "parameters": {"repl": "2"}}) == {}
}

test_verified if {
	classes.is_verified({"provisioner": "ebs.csi.aws.com"})
	not classes.is_verified({"provisioner": "csi.proxmox.sinextra.dev"})
	not classes.is_verified({"provisioner": "unknown"})
}

test_cluster if {
	cluster := {
		"storageclasses": {
			"a": {"provisioner": "p", "reclaimPolicy": "Retain"},
			"b": {"provisioner": "p"},
			"c": {"provisioner": "p", "reclaimPolicy": "Retain", "metadata": {"labels": {"seawall.dev/data": "scratch"}}},
			"d": {"provisioner": "p", "reclaimPolicy": "Retain"},
			"e": {"provisioner": "q", "reclaimPolicy": "Retain"},
		},
		"index": {"classes_by_provisioner": {"p": ["a", "b", "c", "d"], "q": ["e"]}},
	}
	classes.retaining("p") == ["a", "d"] with data.cluster as cluster
	classes.retaining("r") == [] with data.cluster as cluster
	classes.known("b") == {"provisioner": "p"} with data.cluster as cluster
	classes.known("z") == null with data.cluster as cluster
	classes.known(null) == null with data.cluster as {}
}

test_the_default if {
	classes.the_default == "b" with data.cluster as {"index": {"default_classes": ["b"]}}
	not classes.the_default with data.cluster as {"index": {"default_classes": ["a", "b"]}}
	not classes.the_default with data.cluster as {"index": {"default_classes": []}}
	not classes.the_default with data.cluster as {}
}
