//! The policies in the binary, on a file as a developer has it.

use crate::rig::{fixtures, seawall};
use seawall::check::document;
use seawall::check::yaml::Budget;
use serde_json::Value;

fn written() -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join("shop.yaml")).unwrap();
    document::read(&text, Budget::default()).into_iter().map(|read| read.unwrap().value).collect()
}

fn report(args: &[&str], stdin: &str) -> Value {
    let mut all = vec!["check", "--format", "json"];
    all.extend_from_slice(args);
    let run = seawall(&all, stdin);
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr))
}

#[test]
fn a_class_that_deletes_is_patched_or_denied() {
    let run = seawall(&["check", "shop.yaml", "--tier", "tier-1"], "");
    assert!(run.stdout.contains("class-reclaim-retain] safe defaults, written"), "{}", run.stdout);
    assert!(run.stdout.lines().any(|line| line == "    +reclaimPolicy: Retain"), "{}", run.stdout);
    let report = report(&["shop.yaml", "--tier", "tier-1", "--mode", "warn"], "");
    let rows = report["results"].as_array().unwrap();
    let row = rows.iter().find(|row| row["policy"] == "class-reclaim-retain").unwrap();
    assert_eq!((row["action"].as_str(), row["effectiveAction"].as_str()), (Some("Deny"), Some("Warn")));
    assert_eq!(row["path"], "/reclaimPolicy");
    // nothing is written at the path, so the place is the object's
    assert_eq!(row["source"], serde_json::json!({"file": "shop.yaml", "line": 2, "column": 1}));
}

#[test]
fn a_manifest_with_its_patches_written_needs_none() {
    for tier in ["tier-0", "tier-1", "tier-2", "tier-3"] {
        let first = report(&["shop.yaml", "--tier", tier], "");
        let mut objects = written();
        for patch in first["patches"].as_array().unwrap() {
            let ops: json_patch::Patch = serde_json::from_value(patch["ops"].clone()).unwrap();
            let name = &patch["resource"]["name"];
            let object = objects.iter_mut().find(|o| o["metadata"]["name"] == *name).unwrap();
            json_patch::patch(object, &ops).unwrap();
        }
        let text: String = objects.iter().map(|object| format!("{object}\n")).collect();
        let second = report(&["-", "--tier", tier], &text);
        assert_eq!(second["patches"], serde_json::json!([]), "{tier}");
        let rows = |report: &Value| -> Vec<String> {
            let rows = report["results"].as_array().unwrap().iter();
            rows.map(|row| format!("{} {} {}", row["policy"], row["resource"]["name"], row["path"])).collect()
        };
        assert_eq!(rows(&first), rows(&second), "{tier}");
    }
}
