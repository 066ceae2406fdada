package seawall.policies.priority_class_test

import data.seawall.policies.priority_class as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

set_with(pod) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {"template": {"spec": pod}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
}

found(kind) := {{
	"msg": concat(" ", [
		sprintf("this %s keeps data and its Pods have no priority class:", [kind]),
		"when nodes fail and room is short, they wait behind, or make way for, work that could wait",
	]),
	"path": ["spec", "template", "spec", "priorityClassName"],
	"found": "no priorityClassName",
	"wanted": "a PriorityClass above that of what can wait",
	"fix": "spec: {template: {spec: {priorityClassName: <a class>}}}",
}}

test_without if {
	policy.violation == found("StatefulSet") with input as review(set_with({}))
	policy.violation == found("StatefulSet") with input as review(set_with({"priorityClassName": ""}))
	policy.violation == found("Deployment") with input as review({
		"apiVersion": "apps/v1",
		"kind": "Deployment",
		"spec": {"template": {"spec": {
			"containers": [{"name": "a", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
			"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
		}}},
	})
}

test_quiet if {
	every value in [
		set_with({"priorityClassName": "data"}),
		object.remove(set_with({}), ["spec"]),
		object.union(set_with({}), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		null, [], {},
	] {
		policy.violation == set() with input as review(value)
	}
}
