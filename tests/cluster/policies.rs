//! Each policy at work through `kubectl`. Those that need a story of their own are in the other files; that none is missing is
//! checked here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::objects::{self, Manifest as _};
use crate::harness::{Site, site};

fn deployment(image: &str, claim: &str) -> Value {
    let labels = json!({"app": "db"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "db"}, "spec": {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "containers": [{"name": "db", "image": image, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]}}}})
}

fn denied(site: &Site, tier: &str, policy: &str, manifest: &Value) {
    let namespace = site.namespace("enforce", tier);
    let output = site.plane.kubectl().apply(&manifest.to_string(), &["-n", &namespace]).refused();
    output.says(&[&format!("[{policy}]"), "fix: "]);
}

/// The warnings about an object that is stored nevertheless.
fn warned(site: &Site, tier: &str, policy: &str, manifest: &Value) {
    let namespace = site.namespace("enforce", tier);
    warned_in(site, &namespace, policy, manifest);
}

fn warned_in(site: &Site, namespace: &str, policy: &str, manifest: &Value) {
    let output = site.plane.kubectl().apply(&manifest.to_string(), &["-n", namespace]).ok();
    assert!(output.warnings().iter().any(|w| w.contains(&format!("[{policy}]"))), "{policy} in {}", output.stderr);
}

#[test]
fn workload_policies() {
    let Some(site) = site() else { return };
    let good = objects::stateful_set("db");
    let shared = good.clone().with("/spec/volumeClaimTemplates/0/spec/accessModes", vec!["ReadWriteMany"]);
    denied(site, "tier-1", "access-mode-shared-database", &shared);
    denied(site, "tier-0", "anti-affinity-host", &good.clone().without("/spec/template/spec/affinity"));
    let elsewhere = good.clone().with("/spec/volumeClaimTemplates/0/metadata/name", "date");
    denied(
        site,
        "tier-1",
        "claim-template-mounted",
        &elsewhere.with("/spec/template/spec/volumes", json!([{"name": "data", "emptyDir": {}}])),
    );
    denied(site, "tier-2", "database-without-volume", &objects::database_without_volume("db"));
    denied(site, "tier-1", "deployment-writes-claim", &deployment("postgres:17.2", "data"));
    warned(site, "tier-1", "governing-service-named", &good.clone().with("/spec/serviceName", ""));

    let redis = objects::database_without_volume("db")
        .with("/spec/template/spec/containers/0/image", "redis:7.4")
        .with("/spec/template/spec/containers/0/args", vec!["--appendonly", "yes"])
        .without("/spec/template/spec/containers/0/readinessProbe");
    warned(site, "tier-1", "cache-without-volume", &redis);
}

#[test]
fn a_deployment_of_an_unknown_engine_with_a_claim_of_one_node() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    site.plane.kubectl().apply(&objects::claim("data", "standard").to_string(), &["-n", &namespace]).ok();
    // the claim is a fact that the policy looks up
    std::thread::sleep(std::time::Duration::from_secs(1));
    let policy = "deployment-writes-claim-unknown-engine";
    warned_in(site, &namespace, policy, &deployment("registry.test/store:3", "data"));
}

/// The class that a claim names is looked up in the cluster, for claims by hand and for those of a StatefulSet.
#[test]
fn claims_of_a_class_that_deletes() {
    let Some(site) = site() else { return };
    let class = objects::storage_class("deletes")
        .with("/reclaimPolicy", "Delete")
        .with("/metadata/labels", json!({"addonmanager.kubernetes.io/mode": "EnsureExists"}));
    site.plane.kubectl().apply(&class.to_string(), &[]).ok();
    std::thread::sleep(std::time::Duration::from_secs(1));
    denied(site, "tier-1", "claim-class-retain", &objects::claim("data", "deletes"));
    let set = objects::stateful_set("db").with("/spec/volumeClaimTemplates/0/spec/storageClassName", "deletes");
    denied(site, "tier-1", "claim-class-retain", &set);
    warned(site, "tier-2", "claim-class-retain", &objects::claim("data", "deletes"));
}

#[test]
fn zones_are_spread_over_in_tier_1() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let set = objects::stateful_set("db").without("/spec/template/spec/topologySpreadConstraints");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&set.to_string(), &["-n", &namespace]).ok().says(&["spread-zone"]);
    let set = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    let spread = &set["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "topology.kubernetes.io/zone");
    assert_eq!(spread["labelSelector"], set["spec"]["selector"]);
}

/// A policy that never acted on a real API server is not done.
#[test]
fn every_policy_is_seen_at_work() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources: String = fs::read_dir(root.join("tests/cluster"))
        .unwrap()
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path()).ok())
        .collect();
    let missing: BTreeSet<String> = fs::read_dir(root.join("policies/seawall/policies"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().replace('_', "-"))
        .filter(|id| !sources.contains(&format!("\"{id}\"")) && !sources.contains(&format!("[{id}]")))
        .collect();
    assert!(missing.is_empty(), "policies that no cluster test has seen act: {missing:#?}");
}
