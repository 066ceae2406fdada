# METADATA
# title: Where the copies of the data are
# description: >-
#   Whether the data of a workload exists more than once: by what the Pod template shows of the engine's replication, and
#   by what is known of the volumes. The signs of replication are data, see knowledge/engines. Functions that read
#   data.cluster say so: a policy that calls them declares the kind.
package seawall.lib.replication

import data.seawall.knowledge.operators as known
import data.seawall.lib.classes
import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

# --- operators of an engine ---

# operator_names of the established operators of an engine, sorted by their API group.
operator_names(facts) := [name |
	groups := sort([group |
		some group, on in fields.dict(facts, ["operators"])
		on == true
	])
	some group in groups
	name := fields.text(known.groups[group], ["operator"])
	name != ""
]

# ways to replicate an engine, in words; "" where none is known.
ways(facts) := concat(", or ", [way |
	some way in [fields.text(facts, ["replication", "hint"]), by_operator(operator_names(facts))]
	way != ""
])

by_operator(names) := sprintf("an operator (%s)", [concat(", ", names)]) if {
	count(names) > 0
} else := ""

# --- signs of replication ---

# evidence is what the whole Pod template shows, taken apart once: names of variables; commands, arguments and variables
# as text; images. What lies beyond a bound is not looked at, so that no template makes the search long.
evidence(value) := {"names": names, "text": text, "images": images} if {
	all := array.concat(containers.main(value), containers.init(value))
	names := {name |
		some listed in all
		some variable in fields.list(listed.container, ["env"])
		name := fields.text(variable, ["name"])
	}
	lines := array.concat(
		[line |
			some listed in all
			some line in commands(listed.container)
		],
		[line |
			some listed in all
			some variable in fields.list(listed.container, ["env"])
			line := concat("=", [fields.text(variable, ["name"]), fields.text(variable, ["value"])])
		],
	)
	text := lower(substring(concat("\n", lines), 0, 65536))
	images := lower(concat("\n", [image |
		some listed in all
		image := fields.text(listed.container, ["image"])
	]))
}

# The words of a command are joined, so that a sign may consist of two of them.
commands(container) := [
	concat(" ", engines.elements(container)),
	concat(" ", [element |
		some element in fields.list(container, ["lifecycle", "postStart", "exec", "command"])
		is_string(element)
	]),
]

# signs is the set of what the evidence says of an engine: "set" (the Pods of the set replicate), "elsewhere" (it is one
# part of a group whose other members are in other sets). Empty: nothing shows replication.
signs(facts, seen) := union({by_name, by_word, by_image}) if {
	by_name := {scope |
		some prefix, scope in fields.dict(facts, ["replication", "env"])
		is_string(scope)
		some name in seen.names
		startswith(name, prefix)
	}
	by_word := {scope |
		some word, scope in fields.dict(facts, ["replication", "words"])
		is_string(scope)
		contains(seen.text, word)
	}
	by_image := {scope |
		some word, scope in fields.dict(facts, ["replication", "images"])
		is_string(scope)
		contains(seen.images, word)
	}
}

# is_single: the image runs one server; whatever replicates it would have to be said in the template.
is_single(entry) if {
	name := engines.image_name(entry.container)
	fields.field(entry.facts, ["replication", "single", name], false) == true
}

# hides_settings: the container reads settings that the object does not show: a ConfigMap, a Secret in a place for
# configuration, variables from elsewhere, or files that an init container may have written.
hides_settings(_, container) if count(fields.list(container, ["envFrom"])) > 0

hides_settings(value, container) if {
	some mount in containers.file_mounts(container)
	containers.kind(value, mount.volume) in {"configMap", "projected"}
}

hides_settings(value, container) if {
	some mount in containers.file_mounts(container)
	containers.kind(value, mount.volume) == "secret"
	regex.match(`conf|cnf|/etc/`, mount.path)
}

hides_settings(value, container) if {
	some mount in containers.file_mounts(container)
	containers.kind(value, mount.volume) == "emptyDir"
	some listed in containers.init(value)
	containers.writes(listed.container, mount.volume)
}

# An init container with a script or settings of its own can write settings beside the data, too.
hides_settings(value, container) if {
	some mount in containers.file_mounts(container)
	some listed in containers.init(value)
	containers.writes(listed.container, mount.volume)
	some other in containers.file_mounts(listed.container)
	containers.kind(value, other.volume) in {"configMap", "projected", "secret"}
}

# --- members ---

# members of the cluster to which the set belongs: its replicas, or more where a setting names more.
members(value, entry) := max([workload.replicas(value), listed_members(entry)])

# listed_members counts the members that the longest list in a setting names; 0 without one.
listed_members(entry) := max(array.concat([0], [number |
	settings := fields.dict(entry.facts, ["members"])
	some list in array.concat(env_lists(entry.container, settings), flag_lists(entry.container, settings))
	number := count(names_in(list))
]))

env_lists(container, settings) := [list |
	some variable in fields.list(container, ["env"])
	settings[fields.text(variable, ["name"])] == true
	list := fields.text(variable, ["value"])
]

flag_lists(container, settings) := array.concat(joined, apart) if {
	text := substring(concat(" ", engines.elements(container)), 0, 65536)
	words := split(replace(text, "\n", " "), " ")
	joined := [list |
		some flag, on in settings
		on == true
		start := concat("", [flag, "="])
		some word in words
		startswith(word, start)
		list := trim_prefix(word, start)
	]
	apart := [list |
		some index, list in words
		settings[words[index - 1]] == true
	]
}

# An observer is no member that votes or counts.
names_in(list) := {name |
	some part in split(replace(list, ",", " "), " ")
	name := trim(part, "\"'")
	name != ""
	not contains(name, "observer")
}

# votes: the Pods of the set are for sure members of a cluster that decides by majority.
votes(value, entry) if {
	entry.sure
	rule := fields.field(entry.facts, ["voters"], null)
	is_object(rule)
	engines.needs_volume(entry)
	has_vote(entry.container, fields.dict(rule, ["where"]))
	seen := evidence(value)
	is_joined(entry, rule, seen)
	not declines_vote(rule, seen)
}

# has_vote: one of these variables has such a value; where the engine knows no such roles, each member votes.
has_vote(_, roles) if count(roles) == 0

has_vote(container, roles) if {
	some variable in fields.list(container, ["env"])
	word := roles[fields.text(variable, ["name"])]
	is_string(word)
	contains(fields.text(variable, ["value"]), word)
}

# is_joined: of an engine that also runs alone, only members of a cluster vote.
is_joined(_, rule, _) if not fields.field(rule, ["replicated"], false) == true

is_joined(entry, _, seen) if count(signs(entry.facts, seen)) > 0

declines_vote(rule, seen) if {
	some word, on in fields.dict(rule, ["never"])
	on == true
	contains(seen.text, word)
}

# --- replicas that are strangers to each other ---

# strangers lists the engines of the object under review, a StatefulSet, whose replicas have a volume each and show no sign
# of replication. `hidden`: settings that the object does not show may say otherwise.
strangers(value) := [stranger |
	workload.replicas(value) > 1
	not workload.data_kind(value) in {"cache", "scratch", "readonly"}
	count(workload.controllers(value)) == 0
	lasting := {template.name |
		some template in workload.claim_templates(value)
		not labels.data_kind(template.template) in {"cache", "scratch", "readonly"}
	}
	some entry in subject.engines
	entry.sure
	is_single(entry)
	own := {name |
		some name in engines.data_volumes(value, entry)
		name in lasting
	}
	count(own) > 0
	seen := evidence(value)
	count(signs(entry.facts, seen)) == 0
	hidden := is_hidden(value, entry.container)
	stranger := {"entry": entry, "hidden": hidden}
]

is_hidden(value, container) if {
	hides_settings(value, container)
} else := false

# --- data that exists in too few copies ---

# lacking lists what of a StatefulSet's data exists in fewer copies than wanted, as far as the object tells:
#   title:    what keeps it
#   facts:    of the engine, {} where none is known
#   template: of its claim, see storage.of
#   reason:   "few" members, or replication "unseen"
#   members:  see above
#   certain:  whether a denial may rest on it
# One entry per engine, none for what any controller owns: its owner may run the other members. Reads storageclasses.
lacking(value, copies) := [finding |
	copies > 1
	not workload.data_kind(value) in {"cache", "scratch", "readonly"}
	count(workload.controllers(value)) == 0
	single := single_copies(value)
	some owner in owners(value)
	templates := [template |
		some template in single
		template.name in owner.volumes
	]
	template := templates[0]
	seen := evidence(value)
	number := members(value, owner.entry)
	shown := signs(owner.entry.facts, seen)
	some reason in reasons(value, owner.entry, shown, number, copies)
	finding := {
		"title": owner.entry.title,
		"facts": owner.entry.facts,
		"template": template,
		"reason": reason,
		"members": number,
		"certain": certain(owner.entry, template, reason, shown),
	}
]

# single_copies: the claim templates whose volumes exist once, in one place.
single_copies(value) := [template |
	workload.replicas(value) > 0
	some template in storage.of(value)
	template.facts.replicated == false
	place(template.facts) != ""
	not labels.data_kind(template.claim) in {"cache", "scratch", "readonly"}
	not is_bound_by_hand(template.claim)
]

# is_bound_by_hand: the claim asks for a volume that exists, of which the class says nothing.
is_bound_by_hand(claim) if fields.text(claim, ["spec", "volumeName"]) != ""

is_bound_by_hand(claim) if fields.field(claim, ["spec", "selector"], null) != null

# place in which the only copy of a volume is; "" where the object does not tell how it is kept.
place(facts) := "on one node" if {
	facts.boundTo in {"node", "cluster"}
} else := "in one zone" if {
	facts.boundTo == "zone"
} else := ""

# owners of data: the engines that run, or the workload as a whole where none is recognised.
owners(value) := [owner |
	some entry in subject.engines
	owner := {"entry": entry, "volumes": engines.data_volumes(value, entry)}
] if {
	count(subject.engines) > 0
}

owners(value) := [{"entry": unknown_entry, "volumes": written_volumes(value)}] if count(subject.engines) == 0

unknown_entry := {"title": "the workload", "facts": {}, "sure": false, "container": {}}

written_volumes(value) := {mount.volume |
	some listed in containers.main(value)
	not engines.sidecar(listed.container)
	some mount in containers.mounts(listed.container)
	mount.writable
}

# reasons: fewer members than copies are wanted, or members enough of an engine that by itself replicates nothing.
reasons(_, _, shown, number, copies) := ["few"] if {
	number < copies
	not "elsewhere" in shown
}

reasons(value, entry, shown, number, copies) := ["unseen"] if {
	number >= copies
	entry.facts.replicates == false
	count(shown) == 0
	not hides_settings(value, entry.container)
}

# certain: the engine and the volume are known for sure, the data is meant to last, and no other member can be elsewhere.
certain(entry, template, reason, shown) if {
	is_known(entry, template)
	is_proven(entry, reason, shown)
} else := false

is_proven(entry, reason, shown) if {
	reason == "few"
	not may_have_joined(entry, shown)
}

is_proven(entry, _, _) if is_single(entry)

is_known(entry, template) if {
	entry.sure
	engines.needs_volume(entry)
	template.verified
	not classes.is_static(template.class)
}

# may_have_joined: an engine that replicates by itself is told of others, which may be in other sets.
may_have_joined(entry, shown) if {
	entry.facts.replicates == true
	count(shown) > 0
}

# verdict puts a finding into words.
verdict(value, finding, copies) := {
	"msg": concat(" ", [where, why]),
	"path": path,
	"found": finding.template.class_name,
	"wanted": wanted,
	"fix": fix,
	"key": concat("/", [finding.template.name, finding.title]),
} if {
	class := finding.template.class
	where := sprintf("%s keeps its data on class %s (%s), whose volumes exist once, %s,", [
		finding.title,
		fields.shown(finding.template.class_name),
		fields.shown(classes.provisioner(class)),
		place(finding.template.facts),
	])
	why := reason_text(finding, workload.count_text(workload.replicas(value)), copies)
	path := array.concat(
		["spec", "volumeClaimTemplates", finding.template.index],
		classes.class_path(finding.template.claim),
	)
	better := array.slice(copying(class), 0, 10)
	wanted := wanted_text(better, ways(finding.facts), copies)
	fix := fix_text(path[count(path) - 1], choosable(better), operator_names(finding.facts), copies)
}

reason_text(finding, replicas, copies) := text if {
	finding.reason == "few"
	text := sprintf("and the set has replicas: %s, where the tier wants %v copies", [replicas, copies])
} else := sprintf("and nothing shows that the %s replicas replicate: each row may exist in one place only", [replicas])

wanted_text(better, way, copies) := concat(", or ", [classes_text(better), members_text(way, copies)])

classes_text(better) := sprintf("a class whose volumes exist more than once (%s)", [concat(", ", better)]) if {
	count(better) > 0
} else := "a class whose volumes exist more than once"

members_text(way, copies) := sprintf("%v replicas that replicate: %s", [copies, way]) if {
	way != ""
} else := sprintf("%v replicas that replicate", [copies])

# choosable: the class of a claim template cannot change any more once the set exists.
choosable(names) := names if input.request.operation == "CREATE"

choosable(_) := [] if input.request.operation != "CREATE"

fix_text(field, better, _, _) := sprintf("%s: %s", [field, better[0]]) if count(better) > 0

fix_text(_, better, operators, copies) := text if {
	count(better) == 0
	count(operators) > 0
	text := sprintf("run it by an operator, with %v members", [copies])
}

fix_text(_, better, operators, copies) := text if {
	count(better) == 0
	count(operators) == 0
	text := sprintf("spec: {replicas: %v}, with replication between them", [copies])
}

# copying lists classes whose volumes exist in several copies and are kept: those of the catalogue and those of the same
# provisioner, sorted. Reads storageclasses.
copying(class) := sort([name |
	some name in candidates(class)
	other := classes.known(name)
	classes.facts_of(other).replicated == true
	classes.reclaim_policy(other) == "Retain"
	not classes.is_disposable(other)
])

candidates(class) := {name |
	same := object.get(data.cluster.index.classes_by_provisioner, classes.provisioner(class), [])
	some name in array.concat(same, data.cluster.index.supported_classes)
}
