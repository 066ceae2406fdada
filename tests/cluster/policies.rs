//! Policies at work through `kubectl` that need more than a case can say. The cases are in `cases.rs`; that no policy is
//! missing is checked in `coverage.rs`.

use serde_json::{Value, json};

use crate::harness::kubectl::Output;
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

/// Applies an object in a namespace of this tier in mode enforce.
fn apply(site: &Site, tier: &str, manifest: &Value) -> Output {
    let namespace = site.namespace("enforce", tier);
    site.plane.kubectl().apply(&manifest.to_string(), &["-n", &namespace])
}

#[test]
fn workload_policies() {
    let Some(site) = site() else { return };
    let good = objects::stateful_set("db");
    let shared = good.clone().with("/spec/volumeClaimTemplates/0/spec/accessModes", vec!["ReadWriteMany"]);
    apply(site, "tier-1", &shared).denied_by("access-mode-shared-database");
    let crowded = good.clone().without("/spec/template/spec/affinity");
    apply(site, "tier-0", &crowded).denied_by("anti-affinity-host");
    let elsewhere = good
        .clone()
        .with("/spec/volumeClaimTemplates/0/metadata/name", "date")
        .with("/spec/template/spec/volumes", json!([{"name": "data", "emptyDir": {}}]));
    apply(site, "tier-1", &elsewhere).denied_by("claim-template-mounted");
    apply(site, "tier-2", &objects::database_without_volume("db")).denied_by("database-without-volume");
    apply(site, "tier-1", &deployment("postgres:17.2", "data")).denied_by("deployment-writes-claim");
    apply(site, "tier-1", &good.with("/spec/serviceName", "")).warned_by("governing-service-named");

    let redis = objects::database_without_volume("db")
        .with("/spec/template/spec/containers/0/image", "redis:7.4")
        .with("/spec/template/spec/containers/0/args", vec!["--appendonly", "yes"])
        .without("/spec/template/spec/containers/0/readinessProbe");
    apply(site, "tier-1", &redis).warned_by("cache-without-volume");
}

#[test]
fn a_replica_set_of_an_unknown_engine_with_a_claim_of_one_node() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&objects::claim("data", "standard").to_string(), &["-n", &namespace]).ok();
    // the claim is a fact that the policy looks up
    std::thread::sleep(std::time::Duration::from_secs(1));
    let manifest = deployment("registry.test/store:3", "data").with("/kind", "ReplicaSet").to_string();
    kubectl.apply(&manifest, &["-n", &namespace]).warned_by("deployment-writes-claim-unknown-engine");
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
    apply(site, "tier-1", &objects::claim("data", "deletes")).denied_by("claim-class-retain");
    let set = objects::stateful_set("db").with("/spec/volumeClaimTemplates/0/spec/storageClassName", "deletes");
    apply(site, "tier-1", &set).denied_by("claim-class-retain");
    apply(site, "tier-2", &objects::claim("data", "deletes")).warned_by("claim-class-retain");
}

#[test]
fn zones_are_spread_over_in_tier_1() {
    let Some(site) = site() else { return };
    let namespace = site.namespace("enforce", "tier-1");
    let set = objects::stateful_set("db").without("/spec/template/spec/topologySpreadConstraints");
    let kubectl = site.plane.kubectl();
    kubectl.apply(&set.to_string(), &["-n", &namespace]).patched_by("spread-zone");
    let set = kubectl.get(&["-n", &namespace, "statefulset", "db"]);
    let spread = &set["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "topology.kubernetes.io/zone");
    assert_eq!(spread["labelSelector"], set["spec"]["selector"]);
}
