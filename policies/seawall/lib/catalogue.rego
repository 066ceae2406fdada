# METADATA
# title: The platform's catalogue of storage classes
# description: >-
#   Which classes the platform supports, for which tiers and profiles, and which of them a claim could use, best
#   first. A class belongs to the catalogue by configuration or by its labels; for one name the configuration wins.
#   See knowledge/catalogue/README.md. Most functions read data.cluster: a policy that calls them declares
#   storageclasses.
package seawall.lib.catalogue

import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

tiers := ["tier-0", "tier-1", "tier-2", "tier-3"]

# The annotation of Kubernetes' own that describes an object.
description_key := "kubernetes.io/description"

configured := fields.dict(data.seawall.knowledge.catalogue, ["classes"])

# Entries ---

# supported lists the names of all classes of the catalogue, sorted. A configured one need not be in the cluster.
supported := sort(union({by_configuration, by_label}))

by_configuration := {name |
	some name, setting in configured
	settles(setting)
}

by_label := {name |
	some name in data.cluster.index.supported_classes
	is_open(name)
}

# in_use: there is a catalogue. Without one nobody can ask for classes out of it.
in_use if supported != []

# settles: the configuration says what the class is for.
settles(setting) if is_object(setting)

settles(setting) if setting == true

# is_open: the configuration says nothing of the class, its labels speak.
is_open(name) if object.get(configured, name, null) == null

# entry of a class in the catalogue, undefined where it is not in it:
#   name, class:       the class is null where it is not in the cluster
#   tiers, profiles:   from word to true or false, see allows
#   rank:              the lowest is offered first
#   description:       a text, or ""
#   ticket:            the platform team hands it out
#   source:            configuration or label
entry(name) := found if {
	setting := object.get(configured, name, null)
	settles(setting)
	class := classes.known(name)
	rank := rank_of(setting)
	description := description_of(setting, class)
	found := {
		"name": name,
		"class": class,
		"tiers": limits(fields.field(setting, ["tiers"], {})),
		"profiles": limits(fields.field(setting, ["profiles"], {})),
		"rank": rank,
		"description": description,
		"ticket": fields.field(setting, ["ticket"], labelled_for_tickets(class)),
		"source": "configuration",
	}
} else := found if {
	is_open(name)
	class := classes.known(name)
	labels.label(class, "seawall.dev/supported") == "true"
	description := description_of({}, class)
	found := {
		"name": name,
		"class": class,
		"tiers": only(tier_word(labels.label(class, "seawall.dev/tier"))),
		"profiles": only(labels.label(class, "seawall.dev/workload-profile")),
		"rank": 100,
		"description": description,
		"ticket": labelled_for_tickets(class),
		"source": "label",
	}
}

rank_of(setting) := rank if {
	rank := fields.field(setting, ["rank"], 100)
	is_number(rank)
} else := 100

description_of(setting, class) := text if {
	text := fields.text(setting, ["description"])
	text != ""
} else := labels.annotation(class, description_key)

labelled_for_tickets(class) := labels.label(class, "seawall.dev/ticket-only") == "true"

# tier_word: dev is another word for tier-3.
tier_word(label) := "tier-3" if {
	label == "dev"
} else := label

# limits as a map, whether they were written as a map or as a list.
limits(written) := written if {
	is_object(written)
} else := all if {
	is_array(written)
	all := {word: true | some word in written}
} else := {}

only(word) := {} if {
	word == ""
} else := {word: true}

# names: a word is written with `true`.
names(limited, word) if {
	object.get(limited, word, null) == true
} else := false

names_any(limited) if {
	some value in limited
	value == true
}

# allows: where any word is written with `true`, only those; else all but the words written with `false`.
allows(limited, word) if names(limited, word)

allows(limited, word) if {
	not names_any(limited)
	object.get(limited, word, null) != false
}

# is_throwaway: the class itself says that its volumes are for data that may vanish, and nobody gave it a tier.
is_throwaway(found) if {
	not names_any(found.tiers)
	classes.is_disposable(found.class)
}

# by_ticket: the platform team hands the class out, whether or not it is in the catalogue.
by_ticket(name) if entry(name).ticket == true

by_ticket(name) if {
	is_open(name)
	labelled_for_tickets(classes.known(name))
}

# Profiles ---

# profiles lists the words of seawall.dev/workload-profile, sorted.
profiles := sort([word |
	some word, profile in data.seawall.knowledge.catalogue.profiles
	settles(profile)
])

# profile_of the object under review: what its label says, else what the engine that it runs asks for, else general.
profile_of(object) := profile if {
	profile := stated_profile(object)
	profile != ""
} else := profile if {
	count(engine_profiles) == 1
	profile := concat("", engine_profiles)
} else := "general"

# is_profile_certain: the label says it, or engines that are recognised for sure. Else it is a guess, on which no denial
# may rest.
is_profile_certain(object) if stated_profile(object) != ""

is_profile_certain(_) if {
	count(engine_profiles) == 1
	guesses == []
}

# stated_profile is the label's word, "" where there is none or where it is no profile.
stated_profile(object) := word if {
	word := workload.label(object, "seawall.dev/workload-profile")
	word in profiles
} else := ""

engine_profiles := {profile |
	some found in subject.engines
	profile := data.seawall.knowledge.catalogue.engineProfiles[found.engine]
	profile in profiles
}

guesses := [found |
	some found in subject.engines
	not found.sure
]

# Permission ---

# A need is what a claim asks of its class:
#   tier, profile
#   certain:      the profile is no guess
#   disposable:   the data may vanish
#   replicates:   the engine keeps three copies or more by itself
#   database:     an engine runs on it
#   claim:        the claim itself, for its access modes
# need is that of a claim of which nothing else is known.
need(tier, profile) := {
	"tier": tier,
	"profile": profile,
	"certain": true,
	"disposable": false,
	"replicates": false,
	"database": false,
	"claim": {},
}

# permits: the catalogue has the class for this tier and profile.
# seawall-lint: ignore rego/unused-rule for policies that extend the embedded ones
permits(name, tier, profile) if admits(entry(name), need(tier, profile))

# admits: the catalogue has the class for such a claim.
admits(found, wanted) if {
	admits_tier(found, wanted)
	admits_profile(found, wanted)
}

admits_tier(found, wanted) if {
	allows(found.tiers, wanted.tier)
	not is_throwaway(found)
}

admits_tier(found, wanted) if {
	allows(found.tiers, wanted.tier)
	wanted.tier == "tier-3"
}

admits_tier(found, wanted) if {
	wanted.disposable
	classes.is_disposable(found.class)
}

admits_profile(found, wanted) if allows(found.profiles, wanted.profile)

admits_profile(_, wanted) if not wanted.certain

# passes: no other rule of the tier would deny a claim on the class, and it can serve the claim.
passes(found, wanted) if {
	found.class != null
	passes_rules(found, wanted)
}

# passes_rules looks at a class as far as it is known.
passes_rules(found, wanted) if {
	found.ticket != true
	not classes.is_bucket(found.class)
	not classes.removed_in(classes.provisioner(found.class))
	not destroys(found.class, wanted)
	not is_bare(found.class, wanted)
	facts := classes.facts_of(found.class)
	not is_pinned(facts, wanted)
	not is_fuse(facts, wanted)
	claims.refused(wanted.claim, classes.row_of(classes.provisioner(found.class)), facts) == []
}

# destroys: see claim-class-retain, which denies at these tiers.
destroys(class, wanted) if {
	wanted.tier in {"tier-0", "tier-1"}
	not wanted.disposable
	not classes.is_static(class)
	class != null
	classes.reclaim_policy(class) == "Delete"
}

# is_bare: see encryption-at-rest, which denies at this tier.
is_bare(class, wanted) if {
	wanted.tier == "tier-0"
	encrypted(class) == false
}

# is_pinned: see node-local-storage, which denies at these tiers.
is_pinned(facts, wanted) if {
	wanted.tier in {"tier-0", "tier-1"}
	not wanted.disposable
	not wanted.replicates
	fields.text(facts, ["boundTo"]) == "node"
}

# is_fuse: see network-fs-for-database. Whoever asks for such a profile runs a database or the like.
is_fuse(facts, wanted) if {
	wanted.database
	fields.text(facts, ["storage"]) == "object"
}

is_fuse(facts, wanted) if {
	wanted.certain
	wanted.profile in {"oltp", "queue", "vector"}
	fields.text(facts, ["storage"]) == "object"
}

# encrypted tells whether volumes of a class are encrypted: true, false, or "unknown".
encrypted(class) if {
	classes.encryption(class) == "on"
} else := false if {
	classes.encryption_verified(class)
	is_plain(class)
} else := "unknown"

is_plain(class) if classes.encryption(class) == "off"

is_plain(class) if classes.encryption_facts(class).mode == "none"

# Order ---

# permitted lists the classes for a tier and profile that would pass, best first.
# seawall-lint: ignore rego/unused-rule for policies that extend the embedded ones
permitted(tier, profile) := offered(supported, need(tier, profile))

# permitted_for lists the classes of the catalogue that would pass for a claim, best first.
permitted_for(wanted) := offered(supported, wanted)

offered(candidates, wanted) := [name |
	some key in sort([key |
		some candidate in candidates
		found := entry(candidate)
		admits(found, wanted)
		passes(found, wanted)
		key := place(found, wanted)
	])
	name := key[4]
]

# best_of sorts classes outside a catalogue in the same way, and leaves out those that would not pass.
best_of(candidates, wanted) := [name |
	some key in sort([key |
		some candidate in candidates
		found := stray(candidate)
		passes(found, wanted)
		key := place(found, wanted)
	])
	name := key[4]
]

# stray is the entry of a class that is in no catalogue.
stray(name) := {
	"name": name,
	"class": class,
	"tiers": {},
	"profiles": {},
	"rank": 100,
	"description": "",
	"ticket": labelled_for_tickets(class),
	"source": "",
} if {
	class := classes.known(name)
}

# place decides the order: rank, made for the very profile, retains, can grow, name.
place(found, wanted) := [
	found.rank,
	later(names(found.profiles, wanted.profile)),
	later(classes.reclaim_policy(found.class) == "Retain"),
	later(fields.field(found.class, ["allowVolumeExpansion"], false) == true),
	found.name,
]

later(wish) := 0 if {
	wish
} else := 1

# Default classes ---

# default_keys are the annotations that make a class the default: the old name still counts.
default_keys := ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]

# default_key is the annotation that makes this class a default one, undefined where none does.
default_key(class) := keys[0] if {
	keys := [key |
		some key in default_keys
		labels.annotation(class, key) == "true"
	]
}
