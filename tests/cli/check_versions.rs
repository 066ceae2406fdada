//! Old versions of kinds, and policies that are not registered with an API server.

use crate::rig::{Run, seawall};
use serde_json::Value;
use std::path::Path;

const HEAD: &str = "#   checklist: updates\n#   severity: high\n#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Audit}\n";

/// Says what it sees, so that the test sees it.
const SEEN: &str = "\nviolation contains {\n\t\"msg\": sprintf(\"%s %s\", [input.request.object.apiVersion, input.request.kind.version]),\n\
    \t\"path\": [\"apiVersion\"],\n\t\"wanted\": \"v1\",\n\t\"fix\": \"apiVersion: apps/v1\",\n} if {\n\tinput.request.kind.kind\n}\n";

fn policy(folder: &Path, id: &str, patch: &str, rules: &[&str], body: &str) {
    let package = id.replace('-', "_");
    let rules: String = rules.iter().map(|rule| format!("#   - {rule}\n")).collect();
    let text = format!(
        "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: {id}\n{HEAD}#   patch: {patch}\n#   match:\n{rules}\
         package seawall.policies.{package}\n{body}"
    );
    let file = folder.join(&package).join("policy.rego");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

fn check(folder: &Path, args: &[&str], stdin: &str) -> Run {
    let mut all = vec!["check", "-", "--format", "json", "--policies", folder.to_str().unwrap(), "--policies-only"];
    all.extend_from_slice(args);
    seawall(&all, stdin)
}

fn rows(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    let rows = report["results"].as_array().unwrap().iter();
    rows.map(|row| format!("{} {}", row["policy"].as_str().unwrap(), row["message"].as_str().unwrap())).collect()
}

#[test]
fn an_old_version_is_judged_as_itself_and_as_the_current_one() {
    let folder = tempfile::tempdir().unwrap();
    let old = "{apiGroups: [apps, extensions], apiVersions: [v1beta1], resources: [statefulsets, deployments], operations: [CREATE], registered: false}";
    let new = "{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE]}";
    policy(folder.path(), "old", "[]", &[old], SEEN);
    policy(folder.path(), "new", "[]", &[new], SEEN);
    // a policy that knows both sees what is written
    policy(folder.path(), "both", "[]", &[old, new], SEEN);
    let set = |version: &str, kind: &str| format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
    let run = check(folder.path(), &[], &set("apps/v1beta1", "StatefulSet"));
    assert_eq!(rows(&run), ["both apps/v1beta1 v1beta1", "new apps/v1 v1", "old apps/v1beta1 v1beta1"]);
    assert_eq!(run.stderr, "note: stdin:1:1: apps/v1beta1 StatefulSet is no longer served; judged as apps/v1\n");
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["summary"]["resources"], 1);
    assert_eq!(report["results"][0]["resource"]["apiVersion"], "apps/v1beta1");
    let run = check(folder.path(), &[], &set("extensions/v1beta1", "Deployment"));
    assert_eq!(rows(&run), ["both extensions/v1beta1 v1beta1", "new apps/v1 v1", "old extensions/v1beta1 v1beta1"]);
    let run = check(folder.path(), &[], &set("apps/v1", "StatefulSet"));
    assert_eq!(rows(&run), ["both apps/v1 v1", "new apps/v1 v1"]);
    assert_eq!(run.stderr, "");
}

#[test]
fn patches_of_an_old_version_leave_the_version_alone() {
    let folder = tempfile::tempdir().unwrap();
    let class = "{apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}";
    let body = "\npatch contains {\"op\": \"add\", \"path\": \"/reclaimPolicy\", \"value\": \"Retain\"} if {\n\tinput.request.object\n}\n";
    policy(folder.path(), "retain", "[tier-2]", &[class], body);
    let old = "apiVersion: storage.k8s.io/v1beta1\nkind: StorageClass\nmetadata: {name: a}\nprovisioner: p\n";
    let report: Value = serde_json::from_str(&check(folder.path(), &[], old).stdout).unwrap();
    let ops = serde_json::json!([{"op": "add", "path": "/reclaimPolicy", "value": "Retain"}]);
    assert_eq!(report["patches"][0]["ops"], ops, "{report}");
}

#[test]
fn patches_that_no_tier_wants_wait_for_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let class = "{apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}";
    let body = "\npatch contains {\"op\": \"add\", \"path\": \"/allowVolumeExpansion\", \"value\": true} if {\n\
        \tinput.request.object.allowVolumeExpansion != true\n}\n";
    policy(folder.path(), "expand", "[]", &[class], body);
    let case = folder.path().join("expand/cases/fires");
    std::fs::create_dir_all(&case).unwrap();
    let object = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: a}\nprovisioner: p\nallowVolumeExpansion: ";
    std::fs::write(case.join("input.yaml"), format!("{object}false\n")).unwrap();
    // its cases see the patches all the same
    let patched = format!("{object}true").replace('\n', "\n  ");
    std::fs::write(case.join("expected.yaml"), format!("patched:\n  {patched}\n")).unwrap();
    let patches = |args: &[&str]| -> usize {
        let run = check(folder.path(), args, &format!("{object}false\n"));
        let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
        report["patches"].as_array().unwrap().len()
    };
    assert_eq!(patches(&[]), 0);
    let config = folder.path().join("seawall.yaml.config");
    std::fs::write(&config, "policies: {expand: {patch: [tier-2]}}\n").unwrap();
    let config = config.to_str().unwrap();
    assert_eq!(patches(&["--config", config]), 1);
    assert_eq!(patches(&["--config", config, "--tier", "tier-1"]), 0);
    // and a case that expects none fails
    std::fs::write(case.join("expected.yaml"), "violations: []\n").unwrap();
    let run = check(folder.path(), &[], object);
    assert!(run.stderr.contains("cases/fires") && run.code == 2, "{}", run.stderr);
}
