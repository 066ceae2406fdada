package seawall.lib.catalogue_test

import data.seawall.lib.catalogue

class(metadata, more) := object.union({"metadata": metadata, "provisioner": "p", "reclaimPolicy": "Retain"}, more)

labels(more) := {"labels": object.union({"seawall.dev/supported": "true"}, more)}

cluster(all) := {
	"storageclasses": all,
	"index": {"supported_classes": sort([name |
		some name, one in all
		one.metadata.labels["seawall.dev/supported"] == "true"
	])},
}

need(more) := object.union(catalogue.need("tier-1", "oltp"), more)

test_the_data_is_sound if {
	known := data.seawall.knowledge.catalogue
	known.classes == {}
	object.keys(known.profiles) == {"oltp", "analytics", "vector", "queue", "cache", "general"}
	every profile in known.profiles {
		profile.title != ""
		profile.description != ""
	}
	every profile in known.engineProfiles {
		profile in object.keys(known.profiles)
	}
	known.maxClasses == 8
}

test_nothing_is_in_use_out_of_the_box if {
	not catalogue.in_use with data.cluster as cluster({"a": class({}, {})})
	not catalogue.in_use with data.cluster as {}
	catalogue.supported == [] with data.cluster as {}
	catalogue.in_use with data.cluster as cluster({"a": class(labels({}), {})})
	catalogue.in_use with data.cluster as {} with data.seawall.knowledge.catalogue.classes as {"a": {}}
	not catalogue.in_use with data.cluster as {} with data.seawall.knowledge.catalogue.classes as {"a": false}
	not catalogue.in_use with data.cluster as {} with data.seawall.knowledge.catalogue.classes as []
}

test_configuration_wins_over_labels if {
	all := cluster({
		"a": class(labels({"seawall.dev/tier": "tier-0"}), {}),
		"b": class(labels({}), {}),
		"c": class(labels({}), {}),
		"d": class({}, {}),
	})
	settings := {"a": {"tiers": ["tier-2"]}, "b": false, "c": null, "d": true, "e": {}, "f": "x"}
	catalogue.supported == ["a", "c", "d", "e"] with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as settings
	catalogue.permits("a", "tier-2", "oltp") with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as settings
	not catalogue.permits("a", "tier-0", "oltp") with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as settings
	not catalogue.permits("b", "tier-0", "oltp") with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as settings
	every name in ["c", "d", "e"] {
		catalogue.permits(name, "tier-0", "oltp") with data.cluster as all
			with data.seawall.knowledge.catalogue.classes as settings
	}
	every name in ["f", "g"] {
		not catalogue.permits(name, "tier-0", "oltp") with data.cluster as all
			with data.seawall.knowledge.catalogue.classes as settings
	}
}

test_entry_by_configuration if {
	one := class({"annotations": {"kubernetes.io/description": "from the class"}}, {})
	settings := {
		"a": {"tiers": {"tier-0": true}, "profiles": ["oltp"], "rank": 1, "description": "mine", "ticket": true},
		"b": {"tiers": "tier-0", "profiles": null, "rank": "x", "description": 1},
		"c": true,
	}
	catalogue.entry("a") == {
		"name": "a",
		"class": one,
		"tiers": {"tier-0": true},
		"profiles": {"oltp": true},
		"rank": 1,
		"description": "mine",
		"ticket": true,
		"source": "configuration",
	} with data.cluster as cluster({"a": one}) with data.seawall.knowledge.catalogue.classes as settings
	unknown := {
		"name": "b",
		"class": null,
		"tiers": {},
		"profiles": {},
		"rank": 100,
		"description": "",
		"ticket": false,
		"source": "configuration",
	}
	catalogue.entry("b") == unknown with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as settings
	catalogue.entry("c") == object.union(unknown, {"name": "c", "class": one, "description": "from the class"})
		with data.cluster as cluster({"c": one})
		with data.seawall.knowledge.catalogue.classes as settings
}

test_entry_by_label if {
	plain := class(labels({}), {})
	catalogue.entry("a") == {
		"name": "a",
		"class": plain,
		"tiers": {},
		"profiles": {},
		"rank": 100,
		"description": "",
		"ticket": false,
		"source": "label",
	} with data.cluster as cluster({"a": plain})
	narrow := object.union(
		class(
			labels({
				"seawall.dev/tier": "dev",
				"seawall.dev/workload-profile": "queue",
				"seawall.dev/ticket-only": "true",
			}),
			{},
		),
		{"metadata": {"annotations": {"kubernetes.io/description": "d"}}},
	)
	catalogue.entry("a") == {
		"name": "a",
		"class": narrow,
		"tiers": {"tier-3": true},
		"profiles": {"queue": true},
		"rank": 100,
		"description": "d",
		"ticket": true,
		"source": "label",
	} with data.cluster as cluster({"a": narrow})
	not catalogue.entry("a") with data.cluster as cluster({"a": class({"labels": {"seawall.dev/supported": "yes"}}, {})})
	not catalogue.entry("b") with data.cluster as cluster({"a": plain})
}

test_words if {
	catalogue.allows({}, "a")
	catalogue.allows({"a": true}, "a")
	catalogue.allows({"a": true, "b": false}, "a")
	catalogue.allows({"b": false}, "a")
	catalogue.allows({"b": "true"}, "a")
	not catalogue.allows({"b": true}, "a")
	not catalogue.allows({"a": false}, "a")
	not catalogue.allows({"a": false, "b": true}, "a")
	catalogue.names({"a": true}, "a") == true
	catalogue.names({"a": "x"}, "a") == false
	catalogue.names({}, "a") == false
}

test_throwaway if {
	all := cluster({
		"scratch": class(labels({"seawall.dev/data": "scratch"}), {}),
		"dev": class(labels({"seawall.dev/tier": "dev"}), {}),
		"kept": class(labels({"seawall.dev/data": "cache", "seawall.dev/tier": "tier-1"}), {}),
		"gold": class(labels({"seawall.dev/tier": "tier-0"}), {}),
	})
	not permits("gold", "tier-1", true) with data.cluster as all
	every name in ["scratch", "dev"] {
		permits(name, "tier-3", false) with data.cluster as all
		permits(name, "tier-0", true) with data.cluster as all
		not permits(name, "tier-2", false) with data.cluster as all
	}
	permits("kept", "tier-1", false) with data.cluster as all
	not permits("kept", "tier-3", false) with data.cluster as all

	# The configuration may give such a class to a tier, and keeps it out of tier-3 where it says so.
	permits("scratch", "tier-1", false) with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as {"scratch": {"tiers": {"tier-1": true}}}
	not permits("scratch", "tier-3", false) with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as {"scratch": {"tiers": {"tier-3": false}}}
	not permits("scratch", "tier-1", false) with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as {"scratch": {}}
}

permits(name, tier, disposable) if {
	catalogue.admits(catalogue.entry(name), need({"tier": tier, "disposable": disposable}))
}

test_a_guess_limits_nothing if {
	all := cluster({"a": class(labels({"seawall.dev/workload-profile": "queue"}), {})})
	not catalogue.admits(catalogue.entry("a"), need({})) with data.cluster as all
	catalogue.admits(catalogue.entry("a"), need({"certain": false})) with data.cluster as all
	catalogue.admits(catalogue.entry("a"), need({"profile": "queue"})) with data.cluster as all
}

test_tickets if {
	all := cluster({
		"a": class({"labels": {"seawall.dev/ticket-only": "true"}}, {}),
		"b": class(labels({"seawall.dev/ticket-only": "true"}), {}),
		"c": class(labels({"seawall.dev/ticket-only": "no"}), {}),
		"d": class({"labels": {"seawall.dev/ticket-only": "true"}}, {}),
		"e": class({"labels": {"seawall.dev/ticket-only": "true"}}, {}),
	})
	settings := {"c": {"ticket": true}, "d": {"ticket": false}, "e": false}
	found := {name |
		some name in ["a", "b", "c", "d", "e", "f"]
		catalogue.by_ticket(name) with data.cluster as all with data.seawall.knowledge.catalogue.classes as settings
	}
	found == {"a", "b", "c"}
	not catalogue.by_ticket("c") with data.cluster as all
}

rows := {
	"node": {"storage": "block", "boundTo": "node", "filesystemModes": [], "blockModes": [], "verified": true},
	"fuse": {"storage": "object", "boundTo": "network", "filesystemModes": [], "blockModes": [], "verified": true},
	"rwo": {"storage": "block", "boundTo": "zone", "filesystemModes": [], "blockModes": [], "verified": true},
	"bare": object.union(encryption({"mode": "none"}), {"boundTo": "zone"}),
}

encryption(how) := {
	"encryption": how,
	"storage": "block",
	"filesystemModes": [],
	"blockModes": [],
	"verified": true,
}

passes(one, more) if {
	catalogue.passes(catalogue.entry("a"), need(more)) with data.cluster as cluster({"a": one})
		with data.seawall.knowledge.provisioners.rows as rows
}

test_what_passes if {
	passes(class(labels({}), {}), {})
	not catalogue.passes(catalogue.entry("b"), need({})) with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"b": {}}
	catalogue.passes_rules(catalogue.entry("b"), need({"tier": "tier-0"})) with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"b": {}}
	not passes(class(labels({"seawall.dev/ticket-only": "true"}), {}), {})
	not passes(class(labels({}), {"provisioner": "x.ceph.rook.io/bucket"}), {})
	not passes(class(labels({}), {"provisioner": "kubernetes.io/glusterfs"}), {})
}

test_what_keeps_data if {
	deletes := class(labels({}), {"reclaimPolicy": "Delete"})
	every tier in ["tier-0", "tier-1"] {
		not passes(deletes, {"tier": tier})
		passes(deletes, {"tier": tier, "disposable": true})
	}
	every tier in ["tier-2", "tier-3"] {
		passes(deletes, {"tier": tier})
	}
	not passes(object.remove(deletes, ["reclaimPolicy"]), {})
	static := class(labels({}), {"reclaimPolicy": "Delete", "provisioner": "kubernetes.io/no-provisioner"})
	catalogue.passes(catalogue.entry("a"), need({"replicates": true})) with data.cluster as cluster({"a": static})
}

test_what_stays_on_a_node if {
	one := class(labels({}), {"provisioner": "node"})
	every tier in ["tier-0", "tier-1"] {
		not passes(one, {"tier": tier})
		passes(one, {"tier": tier, "disposable": true})
		passes(one, {"tier": tier, "replicates": true})
	}
	passes(one, {"tier": "tier-2"})
}

test_what_serves if {
	passes(class(labels({}), {"provisioner": "fuse"}), {"profile": "general"})
	not passes(class(labels({}), {"provisioner": "fuse"}), {"profile": "general", "database": true})
	every profile in ["oltp", "queue", "vector"] {
		not passes(class(labels({}), {"provisioner": "fuse"}), {"profile": profile})
		passes(class(labels({}), {"provisioner": "rwo"}), {"profile": profile})
	}
	passes(class(labels({}), {"provisioner": "fuse"}), {"certain": false})
	passes(class(labels({}), {"provisioner": "rwo"}), {"database": true})
	passes(class(labels({}), {"provisioner": "rwo"}), {"claim": {"spec": {"accessModes": ["ReadWriteOnce"]}}})
	not passes(class(labels({}), {"provisioner": "rwo"}), {"claim": {"spec": {"accessModes": ["ReadWriteMany"]}}})
	passes(class(labels({}), {"provisioner": "unknown"}), {"claim": {"spec": {"accessModes": ["ReadWriteMany"]}}})
}

test_what_encrypts if {
	not passes(class(labels({}), {"provisioner": "bare"}), {"tier": "tier-0"})
	passes(class(labels({}), {"provisioner": "bare"}), {"tier": "tier-1"})
	passes(class(labels({}), {"provisioner": "unknown"}), {"tier": "tier-0"})
}

encrypted(how, verified, parameters) := answer if {
	row := object.union(encryption(how), {"verified": verified})
	answer := catalogue.encrypted({"provisioner": "p", "parameters": parameters})
		with data.seawall.knowledge.provisioners.rows as {"p": row}
}

test_encrypted if {
	asked := {"mode": "parameter", "parameter": "encrypted", "values": ["true"]}
	encrypted({"mode": "always"}, false, {}) == true
	encrypted({"mode": "none"}, true, {}) == false
	encrypted({"mode": "none"}, false, {}) == "unknown"
	encrypted({"mode": "backend"}, true, {}) == "unknown"
	encrypted({}, true, {}) == "unknown"
	encrypted(asked, true, {"encrypted": "true"}) == true
	encrypted(asked, true, {"encrypted": "false"}) == false
	encrypted(asked, false, {}) == "unknown"
	encrypted(object.union(asked, {"verified": false}), true, {}) == "unknown"
	catalogue.encrypted(null) == "unknown"
}

test_best_first if {
	all := cluster({
		"a": class(labels({}), {"reclaimPolicy": "Delete"}),
		"b": class(labels({}), {}),
		"c": class(labels({}), {}),
		"d": class(labels({}), {"allowVolumeExpansion": true}),
		"e": class(labels({"seawall.dev/workload-profile": "oltp"}), {"reclaimPolicy": "Delete"}),
		"f": class({}, {"reclaimPolicy": "Delete"}),
		"g": class(labels({"seawall.dev/workload-profile": "queue"}), {}),
	})
	catalogue.permitted("tier-2", "oltp") == ["f", "e", "d", "b", "c", "a"] with data.cluster as all
		with data.seawall.knowledge.catalogue.classes as {"f": {"rank": 1}}
	catalogue.permitted("tier-1", "queue") == ["g", "d", "b", "c"] with data.cluster as all
	catalogue.permitted_for(need({"certain": false})) == ["d", "b", "c", "g"] with data.cluster as all
	catalogue.best_of(["f", "g", "c", "x", "b", "d"], need({"tier": "tier-2"})) == ["d", "b", "c", "g", "f"]
		with data.cluster as all
	catalogue.best_of(["f", "b"], need({})) == ["b"] with data.cluster as all
	ticket := class({"labels": {"seawall.dev/ticket-only": "true"}}, {})
	catalogue.best_of(["a"], need({})) == [] with data.cluster as cluster({"a": ticket})
}

workload(labels, pod_labels, images) := {"request": {"object": {
	"kind": "StatefulSet",
	"metadata": {"labels": labels},
	"spec": {"template": {
		"metadata": {"labels": pod_labels},
		"spec": {"containers": [{"name": "c", "image": image} | some image in images]},
	}},
}}}

profile(review) := [word, certain] if {
	word := catalogue.profile_of(review.request.object) with input as review
	certain := is_certain(review)
}

is_certain(review) if {
	catalogue.is_profile_certain(review.request.object) with input as review
} else := false

label := "seawall.dev/workload-profile"

test_profile if {
	profile(workload({label: "vector"}, {}, ["postgres:17"])) == ["vector", true]
	profile(workload({}, {label: "vector"}, ["postgres:17"])) == ["vector", true]
	profile(workload({label: "vektor"}, {}, ["postgres:17"])) == ["oltp", true]
	profile(workload({}, {}, ["postgres:17", "rabbitmq:4"])) == ["general", false]
	profile(workload({}, {}, ["postgres:17", "mysql:9"])) == ["oltp", true]
	profile(workload({}, {}, ["acme/orders-postgres:1"])) == ["oltp", false]
	profile(workload({}, {}, ["acme/store:1"])) == ["general", false]
	profile(workload({"seawall.dev/engine": "qdrant"}, {}, ["acme/store:1"])) == ["vector", true]
	profile({"request": {"object": {"kind": "PersistentVolumeClaim", "metadata": {"labels": {label: "cache"}}}}}) == [
		"cache",
		true,
	]
	profile({"request": {"object": {"kind": "PersistentVolumeClaim"}}}) == ["general", false]
}

test_profiles_are_data if {
	review := workload({label: "mine"}, {}, ["redis:8"])
	catalogue.profile_of(review.request.object) == "mine" with input as review
		with data.seawall.knowledge.catalogue.profiles as {"mine": {}}
	catalogue.profile_of(review.request.object) == "general" with input as review
		with data.seawall.knowledge.catalogue.profiles as {"mine": false, "cache": false}
	catalogue.profiles == ["analytics", "cache", "general", "oltp", "queue", "vector"]
}

test_default_key if {
	new_key := "storageclass.kubernetes.io/is-default-class"
	old_key := "storageclass.beta.kubernetes.io/is-default-class"
	catalogue.default_key({"metadata": {"annotations": {new_key: "true"}}}) == new_key
	catalogue.default_key({"metadata": {"annotations": {old_key: "true"}}}) == old_key
	catalogue.default_key({"metadata": {"annotations": {old_key: "true", new_key: "true"}}}) == new_key
	not catalogue.default_key({"metadata": {"annotations": {old_key: "false", new_key: true}}})
	not catalogue.default_key({})
	not catalogue.default_key(null)
}
