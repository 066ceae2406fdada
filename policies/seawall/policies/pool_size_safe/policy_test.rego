package seawall.policies.pool_size_safe_test

import data.seawall.policies.pool_size_safe as policy

test_single_copy if {
	every spec in [
		{"replicated": {"size": 1}},
		{"replicated": {"size": 1, "requireSafeReplicaSize": false}, "failureDomain": "osd"},
	] {
		policy.violation == {single(["spec"])} with input as pool(spec, {})
	}
}

test_guard if {
	every size in [2, 3] {
		spec := {"replicated": {"size": size, "requireSafeReplicaSize": false}}
		policy.violation == {guard(["spec"])} with input as pool(spec, {})
	}
}

test_failure_domain if {
	every spec in [{"replicated": {"size": 3}}, {"erasureCoded": {"dataChunks": 2}}, {}] {
		one := object.union(spec, {"failureDomain": "osd"})
		policy.violation == {osd(["spec"])} with input as pool(one, {})
	}
}

test_filesystem if {
	spec := {
		"metadataPool": {"replicated": {"size": 1}},
		"dataPools": [
			{"replicated": {"size": 3}},
			{"failureDomain": "osd", "replicated": {"size": 3, "requireSafeReplicaSize": false}},
		],
	}
	second := ["spec", "dataPools", 1]
	expected := {single(["spec", "metadataPool"]), osd(second), guard(second)}
	policy.violation == expected with input as review("CephFilesystem", spec, {})
}

test_quiet if {
	bad := {"failureDomain": "osd", "replicated": {"size": 2, "requireSafeReplicaSize": false}}
	every request in [
		pool({"replicated": {"size": 3, "requireSafeReplicaSize": true}, "failureDomain": "host"}, {}),
		pool({"replicated": {"size": 2}}, {}),
		pool({"replicated": {"size": 0, "requireSafeReplicaSize": false}, "erasureCoded": {}}, {}),
		pool({"replicated": {"size": "1"}, "failureDomain": ["osd"]}, {}),
		pool({"metadataPool": bad, "dataPools": [bad]}, {}),
		pool(null, {}),
		pool(bad, {"seawall.dev/data": "scratch"}),
		pool(bad, {"seawall.dev/tier": "dev"}),
		review("CephFilesystem", bad, {}),
		review("CephFilesystem", {"metadataPool": 1, "dataPools": [null, "osd"]}, {}),
		review("CephFilesystem", {"metadataPool": bad}, {"seawall.dev/tier": "tier-3"}),
		{"request": {"object": null}},
	] {
		policy.violation == set() with input as request
	}
}

single(path) := {
	"msg": concat(" ", [
		"The pool keeps a single copy: with the first disk that fails,",
		"parts of every volume in it are lost for good.",
	]),
	"path": array.concat(path, ["replicated", "size"]),
	"found": 1,
	"wanted": "3, and never less than 2",
	"fix": "replicated: {size: 3}, without requireSafeReplicaSize: false",
}

guard(path) := {
	"msg": concat(" ", [
		"requireSafeReplicaSize is off: nothing keeps the pool from being set to a single copy,",
		"on which the loss of one disk loses data.",
	]),
	"path": array.concat(path, ["replicated", "requireSafeReplicaSize"]),
	"found": false,
	"wanted": true,
	"fix": "requireSafeReplicaSize: true",
}

osd(path) := {
	"msg": concat(" ", [
		"failureDomain is osd: all copies of a piece of data may lie on disks of one host,",
		"so that its failure takes the volumes of the pool away.",
	]),
	"path": array.concat(path, ["failureDomain"]),
	"found": "osd",
	"wanted": "host, or a wider domain",
	"fix": "failureDomain: host",
}

pool(spec, labels) := review("CephBlockPool", spec, labels)

review(kind, spec, labels) := {"request": {
	"operation": "CREATE",
	"object": {"kind": kind, "metadata": {"labels": labels}, "spec": spec},
	"oldObject": null,
}}
