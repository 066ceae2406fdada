# METADATA
# title: Database engines in containers
# description: >
#   Recognises the engine that a container runs: by the label seawall.dev/engine, then by command and arguments, then by
#   the image, and, as a hint only, by the declared port. What is known of an engine is data. Recognition runs for nearly
#   every review: what is cheap and settles the matter comes first, nothing is taken apart twice, and of a script only
#   the lines that hold a known word.
package seawall.lib.engines

import data.seawall.knowledge.engines as known
import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.workload

# found lists what the workload runs, each entry with
#   index, name, container: where
#   engine, title, facts:   what (facts is empty for a declared engine that is not in the table)
#   by:                     label, command, image or port
#   sure:                   whether a denial may rest on it
found(value) := entries if {
	is_object(value)
	entries := labelled(value, declared(value))
} else := []

labelled(value, "") := [entry |
	some index, container in listed(value)
	is_object(container)
	seen := view(container)
	not seen.aside
	entry := verdict(index, seen)
]

labelled(_, "none") := []

labelled(value, word) := [hit(chosen.index, chosen.view, engine, "label", true)] if {
	not word in {"", "none"}
	engine := declared_engine(word)
	chosen := declared_container(value, engine)
}

# listed are the main containers.
listed(value) := entries if {
	kind := object.get(value, "kind", null)
	path := object.get({"Pod": ["spec", "containers"]}, kind, ["spec", "template", "spec", "containers"])
	entries := object.get(value, path, null)
	is_array(entries)
} else := []

# declared is the label as written, on the workload or else on its Pods; "" where there is none.
declared(value) := lower(trim_space(concat("", array.slice(written, 0, 1)))) if {
	written := [text |
		some path in [["metadata", "labels"], ["spec", "template", "metadata", "labels"]]
		text := object.get(value, array.concat(path, ["seawall.dev/engine"]), "")
		is_string(text)
		text != ""
	]
}

# declared_engine: the label may use any word that the table knows the engine by. A word that is not known at all is
# an engine of which nothing is known.
declared_engine(word) := word if {
	known.table[word]
} else := engine if {
	engine := known.tokens[word]
} else := engine if {
	engine := known.strong_tokens[word]
} else := engine if {
	engine := known.weak_tokens[word]
} else := word if {
	not word in {"", "none"}
}

# The label speaks of the workload: it means the container that runs this engine as far as can be seen, else the first
# one that is no side container, else the first.
declared_container(value, engine) := candidates[0] if {
	all := [{"index": index, "view": seen} |
		some index, container in listed(value)
		is_object(container)
		seen := view(container)
	]
	same := [entry |
		some entry in all
		not entry.view.aside
		ran := verdict(entry.index, entry.view)
		family(ran.engine) == family(engine)
	]
	open := [entry |
		some entry in all
		not beside(entry.view)
	]
	candidates := array.concat(array.concat(same, open), all)
}

verdict(index, seen) := entry if {
	seen.engine != ""
	entry := hit(index, seen, seen.engine, "command", true)
} else := entry if {
	seen.image_engine != ""
	not beside(seen)
	entry := hit(index, seen, seen.image_engine, "image", image_sure(seen))
} else := entry if {
	engine := port_engine(seen.container)
	not beside(seen)
	entry := hit(index, seen, engine, "port", false)
}

hit(index, seen, first, by, sure) := {
	"index": index,
	"name": fields.shown(object.get(seen.container, "name", null)),
	"container": seen.container,
	"engine": engine,
	"title": title(row, engine),
	"facts": row,
	"by": by,
	"sure": certain(sure, row),
} if {
	engine := become(first, seen.container)
	row := object.get(known.table, engine, {})
}

# become: settings tell what an image that several engines share runs.
become(engine, container) := other if {
	others := sort([other |
		some other, signs in known.table[engine].becomes
		is_array(signs)
		text := settings(container)
		some word in signs
		contains(text, word)
	])
	other := others[0]
} else := engine

# settings are the arguments and, in lower case, the environment variables, one on a line.
settings(container) := concat("\n", array.concat(elements(container), variables)) if {
	variables := [text |
		some variable in fields.list(container, ["env"])
		is_object(variable)
		words := [word |
			some key in ["name", "value"]
			word := object.get(variable, key, "")
			is_string(word)
		]
		text := lower(concat("=", words))
	]
}

title(row, engine) := text if {
	text := row.title
} else := text if {
	text := fields.shown(engine)
}

# What was not checked against the vendor's documents may not lead to a denial.
certain(sure, row) if {
	sure
	object.get(row, "verified", true)
} else := false

facts(engine) := object.get(known.table, engine, {})

family(engine) := object.get(facts(engine), "family", engine)

# --- what recognition looks at ---

# view is what recognition looks at, taken apart once. A container that by its own name works beside the engine is
# looked at no further.
#   aside:         whatever the image, this container does something else
#   engine:        what command and arguments start, "" where they do not say
#   scripted:      they are a script for a shell
#   image_engine:  what the image's name says, "" where it does not say exactly one
view(container) := {"container": container, "aside": true} if {
	name := object.get(container, "name", "")
	is_string(name)
	beside_it := [word |
		some word in words(name)
		known.side_names[word]
	]
	count(beside_it) > 0
} else := {
	"container": container,
	"aside": start.aside,
	"engine": start.engine,
	"scripted": start.scripted,
	"image_name": name,
	"image_words": parts,
	"image_engine": image,
} if {
	name := image_name(container)
	parts := words(name)
	image := image_engine(parts)
	start := start_of(elements(container), image)
}

# sidecar: by its name, image or command the container only serves another one: exporter, proxy, backup, agent.
sidecar(container) if serves(view(container))

serves(seen) if seen.aside

serves(seen) if {
	some word in seen.image_words
	known.side_tokens[word]
}

serves(seen) if known.side_images[seen.image_name]

# beside: a sidecar, or by its image something that uses, manages or fronts an engine.
beside(seen) if {
	some word in seen.image_words
	known.other_tokens[word]
}

beside(seen) if serves(seen)

# --- command and arguments ---

# elements: command and arguments as one list, at most two hundred of each.
elements(container) := [element |
	some field in ["command", "args"]
	list := object.get(container, field, null)
	is_array(list)
	some element in array.slice(list, 0, 200)
	is_string(element)
]

# start_of says what command and arguments start. Most images run without any, or with flags only.
start_of(all, image) := {"aside": false, "engine": "", "scripted": false} if {
	count(all) == 0
} else := {"aside": false, "engine": "", "scripted": false} if {
	flags := [element |
		some element in array.slice(all, 0, 10)
		startswith(element, "-")
	]
	count(flags) == min([10, count(all)])
	not contains(concat("\n", all), "-sentinel")
} else := {"aside": astray, "engine": engine, "scripted": scripted} if {
	start := started(all, kept(all), image)
	scripted := start.script != ""
	engine := command_engine(start.commands, image)
	astray := aside(start, engine, image, concat("\n", all))
}

# started is a script for a shell, a shell alone, or the program of a plain command. The image's own program runs where
# there is none, or where the arguments begin with a flag.
#   commands:  the programs, each as the list of its words without wrappers and flags; of a script only those that may
#              be an engine or make one something else
#   lines, words:  of a script, for a second look
started(all, plain, image) := start if {
	parts := split(plain[0], "/")
	known.shells[parts[count(parts) - 1]]
	start := shell(array.slice(plain, 1, 2), image)
} else := {"script": "", "bare": false, "commands": [plain]} if {
	count(plain) > 0
	not startswith(all[0], "-")
} else := {"script": "", "bare": false, "commands": []}

shell([], _) := {"script": "", "bare": true, "commands": []}

shell([script], image) := {
	"script": script,
	"bare": false,
	"commands": commands(lines, starters(words_met, flat, image)),
	"lines": lines,
	"words": words_met,
} if {
	lines := script_lines(script)
	flat := concat(" ", lines)
	words_met := split(replace(replace(flat, "/", " "), "\r", " "), " ")
}

# command_engine: the one engine that the commands start, "" where it is none or several. The image decides between
# relatives: mysqld of a MariaDB image is MariaDB.
command_engine(commands, image) := engine if {
	engines := {engine |
		some command in commands
		engine := program_engine(basename(command[0]))
		not sideways(command)
	}
	count(engines) == 1
	engine := relative(max(engines), image)
} else := ""

relative(engine, image) := image if {
	image_family := known.table[image].family
	image_family == known.table[engine].family
} else := engine

program_engine(program) := engine if {
	engine := known.programs[program]
	is_string(engine)
} else := "zookeeper" if {
	contains(program, "zookeeper")
}

# aside: whatever the image, this container does something else.
aside(start, engine, image, text) if {
	astray(start, engine, image, text)
} else := false

# A sentinel watches data and keeps none.
astray(_, _, _, text) if contains(text, "--sentinel")

astray(_, "", _, text) if {
	contains(text, "-sentinel")
	regex.match(`(redis|valkey)-sentinel`, text)
}

# The image of an engine that runs only a shell,
astray(start, _, _, _) if start.bare

# or one of its tools,
astray(start, "", _, _) if {
	some command in tools(start)
	known.clients[basename(command[0])]
}

# or is told to be something else ("cassandra operator", "vault agent").
astray(start, "", _, _) if {
	some command in start.commands
	sideways(command)
}

astray(start, _, _, _) if {
	some command in start.commands
	known.side_commands[command[0]]
}

astray(start, _, image, _) if {
	some command in start.commands
	command[0] in object.get(facts(image), "side_commands", [])
}

# tools are the commands among which to look for a tool: none where a script in the end starts something that cannot
# be seen here.
tools(start) := start.commands if start.script == ""

tools(start) := commands(start.lines, wanted) if {
	start.script != ""
	not hands_over(start.script)
	wanted := met(known.clients, start.words)
}

hands_over(script) if {
	some sign in ["entrypoint", ".sh", "$@", "exec "]
	contains(script, sign)
}

sideways(command) if {
	word := command[1]
	engine := known.programs[basename(command[0])]
	sideword(engine, word)
}

sideword(_, word) if known.side_commands[word]

sideword(engine, word) if word in object.get(facts(engine), "side_commands", [])

# The ends of a long script are looked at, not its middle.
script_lines(text) := array.concat(
	array.slice(lines, 0, 60),
	array.slice(lines, max([60, count(lines) - 60]), count(lines)),
) if {
	joined := replace(ends(text), "\\\n", " ")
	unquoted := replace(replace(replace(joined, "\"", ""), "'", ""), "\t", " ")
	lines := split(separated(unquoted), ";")
}

ends(text) := text if {
	count(text) <= 8192
} else := both if {
	both := concat("\n# ", [substring(text, 0, 4096), substring(text, count(text) - 4096, -1)])
}

separated(text) := replace(replace(replace(replace(text, "\n", ";"), "&", ";"), "|", ";"), "(", ";")

# met are those of the words that the table knows. Building the filter pays for many words only.
met(table, all) := some_words if {
	count(all) <= 40
	some_words := [word |
		some word in all
		table[word]
	]
} else := some_words if {
	some_words := [word | some word, on in object.filter(table, all); on]
}

# starters are the words of the script that may start an engine or make it something else.
starters(words_met, flat, image) := array.concat(names, others) if {
	names := met(known.programs, words_met)
	own := object.get(facts(image), "side_commands", [])
	others := [word |
		some word in array.concat(["zookeeper"], array.concat(own, [name | some name, _ in known.side_commands]))
		contains(flat, word)
	]
}

# commands of the lines that hold one of the words.
commands(lines, wanted) := [command |
	holding := {line |
		some word in wanted
		some line in lines
		contains(line, word)
	}
	some candidate in holding
	command := kept(split(trim_space(candidate), " "))
	count(command) > 0
]

# kept drops, from the first words, flags, assignments, wrappers and the user after gosu and its like. A word with a
# space in it is a script. (One body without calls: this is the innermost part of recognition.)
kept(all) := [word |
	first := array.slice(all, 0, 10)
	text := concat(" ", first)
	users := {after |
		some wrapper, on in known.user_wrappers
		on
		contains(text, wrapper)
		some place, switch in first
		steps := split(switch, "/")
		steps[count(steps) - 1] == wrapper
		after := place + 1
	}
	some index, word in first
	word != ""
	not startswith(word, "-")
	not index in users
	parts := split(word, "/")
	name := parts[count(parts) - 1]
	wraps := object.get(known.wrappers, name, object.get(known.user_wrappers, name, contains(name, "entrypoint")))
	[wraps, contains(word, " ")] != [true, false]
	assigns := [1 |
		some _ in array.slice(split(word, "="), 1, 2)
		regex.match(`^[A-Za-z_][A-Za-z0-9_]*=[^ ]*$`, word)
	]
	count(assigns) == 0
]

# before is the element before that index, "" before the first.
before(all, index) := element if {
	index > 0
	element := all[index - 1]
} else := ""

basename(path) := parts[count(parts) - 1] if {
	parts := split(path, "/")
}

# --- image ---

# image_name: the last part of the image's path without tag and digest, in lower case.
image_name(container) := name if {
	image := object.get(container, "image", "")
	is_string(image)
	pinned := split(lower(image), "@")
	path := split(pinned[0], "/")
	tagged := split(path[count(path) - 1], ":")
	name := tagged[0]
} else := ""

# image_parts: the path of the repository without tag and digest, in lower case.
image_parts(container) := array.concat(array.slice(path, 0, last), [tagged[0]]) if {
	pinned := split(lower(fields.text(container, ["image"])), "@")
	path := split(pinned[0], "/")
	last := count(path) - 1
	tagged := split(path[last], ":")
}

# words between - _ . with trailing digits dropped: "mysql57-server" has mysql and server.
words(name) := {word |
	some part in split(replace(replace(name, "_", "-"), ".", "-"), "-")
	word := trim_right(part, "0123456789")
	word != ""
}

# image_engine: "" where the words of the name do not say exactly one. Strong words win, weak words need to be alone.
image_engine(parts) := concat("", array.slice(said, 0, 1)) if {
	strong := {engine | some word in parts; engine := known.strong_tokens[word]}
	plain := {engine | some word in parts; engine := known.tokens[word]}
	weak := {engine |
		some word in parts
		engine := known.weak_tokens[word]
		count(plain) == 0
	}
	said := [engine |
		some engines in [strong, plain, weak]
		count(engines) == 1
		some engine in engines
		is_string(engine)
	]
}

# image_sure: nothing in the image's name is unexplained and the image's own program runs, or the container also has the
# port or the data directory of the engine. "orders-kafka-consumer" is no Kafka, and "orders-kafka" may be none.
image_sure(seen) if {
	not seen.scripted
	count(fields.list(seen.container, ["command"])) == 0
	not runs_a_file(seen.container)
	unexplained := [word |
		some word in seen.image_words
		not known.plain_tokens[word]
		not known.tokens[word]
		not known.strong_tokens[word]
		not known.weak_tokens[word]
	]
	count(unexplained) == 0
} else if {
	has_engine_port(seen)
} else if {
	mounts_engine_path(seen)
} else := false

# runs_a_file: the entry points of most images run a first argument that is a program in the place of their own. A file of
# settings is none.
runs_a_file(container) if {
	arguments := fields.list(container, ["args"])
	first := arguments[0]
	is_string(first)
	startswith(first, "/")
	not endswith(first, ".conf")
}

has_engine_port(seen) if {
	some port in tcp_ports(seen.container)
	port in object.get(facts(seen.image_engine), "ports", [])
}

mounts_engine_path(seen) if {
	some mount in containers.file_mounts(seen.container)
	some path in paths(seen.container, facts(seen.image_engine))
	containers.touches(mount, path)
}

# repository names the image on Docker Hub: "postgres" for postgres, docker.io/library/postgres and mirrors that keep
# "library/". Undefined for images of other registries.
repository(container) := trim_prefix(concat("/", parts), "library/") if {
	parts := image_parts(container)
	not is_registry(parts[0], count(parts))
}

repository(container) := trim_prefix(concat("/", rest), "library/") if {
	parts := image_parts(container)
	is_registry(parts[0], count(parts))
	rest := array.slice(parts, 1, count(parts))
	from_hub(parts[0], rest[0])
}

is_registry(part, length) if {
	length > 1
	regex.match(`[.:]|^localhost$`, part)
}

from_hub(registry, _) if registry in {"docker.io", "index.docker.io", "registry-1.docker.io"}

from_hub(_, namespace) if namespace == "library"

# --- ports ---

# tcp_ports in the order in which they are declared.
tcp_ports(container) := [number |
	some port in fields.list(container, ["ports"])
	tcp(port)
	number := workload.number_at(port, ["containerPort"], 0)
	number > 0
]

tcp(port) if fields.text(port, ["protocol"]) in {"", "TCP"}

port_engine(container) := max(engines) if {
	ports := object.get(container, "ports", null)
	is_array(ports)
	engines := {engine |
		some port in ports
		is_object(port)
		number := object.get(port, "containerPort", null)
		is_number(number)
		number <= 65535
		number == floor(number)
		engine := known.ports[format_int(number, 10)]
		tcp(port)
	}
	count(engines) == 1
}

# --- where the data is ---

# paths of the data directory: what environment or arguments say, else what the image is known to use.
paths(container, row) := stated if {
	stated := stated_paths(container, row)
	count(stated) > 0
} else := object.get(row, "data_paths", [])

stated_paths(container, row) := [path |
	some text in array.concat(env_texts(container, row), arg_texts(container, row))
	some part in split(text, ",")
	path := trim_right(trim_space(part), "/")
	startswith(path, "/")
	not contains(path, "$")
]

env_texts(container, row) := [text |
	some variable in fields.list(container, ["env"])
	fields.text(variable, ["name"]) in object.get(row, "path_env", [])
	text := fields.text(variable, ["value"])
]

arg_texts(container, row) := array.concat(joined, apart) if {
	all := elements(container)
	joined := [text |
		some element in all
		some flag in object.get(row, "path_args", [])
		startswith(element, concat("", [flag, "="]))
		text := trim_prefix(element, concat("", [flag, "="]))
	]
	apart := [text |
		some index, text in all
		before(all, index) in object.get(row, "path_args", [])
	]
}

# needs_volume: this engine, run like this, keeps data that must outlive the Pod.
needs_volume(entry) if {
	entry.facts.volume == "required"
	not without_role(entry)
}

needs_volume(entry) if {
	text := replace(concat(" ", array.concat([""], elements(entry.container))), "\n", " ")
	some flag in object.get(entry.facts, "volume_args", [])
	contains(text, concat("", [" ", flag]))
}

# A node of a cluster that by its settings holds no data.
without_role(entry) if {
	wanted := object.get(entry.facts, "not_data_env", {})
	some variable in fields.list(entry.container, ["env"])
	wanted[fields.text(variable, ["name"])] == fields.text(variable, ["value"])
}

without_role(entry) if {
	some variable in fields.list(entry.container, ["env"])
	fields.text(variable, ["name"]) == object.get(entry.facts, "role_env", null)
	roles := fields.text(variable, ["value"])
	not names_role(roles, object.get(entry.facts, "role_words", []))
}

names_role(roles, wanted) if {
	some word in wanted
	contains(roles, word)
}

# unsaved: the container has no writable volume that outlives the Pod ("none"), or its data directory lies on one that
# does not ("scratch"). Undefined where the data is safe or cannot be judged.
unsaved(value, entry) := {"reason": "scratch", "mount": mount} if {
	not safe(value, entry)
	scratch := scratch_mounts(value, entry)
	mount := scratch[0]
} else := {"reason": "none"} if {
	count(lasting_mounts(value, entry)) == 0
}

# lack is what unsaved tells, null where that is undefined.
lack(value, entry) := reason if {
	reason := unsaved(value, entry)
} else := null

lasting_mounts(value, entry) := [mount |
	some mount in containers.mounts(entry.container)
	mount.writable
	containers.lasting(value, mount.volume)
]

scratch_mounts(value, entry) := [mount |
	some mount in containers.file_mounts(entry.container)
	containers.kind(value, mount.volume) in {"emptyDir", "ephemeral"}
	some path in paths(entry.container, entry.facts)
	containers.covers(mount, path)
]

safe(value, entry) if {
	some mount in lasting_mounts(value, entry)
	some path in paths(entry.container, entry.facts)
	containers.touches(mount, path)
}

# data_volumes: names of the volumes that hold the data directory, or, where none is seen to, of all that the container
# writes and that outlive the Pod.
data_volumes(value, entry) := at_path if {
	at_path := {mount.volume |
		some mount in lasting_mounts(value, entry)
		some path in paths(entry.container, entry.facts)
		containers.touches(mount, path)
	}
	count(at_path) > 0
} else := {mount.volume | some mount in lasting_mounts(value, entry)}
