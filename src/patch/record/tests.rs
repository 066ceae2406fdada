use super::*;
use serde_json::json;

/// Patches an object and returns it with its record, as stored after CREATE.
fn created(object: &Value, changes: &[(&str, Value)]) -> Value {
    let mut editor = Editor::new(object.clone());
    let mut made = Vec::new();
    for (pointer, to) in changes {
        let from = editor.add(pointer, to).unwrap();
        made.push(Change { policy: "p".into(), pointer: (*pointer).into(), from, to: Some(to.clone()) });
    }
    let mut record = Record::default();
    record.add(editor.object(), &made);
    record.write(&mut editor).unwrap();
    editor.finish(object).unwrap().1
}

fn updated(old: &Value, new: &Value) -> (Value, Vec<Change>) {
    let mut editor = Editor::new(new.clone());
    let restored = restore(&mut editor, old).unwrap();
    (editor.finish(new).unwrap().1, restored)
}

#[test]
fn the_original_file_again_gives_the_stored_object() {
    let written = json!({"reclaimPolicy": "Delete", "metadata": {"name": "c"}});
    let stored = created(&written, &[("/reclaimPolicy", json!("Retain"))]);
    let (again, restored) = updated(&stored, &written);
    assert_eq!(again, stored);
    assert_eq!(restored[0].pointer, "/reclaimPolicy");
    // also where the annotation is kept and only the value is brought back (client-side apply)
    let mut reverted = stored.clone();
    reverted["reclaimPolicy"] = json!("Delete");
    assert_eq!(updated(&stored, &reverted).0, stored);
    let (same, none) = updated(&stored, &stored);
    assert_eq!((same, none), (stored, vec![]));
}

#[test]
fn list_elements_are_found_by_name() {
    let written = json!({"spec": {"containers": [{"name": "db"}]}});
    let stored = created(&written, &[("/spec/containers/0/readinessProbe", json!({"tcpSocket": {"port": 1}}))]);
    let with_sidecar = json!({"spec": {"containers": [{"name": "new"}, {"name": "db", "image": "x"}]}});
    let (result, _) = updated(&stored, &with_sidecar);
    assert_eq!(result["spec"]["containers"][1]["readinessProbe"]["tcpSocket"]["port"], 1);
    assert!(result["spec"]["containers"][0].get("readinessProbe").is_none());
    // the container is gone, so is its entry
    let (result, restored) = updated(&stored, &json!({"spec": {"containers": [{"name": "other"}]}}));
    assert_eq!((result, restored), (json!({"spec": {"containers": [{"name": "other"}]}}), vec![]));
}

#[test]
fn appended_elements_are_put_back_with_the_defaults_they_got() {
    let written = json!({"spec": {"terms": [{"a": 1}]}});
    let mut stored = created(&written, &[("/spec/terms/-", json!({"b": {"c": 2}}))]);
    stored["spec"]["terms"][1]["b"]["defaulted"] = json!(true);
    let (again, restored) = updated(&stored, &written);
    assert_eq!(again, stored);
    assert_eq!(restored.len(), 1);
    // into a list that the file leaves out
    let (again, _) = updated(&stored, &json!({"spec": {}}));
    assert_eq!(again["spec"]["terms"], json!([{"b": {"c": 2, "defaulted": true}}]));
}

#[test]
fn a_user_lets_go_by_the_annotation_or_by_another_value() {
    let written = json!({"reclaimPolicy": "Delete"});
    let stored = created(&written, &[("/reclaimPolicy", json!("Retain")), ("/other", json!(1))]);
    let mut edited = stored.clone();
    edited["reclaimPolicy"] = json!("Delete");
    edited["metadata"]["annotations"][ANNOTATION] = json!(r#"{"/other":[{"policy":"p"}]}"#);
    let (result, restored) = updated(&stored, &edited);
    assert_eq!((result["reclaimPolicy"].as_str(), restored), (Some("Delete"), vec![]));
    assert_eq!(Record::of(&result).unwrap().0.keys().collect::<Vec<_>>(), ["/other"]);
    let mut chosen = stored.clone();
    chosen["other"] = json!(7);
    let (result, _) = updated(&stored, &chosen);
    assert_eq!(result["other"], 7);
    assert_eq!(Record::of(&result).unwrap().0.keys().collect::<Vec<_>>(), ["/reclaimPolicy"]);
}

#[test]
fn a_made_up_record_is_not_kept() {
    let forged = json!({"metadata": {"annotations": {ANNOTATION: r#"{"/x":[{"policy":"p"}]}"#}}});
    let (result, _) = updated(&json!({"metadata": {}}), &forged);
    assert!(result["metadata"]["annotations"].get(ANNOTATION).is_none());
    // nor can entries be added to or changed in a real one
    let stored = created(&json!({"a": 1}), &[("/a", json!(2))]);
    let mut edited = stored.clone();
    edited["metadata"]["annotations"][ANNOTATION] = json!(r#"{"/a":[{"policy":"p","from":99}],"/x":[{"policy":"p"}]}"#);
    assert_eq!(updated(&stored, &edited).0, stored);
}

#[test]
fn undone_is_as_before_and_tells_what_was_there() {
    let written = json!({"a": "old", "spec": {"containers": [{"name": "db"}], "terms": [{"x": 1}]}});
    let changes =
        [("/a", json!("new")), ("/spec/containers/0/probe", json!({"port": 1})), ("/spec/terms/-", json!({"y": 1}))];
    let stored = created(&written, &changes);
    let record = Record::of(&stored).unwrap();
    let undo = |object: &Value| {
        let mut editor = Editor::new(object.clone());
        let undone = record.clone().undo(&mut editor);
        (editor.object().clone(), undone)
    };
    let (before, undone) = undo(&stored);
    assert_eq!((&before["a"], &before["spec"]), (&written["a"], &written["spec"]));
    assert_eq!(undone, record);
    // what somebody took away since is no longer among it
    let mut edited = stored.clone();
    edited["spec"]["terms"] = json!([{"x": 1}]);
    edited["spec"]["containers"][0]["name"] = json!("other");
    let (_, undone) = undo(&edited);
    assert_eq!(undone.0.keys().collect::<Vec<_>>(), ["/a"]);
}

#[test]
fn only_what_a_second_patching_gives_too_is_kept() {
    let stored = created(&json!({"a": 1, "b": 1}), &[("/a", json!(2)), ("/b", json!(2))]);
    let mut record = Record::of(&stored).unwrap();
    let other = Record::of(&created(&json!({"a": 1, "b": 1}), &[("/a", json!(2)), ("/b", json!(3))])).unwrap();
    record.keep_shared(&stored, &other, &json!({"a": 2, "b": 3}));
    assert_eq!(record.0.keys().collect::<Vec<_>>(), ["/a"]);
    // the API server adds defaults to what was written
    let mut stored = created(&json!({}), &[("/probe", json!({"port": 1}))]);
    let (other, patched) = (Record::of(&stored).unwrap(), stored.clone());
    stored["probe"]["period"] = json!(10);
    let mut record = other.clone();
    record.keep_shared(&stored, &other, &patched);
    assert_eq!(record, other);
}
