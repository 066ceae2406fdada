package seawall.policies.autoresize_limit_test

import data.seawall.policies.autoresize_limit as policy

review(object) := {"request": {"operation": "CREATE", "object": object, "oldObject": null}}

claim(annotations) := {
	"kind": "PersistentVolumeClaim",
	"metadata": {"name": "data", "annotations": annotations},
	"spec": {"storageClassName": "grow"},
}

growing := {"storageclasses": {"grow": {"metadata": {"annotations": {"resize.topolvm.io/enabled": "true"}}}}}

plain := {"storageclasses": {"grow": {}}}

found(msg, value) := {{
	"msg": sprintf("%s: nothing grows it before it is full", [msg]),
	"path": ["metadata", "annotations", "resize.topolvm.io/storage_limit"],
	"found": value,
	"wanted": "resize.topolvm.io/storage_limit with the size up to which the volume may grow",
	"fix": "metadata: {annotations: {resize.topolvm.io/storage_limit: <a size>}}",
}}

by_class := "the class grow grows volumes by itself, but only up to a limit, and this claim has none"

by_claim := "the annotations of this claim ask that it grows by itself, but that happens only up to a limit, and it has none"

test_class if {
	policy.violation == found(by_class, "no limit") with input as review(claim({})) with data.cluster as growing
	policy.violation == found(by_class, "0") with input as review(claim({"resize.topolvm.io/storage_limit": "0"}))
		with data.cluster as growing
}

test_claim if {
	every key in ["threshold", "inodes-threshold", "increase"] {
		annotations := {sprintf("resize.topolvm.io/%s", [key]): "10%"}
		policy.violation == found(by_claim, "no limit") with input as review(claim(annotations)) with data.cluster as plain
		policy.violation == found(by_claim, "no limit") with input as review(claim(annotations)) with data.cluster as growing
	}
}

test_quiet if {
	every value in [
		claim({"resize.topolvm.io/storage_limit": "100Gi"}),
		object.union(claim({}), {"spec": {"resources": {"limits": {"storage": "100Gi"}}}}),
		object.union(claim({}), {"spec": {"volumeMode": "Block"}}),
		object.union(claim({}), {"spec": {"storageClassName": "other"}}),
		object.union(claim({}), {"metadata": {"labels": {"seawall.dev/data": "cache"}}}),
		object.union(claim({}), {"metadata": {"ownerReferences": [{"kind": "Pod"}]}}),
		null, [], {},
	] {
		policy.violation == set() with input as review(value) with data.cluster as growing
	}
	policy.violation == set() with input as review(claim({})) with data.cluster as plain
	policy.violation == set() with input as review(claim({})) with data.cluster as {}
}
