//! `serve --record-bodies`: what would have been rejected is kept as a case that the policy's own runner takes.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::serve::{Serve, refused, review};

const AUDIT: &str = "defaults: {tier: tier-1, mode: audit}\n";

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn a_would_be_rejection_is_kept_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let serve = Serve::start(folder, Some(AUDIT), &["--record-bodies", "kept"]);
    let spec = |volumes: serde_json::Value| {
        let labels = json!({"app": "orders"});
        json!({"serviceName": "orders", "selector": {"matchLabels": labels}, "volumeClaimTemplates": volumes,
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "postgres:17.2",
                "env": [{"name": "POSTGRES_PASSWORD", "value": "hunter2"}]}]}}})
    };
    let response = serve.validate(&review("u-1", spec(json!([])))).await;
    assert_eq!(
        (&response["allowed"], &response["warnings"]),
        (&json!(true), &json!(null)),
        "the mode is audit: {response}"
    );
    let case = kept.join("database-without-volume/create-statefulset-shop-orders");
    let begun = Instant::now();
    // input.yaml is written last
    while read(&case, "input.yaml").is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is kept: {}", serve.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let input = read(&case, "input.yaml");
    assert!(input.contains("POSTGRES_PASSWORD") && !input.contains("hunter2"), "{input}");
    assert_eq!(read(&case, "context.yaml"), "tier: tier-1\n");
    assert!(read(&case, "expected.yaml").contains("path: "), "{}", read(&case, "expected.yaml"));
    assert!(!serve.log().contains("hunter2"));
}

#[test]
fn a_folder_that_cannot_be_made_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let output = refused(folder.path(), &["--record-bodies", "file/kept"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(
        text.contains("--record-bodies file/kept") && text.contains("is it a folder that this user may write to?"),
        "{text}"
    );
}
