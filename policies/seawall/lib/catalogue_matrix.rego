# METADATA
# title: The catalogue as a table
# description: >-
#   What a developer may use in each tier and for each profile: evaluated by `seawall policy catalogue`. Reads
#   data.cluster and knowledge, no input.
package seawall.lib.catalogue_matrix

import data.seawall.lib.catalogue
import data.seawall.lib.classes
import data.seawall.lib.object as fields

# matrix lists tiers times profiles, each with its classes, best first.
# seawall-lint: ignore rego/unused-rule asked for by `seawall policy catalogue`
matrix := [row |
	some tier in catalogue.tiers
	some profile in catalogue.profiles
	found := listed(tier, profile)
	row := {"tier": tier, "profile": profile, "classes": found}
]

listed(tier, profile) := [class |
	some key in sort([key |
		some name in catalogue.supported
		found := catalogue.entry(name)
		wanted := need(found, tier, profile)
		catalogue.admits(found, wanted)
		catalogue.passes_rules(found, wanted)
		key := catalogue.place(found, wanted)
	])
	class := described(catalogue.entry(key[4]))
]

# A class on one node is right for an engine that keeps copies itself. Whether one will use it is not known here, so
# it is shown where the platform put it in that tier on purpose.
need(found, tier, profile) := object.union(
	catalogue.need(tier, profile),
	{"replicates": catalogue.names(found.tiers, tier)},
)

described(found) := {
	"name": found.name,
	"description": found.description,
	"provisioner": classes.provisioner(found.class),
	"reclaimPolicy": policy,
	"expansion": expansion,
	"encrypted": encrypted,
	"source": found.source,
	"exists": exists,
} if {
	exists := found.class != null
	policy := reclaim_policy(found.class)
	expansion := fields.field(found.class, ["allowVolumeExpansion"], false) == true
	encrypted := catalogue.encrypted(found.class)
}

# Nothing is known of a class that is not in the cluster.
reclaim_policy(class) := "" if {
	class == null
} else := policy if {
	policy := classes.reclaim_policy(class)
}
