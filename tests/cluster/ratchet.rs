//! What was there before a policy goes on working: edits, scaling, deletion. What gets worse is refused.

use serde_json::Value;

use crate::harness::objects::{self, Manifest as _};
use crate::harness::{Site, site};

/// A StatefulSet full of faults, made while the namespace was not looked at; then the namespace is enforced.
fn older_than_the_policy(site: &Site, tier: &str) -> (String, Value) {
    let namespace = site.namespace("off", tier);
    let kubectl = site.plane.kubectl();
    let set = objects::database_without_volume("db")
        .with("/metadata/finalizers", vec!["seawall.test/hold"])
        .with("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Delete")
        .without("/spec/template/spec/affinity")
        .without("/spec/template/spec/topologySpreadConstraints")
        .without("/spec/template/spec/containers/0/readinessProbe");
    kubectl.apply(&set.to_string(), &["-n", &namespace]).ok().quiet();
    let made = kubectl.wait_for("the controller has seen the set", &["-n", &namespace, "statefulset", "db"], |s| {
        s["status"]["currentRevision"].is_string()
    });
    site.set_mode(&namespace, "enforce");
    (namespace, made)
}

/// A label edit is no reason to refuse, nor to touch the Pod template: that would restart a running database.
#[test]
fn label_edit_on_an_old_object_warns_and_leaves_the_template_alone() {
    let Some(site) = site() else { return };
    let (namespace, made) = older_than_the_policy(site, "tier-0");
    let kubectl = site.plane.kubectl();
    let output = kubectl.run(&["label", "-n", &namespace, "statefulset/db", "team=payments"], "");
    output.warned_by("database-without-volume");
    let now = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert_eq!(now["metadata"]["labels"]["team"], "payments");
    assert_eq!(now["spec"], made["spec"]);
    assert_eq!(now["metadata"]["generation"], made["metadata"]["generation"]);
    let revisions = kubectl.get(&["-n", &namespace, "controllerrevisions"]);
    assert_eq!(revisions["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_new_violation_on_update_is_denied() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-0");
    let kubectl = site.plane.kubectl();
    let good = objects::stateful_set("db");
    kubectl.apply(&objects::list(&[objects::headless_service("db"), good.clone()]), &["-n", &namespace]).ok();
    let worse = good.without("/spec/template/spec/containers/0/volumeMounts");
    kubectl.apply(&worse.to_string(), &["-n", &namespace]).denied_by("database-without-volume");
    let now = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert!(now["spec"]["template"]["spec"]["containers"][0]["volumeMounts"].is_array());
}

/// Deletion goes its way: the request, edits while a finalizer holds the object, and the finalizer's end.
#[test]
fn deletion_in_progress_and_finalizer_removal_pass() {
    let Some(site) = site() else { return };
    let (namespace, _) = older_than_the_policy(site, "tier-0");
    let kubectl = site.plane.kubectl();
    kubectl.run(&["delete", "-n", &namespace, "statefulset/db", "--wait=false", "--cascade=orphan"], "").ok();
    let held = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
    kubectl.run(&["annotate", "-n", &namespace, "statefulset/db", "note=going"], "").ok();
    // what would be a new violation on a living object
    let change = r#"{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":0}}}}"#;
    kubectl.run(&["patch", "-n", &namespace, "statefulset/db", "--type=merge", "-p", change], "").ok();
    let release = r#"{"metadata":{"finalizers":null}}"#;
    kubectl.run(&["patch", "-n", &namespace, "statefulset/db", "--type=merge", "-p", release], "").ok();
    kubectl.run(&["wait", "-n", &namespace, "--for=delete", "statefulset/db", "--timeout=30s"], "").ok();
}

/// Taking a finalizer off an object that is not being deleted makes nothing worse either.
#[test]
fn finalizer_removal_on_a_living_object_passes() {
    let Some(site) = site() else { return };
    let (namespace, made) = older_than_the_policy(site, "tier-0");
    let kubectl = site.plane.kubectl();
    let release = r#"{"metadata":{"finalizers":null}}"#;
    kubectl.run(&["patch", "-n", &namespace, "statefulset/db", "--type=merge", "-p", release], "").ok();
    let now = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    assert!(now["metadata"]["finalizers"].is_null());
    assert_eq!(now["spec"], made["spec"]);
}

/// `kubectl scale` writes the scale subresource, whose object has no template and no labels.
#[test]
fn scale_works_on_good_and_on_old_sets() {
    let Some(site) = site() else { return };
    let kubectl = site.plane.kubectl();
    let namespace = site.namespace("enforce", "tier-0");
    let all = objects::list(&[objects::headless_service("db"), objects::stateful_set("db")]);
    kubectl.apply(&all, &["-n", &namespace]).ok();
    let (old, _) = older_than_the_policy(site, "tier-0");
    for namespace in [&namespace, &old] {
        kubectl.run(&["scale", "-n", namespace, "statefulset/db", "--replicas=5"], "").ok();
        kubectl.run(&["scale", "-n", namespace, "statefulset/db", "--replicas=2"], "").ok();
        assert_eq!(kubectl.get(&["-n", namespace, "statefulset", "db"])["spec"]["replicas"], 2);
    }
}

/// A bound claim goes only when its owner says so by name and date; then the real protection controller frees it.
#[test]
fn a_bound_claim_is_deleted_only_on_purpose() {
    use crate::harness::provisioner::Provisioner;
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let _provisioner = Provisioner::start(&site.plane, "delete.test");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&objects::storage_class("delete").with("/provisioner", "delete.test").to_string(), &[]).ok();
    kubectl.apply(&objects::claim("data", "delete").to_string(), &["-n", &namespace]).ok();
    kubectl.wait_for("the claim is bound", &["-n", &namespace, "pvc", "data"], |c| c["status"]["phase"] == "Bound");
    kubectl.run(&["delete", "-n", &namespace, "pvc/data", "--wait=false"], "").denied_by("delete-claim");
    kubectl.run(&["delete", "-n", &namespace, "pvc", "--all", "--wait=false"], "").denied_by("delete-claim");
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let on = format!("seawall.dev/allow-delete-on={today}");
    kubectl.run(&["annotate", "-n", &namespace, "pvc/data", "seawall.dev/allow-delete=data", &on], "").ok();
    kubectl.run(&["delete", "-n", &namespace, "pvc/data"], "").ok();
}
