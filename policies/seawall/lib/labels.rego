# METADATA
# title: Labels and annotations that Seawall reads
# description: >-
#   Getters that never fail, and the meaning of the labels and annotations of seawall.dev.
package seawall.lib.labels

import data.seawall.lib.object as fields

# label is the value of a label, "" where there is none.
label(value, key) := fields.text(value, ["metadata", "labels", key])

# annotation is the value of an annotation, "" where there is none.
annotation(value, key) := fields.text(value, ["metadata", "annotations", key])

# name is metadata.name, "" where there is none.
name(value) := fields.text(value, ["metadata", "name"])

# data_kind is what an object says of its data: durable, cache, scratch, readonly or "".
data_kind(value) := label(value, "seawall.dev/data")

# is_disposable: the data may vanish at any time, by declaration.
is_disposable(value) if data_kind(value) in {"cache", "scratch"}

# is_readonly: the data is never written, by declaration.
# seawall-lint: ignore rego/unused-rule for policies that extend the embedded ones
is_readonly(value) if data_kind(value) == "readonly"

# is_protected: somebody asked that the object is not deleted by accident.
is_protected(value) if label(value, "seawall.dev/protected") == "true"

# is_development: the object itself says that it belongs to the lowest tier.
is_development(value) if label(value, "seawall.dev/tier") in {"tier-3", "dev"}

# allows_delete: both annotations are there, naming the object and the day of `now`. Two values that must
# match make sure that neither a copied manifest nor last year's exception lets data go.
allows_delete(value, now) if {
	name(value) != ""
	annotation(value, "seawall.dev/allow-delete") == name(value)
	annotation(value, "seawall.dev/allow-delete-on") == day(now)
}

# day is the date part of an RFC 3339 time.
day(time) := split(time, "T")[0]

# is_owned_by: an ownerReference of this kind, whether or not it is the controller.
is_owned_by(value, kind) if {
	some owner in fields.list(value, ["metadata", "ownerReferences"])
	fields.text(owner, ["kind"]) == kind
}

# is_controlled_by: the controller's ownerReference is of this kind.
is_controlled_by(value, kind) if {
	some owner in fields.list(value, ["metadata", "ownerReferences"])
	fields.text(owner, ["kind"]) == kind
	fields.field(owner, ["controller"], false) == true
}
