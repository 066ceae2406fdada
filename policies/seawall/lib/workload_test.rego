package seawall.lib.workload_test

import data.seawall.lib.workload

test_number if {
	every value, expected in {
		"3": {"a": 3},
		"0": {"a": 0},
		"2147483647": {"a": 2147483647},
	} {
		workload.count_text(workload.number_at(expected, ["a"], 1)) == value
	}
	every value in [{}, {"a": null}, {"a": "3"}, {"a": -1}, {"a": 2147483648}, {"a": 2.5}, {"a": []}, {"a": true}, {"a": {}}, null, "x"] {
		workload.number_at(value, ["a"], 1) == 1
	}
}

test_flag if {
	workload.flag_at({"a": {"b": true}}, ["a", "b"])
	every value in [{}, {"a": null}, {"a": {"b": false}}, {"a": {"b": "true"}}, null] {
		not workload.flag_at(value, ["a", "b"])
	}
}

pod := {
	"kind": "Pod",
	"metadata": {"labels": {"app": "pod"}},
	"spec": {"containers": []},
}

set := {
	"kind": "StatefulSet",
	"metadata": {"labels": {"app": "set"}},
	"spec": {"template": {"metadata": {"labels": {"app": "template"}}, "spec": {"containers": [1]}}},
}

test_pod_and_template if {
	workload.pod_path(pod) == ["spec"]
	workload.pod_path(set) == ["spec", "template", "spec"]
	workload.pod_spec(pod) == {"containers": []}
	workload.pod_spec(set) == {"containers": [1]}
	workload.pod_spec({}) == {}
	workload.pod_labels(pod) == {"app": "pod"}
	workload.pod_labels(set) == {"app": "template"}
	workload.pod_labels({}) == {}
}

test_label if {
	workload.label(set, "app") == "set"
	workload.label({"spec": set.spec}, "app") == "template"
	workload.label({"metadata": {"labels": {"app": ""}}, "spec": set.spec}, "app") == "template"
	workload.label(set, "other") == ""
	workload.label({"metadata": {"labels": {"app": 3}}}, "app") == ""
	workload.data_kind({"metadata": {"labels": {"seawall.dev/data": "cache"}}}) == "cache"
}

test_replicas if {
	workload.replicas({}) == 1
	workload.replicas({"spec": {"replicas": 0}}) == 0
	workload.replicas({"spec": {"replicas": 5}}) == 5
}

deployment(strategy) := {"kind": "Deployment", "spec": {"strategy": strategy}}

test_surges if {
	every strategy in [
		null,
		{},
		{"type": null},
		{"type": "RollingUpdate"},
		{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
		{"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
		{"rollingUpdate": null},
	] {
		workload.surges(deployment(strategy))
	}
	every strategy in [
		{"type": "Recreate"},
		{"type": "Other"},
		{"rollingUpdate": {"maxSurge": 0}},
		{"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "0%"}},
	] {
		not workload.surges(deployment(strategy))
	}
	not workload.surges({"kind": "StatefulSet"})
}

test_namespace if {
	workload.namespace({"object": {"metadata": {"namespace": "a"}}, "namespace": "b"}) == "a"
	workload.namespace({"object": {"metadata": {}}, "namespace": "b"}) == "b"
	workload.namespace({"object": {}}) == ""
}

test_claim_templates if {
	good := {"metadata": {"name": "data"}}
	value := {"kind": "StatefulSet", "spec": {"volumeClaimTemplates": [null, {}, {"metadata": {"name": 3}}, good]}}
	workload.claim_templates(value) == [{"index": 3, "name": "data", "template": good}]
	workload.claim_templates(object.union(value, {"kind": "Deployment"})) == []
	workload.claim_templates({"kind": "StatefulSet", "spec": {"volumeClaimTemplates": "x"}}) == []
}

owned(kind, owner) := {"kind": kind, "metadata": {"ownerReferences": [owner]}}

cluster := {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "pg", "controller": true}

test_operator_owned if {
	workload.operator_owned(owned("StatefulSet", cluster))
	not workload.operator_owned(owned("StatefulSet", object.union(cluster, {"controller": false})))
	not workload.operator_owned(owned("StatefulSet", object.union(cluster, {"apiVersion": "example.com/v1"})))
	not workload.operator_owned(owned("StatefulSet", object.union(cluster, {"apiVersion": 7})))
	not workload.operator_owned(owned("StatefulSet", null))
	not workload.operator_owned({"kind": "StatefulSet"})
}

test_judged_at_owner if {
	job := {"apiVersion": "batch/v1", "kind": "Job", "controller": true}
	deployment := {"apiVersion": "apps/v1", "kind": "Deployment", "controller": true}
	rollout := {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "controller": true}
	workload.judged_at_owner(owned("Pod", job))
	workload.judged_at_owner(owned("ReplicaSet", deployment))
	workload.judged_at_owner(owned("Deployment", cluster))
	not workload.judged_at_owner(owned("ReplicaSet", rollout))
	not workload.judged_at_owner(owned("Deployment", deployment))
	not workload.judged_at_owner(owned("Pod", object.remove(job, ["controller"])))
	not workload.judged_at_owner({"kind": "Pod"})
}

test_operators_have_sources if {
	every group, row in data.seawall.knowledge.operators.groups {
		contains(group, ".")
		startswith(row.source, "https://")
		is_boolean(row.verified)
		count(row.kinds) > 0
		row.operator != ""
	}
}
