package seawall.lib.catalogue_claims_test

import data.seawall.lib.catalogue
import data.seawall.lib.catalogue_claims as claims

template(name, spec) := {"metadata": {"name": name}, "spec": spec}

set(templates, image, replicas) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": replicas,
		"template": {"spec": {"containers": [{"name": "c", "image": image}]}},
		"volumeClaimTemplates": templates,
	},
}

need(object, claim) := found if {
	found := claims.need(object, claim, "tier-1") with input as {"request": {"object": object}}
}

plain := {
	"tier": "tier-1",
	"profile": "general",
	"certain": false,
	"disposable": false,
	"replicates": false,
	"database": false,
	"claim": {},
}

test_claims if {
	data_spec := {"storageClassName": "a"}
	object := set([template("data", data_spec), {}, template("x y", {})], "i", 1)
	claims.of(object) == [
		{
			"path": ["spec", "volumeClaimTemplates", 0],
			"claim": template("data", data_spec),
			"title": "claim template data",
			"class_name": "a",
		},
		{
			"path": ["spec", "volumeClaimTemplates", 2],
			"claim": template("x y", {}),
			"title": "claim template (unreadable)",
			"class_name": "usual",
		},
	] with data.cluster as {"index": {"default_classes": ["usual"]}}
	claim := {"kind": "PersistentVolumeClaim", "spec": {}}
	claims.of(claim) == [{"path": [], "claim": claim, "title": "claim", "class_name": null}] with data.cluster as {}
	not claims.of({"kind": "Deployment"})
}

test_need if {
	claim := template("data", {"accessModes": ["ReadWriteOnce"]})
	base := object.union(plain, {"claim": claim})
	need(set([claim], "acme/store", 3), claim) == base
	engine := object.union(base, {"profile": "oltp", "certain": true, "database": true})
	need(set([claim], "postgres:17", 3), claim) == engine
	copies := object.union(base, {"profile": "queue", "certain": true, "database": true, "replicates": true})
	need(set([claim], "apache/kafka:4", 3), claim) == copies
	need(set([claim], "apache/kafka:4", 2), claim) == object.union(copies, {"replicates": false})
	own := {"kind": "PersistentVolumeClaim", "metadata": {"labels": {"seawall.dev/workload-profile": "cache"}}}
	need(own, own) == object.union(plain, {"profile": "cache", "certain": true, "claim": own})
}

labelled(value) := {"metadata": {"labels": {"seawall.dev/data": value}}}

test_disposable if {
	every value in ["cache", "scratch"] {
		claims.is_disposable({}, labelled(value))
		claims.is_disposable(labelled(value), {})
	}
	every value in ["durable", "readonly"] {
		not claims.is_disposable(labelled("cache"), labelled(value))
		not claims.is_disposable(labelled(value), {})
		claims.is_disposable(labelled(value), labelled("cache"))
	}
	claims.is_disposable({}, {}) == false
}

cluster := {
	"storageclasses": {name: class |
		some name, profile in {"a": "queue", "b": "oltp", "c": "general"}
		class := {
			"provisioner": "p",
			"reclaimPolicy": "Retain",
			"metadata": {"labels": {"seawall.dev/supported": "true", "seawall.dev/workload-profile": profile}},
		}
	},
	"index": {"supported_classes": ["a", "b", "c"]},
}

test_offers if {
	sure := object.union(catalogue.need("tier-1", "oltp"), {})
	claims.offers(sure) == ["b"] with data.cluster as cluster
	claims.best(sure) == "b" with data.cluster as cluster
	guess := object.union(catalogue.need("tier-1", "general"), {"certain": false})
	claims.offers(guess) == ["c", "a", "b"] with data.cluster as cluster
	claims.best(guess) == "c" with data.cluster as cluster
	other := object.union(guess, {"profile": "vector"})
	claims.offers(other) == ["a", "b", "c"] with data.cluster as cluster
	not claims.best(other) with data.cluster as cluster
}

test_words if {
	claims.words(catalogue.need("tier-1", "oltp")) == "tier-1 and profile oltp"
	claims.words(plain) == "tier-1"
	claims.shown(["a", "b"]) == "a, b"
	claims.shown(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]) == "a, b, c, d, e, f, g, h, i, j"
}

test_fix if {
	entry := {"path": ["spec", "volumeClaimTemplates", 1], "claim": {}}
	claims.class_path(entry) == ["spec", "volumeClaimTemplates", 1, "spec", "storageClassName"]
	claims.fix(entry, ["a", "b"]) == "storageClassName: a"
	key := "volume.beta.kubernetes.io/storage-class"
	old := {"path": [], "claim": {"metadata": {"annotations": {key: "x"}}}}
	claims.class_path(old) == ["metadata", "annotations", key]
	claims.fix(old, ["a"]) == "volume.beta.kubernetes.io/storage-class: a"
	claims.fix(entry, []) == concat(" ", [
		"ask the platform team for a class;",
		"`seawall policy catalogue` shows which there are for each tier and profile",
	])
}

test_alternatives if {
	wanted := catalogue.need("tier-1", "oltp")
	claims.alternatives(wanted) == ["b"] with data.cluster as cluster
	class := {"provisioner": "p", "reclaimPolicy": "Retain"}
	plain_cluster := {
		"storageclasses": {
			"usual": class,
			"grows": object.union(class, {"allowVolumeExpansion": true}),
			"tmp": object.union(class, {"reclaimPolicy": "Delete"}),
			"far": object.union(class, {"provisioner": "q"}),
		},
		"index": {
			"default_classes": ["usual"],
			"supported_classes": [],
			"classes_by_provisioner": {"p": ["grows", "tmp", "usual"], "q": ["far"]},
		},
	}
	claims.alternatives(wanted) == ["grows", "usual"] with data.cluster as plain_cluster
	claims.alternatives(wanted) == [] with data.cluster as {}
}
