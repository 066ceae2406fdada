# METADATA
# title: Claims name their class
# description: >-
#   Without a class the cluster's default decides what becomes of the data: whether it is encrypted, replicated and
#   kept. The default differs from cluster to cluster, anybody may change it, and a claim keeps what it got.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#class-1
# custom:
#   id: class-named
#   checklist: storage-class
#   severity: medium
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   patch: []
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: direct}
#   context:
#   - {resource: storageclasses, optional: true}
package seawall.policies.class_named

import data.seawall.lib.catalogue
import data.seawall.lib.catalogue_claims
import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.object as fields

target := input.request.object

violation contains {
	"msg": msg,
	"path": path,
	"wanted": wanted,
	"fix": fix,
} if {
	some entry in unnamed
	msg := concat(" ", [
		sprintf("The %s names no class: %s decides whether the data is encrypted, replicated and kept,", [
			entry.title,
			the_default,
		]),
		"it can change any day, and the claim keeps what it got.",
	])
	path := catalogue_claims.class_path(entry)
	names := catalogue_claims.alternatives(catalogue_claims.need(target, entry.claim, input.seawall.tier))
	wanted := wanted_of(names)
	fix := fix_of(entry, names)
}

# Off unless the configuration names tiers for it: tools that compare lists of claim templates show the field as a
# difference for ever. A claim made from a snapshot or another claim needs a class of the same driver.
patch contains {"op": "add", "path": pointer, "value": name} if {
	input.request.operation == "CREATE"
	some entry in unnamed
	fields.field(entry.claim, ["spec", "dataSource"], null) == null
	fields.field(entry.claim, ["spec", "dataSourceRef"], null) == null
	need := catalogue_claims.need(target, entry.claim, input.seawall.tier)
	name := catalogue_claims.best(need)
	pointer := fields.pointer(array.concat(entry.path, ["spec", "storageClassName"]))
}

# unnamed are the claims whose class is left to the cluster, and matters.
unnamed := [entry |
	some entry in catalogue_claims.of(target)
	classes.class_of(entry.claim) == null

	# What is written and is no text is the API server's to refuse, not ours to replace.
	fields.field(entry.claim, ["spec", "storageClassName"], null) == null
	fields.dict(entry.claim, ["spec"]) != {}

	# No volume is made for it; static-claim-class tells what to write.
	not claims.static(entry.claim)
	not catalogue_claims.is_disposable(target, entry.claim)
]

the_default := text if {
	name := classes.the_default
	text := sprintf("the default, now %s,", [name])
} else := "the default of the cluster"

wanted_of(names) := "storageClassName with a class that suits the data" if {
	names == []
} else := text if {
	shown := catalogue_claims.shown(names)
	text := sprintf("storageClassName with one of %s", [shown])
}

fix_of(entry, names) := "storageClassName: <one of `kubectl get storageclass`>" if {
	names == []
	not catalogue.in_use
} else := fix if {
	fix := catalogue_claims.fix(entry, names)
}
