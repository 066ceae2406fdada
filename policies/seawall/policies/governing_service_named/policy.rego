# METADATA
# title: A StatefulSet names its governing Service
# description: >
#   Without serviceName the Pods have no DNS names of their own, so replicas cannot find each other; the field cannot be
#   changed later.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#stable-network-id
# custom:
#   id: governing-service-named
#   checklist: headless-service
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   context: []
package seawall.policies.governing_service_named

import data.seawall.lib.object as fields
import data.seawall.lib.subject
import data.seawall.lib.workload

target := input.request.object

unnamed if fields.field(target, ["spec", "serviceName"], "") == ""

# Controllers use a StatefulSet of one for its at-most-one promise and need no name.
needs_name if workload.replicas(target) > 1

needs_name if count(subject.engines) > 0

violation contains {
	"msg": concat(" ", [
		"spec.serviceName is empty: the Pods get no DNS names of their own, so clients and peers cannot address a replica,",
		"and the field cannot be changed once the set exists",
	]),
	"path": ["spec", "serviceName"],
	"found": "",
	"wanted": "the name of a headless Service that selects these Pods",
	"fix": "create a Service with clusterIP: None for these Pods and set spec.serviceName to its name",
} if {
	unnamed
	needs_name
}
