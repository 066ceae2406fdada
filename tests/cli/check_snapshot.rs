//! What is known of a cluster: snapshots that say what is in them, and files that do not.

use crate::rig::{Run, binary, check, seawall};
use serde_json::Value;
use std::io::Write as _;

const SET: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\nspec:\n  serviceName: db\n  \
    selector: {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n    spec:\n      \
    terminationGracePeriodSeconds: 120\n      containers: [{name: a, image: b}]\n";

const SERVICE: &str =
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\nspec: {clusterIP: None}\n";

fn header(rows: &str) -> String {
    format!(
        "apiVersion: seawall.dev/v1alpha1\nkind: Snapshot\ntakenAt: 2026-01-15T12:00:00Z\ntakenBy: seawall 0.1.0\n\
         serverVersion: v1.35.4\n{rows}"
    )
}

/// Judges the set beside a snapshot, by the policies of the fixtures: `governing-service` needs services.
fn beside(snapshot: &str, stdin: &str) -> (Value, Run) {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(snapshot.as_bytes()).unwrap();
    let run = check(&["-", "--format", "json", "--snapshot", file.path().to_str().unwrap()], stdin);
    (serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr)), run)
}

fn policies(report: &Value, list: &str) -> Vec<String> {
    let rows = report[list].as_array().unwrap().iter();
    let mut names: Vec<String> = rows.map(|row| row["policy"].as_str().unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn a_kind_without_objects_in_a_snapshot_is_empty_and_not_unknown() {
    let (report, _) = beside(&header("kinds:\n- {resource: services, objects: 0, namespaced: true}\n"), SET);
    assert_eq!(policies(&report, "results"), ["governing-service"]);
    assert!(!policies(&report, "unknown").contains(&"governing-service".to_owned()));
    let with = header("kinds:\n- {resource: services, objects: 1, namespaced: true}\n") + SERVICE;
    let (report, _) = beside(&with, SET);
    assert_eq!(policies(&report, "results"), [] as [&str; 0]);
}

#[test]
fn a_kind_that_could_not_be_read_is_unknown_and_not_empty() {
    let rows = "kinds: []\nmissing:\n- {resource: services, reason: services is forbidden}\n";
    // whatever the input has of it: the cluster may have more
    for input in [SET.to_owned(), format!("{SET}{SERVICE}")] {
        let (report, run) = beside(&header(rows), &input);
        assert_eq!(policies(&report, "results"), [] as [&str; 0]);
        assert_eq!(policies(&report, "unknown"), ["governing-service"]);
        let note = "note: services: could not be read (services is forbidden); policies that need it answer unknown\n";
        assert!(run.stderr.contains(note), "{}", run.stderr);
    }
    // one that the snapshot never heard of neither
    let (report, run) = beside(&header("kinds: []\n"), SET);
    assert_eq!(policies(&report, "unknown"), ["governing-service"]);
    assert!(run.stderr.contains("services: not in the snapshot"), "{}", run.stderr);
}

#[test]
fn a_snapshot_of_some_namespaces_says_nothing_of_others() {
    let rows = "kinds:\n- {resource: services, objects: 0, namespaced: true, namespaces: [shop]}\n";
    let (report, run) = beside(&header(rows), SET);
    assert_eq!(policies(&report, "results"), ["governing-service"]);
    assert!(!run.stderr.contains("services"), "{}", run.stderr);
    let (report, run) = beside(&header(rows), &SET.replace("namespace: shop", "namespace: pay"));
    assert_eq!(policies(&report, "results"), [] as [&str; 0]);
    assert_eq!(policies(&report, "unknown"), ["governing-service"]);
    assert!(run.stderr.contains("services: read in namespace shop only"), "{}", run.stderr);
}

#[test]
fn a_snapshot_that_is_cut_off_or_of_another_version_is_an_error() {
    let cut = header("kinds:\n- {resource: services, objects: 2, namespaced: true}\n") + SERVICE;
    let (report, run) = beside(&cut, SET);
    assert_eq!(run.code, 2);
    assert!(report["errors"][0]["message"].as_str().unwrap().contains("speaks of 2 services and has 1"), "{report}");
    let newer = header("kinds: []\n").replace("v1alpha1", "v2");
    let (report, run) = beside(&newer, SET);
    assert_eq!(run.code, 2);
    assert!(report["errors"][0]["message"].as_str().unwrap().contains("seawall.dev/v2"), "{report}");
}

#[test]
fn a_cluster_that_is_not_there_is_told() {
    let command = |args: &[&str]| {
        // few policies load faster
        let policies = ["--policies", "policies", "--policies-only"];
        let output = binary().args(args).args(policies).env("HOME", "/nonexistent").write_stdin(SET).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for args in [&["check", "-", "--live"][..], &["snapshot"]] {
        let (code, stderr) = command(args);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("no cluster: ") && stderr.contains("--kubeconfig"), "{stderr}");
    }
    let (code, stderr) = command(&["check", "-", "--kubeconfig", "/nonexistent/config"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the kubeconfig /nonexistent/config cannot be used"), "{stderr}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        users: [{name: a, user: {}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n";
    file.write_all(config.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let (code, stderr) = command(&["snapshot", "--kubeconfig", path]);
    assert_eq!(code, 2);
    assert!(stderr.contains("the cluster cannot be read: the API server cannot be reached"), "{stderr}");
    let (code, stderr) = command(&["check", "-", "--kubeconfig", path, "--context", "other"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("other"), "{stderr}");
    assert_eq!(seawall(&["check", "-", "--context"], SET).code, 2);
}
