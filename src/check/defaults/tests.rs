use super::*;
use crate::check::document;
use crate::check::yaml::Budget;
use crate::context::kinds::Kinds;

fn fill(mut object: Value) -> Value {
    let text = |key: &str| object[key].as_str().unwrap().to_owned();
    let resource = Kinds::default().resolve(&text("apiVersion"), &text("kind"));
    apply(&resource, "default", &mut object);
    object
}

/// What no policy can mean: nulls, empty objects, `status`, zero values of fields that Go always writes.
fn prune(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.shift_remove("status");
            // made by the conversion of DaemonSets, not by their defaults
            map.shift_remove("deprecated.daemonset.template.generation");
            map.values_mut().for_each(prune);
            map.retain(|_, value| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty()));
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// `expected.jsonl` was written by the defaulting functions of Kubernetes v1.35.4.
#[test]
fn defaults_are_those_of_the_api_server() {
    let input = include_str!("../../../tests/fixtures/defaults/input.yaml");
    let wanted = include_str!("../../../tests/fixtures/defaults/expected.jsonl");
    let objects: Vec<Value> =
        document::read(input, Budget::default()).into_iter().map(|read| read.unwrap().value).collect();
    assert_eq!(objects.len(), wanted.lines().count());
    for (object, wanted) in objects.into_iter().zip(wanted.lines()) {
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        let mut wanted: Value = serde_json::from_str(wanted).unwrap();
        let mut found = fill(object);
        prune(&mut wanted);
        prune(&mut found);
        let text = |value: &Value| {
            let mut value = value.clone();
            value.sort_all_objects();
            serde_json::to_string_pretty(&value).unwrap()
        };
        let diff = similar::TextDiff::from_lines(&text(&wanted), &text(&found)).unified_diff().to_string();
        assert!(diff.is_empty(), "{name}: - Kubernetes, + Seawall\n{diff}");
    }
}

#[test]
fn a_second_time_changes_nothing() {
    for read in document::read(include_str!("../../../tests/fixtures/defaults/input.yaml"), Budget::default()) {
        let once = fill(read.unwrap().value);
        assert_eq!(fill(once.clone()), once);
    }
}

#[test]
fn objects_of_other_shapes_are_left_alone() {
    for spec in [json!(5), json!([]), json!({"template": 5, "volumeClaimTemplates": {}, "updateStrategy": "x"})] {
        let object = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": "x", "spec": spec});
        let filled = fill(object);
        assert_eq!(filled["metadata"], "x");
    }
    let custom = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": null});
    let filled = fill(custom);
    assert_eq!(filled["spec"], Value::Null);
    assert_eq!(filled["metadata"]["namespace"], "default");
}
