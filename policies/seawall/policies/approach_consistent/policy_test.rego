package seawall.policies.approach_consistent_test

import data.seawall.policies.approach_consistent as policy

set_of(labels, image) := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db", "labels": labels},
	"spec": {
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": image,
			"volumeMounts": [{"name": "data", "mountPath": "/data"}],
		}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}],
	},
}

review(value) := {"request": {"operation": "CREATE", "namespace": "shop", "object": value}}

known(labels) := {
	"namespaces": {"shop": {"metadata": {"labels": labels}}},
	"storageclasses": {"fast": {"provisioner": "ebs.csi.aws.com"}},
	"index": {"default_classes": []},
}

path := ["metadata", "labels", "seawall.dev/storage-approach"]

says(approach) := {"seawall.dev/storage-approach": approach}

found(by, approach, but, more) := object.union(
	{
		"msg": sprintf("%s says storage approach %s, but %s", [by, approach, but]),
		"path": path,
		"found": approach,
	},
	more,
)

relabel := "metadata: {labels: {seawall.dev/storage-approach: csi-statefulset}}"

test_operator if {
	expected := found(
		"its own label", "operator",
		"no operator owns this StatefulSet: failover, backups and upgrades are nobody's work",
		{
			"wanted": "a resource of an operator, or the approach that is true",
			"fix": concat(" ", ["create the operator's resource instead, or", relabel]),
			"key": "operator",
		},
	)
	policy.violation == {expected} with input as review(set_of(says("operator"), "acme/store:1"))
		with data.cluster as known({})
	policy.violation == set() with input as review(set_of({}, "acme/store:1"))
		with data.cluster as known(says("operator"))
	count(policy.violation) == 1 with input as review(set_of({}, "postgres:16"))
		with data.cluster as known(says("operator"))
}

test_managed if {
	expected := found(
		"its own label", "managed", "MongoDB runs here in container db, on a claim: nobody else manages it",
		{"wanted": "the approach that is true for this workload", "fix": relabel, "key": "managed/db"},
	)
	policy.violation == {expected} with input as review(set_of(says("managed"), "mongo:7"))
		with data.cluster as known({})
	policy.violation == set() with input as review(set_of(says("managed"), "redis:7"))
		with data.cluster as known({})
}

test_distributed if {
	expected := found(
		"the label of its namespace", "distributed",
		"the volumes of class fast (ebs.csi.aws.com) are kept by no storage system of the cluster",
		{
			"wanted": "a class of a storage system that keeps copies inside the cluster, or the approach that is true",
			"fix": relabel,
			"key": "distributed/data",
		},
	)
	policy.violation == {expected} with input as review(set_of({}, "mongo:7"))
		with data.cluster as known(says("distributed"))
	policy.violation == set() with input as review(set_of(says("distributed"), "mongo:7"))
		with data.cluster as object.union(known({}), {"storageclasses": {"fast": {"provisioner": "rbd.csi.ceph.com"}}})
}

test_deployment if {
	value := {
		"apiVersion": "apps/v1",
		"kind": "Deployment",
		"metadata": {"labels": says("csi-statefulset")},
		"spec": {"template": {"spec": {
			"containers": [{"name": "web", "volumeMounts": [{"name": "data", "mountPath": "/x"}]}],
			"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "x"}}],
		}}},
	}
	expected := found(
		"its own label", "csi-statefulset", "this is a Deployment, which gives no Pod a volume of its own",
		{
			"wanted": "a StatefulSet with volumeClaimTemplates",
			"fix": "use kind: StatefulSet with the claim in volumeClaimTemplates",
			"key": "csi-statefulset",
		},
	)
	policy.violation == {expected} with input as review(value) with data.cluster as known({})
}

test_resource if {
	value := {"apiVersion": "rabbitmq.com/v1beta1", "kind": "RabbitmqCluster", "metadata": {"labels": says("managed")}}
	expected := found(
		"its own label", "managed", "this RabbitmqCluster belongs to RabbitMQ Cluster Operator",
		{
			"wanted": "operator",
			"fix": "metadata: {labels: {seawall.dev/storage-approach: operator}}",
			"key": "resource",
		},
	)
	policy.violation == {expected} with input as review(value) with data.cluster as known({})
}

test_quiet if {
	every value in [
		set_of(says("csi-statefulset"), "postgres:16"),
		set_of(says("x"), "postgres:16"),
		set_of({}, "postgres:16"),
		null,
	] {
		policy.violation == set() with input as review(value) with data.cluster as known({})
	}
}
