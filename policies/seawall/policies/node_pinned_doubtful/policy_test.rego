package seawall.policies.node_pinned_doubtful_test

import data.seawall.policies.node_pinned_doubtful as policy

review(replicas, pod) := {"request": {"operation": "CREATE", "namespace": "shop", "object": {
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {"replicas": replicas, "template": {"spec": pod}},
}}}

found(who, path, fix) := {
	"msg": concat(" ", [
		sprintf("%s tied to node a:", [who]),
		"while that node is drained or broken, nothing of it runs.",
	]),
	"path": array.concat(["spec", "template", "spec"], path),
	"found": "a",
	"wanted": "a choice of several nodes",
	"fix": fix,
}

name(who) := found(who, ["nodeName"], "remove nodeName")

label(who) := found(
	who,
	["nodeSelector", "kubernetes.io/hostname"],
	"remove kubernetes.io/hostname from nodeSelector",
)

term(who) := found(
	who,
	["affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"],
	"remove the term on one node, or choose nodes by a label that several of them have",
)

pinned := {
	"nodeName": "a",
	"nodeSelector": {"kubernetes.io/hostname": "a"},
	"affinity": {"nodeAffinity": {
		"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchFields": [{
			"key": "metadata.name",
			"operator": "In",
			"values": ["a"],
		}]}]},
	}},
}

pinned_by(who) := {name(who), label(who), term(who)}

test_one if {
	every replicas in [0, 1, null, "3"] {
		policy.violation == pinned_by("The Pod is") with input as review(replicas, pinned)
	}
	policy.violation == {label("The Pod is")} with input as review(1, object.filter(pinned, ["nodeSelector"]))
	policy.violation == set() with input as review(1, {})
}

test_several if {
	policy.violation == set() with input as review(2, pinned)
}

claimed := object.union(pinned, {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "db"}}]})

cluster(source) := {
	"persistentvolumeclaims": {"shop": {"db": {"spec": {"volumeName": "v"}}}},
	"persistentvolumes": {"v": {"spec": source}},
}

test_storage if {
	policy.violation == pinned_by("All 2 replicas are") with input as review(2, claimed)
	policy.violation == pinned_by("The Pod is") with input as review(1, claimed)
	every replicas in [1, 2] {
		policy.violation == set() with input as review(replicas, claimed) with data.cluster as cluster({"local": {}})
	}
	policy.violation == pinned_by("The Pod is") with input as review(1, claimed) with data.cluster as cluster({"nfs": {}})
	policy.violation == set() with input as review(2, claimed) with data.cluster as cluster({"nfs": {}})
}
