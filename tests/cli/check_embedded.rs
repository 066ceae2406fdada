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

#[test]
fn the_catalogue_of_the_embedded_policies() {
    let classes = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: fast\n  labels: {seawall.dev/supported: 'true', \
        seawall.dev/workload-profile: oltp}\n  annotations: {kubernetes.io/description: for databases}\nprovisioner: ebs.csi.aws.com\n\
        reclaimPolicy: Retain\nallowVolumeExpansion: true\nparameters: {encrypted: 'true'}\n---\napiVersion: storage.k8s.io/v1\n\
        kind: StorageClass\nmetadata:\n  name: loose\n  labels: {seawall.dev/supported: 'true'}\nprovisioner: ebs.csi.aws.com\n";
    let run = seawall(&["policy", "catalogue", "-"], classes);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(run.stdout, @r"
    Classes that a claim may use, best first

    tier-0
      analytics  none
      cache      none
      general    none
      oltp       fast
      queue      none
      vector     none

    tier-1
      analytics  none
      cache      none
      general    none
      oltp       fast
      queue      none
      vector     none

    tier-2
      analytics  loose
      cache      loose
      general    loose
      oltp       fast, loose
      queue      loose
      vector     loose

    tier-3
      analytics  loose
      cache      loose
      general    loose
      oltp       fast, loose
      queue      loose
      vector     loose

    fast   ebs.csi.aws.com, Retain, can be expanded, encrypted, by label
           for databases
    loose  ebs.csi.aws.com, Delete, cannot be expanded, not encrypted, by label
    ");
    let json = seawall(&["policy", "catalogue", "-", "--format", "json"], classes);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let row =
        document["rows"].as_array().unwrap().iter().find(|r| r["tier"] == "tier-2" && r["profile"] == "oltp").unwrap();
    let loose = serde_json::json!({"name": "loose", "description": "", "provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Delete",
        "expansion": false, "encrypted": false, "source": "label", "exists": true});
    assert_eq!(row["classes"][1], loose);
}
