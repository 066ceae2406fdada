# METADATA
# title: Data of a high tier exists more than once
# description: >-
#   A database on volumes that exist once, in one zone or on one node, needs members that replicate: else one disk, node
#   or zone takes the only copy of the data.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/
# custom:
#   id: replication-somewhere
#   checklist: replication
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: false}
#   parameters: {copies: 1}
#   tierParameters: {tier-0: {copies: 3}, tier-1: {copies: 2}}
package seawall.policies.replication_somewhere

import data.seawall.lib.replication

target := input.request.object

copies := input.seawall.parameters.copies

violation contains found if {
	some finding in replication.lacking(target, copies)
	finding.certain
	found := replication.verdict(target, finding, copies)
}
