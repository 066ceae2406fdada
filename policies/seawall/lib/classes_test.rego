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

test_rows_that_are_switched_off if {
	knowledge := {
		"rows": {"p": false, "q": {"storage": "block"}},
		"inTree": {"migrated": {"kubernetes.io/p": false}, "removed": {"kubernetes.io/q": false}},
		"aliases": {"r": false, "s": "q"},
		"suffixes": {".x": false, ".y": "q"},
		"bucketSuffixes": {"/bucket": false},
	}
	rows := {name: classes.row_of(name) | some name in ["p", "q", "r", "s", "a.x", "a.y", "kubernetes.io/p"]}
		with data.seawall.knowledge.provisioners as knowledge
	rows == {"p": "", "q": "q", "r": "", "s": "q", "a.x": "", "a.y": "q", "kubernetes.io/p": ""}
	classes.facts("p") == {} with data.seawall.knowledge.provisioners as knowledge
	classes.facts("a.y") == {"storage": "block"} with data.seawall.knowledge.provisioners as knowledge
	not classes.is_bucket({"provisioner": "a/bucket"}) with data.seawall.knowledge.provisioners as knowledge
	served := [driver | driver := classes.migrated_to("kubernetes.io/p")] with data.seawall.knowledge.provisioners as knowledge
	served == []
	removed := [release | release := classes.removed_in("kubernetes.io/q")]
		with data.seawall.knowledge.provisioners as knowledge
	removed == []

	# the row, but not what else leads to it
	gone := object.union(knowledge, {"rows": {"q": false}})
	facts := [classes.facts(name) | some name in ["q", "s", "a.y"]] with data.seawall.knowledge.provisioners as gone
	facts == [{}, {}, {}]
	not classes.is_verified({"provisioner": "s"}) with data.seawall.knowledge.provisioners as gone
}

test_parts_of_rows_that_are_switched_off if {
	classes.switched_on({"A": true, "B": false}) == {"a"}
	rows := {
		"off": {"encryption": false},
		"other": {"encryption": {"mode": false}},
		"disk": {"media": {"parameters": {"type": true}, "slow": {"hdd": "HDD", "old": false}}},
	}
	modes := [classes.encryption({"provisioner": name}) | some name in ["off", "other"]]
		with data.seawall.knowledge.provisioners.rows as rows
	modes == ["unknown", "unknown"]
	found := classes.encryption_facts({"provisioner": "other"}) with data.seawall.knowledge.provisioners.rows as rows
	found == {"mode": "unknown"}
	slow := [classes.slow_medium({"provisioner": "disk", "parameters": {"type": type}}).type | some type in ["hdd", "old"]]
		with data.seawall.knowledge.provisioners.rows as rows
	slow == ["hdd"]
}

test_plugins_inside_kubernetes if {
	classes.migrated_to("kubernetes.io/aws-ebs") == "ebs.csi.aws.com"
	not classes.migrated_to("kubernetes.io/rbd")
	not classes.migrated_to("ebs.csi.aws.com")
	classes.removed_in("kubernetes.io/rbd") == "v1.31"
	not classes.removed_in("kubernetes.io/aws-ebs")
	not classes.removed_in("kubernetes.io/no-provisioner")
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

test_words_about_parameters_are_complete if {
	every row in data.seawall.knowledge.provisioners.rows {
		is_complete(row)
		startswith(object.get(row, "parametersSource", "https://"), "https://")
		object.get(row, "parameterCase", "sensitive") == "sensitive"
		every map in [
			object.get(row, "parameters", {}),
			object.get(row, "parameterPrefixes", {}),
			object.get(row, ["encryption", "aliases"], {}),
			object.get(row, ["encryption", "needsSecret"], {}),
			object.get(row, ["encryption", "keyParameters"], {}),
			object.get(row, ["media", "parameters"], {}),
		] {
			every key, on in map {
				key != ""
				on == true
			}
		}
		is_string(object.get(row, ["media", "instead"], ""))
		every key, why in object.get(row, ["media", "slow"], {}) {
			key == lower(key)
			is_string(why)
		}
		every key, instead in object.get(row, "deprecatedParameters", {}) {
			not key in object.keys(object.get(row, "parameters", {}))
			is_string(instead)
		}
	}
	every row in data.seawall.knowledge.provisioners.volumeSources {
		classes.facts(row) != {}
	}
	every set in data.seawall.knowledge.provisioners.mountOptions {
		every option, why in set {
			option == lower(option)
			is_string(why)
		}
	}
}

# Where one parameter asks for something, the others about it are known, too.
is_complete(row) if row.encryption.mode != "parameter"

is_complete(row) if {
	row.encryption.mode == "parameter"
	is_string(row.encryption.parameter)
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
	sharded := {"numberOfReplicas": "1", "dataLayout.type": "sharded"}
	classes.facts_of({"provisioner": "driver.longhorn.io", "parameters": sharded}).replicated == true
	plain := {"numberOfReplicas": "1", "dataLayout.type": "replicated"}
	classes.facts_of({"provisioner": "driver.longhorn.io", "parameters": plain}).replicated == false
	local := classes.facts_of({"provisioner": "driver.longhorn.io", "parameters": {"dataLocality": "strict-local"}})
	local.boundTo == "node"
	local.replicated == false
	classes.facts_of({"provisioner": "unknown", "parameters": {"repl": "2"}}) == {}
}

test_verified if {
	classes.is_verified({"provisioner": "ebs.csi.aws.com"})
	not classes.is_verified({"provisioner": "csi.proxmox.sinextra.dev"})
	not classes.is_verified({"provisioner": "unknown"})
}

test_stated if {
	class := {"parameters": {"Type": "a", "TYPE": "b", "other": "c", "type": 5, "tyPe": ""}}
	sort(classes.stated(class, {"type"})) == ["a", "b"]
	classes.stated(class, set()) == []
	classes.stated({"parameters": ["type"]}, {"type"}) == []
	classes.stated(null, {"type"}) == []
}

test_encryption if {
	classes.encryption({"provisioner": "pd.csi.storage.gke.io"}) == "on"
	classes.encryption({"provisioner": "csi.vsphere.vmware.com"}) == "unknown"
	classes.encryption({"provisioner": "topolvm.io"}) == "unknown"
	classes.encryption({"provisioner": "x"}) == "unknown"
	classes.encryption({}) == "unknown"
	every parameters, state in {
		{}: "off",
		{"encrypted": "false"}: "off",
		{"encrypted": ""}: "off",
		{"encrypted": "true"}: "on",
		{"Encrypted": "TRUE"}: "on",
		{"encrypted": "yes"}: "off",
	} {
		classes.encryption({"provisioner": "ebs.csi.aws.com", "parameters": parameters}) == state
	}
	longhorn := {"provisioner": "driver.longhorn.io", "parameters": {"encrypted": "true"}}
	classes.encryption(longhorn) == "incomplete"
	secret := {"parameters": {"csi.storage.k8s.io/node-stage-secret-name": "s"}}
	classes.encryption(object.union(longhorn, secret)) == "on"
	hetzner := {"provisioner": "csi.hetzner.cloud"}
	classes.encryption(hetzner) == "off"
	named := {"parameters": {"csi.storage.k8s.io/node-publish-secret-name": "any"}}
	classes.encryption(object.union(hetzner, named)) == "on"
	alias := {"provisioner": "io.openebs.csi-mayastor", "parameters": {"secure": "true"}}
	classes.encryption(alias) == "on"
	every layers, state in {"drbd luks storage": "on", "drbd LUKS storage": "on", "drbd storage": "off", "luksury": "off"} {
		class := {"provisioner": "linstor.csi.linbit.com", "parameters": {"linstor.csi.linbit.com/layerList": layers}}
		classes.encryption(class) == state
	}
	classes.encryption({"provisioner": "pxd.portworx.com", "parameters": {"repl": "2"}}) == "off"
	classes.encryption({"provisioner": "pxd.portworx.com", "parameters": {"backend": "pure_block"}}) == "unknown"
}

test_encryption_verified if {
	classes.encryption_verified({"provisioner": "ebs.csi.aws.com"})
	not classes.encryption_verified({"provisioner": "zfs.csi.openebs.io"})
	not classes.encryption_verified({"provisioner": "csi.cloudscale.ch"})
	not classes.encryption_verified({"provisioner": "x"})
}

test_own_key if {
	classes.own_key({"provisioner": "ebs.csi.aws.com"}) == false
	classes.own_key({"provisioner": "ebs.csi.aws.com", "parameters": {"KmsKeyId": "k"}}) == true
	every name in ["dobs.csi.digitalocean.com", "x"] {
		[own | own := classes.own_key({"provisioner": name, "parameters": {"kmsKeyId": "k"}})] == []
	}
}

test_slow_medium if {
	slow := {name: medium |
		some name, class in {
			"ebs": {"provisioner": "ebs.csi.aws.com"},
			"ebs-hdd": {"provisioner": "ebs.csi.aws.com", "parameters": {"Type": "ST1"}},
			"ebs-ssd": {"provisioner": "ebs.csi.aws.com", "parameters": {"type": "io2"}},
			"pd": {"provisioner": "pd.csi.storage.gke.io", "parameters": {"type": ""}},
			"pd-ssd": {"provisioner": "pd.csi.storage.gke.io", "parameters": {"type": "pd-ssd"}},
			"azure": {"provisioner": "disk.csi.azure.com"},
			"azure-hdd": {"provisioner": "disk.csi.azure.com", "parameters": {"storageAccountType": "Standard_LRS"}},
			"nfs": {"provisioner": "nfs.csi.k8s.io"},
			"unknown": {"provisioner": "x"},
		}
		medium := classes.slow_medium(class)
	}
	slow == {
		"ebs-hdd": {"type": "ST1", "why": "throughput HDD", "stated": true},
		"pd": {"type": "pd-standard", "why": "HDD", "stated": false},
		"azure-hdd": {"type": "Standard_LRS", "why": "HDD", "stated": true},
	}
}

test_classes_that_pass if {
	cluster := {
		"storageclasses": {
			"a": {"provisioner": "ebs.csi.aws.com"},
			"b": {"provisioner": "ebs.csi.aws.com", "parameters": {"encrypted": "true"}},
			"c": {
				"provisioner": "ebs.csi.aws.com",
				"parameters": {"encrypted": "true"},
				"metadata": {"labels": {"seawall.dev/data": "scratch"}},
			},
			"d": {"provisioner": "topolvm.io"},
			"e": {"provisioner": "nfs.csi.k8s.io"},
			"f": {"provisioner": "rook-ceph.rbd.csi.ceph.com"},
		},
		"index": {"classes_by_provisioner": {
			"ebs.csi.aws.com": ["a", "b", "c"],
			"topolvm.io": ["d"],
			"nfs.csi.k8s.io": ["e"],
			"rook-ceph.rbd.csi.ceph.com": ["f"],
			"x": ["g"],
		}},
	}
	classes.encrypting("ebs.csi.aws.com") == ["b"] with data.cluster as cluster
	classes.encrypting("x") == [] with data.cluster as cluster
	classes.attachable == ["a", "b", "f"] with data.cluster as cluster
	classes.attachable == [] with data.cluster as {}
	many := {"index": {"classes_by_provisioner": {
		"ebs.csi.aws.com": ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "aa"],
		"pd.csi.storage.gke.io": ["b0"],
	}}}
	count(classes.attachable) == 10 with data.cluster as many
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
