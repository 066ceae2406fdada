//! The labels of a namespace: audit shows nothing, warn tells, enforce acts, patches have a switch of their own.

use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::harness::objects::{self, Manifest as _};
use crate::harness::{Site, site};

/// What `readiness-probe` supplies.
const PROBE: &str = "/spec/template/spec/containers/0/readinessProbe";

/// One fault that is denied and one that is patched.
fn faulty(name: &str) -> String {
    objects::database_without_volume(name).without(PROBE).to_string()
}

fn stored(site: &Site, namespace: &str) -> Value {
    site.plane.kubectl().get(&["-n", namespace, "statefulset", "db"])
}

/// Nothing shown, nothing changed, but recorded in the API server's audit log.
#[test]
fn audit_is_silent_and_recorded() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("audit", "tier-0");
    let counted = || {
        let labels = ["policy=\"database-without-volume\"", "action=\"audit\""];
        site.seawall.metric("seawall_violations_total", &labels)
    };
    let before = counted();
    site.plane.kubectl().apply(&faulty("db"), &["-n", &namespace]).ok().quiet();
    assert!(counted() > before, "counted for the operator");
    let set = stored(site, &namespace);
    assert!(set.pointer(PROBE).is_none());
    assert!(set["metadata"]["annotations"]["seawall.dev/patched"].is_null());
    let here = |event: &Value| event["objectRef"]["namespace"] == *namespace;
    site.plane.audited("statefulsets", "db", here).audited_by("database-without-volume");
}

#[test]
fn warn_tells_and_changes_nothing() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("warn", "tier-0");
    let output = site.plane.kubectl().apply(&faulty("db"), &["-n", &namespace]);
    output.warned_by("database-without-volume").warned_by("readiness-probe");
    assert!(stored(site, &namespace).pointer(PROBE).is_none());
}

#[test]
fn off_is_silent() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("off", "tier-0");
    site.plane.kubectl().apply(&faulty("db"), &["-n", &namespace]).ok().quiet();
    assert!(stored(site, &namespace).pointer(PROBE).is_none());
}

/// A team can have patches without rejections …
#[test]
fn patch_enabled_without_enforce_patches() {
    let Some(site) = site() else { return };
    let labels = [("seawall.dev/mode", "warn"), ("seawall.dev/tier", "tier-2"), ("seawall.dev/patch", "enabled")];
    let namespace = site.plane.namespace("patching", &labels);
    site.plane.kubectl().apply(&faulty("db"), &["-n", &namespace]).patched_by("readiness-probe");
    assert!(stored(site, &namespace).pointer(PROBE).is_some());
}

/// … or rejections without patches.
#[test]
fn patch_disabled_in_enforce_rejects_and_does_not_patch() {
    let Some(site) = site() else { return };
    let labels = [("seawall.dev/mode", "enforce"), ("seawall.dev/tier", "tier-2"), ("seawall.dev/patch", "disabled")];
    let namespace = site.plane.namespace("unpatched", &labels);
    let kubectl = site.plane.kubectl();
    kubectl.apply(&faulty("db"), &["-n", &namespace]).denied_by("database-without-volume");
    let patchable = objects::stateful_set("db").without(PROBE).to_string();
    kubectl.apply(&patchable, &["-n", &namespace]).warned_by("readiness-probe");
    assert!(stored(site, &namespace).pointer(PROBE).is_none());
}

/// A second after the label was changed the new mode holds, in both directions.
#[test]
fn relabelling_switches_within_a_second() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("audit", "tier-2");
    let kubectl = site.plane.kubectl();
    let try_it = || kubectl.apply(&faulty("db"), &["-n", &namespace, "--dry-run=server"]);
    try_it().ok().quiet();
    for (mode, denied) in [("warn", false), ("enforce", true), ("audit", false)] {
        site.set_mode_at_once(&namespace, mode);
        sleep(Duration::from_secs(1));
        let output = try_it();
        assert_eq!(!output.status.success(), denied, "{mode}: {}", output.stderr);
        assert_eq!(output.stderr.contains("[database-without-volume]"), mode != "audit", "{mode}: {}", output.stderr);
    }
}

/// Lowering the guard on a namespace is itself guarded; raising it is not.
#[test]
fn only_administrators_lower_the_guard() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let kubectl = site.plane.kubectl();
    for label in
        ["seawall.dev/mode=audit", "seawall.dev/tier-", "seawall.dev/tier=tier-3", "seawall.dev/patch=disabled"]
    {
        kubectl.run(&["label", "--overwrite", "namespace", &namespace, label], "").denied_by("mode-not-lowered");
    }
    kubectl.run(&["label", "--overwrite", "namespace", &namespace, "seawall.dev/tier=tier-0"], "").ok();
    kubectl.run(&["label", "--overwrite", "namespace", &namespace, "team=payments"], "").ok();
    let administrator = site.plane.kubectl_as("admin");
    administrator.run(&["label", "--overwrite", "namespace", &namespace, "seawall.dev/mode=audit"], "").ok();
}
