package seawall.policies.governing_service_named_test

import data.seawall.policies.governing_service_named as policy

review(spec) := {"request": {
	"operation": "CREATE",
	"object": {"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": spec},
}}

spec(image, replicas, extra) := object.union(
	{"replicas": replicas, "template": {"spec": {"containers": [{"name": "main", "image": image}]}}},
	extra,
)

unnamed := {{
	"msg": concat(" ", [
		"spec.serviceName is empty: the Pods get no DNS names of their own,",
		"so clients and peers cannot address a replica, and the field cannot be changed once the set exists",
	]),
	"path": ["spec", "serviceName"],
	"found": "",
	"wanted": "the name of a headless Service that selects these Pods",
	"fix": "create a Service with clusterIP: None for these Pods and set spec.serviceName to its name",
}}

test_unnamed if {
	every extra in [{}, {"serviceName": ""}, {"serviceName": null}] {
		policy.violation == unnamed with input as review(spec("postgres:16", 1, extra))
		policy.violation == unnamed with input as review(spec("acme/store:3", 2, extra))
	}
}

test_named if {
	policy.violation == set() with input as review(spec("postgres:16", 3, {"serviceName": "db"}))
	policy.violation == set() with input as review(spec("postgres:16", 3, {"serviceName": ["db"]}))
}

test_controller_of_one if {
	every replicas in [0, 1, null] {
		policy.violation == set() with input as review(spec("acme/store:3", replicas, {}))
	}
}
