# METADATA
# title: A class that encrypts must name its secret
# description: >-
#   Some drivers encrypt with a passphrase from a secret or a key service that the class names. Without one no volume
#   of the class can be made or mounted, and the claims wait.
# related_resources:
# - ref: https://kubernetes-csi.github.io/docs/secrets-and-credentials-storage-class.html
# custom:
#   id: encryption-needs-secret
#   checklist: storage-class
#   severity: high
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Warn}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
package seawall.policies.encryption_needs_secret

import data.seawall.lib.classes
import data.seawall.lib.object as fields

violation contains {
	"msg": msg,
	"path": ["parameters"],
	"found": "no secret",
	"wanted": wanted,
	"fix": fix,
	"key": "secret",
} if {
	class := input.request.object
	classes.encryption(class) == "incomplete"
	classes.encryption_verified(class)
	names := sort([name |
		some name, on in classes.encryption_facts(class).needsSecret
		on == true
	])
	msg := concat(" ", [
		sprintf("The class asks %s for encryption", [fields.shown(classes.provisioner(class))]),
		"but names no secret and no key service: no volume of it can be made or mounted.",
	])
	wanted := concat(" or ", names)
	fix := fix_of(names[0])
}

# A secret is found by its name and its namespace.
fix_of(name) := sprintf("parameters: {%s: <name>, %snamespace: <namespace>}", [name, prefix]) if {
	endswith(name, "-secret-name")
	prefix := trim_suffix(name, "name")
}

fix_of(name) := sprintf("parameters: {%s: <id>}", [name]) if not endswith(name, "-secret-name")
