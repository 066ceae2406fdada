//! A file and the object that the API server makes of it get the same verdict.

use crate::rig::{fixtures, seawall};
use serde_json::Value;

/// Results without what may differ: the place in the file.
fn results(args: &[&str], stdin: &str) -> Vec<Value> {
    let mut all = vec!["check", "-", "--format", "json"];
    all.extend_from_slice(args);
    let run = seawall(&all, stdin);
    let mut report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    assert_eq!(report["errors"], serde_json::json!([]));
    let list = |value: &mut Value| value.as_array_mut().unwrap().drain(..).collect::<Vec<Value>>();
    let mut rows = list(&mut report["results"]);
    rows.extend(list(&mut report["unknown"]));
    // operations differ: only one of the two has the defaults written out
    rows.extend(list(&mut report["patches"]));
    for row in &mut rows {
        let row = row.as_object_mut().unwrap();
        row.remove("source");
        row.remove("ops");
    }
    rows
}

fn compare(args: &[&str]) {
    let folder = fixtures().join("../defaults");
    let written = std::fs::read_to_string(folder.join("input.yaml")).unwrap();
    // written by Kubernetes itself, see src/check/defaults
    let stored = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    for tier in ["tier-0", "tier-1", "tier-2", "tier-3"] {
        let mut all = args.to_vec();
        all.extend_from_slice(&["--tier", tier]);
        let (written, stored) = (results(&all, &written), results(&all, &stored));
        assert_eq!(written, stored, "{tier}");
        assert!(tier == "tier-3" || !written.is_empty(), "{tier}: nothing to compare");
    }
}

#[test]
fn by_the_policies_of_the_fixtures() {
    compare(&["--policies", "policies", "--policies-only"]);
    compare(&["--policies", "policies", "--policies-only", "--mode", "warn"]);
}

#[test]
fn by_the_embedded_policies() {
    compare(&[]);
    compare(&["--mode", "warn"]);
}
