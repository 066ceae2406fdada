package seawall.lib.replication_test

import data.seawall.lib.engines
import data.seawall.lib.replication

container(image, more) := object.union(
	{"name": "db", "image": image, "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
	more,
)

pod(containers, more) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": 3,
		"template": {"spec": object.union({"containers": containers}, more)},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}],
	},
}

set_of(image, more) := pod([container(image, more)], {})

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

entry(value) := found[0] if {
	found := engines.found(value)
}

env(name, value) := {"env": [{"name": name, "value": value}]}

# --- operators and ways ---

test_operator_names if {
	replication.operator_names({"operators": {"rabbitmq.com": true, "kafka.strimzi.io": true, "x.example": true}}) == [
		"Strimzi",
		"RabbitMQ Cluster Operator",
	]
	replication.operator_names({"operators": {"rabbitmq.com": false}}) == []
	replication.operator_names({"operators": false}) == []
	replication.operator_names({}) == []
	off := replication.operator_names({"operators": {"rabbitmq.com": true}})
		with data.seawall.knowledge.operators.groups as {"rabbitmq.com": false}
	off == []
}

test_ways if {
	replication.ways({"replication": {"hint": "a"}}) == "a"
	replication.ways({"operators": {"rabbitmq.com": true}}) == "an operator (RabbitMQ Cluster Operator)"
	both := {"replication": {"hint": "a"}, "operators": {"rabbitmq.com": true}}
	replication.ways(both) == "a, or an operator (RabbitMQ Cluster Operator)"
	replication.ways({}) == ""
}

# --- signs ---

signs(value) := replication.signs(entry(value).facts, replication.evidence(value))

test_signs if {
	signs(set_of("mongo:7", {"args": ["--REPLSET", "rs0"]})) == {"set"}
	signs(set_of("mongo:7", env("MONGODB_REPLICA_SET_NAME", "rs0"))) == {"set"}
	signs(set_of("mongo:7", env("EXTRA", "--replSet rs0"))) == {"set"}
	signs(set_of("mongo:7", {"lifecycle": {"postStart": {"exec": {"command": ["mongosh", "rs.initiate()"]}}}})) == {"set"}
	odd := {"lifecycle": {"postStart": {"exec": {"command": [1, null, "rs.initiate()"]}}}}
	signs(set_of("mongo:7", odd)) == {"set"}
	signs(pod([container("mongo:7", {}), {"image": "cvallance/mongo-k8s-sidecar"}], {})) == {"set"}
	signs(pod([container("mongo:7", {})], {"initContainers": [{"command": ["x", "--replSet"]}]})) == {"set"}
	signs(set_of("bitnami/postgresql:16", env("POSTGRES_REPLICATION_MODE", "slave"))) == {"elsewhere"}
	two := {"env": [{"name": "MYSQL_MASTER_HOST"}, {"name": "X", "value": "gtid_mode=ON"}]}
	signs(set_of("mysql:8", two)) == {"set", "elsewhere"}
}

test_no_signs if {
	every value in [
		set_of("mongo:7", {}),
		set_of("mongo:7", {"args": ["--dbpath", "/data"]}),
		set_of("mysql:8", {"args": ["--server-id=1"]}),
		set_of("postgres:16", env("XSPILO_X", "db")),
		set_of("postgres:16", {"env": [null, {"value": 3}, {"name": ["PATRONI_X"]}], "args": [1, null]}),
		set_of("nginx:1", {"args": ["--replSet"]}),
	] {
		seen := replication.evidence(value)
		every found in engines.found(value) {
			replication.signs(found.facts, seen) == set()
		}
	}
}

test_signs_can_be_switched_off if {
	facts := {"replication": {"env": {"A": false, "B": "set"}, "words": {"a": false}, "images": {"c": false}}}
	replication.signs(facts, {"names": {"A1"}, "text": "a", "images": "c"}) == set()
	replication.signs(facts, {"names": {"B1"}, "text": "a", "images": "c"}) == {"set"}
	replication.signs({"replication": false}, {"names": {"B1"}, "text": "a", "images": "c"}) == set()
}

test_single_images if {
	every image in ["postgres:16", "docker.io/library/postgres", "reg.example:5000/x/postgres@sha256:1", "bitnami/redis:7"] {
		replication.is_single(entry(set_of(image, {})))
	}
	every image in ["spilo-16:3", "bitnami/mariadb-galera:11", "cassandra:5", "acme/postgres-ha:1"] {
		not replication.is_single(entry(set_of(image, {})))
	}
}

volumes(source) := {"volumes": [object.union({"name": "x"}, source)]}

mounting(path) := {"volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "x", "mountPath": path}]}

test_hidden_settings if {
	every case in [
		{"path": "/x", "source": {"configMap": {}}},
		{"path": "/x", "source": {"projected": {}}},
		{"path": "/etc/x", "source": {"secret": {}}},
		{"path": "/x/my.cnf", "source": {"secret": {}}},
		{"path": "/conf", "source": {"secret": {}}},
	] {
		main := container("mysql:8", mounting(case.path))
		replication.hides_settings(pod([main], volumes(case.source)), main)
	}
	from := container("mysql:8", {"envFrom": [{"configMapRef": {"name": "x"}}]})
	replication.hides_settings(pod([from], {}), from)
	written := container("mysql:8", mounting("/x"))
	init := {"initContainers": [{"name": "i", "volumeMounts": [{"name": "x", "mountPath": "/y"}]}]}
	replication.hides_settings(pod([written], object.union(volumes({"emptyDir": {}}), init)), written)
}

# An init container that prepares the data volume, with these volumes beside it.
preparing(data_mount, beside) := {
	"initContainers": [{"name": "i", "volumeMounts": [data_mount, {"name": "y", "mountPath": "/y"}]}],
	"volumes": [object.union({"name": "y"}, beside)],
}

test_settings_beside_the_data if {
	main := container("mysql:8", {})
	data_volume := {"name": "data", "mountPath": "/data"}
	every source in [{"configMap": {}}, {"projected": {}}, {"secret": {}}] {
		replication.hides_settings(pod([main], preparing(data_volume, source)), main)
		frozen := object.union(data_volume, {"readOnly": true})
		not replication.hides_settings(pod([main], preparing(frozen, source)), main)
		not replication.hides_settings(pod([main], preparing({"name": "z", "mountPath": "/z"}, source)), main)
	}

	# as for a change of the owner of files
	every source in [{"emptyDir": {}}, {"hostPath": {"path": "/x"}}] {
		not replication.hides_settings(pod([main], preparing(data_volume, source)), main)
	}
}

test_nothing_hidden if {
	every case in [
		{"path": "/x", "source": {"secret": {}}},
		{"path": "/conf", "source": {"emptyDir": {}}},
		{"path": "/conf", "source": {"hostPath": {"path": "/x"}}},
	] {
		main := container("mysql:8", mounting(case.path))
		not replication.hides_settings(pod([main], volumes(case.source)), main)
	}
	plain := container("mysql:8", {"envFrom": []})
	not replication.hides_settings(pod([plain], volumes({"configMap": {}})), plain)
	other := container("mysql:8", mounting("/x"))
	reads := {"initContainers": [{"volumeMounts": [{"name": "x", "mountPath": "/y", "readOnly": true}]}]}
	not replication.hides_settings(pod([other], object.union(volumes({"emptyDir": {}}), reads)), other)
}

# --- members ---

members(value) := replication.members(value, entry(value))

test_members if {
	members(set_of("etcd:3", {})) == 3
	members(set_of("etcd:3", {"args": ["--initial-cluster=a=1,b=2,c=3,d=4"]})) == 4
	members(set_of("etcd:3", {"args": ["--initial-cluster", "a=1,b=2,c=3,d=4"]})) == 4
	members(set_of("etcd:3", {"command": ["sh", "-c", "exec etcd\n --initial-cluster 'a=1,b=2,c=3,d=4'"]})) == 4
	members(set_of("etcd:3", env("ETCD_INITIAL_CLUSTER", "a=1,b=2,c=3,d=4"))) == 4
	members(set_of("etcd:3", {"args": ["--initial-cluster=$(PEERS)"]})) == 3
	members(set_of("etcd:3", {"args": ["--initial-cluster-state=a,b,c,d"]})) == 3
	members(set_of("etcd:3", {"args": ["--initial-cluster"]})) == 3
	members(set_of("etcd:3", {"args": ["--other", "a,b,c,d"]})) == 3
	members(set_of("zookeeper:3", env("ZOO_SERVERS", "a:1:2 b:1:2, c:1:2,d:1:2 e:1:2:observer"))) == 4
	members(set_of("mongo:7", env("ZOO_SERVERS", "a,b,c,d"))) == 3
	members(set_of("zookeeper:3", {"env": [{"name": "ZOO_SERVERS"}, {"name": "X", "value": "a,b,c,d"}]})) == 3
	off := {"members": {"--initial-cluster": false}}
	listing := {"container": {"args": ["--initial-cluster=a,b"]}, "facts": off}
	replication.listed_members(listing) == 0
}

test_votes if {
	voting := [
		set_of("etcd:3", {}),
		set_of("mongo:7", {"args": ["--replSet", "rs0"]}),
		set_of("apache/kafka:4", env("KAFKA_PROCESS_ROLES", "broker,controller")),
		set_of("hashicorp/consul:1", {"args": ["agent", "-server"]}),
		set_of("elasticsearch:8", env("cluster.initial_master_nodes", "a")),
	]
	every value in voting {
		replication.votes(value, entry(value))
	}
	silent := [
		set_of("acme/etcd-thing:3", {}),
		set_of("etcd:3", {"args": ["grpc-proxy"]}),
		set_of("mongo:7", {}),
		set_of("mongo:7", env("MONGODB_REPLICA_SET_MODE", "arbiter")),
		set_of("apache/kafka:4", env("KAFKA_PROCESS_ROLES", "broker")),
		set_of("apache/kafka:4", env("OTHER", "controller")),
		set_of("hashicorp/consul:1", {"args": ["agent"]}),
		set_of("hashicorp/consul:1", {"args": ["agent", "-server", "-read-replica"]}),
		set_of("cassandra:5", {}),
	]
	every value in silent {
		not replication.votes(value, entry(value))
	}
}

test_votes_can_be_switched_off if {
	replication.declines_vote({"never": {"a": true}}, {"text": "a"})
	not replication.declines_vote({"never": {"a": false}}, {"text": "a"})
	not replication.has_vote({"env": [{"name": "A", "value": "x"}]}, {"A": false})
	replication.has_vote({"env": [{"name": "A", "value": "x"}]}, {"A": "x"})
	replication.has_vote({}, {})
}

# --- strangers ---

found_strangers(value) := [[stranger.entry.engine, stranger.hidden] |
	some stranger in replication.strangers(value) with input as review(value)
]

test_strangers if {
	found_strangers(set_of("postgres:16", {})) == [["postgres", false]]
	found_strangers(set_of("postgres:16", {"envFrom": [{}]})) == [["postgres", true]]
	found_strangers(set_of("postgres:16", {"args": ["-c", "hot_standby=on"]})) == []
	found_strangers(set_of("spilo-16:3", {})) == []
	found_strangers(set_of("postgres:16", {"command": ["/x/run"]})) == []
	found_strangers(set_of("cassandra:5", {})) == []
}

alone := {"spec": {"replicas": 1}}

stopped := {"spec": {"replicas": 0}}

labelled(word) := {"metadata": {"labels": {"seawall.dev/data": word}}}

owned := {"metadata": {"ownerReferences": [{"apiVersion": "x.example/v1", "kind": "X", "name": "x", "controller": true}]}}

# a set whose claim template has these words.
template_of(more) := {"spec": {"volumeClaimTemplates": [object.union(
	{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}},
	more,
)]}}

test_no_strangers if {
	base := set_of("postgres:16", {})
	found_strangers(object.union(base, {"spec": {"replicas": 2}})) == [["postgres", false]]
	every change in [alone, stopped, owned] {
		found_strangers(object.union(base, change)) == []
	}
	every word in ["cache", "scratch", "readonly"] {
		found_strangers(object.union(base, labelled(word))) == []
		found_strangers(object.union(base, template_of(labelled(word)))) == []
	}
	found_strangers(object.union(base, labelled("durable"))) == [["postgres", false]]

	# on one claim that they share, which is for another policy
	shared := pod([container("postgres:16", {})], {"volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "x"}}]})
	on_claim := {"spec": {"template": {"spec": {"containers": [container("postgres:16", {"volumeMounts": [{
		"name": "x",
		"mountPath": "/data",
	}]})]}}}}
	found_strangers(object.union(shared, on_claim)) == []
}

# --- too few copies ---

cluster := {
	"storageclasses": {
		"fast": {"provisioner": "ebs.csi.aws.com"},
		"zrs": {"provisioner": "disk.csi.azure.com", "parameters": {"skuName": "X_ZRS"}, "reclaimPolicy": "Retain"},
		"gone": {"provisioner": "disk.csi.azure.com", "parameters": {"skuName": "X_ZRS"}},
		"lrs": {"provisioner": "disk.csi.azure.com", "reclaimPolicy": "Retain"},
		"tmp": {
			"metadata": {"labels": {"seawall.dev/data": "scratch"}},
			"provisioner": "rbd.csi.ceph.com",
			"reclaimPolicy": "Retain",
		},
		"ceph": {"provisioner": "rbd.csi.ceph.com", "reclaimPolicy": "Retain"},
		"by-hand": {"provisioner": "kubernetes.io/no-provisioner"},
		"guess": {"provisioner": "csi.proxmox.sinextra.dev"},
		"share": {"provisioner": "nfs.csi.k8s.io"},
	},
	"index": {
		"classes_by_provisioner": {"disk.csi.azure.com": ["gone", "lrs", "zrs"]},
		"default_classes": [],
		"supported_classes": ["ceph", "nowhere", "tmp"],
	},
}

found_lacking(value, copies) := [[finding.title, finding.reason, finding.members, finding.certain] |
	some finding in replication.lacking(value, copies) with input as review(value) with data.cluster as cluster
]

test_lacking if {
	found_lacking(set_of("postgres:16", {}), 5) == [["PostgreSQL", "few", 3, true]]
	found_lacking(set_of("postgres:16", {}), 3) == [["PostgreSQL", "unseen", 3, true]]
	found_lacking(set_of("postgres:16", {}), 1) == []
	found_lacking(set_of("acme/postgres-ha:16", {}), 3) == [["PostgreSQL", "unseen", 3, false]]
	found_lacking(set_of("mongo:7", {"args": ["--replSet", "x"]}), 3) == []
	found_lacking(set_of("mongo:7", {"args": ["--replSet", "x"]}), 5) == [["MongoDB", "few", 3, true]]
	found_lacking(set_of("cassandra:5", {}), 3) == []
	found_lacking(set_of("cassandra:5", {}), 5) == [["Cassandra", "few", 3, true]]
	found_lacking(set_of("cassandra:5", env("CASSANDRA_SEEDS", "a")), 5) == [["Cassandra", "few", 3, false]]
	found_lacking(set_of("redis:7", {}), 5) == [["Redis", "few", 3, false]]
	found_lacking(set_of("acme/store:1", {}), 5) == [["the workload", "few", 3, false]]
	found_lacking(set_of("acme/store:1", {}), 3) == []
	found_lacking(set_of("bitnami/mysql:8", env("MYSQL_MASTER_HOST", "a")), 5) == []
}

test_nothing_lacking if {
	base := set_of("postgres:16", {})
	found_lacking(object.union(base, alone), 3) == [["PostgreSQL", "few", 1, true]]
	every change in [
		stopped,
		owned,
		template_of({"spec": {"storageClassName": "zrs"}}),
		template_of({"spec": {"storageClassName": "ceph"}}),
		template_of({"spec": {"storageClassName": "gone-long-ago"}}),
		template_of({"spec": {"storageClassName": "share"}}),
		template_of({"spec": {"storageClassName": "fast", "volumeName": "v"}}),
		template_of({"spec": {"storageClassName": "fast", "selector": {"matchLabels": {"a": "b"}}}}),
	] {
		found_lacking(object.union(base, change), 5) == []
	}
	every word in ["cache", "scratch", "readonly"] {
		found_lacking(object.union(base, labelled(word)), 5) == []
		found_lacking(object.union(base, template_of(labelled(word))), 5) == []
	}

	# the template is not the one that holds the data
	two := {"spec": {"volumeClaimTemplates": [
		{"metadata": {"name": "logs"}, "spec": {"storageClassName": "fast"}},
		{"metadata": {"name": "data"}, "spec": {"storageClassName": "zrs"}},
	]}}
	found_lacking(object.union(base, two), 5) == []

	# settings that the object does not show may make them replicate
	found_lacking(set_of("postgres:16", {"envFrom": [{}]}), 3) == []
	found_lacking(set_of("postgres:16", {"envFrom": [{}]}), 5) == [["PostgreSQL", "few", 3, true]]
}

test_certain if {
	every class in ["by-hand", "guess"] {
		value := object.union(set_of("postgres:16", {}), template_of({"spec": {"storageClassName": class}}))
		found_lacking(value, 5) == [["PostgreSQL", "few", 3, false]]
	}
	signs(set_of("spilo-16:3", env("SCOPE", "db"))) == {"set"}
	found_lacking(set_of("spilo-16:3", env("SCOPE", "db")), 5) == [["PostgreSQL", "few", 3, true]]
	found_lacking(set_of("acme/orders-postgres:16", {}), 5) == [["PostgreSQL", "few", 3, false]]

	# the data of a workload that nobody knows is what it writes itself
	beside := {"name": "metrics", "image": "acme/store:1", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
	silent := {"name": "main", "image": "acme/store:1"}
	found_lacking(pod([silent, beside], {}), 5) == []
	reads := {"volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": true}]}
	found_lacking(set_of("acme/store:1", reads), 5) == []
}

lack_on(class_name, facts, reason) := {
	"title": "PostgreSQL",
	"facts": facts,
	"template": {
		"index": 0,
		"name": "data",
		"class_name": class_name,
		"class": cluster.storageclasses[class_name],
		"claim": {"spec": {"storageClassName": class_name}},
		"facts": {"boundTo": "zone"},
	},
	"reason": reason,
}

verdict(operation, value, what, facts_of_cluster) := found if {
	found := replication.verdict(value, what, 3)
		with input as {"request": {"operation": operation, "object": value}}
		with data.cluster as facts_of_cluster
}

test_verdict if {
	value := set_of("postgres:16", {})
	operators := {"operators": {"postgresql.cnpg.io": true}}
	hint := {"replication": {"hint": "streaming"}}
	bare := {"storageclasses": cluster.storageclasses}
	why := "PostgreSQL keeps its data on class lrs (disk.csi.azure.com), whose volumes exist once, in one zone,"
	verdict("CREATE", value, lack_on("lrs", hint, "few"), cluster) == {
		"msg": concat(" ", [why, "and the set has replicas: 3, where the tier wants 3 copies"]),
		"path": ["spec", "volumeClaimTemplates", 0, "spec", "storageClassName"],
		"found": "lrs",
		"wanted": concat(", or ", [
			"a class whose volumes exist more than once (ceph, zrs)",
			"3 replicas that replicate: streaming",
		]),
		"fix": "storageClassName: ceph",
		"key": "data/PostgreSQL",
	}
	unseen := verdict("CREATE", value, lack_on("lrs", {}, "unseen"), bare)
	text := "and nothing shows that the 3 replicas replicate: each row may exist in one place only"
	unseen.msg == concat(" ", [why, text])
	unseen.wanted == "a class whose volumes exist more than once, or 3 replicas that replicate"
	unseen.fix == "spec: {replicas: 3}, with replication between them"

	# the class of a set cannot change any more
	changed := verdict("UPDATE", value, lack_on("lrs", operators, "few"), cluster)
	changed.fix == "run it by an operator, with 3 members"
	changed.wanted == concat(", or ", [
		"a class whose volumes exist more than once (ceph, zrs)",
		"3 replicas that replicate: an operator (CloudNativePG)",
	])
	created := verdict("CREATE", value, lack_on("lrs", operators, "few"), cluster)
	created.fix == "storageClassName: ceph"
	verdict("UPDATE", value, lack_on("lrs", {}, "few"), cluster).fix == "spec: {replicas: 3}, with replication between them"
}

test_places if {
	replication.place({"boundTo": "node"}) == "on one node"
	replication.place({"boundTo": "cluster"}) == "on one node"
	replication.place({"boundTo": "zone"}) == "in one zone"
	every facts in [{"boundTo": "region"}, {"boundTo": "network"}, {"boundTo": 3}, {}] {
		replication.place(facts) == ""
	}
}

test_classes_that_copy if {
	names := replication.copying({"provisioner": "disk.csi.azure.com"}) with data.cluster as cluster
	names == ["ceph", "zrs"]
	others := replication.copying({"provisioner": "ebs.csi.aws.com"}) with data.cluster as cluster
	others == ["ceph"]
}
