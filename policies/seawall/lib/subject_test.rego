package seawall.lib.subject_test

import data.seawall.lib.subject

set := {
	"apiVersion": "apps/v1",
	"kind": "StatefulSet",
	"metadata": {"name": "db"},
	"spec": {
		"replicas": 3,
		"template": {"spec": {"containers": [{
			"name": "db",
			"image": "postgres:16",
			"args": ["-c", "shared_buffers=1GB"],
			"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
		}]}},
		"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "near"}}],
	},
}

cluster := {"storageclasses": {"near": {"provisioner": "topolvm.io"}}}

review := {"request": {"operation": "CREATE", "namespace": "shop", "object": set}}

# Each of them is about the object under review.
test_without_facts if {
	engines := [[entry.name, entry.engine] | some entry in subject.engines] with input as review
	engines == [["db", "postgres"]]
	strangers := [stranger.entry.engine | some stranger in subject.strangers] with input as review
	strangers == ["postgres"]
	evidence := subject.evidence with input as review
	evidence.images == "postgres:16"
	unsaved := subject.unsaved with input as review
	unsaved == [null]
	bare := [{"name": "db", "image": "postgres:16"}]
	lost := subject.unsaved with input.request.object as object.union(set, {"spec": {"template": {"spec": {"containers": bare}}}})
	lost == [{"reason": "none"}]
	namespace := subject.namespace with input as review
	namespace == "shop"
}

test_with_facts if {
	templates := [template.class_name | some template in subject.templates] with input as review with data.cluster as cluster
	templates == ["near"]
	behind := subject.data_behind with input as review with data.cluster as cluster
	[[entry.what | some entry in found] | some found in behind] == [["class near"]]
	bound := [[entry.volume, entry.copies] | some entry in subject.node_bound] with input as review with data.cluster as cluster
	bound == [["data", 3]]
}
