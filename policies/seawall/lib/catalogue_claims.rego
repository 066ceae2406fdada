# METADATA
# title: Claims and the classes of the catalogue that fit them
# description: >-
#   The claims of the object under review, a StatefulSet or a claim of its own, and for each of them the classes that
#   would pass. Reads data.cluster: a policy that calls these functions declares storageclasses.
package seawall.lib.catalogue_claims

import data.seawall.lib.catalogue
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

# As many as a message shows.
most := 10

# of lists the claims of an object, each with
#   path:        of the claim in the object
#   claim:       itself
#   title:       for messages
#   class_name:  see storage.class_name
of(object) := [entry |
	some template in workload.claim_templates(object)
	class_name := storage.class_name(template.template)
	entry := {
		"path": ["spec", "volumeClaimTemplates", template.index],
		"claim": template.template,
		"title": sprintf("claim template %s", [fields.shown(template.name)]),
		"class_name": class_name,
	}
] if {
	fields.text(object, ["kind"]) == "StatefulSet"
}

of(object) := [entry] if {
	fields.text(object, ["kind"]) == "PersistentVolumeClaim"
	class_name := storage.class_name(object)
	entry := {"path": [], "claim": object, "title": "claim", "class_name": class_name}
}

# is_disposable: the claim says so, or the workload for all of its claims.
is_disposable(object, claim) if {
	kind_of_data(object, claim) in {"cache", "scratch"}
} else := false

kind_of_data(object, claim) := kind if {
	kind := labels.data_kind(claim)
	kind != ""
} else := workload.data_kind(object)

# need of a claim of an object in a tier, see catalogue.need.
need(object, claim, tier) := {
	"tier": tier,
	"profile": profile,
	"certain": certain,
	"disposable": disposable,
	"replicates": replicates,
	"database": database,
	"claim": claim,
} if {
	profile := catalogue.profile_of(object)
	certain := is_certain(object)
	disposable := is_disposable(object, claim)
	replicates := has_copies(object)
	database := engines != []
}

is_certain(object) if {
	catalogue.is_profile_certain(object)
} else := false

# has_copies: an engine that replicates by itself, with as many replicas as node-local-storage asks for.
has_copies(object) if {
	workload.replicas(object) >= 3
	replicating != []
} else := false

replicating := [found |
	some found in subject.engines
	found.facts.replicates == true
]

engines := [found | some found in subject.engines]

# offers lists the classes of the catalogue that would pass, best first. Where the profile is a guess, classes for
# others come after those for the guess.
offers(wanted) := first if {
	wanted.certain
	first := catalogue.permitted_for(wanted)
} else := array.concat(first, rest) if {
	first := catalogue.permitted_for(object.union(wanted, {"certain": true}))
	rest := [name |
		some name in catalogue.permitted_for(wanted)
		not name in first
	]
}

# alternatives are what a message offers: of the catalogue, where there is one, else the default class and those
# that its driver also makes.
alternatives(wanted) := names if {
	catalogue.in_use
	names := offers(wanted)
} else := names if {
	names := catalogue.best_of(near_default, wanted)
}

near_default := names if {
	provisioner := classes.provisioner(classes.known(classes.the_default))
	names := {name | some name in array.concat([classes.the_default], classes.retaining(provisioner))}
} else := []

# best of the catalogue for the profile as it is known or guessed; undefined where there is none.
best(wanted) := catalogue.permitted_for(object.union(wanted, {"certain": true}))[0]

# shown is the part of a list that a message shows.
shown(names) := concat(", ", array.slice(names, 0, most))

# words are what the classes were looked up for.
words(wanted) := text if {
	wanted.certain
	text := sprintf("%s and profile %s", [wanted.tier, wanted.profile])
} else := wanted.tier

# class_path is where the class of a claim is written, or would be, in the object.
class_path(entry) := array.concat(entry.path, classes.class_path(entry.claim))

# fix names the best class, or whom to ask.
fix(entry, names) := text if {
	name := names[0]
	path := classes.class_path(entry.claim)
	field := path[count(path) - 1]
	text := sprintf("%s: %s", [field, name])
} else := concat(" ", [
	"ask the platform team for a class;",
	"`seawall policy catalogue` shows which there are for each tier and profile",
])
