//! `serve --audit-interval` against a real API server: reports, Events, metrics, and what is judged again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

const PATIENCE: Duration = Duration::from_secs(90);
/// The shortest that there is.
const INTERVAL: &str = "--audit-interval=10s";

fn start(plane: &ControlPlane, name: &str, extra: &[&str]) -> Seawall {
    let config = seawall::default_mode("audit");
    let extra = [&[INTERVAL, "--audit-requests-per-second=1000"], extra].concat();
    let options =
        seawall::Options { config: &config, unregistered: true, extra: &extra, ..seawall::Options::default() };
    Seawall::start(plane, name, &options)
}

fn passes(seawall: &Seawall) -> f64 {
    seawall.metric("seawall_audit_passes_total", &["result=\"complete\""])
}

/// Waits for passes that begin and end from now on.
#[track_caller]
fn await_passes(seawall: &Seawall, more: f64) {
    let before = passes(seawall);
    eventually("complete passes", PATIENCE, || (passes(seawall) >= before + more).then_some(()));
}

fn judged(seawall: &Seawall) -> f64 {
    seawall.metric("seawall_audit_objects_judged_total", &[])
}

/// Reports created, changed and deleted so far.
fn writes(seawall: &Seawall) -> f64 {
    seawall.metric("seawall_audit_report_writes_total", &[])
}

/// The definitions of the reports: those of the vendors where `SEAWALL_CRDS` names a folder of them, else ones that take anything.
fn define_reports(plane: &ControlPlane, group: &str, version: &str, kinds: [(&str, &str); 2]) {
    for (plural, kind) in kinds {
        let stem = group.split('.').next().unwrap();
        let real = std::env::var_os("SEAWALL_CRDS")
            .map(|folder| std::path::Path::new(&folder).join(format!("{stem}-{plural}.yaml")))
            .and_then(|path| std::fs::read_to_string(path).ok());
        let scope = if plural.starts_with("cluster") { "Cluster" } else { "Namespaced" };
        let names =
            json!({"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase()});
        let any = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
        let own = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {"group": group, "scope": scope, "names": names,
                "versions": [{"name": version, "served": true, "storage": true, "schema": any}]}});
        plane.kubectl_as("admin").run(&["apply", "--server-side", "-f", "-"], &real.unwrap_or(own.to_string())).ok();
        let api = plane.api("admin");
        let path = format!("/apis/{group}/{version}/{plural}");
        eventually(plural, Duration::from_secs(30), || (api.get(&path).unwrap().0 == 200).then_some(()));
    }
}

fn define_policy_reports(plane: &ControlPlane) {
    let kinds = [("policyreports", "PolicyReport"), ("clusterpolicyreports", "ClusterPolicyReport")];
    define_reports(plane, "wgpolicyk8s.io", "v1alpha2", kinds);
}

fn reports(plane: &ControlPlane) -> Vec<Value> {
    let api = plane.api("admin");
    let lists = ["policyreports", "clusterpolicyreports"].map(|plural| {
        let (_, list) = api.get(&format!("/apis/wgpolicyk8s.io/v1alpha2/{plural}")).unwrap();
        list["items"].as_array().cloned().unwrap_or_default()
    });
    lists.concat()
}

/// `Kind namespace/name` of the object and the policies of the results.
fn findings(plane: &ControlPlane) -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |report: &Value| {
        let scope = &report["scope"];
        let policies = report["results"].as_array().unwrap().iter().map(|result| text(&result["policy"])).collect();
        (format!("{} {}/{}", text(&scope["kind"]), text(&scope["namespace"]), text(&scope["name"])), policies)
    };
    reports(plane).iter().map(of).collect()
}

/// A metric of the API server.
fn server_metric(plane: &ControlPlane, family: &str) -> f64 {
    let (_, text) = plane.api("admin").get("/metrics").unwrap();
    let text = text.as_str().unwrap_or_default().to_owned();
    text.lines().filter(|l| l.starts_with(family)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn set_path(namespace: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}")
}

/// Fills a cluster: namespaces of 25 StatefulSets, of which every fifth has no volume.
fn fill(plane: &ControlPlane, sets: usize) -> Vec<String> {
    let admin = plane.kubectl_as("admin");
    admin
        .apply(&objects::list(&[objects::csi_driver("ebs.csi.aws.com"), objects::storage_class("standard")]), &[])
        .ok();
    let api = plane.api("admin");
    let labels = [("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")];
    let namespaces: Vec<String> = (0..sets.div_ceil(25)).map(|_| plane.namespace("full", &labels)).collect();
    for number in 0..sets {
        let namespace = &namespaces[number / 25];
        let name = format!("db-{number}");
        let set = if number % 5 == 0 { objects::database_without_volume(&name) } else { objects::stateful_set(&name) };
        let (status, answer) = api.post(&format!("/apis/apps/v1/namespaces/{namespace}/statefulsets"), &set).unwrap();
        assert_eq!(status, 201, "{answer}");
    }
    namespaces
}

/// How many StatefulSets; `SEAWALL_AUDIT_SETS=20000 cargo test --test cluster continuous::a_filled -- --nocapture` is a longer look.
fn sets() -> usize {
    std::env::var("SEAWALL_AUDIT_SETS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

#[test]
fn a_filled_cluster_is_judged_once_and_written_once() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let sets = sets();
    let namespaces = fill(&plane, sets);
    let seawall = start(&plane, "audits", &[]);
    let mut told = String::new();

    // without the CustomResourceDefinitions there are metrics only
    await_passes(&seawall, 1.0);
    let wrong = (sets / 5) as f64;
    let row = ["policy=\"database-without-volume\"", "mode=\"audit\"", "tier=\"tier-1\""];
    assert_eq!(seawall.metric("seawall_audit_violations", &row), wrong, "{}", seawall.process.log_tail(30));
    assert_eq!((writes(&seawall), seawall.metric("seawall_audit_incomplete", &[])), (0.0, 0.0));
    let first = judged(&seawall);
    assert!(first >= sets as f64, "{first}");
    await_passes(&seawall, 2.0);
    let again = judged(&seawall) - first;
    let _ = writeln!(told, "{sets} StatefulSets: {first} objects judged by the first pass, {again} by the next two");
    assert_eq!(again, 0.0, "nothing changed");

    // they are picked up when they appear, and what is written once is not written again
    let before = server_metric(&plane, "apiserver_storage_size_bytes");
    define_policy_reports(&plane);
    eventually("reports", PATIENCE, || (writes(&seawall) >= wrong).then_some(()));
    await_passes(&seawall, 2.0);
    let (written, there) = (writes(&seawall), reports(&plane));
    let bytes: usize = there.iter().map(|report| report.to_string().len()).sum();
    let sent = seawall.metric("seawall_audit_report_written_bytes_total", &[]);
    let etcd = server_metric(&plane, "apiserver_storage_size_bytes") - before;
    let _ = writeln!(
        told,
        "{} reports: {sent} bytes sent, {bytes} bytes as stored (JSON), etcd's file grew by {etcd} bytes",
        there.len()
    );
    let of = findings(&plane);
    let bad = of.values().filter(|policies| policies.contains("database-without-volume")).count();
    assert_eq!((bad as f64, written), (wrong, there.len() as f64), "{}", seawall.process.log_tail(30));
    for report in &there {
        let owner = &report["metadata"]["ownerReferences"][0];
        assert_eq!(owner["uid"], report["scope"]["uid"], "{report}");
        assert!(report["results"].as_array().unwrap().iter().all(|result| result["result"] != "pass"), "{report}");
    }
    let known = judged(&seawall);
    await_passes(&seawall, 2.0);
    assert_eq!((writes(&seawall), judged(&seawall)), (written, known), "nothing changed");

    // ten changes in one namespace: at once those ten, and by the next pass what policies may see of them
    let api = plane.api("admin");
    for number in 0..10 {
        let path = set_path(&namespaces[1], &format!("db-{}", 25 + number));
        api.merge(&path, &json!({"metadata": {"annotations": {"example.com/touched": "yes"}}})).unwrap();
    }
    // a pass may come between
    eventually("ten are judged", PATIENCE, || (judged(&seawall) >= known + 10.0).then_some(()));
    await_passes(&seawall, 2.0);
    let touched = judged(&seawall) - known;
    let _ =
        writeln!(told, "10 changes in one namespace of 25: {touched} objects judged until the end of the pass after");
    assert!((10.0..=10.0 + 25.0).contains(&touched), "{touched}");
    let settled = judged(&seawall);
    await_passes(&seawall, 1.0);
    assert_eq!((writes(&seawall), judged(&seawall)), (written, settled));

    // who takes over finds the reports as they should be
    drop(seawall);
    let mut next = start(&plane, "next", &[]);
    await_passes(&next, 1.0);
    assert!(judged(&next) >= sets as f64);
    assert_eq!(writes(&next), 0.0, "{}", next.process.log_tail(20));
    next.process.signal("TERM");
    let _ = next.process.wait_exit(PATIENCE);
    binaries::announce(&told);
}
