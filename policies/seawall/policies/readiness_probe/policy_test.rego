package seawall.policies.readiness_probe_test

import data.seawall.policies.readiness_probe as policy

review(value, operation) := {"request": {"operation": operation, "namespace": "shop", "object": value}}

sts(spec, container) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": object.union({"serviceName": "db", "template": {"spec": {"containers": [container]}}}, spec),
}

mongo := {"name": "db", "image": "mongo:7", "ports": [{"containerPort": 27017}]}

etcd := {"name": "db", "image": "quay.io/coreos/etcd:v3.5", "ports": [{"containerPort": 2379}]}

tcp(port) := {
	"tcpSocket": {"port": port},
	"initialDelaySeconds": 10,
	"periodSeconds": 10,
	"timeoutSeconds": 5,
	"failureThreshold": 6,
}

missing(title, wanted, fix) := {
	"msg": sprintf("container db runs %s and has no readiness probe: %s", [
		title,
		"it gets traffic, and lets updates go on, before it can serve",
	]),
	"path": ["spec", "template", "spec", "containers", 0, "readinessProbe"],
	"found": "no readinessProbe",
	"wanted": wanted,
	"fix": fix,
}

tcp_fix(port) := sprintf("add readinessProbe: {tcpSocket: {port: %d}, %s}", [
	port,
	"initialDelaySeconds: 10, periodSeconds: 10, timeoutSeconds: 5",
])

trap_fix := concat(" ", [
	"add a readinessProbe that answers before the peers are there (tcpSocket); or set podManagementPolicy: Parallel",
	"and publishNotReadyAddresses: true on the governing Service, since otherwise a stricter probe can keep the first",
	"replica waiting for peers that are never started",
])

added(probe) := {{"op": "add", "path": "/spec/template/spec/containers/0/readinessProbe", "value": probe}}

test_engine if {
	expected := {missing("MongoDB", tcp(27017), tcp_fix(27017))}
	policy.violation == expected with input as review(sts({}, mongo), "CREATE")
	policy.patch == added(tcp(27017)) with input as review(sts({}, mongo), "CREATE")
	policy.violation == expected with input as review(sts({}, mongo), "UPDATE")
	policy.patch == set() with input as review(sts({}, mongo), "UPDATE")
}

test_has_probe if {
	probed := object.union(mongo, {"readinessProbe": {"exec": {"command": ["x"]}}})
	policy.violation == set() with input as review(sts({}, probed), "CREATE")
	policy.patch == set() with input as review(sts({}, probed), "CREATE")
}

test_without_port if {
	bare := object.remove(mongo, ["ports"])
	expected := {missing(
		"MongoDB",
		"a readinessProbe",
		"declare the port under ports and add a readinessProbe with tcpSocket on it",
	)}
	policy.violation == expected with input as review(sts({}, bare), "CREATE")
	policy.patch == set() with input as review(sts({}, bare), "CREATE")
}

test_engine_none if {
	value := object.union(sts({}, mongo), {"metadata": {"labels": {"seawall.dev/engine": "none"}}})
	expected := {missing("a server", "a readinessProbe", tcp_fix(27017))}
	policy.violation == expected with input as review(value, "CREATE")
	policy.patch == set() with input as review(value, "CREATE")
}

services(published) := {"services": {"shop": {"db": {"spec": {"publishNotReadyAddresses": published}}}}}

test_trap if {
	expected := {missing("etcd", "a readinessProbe", trap_fix)}
	parallel := {"podManagementPolicy": "Parallel"}
	policy.violation == expected with input as review(sts({}, etcd), "CREATE")
	policy.patch == set() with input as review(sts({}, etcd), "CREATE")
	policy.patch == set() with input as review(sts(parallel, etcd), "CREATE")
	policy.patch == set() with input as review(sts({}, etcd), "CREATE") with data.cluster as services(true)
	policy.patch == set() with input as review(sts(parallel, etcd), "CREATE") with data.cluster as services(false)
	policy.patch == added(tcp(2379)) with input as review(sts(parallel, etcd), "CREATE")
		with data.cluster as services(true)
}

test_deployment if {
	base := {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [mongo]}}}}
	volumes := {"spec": {"template": {"spec": {"volumes": [{
		"name": "data",
		"persistentVolumeClaim": {"claimName": "x"},
	}]}}}}
	expected := {missing("MongoDB", "a readinessProbe", tcp_fix(27017))}
	policy.violation == set() with input as review(base, "CREATE")
	policy.violation == expected with input as review(object.union(base, volumes), "CREATE")
	policy.patch == set() with input as review(object.union(base, volumes), "CREATE")
}
