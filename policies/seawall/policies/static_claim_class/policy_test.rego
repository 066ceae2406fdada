package seawall.policies.static_claim_class_test

import data.seawall.policies.static_claim_class as policy

test_classes_differ if {
	every written in [{"storageClassName": "fast"}, {}] {
		request := review(object.union({"volumeName": "v"}, written))
		expected := differs("fast", "no class", "class fast", "storageClassName: \"\"")
		policy.violation == {expected} with input as request with data.cluster as cluster(["fast"], {})
	}
	manual := cluster([], {"storageClassName": "manual"})
	to_manual := differs("", "class manual", "no class", "storageClassName: manual")
	policy.violation == {to_manual} with input as review({"volumeName": "v"}) with data.cluster as manual
}

test_volume_is_not_known if {
	without := {"index": {"default_classes": ["fast"]}}
	of_volume := unwritten("volume v", "storageClassName: \"\"")
	policy.violation == {of_volume} with input as review({"volumeName": "v"}) with data.cluster as without
	policy.violation == {of_volume} with input as review({"volumeName": "v"}) with data.cluster as {}
	of_labels := unwritten("volumes by their labels", "storageClassName: \"\"")
	policy.violation == {of_labels} with input as review({"selector": {}}) with data.cluster as without
	written := {"volumeName": "v", "storageClassName": "fast"}
	policy.violation == set() with input as review(written) with data.cluster as without
}

test_defaults_are_not_known if {
	two := cluster(["a", "b"], {"storageClassName": "manual"})
	expected := unwritten("volume v", "storageClassName: manual")
	policy.violation == {expected} with input as review({"volumeName": "v"}) with data.cluster as two
}

test_quiet if {
	every spec in [
		{},
		{"volumeName": "", "selector": null},
		{"volumeName": "v", "storageClassName": ""},
		{"volumeName": "w", "storageClassName": "x"},
		{"selector": {}, "storageClassName": "x"},
		{"volumeName": ["v"]},
	] {
		policy.violation == set() with input as review(spec) with data.cluster as cluster(["fast"], {})
	}
	none := cluster([], {})
	policy.violation == set() with input as review({"volumeName": "v"}) with data.cluster as none
	policy.violation == set() with input as review({"volumeName": "w"}) with data.cluster as none
	same := cluster(["fast"], {"storageClassName": "fast"})
	policy.violation == set() with input as review({"volumeName": "v"}) with data.cluster as same
	own := {"claimRef": {"namespace": "shop", "name": "data"}}
	policy.violation == set() with input as review({"volumeName": "v"}) with data.cluster as cluster(["fast"], own)
	policy.violation == set() with input as review({"volumeName": "v"}) with data.cluster as cluster(["a", "b"], own)
}

test_no_object if {
	policy.violation == set() with input as {"request": {"object": null}} with data.cluster as cluster(["fast"], {})
}

differs(found, of_volume, of_claim, fix) := {
	"msg": concat(" ", [
		sprintf("Volume v has %s and the claim has %s:", [of_volume, of_claim]),
		"a claim is only bound to a volume of its own class, so this one stays Pending.",
		"Where no class is written, the default is filled in.",
	]),
	"path": ["spec", "storageClassName"],
	"found": found,
	"wanted": "the class of the volume",
	"fix": fix,
}

unwritten(what, fix) := {
	"msg": concat(" ", [
		sprintf("The claim asks for %s and says nothing of the class:", [what]),
		"the default is filled in, and the claim stays Pending where the volume has another class or none.",
	]),
	"path": ["spec", "storageClassName"],
	"wanted": "the class of the volume, which may be empty",
	"fix": fix,
}

cluster(defaults, spec) := {
	"persistentvolumes": {"v": {"spec": spec}},
	"index": {"default_classes": defaults},
}

review(spec) := {"request": {
	"operation": "CREATE",
	"namespace": "shop",
	"object": {"metadata": {"name": "data", "namespace": "shop"}, "spec": spec},
	"oldObject": null,
}}
