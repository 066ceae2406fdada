//! A policy that never ends, one whose builtin fails, one whose result cannot be read, beside a good one: each is its own
//! failure, answered by its own action and named.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::serve::{Serve, policy_with, replicas, review};

const ENDLESS: &str = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"} if {\n\tl := input.request.object.spec.list\n\tsome a in l\n\tsome b in l\n\tsome c in l\n\tsome d in l\n\ta + b + c + d < 0\n}";
const FAILING: &str = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": 1, \"fix\": \"f\"} if {\n\tnumber := input.request.object.spec.number\n\tnot lower(number)\n}";
const UNREADABLE: &str = "violation contains \"just a text\" if input.request.object.spec.number";

/// A case on which the policy is silent; with one the fast engine answers, without the interpreter.
const QUIET: [(&str, &str); 2] = [
    (
        "input.yaml",
        "operation: CREATE\nobject: {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a, namespace: b}, spec: {list: [], number: \"x\"}}\n",
    ),
    ("expected.yaml", "violations: []\n"),
];

/// The three bad policies with these actions, and the good one, which denies fewer than three replicas.
fn start(action: &str, cases: bool, config: &str) -> Serve {
    let mut files = vec![("good/policy.rego".to_owned(), replicas(3))];
    for (id, rules) in [("endless", ENDLESS), ("failing", FAILING), ("unreadable", UNREADABLE)] {
        files.push((format!("{id}/policy.rego"), policy_with(id, action, rules)));
        // the unreadable one is not silent on a number, and a case may not fail
        for (name, text) in QUIET.iter().filter(|_| cases && id != "unreadable") {
            files.push((format!("{id}/cases/quiet/{name}"), (*text).to_owned()));
        }
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(f, t)| (f.as_str(), t.as_str())).collect();
    Serve::with_policies(&files, Some(config))
}

fn bad(uid: &str, replicas: u32) -> Value {
    review(uid, json!({"replicas": replicas, "number": 1, "list": (0..400).collect::<Vec<u32>>()}))
}

/// Sends with the API server's time-out of two seconds, and looks at the clock.
async fn in_time(serve: &Serve, review: &Value) -> Value {
    let answered = serve.send("/validate/enforce?timeout=2s", review.to_string()).await;
    assert!(answered.took < Duration::from_millis(1900), "{:?}", answered.took);
    answered.response()
}

fn annotation(response: &Value, key: &str) -> Vec<Value> {
    let text = response["auditAnnotations"][key].as_str().unwrap_or("[]");
    serde_json::from_str(text).unwrap()
}

fn failed(response: &Value) -> Vec<String> {
    let mut ids: Vec<String> =
        annotation(response, "failures").iter().map(|f| f["policy"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

const ALL: [&str; 3] = ["endless", "failing", "unreadable"];

#[tokio::test]
async fn a_broken_policy_that_denies_denies_and_is_named() {
    for cases in [false, true] {
        let serve = start("Deny", cases, "defaults: {mode: enforce}\n");
        let response = in_time(&serve, &bad("b-1", 1)).await;
        assert_eq!((&response["allowed"], &response["uid"]), (&json!(false), &json!("b-1")));
        let message = response["status"]["message"].as_str().unwrap();
        for id in ALL {
            assert!(message.contains(&format!("[{id}] the policy could not judge this request")), "{message}");
        }
        assert!(message.contains("4 violations") && message.contains("[enough-replicas] spec.replicas"), "{message}");
        let causes = response["status"]["details"]["causes"].as_array().unwrap();
        assert_eq!(causes.len(), 4, "{causes:?}");
        assert_eq!(failed(&response), ALL, "cases {cases}");
        // none of them is taken for a denial by the good one
        let response = in_time(&serve, &bad("b-2", 3)).await;
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains("3 violations") && !message.contains("enough-replicas"), "{message}");
        // what does not concern them passes
        let fine = review("b-3", json!({"replicas": 3, "list": []}));
        assert_eq!(in_time(&serve, &fine).await, json!({"uid": "b-3", "allowed": true}));
        let reason =
            |id: &str, reason: &str| format!("seawall_policy_failures_total{{policy=\"{id}\",reason=\"{reason}\"}}");
        for (id, word) in [("endless", "timeout"), ("failing", "error"), ("unreadable", "unreadable")] {
            let line = reason(id, word);
            assert_eq!(serve.metric(&line).await, 2.0, "{line} {}", serve.admin("/metrics").await.1);
        }
    }
}

#[tokio::test]
async fn a_broken_policy_that_warns_warns() {
    let serve = start("Warn", false, "defaults: {mode: enforce}\n");
    let response = in_time(&serve, &bad("b-1", 3)).await;
    assert_eq!(response["allowed"], true);
    let warnings: Vec<&str> = response["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    for id in ALL {
        assert!(warnings.iter().any(|w| w.starts_with(&format!("[{id}] the policy could not judge"))), "{warnings:?}");
    }
    // and does not weaken the good one
    let response = in_time(&serve, &bad("b-2", 1)).await;
    let message = response["status"]["message"].as_str().unwrap();
    assert!(
        response["allowed"] == false && message.contains("1 violation ") && message.contains("[enough-replicas]"),
        "{message}"
    );
    assert_eq!(response["warnings"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn in_mode_warn_nothing_is_denied_and_in_mode_audit_nothing_is_told() {
    let serve = start("Deny", false, "defaults: {mode: warn}\n");
    let response = in_time(&serve, &bad("b-1", 1)).await;
    assert_eq!((&response["allowed"], response["warnings"].as_array().unwrap().len()), (&json!(true), 4), "{response}");
    let serve = start("Deny", false, "defaults: {mode: audit}\n");
    let response = in_time(&serve, &bad("b-1", 1)).await;
    assert_eq!((&response["allowed"], response.get("warnings"), response.get("status")), (&json!(true), None, None));
    assert_eq!(failed(&response), ALL);
    assert_eq!(annotation(&response, "violations")[0]["policy"], "enough-replicas");
    // and in mode off nothing is even run
    let serve = start("Deny", false, "defaults: {mode: \"off\"}\n");
    let response = in_time(&serve, &bad("b-1", 1)).await;
    assert_eq!(response, json!({"uid": "b-1", "allowed": true}));
}

/// Fifty reviews that each use up their time, on two workers: all are answered in time, and soon after all is well. The
/// engines are compared on every request meanwhile, which takes ten seconds each and may keep nobody waiting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_of_slow_reviews_is_answered_in_time_and_survived() {
    let config = "defaults: {mode: enforce}\nlimits: {workers: 2, sampleOneIn: 1}\n";
    let serve = std::sync::Arc::new(start("Deny", true, config));
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let serve = serve.clone();
            tokio::spawn(async move {
                let review = bad(&format!("burst-{number}"), 1);
                let client = serve.client();
                let url = "/validate/enforce?timeout=2s";
                serve.send_by(&client, url, review.to_string(), "application/json").await
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        let answered = call.await.unwrap();
        // from before the connection; this machine has few cores
        assert!(answered.took < Duration::from_secs(4), "{:?}", answered.took);
        let response = answered.response();
        assert_eq!((&response["allowed"], &response["uid"]), (&json!(false), &json!(format!("burst-{number}"))));
        assert!(failed(&response).contains(&"endless".to_owned()), "{response}");
    }
    let started = Instant::now();
    let response = in_time(&serve, &review("next-1", json!({"replicas": 3, "list": []}))).await;
    assert_eq!(response, json!({"uid": "next-1", "allowed": true}));
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert_eq!(serve.admin("/readyz").await.0, 200);
}

/// Comparing the engines on every request changes no answer and finds nothing where they agree.
#[tokio::test]
async fn engines_that_agree_are_left_as_they_are() {
    let files = [
        ("p/policy.rego", replicas(3)),
        ("p/cases/quiet/input.yaml", QUIET[0].1.replace("number: \"x\"", "replicas: 3")),
        ("p/cases/quiet/expected.yaml", QUIET[1].1.to_owned()),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(f, t)| (*f, t.as_str())).collect();
    let serve = Serve::with_policies(&files, Some("defaults: {mode: enforce}\nlimits: {sampleOneIn: 1}\n"));
    for number in 0..50 {
        let response = serve.validate(&review("s-1", json!({"replicas": number}))).await;
        assert_eq!(response["allowed"], number >= 3);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(serve.metric("seawall_engine_disagreements_total{policy=\"enough-replicas\"}").await, 0.0);
}
