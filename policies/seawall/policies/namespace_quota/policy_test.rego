package seawall.policies.namespace_quota_test

import data.seawall.policies.namespace_quota as policy

review(labels) := {"request": {
	"operation": "UPDATE",
	"object": {"kind": "Namespace", "metadata": {"name": "shop", "labels": labels}},
}}

cluster(claims, hard) := {
	"persistentvolumeclaims": {"shop": claims, "other": {"x": {}}},
	"resourcequotas": {"shop": {"q": {"spec": {"hard": hard}}}, "other": {"q": {"spec": {"hard": {"requests.storage": 1}}}}},
}

found(counted) := {
	"msg": concat(" ", [
		sprintf("nothing limits the storage of the %s of namespace shop:", [counted]),
		"by growth or by mistake it can take what others share",
	]),
	"path": ["metadata", "name"],
	"found": "shop",
	"wanted": "a ResourceQuota on requests.storage, or on that of a storage class",
	"fix": "kubectl create quota storage -n shop --hard=requests.storage=<so many Gi>",
	"key": "storage-quota",
}

test_claims_without_quota if {
	policy.violation == {found("1 claim")} with input as review({}) with data.cluster as cluster({"a": {}}, {"pods": 1})
	both := cluster({"a": {}, "b": {}}, {})
	policy.violation == {found("2 claims")} with input as review({}) with data.cluster as both
}

test_quiet if {
	every facts in [
		cluster({}, {}),
		cluster({"a": {}}, {"requests.storage": "1Ti"}),
		cluster({"a": {}}, {"x.storageclass.storage.k8s.io/requests.storage": "1Ti"}),
		cluster({"a": {"metadata": {"labels": {"seawall.dev/data": "scratch"}}}}, {}),
		cluster({"a": {"metadata": {"ownerReferences": [{"kind": "Pod"}]}}}, {}),
	] {
		policy.violation == set() with input as review({}) with data.cluster as facts
	}
	policy.violation == set() with input as review({"seawall.dev/storage-system": "true"})
		with data.cluster as cluster({"a": {}}, {})
}
