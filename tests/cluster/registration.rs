//! The webhook configurations in the cluster: written once, kept right, the same that `webhook-config` prints; and what of
//! the control plane must work while they are there and Seawall is not.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects;
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

const KINDS: [&str; 2] = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];

fn path(kind: &str) -> String {
    format!("/apis/admissionregistration.k8s.io/v1/{kind}/seawall")
}

/// Both configurations, as soon as they are there.
fn configurations(plane: &ControlPlane) -> [Value; 2] {
    let api = plane.api("admin");
    KINDS.map(|kind| {
        eventually(kind, Duration::from_secs(30), || api.get(&path(kind)).ok().filter(|(code, _)| *code == 200)).1
    })
}

/// What matters of a configuration.
fn webhooks(configuration: &Value) -> &Value {
    &configuration["webhooks"]
}

#[test]
fn what_is_registered_is_kept_right_and_is_what_webhook_config_prints() {
    let Some(plane) = own(&Options::default()) else { return };
    let config = seawall::default_mode("enforce");
    let options = seawall::Options { config: &config, ..seawall::Options::default() };
    let seawall = Seawall::start(&plane, "seawall", &options);
    let written = configurations(&plane);
    let api = plane.api("admin");

    // two rounds later nothing was written again: the API server stores what was generated
    sleep(Duration::from_secs(9));
    let version = |of: &Value| of["metadata"]["resourceVersion"].clone();
    assert_eq!(configurations(&plane).each_ref().map(version), written.each_ref().map(version));

    printed_is_registered(&plane, &seawall, &written);

    // deleted: back within ten seconds
    let started = Instant::now();
    assert_eq!(api.delete(&path(KINDS[1])).unwrap().0, 200);
    let back = configurations(&plane);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(webhooks(&back[1]) == webhooks(&written[1]), "{:#}", back[1]);

    // applied again without a CA and failing open, as a chart would
    for (kind, live) in KINDS.iter().zip(configurations(&plane)) {
        let mut spoiled = live;
        for webhook in spoiled["webhooks"].as_array_mut().unwrap() {
            webhook["failurePolicy"] = json!("Ignore");
            webhook["clientConfig"].as_object_mut().unwrap().remove("caBundle");
        }
        assert_eq!(api.put(&path(kind), &spoiled).unwrap().0, 200);
    }
    eventually("the bundles are back", Duration::from_secs(10), || {
        let live = configurations(&plane);
        live.iter().zip(&written).all(|(live, written)| webhooks(live) == webhooks(written)).then_some(())
    });
    drop(seawall);
}

fn printed_is_registered(plane: &ControlPlane, seawall: &Seawall, written: &[Value; 2]) {
    let config = plane.dir().join("seawall.yaml");
    let print = |ca: [&str; 2], format: &str| {
        let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
            .args(["webhook-config", "--url", &seawall.admission, "--service-account", "", "--format", format])
            .arg(format!("--kubeconfig={}", plane.kubeconfig("admin").display()))
            .arg(format!("--config={}", config.display()))
            .args(ca)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let yaml = print(["--ca-secret", "seawall-system/seawall-ca"], "yaml");
    let json = print(["--ca-file", seawall.ca.to_str().unwrap()], "json");
    for text in [yaml, json] {
        let stored = plane.kubectl_as("admin").run(&["apply", "--dry-run=server", "-o", "json", "-f", "-"], &text).ok();
        let stored: Value = serde_json::from_str(&stored.stdout).unwrap();
        for (printed, written) in stored["items"].as_array().unwrap().iter().zip(written) {
            assert!(webhooks(printed) == webhooks(written), "printed: {printed:#}\nregistered: {written:#}");
        }
    }
}

/// A cluster that was switched off and comes up without Seawall: controllers and nodes are not held up, also where
/// everything is enforced by default.
#[test]
fn the_control_plane_works_while_nobody_answers() {
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    let config = seawall::default_mode("enforce");
    let options = seawall::Options { config: &config, ..seawall::Options::default() };
    let shop = plane.namespace("shop", &[("seawall.dev/mode", "enforce")]);
    plane.kubectl().apply(&objects::storage_class("standard").to_string(), &[]).ok();
    let set = objects::stateful_set("db").to_string();
    let mut seawall = Seawall::start(&plane, "seawall", &options).in_force(&plane);
    plane.kubectl().apply(&set, &["-n", &shop]).ok();
    seawall.process.signal("KILL");
    assert!(seawall.process.wait_exit(Duration::from_secs(5)).is_some());
    // what controllers and nodes write; people may not, so the webhook is there
    let claim = objects::claim("data-other-0", "standard").to_string();
    plane.kubectl().apply(&claim, &["-n", &shop]).refused().says(&["failed calling webhook"]);
    let masters = ["system:masters"];
    for (user, groups, name) in [
        ("system:serviceaccount:kube-system:statefulset-controller", &masters[..], "data-other-0"),
        ("system:kube-controller-manager", &masters[..], "data-other-1"),
        ("system:node:n1", &["system:nodes", "system:masters"][..], "data-other-2"),
    ] {
        let claim = objects::claim(name, "standard").to_string();
        plane.kubectl_as("admin").impersonate(user, groups).run(&["create", "-n", &shop, "-f", "-"], &claim).ok();
    }
    // system namespaces are nobody's business
    let system = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "x", "namespace": "kube-system"},
                        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    plane.kubectl_as("admin").apply(&system.to_string(), &[]).ok();
    // Seawall's own namespace too: it can be put back
    let own = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x", "namespace": "seawall-system"},
                     "spec": {"serviceName": "x", "selector": {"matchLabels": {"a": "b"}}, "template": {
                         "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "a"}]}}}});
    plane.kubectl_as("admin").apply(&own.to_string(), &[]).ok();
    // but people are refused where it is enforced
    let other = objects::stateful_set("other").to_string();
    plane.kubectl().apply(&other, &["-n", &shop]).refused().says(&["failed calling webhook"]);
    // a namespace can go: the namespace controller and the garbage collector are not held up
    plane.kubectl_as("admin").run(&["delete", "namespace", &shop, "--wait=false"], "").ok();
    eventually("the namespace is gone", Duration::from_secs(90), || {
        let (code, _) = plane.api("admin").get(&format!("/api/v1/namespaces/{shop}")).unwrap();
        (code == 404).then_some(())
    });
}
