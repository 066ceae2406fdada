//! What cannot be read is told with its place, and the rest is judged.

use crate::rig::{check, check_files, seawall};

#[test]
fn broken_documents_do_not_silence_the_others() {
    let run = check_files(&["broken.yaml"]);
    insta::assert_snapshot!(run.stdout, @r#"
    broken.yaml:1:1: StorageClass first
      deny    [class-retain] reclaimPolicy: the class deletes volumes with their data
              found   Delete
              wanted  Retain
              fix     reclaimPolicy: Retain
              at      broken.yaml:6:1

    broken.yaml:35:1: StorageClass last
      deny    [class-retain] reclaimPolicy: the class deletes volumes with their data
              found   Delete
              wanted  Retain
              fix     reclaimPolicy: Retain
              at      broken.yaml:40:1

    broken.yaml:12:1: error: not readable as YAML: while parsing a flow mapping, did not find expected ',' or '}'
    broken.yaml:13:1: error: is no Kubernetes object: it has no apiVersion; add it
    broken.yaml:17:1: error: is no Kubernetes object: it has no kind; add it
    broken.yaml:25:40: error: aliases repeat more than 100000 values or 4194304 bytes (an alias bomb?); write them out
    broken.yaml:33:3: error: key "name" is written twice, first at 32:3; keep one

    2 objects: 2 denials, 0 warnings, 0 audited; 0 patched, 0 unknown, 5 errors
    "#);
    assert_eq!((run.code, run.stderr.as_str()), (2, ""));
}

#[test]
fn errors_win_over_violations_and_are_in_the_json() {
    let run = check_files(&["broken.yaml", "--format", "json"]);
    assert_eq!(run.code, 2);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["summary"]["errors"], 5);
    assert_eq!(report["summary"]["deny"], 2);
    assert_eq!(report["errors"][1]["source"], serde_json::json!({"file": "broken.yaml", "line": 13, "column": 1}));
    assert_eq!(report["errors"][1]["policy"], serde_json::Value::Null);
}

#[test]
fn a_file_that_is_not_there_or_holds_nothing() {
    let run = check(&["missing.yaml", "clean.yaml", "-"], "# nothing\n");
    insta::assert_snapshot!(run.stdout, @r"
    missing.yaml:1:1: error: cannot be read: No such file or directory (os error 2)
    stdin:1:1: error: holds no Kubernetes object; nothing was checked

    1 object: 0 denials, 0 warnings, 0 audited; 0 patched, 0 unknown, 2 errors
    ");
    assert_eq!(run.code, 2);
}

#[test]
fn a_policy_that_fails_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("broken_rule/policy.rego");
    std::fs::create_dir_all(policy.parent().unwrap()).unwrap();
    let text = std::fs::read_to_string(crate::rig::fixtures().join("policies/class_retain/policy.rego")).unwrap();
    let text = text.replace("class-retain", "broken-rule").replace("class_retain", "broken_rule");
    let text = text.replace("\"wanted\": \"Retain\",\n", "");
    std::fs::write(&policy, text).unwrap();
    let run = seawall(&["check", "shop.yaml", "--policies", folder.path().to_str().unwrap(), "--policies-only"], "");
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stdout.contains("shop.yaml:2:1: error: [broken-rule] "), "{}", run.stdout);
}

#[test]
fn a_policy_folder_that_is_broken_is_told() {
    let run = seawall(&["check", "shop.yaml", "--policies", "app", "--policies-only"], "");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("seawall: the policies cannot be read: "), "{}", run.stderr);
}

#[test]
fn wrong_words_on_the_command_line() {
    let run = check_files(&["shop.yaml", "--mode", "enforced"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("wanted one of enforce, warn, audit, off, from-labels"), "{}", run.stderr);
    let run = check_files(&["shop.yaml", "--tier", "gold"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("wanted one of tier-0, tier-1, tier-2, tier-3"), "{}", run.stderr);
    assert_eq!(seawall(&["check"], "").code, 2);
    assert_eq!(seawall(&["check", "shop.yaml", "--policies-only"], "").code, 2);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_an_error() {
    let run = check_files(&["clean.yaml", "--snapshot", "missing.yaml"]);
    assert_eq!(run.code, 2);
    assert!(run.stdout.contains("missing.yaml:1:1: error: cannot be read: "), "{}", run.stdout);
}
