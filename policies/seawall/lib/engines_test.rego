package seawall.lib.engines_test

import data.seawall.lib.engines

sts(containers) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {"template": {"spec": {"containers": containers}}},
}

labelled(value, containers) := object.union(sts(containers), {"metadata": {"labels": {"seawall.dev/engine": value}}})

# what a container is taken for: [engine, by, sure], or [] for no engine.
verdict(container) := [entry.engine, entry.by, entry.sure] if {
	some entry in engines.found(sts([container]))
} else := []

wrong(cases) := {name: got |
	some name, expected in cases
	got := verdict(expected.container)
	got != expected.verdict
}

image(text, expected) := {"container": {"name": "main", "image": text}, "verdict": expected}

sure(engine) := [engine, "image", true]

doubtful(engine) := [engine, "image", false]

test_images if {
	wrong({
		"plain": image("postgres:16", sure("postgres")),
		"no tag": image("mariadb", sure("mariadb")),
		"registry": image("docker.io/bitnami/postgresql:16.1", sure("postgres")),
		"registry with port": image("registry.internal:5000/team/postgres", sure("postgres")),
		"digest": image("mongo@sha256:0123456789abcdef", sure("mongodb")),
		"tag and digest": image("mongo:7@sha256:0123456789abcdef", sure("mongodb")),
		"upper case": image("Registry.Example/Postgres:16", sure("postgres")),
		"digits": image("registry.redhat.io/rhel9/postgresql-16", sure("postgres")),
		"digits joined": image("centos/mysql57-server", sure("mysql")),
		"spilo": image("registry.opensource.zalan.do/acid/spilo-11:1.5-p5", sure("postgres")),
		"postgis": image("postgis/postgis:16-3.4", sure("postgres")),
		"dots": image("example/postgres.ha:1", sure("postgres")),
		"underscore": image("example/postgres_ha:1", sure("postgres")),
		"word in path only": image("postgres/app-thing:1", []),
		"galera wins": image("bitnami/mariadb-galera:11", sure("galera")),
		"xtradb wins": image("percona/percona-xtradb-cluster:8.0", sure("galera")),
		"percona is weak": image("percona/percona-server-mongodb:7.0", sure("mongodb")),
		"percona alone": image("percona:8.0", sure("mysql")),
		"percona postgres": image("percona/percona-distribution-postgresql:16", sure("postgres")),
		"two engines": image("example/postgres-mysql:1", []),
		"weak does not break a tie": image("example/percona-postgres-mysql:1", []),
		"valkey": image("valkey/valkey:8-alpine", sure("valkey")),
		"kafka": image("confluentinc/cp-kafka:7.6.0", sure("kafka")),
		"zookeeper": image("confluentinc/cp-zookeeper:7.6.0", sure("zookeeper")),
		"elasticsearch": image("quay.io/pires/docker-elasticsearch-kubernetes:6.3.2", sure("elasticsearch")),
		"cockroach": image("cockroachdb/cockroach:v25.1.2", sure("cockroach")),
		"unknown word": image("team/acme-postgres:1", doubtful("postgres")),
		"unverified row": image("yugabytedb/yugabyte:2024.1", doubtful("yugabyte")),
		"nothing": image("nginx:1.27", []),
		"empty": image("", []),
		"no string": image(7, []),
	}) == {}
}

test_images_beside_an_engine if {
	taken := {text: got |
		some text in [
			"registry.internal:5000/team/my-postgres-exporter:1",
			"prom/mysqld-exporter",
			"oliver006/redis_exporter:v1.58",
			"percona/percona-xtradb-cluster-operator:1.14.0",
			"quay.io/mongodb/mongodb-agent:107",
			"mysql/mysql-router:8",
			"bitnami/pgpool:4",
			"confluentinc/cp-kafka-connect:7.6.0",
			"confluentinc/cp-kafka-rest:7.6.0",
			"confluentinc/cp-schema-registry:7.6.0",
			"bitnami/redis-sentinel:7.2",
			"cvallance/mongo-k8s-sidecar",
			"gcr.io/google-samples/xtrabackup:1.0",
			"hashicorp/vault-k8s:1.4",
			"hashicorp/consul-k8s-control-plane:1.5",
			"mongo-express:1",
			"rediscommander/redis-commander",
			"opensearchproject/opensearch-dashboards:2",
			"altinity/clickhouse-backup:2",
			"orders/kafka-consumer:3",
			"quay.io/prometheus-operator/prometheus-config-reloader:v0.74",
			"phpmyadmin:5",
		]
		got := verdict({"name": "main", "image": text})
		got != []
	}
	taken == {}
}

cmd(words) := {"name": "main", "image": "debian:12", "command": words}

by_command(words, engine) := {"container": cmd(words), "verdict": [engine, "command", true]}

test_commands if {
	wrong({
		"redis on debian": by_command(["redis-server", "/etc/redis.conf"], "redis"),
		"path": by_command(["/usr/local/bin/redis-server"], "redis"),
		"tini": by_command(["/sbin/tini", "--", "mongod", "--replSet", "rs0"], "mongodb"),
		"entrypoint": by_command(["docker-entrypoint.sh", "postgres"], "postgres"),
		"gosu and its user": by_command(["gosu", "mysql", "mysqld"], "mysql"),
		"env": by_command(["env", "A=b", "mysqld"], "mysql"),
		"shell script": by_command(["/bin/sh", "-c", "chown -R 999 /data\nexec redis-server /conf/redis.conf"], "redis"),
		"shell in tini": by_command(["tini", "--", "bash", "-ec", "exec mysqld"], "mysql"),
		"assignment": by_command(["sh", "-c", "FOO=bar mongod --replSet rs0"], "mongodb"),
		"and": by_command(["sh", "-c", "zkGenConfig.sh && zkServer.sh start-foreground"], "zookeeper"),
		"or": by_command(["sh", "-c", "false || exec etcd"], "etcd"),
		"subshell": by_command(["sh", "-c", "(mysqld --skip-networking)"], "mysql"),
		"then": by_command(["sh", "-c", "if true; then exec mysqld; fi"], "mysql"),
		"quotes": by_command(["sh", "-c", "exec \"mysqld\" --x"], "mysql"),
		"single quotes": by_command(["sh", "-c", "exec 'mysqld' --x"], "mysql"),
		"tab": by_command(["sh", "-c", "\texec\tmysqld"], "mysql"),
		"continued line": by_command(["sh", "-c", "exec \\\nmysqld"], "mysql"),
		"cockroach shell": {
			"container": {
				"name": "db",
				"image": "cockroachdb/cockroach:v25.1.2",
				"args": ["shell", "-ecx", "exec /cockroach/cockroach start --join=a"],
			},
			"verdict": ["cockroach", "command", true],
		},
		"kafka image that runs zookeeper": {
			"container": {"name": "zk", "image": "quay.io/strimzi/kafka:0.40", "command": ["/opt/kafka/zookeeper_run.sh"]},
			"verdict": ["zookeeper", "command", true],
		},
		"some zookeeper program": {
			"container": {"name": "zk", "image": "example/kafka", "command": ["/start-my-zookeeper"]},
			"verdict": ["zookeeper", "command", true],
		},
		"relative: mysqld of mariadb": {
			"container": {"name": "db", "image": "mariadb:11", "command": ["mysqld"]},
			"verdict": ["mariadb", "command", true],
		},
		"a tool in a script that starts the server": by_command(["sh", "-c", "mysqladmin ping; mysqld"], "mysql"),
		"a client mode beside the server": by_command(["sh", "-c", "clickhouse-server; clickhouse client"], "clickhouse"),
		"a file named like a sentinel": by_command(["redis-server", "/no-redis-sentinel.conf"], "redis"),
		"args alone": {
			"container": {"name": "db", "image": "mongo:7", "args": ["mongod", "--replSet", "rs0"]},
			"verdict": ["mongodb", "command", true],
		},
		"args that are flags": {
			"container": {"name": "db", "image": "mongo:7", "args": ["--replSet", "mysqld"]},
			"verdict": ["mongodb", "image", true],
		},
		"command of an excluded image": {
			"container": {"name": "db", "image": "percona/percona-xtradb-cluster-operator:1.4-pxc8", "command": ["mysqld"]},
			"verdict": ["galera", "command", true],
		},
		"two servers: the image decides": {
			"container": {"name": "db", "image": "kafka:3", "command": ["sh", "-c", "zkServer.sh start; kafka-server-start.sh x"]},
			"verdict": ["kafka", "image", false],
		},
		"argument that is no command": {
			"container": {"name": "db", "image": "debian:12", "command": ["sh", "-c", "echo mysqld etcd"]},
			"verdict": [],
		},
		"no strings": {"container": {"name": "db", "image": "redis:7", "command": [1, null, {}]}, "verdict": ["redis", "image", false]},
		"no image": {"container": {"name": "db", "command": ["mysqld"]}, "verdict": ["mysql", "command", true]},
		"odd image": {"container": {"name": "db", "image": 7, "command": ["mysqld"]}, "verdict": ["mysql", "command", true]},
		"zookeeper in a script": by_command(["sh", "-c", "sleep 1; exec /opt/start-my-zookeeper"], "zookeeper"),
	}) == {}
}

test_long_script_is_read_at_both_ends if {
	ten := "aaaaaaaaaa"
	filler := replace(replace(ten, "a", ten), "a", "echo x\necho y\n")
	verdict(cmd(["sh", "-c", sprintf("%s\nexec mysqld", [filler])])) == ["mysql", "command", true]
	verdict(cmd(["sh", "-c", sprintf("exec mysqld\n%s", [filler])])) == ["mysql", "command", true]
	verdict(cmd(["sh", "-c", sprintf("%s\nexec mysqld\n%s", [filler, filler])])) == []

	# beyond the length from which a script is cut
	long := concat("", [filler, filler, filler, filler, filler, filler])
	count(long) > 8192
	verdict(cmd(["sh", "-c", sprintf("%s\nexec mysqld", [long])])) == ["mysql", "command", true]
	verdict(cmd(["sh", "-c", sprintf("exec mysqld\n%s", [long])])) == ["mysql", "command", true]
	whole := substring(long, 0, 8192)
	engines.ends(whole) == whole
}

with_image(text, words) := {"name": "main", "image": text, "command": words}

test_tools_and_side_programs_are_no_engine if {
	every container in [
		with_image("postgres:16", ["psql", "-U", "postgres"]),
		with_image("postgres:16", ["bash"]),
		with_image("postgres:16", ["/bin/sh"]),
		with_image("postgres:16", ["sh", "-c", "while true; do pg_dump app > /backup/app; sleep 3600; done"]),
		with_image("mysql:8", ["sh", "-c", "until mysqladmin ping; do sleep 1; done"]),
		with_image("mongo:7", ["mongos", "--configdb", "x"]),
		with_image("percona/percona-server-mongodb:7", ["mongos"]),
		with_image("strimzi/kafka:1", ["/opt/kafka/kafka_connect_run.sh"]),
		with_image("rook/cassandra:master", ["cassandra", "operator"]),
		with_image("hashicorp/vault:1.15", ["vault", "agent", "-config=/x"]),
		with_image("cockroachdb/cockroach:v25", ["/cockroach/cockroach", "init"]),
		with_image("redis:7", ["redis-sentinel", "/conf"]),
		with_image("redis:7", ["redis-server", "/conf", "--sentinel"]),
		{"name": "main", "image": "redis:7", "args": ["--port=26379", "--sentinel"]},
		with_image("redis:7", ["sh", "-c", "exec redis-sentinel /conf"]),
		{"name": "sentinel", "image": "redis:7"},
		{"name": "redis-metrics", "image": "redis:7"},
		{"name": "main", "image": "hashicorp/vault:1.15", "args": ["agent", "-config=/x"]},
		{"name": "main", "image": "redis:7", "args": ["exporter"]},
		{"name": "main", "image": "minio/minio", "args": ["gateway", "s3"]},
	] {
		verdict(container) == []
	}
}

test_custom_start_scripts_leave_it_to_the_image if {
	every words in [
		["/scripts/setup.sh"],
		["/scripts/setup.sh", "--without-sentinel"],
		["sh", "-c", "sleep 1; exec /opt/start"],
		["sh", "-c", "psql -c x; docker-entrypoint y"],
		["sh", "-c", "sleep 1; /scripts/run.sh"],
		["sh", "-c", "sleep 1; \"$@\""],
		["sh", "/scripts/run"],
		["/start", "proxy"],
	] {
		verdict(with_image("postgres:16", words)) == ["postgres", "image", false]
	}

	# arguments that are no script may be the program's own, a script is none, and neither is another program
	every words in [
		["sh", "-c", "sleep 1; exec /opt/start"],
		["bash", "/scripts/run"],
		["/scripts/run-backups.sh", "--all"],
	] {
		verdict({"name": "main", "image": "postgres:16", "args": words}) == ["postgres", "image", false]
	}
	every words in [["server", "/data"], ["/etc/postgresql.conf"], ["-D", "/data"], [7, "/data"]] {
		verdict({"name": "main", "image": "postgres:16", "args": words}) == sure("postgres")
	}
}

test_doubt_goes_with_port_or_data_directory if {
	base := {"name": "main", "image": "team/acme-postgres:1"}
	verdict(object.union(base, {"ports": [{"containerPort": 5432}]})) == sure("postgres")
	verdict(object.union(base, {"ports": [{"containerPort": 8080}]})) == doubtful("postgres")
	verdict(object.union(base, {"ports": [{"containerPort": 5432, "protocol": "UDP"}]})) == doubtful("postgres")
	verdict(object.union(base, {"volumeMounts": [{"name": "d", "mountPath": "/var/lib/postgresql/data"}]})) == sure("postgres")
	verdict(object.union(base, {"volumeMounts": [{"name": "d", "mountPath": "/backup"}]})) == doubtful("postgres")
	overridden := {"name": "main", "image": "postgres:16", "command": ["/x.sh"], "ports": [{"containerPort": 5432}]}
	verdict(overridden) == sure("postgres")
}

test_port_is_a_hint if {
	verdict({"name": "main", "image": "acme/store", "ports": [{"containerPort": 5432}]}) == ["postgres", "port", false]
	verdict({"name": "main", "image": "acme/store", "ports": [{"containerPort": 5432, "protocol": "UDP"}]}) == []
	verdict({"name": "main", "image": "envoyproxy/envoy", "ports": [{"containerPort": 5432}]}) == []
	verdict({"name": "main", "image": "acme/store", "ports": [{"containerPort": 5432}, {"containerPort": 3306}]}) == []
	verdict({"name": "main", "image": "acme/store", "ports": [null, {"containerPort": "5432"}, {"containerPort": 0}]}) == []
	verdict({"name": "main", "image": "acme/store", "ports": [{"containerPort": 5432.5}]}) == []
}

test_tcp_ports if {
	ports := [
		{"containerPort": 2, "protocol": "TCP"},
		{"containerPort": 1},
		{"containerPort": 0},
		{"containerPort": "3"},
		{"containerPort": 4, "protocol": "SCTP"},
		null,
	]
	engines.tcp_ports({"ports": ports}) == [2, 1]
}

# What recognition works on holds no empty command; of a script only the lines with a known word count.
test_started if {
	every expected in [
		[[""], []],
		[["", "-x"], []],
		[["-x", "mysqld"], []],
		[["exec", "mysqld", "-x"], [["mysqld"]]],
		[["a", "b"], [["a", "b"]]],
		[["sh", "-c", "a b\n\n# c\nd"], []],
		[["sh", "-c", "a b\nexec /bin/mysqld c -d; ls"], [["/bin/mysqld", "c"]]],
		[["sh", "-c", ""], []],
	] {
		start := engines.started(expected[0], engines.kept(expected[0]), "")
		start.commands == expected[1]
	}
}

test_many_words_and_few_are_the_same if {
	few := ["a", "mysqld", "b"]
	many := array.concat(few, split(replace("aaaaaaaaaa", "a", "c c c c c "), " "))
	engines.met({"mysqld": "mysql", "x": "y", "b": false}, few) == ["mysqld"]
	engines.met({"mysqld": "mysql", "x": "y", "b": false}, many) == ["mysqld"]
}

test_the_middle_of_a_very_long_script_is_not_read if {
	ten := "aaaaaaaaaa"
	words := replace(replace(replace(ten, "a", ten), "a", ten), "a", "word ")
	every script, expected in {
		sprintf("exec mysqld %s", [words]): ["mysql", "command", true],
		sprintf("echo %s\nexec mysqld", [words]): ["mysql", "command", true],
		sprintf("echo %s\nexec mysqld\necho %s", [words, words]): [],
		sprintf("echo %s mysqld", [words]): [],
	} {
		verdict(cmd(["sh", "-c", script])) == expected
	}

	# cut in the middle of a line, which is not taken for a command
	tail := concat("", array.slice(split(words, " "), 0, 1000))
	verdict(cmd(["sh", "-c", sprintf("echo %s mysqld %s", [words, substring(tail, 0, 4089)])])) == []
}

summary(value) := [[entry.index, entry.engine, entry.by, entry.sure] | some entry in engines.found(value)]

test_settings_tell_engines_of_one_image_apart if {
	wrong({
		"argument": {
			"container": {"name": "db", "image": "mariadb:11.4", "args": ["--wsrep-cluster-address=gcomm://a,b"]},
			"verdict": ["galera", "image", true],
		},
		"variable": {
			"container": {"name": "db", "image": "mysql:8", "env": [{"name": "WSREP_CLUSTER_NAME", "value": "c"}]},
			"verdict": ["galera", "image", true],
		},
		"value": {
			"container": {"name": "db", "image": "mysql:8", "env": [{"name": "ADDRESS", "value": "GCOMM://a"}]},
			"verdict": ["galera", "image", true],
		},
		"value that is no text": {
			"container": {"name": "db", "image": "mysql:8", "env": [null, {"name": "WSREP_ON", "value": true}]},
			"verdict": ["galera", "image", true],
		},
		"other engine": {
			"container": {"name": "db", "image": "postgres:17", "args": ["-c", "wsrep=1"]},
			"verdict": ["postgres", "image", true],
		},
		"nothing": {
			"container": {"name": "db", "image": "mariadb:11.4", "args": ["--server-id=1"]},
			"verdict": ["mariadb", "image", true],
		},
	}) == {}
}

test_keeper if {
	wrong({
		"image": image("clickhouse/clickhouse-keeper:25.3", sure("keeper")),
		"command": {
			"container": {"name": "k", "image": "clickhouse/clickhouse-server:25.3", "command": ["clickhouse-keeper"]},
			"verdict": ["keeper", "command", true],
		},
		"somebody's": image("acme/password-keeper:1", doubtful("keeper")),
	}) == {}
}

test_label if {
	pg := {"name": "a", "image": "postgres:16"}
	app := {"name": "b", "image": "acme/store"}
	exporter := {"name": "c", "image": "acme/postgres-exporter"}
	summary(labelled("none", [pg])) == []
	summary(labelled("mysql", [pg])) == [[0, "mysql", "label", true]]
	summary(labelled(" PostgreSQL ", [app])) == [[0, "postgres", "label", true]]
	summary(labelled("pxc", [app])) == [[0, "galera", "label", true]]
	summary(labelled("percona", [app])) == [[0, "mysql", "label", true]]
	summary(labelled("neo4j", [exporter, app])) == [[1, "neo4j", "label", true]]
	summary(labelled("postgres", [app, pg])) == [[1, "postgres", "label", true]]
	summary(labelled("postgres", [{"name": "r", "image": "redis:7"}, pg])) == [[1, "postgres", "label", true]]
	summary(labelled("mysql", [app, {"name": "m", "image": "mariadb"}])) == [[1, "mysql", "label", true]]
	summary(labelled("postgres", [exporter])) == [[0, "postgres", "label", true]]
	summary(labelled("yugabyte", [app])) == [[0, "yugabyte", "label", false]]
	summary(labelled("postgres", [])) == []
	summary(labelled(7, [pg])) == [[0, "postgres", "image", true]]
}

test_label_does_not_mean_a_sentinel if {
	sentinel := {"name": "watch", "image": "redis:7", "command": ["redis-server", "/conf", "--sentinel"]}
	summary(labelled("redis", [sentinel, {"name": "r", "image": "redis:7"}])) == [[1, "redis", "label", true]]
}

test_words_that_are_switched_off if {
	server := with_image("debian:12", ["mysqld"])
	verdict(server) == [] with data.seawall.knowledge.engines.programs as {"mysqld": false}
	listening := {"name": "main", "image": "mysql:8", "ports": [{"containerPort": 3306}]}
	by_port := verdict(listening) with data.seawall.knowledge.engines.tokens as {"mysql": false}
	by_port == ["mysql", "port", false]
}

test_sidecar if {
	every container in [
		{"name": "metrics", "image": "acme/store"},
		{"name": "a", "image": "prom/mysqld-exporter"},
		{"name": "a", "image": "redis:7", "command": ["redis-sentinel", "/conf"]},
		{"name": "a", "image": "postgres:16", "command": ["bash"]},
	] {
		engines.sidecar(container)
	}
	every container in [
		{"name": "a", "image": "postgres:16"},
		{"name": "a", "image": "acme/store"},
		{"name": "a", "image": "mongo-express:1"},
		{},
	] {
		not engines.sidecar(container)
	}
}

test_label_of_the_pods if {
	value := {"kind": "StatefulSet", "spec": {"template": {
		"metadata": {"labels": {"seawall.dev/engine": "none"}},
		"spec": {"containers": [{"name": "a", "image": "postgres:16"}]},
	}}}
	engines.found(value) == []
}

test_label_of_the_workload_comes_first if {
	value := {"kind": "StatefulSet", "metadata": {"labels": {"seawall.dev/engine": "redis"}}, "spec": {"template": {
		"metadata": {"labels": {"seawall.dev/engine": "none"}},
		"spec": {"containers": [{"name": "a", "image": "postgres:16"}]},
	}}}
	summary(value) == [[0, "redis", "label", true]]
}

test_entry_holds_name_title_and_facts if {
	some entry in engines.found(sts([{"name": "db", "image": "postgres:16"}]))
	entry.name == "db"
	entry.title == "PostgreSQL"
	entry.facts.family == "postgres"
	entry.container.image == "postgres:16"
	some declared in engines.found(labelled("neo4j", [{"name": "x\ny", "image": "neo4j"}]))
	declared.title == "neo4j"
	declared.facts == {}
	declared.name == "(unreadable)"
}

test_several_engines if {
	summary(sts([
		{"name": "web", "image": "nginx"},
		{"name": "a", "image": "postgres:16"},
		{"name": "b", "image": "redis:7"},
	])) == [[1, "postgres", "image", true], [2, "redis", "image", true]]
}

test_odd_shapes if {
	every value in [{}, {"spec": null}, {"spec": {"template": []}}, {"spec": {"template": {"spec": {"containers": {}}}}}] {
		engines.found(value) == []
	}
	engines.found(null) == []
	engines.found(sts([null, 3, "x", [], {}])) == []
	engines.found(sts([{"name": null, "image": null, "command": "x", "args": 7, "ports": "y"}])) == []
}

test_repository if {
	every text, expected in {
		"postgres": "postgres",
		"postgres:16": "postgres",
		"library/postgres:16": "postgres",
		"docker.io/postgres": "postgres",
		"docker.io/library/postgres@sha256:0": "postgres",
		"index.docker.io/library/postgres": "postgres",
		"registry-1.docker.io/valkey/valkey": "valkey/valkey",
		"valkey/valkey:8": "valkey/valkey",
		"localhost/library/postgres": "postgres",
		"mirror.internal:5000/library/postgres:16": "postgres",
		"acme/library/postgres": "acme/library/postgres",
		"postgres.ha:16": "postgres.ha",
	} {
		engines.repository({"image": text}) == expected
	}
	not engines.repository({"image": "registry.internal/postgres:16"})
	not engines.repository({"image": "localhost/postgres"})
}

test_paths if {
	pg := engines.facts("postgres")
	engines.paths({}, pg) == pg.data_paths
	engines.paths({"env": [{"name": "PGDATA", "value": "/pg/data/"}]}, pg) == ["/pg/data"]
	engines.paths({"env": [{"name": "OTHER", "value": "/pg/data"}]}, pg) == pg.data_paths
	engines.paths({"env": [{"name": "PGDATA", "value": "relative"}]}, pg) == pg.data_paths
	engines.paths({"env": [{"name": "PGDATA", "value": "/pg/$(POD)"}]}, pg) == pg.data_paths
	engines.paths({"env": [{"name": "PGDATA", "valueFrom": {}}]}, pg) == pg.data_paths
	engines.paths({"args": ["-D", "/x"]}, pg) == ["/x"]
	engines.paths({"args": ["-F", "/x"]}, pg) == pg.data_paths
	engines.paths({"args": ["--dbpath=/x"]}, engines.facts("mongodb")) == ["/x"]
	engines.paths({"args": ["--dbpathology=/x"]}, engines.facts("mongodb")) == engines.facts("mongodb").data_paths
	engines.paths({"env": [{"name": "KAFKA_LOG_DIRS", "value": "/a, /b"}]}, engines.facts("kafka")) == ["/a", "/b"]
	engines.paths({}, {}) == []
}

needs(container) if {
	some entry in engines.found(sts([container]))
	engines.needs_volume(entry)
}

test_needs_volume if {
	needs({"name": "a", "image": "postgres:16"})
	needs({"name": "a", "image": "consul:1", "args": ["agent", "-server"]})
	needs({"name": "a", "image": "consul:1", "args": ["agent", "-bootstrap-expect=3"]})
	needs({"name": "a", "image": "consul:1", "command": ["sh", "-c", "exec consul agent \\\n-server"]})
	needs({"name": "a", "image": "nats:2", "args": ["-js"]})
	needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.data", "value": "true"}]})
	needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.roles", "value": "master"}]})
	needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.roles", "value": "data,ingest"}]})
	not needs({"name": "a", "image": "consul:1", "args": ["agent"]})
	not needs({"name": "a", "image": "nats:2", "args": ["--json"]})
	not needs({"name": "a", "image": "redis:7"})
	not needs({"name": "a", "image": "memcached:1"})
	not needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.data", "value": "false"}]})
	not needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.roles", "value": "ingest"}]})
	not needs({"name": "a", "image": "elasticsearch:8", "env": [{"name": "node.roles", "value": ""}]})
}

# lack answers unsaved for one PostgreSQL container with these mounts and volumes.
lack(mounts, volumes) := reason if {
	value := {"kind": "StatefulSet", "spec": {
		"template": {"spec": {
			"containers": [{"name": "db", "image": "postgres:16", "volumeMounts": mounts, "volumeDevices": []}],
			"volumes": volumes,
		}},
		"volumeClaimTemplates": [{"metadata": {"name": "tpl"}}],
	}}
	some entry in engines.found(value)
	reason := engines.unsaved(value, entry)
} else := "safe"

at(volume, path) := {"name": volume, "mountPath": path}

scratch := {"name": "s", "emptyDir": {}}

claim := {"name": "c", "persistentVolumeClaim": {"claimName": "x"}}

test_unsaved if {
	lack([], []) == {"reason": "none"}
	lack([at("tpl", "/var/lib/postgresql/data")], []) == "safe"
	lack([at("c", "/var/lib/postgresql")], [claim]) == "safe"
	lack([at("c", "/var/lib/postgresql/data/pgdata")], [claim]) == "safe"
	lack([at("c", "/elsewhere")], [claim]) == "safe"
	lack([at("s", "/tmp")], [scratch]) == {"reason": "none"}
	lack([at("s", "/tmp"), at("c", "/elsewhere")], [scratch, claim]) == "safe"
	lack([at("s", "/var/lib/postgresql"), at("c", "/var/lib/postgresql/data")], [scratch, claim]) == "safe"
	lack([object.union(at("c", "/var/lib/postgresql/data"), {"readOnly": true})], [claim]) == {"reason": "none"}
	lack([at("missing", "/var/lib/postgresql/data")], []) == "safe"
	on_scratch := {
		"reason": "scratch",
		"mount": {
			"field": "volumeMounts",
			"index": 0,
			"volume": "s",
			"path": "/var/lib/postgresql",
			"writable": true,
		},
	}
	lack([at("s", "/var/lib/postgresql/")], [scratch]) == on_scratch
	lack([at("s", "/var/lib/postgresql"), at("c", "/backup")], [scratch, claim]) == on_scratch
	lack([at("s", "/var/lib/postgresql")], [{"name": "s", "ephemeral": {}}]) == on_scratch
}

test_lack if {
	bare := sts([{"name": "db", "image": "postgres:16"}])
	some entry in engines.found(bare)
	engines.lack(bare, entry) == {"reason": "none"}
	kept := object.union(entry, {"container": {"volumeMounts": [at("tpl", "/var/lib/postgresql/data")]}})
	engines.lack(bare, kept) == null
}

data_volumes(mounts, volumes) := engines.data_volumes(value, entry) if {
	value := sts([{"name": "db", "image": "postgres:16", "volumeMounts": mounts}])
	full := object.union(value, {"spec": {"template": {"spec": {"volumes": volumes}}}})
	some entry in engines.found(full)
}

other := {"name": "o", "persistentVolumeClaim": {"claimName": "y"}}

test_data_volumes if {
	data_volumes([at("c", "/var/lib/postgresql"), at("o", "/backup")], [claim, other]) == {"c"}
	data_volumes([at("c", "/custom"), at("o", "/backup")], [claim, other]) == {"c", "o"}
	data_volumes([at("s", "/custom")], [scratch]) == {"s"}
}

# Words may mean one thing only, whatever list they stand in.
test_knowledge_is_consistent if {
	known := data.seawall.knowledge.engines
	every words in [known.tokens, known.strong_tokens, known.weak_tokens, known.programs, known.ports] {
		every _, engine in words {
			known.table[engine]
		}
	}
	count(object.keys(known.tokens) & object.keys(known.side_tokens)) == 0
	count(object.keys(known.tokens) & object.keys(known.other_tokens)) == 0
	count(object.keys(known.side_tokens) & object.keys(known.other_tokens)) == 0
	count(object.keys(known.plain_tokens) & object.keys(known.other_tokens)) == 0
	count(object.keys(known.tokens) & object.keys(known.strong_tokens)) == 0
	count(object.keys(known.tokens) & object.keys(known.weak_tokens)) == 0
	count(object.keys(known.plain_tokens) & object.keys(known.side_tokens)) == 0
	count(object.keys(known.programs) & object.keys(known.clients)) == 0
	every row in known.table {
		startswith(row.source, "https://")
		is_boolean(row.verified)
		is_boolean(row.single_writer)
		is_boolean(row.bootstrap_trap)
		row.volume in {"required", "advised", "optional", "none"}
		row.quorum in {"odd", "none"}
		is_number(row.grace_seconds)
	}
}
