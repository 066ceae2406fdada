//! Exemptions and break-glass: what is spared, how it is told, and what does not count.

use serde_json::{Value, json};

use crate::serve::{Serve, review};

/// A database without a volume: `database-without-volume` denies it.
fn database(annotations: Value) -> Value {
    let labels = json!({"app": "orders"});
    let mut review = review(
        "u-1",
        json!({"serviceName": "orders", "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "db", "image": "postgres:17.2", "ports": [{"containerPort": 5432}]}]}}}),
    );
    review["request"]["object"]["metadata"]["annotations"] = annotations;
    review
}

/// A day from today on, `YYYY-MM-DD`.
fn day(from_today: i64) -> String {
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    today.checked_add(jiff::Span::new().days(from_today)).unwrap().to_string()
}

fn warnings(response: &Value) -> String {
    let list = response["warnings"].as_array().cloned().unwrap_or_default();
    list.iter().map(|w| w.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn complete(until: &str) -> Value {
    json!({"seawall.dev/exempt": "database-without-volume", "seawall.dev/exempt-reason": "moving", "seawall.dev/exempt-until": until})
}

const METRIC: &str = r#"seawall_exemptions_used_total{policy="database-without-volume",source="annotation"}"#;

#[tokio::test]
async fn an_exemption_by_annotation_spares_and_is_told() {
    let serve = Serve::embedded(None);
    assert_eq!(serve.validate(&database(json!({}))).await["allowed"], false);
    let until = day(80);
    let response = serve.validate(&database(complete(&until))).await;
    assert_eq!(response["allowed"], true, "{response}");
    let told = format!("seawall did not enforce database-without-volume: exempt until {until}: moving");
    assert!(warnings(&response).contains(&told), "{response}");
    let annotations = &response["auditAnnotations"];
    let used: Value = serde_json::from_str(annotations["exemptions"].as_str().unwrap()).unwrap();
    assert_eq!(used[0]["policies"], json!(["database-without-volume"]));
    assert_eq!((&used[0]["until"], &used[0]["source"]), (&json!(until), &json!("annotation")));
    // the violation itself is still recorded
    assert!(annotations["violations"].as_str().unwrap().contains("database-without-volume"), "{annotations}");
    assert_eq!(serve.metric(METRIC).await, 1.0);
}

#[tokio::test]
async fn what_is_not_wellformed_or_has_expired_does_not_count_and_is_denied() {
    let serve = Serve::embedded(None);
    let without_reason = json!({"seawall.dev/exempt": "database-without-volume", "seawall.dev/exempt-until": day(3)});
    for (annotations, why) in [
        (complete(&day(-1)), "it expired on"),
        (complete(&day(91)), "more than 90 days ahead"),
        (without_reason, "seawall.dev/exempt-reason is missing"),
    ] {
        let response = serve.validate(&database(annotations)).await;
        let message = response["status"]["message"].as_str().unwrap_or_default();
        for part in ["[database-without-volume]", "[exemption-wellformed]", "does not count", why] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
    // the guards cannot be exempted on the object
    let mut never = complete(&day(3));
    never["seawall.dev/exempt"] = json!("database-without-volume, delete-claim");
    let response = serve.validate(&database(never)).await;
    let message = response["status"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("Nobody can be exempted from delete-claim"), "{message}");
    assert!(message.contains("[database-without-volume]"), "{message}");
}

#[tokio::test]
async fn an_exempt_policy_patches_nothing() {
    let serve = Serve::embedded(None);
    let bare = |annotations: Value| {
        let mut review = review("u", json!({}));
        review["request"]["kind"] = json!({"group": "storage.k8s.io", "version": "v1", "kind": "StorageClass"});
        review["request"]["resource"] =
            json!({"group": "storage.k8s.io", "version": "v1", "resource": "storageclasses"});
        review["request"].as_object_mut().unwrap().remove("namespace");
        review["request"]["object"] = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "orders", "annotations": annotations},
            "provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Delete"});
        review
    };
    let pointers = |response: &Value| crate::serve::operations(response).to_string();
    assert!(pointers(&serve.mutate(&bare(json!({}))).await).contains("/reclaimPolicy"));
    let mut exempt = complete(&day(3));
    exempt["seawall.dev/exempt"] = json!("class-reclaim-retain");
    let response = serve.mutate(&bare(exempt.clone())).await;
    assert!(!pointers(&response).contains("/reclaimPolicy"), "{response}");
    assert!(pointers(&response).contains("/volumeBindingMode"), "{response}");
    assert_eq!(serve.validate(&bare(exempt)).await["allowed"], true);
}

#[tokio::test]
async fn the_configuration_exempts_objects_until_a_day() {
    let row = |until: &str, name: &str| {
        format!(
            "exemptions:\n- {{policies: [database-without-volume], namespace: shop, resources: [statefulsets], name: {name}, reason: trial, until: '{until}', by: platform}}\n"
        )
    };
    let serve = Serve::embedded(Some(&format!("defaults: {{mode: enforce}}\n{}", row(&day(400), "orders"))));
    let response = serve.validate(&database(json!({}))).await;
    assert_eq!(response["allowed"], true, "{response}");
    assert!(warnings(&response).contains("by platform: trial"), "{response}");
    for (until, name) in [(day(-1), "orders"), (day(5), "payments")] {
        let serve = Serve::embedded(Some(&format!("defaults: {{mode: enforce}}\n{}", row(&until, name))));
        assert_eq!(serve.validate(&database(json!({}))).await["allowed"], false, "{until} {name}");
        assert_eq!(serve.log().contains("expired"), name == "orders", "{}", serve.log());
    }
}

#[tokio::test]
async fn a_break_glass_group_is_let_through_and_announced() {
    let serve = Serve::embedded(Some("defaults: {mode: enforce}\nbreakGlassGroups: [rescue]\n"));
    let mut review = database(json!({}));
    assert_eq!(serve.validate(&review).await["allowed"], false);
    review["request"]["userInfo"]["groups"] = json!(["system:authenticated", "rescue"]);
    let response = serve.validate(&review).await;
    assert_eq!(response["allowed"], true, "{response}");
    assert!(warnings(&response).contains("let this pass for a break-glass group; denied by database-without-volume"));
    assert!(response["auditAnnotations"]["break-glass"].as_str().unwrap().contains("database-without-volume"));
    assert_eq!(serve.metric(r#"seawall_break_glass_total{policy="database-without-volume"}"#).await, 1.0);
}

/// A policy that fails is answered by its own action; that too must not stand in the way of a rescue.
#[tokio::test]
async fn break_glass_works_when_policies_fail() {
    let broken = crate::serve::policy(
        "broken",
        "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": n, \"fix\": \"f\"} if {\n\tn := to_number(input.request.object.spec.serviceName)\n}",
    );
    let serve = Serve::with_policies(
        &[("seawall/policies/broken/policy.rego", &broken)],
        Some("defaults: {mode: enforce}\nbreakGlassGroups: [rescue]\n"),
    );
    let mut review = database(json!({}));
    assert_eq!(serve.validate(&review).await["allowed"], false);
    review["request"]["userInfo"]["groups"] = json!(["rescue"]);
    let response = serve.validate(&review).await;
    assert_eq!(response["allowed"], true, "{response}");
    assert!(warnings(&response).contains("denied by broken"), "{response}");
}
