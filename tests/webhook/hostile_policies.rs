//! Broken and hostile policies, put into the folder of a running server and given to one that starts: each is refused with its
//! place and what to do, and the last good set goes on answering.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::serve::{Serve, policy, refused, replicas, review, write};

const REFUSED: &str = "seawall_policy_reloads_total{result=\"failure\"}";
const TAKEN: &str = "seawall_policy_reloads_total{result=\"success\"}";

/// A violation with this as what is wanted; its rule stands on line 13 of the file, this on line 14.
fn wanting(value: &str) -> String {
    format!(
        "violation contains {{\"msg\": \"m\", \"path\": [], \"wanted\": x, \"fix\": \"f\"}} if {{\n\tx := {value}\n}}"
    )
}

/// Loops that do not end within any time that there is, on whatever object.
fn endless() -> String {
    let numbers = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    format!(
        "numbers := [{numbers}]\n\nviolation contains {{\"msg\": \"m\", \"path\": [], \"wanted\": a, \"fix\": \"f\"}} if {{\n\tsome a in numbers\n\tsome b in numbers\n\tsome c in numbers\n\tsome d in numbers\n\tsome e in numbers\n\ta + b + c + d + e < 0\n}}"
    )
}

const ALWAYS: &str =
    "violation contains {\"msg\": \"no\", \"path\": [], \"wanted\": \"nothing\", \"fix\": \"f\"} if input.request";

const OBJECT: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a, namespace: b}\nspec: {replicas: 5}\n";

/// What is written beside the good policy, and what the operator is told: place, problem, remedy.
/// Its name, its files, and words of the message.
type Hostile = (&'static str, Vec<(&'static str, String)>, [&'static str; 3]);

fn hostile() -> Vec<Hostile> {
    let rego = |rules: &str| vec![("bad/policy.rego", policy("bad", rules))];
    let with_case = |rules: &str, expected: &str| {
        let mut files =
            vec![("bad/cases/one/input.yaml", OBJECT.to_owned()), ("bad/cases/one/expected.yaml", expected.to_owned())];
        files.extend(rego(rules));
        files
    };
    vec![
        ("a syntax error", rego("violation contains {"), ["bad/policy.rego:14:1", "expecting", "correct it there"]),
        (
            "recursion",
            rego(&format!("{}\n\nf(x) := f(x)", wanting("f(1)"))),
            ["bad/policy.rego:17", "calls itself", "use a comprehension"],
        ),
        ("an endless loop", rego(&endless()), ["bad/policy.rego:15", "took longer", "must answer within a second"]),
        (
            "10 MB",
            vec![("bad/policy.rego", replicas(9) + &"#".repeat(10_000_000))],
            ["bad/policy.rego", "has 10", "split it"],
        ),
        (
            "an unknown builtin",
            rego(&wanting("http.send({})")),
            ["bad/policy.rego:14", "http.send is not a permitted builtin", "policies reach nothing"],
        ),
        (
            "two values of one rule",
            rego(&format!("limit := 1\n\nlimit := 2\n\n{}", wanting("limit"))),
            ["bad/policy.rego:17", "conflicts with rule at bad/policy.rego:13", "must answer"],
        ),
        ("a value of the wrong type", rego(&wanting("lower(1)")), ["bad/policy.rego:13", "lower", "must answer"]),
        (
            "a wrong result shape",
            rego("violation contains \"no\" if input.request"),
            ["bad/policy.rego:13", "violation:", "of the shape in docs/policy-format.md"],
        ),
        (
            "a rule that denies everything, with a case that it fulfils",
            with_case(ALWAYS, "violations:\n- path: \"\"\n"),
            ["bad/policy.rego:13", "which a rule that denies everything fulfils too", "add a case"],
        ),
        (
            "a rule that denies everything, with a case that is in order",
            with_case(ALWAYS, "violations: []\n"),
            ["bad/cases/one", "unexpected violation", "change the policy, or what the case expects"],
        ),
    ]
}

fn good() -> String {
    replicas(3)
}

#[tokio::test]
async fn hostile_policies_leave_the_last_good_set_serving() {
    let serve = Serve::with_policies(&[("p/policy.rego", &good())], None);
    let folder = serve.policies();
    let answers = async |name: &str| {
        for (replicas, allowed) in [(2, false), (3, true)] {
            let response = serve.validate(&review("r", json!({"replicas": replicas}))).await;
            assert_eq!(response["allowed"], allowed, "{name}: {response}");
        }
    };
    let told = async |name: &str, parts: &[&str]| {
        let (status, detail) = serve.policies_condition().await;
        assert_eq!(status, "degraded", "{name}");
        for part in parts.iter().chain(&["the last good ones serve"]) {
            assert!(detail.contains(part), "{name}: no {part:?} in {detail}");
        }
        answers(name).await;
    };
    answers("at first").await;
    for (name, files, parts) in hostile() {
        let before = serve.metric(REFUSED).await;
        // beside the folder first, so that no look meets half of it
        let staged = folder.join(".staged");
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        write(&staged, &files);
        std::fs::rename(staged.join("bad"), folder.join("bad")).unwrap();
        serve.metric_exceeds(REFUSED, before).await;
        told(name, &parts).await;
        let before = serve.metric(TAKEN).await;
        std::fs::remove_dir_all(folder.join("bad")).unwrap();
        serve.metric_exceeds(TAKEN, before).await;
        answers(name).await;
    }
    let before = serve.metric(REFUSED).await;
    std::fs::write(folder.join("text.rego"), b"package seawall.policies.text\n\n\xff\n").unwrap();
    serve.metric_exceeds(REFUSED, before).await;
    told("invalid UTF-8", &["text.rego:3: byte 1 of the line is not UTF-8", "save the file as UTF-8"]).await;
    let before = serve.metric(REFUSED).await;
    std::fs::remove_file(folder.join("text.rego")).unwrap();
    symlink(&folder, folder.join("loop")).unwrap();
    // the removal alone may have been seen first
    while serve.metric(REFUSED).await <= before && serve.policies_condition().await.0 != "degraded" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    serve.metric_exceeds(REFUSED, before).await;
    told("a symbolic link that leads back", &["loop", "is a symbolic link that leads back", "remove it"]).await;
    assert!(serve.log().contains("the changed policies were refused"));
}

#[test]
fn a_server_does_not_start_on_hostile_policies() {
    let folder = tempfile::tempdir().unwrap();
    let policies = folder.path().join("policies");
    let refuses = |name: &str, parts: &[&str]| {
        let output = refused(folder.path(), &["--policies", "policies", "--policies-only"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {told}");
        for part in parts {
            assert!(told.contains(part), "{name}: no {part:?} in {told}");
        }
        clear(&policies);
    };
    for (name, files, parts) in hostile() {
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, text.as_str())).collect();
        write(&policies, &[("p/policy.rego", good().as_str())]);
        write(&policies, &files);
        refuses(name, &parts);
    }
    write(&policies, &[("p/policy.rego", good().as_str())]);
    std::fs::write(policies.join("text.rego"), b"package seawall.policies.text\n\xff\n").unwrap();
    refuses("invalid UTF-8", &["text.rego:2: byte 1 of the line is not UTF-8", "save the file as UTF-8"]);
    write(&policies, &[("p/policy.rego", good().as_str())]);
    symlink(&policies, policies.join("loop")).unwrap();
    refuses("a symbolic link that leads back", &["is a symbolic link that leads back", "remove it"]);
}

#[tokio::test]
async fn a_policy_without_cases_is_taken_and_named() {
    let serve = Serve::with_policies(&[("p/policy.rego", &good())], None);
    let log = serve.log();
    assert!(log.contains("policy enough-replicas has no cases") && log.contains("p/policy.rego"), "{log}");
}

fn clear(folder: &Path) {
    std::fs::remove_dir_all(folder).unwrap();
}
