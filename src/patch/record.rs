//! What was patched, in the annotation `seawall.dev/patched`, and putting it back on UPDATE.
//!
//! Without this, the second `kubectl apply` or `replace` of the original file takes a default away again: an error where
//! the field is immutable, a rolling restart where it is in a Pod template.
//!
//! The annotation is a JSON object: pointer (list elements by their name, `/spec/containers/[db]/readinessProbe`) to a list
//! of `{"policy", "from"?, "appended"?}`: a value has one, a list may have got elements from several policies. `from` is the value before, left out where there was none. `appended` is the element
//! that was added to the list at the pointer.

use super::json::{ApplyError, Editor};
use super::plan::Change;
use crate::admission::pointer;
use crate::admission::request::annotation;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The annotation.
pub const ANNOTATION: &str = "seawall.dev/patched";

/// Its pointer.
pub const ANNOTATION_POINTER: &str = "/metadata/annotations/seawall.dev~1patched";

/// Largest record; the API server bounds all annotations of an object to 256 KiB.
const LARGEST: usize = 64 * 1024;

/// What is remembered of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The policy that made it.
    pub policy: String,
    /// The value before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The element that was appended to the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appended: Option<Value>,
}

/// All changes that are still held, by pointer. Several elements may have been appended to one list.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(BTreeMap<String, Vec<Entry>>);

impl Record {
    /// The record of an object. `None` when the annotation is missing or unreadable.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let text = annotation(object, ANNOTATION).filter(|text| text.len() <= LARGEST)?;
        serde_json::from_str(text).ok()
    }

    /// Adds changes that were made to `object`.
    pub fn add(&mut self, object: &Value, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.to.is_some()) {
            let (pointer, appended) = match change.pointer.strip_suffix("/-") {
                Some(list) => (list, change.to.clone()),
                None => (change.pointer.as_str(), None),
            };
            // null is absent, and JSON cannot tell the two apart here
            let from = change.from.clone().filter(|from| !from.is_null());
            let entry = Entry { policy: change.policy.clone(), from, appended };
            let entries = self.0.entry(named(object, pointer)).or_default();
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
    }

    /// Takes the recorded changes out of an object: back to what it was before them. Returns those that could be taken out;
    /// what is not there, or cannot have been written, is left.
    #[must_use]
    pub fn undo(self, editor: &mut Editor) -> Self {
        let undone = |editor: &mut Editor, named: &str, entry: &Entry| {
            let pointer = indexed(editor.object(), named)?;
            match (&entry.appended, &entry.from) {
                (Some(element), _) => {
                    let list = editor.object().pointer(&pointer)?.as_array()?;
                    let place = list.iter().rposition(|candidate| covers(candidate, element))?;
                    editor.remove(&format!("{pointer}/{place}")).map(drop).ok()
                }
                (None, Some(from)) => editor.add(&pointer, from).map(drop).ok(),
                (None, None) => editor.remove(&pointer).map(drop).ok(),
            }
        };
        let mut record = Self::default();
        for (named, entries) in self.0 {
            for entry in entries {
                if undone(editor, &named, &entry).is_some() {
                    record.0.entry(named.clone()).or_default().push(entry);
                }
            }
        }
        record
    }

    /// Keeps what another record has, too, where the object has there what the other object has. The API server may have added
    /// defaults to it.
    pub fn keep_shared(&mut self, object: &Value, other: &Self, of: &Value) {
        self.0.retain(|named, entries| {
            let at = |object: &Value| indexed(object, named).and_then(|pointer| object.pointer(&pointer).cloned());
            let same = at(object).zip(at(of)).is_some_and(|(here, there)| covers(&here, &there));
            let others = other.0.get(named);
            entries.retain(|entry| {
                (same || entry.appended.is_some()) && others.is_some_and(|others| others.contains(entry))
            });
            !entries.is_empty()
        });
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn text(&self) -> Option<String> {
        serde_json::to_string(self).ok().filter(|text| text.len() <= LARGEST)
    }

    /// Writes the record into the object, or removes the annotation where nothing is held.
    ///
    /// # Errors
    /// When the annotations cannot be written.
    pub fn write(&self, editor: &mut Editor) -> Result<(), ApplyError> {
        match self.text().filter(|_| !self.is_empty()) {
            Some(text) => editor.add(ANNOTATION_POINTER, &Value::String(text)).map(drop),
            None if editor.object().pointer(ANNOTATION_POINTER).is_some() => {
                editor.remove(ANNOTATION_POINTER).map(drop)
            }
            None => Ok(()),
        }
    }
}

/// Puts back, on UPDATE, what the old object's record holds and the new object leaves out or has as it was before the
/// patch. A pointer that the user took out of the annotation, or whose value the user set to something else, is let go.
/// Returns what was put back.
///
/// # Errors
/// When the result cannot be written; the caller drops the whole restore then.
pub fn restore(editor: &mut Editor, old: &Value) -> Result<Vec<Change>, ApplyError> {
    let Some(held) = Record::of(old) else {
        // nothing was patched; a record that the user made up is not kept
        if Record::default() != Record::of(editor.object()).unwrap_or_default() {
            editor.remove(ANNOTATION_POINTER)?;
        }
        return Ok(Vec::new());
    };
    let kept_by_user = Record::of(editor.object());
    let mut restored = Vec::new();
    let mut record = Record::default();
    for (pointer, entries) in held.0 {
        // an annotation that is missing altogether was left out of a file, not edited
        if kept_by_user.as_ref().is_some_and(|kept| !kept.0.contains_key(&pointer)) {
            continue;
        }
        for entry in entries {
            let held = match &entry.appended {
                Some(element) => restore_element(editor, old, &pointer, element)?,
                None => restore_value(editor, old, &pointer, &entry)?,
            };
            if let Some(change) = held {
                restored.extend(change.map(|change| Change { policy: entry.policy.clone(), ..change }));
                record.0.entry(pointer.clone()).or_default().push(entry);
            }
        }
    }
    record.write(editor)?;
    Ok(restored)
}

/// `None`: let go. `Some(None)`: still as patched. `Some(Some)`: put back.
type Held = Option<Option<Change>>;

fn restore_value(editor: &mut Editor, old: &Value, named: &str, entry: &Entry) -> Result<Held, ApplyError> {
    let old_pointer = indexed(old, named);
    let Some(patched) = old_pointer.and_then(|p| old.pointer(&p)) else { return Ok(None) };
    // the element of a list that it belongs to is gone
    let Some(pointer) = indexed(editor.object(), named) else { return Ok(None) };
    let current = editor.object().pointer(&pointer).filter(|v| !v.is_null());
    if current == Some(patched) {
        return Ok(Some(None));
    }
    if current.is_some() && current != entry.from.as_ref() {
        return Ok(None);
    }
    let from = current.cloned();
    editor.add(&pointer, patched)?;
    Ok(Some(Some(Change { policy: String::new(), pointer, from, to: Some(patched.clone()) })))
}

fn restore_element(editor: &mut Editor, old: &Value, named: &str, element: &Value) -> Result<Held, ApplyError> {
    // the API server may have added defaults to the element
    let same = |candidate: &&Value| covers(candidate, element);
    let patched = indexed(old, named).and_then(|p| old.pointer(&p)?.as_array()?.iter().find(same));
    let Some(patched) = patched else { return Ok(None) };
    let Some(pointer) = indexed(editor.object(), named) else { return Ok(None) };
    let list = editor.object().pointer(&pointer).and_then(Value::as_array);
    if list.is_some_and(|list| list.iter().any(|candidate| covers(candidate, element))) {
        return Ok(Some(None));
    }
    // at its old place where the other elements allow it, so that the whole list is as it was
    let place = indexed(old, named).and_then(|p| old.pointer(&p)?.as_array()?.iter().position(|c| c == patched));
    let at = match (place, list.map(Vec::len)) {
        (Some(place), Some(length)) if place < length => format!("{pointer}/{place}"),
        _ => format!("{pointer}/-"),
    };
    if at.ends_with("/-") {
        editor.add(&at, patched)?;
    } else {
        editor.insert(&at, patched)?;
    }
    Ok(Some(Some(Change { policy: String::new(), pointer: at, from: None, to: Some(patched.clone()) })))
}

/// Whether a value has everything that another has.
fn covers(value: &Value, part: &Value) -> bool {
    match (value, part) {
        (Value::Object(value), Value::Object(part)) => {
            part.iter().all(|(key, part)| value.get(key).is_some_and(|value| covers(value, part)))
        }
        (Value::Array(value), Value::Array(part)) => {
            value.len() == part.len() && value.iter().zip(part).all(|(v, p)| covers(v, p))
        }
        _ => value == part,
    }
}

/// A pointer with indices of named list elements replaced by `[name]`.
fn named(object: &Value, pointer: &str) -> String {
    let tokens = pointer::tokens(pointer).unwrap_or_default();
    let mut value = Some(object);
    let path: Vec<pointer::Step> = tokens
        .into_iter()
        .map(|token| {
            let step = match (value, token.parse()) {
                (Some(Value::Array(_)), Ok(index)) => pointer::Step::Index(index),
                _ => pointer::Step::Key(token.clone()),
            };
            value = value.and_then(|v| pointer::get(v, std::slice::from_ref(&step)));
            step
        })
        .collect();
    pointer::by_name(object, &path)
}

/// The pointer of a named pointer in an object. `None` when a named element is not there.
fn indexed(object: &Value, named: &str) -> Option<String> {
    let mut pointer = String::new();
    let mut value = Some(object);
    for token in named.split('/').skip(1) {
        let list = value.and_then(Value::as_array);
        let name = token.strip_prefix('[').and_then(|t| t.strip_suffix(']')).filter(|_| list.is_some());
        let token = match name {
            Some(name) => {
                let name = name.replace("~1", "/").replace("~0", "~");
                let is_it = |e: &Value| {
                    e.get("name").or_else(|| e.get("metadata")?.get("name")).and_then(Value::as_str) == Some(&name)
                };
                list?.iter().position(is_it)?.to_string()
            }
            None if token.starts_with('[') => return None,
            None => token.to_owned(),
        };
        pointer = format!("{pointer}/{token}");
        value = object.pointer(&pointer);
    }
    Some(pointer)
}

#[cfg(test)]
mod tests;
