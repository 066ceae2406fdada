package seawall.lib.approach_test

import data.seawall.lib.approach

set_of(metadata, spec) := {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}

templates(labels) := {"volumeClaimTemplates": [{
	"metadata": {"name": "data", "labels": labels},
	"spec": {"storageClassName": "fast"},
}]}

cluster(provisioner, labels) := {
	"namespaces": {"shop": {"metadata": {"labels": labels}}},
	"storageclasses": {"fast": {"provisioner": provisioner, "parameters": {"repl": "1"}}},
	"index": {"default_classes": []},
}

key := "seawall.dev/storage-approach"

test_declared if {
	own := set_of({"labels": {key: "x"}}, {})
	bare := set_of({}, {})
	approach.declared(own, "shop") == {"approach": "x", "by": "own"} with data.cluster as cluster("", {key: "y"})
	approach.declared(bare, "shop") == {"approach": "y", "by": "namespace"} with data.cluster as cluster("", {key: "y"})
	approach.declared(bare, "shop") == {"approach": "", "by": "nobody"} with data.cluster as cluster("", {})
	approach.declared(bare, "other") == {"approach": "", "by": "unknown"} with data.cluster as cluster("", {})
	approach.declared(bare, "shop") == {"approach": "", "by": "unknown"} with data.cluster as {}
	approach.declared(null, "") == {"approach": "", "by": "unknown"} with data.cluster as cluster("", {})
}

test_words if {
	every word in ["managed", "operator", "csi-statefulset", "distributed"] {
		approach.is_approach(word)
	}
	every word in ["", "Managed", "statefulset", null] {
		not approach.is_approach(word)
	}
}

test_operator_of if {
	approach.operator_of({"apiVersion": "postgresql.cnpg.io/v1"}) == "CloudNativePG"
	every value in [{"apiVersion": "apps/v1"}, {"apiVersion": "v1"}, {"apiVersion": 3}, null] {
		not approach.operator_of(value)
	}
	not approach.operator_of({"apiVersion": "rabbitmq.com/v1beta1"})
		with data.seawall.knowledge.operators.groups as {"rabbitmq.com": false}
}

test_chooses if {
	every value in [
		set_of({}, templates({})),
		set_of({"labels": {"seawall.dev/data": "durable"}}, templates({"seawall.dev/data": "durable"})),
		{"apiVersion": "rabbitmq.com/v1beta1", "kind": "RabbitmqCluster"},
	] {
		approach.chooses(value) with input as {"request": {"object": value}}
	}
	every value in [
		set_of({}, {}),
		set_of({}, templates({"seawall.dev/data": "scratch"})),
		set_of({"labels": {"seawall.dev/data": "cache"}}, templates({})),
		{"apiVersion": "rabbitmq.com/v1beta1", "metadata": {"labels": {"seawall.dev/data": "cache"}}},
		set_of(owned("postgresql.cnpg.io/v1", "Cluster"), templates({})),
		{
			"apiVersion": "rabbitmq.com/v1beta1",
			"kind": "RabbitmqCluster",
			"metadata": owned("postgresql.cnpg.io/v1", "Cluster"),
		},
		object.union(set_of({}, templates({})), {"apiVersion": "apps.example.com/v1"}),
		object.union(set_of({}, templates({})), {"kind": "Deployment"}),
		null,
	] {
		not approach.chooses(value) with input as {"request": {"object": value}}
	}
}

owned(api, kind) := {"ownerReferences": [{"apiVersion": api, "kind": kind, "name": "a", "controller": true}]}

running(image) := {"request": {"object": {
	"kind": "StatefulSet",
	"spec": {"template": {"spec": {"containers": [{"name": "a", "image": image}]}}},
}}}

writer(api, kind) := {"apiVersion": api, "kind": kind, "spec": {"template": {"spec": {
	"containers": [{"name": "web", "volumeMounts": [{"name": "data", "mountPath": "/x"}]}],
	"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}],
}}}}

test_chooses_writers if {
	approach.chooses(writer("apps/v1", "Deployment")) with input as {"request": {"object": null}}
	every value in [
		writer("apps/v1", "ReplicaSet"),
		writer("apps/v1", "DaemonSet"),
		writer("apps.example.com/v1", "Deployment"),
	] {
		not approach.chooses(value) with input as {"request": {"object": null}}
	}
}

test_chooses_databases if {
	pod := {"template": {"spec": {"containers": [{"name": "a", "image": "postgres:16"}]}}}
	database := set_of({}, pod)
	approach.chooses(database) with input as {"request": {"object": database}}
	every value in [
		object.union(database, {"kind": "Deployment"}),
		set_of({}, {"template": {"spec": {"containers": [{"name": "a", "image": "acme/store:1"}]}}}),
	] {
		not approach.chooses(value) with input as {"request": {"object": value}}
	}
	reader := writer("apps/v1", "Deployment")
	mounts := [{"name": "data", "mountPath": "/x", "readOnly": true}]
	only := {"spec": {"template": {"spec": {"containers": [{"name": "web", "volumeMounts": mounts}]}}}}
	not approach.chooses(object.union(reader, only)) with input as {"request": {"object": null}}
}

test_runs_database if {
	approach.runs_database with input as running("postgres:16")
	every image in ["redis:7", "acme/postgres-thing:1", "acme/store:1"] {
		not approach.runs_database with input as running(image)
	}
}

test_inferred if {
	value := set_of({}, templates({}))
	approach.inferred(value) == "distributed" with data.cluster as cluster("rbd.csi.ceph.com", {})
	every provisioner in ["ebs.csi.aws.com", "pxd.portworx.com", "efs.csi.aws.com", "unknown"] {
		approach.inferred(value) == "csi-statefulset" with data.cluster as cluster(provisioner, {})
	}
	approach.inferred({"apiVersion": "rabbitmq.com/v1beta1"}) == "operator" with data.cluster as {}
	approach.inferred({"apiVersion": "apps/v1", "kind": "Deployment"}) == "" with data.cluster as {}
}

undeclared(value, said) := found if {
	found := approach.undeclared(value, said) with data.cluster as {}
}

test_undeclared if {
	value := set_of({}, {})
	fix := "metadata: {labels: {seawall.dev/storage-approach: csi-statefulset}}, if that is what was chosen"
	undeclared(value, {"approach": "", "by": "nobody"}) == {
		"msg": concat(" ", [
			"neither this StatefulSet nor its namespace says which storage approach was chosen for the data,",
			"so nobody can tell whether a managed database or an operator was weighed against it",
		]),
		"path": ["metadata", "labels", "seawall.dev/storage-approach"],
		"found": "nothing; it looks like csi-statefulset",
		"wanted": "managed, operator, csi-statefulset or distributed",
		"fix": fix,
	}
	own := undeclared(value, {"approach": "cloud", "by": "own"})
	own.msg == "the label seawall.dev/storage-approach of this StatefulSet names no storage approach"
	own.found == "cloud"
	theirs := undeclared(value, {"approach": "a b", "by": "namespace"})
	theirs.msg == concat(" ", [
		"this StatefulSet has no label of its own,",
		"and that of its namespace names no storage approach",
	])
	theirs.found == "(unreadable)"
	unknown := undeclared({"apiVersion": "apps/v1", "kind": "Deployment"}, {"approach": "", "by": "unknown"})
	unknown.msg == concat(" ", [
		"this Deployment does not say which storage approach was chosen for its data;",
		"its namespace could, but is not known here",
	])
	undeclared({"apiVersion": "apps/v1", "kind": "Deployment"}, {"approach": "cloud", "by": "own"}).found == "cloud"
	unknown.found == "nothing"
	unknown.fix == "metadata: {labels: {seawall.dev/storage-approach: <one of these>}}, on the workload or its namespace"
}
