# METADATA
# title: Data of a high tier seems to exist once
# description: >-
#   As replication-somewhere, where the engine, the volume or the members of the cluster are not known for sure: the
#   object alone does not prove the fault.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/
# custom:
#   id: replication-somewhere-unproven
#   checklist: replication
#   severity: high
#   actions: {tier-0: Warn, tier-1: Audit, tier-2: "Off", tier-3: "Off"}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
#   context:
#   - {resource: storageclasses, optional: false}
#   parameters: {copies: 1}
#   tierParameters: {tier-0: {copies: 3}, tier-1: {copies: 2}}
package seawall.policies.replication_somewhere_unproven

import data.seawall.lib.replication

target := input.request.object

copies := input.seawall.parameters.copies

violation contains found if {
	some finding in replication.lacking(target, copies)
	not finding.certain
	found := replication.verdict(target, finding, copies)
}
