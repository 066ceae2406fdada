# METADATA
# title: Readiness of containers
# description: >
#   Which containers should say when they are ready, which probe is safe to add, and where adding one would keep a
#   cluster from ever starting.
package seawall.lib.probes

import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.object as fields
import data.seawall.lib.workload

# subjects are the containers that should have a readiness probe: those that run an engine, or, without one, the main
# container if it declares a port. Each entry has index, name, container, title and facts.
# seawall-lint: ignore rego/unused-rule for policies that extend the embedded ones
subjects(value) := subjects_beside(value, engines.found(value))

# subjects_beside: the same, where it was recognised already what the workload runs.
subjects_beside(value, found) := found if {
	count(found) > 0
} else := array.slice(main, 0, 1) if {
	main := [entry |
		some listed in containers.main(value)
		not engines.sidecar(listed.container)
		entry := {
			"index": listed.index,
			"name": fields.shown(fields.text(listed.container, ["name"])),
			"container": listed.container,
			"title": "a server",
			"facts": {},
		}
	]
	count(fields.list(main[0].container, ["ports"])) > 0
} else := []

# A probe without a check, or what is none at all, is the API server's to refuse, not ours to replace.
has_readiness(container) if fields.field(container, ["readinessProbe"], null) != null

timing := {"initialDelaySeconds": 10, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6}

# probe is a readiness probe that is safe to add: the engine's own check where the image is known to hold the tool and
# nothing moves the server from where the tool looks, else a connection to a declared port. Undefined without a port.
probe(subject) := check if {
	own_check_works(subject)
	check := object.union(timing, {
		"exec": {"command": subject.facts.readiness.command},
		"timeoutSeconds": subject.facts.readiness.timeout_seconds,
	})
} else := object.union(timing, {"tcpSocket": {"port": port(subject)}})

own_check_works(subject) if {
	engines.repository(subject.container) in subject.facts.readiness.images
	count(fields.list(subject.container, ["command"])) == 0
	port(subject) in subject.facts.ports
	every text in settings(subject.container) {
		not regex.match(`port|tls|ssl|conf|listen|bind`, lower(text))
	}
}

# settings: the arguments and the names of environment variables.
settings(container) := array.concat(engines.elements(container), [name |
	some variable in fields.list(container, ["env"])
	name := fields.text(variable, ["name"])
])

# port is the engine's own port where the container declares it, else the first TCP port: the first one is often that
# of an agent or of peers.
port(subject) := first if {
	own := [number |
		some number in engines.tcp_ports(subject.container)
		number in object.get(subject.facts, "ports", [])
	]
	first := own[0]
} else := all[0] if {
	all := engines.tcp_ports(subject.container)
}

# trapped: a member of this engine is not ready before its peers answer, and its peers do not come, or cannot be found,
# before it is ready. Only Pods that start in parallel and whose names are published at once are free of that.
trapped(value, subject, service) if {
	subject.facts.bootstrap_trap
	not open_start(value, service)
}

open_start(value, service) if {
	fields.text(value, ["spec", "podManagementPolicy"]) == "Parallel"
	workload.flag_at(service, ["spec", "publishNotReadyAddresses"])
}
