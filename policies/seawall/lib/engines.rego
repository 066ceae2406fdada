# METADATA
# title: Database engines in containers
# description: >
#   Recognises the engine that a container runs: by the label seawall.dev/engine, then by command and arguments, then by
#   the image, and, as a hint only, by the declared port. What is known of an engine is data.
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
found(value) := [entry |
	some listed in containers.main(value)
	entry := recognised(listed.index, view(listed.container))
] if {
	declared(value) == ""
}

found(value) := [hit(container.index, container.view, engine, "label", true)] if {
	engine := declared_engine(declared(value))
	container := declared_container(value, engine)
}

found(value) := [] if declared(value) == "none"

# declared is the label as written, "" where there is none.
declared(value) := lower(trim_space(workload.label(value, "seawall.dev/engine")))

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
		some listed in containers.main(value)
		index := listed.index
		seen := view(listed.container)
	]
	same := [entry |
		some entry in all
		seen := recognised(entry.index, entry.view)
		family(seen.engine) == family(engine)
	]
	open := [entry |
		some entry in all
		not beside(entry.view)
	]
	candidates := array.concat(array.concat(same, open), all)
}

# sidecar: by its name, image or command the container only serves another one: exporter, proxy, backup, agent.
sidecar(container) if serves(view(container))

recognised(index, seen) := entry if {
	not aside(seen)
	engine := command_engine(seen)
	entry := hit(index, seen, engine, "command", true)
} else := entry if {
	not beside(seen)
	seen.image_engine != ""
	entry := hit(index, seen, seen.image_engine, "image", image_sure(seen))
} else := hit(index, seen, engine, "port", false) if {
	not beside(seen)
	engine := port_engine(seen.container)
}

hit(index, seen, first, by, sure) := {
	"index": index,
	"name": fields.shown(fields.text(seen.container, ["name"])),
	"container": seen.container,
	"engine": engine,
	"title": object.get(facts(engine), "title", fields.shown(engine)),
	"facts": facts(engine),
	"by": by,
	"sure": certain(sure, facts(engine)),
} if {
	engine := become(first, seen)
}

# become: settings tell what an image that several engines share runs.
become(engine, seen) := others[0] if {
	others := sort([other |
		some other, words in object.get(facts(engine), "becomes", {})
		is_array(words)
		some word in words
		says(seen, word)
	])
	count(others) > 0
} else := engine

says(seen, word) if {
	some element in seen.elements
	contains(element, word)
}

says(seen, word) if {
	some variable in fields.list(seen.container, ["env"])
	contains(lower(concat("=", [fields.text(variable, ["name"]), fields.text(variable, ["value"])])), word)
}

# What was not checked against the vendor's documents may not lead to a denial.
certain(sure, row) if {
	sure
	object.get(row, "verified", true)
} else := false

facts(engine) := object.get(known.table, engine, {})

family(engine) := object.get(facts(engine), "family", engine)

# --- what makes a container no engine ---

# aside: whatever the image, this container does something else.
aside(seen) if {
	some word in words(fields.text(seen.container, ["name"]))
	known.side_names[word]
}

# A sentinel watches data and keeps none.
aside(seen) if {
	some element in seen.elements
	contains(element, "--sentinel")
}

aside(seen) if {
	not command_engine(seen)
	some element in seen.elements
	regex.match(`(redis|valkey)-sentinel`, element)
}

# The image of an engine that runs only one of its tools,
aside(seen) if {
	not command_engine(seen)
	not hands_over(seen.script)
	some command in seen.commands
	known.clients[basename(command[0])]
}

# or only a shell,
aside(seen) if seen.bare_shell

# or is told to be something else ("cassandra operator", "vault agent").
aside(seen) if {
	not command_engine(seen)
	some command in seen.commands
	sideways(command)
}

aside(seen) if {
	some command in seen.commands
	known.side_commands[command[0]]
}

aside(seen) if {
	some command in seen.commands
	command[0] in object.get(facts(seen.image_engine), "side_commands", [])
}

serves(seen) if aside(seen)

serves(seen) if {
	some word in seen.image_words
	known.side_tokens[word]
}

serves(seen) if known.side_images[seen.image_name]

# beside: a sidecar, or by its image something that uses, manages or fronts an engine.
beside(seen) if serves(seen)

beside(seen) if {
	some word in seen.image_words
	known.other_tokens[word]
}

# hands_over: a script that in the end starts something that cannot be seen here.
hands_over(script) if {
	some sign in ["entrypoint", ".sh", "$@", "exec "]
	contains(script, sign)
}

sideways(command) if {
	known.programs[basename(command[0])]
	known.side_commands[command[1]]
}

sideways(command) if {
	engine := known.programs[basename(command[0])]
	command[1] in object.get(facts(engine), "side_commands", [])
}

# --- command and arguments ---

# view is what recognition looks at, taken apart once.
view(container) := {
	"container": container,
	"elements": all,
	"script": script(plain),
	"commands": commands(all, plain),
	"bare_shell": bare_shell(plain),
	"image_name": name,
	"image_words": words(name),
	"image_engine": image_engine(words(name)),
} if {
	all := elements(container)
	plain := kept(all)
	name := image_name(container)
}

elements(container) := array.slice(
	[element |
		some field in ["command", "args"]
		some element in fields.list(container, [field])
		is_string(element)
	],
	0, 200,
)

# command_engine: the one engine that the command starts. The image decides between relatives: mysqld of a MariaDB image
# is MariaDB.
command_engine(seen) := relative(only(started), seen.image_engine) if {
	started := {engine |
		some command in seen.commands
		not sideways(command)
		engine := program_engine(basename(command[0]))
	}
}

relative(engine, image) := image if {
	family(image) == family(engine)
} else := engine

program_engine(program) := engine if {
	engine := known.programs[program]
} else := "zookeeper" if {
	contains(program, "zookeeper")
}

# commands are the programs that the container starts, each as the list of its words without wrappers and flags: one, or
# those of a shell script. Nothing where the arguments begin with a flag: then the image's own program runs.
commands(all, plain) := [plain] if {
	script(plain) == ""
	count(plain) > 0
	not startswith(all[0], "-")
} else := [command |
	some line in script_lines(script(plain))
	command := kept(split(trim_space(line), " "))
	count(command) > 0
]

script(plain) := text if {
	known.shells[basename(plain[0])]
	text := plain[1]
} else := ""

bare_shell(plain) if {
	known.shells[basename(plain[0])]
	count(plain) == 1
} else := false

# The ends of a long script are looked at, not its middle.
script_lines(text) := array.concat(
	array.slice(lines, 0, 60),
	array.slice(lines, max([60, count(lines) - 60]), count(lines)),
) if {
	joined := replace(text, "\\\n", " ")
	unquoted := replace(replace(replace(joined, "\"", ""), "'", ""), "\t", " ")
	lines := split(separated(unquoted), ";")
}

separated(text) := replace(replace(replace(replace(text, "\n", ";"), "&", ";"), "|", ";"), "(", ";")

# kept drops, from the first words, flags, assignments, wrappers and the user after gosu and its like.
kept(all) := [word |
	some index, word in array.slice(all, 0, 10)
	word != ""
	not startswith(word, "-")
	not dropped(word)
	not known.user_wrappers[basename(before(all, index))]
]

# A word with a space in it is a script.
dropped(word) if {
	not contains(word, " ")
	handed_on(word)
}

handed_on(word) if known.wrappers[basename(word)]

handed_on(word) if known.user_wrappers[basename(word)]

handed_on(word) if regex.match(`^[A-Za-z_][A-Za-z0-9_]*=`, word)

handed_on(word) if contains(basename(word), "entrypoint")

before(all, index) := shifted[index] if {
	shifted := array.concat([""], all)
}

basename(path) := parts[count(parts) - 1] if {
	parts := split(path, "/")
}

# --- image ---

# image_parts: the path of the repository without tag and digest, in lower case.
image_parts(container) := array.concat(array.slice(path, 0, last), [tagged[0]]) if {
	pinned := split(lower(fields.text(container, ["image"])), "@")
	path := split(pinned[0], "/")
	last := count(path) - 1
	tagged := split(path[last], ":")
}

image_name(container) := parts[count(parts) - 1] if {
	parts := image_parts(container)
}

# words between - _ . with trailing digits dropped: "mysql57-server" has mysql and server.
words(name) := {word |
	some part in split(replace(replace(name, "_", "-"), ".", "-"), "-")
	word := trim_right(part, "0123456789")
	word != ""
}

# image_engine: "" where the name does not say exactly one.
image_engine(parts) := engine if {
	engine := only(named(parts, known.strong_tokens))
} else := engine if {
	engine := only(named(parts, known.tokens))
} else := engine if {
	count(named(parts, known.tokens)) == 0
	engine := only(named(parts, known.weak_tokens))
} else := ""

named(parts, names) := {engine |
	some word in parts
	engine := names[word]
}

only(engines) := engine if {
	count(engines) == 1
	some engine in engines
}

# image_sure: nothing in the image's name is unexplained and the image's own program runs, or the container also has the
# port or the data directory of the engine. "orders-kafka-consumer" is no Kafka, and "orders-kafka" may be none.
image_sure(seen) if {
	not overridden(seen)
	every word in seen.image_words {
		plain_word(word)
	}
} else if {
	has_engine_port(seen)
} else if {
	mounts_engine_path(seen)
} else := false

has_engine_port(seen) if {
	some port in tcp_ports(seen.container)
	port in object.get(facts(seen.image_engine), "ports", [])
}

mounts_engine_path(seen) if {
	some mount in containers.file_mounts(seen.container)
	some path in paths(seen.container, facts(seen.image_engine))
	containers.touches(mount, path)
}

plain_word(word) if known.plain_tokens[word]

plain_word(word) if known.tokens[word]

plain_word(word) if known.strong_tokens[word]

plain_word(word) if known.weak_tokens[word]

overridden(seen) if count(fields.list(seen.container, ["command"])) > 0

overridden(seen) if seen.script != ""

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

port_engine(container) := only({engine |
	some port in tcp_ports(container)
	engine := known.ports[format_int(port, 10)]
})

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
