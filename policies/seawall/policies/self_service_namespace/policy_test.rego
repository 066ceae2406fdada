package seawall.policies.self_service_namespace_test

import data.seawall.policies.self_service_namespace as policy

owner_key := "seawall.dev/owner"

namespace(labels, annotations) := {"metadata": {"name": "orders", "labels": labels, "annotations": annotations}}

complete := namespace({"seawall.dev/tier": "tier-1", owner_key: "a"}, {})

review(value, owners) := {
	"request": {"operation": "UPDATE", "object": value},
	"seawall": {"now": "2026-01-15T12:00:00Z", "tier": "tier-1", "parameters": {"owners": owners}},
}

owner := {
	"msg": concat(" ", [
		"The namespace has a tier and no owner:",
		"nobody is asked before its data is moved, and nobody is called when it is lost.",
	]),
	"path": ["metadata", "labels", owner_key],
	"wanted": "a label or annotation seawall.dev/owner",
	"fix": "metadata.labels: {seawall.dev/owner: <team>}",
}

quota := {
	"msg": concat(" ", [
		"The namespace has a tier and no quota of storage:",
		"one claim too large, or a set that scales without end, takes what the others need.",
	]),
	"path": ["metadata", "name"],
	"found": "orders",
	"wanted": "a ResourceQuota with requests.storage, for all classes or for each",
	"fix": "kubectl create quota storage --namespace orders --hard requests.storage=<size>",
	"key": "quota",
}

class := {
	"msg": "The catalogue has no class for tier-1: whatever the team of this namespace claims is rejected or reported.",
	"path": ["metadata", "labels", "seawall.dev/tier"],
	"found": "tier-1",
	"wanted": "a class that the platform supports for tier-1",
	"fix": "the platform team adds one: `seawall policy catalogue` shows what there is",
	"key": "class",
}

test_owner if {
	every value in [
		namespace({"seawall.dev/tier": "tier-1"}, {}),
		namespace({"seawall.dev/tier": "dev", owner_key: " "}, {owner_key: " "}),
		namespace({"seawall.dev/tier": "tier-3", "team": "a"}, null),
	] {
		policy.violation == {owner} with input as review(value, [owner_key]) with data.cluster as {}
	}
	other := object.union(owner, {
		"path": ["metadata", "labels", "team"],
		"wanted": "a label or annotation team or squad",
		"fix": "metadata.labels: {team: <team>}",
	})
	policy.violation == {other} with input as review(complete, ["team", 1, "squad"]) with data.cluster as {}
	every value in [
		complete,
		namespace({"seawall.dev/tier": "tier-1"}, {owner_key: "a"}),
		namespace({}, {}),
		namespace({"seawall.dev/tier": "x"}, {}),
		namespace({"seawall.dev/tier": "tier-1", "seawall.dev/storage-system": "true"}, {}),
		{"metadata": null},
		null,
	] {
		policy.violation == set() with input as review(value, [owner_key]) with data.cluster as {}
	}
	policy.violation == set() with input as review(namespace({"seawall.dev/tier": "tier-1"}, {}), [])
		with data.cluster as {}
}

cluster(quotas) := {"namespaces": {"orders": {}}, "resourcequotas": quotas}

hard(resource) := {"orders": {"q": {"spec": {"hard": {resource: "1"}}}}}

test_quota if {
	every quotas in [
		{},
		{"orders": {}},
		{"other": hard("requests.storage").orders},
		hard("requests.cpu"),
		hard("requests.storage.x"),
		{"orders": {"q": {"spec": null}}},
	] {
		policy.violation == {quota} with input as review(complete, [owner_key]) with data.cluster as cluster(quotas)
	}
	every resource in ["requests.storage", "fast.storageclass.storage.k8s.io/requests.storage"] {
		policy.violation == set() with input as review(complete, [owner_key])
			with data.cluster as cluster(hard(resource))
	}
	every facts in [
		{"namespaces": {"orders": {}}},
		{"resourcequotas": {}},
		{"namespaces": {"other": {}}, "resourcequotas": {}},
	] {
		policy.violation == set() with input as review(complete, [owner_key]) with data.cluster as facts
	}
	untiered := namespace({}, {})
	policy.violation == set() with input as review(untiered, [owner_key]) with data.cluster as cluster({})
}

classes(labels, more) := {
	"storageclasses": {"a": object.union(
		{
			"metadata": {"labels": object.union({"seawall.dev/supported": "true"}, labels)},
			"provisioner": "p",
			"reclaimPolicy": "Retain",
		},
		more,
	)},
	"index": {"supported_classes": ["a"]},
}

test_class if {
	every facts in [
		classes({"seawall.dev/tier": "tier-0"}, {}),
		classes({}, {"reclaimPolicy": "Delete"}),
	] {
		policy.violation == {class} with input as review(complete, [owner_key]) with data.cluster as facts
	}
	every facts in [
		classes({}, {}),
		classes({"seawall.dev/workload-profile": "queue"}, {}),
		classes({}, {"provisioner": "topolvm.io"}),
		{"storageclasses": {"a": {}}, "index": {"supported_classes": []}},
	] {
		policy.violation == set() with input as review(complete, [owner_key]) with data.cluster as facts
	}
	policy.violation == set() with input as review(complete, [owner_key])
		with data.cluster as {}
		with data.seawall.knowledge.catalogue.classes as {"a": {}}
	policy.violation == set() with input as review(namespace({}, {}), [owner_key])
		with data.cluster as classes({"seawall.dev/tier": "tier-0"}, {})
}
