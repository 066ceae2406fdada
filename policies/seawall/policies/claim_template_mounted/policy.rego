# METADATA
# title: Every claim template is mounted
# description: >
#   A volumeClaimTemplate that no container mounts gives each replica an empty volume, while the data goes to the image
#   layer or an emptyDir and is lost with the Pod. Usually one of two names is mistyped.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#volume-claim-templates
# custom:
#   id: claim-template-mounted
#   checklist: statefulset
#   severity: critical
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   context: []
package seawall.policies.claim_template_mounted

import data.seawall.lib.containers
import data.seawall.lib.object as fields
import data.seawall.lib.workload

target := input.request.object

mounted := containers.mounted(target)

# dangling are names that a container mounts and that neither a template nor a volume explains: the likely typing error.
dangling := sort([text |
	some name in mounted
	containers.kind(target, name) == "unknown"
	text := fields.shown(name)
])

mount(name) := sprintf("mount it: volumeMounts: [{name: %s, mountPath: <data directory>}]", [name])

fix(name) := text if {
	count(dangling) > 0
	text := sprintf("%s; a container mounts %s, which does not exist", [mount(name), concat(", ", dangling)])
} else := mount(name)

violation contains {
	"msg": sprintf(
		"volumeClaimTemplate %s is mounted by no container: it stays empty, and the data is lost with the Pod",
		[fields.shown(template.name)],
	),
	"path": ["spec", "volumeClaimTemplates", template.index],
	"found": template.name,
	"wanted": "a volumeMount or volumeDevice of that name in some container",
	"fix": fix(fields.shown(template.name)),
} if {
	some template in workload.claim_templates(target)
	not template.name in mounted
}
