# METADATA
# title: Workloads
# description: >
#   Reads Pods and the objects that hold a Pod template through getters that never fail: a missing, null or
#   wrongly typed field is answered by the default of the API.
package seawall.lib.workload

import data.seawall.knowledge.operators
import data.seawall.lib.object as fields

# number_at yields whole numbers in the range of the API's int32 only, so that they can be compared and shown. (Values of
# other types do not lie between two numbers.)
number_at(value, path, fallback) := floor(found) if {
	found := fields.field(value, path, fallback)
	found >= 0
	found <= 2147483647
	found == floor(found)
} else := fallback

flag_at(value, path) if fields.field(value, path, false) == true

is_pod(value) if fields.text(value, ["kind"]) == "Pod"

# pod_path is where the Pod spec lies in the object.
pod_path(value) := ["spec"] if is_pod(value)

pod_path(value) := ["spec", "template", "spec"] if not is_pod(value)

pod_spec(value) := fields.dict(value, pod_path(value))

labels(value) := fields.dict(value, ["metadata", "labels"])

# pod_labels are the labels that the Pods will carry.
pod_labels(value) := labels(value) if is_pod(value)

pod_labels(value) := fields.dict(value, ["spec", "template", "metadata", "labels"]) if not is_pod(value)

# label reads a label of the workload, or of its Pods where the workload has none.
label(value, key) := found if {
	found := fields.text(labels(value), [key])
	found != ""
} else := fields.text(pod_labels(value), [key])

# data_kind is the value of seawall.dev/data: durable, cache, scratch, readonly or "".
data_kind(value) := label(value, "seawall.dev/data")

replicas(value) := number_at(value, ["spec", "replicas"], 1)

# surges: a rolling update, which is the default, starts the new Pod of this Deployment before the old one is told to stop.
# Its author can forbid that.
surges(value) if {
	fields.text(value, ["kind"]) == "Deployment"
	fields.field(value, ["spec", "strategy", "type"], "RollingUpdate") == "RollingUpdate"
	not fields.field(value, ["spec", "strategy", "rollingUpdate", "maxSurge"], "25%") in {0, "0%"}
}

# count_text shows a number that came from number_at.
count_text(number) := format_int(number, 10)

namespace(request) := found if {
	found := fields.text(request, ["object", "metadata", "namespace"])
	found != ""
} else := fields.text(request, ["namespace"])

# claim_templates are the volumeClaimTemplates of a StatefulSet that have a name, with their index.
claim_templates(value) := [entry |
	fields.text(value, ["kind"]) == "StatefulSet"
	some index, template in fields.list(value, ["spec", "volumeClaimTemplates"])
	name := fields.text(template, ["metadata", "name"])
	name != ""
	entry := {"index": index, "name": name, "template": template}
]

# controllers holds the controlling owner reference, or nothing. (An array: an invalid object may carry several.)
controllers(value) := [owner |
	some owner in fields.list(value, ["metadata", "ownerReferences"])
	flag_at(owner, ["controller"])
]

# operator_owned: the controller is a resource of a known operator, which is the place to change anything.
operator_owned(value) if {
	some owner in controllers(value)
	parts := split(fields.text(owner, ["apiVersion"]), "/")
	group := parts[0]
	operators.groups[group]
}

# judged_at_owner: a Pod of a controller, a ReplicaSet of a Deployment, and what a known operator makes are judged
# where a person can change them.
judged_at_owner(value) if operator_owned(value)

judged_at_owner(value) if {
	is_pod(value)
	count(controllers(value)) > 0
}

judged_at_owner(value) if {
	fields.text(value, ["kind"]) == "ReplicaSet"
	some owner in controllers(value)
	fields.text(owner, ["kind"]) == "Deployment"
}
