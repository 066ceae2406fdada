//! Safe defaults: written, announced, kept through every way of applying the file again, and harmless to what runs.

use serde_json::{Value, json};

use crate::harness::kubectl::Kubectl;
use crate::harness::objects::{self, Manifest as _};
use crate::harness::provisioner::{self, Provisioner};
use crate::harness::{Site, site};

/// The same file again in the three ways that people use.
const AGAIN: [&[&str]; 3] = [&["apply"], &["apply", "--server-side", "--force-conflicts"], &["replace"]];

/// A StatefulSet that lacks what Seawall can supply: claim retention, host spread, a readiness probe.
fn without_defaults(name: &str) -> Value {
    objects::stateful_set(name)
        .with("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Delete")
        .without("/spec/template/spec/affinity")
        .without("/spec/template/spec/topologySpreadConstraints")
        .without("/spec/template/spec/containers/0/readinessProbe")
}

fn again(kubectl: &Kubectl, namespace: &str, manifest: &str, way: &[&str]) {
    let mut args = way.to_vec();
    args.extend(["-n", namespace, "-f", "-"]);
    kubectl.run(&args, manifest).ok();
}

fn revisions(site: &Site, namespace: &str) -> usize {
    let list = site.plane.kubectl().get(&["-n", namespace, "controllerrevisions"]);
    list["items"].as_array().unwrap().len()
}

#[test]
fn storage_class_gets_safe_defaults_and_each_is_announced() {
    let Some(site) = site() else { return };
    let manifest = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "bare"},
                          "provisioner": "ebs.csi.aws.com"});
    let kubectl = site.plane.kubectl();
    let output = kubectl.apply(&manifest.to_string(), &[]);
    output.patched_by("class-reclaim-retain").patched_by("class-binding-mode").patched_by("class-expandable");
    let class = kubectl.get(&["storageclass", "bare"]);
    assert_eq!(class["reclaimPolicy"], "Retain");
    assert_eq!(class["volumeBindingMode"], "WaitForFirstConsumer");
    assert_eq!(class["allowVolumeExpansion"], true);
    for (pointer, policy) in [
        ("/reclaimPolicy", "class-reclaim-retain"),
        ("/volumeBindingMode", "class-binding-mode"),
        ("/allowVolumeExpansion", "class-expandable"),
    ] {
        assert_eq!(class.record()[pointer][0]["policy"], policy, "{}", class.record());
    }
}

/// `reclaimPolicy` and `volumeBindingMode` are immutable: without restoring, the second apply of the file would fail for ever.
#[test]
fn written_delete_survives_applying_the_file_again() {
    let Some(site) = site() else { return };
    let kubectl = site.plane.kubectl();
    let manifest = objects::storage_class("delete-again").with("/reclaimPolicy", "Delete").to_string();
    kubectl.apply(&manifest, &[]).patched_by("class-reclaim-retain");
    for way in AGAIN {
        again(&kubectl, "default", &manifest, way);
        let class = kubectl.get(&["storageclass", "delete-again"]);
        assert_eq!(class["reclaimPolicy"], "Retain", "{way:?}");
        assert_eq!(class.record()["/reclaimPolicy"][0]["from"], "Delete", "{way:?}: {}", class.record());
    }
}

/// Neither way of applying the file again fails, restarts a Pod or loses a default; nor after the namespace was given over to
/// audit, where nothing new would be patched.
#[test]
fn patched_stateful_set_is_applied_again_without_a_new_revision() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-2");
    let kubectl = site.plane.kubectl();
    let manifest = objects::list(&[objects::headless_service("db"), without_defaults("db")]);
    let output = kubectl.apply(&manifest, &["-n", &namespace]);
    output.patched_by("sts-claim-retention").patched_by("anti-affinity-host").patched_by("readiness-probe");
    let set = || kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    let made = kubectl.wait_for("the controller has seen the set", &["-n", &namespace, "statefulset", "db"], |s| {
        s["status"]["currentRevision"].is_string()
    });
    assert_eq!(made["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Retain");
    assert!(made["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"].is_object(), "{made}");
    assert!(made["spec"]["template"]["spec"]["containers"][0]["readinessProbe"].is_object(), "{made}");

    let check = |when: &str| {
        let now = set();
        assert_eq!(now["spec"], made["spec"], "{when}");
        assert_eq!(now["metadata"]["generation"], 1, "{when}");
        assert_eq!(now.record(), made.record(), "{when}");
        assert_eq!(revisions(site, &namespace), 1, "{when}");
    };
    for way in AGAIN {
        again(&kubectl, &namespace, &manifest, way);
        check(&format!("{way:?} in enforce"));
    }
    site.set_mode(&namespace, "audit");
    for way in AGAIN {
        again(&kubectl, &namespace, &manifest, way);
        check(&format!("{way:?} in audit"));
    }
}

/// A change that the user does want rolls out once, and the defaults stay through it.
#[test]
fn a_wanted_change_rolls_out_once_and_keeps_the_defaults() {
    let Some(site) = site() else { return };
    let kubectl = site.plane.kubectl();
    for way in AGAIN {
        let namespace = site.namespace("enforce", "tier-2");
        let first = without_defaults("db");
        let newer = first.clone().with("/spec/template/spec/containers/0/image", "postgres:17.3").to_string();
        kubectl.apply(&first.to_string(), &["-n", &namespace]).ok();
        let set = ["-n", namespace.as_str(), "statefulset", "db"];
        let made =
            kubectl.wait_for("the controller has seen the set", &set, |s| s["status"]["currentRevision"].is_string());
        for _ in 0..2 {
            again(&kubectl, &namespace, &newer, way);
        }
        let wanted = made["spec"].clone().with("/template/spec/containers/0/image", "postgres:17.3");
        let updated = |s: &Value| s["status"]["observedGeneration"] == 2;
        let now = kubectl.wait_for("the controller has seen the change", &set, updated);
        assert_eq!(now["spec"], wanted, "{way:?}");
        assert_eq!(now["metadata"]["generation"], 2, "{way:?}");
        assert_eq!(revisions(site, &namespace), 2, "{way:?}");
    }
}

/// To let go of a default on purpose, a user takes its pointer out of the record.
#[test]
fn a_default_is_let_go_by_its_pointer() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-2");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&without_defaults("db").to_string(), &["-n", &namespace]).ok();
    let set = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    let pointer = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
    let mut kept = set.record();
    assert!(kept.as_object_mut().unwrap().shift_remove(pointer).is_some(), "{kept}");
    site.set_mode(&namespace, "warn");
    let edit = json!({
        "metadata": {"annotations": {"seawall.dev/patched": kept.to_string()}},
        "spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
    });
    kubectl.run(&["patch", "-n", &namespace, "statefulset/db", "--type=merge", "-p", &edit.to_string()], "").ok();
    let set = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"], "Delete");
    assert!(set.record()["/spec/persistentVolumeClaimRetentionPolicy/whenDeleted"].is_null(), "{}", set.record());

    // dropping the whole record lets go of nothing
    kubectl.run(&["annotate", "-n", &namespace, "statefulset/db", "seawall.dev/patched-"], "").ok();
    assert_eq!(kubectl.get(&["-n", &namespace, "statefulset", "db"]).record(), kept);
}

/// The real StatefulSet controller makes the claims of a patched set, the real binder binds them; no controller is refused.
#[test]
fn claims_of_a_patched_set_are_created_and_bound() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let _provisioner = Provisioner::start(&site.plane, "claims.test");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&objects::storage_class("claims").with("/provisioner", "claims.test").to_string(), &[]).ok();
    let set = without_defaults("db")
        .with("/spec/volumeClaimTemplates/0/spec/storageClassName", "claims")
        // without a kubelet the first Pod is never ready
        .with("/spec/podManagementPolicy", "Parallel");
    let all = objects::list(&[objects::headless_service("db"), set]);
    kubectl.apply(&all, &["-n", &namespace]).ok();
    for ordinal in 0..3 {
        let name = format!("data-db-{ordinal}");
        kubectl.wait_for("the claim is bound", &["-n", &namespace, "pvc", &name], |c| c["status"]["phase"] == "Bound");
        kubectl.get(&["-n", &namespace, "pod", &format!("db-{ordinal}")]);
    }
}

/// A driver's own service account creates the volume; per-tier Retain comes without another class.
#[test]
fn volume_of_a_provisioner_is_patched() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-2");
    let _provisioner = Provisioner::start(&site.plane, "managed.test");
    let kubectl = site.plane.kubectl();
    // a class that the cloud's add-on manager would put back is left as it is
    let class = objects::storage_class("managed")
        .with("/provisioner", "managed.test")
        .with("/reclaimPolicy", "Delete")
        .with("/metadata/labels", json!({"addonmanager.kubernetes.io/mode": "EnsureExists"}));
    kubectl.apply(&class.to_string(), &[]).ok();
    assert_eq!(kubectl.get(&["storageclass", "managed"])["reclaimPolicy"], "Delete");
    kubectl.apply(&objects::claim("data", "managed").to_string(), &["-n", &namespace]).ok();
    let claim = ["-n", namespace.as_str(), "pvc", "data"];
    let claim = kubectl.wait_for("the claim is bound", &claim, |c| c["status"]["phase"] == "Bound");
    let volume = kubectl.get(&["pv", claim["spec"]["volumeName"].as_str().unwrap()]);
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
    let volume = volume.patched_by("volume-reclaim-retain");
    assert!(volume.record()["/spec/persistentVolumeReclaimPolicy"].is_array(), "{}", volume.record());
    let creator = site
        .plane
        .audit_events()
        .into_iter()
        .find(|event| event["verb"] == "create" && event["objectRef"]["name"] == volume["metadata"]["name"]);
    assert_eq!(creator.unwrap()["user"]["username"], provisioner::USER);
}
