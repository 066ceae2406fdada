//! The class of the catalogue, given to claims that name none: the one patch that must be asked for, and the one whose loss
//! nobody could repair, since the class of a claim template is immutable.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::controlplane::Options;
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::provisioner::Provisioner;
use crate::harness::seawall::{self, Seawall};

const DRIVER: &str = "ebs.csi.aws.com";

/// A class that belongs to the catalogue by its labels.
fn supported(name: &str, profile: &str) -> Value {
    let labels = json!({"seawall.dev/supported": "true", "seawall.dev/workload-profile": profile});
    objects::storage_class(name).with("/metadata/labels", labels)
}

/// Given on CREATE, counted by the quota of that class, and put back in whatever way the file is applied again, also when another
/// class would be the best by then.
#[test]
fn a_class_is_given_counted_and_put_back() {
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    let kubectl = plane.kubectl();
    let classes = objects::list(&[supported("oltp", "oltp"), supported("queue", "queue"), objects::csi_driver(DRIVER)]);
    kubectl.apply(&classes, &[]).ok();
    let config = json!({"defaults": {"tier": "tier-2", "mode": "enforce"},
                        "policies": {"class-named": {"patch": ["tier-1"]}}});
    let config = config.to_string();
    let options = seawall::Options { config: &config, ..seawall::Options::default() };
    let _seawall = Seawall::start(&plane, "seawall", &options).in_force(&plane);
    let _provisioner = Provisioner::start(&plane, DRIVER);

    let labels = [("seawall.dev/mode", "enforce"), ("seawall.dev/tier", "tier-1")];
    let namespace = plane.namespace("catalogue", &labels);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "disks"}, "spec": {"hard": {
        "oltp.storageclass.storage.k8s.io/requests.storage": "25Gi",
        "queue.storageclass.storage.k8s.io/requests.storage": "0"}}});
    kubectl.apply(&quota.to_string(), &["-n", &namespace]).ok();
    let used = |wanted: &str| {
        kubectl.wait_for(wanted, &["-n", &namespace, "resourcequota", "disks"], |quota| {
            quota["status"]["used"]["oltp.storageclass.storage.k8s.io/requests.storage"] == wanted
        })
    };
    used("0");

    let set = objects::stateful_set("db")
        .with("/spec/podManagementPolicy", "Parallel")
        .without("/spec/volumeClaimTemplates/0/spec/storageClassName");
    let claim = objects::claim("extra", "").without("/spec/storageClassName").with(
        "/metadata/labels",
        json!({
        "seawall.dev/workload-profile": "oltp"}),
    );
    kubectl.apply(&objects::headless_service("db").to_string(), &["-n", &namespace]).ok();
    kubectl.apply(&claim.to_string(), &["-n", &namespace]).patched_by("class-named");
    used("1Gi");
    kubectl.apply(&set.to_string(), &["-n", &namespace]).patched_by("class-named");
    // 1Gi, and two of three times 10Gi
    used("21Gi");
    eventually("the quota's refusal is told by an event", Duration::from_secs(30), || {
        let events = kubectl.run(&["get", "events", "-n", &namespace, "-o", "jsonpath={.items[*].message}"], "");
        events.stdout.contains("exceeded quota: disks").then_some(())
    });

    let class_of = |object: &str, pointer: &str| {
        let object = kubectl.get(&["-n", &namespace, object]);
        (object.pointer(pointer).cloned().unwrap_or_default(), object["metadata"]["generation"].clone())
    };
    let better = supported("a-better-one", "oltp").with("/metadata/labels/seawall.dev~1tier", "tier-1");
    kubectl.apply(&better.to_string(), &[]).ok();
    let ways = [&["diff"][..], &["apply"], &["apply", "--server-side", "--force-conflicts"], &["diff"], &["replace"]];
    for (manifest, name, pointer, ways) in [
        (&set, "statefulset/db", "/spec/volumeClaimTemplates/0/spec/storageClassName", &ways[..]),
        // a bound claim cannot be replaced by a file that lacks its volume, with us or without
        (&claim, "pvc/extra", "/spec/storageClassName", &ways[..4]),
    ] {
        let made = class_of(name, pointer);
        assert_eq!(made.0, "oltp", "{name}");
        for way in ways {
            kubectl.run(&[*way, &["-n", &namespace, "-f", "-"]].concat(), &manifest.to_string()).ok();
            assert_eq!(class_of(name, pointer), made, "{name}: {way:?}");
        }
    }
    for ordinal in 0..3 {
        // the quota leaves one out, any one
        let claim = kubectl.run(&["get", "-n", &namespace, "-o", "json", "pvc", &format!("data-db-{ordinal}")], "");
        if let Ok(claim) = serde_json::from_str::<Value>(&claim.stdout) {
            assert_eq!(claim["spec"]["storageClassName"], "oltp");
        }
    }
}
