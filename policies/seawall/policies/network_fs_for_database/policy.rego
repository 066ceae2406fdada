# METADATA
# title: No database on a network file system
# description: >-
#   Databases rely on locks, fsync and atomic renames of a disk of their own. A network file system gives weaker
#   promises, stalls with the network, and lets a second server open the same files.
# related_resources:
# - ref: https://www.postgresql.org/docs/current/creating-cluster.html#CREATING-CLUSTER-NFS
# custom:
#   id: network-fs-for-database
#   checklist: storage-class
#   severity: critical
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
#   parameters:
#     families: [postgres, mysql, mongodb, etcd, kafka, zookeeper, cassandra, elasticsearch, clickhouse]
package seawall.policies.network_fs_for_database

import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

violation contains {
	"msg": msg,
	"path": entry.path,
	"found": entry.what,
	"wanted": remedy.wanted,
	"fix": remedy.fix,
} if {
	target := input.request.object
	not workload.data_kind(target) in {"cache", "scratch", "readonly"}
	some place, engine in subject.engines
	engine.sure
	engine.facts.family in input.seawall.parameters.families
	some entry in subject.data_behind[place]
	entry.facts.storage == "file"
	entry.verified
	msg := concat(" ", [
		sprintf("%s in container %s keeps its data", [engine.title, engine.name]),
		sprintf("on a network file system (%s):", [entry.what]),
		"locks, fsync and renames are weaker there than on a disk of its own,",
		"so that a stall or a second server on the same files can corrupt the data.",
	])
	remedy := storage.remedy(entry.path)
}
