# METADATA
# title: Allowed topologies of a class fit its binding mode and its disks
# description: >-
#   With volumeBindingMode Immediate one of the allowed places is taken before the Pod has a node, and a regional disk
#   has copies in exactly two zones, so that a list of one or three does not say what was meant.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/storage/storage-classes/#allowed-topologies
# - ref: https://cloud.google.com/kubernetes-engine/docs/how-to/persistent-volumes/regional-pd
# custom:
#   id: allowed-topologies
#   checklist: topology
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}
package seawall.policies.allowed_topologies

import data.seawall.lib.classes
import data.seawall.lib.object as fields

class := input.request.object

terms := fields.list(class, ["allowedTopologies"])

# The binding mode is immutable: once the class exists it takes a new one.
fixes := {
	"CREATE": "volumeBindingMode: WaitForFirstConsumer",
	"UPDATE": "delete this class and create it again with volumeBindingMode: WaitForFirstConsumer (its volumes stay)",
}

violation contains {
	"msg": concat(" ", [
		"One of the allowed topologies is chosen before anybody knows where the Pod can run,",
		"since volumeBindingMode is Immediate (the default): the Pod may stay Pending.",
	]),
	"path": ["allowedTopologies"],
	"found": "allowedTopologies with volumeBindingMode Immediate",
	"wanted": "volumeBindingMode: WaitForFirstConsumer",
	"fix": fix,
	"key": "binding mode",
} if {
	choice
	classes.binding_mode(class) == "Immediate"
	not classes.is_bucket(class)
	not classes.is_addon_managed(class)
	not told_already
	fix := fixes[input.request.operation]
}

# told_already: class-binding-mode says it, and patches it. Static classes, whose volumes exist, are bound to nodes too.
told_already if {
	classes.facts_of(class).boundTo in {"zone", "node"}
	classes.is_verified(class)
}

# choice: more than one place is allowed. The expressions of one term must hold together.
choice if count(terms) > 1

choice if {
	some expression in expressions
	count(fields.list(expression, ["values"])) > 1
}

expressions := [expression |
	some term in terms
	some expression in fields.list(term, ["matchLabelExpressions"])
]

violation contains {
	"msg": msg,
	"path": ["allowedTopologies"],
	"found": number,
	"wanted": "two zones",
	"fix": "allowedTopologies: [{matchLabelExpressions: [{key: topology.gke.io/zone, values: [<zone>, <another zone>]}]}]",
	"key": "zones",
} if {
	number := count(zones)
	why := consequence(number)
	regional
	not classes.is_addon_managed(class)
	msg := sprintf("A regional disk lies in two zones, but allowedTopologies names %d: %s.", [number, why])
}

# regional: Google's disks with a copy in a second zone. What else is replicated over zones needs no such list.
regional if {
	classes.row_of(classes.provisioner(class)) == "pd.csi.storage.gke.io"
	classes.facts_of(class).replicated == true
}

zones := {zone |
	some expression in expressions
	endswith(fields.text(expression, ["key"]), "/zone")
	some zone in fields.list(expression, ["values"])
}

# consequence of so many zones; undefined where there are two, or where none is named.
consequence(1) := "no volume can be made"

consequence(number) := "which two hold the data is left to chance" if number > 2
