package seawall.lib.catalogue_matrix_test

import data.seawall.lib.catalogue_matrix

supported(labels, more) := object.union(
	{
		"metadata": {"labels": object.union({"seawall.dev/supported": "true"}, labels)},
		"provisioner": "p",
		"reclaimPolicy": "Retain",
	},
	more,
)

cluster := {
	"storageclasses": {
		"any": supported({}, {"allowVolumeExpansion": true}),
		"temporary": supported({"seawall.dev/data": "scratch"}, {"reclaimPolicy": "Delete"}),
		"node": supported({}, {"provisioner": "topolvm.io"}),
		"disk": supported(
			{"seawall.dev/tier": "tier-1", "seawall.dev/workload-profile": "queue"},
			{"provisioner": "topolvm.io", "metadata": {"annotations": {"kubernetes.io/description": "fast"}}},
		),
		"ticket": supported({"seawall.dev/ticket-only": "true"}, {}),
	},
	"index": {"supported_classes": ["any", "disk", "node", "temporary", "ticket"]},
}

settings := {"ghost": {"rank": 1, "tiers": {"tier-0": true}, "profiles": {"oltp": true}, "description": "to come"}}

row(tier, profile) := found if {
	some found in catalogue_matrix.matrix with data.cluster as cluster
		with data.seawall.knowledge.catalogue.classes as settings
	found.tier == tier
	found.profile == profile
}

names(tier, profile) := [class.name | some class in row(tier, profile).classes]

test_rows if {
	found := catalogue_matrix.matrix with data.cluster as {}
	count(found) == 24
	found[0] == {"tier": "tier-0", "profile": "analytics", "classes": []}
	found[23] == {"tier": "tier-3", "profile": "vector", "classes": []}
}

test_who_is_in if {
	names("tier-0", "oltp") == ["ghost", "any"]
	names("tier-0", "queue") == ["any"]
	names("tier-1", "queue") == ["disk", "any"]
	names("tier-1", "oltp") == ["any"]
	names("tier-2", "queue") == ["any", "node"]
	names("tier-3", "cache") == ["any", "node", "temporary"]
}

test_shape if {
	row("tier-0", "oltp") == {"tier": "tier-0", "profile": "oltp", "classes": [
		{
			"name": "ghost",
			"description": "to come",
			"provisioner": "",
			"reclaimPolicy": "",
			"expansion": false,
			"encrypted": "unknown",
			"source": "configuration",
			"exists": false,
		},
		{
			"name": "any",
			"description": "",
			"provisioner": "p",
			"reclaimPolicy": "Retain",
			"expansion": true,
			"encrypted": "unknown",
			"source": "label",
			"exists": true,
		},
	]}
	row("tier-1", "queue").classes[0] == {
		"name": "disk",
		"description": "fast",
		"provisioner": "topolvm.io",
		"reclaimPolicy": "Retain",
		"expansion": false,
		"encrypted": false,
		"source": "label",
		"exists": true,
	}
}
