//! `--shadow`: what a candidate set would answer is counted and logged, and no answer is another for it.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::serve::{Serve, operations, policy, refused, replicas, review, write};

const COMPARED: &str = "seawall_shadow_compared_total";
const ARGS: [&str; 5] = ["--policies", "policies", "--policies-only", "--shadow", "candidate"];

fn differences(change: &str) -> String {
    format!("seawall_shadow_differences_total{{policy=\"enough-replicas\",change=\"{change}\"}}")
}

/// A folder with an active and a candidate set.
fn folder(active: &[(&str, &str)], candidate: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("policies"), active);
    write(&folder.path().join("candidate"), candidate);
    folder
}

fn start(candidate: &str) -> Serve {
    Serve::start(folder(&[("p.rego", &replicas(3))], &[("p.rego", candidate)]), None, &ARGS)
}

async fn answer(serve: &Serve, replicas: u32) -> Value {
    serve.validate(&review("s-1", json!({"replicas": replicas, "secret": "hunter2"}))).await
}

fn told(serve: &Serve) -> Vec<String> {
    serve.log().lines().filter(|l| l.contains("would answer differently")).map(str::to_owned).collect()
}

#[tokio::test]
async fn differences_are_counted_and_logged_and_the_active_set_answers() {
    let serve = start(&replicas(5));
    // allowed by the active set, denied by the candidate
    for _ in 0..2 {
        let before = serve.metric(COMPARED).await;
        assert_eq!(answer(&serve, 4).await, json!({"uid": "s-1", "allowed": true}));
        serve.metric_exceeds(COMPARED, before).await;
    }
    assert_eq!(serve.metric(&differences("newly-denied")).await, 2.0);
    let lines = told(&serve);
    assert_eq!(lines.len(), 1, "once for a policy, namespace and change: {lines:?}");
    for part in ["enough-replicas", "newly-denied", "shop", "StatefulSet", "orders", "CREATE", "spec.replicas"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(!serve.log().contains("hunter2"));
    // the same to both
    let denied = answer(&serve, 2).await;
    assert_eq!(denied["allowed"], false);
    serve.metric_exceeds(COMPARED, 2.0).await;
    assert_eq!(serve.metric(&differences("newly-denied")).await, 2.0);

    // the candidate changes; a bad one leaves the last good one compared
    let candidate = serve.policies().with_file_name("candidate");
    const RELOADS: &str = "seawall_shadow_policy_reloads_total{result=\"success\"}";
    write(&candidate, &[("p.rego", &replicas(2))]);
    serve.metric_exceeds(RELOADS, 1.0).await;
    assert_eq!(answer(&serve, 2).await["allowed"], false);
    serve.metric_exceeds(&differences("no-longer-denied"), 0.0).await;
    write(&candidate, &[("p.rego", "package broken {")]);
    serve.metric_exceeds("seawall_shadow_policy_reloads_total{result=\"failure\"}", 0.0).await;
    assert!(serve.log().contains("the changed candidate policies were refused"), "{}", serve.log());
    assert_eq!(serve.policies_condition().await, ("ok".to_owned(), String::new()), "the active set is well");
    assert_eq!(answer(&serve, 2).await["allowed"], false);
    serve.metric_exceeds(&differences("no-longer-denied"), 1.0).await;
    assert_eq!(serve.metric("seawall_shadow_dropped_total").await, 0.0);
}

#[tokio::test]
async fn patches_are_compared_where_they_are_made() {
    let patch = |value: u32| {
        let rules = format!(
            "patch contains {{\"op\": \"add\", \"path\": \"/spec/replicas\", \"value\": {value}}} if not input.request.object.spec.replicas"
        );
        policy("enough-replicas", &rules)
            .replace("#   match:", "#   patch: [tier-0, tier-1, tier-2, tier-3]\n#   match:")
    };
    let serve = Serve::start(folder(&[("p.rego", &patch(3))], &[("p.rego", &patch(5))]), None, &ARGS);
    let response = serve.mutate(&review("m-1", json!({}))).await;
    let patched = operations(&response);
    assert!(patched.as_array().unwrap().iter().any(|o| o["path"] == "/spec/replicas" && o["value"] == 3), "{patched}");
    serve.metric_exceeds(&differences("patch-changed"), 0.0).await;
}

#[tokio::test]
async fn a_candidate_that_never_ends_does_no_harm() {
    let endless = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"} if {\n\tl := input.request.object.spec.list\n\tsome a in l\n\tsome b in l\n\tsome c in l\n\tsome d in l\n\ta + b + c + d < 0\n}";
    let candidate = policy("endless", endless);
    let serve = start(&candidate);
    let bad = |number: u32| {
        let spec = json!({"replicas": 3, "list": (0..400).collect::<Vec<u32>>()});
        review(&format!("e-{number}"), spec)
    };
    for number in 0..20 {
        let response = serve.validate(&bad(number)).await;
        assert_eq!(response, json!({"uid": format!("e-{number}"), "allowed": true}));
    }
    assert!(serve.metric(COMPARED).await < 20.0, "no answer waited for the candidate");
    serve.metric_exceeds("seawall_shadow_differences_total{policy=\"endless\",change=\"newly-failing\"}", 0.0).await;
    assert_eq!(answer(&serve, 2).await["allowed"], false);
    assert_eq!(serve.metric("seawall_policy_failures_total{policy=\"endless\",reason=\"timeout\"}").await, 0.0);
}

#[test]
fn a_candidate_that_cannot_be_used_is_refused_at_the_start() {
    let broken = folder(&[("p.rego", &replicas(3))], &[("p.rego", "package broken {")]);
    let output = refused(broken.path(), &ARGS);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--shadow candidate cannot be used") && text.contains("p.rego"), "{text}");
    let output = refused(broken.path(), &["--shadow", "nowhere"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--shadow nowhere cannot be read"), "{text}");
}

/// The candidate is compared under the same configuration; what that says of a policy only the active set has is no mistake.
#[tokio::test]
async fn one_configuration_serves_both_sets() {
    let other = policy(
        "other",
        "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"} if input.request.object.spec.replicas < 9",
    );
    let config = "defaults: {mode: enforce}\npolicies:\n  other: {actions: {tier-2: Audit}}\n";
    let both = folder(&[("p.rego", &replicas(3)), ("o.rego", &other)], &[("p.rego", &replicas(3))]);
    let serve = Serve::start(both, Some(config), &ARGS);
    assert_eq!(answer(&serve, 4).await["allowed"], true);
    serve.metric_exceeds("seawall_shadow_differences_total{policy=\"other\",change=\"no-longer-recorded\"}", 0.0).await;
}
