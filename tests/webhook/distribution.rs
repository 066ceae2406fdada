//! `serve --policies oci://…`: a tag that moves, sets that are bad, a registry that is gone, and a start without it.

use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::serve::{Serve, refused, replicas, review, write};
use crate::tool::{self, Registry};

const TAKEN: &str = "seawall_policy_reloads_total{result=\"success\"}";
const REFUSED: &str = "seawall_policy_reloads_total{result=\"failure\"}";
const ASKED: &str = "seawall_policy_pulls_total{result=\"success\"}";
const UNANSWERED: &str = "seawall_policy_pulls_total{result=\"failure\"}";

/// Pushes a set that wants this many replicas, and returns its digest.
fn push(folder: &Path, reference: &str, at_least: u32, more: &[&str]) -> String {
    write(&folder.join("pushed"), &[("p.rego", &replicas(at_least))]);
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .env_clear()
        .current_dir(folder)
        .args(["policy", "push", "pushed", reference, "--policies-only"])
        .args(more)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text.trim().rsplit_once('@').unwrap().1.to_owned()
}

async fn least(serve: &Serve) -> u32 {
    for replicas in 1..20 {
        if serve.validate(&review("r-1", json!({"replicas": replicas}))).await["allowed"] == true {
            return replicas;
        }
    }
    panic!("nothing is allowed");
}

fn args<'a>(reference: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--policies", reference, "--policies-only", "--policies-poll", "1s", "--policies-cache", "cache"], more].concat()
}

/// The same cache under another server.
fn again(cache: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").arg("-r").arg(cache).arg(folder.path().join("cache")).status().unwrap();
    assert!(copied.success());
    folder
}

#[tokio::test]
async fn a_tag_that_moves_is_followed_and_the_last_good_set_is_kept() {
    let Some(registry) = Registry::start(0) else { return };
    let reference = registry.reference("policies:stable");
    let work = tempfile::tempdir().unwrap();
    let first = push(work.path(), &reference, 3, &[]);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let serve = Serve::start(folder, None, &args(&reference, &[]));
    assert_eq!((least(&serve).await, serve.policies_condition().await.0.as_str()), (3, "ok"));
    let in_use = |digest: &str| format!("seawall_policy_set{{digest=\"{digest}\"");
    assert!(serve.admin("/metrics").await.1.contains(&in_use(&first)));

    // the tag moves
    let before = serve.metric(TAKEN).await;
    let second = push(work.path(), &reference, 5, &[]);
    serve.metric_exceeds(TAKEN, before).await;
    assert_eq!(least(&serve).await, 5);
    let metrics = serve.admin("/metrics").await.1;
    assert!(metrics.contains(&in_use(&second)) && !metrics.contains(&in_use(&first)), "{metrics}");
    assert!(serve.log().contains(&second));

    // to a set that does not compile, which `policy push` would not have pushed
    let before = serve.metric(REFUSED).await;
    push_raw(&registry, &[("p.rego", "package seawall.policies.broken {\n")]).await;
    serve.metric_exceeds(REFUSED, before).await;
    let (status, detail) = serve.policies_condition().await;
    assert!(status == "degraded" && detail.contains("the last good ones serve"), "{detail}");
    assert_eq!(least(&serve).await, 5);

    // a start now has a bad set in the registry, and a good one in the cache
    let other = Serve::start(again(&cache), None, &args(&reference, &[]));
    assert_eq!((least(&other).await, other.policies_condition().await.0.as_str()), (5, "degraded"));
    drop(other);

    // the registry is gone
    let port = registry.port;
    drop(registry);
    let before = serve.metric(UNANSWERED).await;
    serve.metric_exceeds(UNANSWERED, before).await;
    assert_eq!(least(&serve).await, 5);
    assert!(serve.policies_condition().await.1.contains("cannot be reached"));
    let other = Serve::start(again(&cache), None, &args(&reference, &[]));
    assert_eq!(least(&other).await, 5);
    let (status, detail) = other.policies_condition().await;
    assert!(status == "degraded" && detail.contains("cannot be reached"), "{detail}");
    drop(other);
    let output = refused(&again(&cache).path().join("cache"), &args(&reference, &[]));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && text.contains("has no copy of it yet"), "{text}");
    let none = ["--policies", reference.as_str(), "--policies-only"];
    let output = refused(work.path(), &none);
    assert!(String::from_utf8_lossy(&output.stderr).contains("with --policies-cache FOLDER"));

    // and back, with something new
    let registry = Registry::start(port).unwrap();
    let before = serve.metric(TAKEN).await;
    push(work.path(), &reference, 7, &[]);
    serve.metric_exceeds(TAKEN, before).await;
    assert_eq!((least(&serve).await, serve.policies_condition().await.0.as_str()), (7, "ok"));
    let before = serve.metric(ASKED).await;
    serve.metric_exceeds(ASKED, before).await;
    drop(registry);
}

#[tokio::test]
async fn only_signed_sets_are_taken() {
    let work = tempfile::tempdir().unwrap();
    let (Some(registry), Some(())) = (Registry::start(0), tool::keys(work.path())) else { return };
    let reference = registry.reference("policies:stable");
    push(work.path(), &reference, 3, &["--signing-key", "ec"]);
    let key = work.path().join("ec.pub").display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let serve = Serve::start(folder, None, &args(&reference, &["--verification-key", &key]));
    assert_eq!(least(&serve).await, 3);
    let before = serve.metric(REFUSED).await;
    push(work.path(), &reference, 4, &[]);
    serve.metric_exceeds(REFUSED, before).await;
    assert!(serve.policies_condition().await.1.contains("it is not signed"));
    let before = serve.metric(REFUSED).await;
    push(work.path(), &reference, 5, &["--signing-key", "rsa"]);
    serve.metric_exceeds(REFUSED, before).await;
    assert!(serve.policies_condition().await.1.contains("is signed with \"RS256\""));
    assert_eq!(least(&serve).await, 3);
    let before = serve.metric(TAKEN).await;
    push(work.path(), &reference, 6, &["--signing-key", "ec"]);
    serve.metric_exceeds(TAKEN, before).await;
    assert_eq!(least(&serve).await, 6);
}

/// A tarball is read again when another takes its place.
#[tokio::test]
async fn a_tarball_is_reloaded() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = |folder: &Path, at_least: u32| {
        write(&folder.join("set"), &[("p.rego", &replicas(at_least))]);
        let made = Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(["policy", "bundle", "set", "--policies-only", "-o", "policies"])
            .current_dir(folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    bundle(folder.path(), 3);
    let serve = Serve::start(folder, None, &["--policies", "policies", "--policies-only"]);
    assert_eq!(least(&serve).await, 3);
    let before = serve.metric(TAKEN).await;
    bundle(serve.policies().parent().unwrap(), 4);
    serve.metric_exceeds(TAKEN, before).await;
    assert_eq!(least(&serve).await, 4);
    let before = serve.metric(REFUSED).await;
    std::fs::write(serve.policies(), "no tarball").unwrap();
    serve.metric_exceeds(REFUSED, before).await;
    assert!(serve.policies_condition().await.1.contains("is no gzip file"));
    assert_eq!(least(&serve).await, 4);
}

/// Pushes what `policy push` refuses.
async fn push_raw(registry: &Registry, files: &[(&str, &str)]) {
    use seawall::policysource::files::Files;
    use seawall::policysource::oci::{Artifact, Client, Options};
    let files: Files = files.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect();
    let artifact = Artifact::new(seawall::policysource::tarball::write(&files).unwrap(), None).unwrap();
    let reference = registry.reference("policies:stable").parse().unwrap();
    let options = Options { docker_config: Some("/nonexistent/config.json".into()), ..Options::default() };
    Client::new(&reference, &options).unwrap().push(&artifact).await.unwrap();
}
