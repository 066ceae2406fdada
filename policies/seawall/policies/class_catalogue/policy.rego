# METADATA
# title: Classes are few, described, and chosen by the platform
# description: >-
#   A catalogue of classes is worth something while it is small and each class says what it is for. One more class for
#   one project is soon one that nobody dares to change or to remove.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/
# custom:
#   id: class-catalogue
#   checklist: class-standard
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   parameters: {groups: []}
package seawall.policies.class_catalogue

import data.seawall.lib.catalogue
import data.seawall.lib.classes
import data.seawall.lib.labels
import data.seawall.lib.object as fields

target := input.request.object

name := labels.name(target)

mark := labels.label(target, "seawall.dev/supported")

# Neither those that nobody can change nor those that make no volumes.
applies if {
	classes.provisioner(target) != ""
	not classes.is_addon_managed(target)
	not classes.is_bucket(target)
}

# Outside the catalogue ---

# Both answers are right, none is not: the label "false" says that the class is for no claims of developers.
violation contains {
	"msg": msg,
	"path": ["metadata", "labels", "seawall.dev/supported"],
	"found": mark,
	"wanted": "\"true\" or \"false\"",
	"fix": fix,
} if {
	input.request.operation == "CREATE"
	catalogue.in_use
	applies
	not mark in {"true", "false"}
	catalogue.is_open(name)
	msg := concat(" ", [
		"The class is not in the platform's catalogue: it is one more that nobody chose,",
		"and claims on it are rejected where the tier is high.",
	])
	fix := concat(" ", [
		"metadata.labels: {seawall.dev/supported: \"true\"} and what it is for,",
		"or \"false\" where it is for no claims of developers",
	])
}

# Words ---

violation contains {
	"msg": "The class is in the catalogue and does not say what it is for: developers choose by that.",
	"path": ["metadata", "annotations", catalogue.description_key],
	"wanted": "one line for developers",
	"fix": sprintf("metadata.annotations: {%s: <medium, copies, what for>}", [catalogue.description_key]),
} if {
	mark == "true"
	applies
	setting := object.get(catalogue.configured, name, {})
	setting != false
	trim_space(catalogue.description_of(setting, target)) == ""
}

violation contains {
	"msg": sprintf("%s is no profile: no workload has it, so the class is offered to none.", [fields.shown(word)]),
	"path": ["metadata", "labels", "seawall.dev/workload-profile"],
	"found": word,
	"wanted": sprintf("one of %s", [known]),
	"fix": "metadata.labels: {seawall.dev/workload-profile: <one of them>}, or leave it out for all of them",
} if {
	by_label
	word := labels.label(target, "seawall.dev/workload-profile")
	not word in array.concat([""], catalogue.profiles)
	known := concat(", ", catalogue.profiles)
}

violation contains {
	"msg": sprintf("%s is no tier: no namespace has it, so the class is offered to none.", [fields.shown(word)]),
	"path": ["metadata", "labels", "seawall.dev/tier"],
	"found": word,
	"wanted": sprintf("one of %s", [known]),
	"fix": "metadata.labels: {seawall.dev/tier: <one of them>}, or leave it out for all of them",
} if {
	by_label
	word := labels.label(target, "seawall.dev/tier")
	not catalogue.tier_word(word) in array.concat([""], catalogue.tiers)
	known := concat(", ", catalogue.tiers)
}

# by_label: the labels decide, as the configuration says nothing.
by_label if {
	mark == "true"
	applies
	catalogue.is_open(name)
}

# Too many ---

most := number if {
	number := data.seawall.knowledge.catalogue.maxClasses
	is_number(number)
} else := 8

violation contains {
	"msg": sprintf("With this class the platform supports %d, more than %v: %s", [
		count(all),
		most,
		"nobody can keep so many apart, and each wants to be watched, tested and moved to new drivers.",
	]),
	"path": ["metadata", "name"],
	"found": name,
	"wanted": wanted,
	"fix": "use one of the others, or take one out first; knowledge.catalogue.maxClasses is the limit",
} if {
	by_label
	is_new
	all := {other | some other in array.concat([name], catalogue.supported)}
	count(all) > most
	wanted := sprintf("at most %v supported classes", [most])
}

# Without a catalogue all of them count, but for those that came with the cluster.
violation contains {
	"msg": sprintf("With this class the cluster has %d, more than %v, and no catalogue says which to use: %s", [
		total,
		most,
		"every claim is a choice that somebody makes alone.",
	]),
	"path": ["metadata", "name"],
	"found": name,
	"wanted": wanted,
	"fix": "label the classes to use seawall.dev/supported: \"true\", and take the others away",
} if {
	input.request.operation == "CREATE"
	applies
	not catalogue.in_use
	mark != "true"

	# Looks through all classes only where that can matter, and where they are known; few are ever created.
	count(data.cluster.storageclasses) >= most
	others := [other |
		# seawall-lint: ignore context/cluster-scan only when a class is made, and a cluster has tens of them
		some other, class in data.cluster.storageclasses
		other != name
		not classes.is_addon_managed(class)
	]
	total := count(others) + 1
	total > most
	wanted := sprintf("at most %v classes", [most])
}

# is_new: the class was not in the catalogue before.
is_new if input.request.operation == "CREATE"

is_new if labels.label(input.request.oldObject, "seawall.dev/supported") != "true"

# Who ---

violation contains {
	"msg": sprintf("Classes are made by members of %s: this one would be nobody's to keep.", [allowed]),
	"path": ["metadata", "name"],
	"found": name,
	"wanted": sprintf("a member of %s", [allowed]),
	"fix": sprintf("ask a member of %s for the class, or use one that there is", [allowed]),
	"key": "creator",
} if {
	input.request.operation == "CREATE"
	applies
	groups := [group |
		some group in input.seawall.parameters.groups
		is_string(group)
	]
	groups != []
	not is_member(groups)
	allowed := concat(", ", groups)
}

is_member(groups) if {
	some group in fields.list(input.request, ["userInfo", "groups"])
	group in groups
}
