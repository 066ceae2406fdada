# METADATA
# title: Claims use a class that the platform supports
# description: >-
#   A class outside the catalogue, or one that the catalogue has for other tiers or workloads, is one that nobody
#   promised to watch, to expand or to restore from. The class of a claim is immutable, so this has to be right at the
#   start.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/
# custom:
#   id: class-supported
#   checklist: class-standard
#   severity: medium
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE], via: direct}
#   context:
#   - {resource: storageclasses, optional: false}
package seawall.policies.class_supported

import data.seawall.lib.catalogue
import data.seawall.lib.catalogue_claims
import data.seawall.lib.claims
import data.seawall.lib.classes
import data.seawall.lib.object as fields

target := input.request.object

violation contains {
	"msg": msg,
	"path": path,
	"found": entry.class_name,
	"wanted": wanted,
	"fix": fix,
} if {
	catalogue.in_use
	some entry in catalogue_claims.of(target)

	# A class that is not there may come with the catalogue's label in the same apply; class-exists tells.
	classes.known(entry.class_name) != null

	# The class is then a name to match, and makes nothing; a backup tool that puts a volume back does the same.
	not claims.static(entry.claim)
	need := catalogue_claims.need(target, entry.claim, input.seawall.tier)
	fault := fault_of(entry.class_name, need)
	msg := sprintf("The %s uses class %s, %s.", [entry.title, fields.shown(entry.class_name), fault])
	path := catalogue_claims.class_path(entry)
	names := catalogue_claims.offers(need)
	wanted := wanted_of(names, need)
	fix := catalogue_claims.fix(entry, names)
}

# fault_of is what is wrong with a class for a need, undefined where nothing is.
fault_of(name, _) := fault if {
	not catalogue.entry(name)
	fault := "which the platform does not support: nobody promises to watch it, to expand it or to restore from it"
}

fault_of(name, need) := fault if {
	found := catalogue.entry(name)
	not catalogue.admits_tier(found, need)
	fault := fault_of_tier(found, need)
}

fault_of(name, need) := fault if {
	found := catalogue.entry(name)
	catalogue.admits_tier(found, need)
	not catalogue.admits_profile(found, need)
	fault := sprintf("which the platform supports for other workloads, not for profile %s", [need.profile])
}

fault_of_tier(found, need) := fault if {
	catalogue.is_throwaway(found)
	fault := sprintf("which is meant for data that may vanish, not for %s", [need.tier])
} else := fault if {
	fault := sprintf("which the platform does not support for %s", [need.tier])
}

wanted_of(names, need) := text if {
	names == []
	words := catalogue_claims.words(need)
	text := sprintf("a class that the platform supports for %s", [words])
} else := text if {
	words := catalogue_claims.words(need)
	shown := catalogue_claims.shown(names)
	text := sprintf("a class that the platform supports for %s: %s", [words, shown])
}
