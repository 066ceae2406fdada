package seawall.lib.probes_test

import data.seawall.lib.probes

set(containers) := {"kind": "StatefulSet", "spec": {"template": {"spec": {"containers": containers}}}}

names(containers) := [subject.name | some subject in probes.subjects(set(containers))]

test_subjects if {
	app := {"name": "app", "image": "acme/store", "ports": [{"containerPort": 80}]}
	names([{"name": "db", "image": "postgres:16"}]) == ["db"]
	names([app, {"name": "db", "image": "postgres:16"}]) == ["db"]
	names([app]) == ["app"]
	names([app, object.union(app, {"name": "second"})]) == ["app"]
	names([object.union(app, {"image": "prom/some-exporter"}), app]) == ["app"]
	names([{"name": "app", "image": "acme/store"}]) == []
	names([{"name": "app", "image": "acme/store"}, app]) == []
	names([object.union(app, {"image": "prom/some-exporter"})]) == []
	names([]) == []
	probes.subjects(set([])) == []
	probes.subjects(set([app])) == [{"index": 0, "name": "app", "container": app, "title": "a server", "facts": {}}]
}

test_has_readiness if {
	probes.has_readiness({"readinessProbe": {"tcpSocket": {"port": 1}}})

	# as written and with the API's defaults in it
	probes.has_readiness({"readinessProbe": {}})
	probes.has_readiness({"readinessProbe": {"periodSeconds": 10}})
	probes.has_readiness({"readinessProbe": "x"})
	every container in [{}, {"readinessProbe": null}] {
		not probes.has_readiness(container)
	}
}

probe(container) := answer if {
	some subject in probes.subjects(set([container]))
	answer := probes.probe(subject)
} else := "none"

container(image, ports) := {"name": "db", "image": image, "ports": [{"containerPort": port} | some port in ports]}

tcp(port) := {
	"tcpSocket": {"port": port},
	"initialDelaySeconds": 10,
	"periodSeconds": 10,
	"timeoutSeconds": 5,
	"failureThreshold": 6,
}

test_own_check if {
	probe(container("postgres:16", [5432])) == {
		"exec": {"command": ["pg_isready", "-U", "postgres", "-h", "127.0.0.1"]},
		"initialDelaySeconds": 10,
		"periodSeconds": 10,
		"timeoutSeconds": 5,
		"failureThreshold": 6,
	}
	probe(container("rabbitmq:3", [5672])).timeoutSeconds == 10
	probe(container("docker.io/library/redis:7", [6379])).exec.command[2] == "redis-cli -h 127.0.0.1 ping | grep -Eq 'PONG|NOAUTH'"
	args := object.union(container("mysql:8", [3306]), {"args": ["--max-connections=5"], "env": [{"name": "MYSQL_USER"}]})
	probe(args).exec.command == ["mysqladmin", "ping", "-h", "127.0.0.1"]
}

test_no_own_check if {
	pg := container("postgres:16", [5432])
	probe(container("registry.internal/postgres:16", [5432])) == tcp(5432)
	probe(container("bitnami/postgresql:16", [5432])) == tcp(5432)
	probe(container("postgres:16", [5433])) == tcp(5433)
	probe(container("mongo:7", [27017])) == tcp(27017)
	probe(container("mariadb:11", [3306])) == tcp(3306)
	probe(container("memcached:1", [11211])) == tcp(11211)
	probe(object.union(pg, {"command": ["postgres"]})) == tcp(5432)
	every word in ["--port=1", "-c ssl=on", "--tls", "--Config-file=x", "listen_addresses=x", "--bind 1"] {
		probe(object.union(pg, {"args": [word]})) == tcp(5432)
	}
	probe(object.union(pg, {"env": [{"name": "PGPORT", "value": "5433"}]})) == tcp(5432)
}

test_port if {
	probe(container("postgres:16", [9187, 5432])).exec
	probe(container("mongo:7", [9216, 27017])) == tcp(27017)
	probe(container("mongo:7", [9216, 27018])) == tcp(9216)
	probe(container("acme/store", [81, 80])) == tcp(81)
	probe(container("mongo:7", [])) == "none"
	probe({"name": "db", "image": "mongo:7", "ports": [{"containerPort": 27017, "protocol": "UDP"}]}) == "none"
}

trapped(policy, service) if {
	value := {"spec": object.union({"serviceName": "x"}, policy)}
	probes.trapped(value, {"facts": {"bootstrap_trap": true}}, service)
}

test_trap if {
	parallel := {"podManagementPolicy": "Parallel"}
	published := {"spec": {"publishNotReadyAddresses": true}}
	trapped({}, {})
	trapped({}, published)
	trapped({"podManagementPolicy": "OrderedReady"}, published)
	trapped(parallel, {})
	trapped(parallel, {"spec": {"publishNotReadyAddresses": false}})
	not trapped(parallel, published)
	not probes.trapped({}, {"facts": {"bootstrap_trap": false}}, {})
	not probes.trapped({}, {"facts": {}}, {})
}
