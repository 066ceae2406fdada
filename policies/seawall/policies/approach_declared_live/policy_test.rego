package seawall.policies.approach_declared_live_test

import data.seawall.policies.approach_declared_live as policy

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

found(msg, text) := {
	"msg": msg,
	"path": path,
	"found": text,
	"wanted": "managed, operator, csi-statefulset or distributed",
	"fix": "metadata: {labels: {seawall.dev/storage-approach: csi-statefulset}}, if that is what was chosen",
}

labels(more) := object.union({"seawall.dev/stage": "live"}, more)

nothing := "nothing; it looks like csi-statefulset"

nobody := concat(" ", [
	"neither this StatefulSet nor its namespace says which storage approach was chosen for the data,",
	"so nobody can tell whether a managed database or an operator was weighed against it",
])

own := "the label seawall.dev/storage-approach of this StatefulSet names no storage approach"

inherited := "this StatefulSet has no label of its own, and that of its namespace names no storage approach"

test_missing if {
	policy.violation == {found(nobody, nothing)} with input as review(set_of(labels({}), "acme/store:1"))
		with data.cluster as known({})
}

test_wrong if {
	wrong := labels({"seawall.dev/storage-approach": "x"})
	policy.violation == {found(own, "x")} with input as review(set_of(wrong, "acme/store:1"))
		with data.cluster as known({})
	policy.violation == {found(inherited, "y")} with input as review(set_of(labels({}), "acme/store:1"))
		with data.cluster as known({"seawall.dev/storage-approach": "y"})
}

test_namespace_unknown if {
	policy.violation == set() with input as review(set_of(labels({}), "acme/store:1"))
		with data.cluster as {"namespaces": {}}
}

test_quiet if {
	every value in [
		set_of(labels({"seawall.dev/storage-approach": "operator"}), "acme/store:1"),
		set_of(labels({"seawall.dev/data": "cache"}), "acme/store:1"),
		set_of({"seawall.dev/stage": "onboarding"}, "acme/store:1"),
		null,
	] {
		policy.violation == set() with input as review(value) with data.cluster as known({})
	}
	policy.violation == set() with input as review(set_of(labels({}), "acme/store:1"))
		with data.cluster as known({"seawall.dev/storage-approach": "managed"})
}
