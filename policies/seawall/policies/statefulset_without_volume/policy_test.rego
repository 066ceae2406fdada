package seawall.policies.statefulset_without_volume_test

import data.seawall.policies.statefulset_without_volume as policy

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

sts(image, labels, volume) := {
	"kind": "StatefulSet",
	"metadata": {"name": "web", "labels": labels},
	"spec": {"template": {"spec": {
		"containers": [{"name": "main", "image": image, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
		"volumes": [object.union({"name": "v"}, volume)],
	}}},
}

stateless := {{
	"msg": "no container has a volume that outlives its Pod: a Deployment updates and recovers faster",
	"path": ["spec", "volumeClaimTemplates"],
	"found": "no lasting volume",
	"wanted": "a Deployment, volumeClaimTemplates, or a word that the data may go",
	"fix": concat(" ", [
		"kind: Deployment if the Pods need no stable names; volumeClaimTemplates if they keep data;",
		"else the label seawall.dev/data: scratch",
	]),
}}

test_stateless if {
	every value in [
		sts("acme/web:1", {}, {"emptyDir": {}}),
		sts("acme/web:1", {}, {"secret": {"secretName": "s"}}),
		sts("acme/web:1", {"seawall.dev/data": "durable"}, {}),
		{"kind": "StatefulSet"},
	] {
		policy.violation == stateless with input as review(value)
	}
}

test_quiet if {
	every value in [
		sts("acme/web:1", {}, {"persistentVolumeClaim": {"claimName": "c"}}),
		sts("acme/web:1", {}, {"hostPath": {"path": "/srv"}}),
		sts("postgres:16", {}, {"emptyDir": {}}),
		sts("acme/web:1", {"seawall.dev/data": "cache"}, {}),
		sts("acme/web:1", {"seawall.dev/data": "scratch"}, {}),
		sts("acme/web:1", {"seawall.dev/data": "readonly"}, {}),
		object.union(sts("acme/web:1", {}, {}), {"spec": {"volumeClaimTemplates": [{}]}}),
		object.union(
			sts("acme/web:1", {}, {}),
			{"metadata": {"ownerReferences": [{"apiVersion": "acid.zalan.do/v1", "controller": true}]}},
		),
	] {
		policy.violation == set() with input as review(value)
	}
}
