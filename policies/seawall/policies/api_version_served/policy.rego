# METADATA
# title: Manifests have an apiVersion that is served
# description: >-
#   The API server does not know old versions such as apps/v1beta1 any more, so that a manifest with one cannot be
#   applied: found out at the worst time, when a cluster is rebuilt.
# related_resources:
# - ref: https://kubernetes.io/docs/reference/using-api/deprecation-guide/
# custom:
#   id: api-version-served
#   checklist: updates
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Audit}
#   match:
#   - apiGroups: [apps]
#     apiVersions: [v1beta1, v1beta2]
#     resources: [controllerrevisions, daemonsets, deployments, replicasets, statefulsets]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [extensions]
#     apiVersions: [v1beta1]
#     resources: [daemonsets, deployments, ingresses, networkpolicies, replicasets]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [autoscaling]
#     apiVersions: [v2beta1, v2beta2]
#     resources: [horizontalpodautoscalers]
#     operations: [CREATE]
#     registered: false
#   - {apiGroups: [batch], apiVersions: [v1beta1], resources: [cronjobs], operations: [CREATE], registered: false}
#   - apiGroups: [discovery.k8s.io]
#     apiVersions: [v1beta1]
#     resources: [endpointslices]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [networking.k8s.io]
#     apiVersions: [v1beta1]
#     resources: [ingressclasses, ingresses]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [policy]
#     apiVersions: [v1beta1]
#     resources: [poddisruptionbudgets]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [scheduling.k8s.io]
#     apiVersions: [v1beta1]
#     resources: [priorityclasses]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [snapshot.storage.k8s.io]
#     apiVersions: [v1beta1]
#     resources: [volumesnapshotclasses, volumesnapshotcontents, volumesnapshots]
#     operations: [CREATE]
#     registered: false
#   - apiGroups: [storage.k8s.io]
#     apiVersions: [v1alpha1, v1beta1]
#     resources: [csidrivers, csinodes, csistoragecapacities, storageclasses, volumeattachments, volumeattributesclasses]
#     operations: [CREATE]
#     registered: false
package seawall.policies.api_version_served

import data.seawall.knowledge.api_versions
import data.seawall.lib.object as fields

# What means something else, or stands elsewhere, in the current version.
changes := {
	"DaemonSet": "spec.selector is required there",
	"Deployment": "spec.selector is required there",
	"HorizontalPodAutoscaler": "metrics are written as in autoscaling/v2beta2 there",
	"Ingress": "a backend is written as service: {name, port} there, and pathType is required",
	"PodDisruptionBudget": "an empty selector selects all Pods of the namespace there",
	"ReplicaSet": "spec.selector is required there",
	"StatefulSet": concat(" ", [
		"spec.selector is required there,",
		"and updateStrategy is RollingUpdate unless another is written",
	]),
}

violation contains {
	"msg": concat(" ", [
		sprintf("%s and later do not serve %s in %s:", [removed, kind, version]),
		"this manifest cannot be applied.",
	]),
	"path": ["apiVersion"],
	"found": version,
	"wanted": row.current,
	"fix": fix(row.current, kind),
} if {
	version := fields.text(input.request.object, ["apiVersion"])
	kind := fields.text(input.request.object, ["kind"])
	row := api_versions[version][kind]
	removed := row.removed
}

fix(current, kind) := text if {
	note := changes[kind]
	text := sprintf("apiVersion: %s; %s", [current, note])
} else := sprintf("apiVersion: %s", [current])
