//! What a person at `kubectl apply` sees: rejection, warning, all of it at once, and the same in a dry run.

use crate::harness::objects::{self, Manifest as _};
use crate::harness::{Site, site};

/// A StatefulSet with three faults that tier-0 denies: two writers on one database directory, a claim that no container
/// mounts, and replicas that may share a node.
fn three_faults(name: &str) -> String {
    let wal = serde_json::json!({"metadata": {"name": "wal"}, "spec": {"storageClassName": "standard",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    let set = objects::stateful_set(name)
        .with("/spec/volumeClaimTemplates/0/spec/accessModes", vec!["ReadWriteMany"])
        .without("/spec/template/spec/affinity")
        .without("/spec/template/spec/topologySpreadConstraints");
    let mut templates = set["spec"]["volumeClaimTemplates"].clone();
    templates.as_array_mut().unwrap().push(wal);
    set.with("/spec/volumeClaimTemplates", templates).to_string()
}

fn is_absent(site: &Site, namespace: &str, set: &str) {
    site.plane.kubectl().run(&["get", "-n", namespace, "statefulset", set], "").refused().says(&["NotFound"]);
}

#[test]
fn denial_names_policy_field_reason_and_fix() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-2");
    let manifest = objects::database_without_volume("db").to_string();
    let output = site.plane.kubectl().apply(&manifest, &["-n", &namespace]);
    let output = output.denied_by("database-without-volume").says(&["spec.template.spec", "fix: "]);
    assert!(output.stderr.starts_with("Error from server (Forbidden)"), "{}", output.stderr);
    is_absent(site, &namespace, "db");
}

#[test]
fn all_violations_come_in_one_message() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-0");
    let output = site.plane.kubectl().apply(&three_faults("db"), &["-n", &namespace]);
    let output = output
        .denied_by("access-mode-shared-database")
        .denied_by("claim-template-mounted")
        .denied_by("anti-affinity-host");
    assert_eq!(output.stderr.matches("denied the request").count(), 1, "{}", output.stderr);
}

#[test]
fn warning_is_shown_and_the_object_is_stored() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("warn", "tier-2");
    let manifest = objects::database_without_volume("db").to_string();
    let kubectl = site.plane.kubectl();
    kubectl.apply(&manifest, &["-n", &namespace]).warned_by("database-without-volume");
    kubectl.get(&["-n", &namespace, "statefulset", "db"]);
}

/// A policy whose action is Warn in this tier does not reject where the mode would allow it to.
#[test]
fn action_of_the_tier_is_kept_in_enforce() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-2");
    let manifest =
        objects::stateful_set("db").with("/spec/volumeClaimTemplates/0/spec/accessModes", vec!["ReadWriteMany"]);
    let apply = |namespace: &str| site.plane.kubectl().apply(&manifest.to_string(), &["-n", namespace]);
    apply(&namespace).warned_by("access-mode-shared-database");

    let namespace = site.namespace("enforce", "tier-1");
    apply(&namespace).denied_by("access-mode-shared-database");
}

#[test]
fn server_dry_run_gives_the_same_verdict_and_changes_nothing() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-0");
    let kubectl = site.plane.kubectl();
    let dry = kubectl.apply(&three_faults("db"), &["-n", &namespace, "--dry-run=server"]).refused();
    is_absent(site, &namespace, "db");
    let real = kubectl.apply(&three_faults("db"), &["-n", &namespace]).refused();
    assert_eq!(dry.stderr, real.stderr);

    let namespace = site.namespace("enforce", "tier-2");
    let patched = objects::stateful_set("db").with("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Delete");
    let flags = [
        "-n",
        &namespace,
        "--dry-run=server",
        "-o",
        "jsonpath={.spec.persistentVolumeClaimRetentionPolicy.whenDeleted}",
    ];
    let dry = kubectl.apply(&patched.to_string(), &flags).ok();
    assert_eq!(dry.stdout, "Retain");
    is_absent(site, &namespace, "db");
    let real = kubectl.apply(&patched.to_string(), &["-n", &namespace]).ok();
    assert_eq!(dry.stderr, real.stderr);
}

/// The objects of the other tests are right: nothing is said about them in the strictest namespace.
#[test]
fn a_good_manifest_passes_in_silence() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-0");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&objects::storage_class("good").to_string(), &[]).ok().quiet();
    let all = objects::list(&[objects::headless_service("db"), objects::stateful_set("db")]);
    kubectl.apply(&all, &["-n", &namespace]).ok().quiet();
}
