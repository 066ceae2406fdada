//! The shape of answers: what the API server accepts and what its users are told.

use serde_json::{Value, json};

use crate::serve::{Serve, operations, policy_with, review};

/// The sample files that `serve` wrote, by the curl lines that it printed.
fn samples(serve: &Serve) -> Vec<(String, Value)> {
    let curls: Vec<&str> = serve.printed.lines().filter(|l| l.trim_start().starts_with("curl ")).collect();
    assert_eq!(curls.len(), 2, "{}", serve.printed);
    let read = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let file = words.iter().find_map(|w| w.strip_prefix('@')).unwrap();
        let path = words.last().unwrap().split_once(&serve.address.to_string()).unwrap().1.to_owned();
        (path, serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap())
    };
    curls.into_iter().map(read).collect()
}

#[tokio::test]
async fn the_two_samples_of_the_readme_are_denied_and_patched() {
    let serve = Serve::embedded(None);
    let [(deny_path, denied), (patch_path, patched)] = samples(&serve).try_into().unwrap();
    assert_eq!((deny_path.as_str(), patch_path.as_str()), ("/validate/enforce", "/mutate"));

    let response = serve.send(&deny_path, denied.to_string()).await.response();
    assert_eq!(response["allowed"], false);
    assert_eq!(response["uid"], denied["request"]["uid"]);
    assert_eq!((&response["status"]["code"], &response["status"]["reason"]), (&json!(403), &json!("Forbidden")));
    let message = response["status"]["message"].as_str().unwrap();
    for part in ["shop/orders", "[database-without-volume]", "wanted:", "fix:"] {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    let causes = response["status"]["details"]["causes"].as_array().unwrap();
    assert!(causes.iter().any(|c| c["reason"] == "database-without-volume" && c["field"] != ""), "{causes:?}");

    let response = serve.send(&patch_path, patched.to_string()).await.response();
    assert_eq!((&response["allowed"], &response["uid"]), (&json!(true), &patched["request"]["uid"]));
    let patch = operations(&response);
    let mut object = patched["request"]["object"].clone();
    json_patch::patch(&mut object, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
    assert_eq!(object["reclaimPolicy"], "Retain");
    let warnings = response["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|w| w.as_str().unwrap().contains("class-reclaim-retain")), "{warnings:?}");

    // what was patched is not denied, and a copy of it by somebody else is not patched again
    let mut again = patched.clone();
    again["request"]["object"] = object.clone();
    assert_eq!(serve.validate(&again).await["allowed"], true);
    again["request"]["object"]["metadata"].as_object_mut().unwrap().remove("annotations");
    assert_eq!(serve.mutate(&again).await, json!({"uid": patched["request"]["uid"], "allowed": true}));
}

/// With `reinvocationPolicy: IfNeeded` the API server sends the patched object again when a later webhook changed it.
#[tokio::test]
async fn a_second_call_after_another_webhook_changes_nothing() {
    let serve = Serve::embedded(None);
    let [_, (_, patched)] = samples(&serve).try_into().unwrap();
    let patch = operations(&serve.mutate(&patched).await);
    let mut again = patched.clone();
    let object = &mut again["request"]["object"];
    json_patch::patch(object, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
    object["metadata"]["labels"] = json!({"set-by": "another-webhook"});
    let response = serve.mutate(&again).await;
    assert_eq!(response.get("patch").map(|_| operations(&response)), None);
}

#[tokio::test]
async fn answers_have_the_shape_that_the_api_server_accepts() {
    let serve = Serve::embedded(None);
    let [(_, denied), (_, patched)] = samples(&serve).try_into().unwrap();
    for path in ["/validate/enforce", "/validate/observe", "/mutate"] {
        for sample in [&denied, &patched] {
            let response = serve.send(path, sample.to_string()).await.response();
            assert_eq!(response["uid"], sample["request"]["uid"]);
            if path != "/mutate" {
                assert!(response.get("patch").is_none() && response.get("patchType").is_none(), "{path}: {response}");
            } else {
                assert_eq!(response["allowed"], true, "{path} never denies");
                assert_eq!(response.get("patch").is_some(), response.get("patchType").is_some());
            }
            for warning in response["warnings"].as_array().into_iter().flatten() {
                let text = warning.as_str().unwrap();
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
            }
            for (key, value) in response["auditAnnotations"].as_object().into_iter().flatten() {
                assert!(
                    key.len() <= 63 && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)),
                    "{key}"
                );
                assert!(value.is_string(), "{value}");
            }
            // the server may ask the same again: the same answer
            assert_eq!(serve.send(path, sample.to_string()).await.response(), response);
            let mut dry = sample.clone();
            dry["request"]["dryRun"] = json!(true);
            assert_eq!(serve.send(path, dry.to_string()).await.response(), response, "a dry run has the same verdict");
        }
    }
}

#[tokio::test]
async fn operations_and_kinds_that_are_not_ours_pass() {
    let serve = Serve::embedded(None);
    let mut connect = review("c-1", json!({}));
    connect["request"]["operation"] = json!("CONNECT");
    connect["request"]["resource"] = json!({"group": "", "version": "v1", "resource": "pods"});
    connect["request"]["subResource"] = json!("exec");
    connect["request"]["object"] = json!({"kind": "PodExecOptions", "apiVersion": "v1", "command": ["sh"]});
    let mut foreign = review("f-1", json!({"replicas": 1}));
    foreign["request"]["kind"] = json!({"group": "example.com", "version": "v1", "kind": "Thing"});
    foreign["request"]["resource"] = json!({"group": "example.com", "version": "v1", "resource": "things"});
    let mut absent = connect.clone();
    absent["request"]["object"] = Value::Null;
    for (uid, review) in [("c-1", &connect), ("c-1", &absent), ("f-1", &foreign)] {
        for path in ["/validate/enforce", "/mutate"] {
            assert_eq!(serve.send(path, review.to_string()).await.response(), json!({"uid": uid, "allowed": true}));
        }
    }
    // a removal has no new object to patch
    let [_, (_, patched)] = samples(&serve).try_into().unwrap();
    let mut delete = patched.clone();
    delete["request"]["operation"] = json!("DELETE");
    delete["request"]["oldObject"] = patched["request"]["object"].clone();
    delete["request"]["object"] = Value::Null;
    let response = serve.mutate(&delete).await;
    assert_eq!((&response["allowed"], response.get("patch")), (&json!(true), None));
    assert_eq!(serve.validate(&delete).await["uid"], delete["request"]["uid"]);
    let counted = "seawall_admission_requests_total{webhook=\"enforce\",operation=\"CONNECT\"";
    assert!(serve.admin("/metrics").await.1.contains(counted), "what is not ours is counted");
}

#[tokio::test]
async fn a_message_with_line_breaks_and_control_characters_is_one_line() {
    let rules = "violation contains {\"msg\": sprintf(\"bad %s\", [input.request.object.spec.word]), \"path\": [\"spec\"], \"wanted\": 1, \"fix\": \"repair\"} if input.request.object.spec.word";
    let deny = policy_with("deny-it", "Deny", rules);
    let warn = policy_with("warn-it", "Warn", rules);
    let serve = Serve::with_policies(&[("a.rego", &deny), ("b.rego", &warn)], None);
    let word = "one\ntwo\r\u{1b}[31m\u{0}three\u{2028}".to_owned() + &"x".repeat(5000);
    let response = serve.validate(&review("w-1", json!({"word": word}))).await;
    assert_eq!(response["allowed"], false);
    let warnings = response["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let text = warnings[0].as_str().unwrap();
    assert!(
        text.contains("[warn-it]") && !text.chars().any(char::is_control) && text.chars().count() <= 600,
        "{text:?}"
    );
    let message = response["status"]["message"].as_str().unwrap();
    assert!(!message.contains('\u{1b}') && !message.contains('\0'), "{message:?}");
}
