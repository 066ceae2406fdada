//! `seawall replay`: recorded reviews by one set, compared with what was answered, and by two.

use crate::diff::run;
use base64::Engine as _;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const OLD: [&str; 3] = ["--policies", "old", "--policies-only"];

fn review(name: &str, spec: Value, response: Option<Value>) -> Value {
    let mut review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": name, "operation": "CREATE", "namespace": "shop", "name": name,
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "developer"},
        "object": {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name, "namespace": "shop", "labels": {"owner": "x"}},
            "spec": spec}}});
    if let Some(response) = response {
        review["response"] = response;
    }
    review
}

fn grace(seconds: u32) -> Value {
    json!({"replicas": 1, "template": {"spec": {"terminationGracePeriodSeconds": seconds}}})
}

/// One review on each line: as answered by the old set in mode enforce, but for what `db` is told.
fn recorded() -> String {
    let warned = "[grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping gets too little time. found 20; wanted at least 60; fix: terminationGracePeriodSeconds: 60";
    let allowed = json!({"uid": "x", "allowed": true});
    [
        review("web", grace(90), Some(allowed.clone())),
        review("cache", grace(20), Some(json!({"uid": "x", "allowed": true, "warnings": [warned]}))),
        review("db", grace(20), Some(allowed)),
        review("unanswered", grace(90), None),
    ]
    .iter()
    .map(|review| format!("{review}\n"))
    .collect()
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn answers_are_compared_with_those_that_were_recorded() {
    let run = run(&[&["replay", "-", "--mode", "enforce"], &OLD[..]].concat(), &recorded());
    insta::assert_snapshot!(run.stdout, @r"
    policies: old (5 policies)

      policy             deny  warn  audit  patched  unknown  failed
      governing-service     0     0      0        0        4       0
      grace-period          0     2      0        0        0       0
      short-name            1     0      0        0        0       0

      unknown: too little is known of the cluster; give it with --snapshot or --live

    Not as recorded
      CREATE StatefulSet shop/db (stdin#3)
        warnings
          + [grace-period] spec.template.spec.terminationGracePeriodSeconds: stopping gets too little time. found 20; wanted at least 60; fix: terminationGracePeriodSeconds: 60

    4 reviews: 1 denied, 2 warned, 1 allowed; 0 patched; 1 of 3 recorded answers differ
    ");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn two_sets_are_compared_over_recorded_reviews() {
    let new = ["--policies", "new", "--policies-only", "--against", "old"];
    let run_new = run(&[&["replay", "-"], &new[..]].concat(), &recorded());
    insta::assert_snapshot!(run_new.stdout, @r"
    old: old (5 policies)
    new: new (5 policies)

    The sets
      + replica-count  high; Deny, Deny, Deny, Off in tier-0 to tier-3
      - short-name  high; Deny, Deny, Deny, Deny in tier-0 to tier-3
      ~ class-retain
          actions.tier-0  Warn -> Deny
          actions.tier-1  Warn -> Deny
          actions.tier-2  Warn -> Deny
      ~ grace-period
          parameters.seconds  60 -> 120
      ~ owner-label
          rules differ

    Changes for objects
      grace-period
        newly warned       shop                 2 objects
          CREATE StatefulSet shop/web (stdin)
            spec.template.spec.terminationGracePeriodSeconds: stopping gets too little time
          CREATE StatefulSet shop/unanswered (stdin#4)
            spec.template.spec.terminationGracePeriodSeconds: stopping gets too little time
        message only       shop                 2 objects (-v shows them)
      replica-count
        newly denied       shop                 4 objects
          CREATE StatefulSet shop/web (stdin)
            spec.replicas: one Pod is no high availability
          CREATE StatefulSet shop/cache (stdin#2)
            spec.replicas: one Pod is no high availability
          CREATE StatefulSet shop/db (stdin#3)
            spec.replicas: one Pod is no high availability
          CREATE StatefulSet shop/unanswered (stdin#4)
            spec.replicas: one Pod is no high availability
      short-name
        no longer denied   shop                 1 object
          CREATE StatefulSet shop/unanswered (stdin#4)
            metadata.name: the name is long

    not compared: [governing-service] is unknown in both sets, 4 objects: too little is known of services; give them with --snapshot or --live

    Blast radius
      namespace  judged  changed  newly denied  no longer denied  newly warned  no longer warned  defaults
      shop            4        4             3                 0             0                 0         0
      another decision for 3 of 4 objects: 3 newly denied
    ");
    assert_eq!(run_new.code, 1);
    // the same command by its other name
    let diff = ["policy", "diff", "old", "new", "--policies-only", "--reviews", "-"];
    assert_eq!(run(&diff, &recorded()).stdout, run_new.stdout);
    let itself = ["replay", "-", "--policies", "old", "--policies-only", "--against", "old"];
    assert_eq!(run(&itself, &recorded()).code, 0);
}

#[test]
fn labels_that_are_not_known_are_told_and_can_be_given() {
    let folder = tempfile::tempdir().unwrap();
    let labels = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {seawall.dev/mode: enforce}}\n";
    let labels = write(folder.path(), "namespaces.yaml", labels);
    let long = review("too-long", grace(90), Some(json!({"uid": "x", "allowed": true}))).to_string();
    // the default mode is warn: what was allowed without a word is warned of now
    let warned = run(&[&["replay", "-", "--format", "json"], &OLD[..]].concat(), &long);
    let report: Value = serde_json::from_str(&warned.stdout).unwrap();
    assert_eq!((&report["denied"], &report["warned"]), (&json!(0), &json!(1)));
    assert!(
        warned.stderr.contains("the labels of namespace shop are not known, so tier-2 and mode warn hold"),
        "{}",
        warned.stderr
    );
    let denied = run(&[&["replay", "-", "--format", "json", "--snapshot", &labels], &OLD[..]].concat(), &long);
    let report: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!((&report["denied"], denied.stderr.as_str()), (&json!(1), ""));
    let parts = &report["recorded"]["examples"][0]["deviations"];
    let names: Vec<&str> = parts.as_array().unwrap().iter().map(|p| p["part"].as_str().unwrap()).collect();
    assert_eq!(names, ["allowed", "status.code", "status.message"]);
    assert_eq!(parts[0], json!({"part": "allowed", "recorded": ["true"], "now": ["false"]}));
}

#[test]
fn the_patch_of_a_mutating_answer_is_compared() {
    let answer = |value: u32| {
        let patch = json!([{"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": value},
            {"op": "add", "path": "/metadata/annotations", "value": {"seawall.dev/patched": "{}"}}]);
        let patch = base64::engine::general_purpose::STANDARD.encode(patch.to_string());
        json!({"uid": "x", "allowed": true, "patchType": "JSONPatch", "patch": patch})
    };
    let args = [&["replay", "-", "--mode", "enforce"], &OLD[..]].concat();
    let run = run(&args, &review("patch", grace(30), Some(answer(45))).to_string());
    assert!(run.stdout.contains("- replace /spec/template/spec/terminationGracePeriodSeconds 45"), "{}", run.stdout);
    assert!(run.stdout.contains("+ add /spec/template/spec/terminationGracePeriodSeconds 60"), "{}", run.stdout);
    assert!(!run.stdout.contains("    allowed"), "{}", run.stdout);
    assert_eq!(run.code, 1);
}

/// What `serve --record-bodies` writes (its own test shows that it is this), of a policy that denies.
#[test]
fn folders_of_record_bodies_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let kept = "replica-count/create-statefulset-shop-orders";
    let input = "operation: CREATE\nobject:\n  apiVersion: apps/v1\n  kind: StatefulSet\n  metadata: {name: orders, namespace: shop}\n  spec: {replicas: 1}\n";
    write(folder.path(), &format!("{kept}/input.yaml"), input);
    write(folder.path(), &format!("{kept}/context.yaml"), "tier: tier-1\n");
    let expected = write(folder.path(), &format!("{kept}/expected.yaml"), "violations:\n- path: /spec/replicas\n");
    let path = folder.path().to_str().unwrap();
    let new = ["--policies", "new", "--policies-only"];
    let same = run(&[&["replay", path], &new[..]].concat(), "");
    assert!(same.stdout.ends_with("0 of 1 recorded answers differ\n"), "{}", same.stdout);
    assert_eq!(same.code, 0, "{}", same.stderr);
    // the policy is not in the old set
    assert_eq!(run(&[&["replay", path], &OLD[..]].concat(), "").code, 1);
    fs::write(&expected, "violations: []\n").unwrap();
    let other = run(&[&["replay", path, "--format", "json"], &new[..]].concat(), "");
    let report: Value = serde_json::from_str(&other.stdout).unwrap();
    let deviation = &report["recorded"]["examples"][0]["deviations"][0];
    assert_eq!(deviation, &json!({"part": "violations of replica-count", "recorded": [], "now": ["/spec/replicas"]}));
    let both = run(&[&["replay", path, "--against", "old"], &new[..]].concat(), "");
    let denied =
        "  replica-count\n    newly denied       shop                 1 object\n      CREATE StatefulSet shop/orders (";
    assert!(both.stdout.contains(denied), "{}", both.stdout);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let good = review("web", grace(90), None).to_string();
    let event = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Event"}).to_string();
    write(folder.path(), "a.jsonl", &format!("{good}\nnot json\n\n{event}\n{good}\n"));
    write(folder.path(), "b.json", &format!("{good}\n{good} {{\"apiVersion\""));
    let yaml = format!("# a review\n{good}\n");
    write(folder.path(), "c.yaml", &yaml);
    write(folder.path(), "notes.md", "nothing");
    let path = folder.path().to_str().unwrap();
    let run_all = run(&[&["replay", path, "empty"], &OLD[..]].concat(), "");
    let shown = run_all.stdout.replace(path, "DIR");
    assert_eq!(run_all.code, 2);
    for line in [
        "DIR/a.jsonl:2:1: error: is not readable JSON: expected ident at line 1 column 2",
        "DIR/a.jsonl:4:1: error: is audit.k8s.io/v1 Event; wanted admission.k8s.io/v1 AdmissionReview, as the API server sends it to a webhook",
        "empty: error: cannot be read: No such file or directory",
        "what follows was not read",
        "5 reviews: ",
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
    // without a request, and a folder without anything
    let empty = run(
        &[&["replay", "-"], &OLD[..]].concat(),
        "{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\"}",
    );
    assert!(empty.code == 2 && empty.stdout.contains("an AdmissionReview without a request"), "{}", empty.stdout);
    let nothing = tempfile::tempdir().unwrap();
    let run = run(&[&["replay", nothing.path().to_str().unwrap()], &OLD[..]].concat(), "");
    assert!(
        run.code == 2 && run.stdout.contains("holds no recorded review; wanted AdmissionReviews"),
        "{}",
        run.stdout
    );
}
