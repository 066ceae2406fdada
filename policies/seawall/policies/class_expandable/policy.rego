# METADATA
# title: StorageClass must allow expansion where the driver can
# description: >-
#   Without allowVolumeExpansion a full volume can only be replaced: new volume, copy, downtime. The API has no
#   default, so leaving the field out means no.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
# custom:
#   id: class-expandable
#   checklist: capacity
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   patch: [tier-0, tier-1, tier-2]
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.class_expandable

import data.seawall.lib.classes
import data.seawall.lib.object as fields

violation contains {
	"msg": msg,
	"path": ["allowVolumeExpansion"],
	"found": false,
	"wanted": true,
	"fix": "allowVolumeExpansion: true",
} if {
	could_expand
	written in {null, false}
	provisioner := classes.provisioner(input.request.object)
	msg := concat(" ", [
		sprintf("allowVolumeExpansion is not true although %s can expand:", [provisioner]),
		"a full volume of this class can only be replaced, with a copy and downtime.",
	])
}

# Only where nothing was written: an explicit false is somebody's decision.
patch contains {"op": "add", "path": "/allowVolumeExpansion", "value": true} if {
	input.request.operation == "CREATE"
	could_expand
	written == null
	classes.is_verified(input.request.object)
}

written := fields.field(input.request.object, ["allowVolumeExpansion"], null)

could_expand if {
	classes.facts_of(input.request.object).expansion == true
	not classes.is_addon_managed(input.request.object)
}
