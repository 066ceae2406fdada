# METADATA
# title: The storage approach
# description: >-
#   Managed database, operator, StatefulSet on CSI volumes or distributed platform: what was declared for a workload, and
#   what it looks like. Functions that read data.cluster say so: a policy that calls them declares the kind.
package seawall.lib.approach

import data.seawall.knowledge.operators as known
import data.seawall.lib.containers
import data.seawall.lib.engines
import data.seawall.lib.labels
import data.seawall.lib.object as fields
import data.seawall.lib.storage
import data.seawall.lib.subject
import data.seawall.lib.workload

is_approach(text) if text in {"managed", "operator", "csi-statefulset", "distributed"}

# own_approach is what the label of the object, or of its Pods, says; "" where there is none.
own_approach(value) := workload.label(value, "seawall.dev/storage-approach")

# declared is the approach as written, and by whom: "own", "namespace", "nobody", or "unknown" where the namespace is not
# known and could have said it. Reads namespaces.
declared(value, namespace) := {"approach": own, "by": "own"} if {
	own := own_approach(value)
	own != ""
} else := {"approach": said, "by": "namespace"} if {
	said := labels.label(data.cluster.namespaces[namespace], "seawall.dev/storage-approach")
	said != ""
} else := {"approach": "", "by": "nobody"} if {
	data.cluster.namespaces[namespace]
} else := {"approach": "", "by": "unknown"}

# operator_of is the operator to which a resource belongs; undefined for everything else.
operator_of(value) := title if {
	parts := split(fields.text(value, ["apiVersion"]), "/")
	group := parts[0]
	title := fields.text(known.groups[group], ["operator"])
	title != ""
}

# chooses: the object under review is one for which somebody chose a storage approach: an operator's resource, or a
# workload that keeps data. Not what a known operator makes, nor what may vanish.
chooses(value) if {
	operator_of(value)
	not workload.operator_owned(value)
	not labels.data_kind(value) in {"cache", "scratch", "readonly"}
}

chooses(value) if {
	is_workload(value)
	not workload.judged_at_owner(value)
	not workload.data_kind(value) in {"cache", "scratch", "readonly"}
	keeps_data(value)
}

is_set(value) if {
	fields.text(value, ["kind"]) == "StatefulSet"
	startswith(fields.text(value, ["apiVersion"]), "apps/")
}

is_workload(value) if is_set(value)

is_workload(value) if {
	fields.text(value, ["kind"]) == "Deployment"
	startswith(fields.text(value, ["apiVersion"]), "apps/")
}

keeps_data(value) if {
	some template in workload.claim_templates(value)
	not labels.is_disposable(template.template)
}

keeps_data(value) if {
	some listed in containers.main(value)
	count(containers.written_claims(value, listed.container)) > 0
}

keeps_data(value) if {
	is_set(value)
	runs_database
}

# runs_database: the object under review runs an engine for sure that keeps data.
runs_database if {
	some entry in subject.engines
	entry.sure
	engines.needs_volume(entry)
}

# inferred is what the object looks like, which is not what anybody chose. Reads storageclasses.
inferred(value) := "operator" if {
	operator_of(value)
} else := "distributed" if {
	is_distributed(value)
} else := "csi-statefulset" if {
	is_set(value)
} else := ""

is_distributed(value) if {
	some entry in storage.of(value)
	fields.text(entry.facts, ["boundTo"]) == "cluster"
	entry.facts.replicated == true
}

# undeclared puts into words that no approach was declared, or none that there is. `said`: see declared.
undeclared(value, said) := {
	"msg": msg,
	"path": ["metadata", "labels", "seawall.dev/storage-approach"],
	"found": found,
	"wanted": "managed, operator, csi-statefulset or distributed",
	"fix": fix,
} if {
	kind := fields.shown(fields.text(value, ["kind"]))
	msg := undeclared_text(kind, said)
	looks := inferred(value)
	found := undeclared_found(said.approach, looks)
	fix := undeclared_fix(looks)
}

undeclared_text(kind, said) := text if {
	said.by == "own"
	text := sprintf("the label seawall.dev/storage-approach of this %s names no storage approach", [kind])
} else := text if {
	said.by == "namespace"
	text := sprintf("this %s has no label of its own, and that of its namespace names no storage approach", [kind])
} else := text if {
	said.by == "nobody"
	text := concat(" ", [
		sprintf("neither this %s nor its namespace says which storage approach was chosen for the data,", [kind]),
		"so nobody can tell whether a managed database or an operator was weighed against it",
	])
} else := concat(" ", [
	sprintf("this %s does not say which storage approach was chosen for its data;", [kind]),
	"its namespace could, but is not known here",
])

undeclared_found(approach, _) := fields.shown(approach) if approach != ""

undeclared_found(approach, looks) := sprintf("nothing; it looks like %s", [looks]) if {
	approach == ""
	looks != ""
}

undeclared_found(approach, looks) := "nothing" if {
	approach == ""
	looks == ""
}

undeclared_fix(looks) := text if {
	looks != ""
	label := sprintf("metadata: {labels: {seawall.dev/storage-approach: %s}}", [looks])
	text := sprintf("%s, if that is what was chosen", [label])
} else := "metadata: {labels: {seawall.dev/storage-approach: <one of these>}}, on the workload or its namespace"
