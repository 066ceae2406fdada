//! What a program reads: `schemaVersion` 1.

use crate::rig::check_files;
use serde_json::{Value, json};

fn report(args: &[&str]) -> Value {
    let mut all = args.to_vec();
    all.extend_from_slice(&["--format", "json"]);
    serde_json::from_str(&check_files(&all).stdout).unwrap()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_keys_are_those_of_the_schema() {
    let report = report(&["shop.yaml", "broken.yaml"]);
    assert_eq!(keys(&report), ["schemaVersion", "results", "patches", "unknown", "errors", "summary"]);
    assert_eq!(report["schemaVersion"], "1");
    let result = [
        "policy",
        "checklist",
        "severity",
        "action",
        "effectiveAction",
        "tier",
        "mode",
        "resource",
        "source",
        "path",
        "expandedFrom",
        "message",
        "found",
        "wanted",
        "fix",
        "ratcheted",
    ];
    for row in report["results"].as_array().unwrap() {
        assert_eq!(keys(row), result);
        assert_eq!(keys(&row["resource"]), ["apiVersion", "kind", "namespace", "name"]);
        assert_eq!(keys(&row["source"]), ["file", "line", "column"]);
    }
    assert_eq!(keys(&report["patches"][0]), ["resource", "policies", "ops"]);
    assert_eq!(keys(&report["errors"][0]), ["source", "policy", "message"]);
    assert_eq!(keys(&report["summary"]), ["resources", "deny", "warn", "audit", "patched", "unknown", "errors"]);
}

#[test]
fn a_claim_in_a_template_is_told_with_its_place_in_the_workload() {
    let report = report(&["shop.yaml"]);
    let row = report["results"].as_array().unwrap().iter().find(|row| row["policy"] == "claim-class").unwrap();
    assert_eq!(
        *row,
        json!({
            "policy": "claim-class",
            "checklist": "storage-class",
            "severity": "medium",
            "action": "Warn",
            "effectiveAction": "Warn",
            "tier": "tier-2",
            "mode": "enforce",
            "resource": {"apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "shop", "name": "db"},
            "source": {"file": "shop.yaml", "line": 30, "column": 7},
            "path": "/spec/volumeClaimTemplates/0/spec/storageClassName",
            "expandedFrom": "volumeClaimTemplates[data]",
            "message": "class fast deletes its volumes",
            "found": "fast",
            "wanted": "a class that retains",
            "fix": "name another class",
            "ratcheted": false,
        })
    );
}

#[test]
fn patches_apply_to_the_manifest_as_written() {
    let report = report(&["shop.yaml", "--tier", "tier-0"]);
    let patches = report["patches"].as_array().unwrap();
    assert_eq!(patches[0]["ops"], json!([{"op": "add", "path": "/reclaimPolicy", "value": "Retain"}]));
    assert_eq!(
        patches[1],
        json!({
            "resource": {"apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "shop", "name": "cache"},
            "policies": ["grace-period"],
            "ops": [{"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 120}],
        })
    );
    assert_eq!(report["summary"]["patched"], 2);
}

#[test]
fn a_patch_that_is_not_permitted_says_so() {
    let report = report(&["shop.yaml", "--mode", "warn"]);
    assert_eq!(report["patches"][0]["permitted"], false);
    assert_eq!(report["summary"]["patched"], 0);
}

#[test]
fn effective_actions_are_capped_by_the_mode() {
    let report = report(&["shop.yaml", "--mode", "audit"]);
    for row in report["results"].as_array().unwrap() {
        assert_eq!(row["effectiveAction"], "Audit");
    }
    assert_eq!(report["results"][0]["action"], "Deny");
    assert_eq!(report["summary"]["deny"], 0);
    assert_ne!(report["summary"]["audit"], 0);
}

#[test]
fn unknown_answers_say_what_is_missing() {
    let report = report(&["shop.yaml"]);
    assert_eq!(report["unknown"][0]["policy"], "governing-service");
    assert_eq!(report["unknown"][0]["missing"], "services");
    assert_eq!(report["summary"]["unknown"], report["unknown"].as_array().unwrap().len());
}
