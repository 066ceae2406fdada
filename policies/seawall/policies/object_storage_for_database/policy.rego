# METADATA
# title: No database on a bucket
# description: >-
#   A bucket that is mounted as if it were a file system has no atomic rename, no locks and no writes in the middle of a
#   file: a database loses or corrupts its data there.
# related_resources:
# - ref: https://github.com/awslabs/mountpoint-s3/blob/main/doc/SEMANTICS.md
# - ref: https://cloud.google.com/storage/docs/gcs-fuse
# custom:
#   id: object-storage-for-database
#   checklist: storage-class
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Warn}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: true}
#   - {resource: persistentvolumeclaims, optional: true}
#   - {resource: persistentvolumes, optional: true}
package seawall.policies.object_storage_for_database

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
	engine.facts.single_writer == true
	some entry in subject.data_behind[place]
	entry.facts.storage == "object"
	entry.verified
	msg := concat(" ", [
		sprintf("%s in container %s keeps its data", [engine.title, engine.name]),
		sprintf("in a bucket that is mounted as if it were a file system (%s):", [entry.what]),
		"without atomic renames, locks and writes in the middle of a file it loses or corrupts the data.",
	])
	remedy := storage.remedy(entry.path)
}
