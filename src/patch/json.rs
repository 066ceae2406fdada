//! Applies operations to raw JSON and keeps the RFC 6902 operations that do the same on the bytes as received.
//!
//! A patch that parses but does not apply is rejected by the API server even with `failurePolicy: Ignore`, so the result
//! is applied to the received object before it is answered.

use crate::admission::pointer;
use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation};
use serde_json::{Map, Value};

/// Why an operation does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Not a JSON Pointer.
    #[error("{0:?} is no JSON Pointer")]
    Pointer(String),
    /// A parent of the value is neither an object nor a list.
    #[error("{path}: {parent} is no object or list")]
    Parent {
        /// The operation's pointer.
        path: String,
        /// Pointer of the parent.
        parent: String,
    },
    /// An index that the list does not have.
    #[error("{0}: no such element")]
    Index(String),
    /// Nothing to remove.
    #[error("{0}: nothing there to remove")]
    Missing(String),
    /// The value is not the one that the policy tests for.
    #[error("{0}: the value is not the tested one")]
    Test(String),
    /// The operations do not give the same object when applied to the original.
    #[error("the patch does not apply to the object as received")]
    Diverged,
}

/// An object being patched, with the operations done so far.
#[derive(Debug, Clone)]
pub struct Editor {
    object: Value,
    operations: Vec<PatchOperation>,
}

impl Editor {
    /// Starts with an object as received.
    #[must_use]
    pub const fn new(object: Value) -> Self {
        Self { object, operations: Vec::new() }
    }

    /// The object as it is now.
    #[must_use]
    pub const fn object(&self) -> &Value {
        &self.object
    }

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.operations.is_empty()
    }

    /// Sets a value (RFC 6902 `add`), making missing or null parents: an object, or a list before `-`. Setting the value
    /// that is there already does nothing. Returns the previous value.
    ///
    /// # Errors
    /// When a parent is neither an object nor a list, or an index is beyond the list.
    pub fn add(&mut self, path: &str, value: &Value) -> Result<Option<Value>, ApplyError> {
        let tokens =
            pointer::tokens(path).filter(|t| !t.is_empty()).ok_or_else(|| ApplyError::Pointer(path.to_owned()))?;
        let previous =
            (tokens.last().map(String::as_str) != Some("-")).then(|| self.object.pointer(path).cloned()).flatten();
        if previous.as_ref() == Some(value) {
            return Ok(previous);
        }
        // the deepest parent that is there; everything below it is made in one operation
        let mut at = 0;
        let mut parent = &self.object;
        let mut prefix = String::new();
        while at + 1 < tokens.len() {
            let Some(token) = tokens.get(at) else { break };
            let child = match parent {
                Value::Object(map) => map.get(token),
                Value::Array(list) => {
                    let element = token.parse::<usize>().ok().and_then(|i| list.get(i));
                    Some(element.ok_or_else(|| ApplyError::Index(format!("{prefix}/{token}")))?)
                }
                _ => return Err(ApplyError::Parent { path: path.to_owned(), parent: prefix }),
            };
            match child {
                None | Some(Value::Null) => break,
                Some(child) => parent = child,
            }
            prefix = format!("{prefix}/{}", pointer::escape(token));
            at += 1;
        }
        if !(parent.is_object() || parent.is_array()) {
            return Err(ApplyError::Parent { path: path.to_owned(), parent: prefix });
        }
        let below = tokens.get(at + 1..).unwrap_or_default();
        let made = below.iter().rev().fold(value.clone(), |value, token| match token.as_str() {
            "-" => Value::Array(vec![value]),
            _ => Value::Object(Map::from_iter([(token.clone(), value)])),
        });
        let target = format!("{prefix}/{}", pointer::escape(tokens.get(at).map(String::as_str).unwrap_or_default()));
        self.emit(PatchOperation::Add(AddOperation { path: parse(&target)?, value: made }))?;
        Ok(previous)
    }

    /// Inserts an element before the one at an index (RFC 6902 `add` on a list).
    ///
    /// # Errors
    /// When there is no such list or index.
    pub fn insert(&mut self, path: &str, value: &Value) -> Result<(), ApplyError> {
        self.emit(PatchOperation::Add(AddOperation { path: parse(path)?, value: value.clone() }))
    }

    /// Removes a value and returns it.
    ///
    /// # Errors
    /// When it is not there.
    pub fn remove(&mut self, path: &str) -> Result<Value, ApplyError> {
        let previous = self.object.pointer(path).cloned().ok_or_else(|| ApplyError::Missing(path.to_owned()))?;
        self.emit(PatchOperation::Remove(RemoveOperation { path: parse(path)? }))?;
        Ok(previous)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// When it is another one.
    pub fn test(&self, path: &str, value: &Value) -> Result<(), ApplyError> {
        if self.object.pointer(path) == Some(value) { Ok(()) } else { Err(ApplyError::Test(path.to_owned())) }
    }

    fn emit(&mut self, operation: PatchOperation) -> Result<(), ApplyError> {
        let path = operation.path().to_string();
        json_patch::patch(&mut self.object, std::slice::from_ref(&operation)).map_err(|_| ApplyError::Index(path))?;
        self.operations.push(operation);
        Ok(())
    }

    /// The operations, after checking that they turn the original into the result.
    ///
    /// # Errors
    /// When they do not.
    pub fn finish(self, original: &Value) -> Result<(Patch, Value), ApplyError> {
        let mut check = original.clone();
        let patch = Patch(self.operations);
        json_patch::patch(&mut check, &patch).map_err(|_| ApplyError::Diverged)?;
        if check == self.object { Ok((patch, self.object)) } else { Err(ApplyError::Diverged) }
    }
}

fn parse(path: &str) -> Result<PointerBuf, ApplyError> {
    PointerBuf::parse(path).map_err(|_| ApplyError::Pointer(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn add(object: Value, path: &str, value: Value) -> Result<Value, ApplyError> {
        let mut editor = Editor::new(object.clone());
        editor.add(path, &value)?;
        Ok(editor.finish(&object)?.1)
    }

    #[test]
    fn missing_parents_are_made() {
        assert_eq!(add(json!({}), "/a/b/c", json!(1)).unwrap(), json!({"a": {"b": {"c": 1}}}));
        assert_eq!(add(json!({"a": null}), "/a/b/-", json!(1)).unwrap(), json!({"a": {"b": [1]}}));
        assert_eq!(add(json!({"a": [1]}), "/a/-", json!(2)).unwrap(), json!({"a": [1, 2]}));
        assert_eq!(add(json!({"a": [{}]}), "/a/0/x~1y", json!(2)).unwrap(), json!({"a": [{"x/y": 2}]}));
        assert_eq!(add(json!({}), "/a/-/b", json!(2)).unwrap(), json!({"a": [{"b": 2}]}));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        assert!(matches!(add(json!({"a": 1}), "/a/b", json!(1)), Err(ApplyError::Parent { .. })));
        assert!(matches!(add(json!({"a": []}), "/a/0/b", json!(1)), Err(ApplyError::Index(_))));
        assert!(matches!(add(json!({}), "a", json!(1)), Err(ApplyError::Pointer(_))));
        assert!(matches!(Editor::new(json!({})).remove("/a"), Err(ApplyError::Missing(_))));
    }

    #[test]
    fn the_same_value_is_no_operation() {
        let mut editor = Editor::new(json!({"a": 1}));
        assert_eq!(editor.add("/a", &json!(1)).unwrap(), Some(json!(1)));
        assert!(editor.is_unchanged());
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z/~é]{0,4}".prop_map(Value::from)
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c/~]{1,2}", inner, 0..4)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_applies_also_applies_to_the_original(object in json_value(), paths in prop::collection::vec(("(/([a-c]{1,2}|~[01]|[01]|-)){1,3}", json_value()), 0..4)) {
            let mut editor = Editor::new(object.clone());
            for (path, value) in &paths {
                if editor.add(path, value).is_ok() && !path.contains("/-/") && !path.ends_with("/-") {
                    prop_assert_eq!(editor.object().pointer(path), Some(value));
                }
            }
            prop_assert!(editor.finish(&object).is_ok());
        }
    }
}
