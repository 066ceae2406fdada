# METADATA
# title: Ceph pools keep more than one copy, on more than one host
# description: >-
#   A class on Ceph counts as replicated. A pool with a single copy, or with all copies on one host, only looks like it:
#   one disk or one host takes its volumes away.
# related_resources:
# - ref: https://rook.io/docs/rook/latest/CRDs/Block-Storage/ceph-block-pool-crd/
# - ref: https://rook.io/docs/rook/latest/CRDs/Shared-Filesystem/ceph-filesystem-crd/
# custom:
#   id: pool-size-safe
#   checklist: replication
#   severity: critical
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: "Off"}
#   match:
#   - apiGroups: [ceph.rook.io]
#     apiVersions: [v1]
#     resources: [cephblockpools, cephfilesystems]
#     operations: [CREATE, UPDATE]
package seawall.policies.pool_size_safe

import data.seawall.lib.classes
import data.seawall.lib.object as fields
import data.seawall.lib.workload

violation contains {
	"msg": concat(" ", [
		"The pool keeps a single copy: with the first disk that fails,",
		"parts of every volume in it are lost for good.",
	]),
	"path": array.concat(pool.path, ["replicated", "size"]),
	"found": 1,
	"wanted": "3, and never less than 2",
	"fix": "replicated: {size: 3}, without requireSafeReplicaSize: false",
} if {
	some pool in judged
	copies(pool) == 1
}

violation contains {
	"msg": concat(" ", [
		"requireSafeReplicaSize is off: nothing keeps the pool from being set to a single copy,",
		"on which the loss of one disk loses data.",
	]),
	"path": array.concat(pool.path, ["replicated", "requireSafeReplicaSize"]),
	"found": false,
	"wanted": true,
	"fix": "requireSafeReplicaSize: true",
} if {
	some pool in judged
	copies(pool) > 1
	fields.field(pool.spec, ["replicated", "requireSafeReplicaSize"], true) == false
}

# Where the only copy lies does not matter any more.
violation contains {
	"msg": concat(" ", [
		"failureDomain is osd: all copies of a piece of data may lie on disks of one host,",
		"so that its failure takes the volumes of the pool away.",
	]),
	"path": array.concat(pool.path, ["failureDomain"]),
	"found": "osd",
	"wanted": "host, or a wider domain",
	"fix": "failureDomain: host",
} if {
	some pool in judged
	copies(pool) != 1
	fields.text(pool.spec, ["failureDomain"]) == "osd"
}

# copies of the data; 0 for a pool that is not replicated but erasure-coded.
copies(pool) := workload.number_at(pool.spec, ["replicated", "size"], 0)

judged := pools(input.request.object) if {
	not classes.is_disposable(input.request.object)
}

pools(value) := [{"path": ["spec"], "spec": spec}] if {
	fields.text(value, ["kind"]) == "CephBlockPool"
	spec := fields.dict(value, ["spec"])
}

pools(value) := array.concat([metadata_pool], data_pools) if {
	fields.text(value, ["kind"]) == "CephFilesystem"
	metadata_pool := {
		"path": ["spec", "metadataPool"],
		"spec": fields.dict(value, ["spec", "metadataPool"]),
	}
	data_pools := [{"path": ["spec", "dataPools", index], "spec": spec} |
		some index, spec in fields.list(value, ["spec", "dataPools"])
	]
}
