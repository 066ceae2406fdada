package seawall.lib.object_test

import data.seawall.lib.object as fields

test_field if {
	fields.field({"a": {"b": 1}}, ["a", "b"], 2) == 1
	fields.field({"a": {"b": false}}, ["a", "b"], true) == false
	fields.field({"a": {"b": null}}, ["a", "b"], 2) == 2
	fields.field({"a": null}, ["a", "b"], 2) == 2
	fields.field({"a": "text"}, ["a", "b"], 2) == 2
	fields.field({"a": [{"b": 1}]}, ["a", 0, "b"], 2) == 1
	fields.field({}, ["a"], 2) == 2
	fields.field(null, ["a"], 2) == 2
	fields.field([], ["a"], 2) == 2
}

test_text if {
	fields.text({"a": "b"}, ["a"]) == "b"
	fields.text({"a": 1}, ["a"]) == ""
	fields.text({}, ["a"]) == ""
}

test_list if {
	fields.list({"a": [1]}, ["a"]) == [1]
	fields.list({"a": {"b": 1}}, ["a"]) == []
	fields.list({"a": null}, ["a"]) == []
}

test_dict if {
	fields.dict({"a": {"b": 1}}, ["a"]) == {"b": 1}
	fields.dict({"a": [1]}, ["a"]) == {}
	fields.dict({"a": null}, ["a"]) == {}
}

test_shown if {
	fields.shown("seawall.dev/mode_a-1:b") == "seawall.dev/mode_a-1:b"
	every value in ["", "a b", "a\nb", "%s", 5, null, {}] {
		fields.shown(value) == "(unreadable)"
	}
}

test_length_of_what_is_shown if {
	ten := "aaaaaaaaaa"
	longest := sprintf("%saaa", [replace(substring(ten, 0, 5), "a", replace(substring(ten, 0, 5), "a", ten))])
	count(longest) == 253
	fields.shown(longest) == longest
	fields.shown(sprintf("%sa", [longest])) == "(unreadable)"
}

test_pointer if {
	fields.escape("a/b~c") == "a~1b~0c"
	fields.escape("~1") == "~01"
	fields.pointer(["metadata", "annotations", "seawall.dev/x", 0]) == "/metadata/annotations/seawall.dev~1x/0"
	fields.pointer([]) == ""
}
