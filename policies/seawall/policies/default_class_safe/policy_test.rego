package seawall.policies.default_class_safe_test

import data.seawall.policies.default_class_safe as policy

key := "storageclass.kubernetes.io/is-default-class"

class(more) := object.union(
	{
		"metadata": {"annotations": {key: "true"}},
		"provisioner": "ebs.csi.aws.com",
		"reclaimPolicy": "Retain",
		"volumeBindingMode": "WaitForFirstConsumer",
		"allowVolumeExpansion": true,
	},
	more,
)

review(operation, value) := {"request": {"operation": operation, "object": value}}

deletes := {
	"msg": concat(" ", [
		"The default class has reclaimPolicy Delete:",
		"claims that name no class lose their data with the claim, and nobody chose that.",
	]),
	"path": ["reclaimPolicy"],
	"found": "Delete",
	"wanted": "Retain",
	"fix": "reclaimPolicy: Retain",
}

immediate := {
	"msg": concat(" ", [
		"The default class has volumeBindingMode Immediate:",
		"its volumes are tied to a zone before it is known where the Pod can run.",
	]),
	"path": ["volumeBindingMode"],
	"found": "Immediate",
	"wanted": "WaitForFirstConsumer",
	"fix": "volumeBindingMode: WaitForFirstConsumer",
}

fixed := {
	"msg": concat(" ", [
		"The default class does not allow expansion although its driver can:",
		"a full volume can only be replaced, with a copy and downtime.",
	]),
	"path": ["allowVolumeExpansion"],
	"found": false,
	"wanted": true,
	"fix": "allowVolumeExpansion: true",
}

test_each if {
	policy.violation == {deletes} with input as review("CREATE", class({"reclaimPolicy": "Delete"}))
	policy.violation == {immediate} with input as review("CREATE", class({"volumeBindingMode": "Immediate"}))
	policy.violation == {fixed} with input as review("CREATE", class({"allowVolumeExpansion": false}))
	bare := {"metadata": {"annotations": {key: "true"}}, "provisioner": "ebs.csi.aws.com"}
	policy.violation == {deletes, immediate, fixed} with input as review("CREATE", bare)
}

test_other_fixes if {
	another := "make another class with reclaimPolicy: Retain the default, and take the annotation"
	expected := object.union(deletes, {"fix": concat(" ", [another, key, "off this one"])})
	policy.violation == {expected} with input as review("UPDATE", class({"reclaimPolicy": "Delete"}))
	addon := {"metadata": {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}}
	policy.violation == {expected}
		with input as review("CREATE", class(object.union(addon, {"reclaimPolicy": "Delete"})))
	policy.violation == {fixed} with input as review("UPDATE", class({"allowVolumeExpansion": false}))
}

test_only_what_is_verified if {
	row := {"boundTo": "zone", "verified": false, "expansion": false}
	value := class({"provisioner": "p", "volumeBindingMode": "Immediate", "allowVolumeExpansion": false})
	policy.violation == set() with input as review("CREATE", value)
		with data.seawall.knowledge.provisioners.rows as {"p": row}
	policy.violation == {immediate} with input as review("CREATE", value)
		with data.seawall.knowledge.provisioners.rows as {"p": object.union(row, {"verified": true})}
}

test_quiet if {
	every value in [
		class({}),
		class({"metadata": {"annotations": {key: "false"}}, "reclaimPolicy": "Delete"}),
		class({"metadata": {"labels": {"seawall.dev/data": "scratch"}}, "reclaimPolicy": "Delete"}),
		class({"metadata": {"labels": {"seawall.dev/tier": "dev"}}, "reclaimPolicy": "Delete"}),
		class({"provisioner": "x/bucket", "reclaimPolicy": "Delete"}),
		class({"provisioner": "kubernetes.io/no-provisioner", "reclaimPolicy": "Delete"}),
		class({"provisioner": "nfs.csi.k8s.io", "volumeBindingMode": "Immediate"}),
		class({"provisioner": "rancher.io/local-path", "allowVolumeExpansion": false}),
		null,
	] {
		policy.violation == set() with input as review("CREATE", value)
	}
}
