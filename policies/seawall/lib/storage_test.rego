package seawall.lib.storage_test

import data.seawall.lib.storage

test_templates if {
	found := storage.of(set) with data.cluster as cluster
	found == [
		{
			"index": 1,
			"name": "data",
			"claim": set.spec.volumeClaimTemplates[1],
			"class_name": "fast",
			"class": {"provisioner": "ebs.csi.aws.com"},
			"facts": data.seawall.knowledge.provisioners.rows["ebs.csi.aws.com"],
			"verified": true,
		},
		{
			"index": 2,
			"name": "logs",
			"claim": {"metadata": {"name": "logs"}},
			"class_name": "shared",
			"class": {"provisioner": "nfs.csi.k8s.io"},
			"facts": data.seawall.knowledge.provisioners.rows["nfs.csi.k8s.io"],
			"verified": true,
		},
		{
			"index": 3,
			"name": "gone",
			"claim": set.spec.volumeClaimTemplates[3],
			"class_name": "gone",
			"class": null,
			"facts": {},
			"verified": false,
		},
	]
	storage.of({"kind": "Deployment", "spec": set.spec}) == [] with data.cluster as cluster
	storage.of(null) == []
}

test_class_name if {
	storage.class_name({"spec": {"storageClassName": "a"}}) == "a" with data.cluster as cluster
	storage.class_name({"spec": {"storageClassName": ""}}) == "" with data.cluster as cluster
	storage.class_name({}) == "shared" with data.cluster as cluster
	storage.class_name({}) == null with data.cluster as {}
}

test_unverified if {
	unsure := {"storageclasses": {"u": {"provisioner": "csi.weka.io"}}}
	storage.verified(null) == false
	storage.verified({"provisioner": "csi.weka.io"}) == false
	storage.named("u") == {"provisioner": "csi.weka.io"} with data.cluster as unsure
	storage.named("v") == null with data.cluster as unsure
	storage.named(null) == null
	storage.facts(null) == {}
}

test_behind_a_template if {
	entry := storage.behind(set, "shop", "data") with data.cluster as cluster
	entry == {
		"path": ["spec", "volumeClaimTemplates", 1, "spec", "storageClassName"],
		"what": "class fast",
		"claim": set.spec.volumeClaimTemplates[1],
		"class": {"provisioner": "ebs.csi.aws.com"},
		"facts": data.seawall.knowledge.provisioners.rows["ebs.csi.aws.com"],
		"verified": true,
	}
	not storage.behind(set, "shop", "gone") with data.cluster as cluster
	not storage.behind(set, "shop", "nothing") with data.cluster as cluster
}

test_template_overrides_a_volume if {
	both := object.union(set, {"spec": {"template": {"spec": {"volumes": [{"name": "data", "nfs": {}}]}}}})
	entry := storage.behind(both, "shop", "data") with data.cluster as cluster
	entry.what == "class fast"
}

test_behind_a_claim if {
	what := {name: entry.what |
		some name in ["by-class", "by-default", "by-driver", "by-kind", "no-class", "unknown"]
		entry := storage.behind(using(name), "shop", "v")
	} with data.cluster as cluster
	what == {
		"by-class": "class fast",
		"by-default": "class shared",
		"by-driver": "s3.csi.aws.com",
		"by-kind": "nfs",
	}
	found := storage.behind(using("by-class"), "shop", "v") with data.cluster as cluster
	found.path == ["spec", "template", "spec", "volumes", 0, "persistentVolumeClaim", "claimName"]
	found.claim == cluster.persistentvolumeclaims.shop["by-class"]
	not storage.behind(using("by-class"), "other", "v") with data.cluster as cluster
	not storage.behind(using("by-class"), "shop", "v") with data.cluster as {}
}

test_behind_a_volume_of_the_pod if {
	entry := storage.behind(holding({"nfs": {"server": "a", "path": "/"}}), "shop", "v")
	entry.path == ["spec", "template", "spec", "volumes", 0, "nfs"]
	entry.facts.storage == "file"
	entry.verified
	entry.class == null
	variant := storage.behind(
		holding({"csi": {"driver": "disk.csi.azure.com", "volumeAttributes": {"skuName": "Premium_ZRS"}}}),
		"shop",
		"v",
	)
	variant.path == ["spec", "template", "spec", "volumes", 0, "csi"]
	variant.facts.boundTo == "region"
	every source in [{}, {"emptyDir": {}}, {"csi": {}}, {"csi": null}, {"nfs": null}, {"nfs": 5}] {
		not storage.behind(holding(source), "shop", "v")
	}
	unknown := storage.behind(holding({"csi": {"driver": "x.example.com"}}), "shop", "v")
	unknown.facts == {}
	unknown.verified == false
}

test_volumes_of_a_bare_pod if {
	pod := {"kind": "Pod", "spec": {"volumes": [{"name": "u"}, {"name": "v", "hostPath": {"path": "/d"}}]}}
	entry := storage.behind(pod, "shop", "v")
	entry.path == ["spec", "volumes", 1, "hostPath"]
	entry.facts.boundTo == "node"
}

test_a_source_that_is_switched_off if {
	not storage.behind(holding({"nfs": {}}), "shop", "v")
		with data.seawall.knowledge.provisioners.volumeSources as {"nfs": false}
}

test_data_behind_an_engine if {
	engine := {
		"facts": {"data_paths": ["/data"]},
		"container": {"volumeMounts": [
			{"name": "data", "mountPath": "/data/db"},
			{"name": "logs", "mountPath": "/logs"},
			{"name": "gone", "mountPath": "/data/wal"},
		]},
	}
	found := storage.data_behind(set, "shop", engine) with data.cluster as cluster
	[entry.what | some entry in found] == ["class fast"]
	frozen := {
		"facts": {"data_paths": ["/data"]},
		"container": {"volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": true}]},
	}
	storage.data_behind(set, "shop", frozen) == [] with data.cluster as cluster
}

test_node_bound if {
	here := {
		"storageclasses": {"near": {"provisioner": "topolvm.io"}, "far": {"provisioner": "ebs.csi.aws.com"}},
		"persistentvolumeclaims": {"shop": {
			"own": {"spec": {"storageClassName": "near"}},
			"old": {"spec": {"storageClassName": "near"}, "metadata": {"labels": {"seawall.dev/data": "readonly"}}},
		}},
	}
	value := {
		"kind": "StatefulSet",
		"spec": {
			"replicas": 3,
			"volumeClaimTemplates": [
				{"metadata": {"name": "data"}, "spec": {"storageClassName": "near"}},
				{"metadata": {"name": "other"}, "spec": {"storageClassName": "far"}},
				{
					"metadata": {"name": "cache", "labels": {"seawall.dev/data": "cache"}},
					"spec": {"storageClassName": "near"},
				},
			],
			"template": {"spec": {
				"containers": [{"volumeMounts": [{"name": "own"}, {"name": "old"}, {"name": "seen", "readOnly": true}]}],
				"volumes": [
					{"name": "own", "persistentVolumeClaim": {"claimName": "own"}},
					{"name": "old", "persistentVolumeClaim": {"claimName": "old"}},
					{"name": "seen", "persistentVolumeClaim": {"claimName": "own"}},
				],
			}},
		},
	}
	found := storage.node_bound(value, "shop") with data.cluster as here
	[[entry.volume, entry.copies, entry.what] | some entry in found] == [
		["data", 3, "class near"],
		["own", 1, "class near"],
	]
	storage.node_bound({"spec": {}}, "shop") == [] with data.cluster as here
}

test_remedy if {
	path := ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"]
	storage.remedy(path) == {
		"wanted": "a class of block storage that follows its Pod: fast",
		"fix": "storageClassName: fast",
	} with data.cluster as cluster
	storage.remedy(path) == {
		"wanted": "a class of block storage that follows its Pod",
		"fix": "storageClassName: <a class of block storage>",
	} with data.cluster as {}
	annotation := ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"]
	fix := storage.remedy(annotation).fix with data.cluster as cluster
	fix == "volume.beta.kubernetes.io/storage-class: fast"
	storage.remedy(["spec", "volumes", 0, "nfs"]) == {
		"wanted": "a class of block storage that follows its Pod",
		"fix": "use a claim of block storage, in volumeClaimTemplates of a StatefulSet",
	} with data.cluster as {}
	mounted := storage.remedy(["spec", "volumes", 0, "nfs"]).fix with data.cluster as cluster
	mounted == "use a claim of block storage, in volumeClaimTemplates of a StatefulSet"
}

set := {
	"kind": "StatefulSet",
	"spec": {"volumeClaimTemplates": [
		null,
		{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}},
		{"metadata": {"name": "logs"}},
		{"metadata": {"name": "gone"}, "spec": {"storageClassName": "gone"}},
	]},
}

using(claim) := holding({"persistentVolumeClaim": {"claimName": claim}})

holding(source) := {
	"kind": "Deployment",
	"spec": {"template": {"spec": {"volumes": [object.union({"name": "v"}, source)]}}},
}

cluster := {
	"storageclasses": {"fast": {"provisioner": "ebs.csi.aws.com"}, "shared": {"provisioner": "nfs.csi.k8s.io"}},
	"index": {
		"default_classes": ["shared"],
		"classes_by_provisioner": {"ebs.csi.aws.com": ["fast"], "nfs.csi.k8s.io": ["shared"]},
	},
	"persistentvolumeclaims": {"shop": {
		"by-class": {"spec": {"storageClassName": "fast", "volumeName": "not-synced"}},
		"by-default": {"spec": {}},
		"by-driver": {"spec": {"storageClassName": "fast", "volumeName": "bucket"}},
		"by-kind": {"spec": {"storageClassName": "", "volumeName": "share"}},
		"no-class": {"spec": {"storageClassName": ""}},
	}},
	"persistentvolumes": {
		"bucket": {"spec": {"csi": {"driver": "s3.csi.aws.com", "volumeHandle": "b"}}},
		"share": {"spec": {"nfs": {"server": "a", "path": "/"}}},
	},
}
