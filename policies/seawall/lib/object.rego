# METADATA
# title: Fields of Kubernetes objects
# description: >-
#   Reads fields of objects that may have any shape: a field that is absent or null has the API's default, and a
#   container of the wrong type is as good as absent. A value of the wrong type is returned as it is, so that it
#   equals no value that a rule looks for.
package seawall.lib.object

# field is the value at a path, the fallback where it is absent or null: in Kubernetes null means absent.
field(value, path, fallback) := found if {
	is_object(value)
	found := object.get(value, path, null)
	found != null
} else := fallback

# text is the string at a path, "" where there is none.
text(value, path) := found if {
	is_object(value)
	found := object.get(value, path, "")
	is_string(found)
} else := ""

# list is the array at a path, [] where there is none.
list(value, path) := found if {
	is_object(value)
	found := object.get(value, path, [])
	is_array(found)
} else := []

# dict is the object at a path, {} where there is none.
dict(value, path) := found if {
	is_object(value)
	found := object.get(value, path, {})
	is_object(found)
} else := {}

# shown is a value fit for a message: user data can hold anything until the API server has validated it. (No regular
# expression: repetition with a bound is the slowest of all.)
shown(value) := value if {
	is_string(value)
	value != ""
	count(value) <= 253
	trim(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/:-") == ""
} else := "(unreadable)"

# escape is a key as a part of a JSON Pointer (RFC 6901): `~` first, or the `~` of `~1` would be escaped
# again.
escape(key) := replace(replace(key, "~", "~0"), "/", "~1")

# pointer is the JSON Pointer of a path of keys and indices.
pointer(path) := concat("", [part |
	some step in path
	part := sprintf("/%s", [escape(sprintf("%v", [step]))])
])
