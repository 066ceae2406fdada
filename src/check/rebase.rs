//! Patches are made on the object with its defaults; shown they are against the manifest as written.

use super::defaults;
use super::manifest::Manifest;
use crate::patch::json::Editor;
use crate::patch::plan::Change;
use crate::patch::record;
use serde_json::Value;

/// A patch of a manifest as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebased {
    /// RFC 6902 operations on the manifest as written.
    pub ops: json_patch::Patch,
    /// The manifest after them.
    pub after: Value,
}

/// The operations that make a manifest what the changes make of its object: the manifest after them, with the API's defaults,
/// is the object after the changes. `None` when nothing has to change.
///
/// The record of patches (annotation) is left out: it is Seawall's to write when the manifest is applied.
#[must_use]
pub fn rebase(manifest: &Manifest, changes: &[Change]) -> Option<Rebased> {
    let patched = without_record(apply(&manifest.object, changes)?);
    let written = &manifest.written;
    let small = || apply_to(Editor::new(written.clone()), changes)?.finish(written).ok();
    let by_difference = |target: Value| Some((json_patch::diff(written, &target), target));
    // a change inside what only the defaults made: what it changes is written out; a change on which defaults depend (the
    // type of a Service): all of them are
    let fuller = || by_difference(with_defaults_of(written, &manifest.object, &patched));
    let full = || by_difference(patched.clone());
    let wanted = defaulted(manifest, &patched);
    let same = |after: &Value| without_record(defaulted(manifest, after)) == wanted;
    let candidates: [&dyn Fn() -> Option<(json_patch::Patch, Value)>; 3] = [&small, &fuller, &full];
    let (ops, after) = candidates.iter().find_map(|candidate| candidate().filter(|(_, after)| same(after)))?;
    (!ops.0.is_empty()).then_some(Rebased { ops, after })
}

fn apply(object: &Value, changes: &[Change]) -> Option<Value> {
    apply_to(Editor::new(object.clone()), changes).map(|editor| editor.object().clone())
}

fn apply_to(mut editor: Editor, changes: &[Change]) -> Option<Editor> {
    for change in changes {
        match &change.to {
            Some(value) => drop(editor.add(&change.pointer, value).ok()?),
            // what only the defaults had is not there to remove
            None if editor.object().pointer(&change.pointer).is_some() => drop(editor.remove(&change.pointer).ok()?),
            None => {}
        }
    }
    Some(editor)
}

fn defaulted(manifest: &Manifest, written: &Value) -> Value {
    let mut object = written.clone();
    manifest.resource.convert(&mut object);
    defaults::apply(&manifest.resource, manifest.id.namespace.as_deref().unwrap_or_default(), &mut object);
    object
}

/// `wanted`, less what equals the defaults and was not written.
fn with_defaults_of(written: &Value, object: &Value, wanted: &Value) -> Value {
    match (written, object, wanted) {
        (_, Value::Object(object), Value::Object(wanted)) => {
            let own = written.as_object();
            let mut kept = serde_json::Map::new();
            // in the order of the manifest, what is new behind it
            let keys = own.into_iter().flat_map(|own| own.keys()).filter(|key| wanted.contains_key(*key));
            let new = wanted.keys().filter(|key| own.is_none_or(|own| !own.contains_key(*key)));
            for key in keys.chain(new) {
                let Some(value) = wanted.get(key) else { continue };
                let (before, here) = (object.get(key), own.and_then(|own| own.get(key)));
                if here.is_none() && before == Some(value) {
                    continue;
                }
                let value = match before {
                    Some(before) => with_defaults_of(here.unwrap_or(&Value::Null), before, value),
                    None => value.clone(),
                };
                kept.insert(key.clone(), value);
            }
            Value::Object(kept)
        }
        (Value::Array(written), Value::Array(object), Value::Array(wanted))
            if written.len() == wanted.len() && object.len() == wanted.len() =>
        {
            let items = written.iter().zip(object).zip(wanted);
            Value::Array(items.map(|((written, object), wanted)| with_defaults_of(written, object, wanted)).collect())
        }
        (written, object, wanted) if object == wanted => written.clone(),
        _ => wanted.clone(),
    }
}

/// The object without the record, and without the annotations and metadata that only held it.
fn without_record(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.shift_remove(record::ANNOTATION);
        if annotations.is_empty() {
            metadata.shift_remove("annotations");
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::input::Input;
    use crate::check::manifest::Manifests;
    use crate::check::yaml::Budget;
    use crate::context::kinds::Kinds;
    use proptest::prelude::*;
    use serde_json::json;
    use std::path::PathBuf;

    fn manifests(text: &str) -> Vec<Manifest> {
        let input = Input::read(&[PathBuf::from("-")], &mut text.as_bytes(), Budget::default());
        Manifests::read(input, &Kinds::default(), "default").objects
    }

    fn set(pointer: &str, value: Value) -> Change {
        Change { policy: "p".into(), pointer: pointer.into(), from: None, to: Some(value) }
    }

    fn remove(pointer: &str) -> Change {
        Change { policy: "p".into(), pointer: pointer.into(), from: None, to: None }
    }

    /// The operations on the manifest, after checking what they promise.
    fn check(manifest: &Manifest, changes: &[Change]) -> Value {
        let wanted = apply(&manifest.object, changes).unwrap();
        let Some(rebased) = rebase(manifest, changes) else {
            assert_eq!(manifest.object, wanted);
            return json!([]);
        };
        let mut after = manifest.written.clone();
        json_patch::patch(&mut after, &rebased.ops).unwrap();
        assert_eq!(after, rebased.after);
        assert_eq!(defaulted(manifest, &after), defaulted(manifest, &wanted), "{:?}", rebased.ops);
        serde_json::to_value(rebased.ops).unwrap()
    }

    const SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: null
  template:
    spec: {containers: [{name: db, image: 'a:1'}]}
";

    #[test]
    fn a_field_inside_a_default_is_written_with_its_parents_only() {
        let set_ = &manifests(SET)[0];
        assert_eq!(
            check(set_, &[set("/spec/persistentVolumeClaimRetentionPolicy/whenScaled", json!("Delete"))]),
            json!([{"op": "add", "path": "/spec/persistentVolumeClaimRetentionPolicy", "value": {"whenScaled": "Delete"}}])
        );
        assert_eq!(
            check(set_, &[set("/spec/updateStrategy/rollingUpdate/partition", json!(1))]),
            json!([{"op": "add", "path": "/spec/updateStrategy", "value": {"rollingUpdate": {"partition": 1}}}])
        );
        assert_eq!(
            check(
                set_,
                &[set("/spec/template/spec/securityContext/fsGroup", json!(1)), set("/spec/replicas", json!(3))]
            ),
            json!([
                {"op": "add", "path": "/spec/template/spec/securityContext", "value": {"fsGroup": 1}},
                {"op": "add", "path": "/spec/replicas", "value": 3},
            ])
        );
    }

    #[test]
    fn removing_a_default_needs_no_operation() {
        let manifests = manifests(SET);
        assert_eq!(rebase(&manifests[0], &[remove("/spec/podManagementPolicy")]), None);
    }

    #[test]
    fn a_change_inside_a_list_that_only_the_defaults_made_writes_the_list() {
        let driver = &manifests("apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nmetadata: {name: d}\nspec: {}\n")[0];
        assert_eq!(
            check(driver, &[set("/spec/volumeLifecycleModes/-", json!("Ephemeral"))]),
            json!([{"op": "add", "path": "/spec/volumeLifecycleModes", "value": ["Persistent", "Ephemeral"]}])
        );
    }

    #[test]
    fn the_record_is_not_part_of_a_manifest() {
        let text = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: a}\nprovisioner: p\n";
        let class = &manifests(text)[0];
        assert_eq!(
            check(class, &[set("/reclaimPolicy", json!("Retain"))]),
            json!([{"op": "add", "path": "/reclaimPolicy", "value": "Retain"}])
        );
    }

    proptest! {
        #[test]
        fn patched_with_defaults_is_defaults_with_patches(
            index in 0_usize..20,
            picks in prop::collection::vec((any::<prop::sample::Index>(), "[a-z]{1,3}", any::<bool>()), 1..5),
        ) {
            let manifests = manifests(include_str!("../../tests/fixtures/defaults/input.yaml"));
            let manifest = &manifests[index % manifests.len()];
            let mut pointers = Vec::new();
            pointers_of(&manifest.object, String::new(), &mut pointers);
            // fields of the object, defaults among them, and new ones beside them
            let mut changes: Vec<Change> = Vec::new();
            for (pick, name, new) in picks {
                let (pointer, leaf) = &pointers[pick.index(pointers.len())];
                let pointer = if new && !leaf { format!("{pointer}/{name}") } else { pointer.clone() };
                let fixed = ["/apiVersion", "/kind", "/metadata"].iter().any(|f| pointer.starts_with(f));
                let inside = |other: &str| pointer.starts_with(other) || other.starts_with(&pointer);
                if !fixed && (*leaf || new) && !changes.iter().any(|c| inside(&c.pointer)) {
                    changes.push(set(&pointer, json!("changed")));
                }
            }
            check(manifest, &changes);
        }
    }

    /// Pointers of an object's fields, and whether each holds a scalar. Objects only: a list's elements keep their number.
    fn pointers_of(value: &Value, at: String, pointers: &mut Vec<(String, bool)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    pointers_of(value, format!("{at}/{}", crate::admission::pointer::escape(key)), pointers);
                }
                pointers.push((at, false));
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers_of(item, format!("{at}/{index}"), pointers);
                }
            }
            _ => pointers.push((at, true)),
        }
    }
}
