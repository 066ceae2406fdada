package seawall.lib.labels_test

import data.seawall.lib.labels

test_getters if {
	object := {"metadata": {"name": "n", "labels": {"a": "b", "c": 1}, "annotations": {"d": "e"}}}
	labels.label(object, "a") == "b"
	labels.label(object, "c") == ""
	labels.annotation(object, "d") == "e"
	labels.annotation(object, "a") == ""
	labels.name(object) == "n"
	labels.name({"metadata": null}) == ""
}

test_data if {
	labels.is_disposable(with_label("seawall.dev/data", "cache"))
	labels.is_disposable(with_label("seawall.dev/data", "scratch"))
	not labels.is_disposable(with_label("seawall.dev/data", "readonly"))
	not labels.is_disposable(with_label("seawall.dev/data", "durable"))
	not labels.is_disposable(null)
	labels.is_readonly(with_label("seawall.dev/data", "readonly"))
	not labels.is_readonly(with_label("seawall.dev/data", "cache"))
}

test_protected_and_development if {
	labels.is_protected(with_label("seawall.dev/protected", "true"))
	not labels.is_protected(with_label("seawall.dev/protected", "false"))
	labels.is_development(with_label("seawall.dev/tier", "tier-3"))
	labels.is_development(with_label("seawall.dev/tier", "dev"))
	not labels.is_development(with_label("seawall.dev/tier", "tier-2"))
}

test_allows_delete if {
	labels.allows_delete(allowing("n", "2026-01-15"), now)
	not labels.allows_delete(allowing("m", "2026-01-15"), now)
	not labels.allows_delete(allowing("n", "2026-01-16"), now)
	not labels.allows_delete({"metadata": {"annotations": {"seawall.dev/allow-delete-on": "2026-01-15"}}}, now)
	labels.day(now) == "2026-01-15"
}

test_owners if {
	owned := {"metadata": {"ownerReferences": [null, {"kind": "Pod"}, {"kind": "Job", "controller": true}]}}
	labels.is_owned_by(owned, "Pod")
	labels.is_owned_by(owned, "Job")
	not labels.is_owned_by(owned, "StatefulSet")
	labels.is_controlled_by(owned, "Job")
	not labels.is_controlled_by(owned, "Pod")
	not labels.is_controlled_by({"metadata": {"ownerReferences": {"kind": "Pod", "controller": true}}}, "Pod")
}

now := "2026-01-15T12:00:00Z"

with_label(key, value) := {"metadata": {"labels": {key: value}}}

allowing(name, day) := {"metadata": {
	"name": "n",
	"annotations": {"seawall.dev/allow-delete": name, "seawall.dev/allow-delete-on": day},
}}
