# METADATA
# title: Classes and volumes name their CSI driver
# description: >-
#   The storage plugins of the clouds have left Kubernetes: their names are translated for the CSI drivers, whose own
#   features and parameters cannot be used that way.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/volumes/#volume-types
# - ref: https://kubernetes.io/blog/2022/09/26/storage-in-tree-to-csi-migration-status-update-1.25/
# custom:
#   id: provisioner-in-tree-migrated
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
#   - {apiGroups: [""], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE]}
package seawall.policies.provisioner_in_tree_migrated

import data.seawall.lib.classes
import data.seawall.lib.intree
import data.seawall.lib.labels

violation contains {
	"msg": concat(" ", [
		sprintf("%s is no longer a part of Kubernetes:", [entry.plugin]),
		sprintf("requests are translated for the CSI driver %s,", [driver]),
		"whose own features and parameters cannot be used that way.",
	]),
	"path": entry.path,
	"found": entry.found,
	"wanted": sprintf("the CSI driver %s", [driver]),
	"fix": intree.fix_of(entry, driver),
} if {
	some entry in intree.uses(input.request.object)
	driver := classes.migrated_to(entry.plugin)
	not classes.is_addon_managed(input.request.object)
	not is_provisioned
}

# The provisioner of a translated class writes the old source into its volumes, so that Kubernetes could go back.
is_provisioned if labels.annotation(input.request.object, "pv.kubernetes.io/provisioned-by") != ""
