//! Paths into an object: lists of keys and indices, and their JSON Pointer form (RFC 6901).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write as _;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// An index into a list.
    Index(usize),
    /// A key of an object.
    Key(String),
}

/// A path of keys and indices from the root of an object.
pub type Path = Vec<Step>;

/// The JSON Pointer of a path, for example `/spec/template/spec/containers/0`.
#[must_use]
pub fn to_pointer(path: &[Step]) -> String {
    let mut pointer = String::new();
    for step in path {
        pointer.push('/');
        match step {
            Step::Index(index) => {
                let _ = write!(pointer, "{index}");
            }
            Step::Key(key) => pointer.push_str(&escape(key)),
        }
    }
    pointer
}

/// Escapes one token (`~` to `~0`, `/` to `~1`; RFC 6901 section 3).
#[must_use]
pub fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The tokens of a pointer, unescaped. `None` when it neither is empty nor starts with `/`.
#[must_use]
pub fn tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

/// The value at a path, if there is one.
#[must_use]
pub fn get<'v>(root: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, step| match (value, step) {
        (Value::Object(map), Step::Key(key)) => map.get(key),
        (Value::Array(list), Step::Index(index)) => list.get(*index),
        _ => None,
    })
}

/// The value at a path unless it is null, which is as good as absent.
#[must_use]
pub fn given<'v>(root: &'v Value, path: &[Step]) -> Option<&'v Value> {
    get(root, path).filter(|value| !value.is_null())
}

/// The path with list indices replaced by the element's `name` where it has one: what stays equal when a list is
/// reordered. Used to tell the same violation on the old and on the new object.
#[must_use]
pub fn by_name(root: &Value, path: &[Step]) -> String {
    let mut key = String::new();
    let mut value = Some(root);
    for step in path {
        key.push('/');
        match step {
            Step::Key(name) => {
                key.push_str(&escape(name));
                value = value.and_then(|v| v.get(name));
            }
            Step::Index(index) => {
                let list = value.and_then(Value::as_array);
                value = value.and_then(|v| v.get(*index));
                // a name that an invalid object has twice tells nothing
                let same = |name| list.into_iter().flatten().filter(|e| element_name(Some(e)) == Some(name)).count();
                match element_name(value).filter(|name| same(*name) == 1) {
                    Some(name) => {
                        let _ = write!(key, "[{}]", escape(name));
                    }
                    None => {
                        let _ = write!(key, "{index}");
                    }
                }
            }
        }
    }
    key
}

/// The name by which a list element is known: `name`, or `metadata.name` (volume claim templates).
fn element_name(element: Option<&Value>) -> Option<&str> {
    let element = element?;
    element.get("name").or_else(|| element.get("metadata")?.get("name"))?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pointers_are_escaped() {
        let path = vec![Step::Key("a/b".into()), Step::Index(3), Step::Key("~x".into())];
        assert_eq!(to_pointer(&path), "/a~1b/3/~0x");
        assert_eq!(tokens("/a~1b/3/~0x").unwrap(), ["a/b", "3", "~x"]);
        assert_eq!(tokens("a"), None);
    }

    #[test]
    fn null_is_not_given() {
        let object = json!({"a": null, "b": [1]});
        let at = |key: &str| vec![Step::Key(key.into())];
        assert_eq!(given(&object, &at("a")), given(&object, &at("none")));
        assert_eq!(given(&object, &at("b")), Some(&json!([1])));
    }

    #[test]
    fn names_stand_for_indices() {
        let object = json!({"spec": {"containers": [{"name": "db"}, {}], "vct": [{"metadata": {"name": "data"}}]}});
        let path = |list: &str, i| vec![Step::Key("spec".into()), Step::Key(list.into()), Step::Index(i)];
        assert_eq!(by_name(&object, &path("containers", 0)), "/spec/containers/[db]");
        assert_eq!(by_name(&object, &path("containers", 1)), "/spec/containers/1");
        assert_eq!(by_name(&object, &path("vct", 0)), "/spec/vct/[data]");
        let twice = json!({"spec": {"containers": [{"name": "db"}, {"name": "db"}]}});
        assert_eq!(by_name(&twice, &path("containers", 1)), "/spec/containers/1");
    }
}
