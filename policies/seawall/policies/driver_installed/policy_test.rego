package seawall.policies.driver_installed_test

import data.seawall.policies.driver_installed as policy

test_driver_that_is_missing if {
	expected := found("ebs.csi.aws.com", "No CSIDriver ebs.csi.aws.com is in this cluster")
	policy.violation == {expected} with input as review("ebs.csi.aws.com") with data.cluster as cluster
}

test_in_tree_name if {
	expected := found("kubernetes.io/aws-ebs", concat(" ", [
		"kubernetes.io/aws-ebs is served by ebs.csi.aws.com,",
		"and no CSIDriver ebs.csi.aws.com is in this cluster",
	]))
	policy.violation == {expected} with input as review("kubernetes.io/aws-ebs") with data.cluster as cluster
	policy.violation == set() with input as review("kubernetes.io/gce-pd") with data.cluster as cluster
}

test_nothing_is_installed if {
	expected := object.union(
		found("ebs.csi.aws.com", "No CSIDriver ebs.csi.aws.com is in this cluster"),
		{"wanted": "an installed driver"},
	)
	empty := {"csidrivers": {}}
	policy.violation == {expected} with input as review("ebs.csi.aws.com") with data.cluster as empty
	inline := {"csidrivers": {"x.io": {"spec": {"volumeLifecycleModes": ["Ephemeral"]}}}}
	policy.violation == {expected} with input as review("ebs.csi.aws.com") with data.cluster as inline
}

test_quiet if {
	every provisioner in [
		"pd.csi.storage.gke.io",
		"kubernetes.io/no-provisioner",
		"kubernetes.io/rbd",
		"rancher.io/local-path",
		"cluster.local/nfs-nfs-subdir-external-provisioner",
		"x.nfs-server-provisioner",
		"example.com.bucket",
		"nfs",
		"listed.example.com",
		"",
		7,
		null,
	] {
		policy.violation == set() with input as review(provisioner) with data.cluster as cluster
	}
}

test_no_object if {
	policy.violation == set() with input as {"request": {"object": null}} with data.cluster as cluster
}

found(provisioner, what) := {
	"msg": concat(" ", [concat("", [what, ":"]), "nobody provisions volumes for this class, claims on it stay Pending."]),
	"path": ["provisioner"],
	"found": provisioner,
	"wanted": "an installed driver: csi.trident.netapp.io, pd.csi.storage.gke.io",
	"fix": "install ebs.csi.aws.com with its CSIDriver object, or set provisioner to a driver that is installed",
}

cluster := {"csidrivers": {
	"pd.csi.storage.gke.io": {"spec": {}},
	"csi.trident.netapp.io": {"spec": {"volumeLifecycleModes": ["Persistent"]}},
	"secrets-store.csi.k8s.io": {"spec": {"volumeLifecycleModes": ["Ephemeral"]}},
}}

review(provisioner) := {
	"request": {"operation": "CREATE", "object": {"provisioner": provisioner}, "oldObject": null},
	"seawall": {
		"now": "2026-01-15T12:00:00Z",
		"tier": "tier-2",
		"parameters": {"externalProvisioners": {"listed.example.com": true}},
	},
}
