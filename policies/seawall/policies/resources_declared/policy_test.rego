package seawall.policies.resources_declared_test

import data.seawall.policies.resources_declared as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

workload(resources) := {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {"template": {"spec": {"containers": [{"name": "db", "image": "postgres:16", "resources": resources}]}}},
}

path(rest) := array.concat(["spec", "template", "spec", "containers", 0, "resources"], rest)

missing(resources, harm, fix) := {
	"msg": sprintf(
		"container db runs PostgreSQL without a request for %s: the scheduler may put it on a full node, where %s",
		[resources, harm],
	),
	"path": path(["requests"]),
	"found": sprintf("no request for %s", [resources]),
	"wanted": sprintf("a request for %s", [resources]),
	"fix": fix,
}

killed := "it is among the first to be killed when memory runs short"

starved := "busy neighbours starve it"

test_no_requests if {
	policy.violation == {missing(
		"cpu and memory",
		sprintf("%s and %s", [starved, killed]),
		"resources: {requests: {cpu: <what it needs>, memory: <what it needs>}}",
	)} with input as review(workload({}))
	policy.violation == {missing(
		"cpu",
		starved,
		"resources: {requests: {cpu: <what it needs>}}",
	)} with input as review(workload({"limits": {"memory": "1Gi"}}))
	policy.violation == {missing(
		"memory",
		killed,
		"resources: {requests: {memory: <what it needs>}}",
	)} with input as review(workload({"requests": {"cpu": "1"}}))
}

differing(limit, found, fix) := {
	"msg": concat(" ", [
		sprintf("container db runs PostgreSQL with a memory request of 1Gi and %s:", [limit]),
		"what it uses above the request is not kept free for it, and it is killed for that when the node runs short",
	]),
	"path": path(["limits", "memory"]),
	"found": found,
	"wanted": "a limit that equals the request",
	"fix": fix,
}

test_memory_limit if {
	policy.violation == {differing("no limit", "no limit", "resources: {limits: {memory: 1Gi}}")} with input as review(workload({"requests": {"cpu": "1", "memory": "1Gi"}}))
	policy.violation == {differing("a limit of 4Gi", "4Gi", "resources: {requests: {memory: 4Gi}}")} with input as review(workload({
		"requests": {"cpu": "1", "memory": "1Gi"},
		"limits": {"memory": "4Gi"},
	}))
}

test_quiet if {
	every value in [
		workload({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}}),
		workload({"limits": {"cpu": "1", "memory": "1Gi"}}),
		object.union(workload({}), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		object.union(workload({}), {"metadata": {"labels": {"seawall.dev/engine": "none"}}}),
		null, [], {},
	] {
		policy.violation == set() with input as review(value)
	}
}

test_limit_range if {
	range := {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}}]}}
	policy.violation == set() with input as review(workload({}))
		with data.cluster as {"limitranges": {"shop": {"usual": range}}}
	count(policy.violation) == 1 with input as review(workload({}))
		with data.cluster as {"limitranges": {"other": {"usual": range}}}
}
