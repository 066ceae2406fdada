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
    let interval = if extra.iter().any(|flag| flag.starts_with("--audit-interval")) { &[][..] } else { &[INTERVAL] };
    let extra = [interval, &["--audit-requests-per-second=1000"], extra].concat();
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

pub(crate) fn define_policy_reports(plane: &ControlPlane) {
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
pub(crate) fn findings(plane: &ControlPlane) -> BTreeMap<String, BTreeSet<String>> {
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

    let status = std::fs::read_to_string(format!("/proc/{}/status", seawall.process.pid().unwrap())).unwrap();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let took = seawall.metric("seawall_audit_pass_duration_seconds", &[]);
    let _ = writeln!(told, "a pass in which nothing changed: {took:.2} s; peak memory of the process {memory}");

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

/// The reasons of our Events about an object, oldest first.
fn events(plane: &ControlPlane, namespace: &str, name: &str) -> Vec<(String, String)> {
    let (_, list) = plane.api("admin").get(&format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")).unwrap();
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let mut ours: Vec<&Value> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["reportingController"] == "seawall.dev/audit" && event["regarding"]["name"] == name)
        .collect();
    ours.sort_by_key(|event| text(event, "eventTime"));
    ours.into_iter().map(|event| (text(event, "reason"), text(event, "note"))).collect()
}

#[test]
fn what_changes_is_judged_at_once_and_told_once() {
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    define_policy_reports(&plane);
    let labels = [("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")];
    let shop = plane.namespace("shop", &labels);
    let own = |object: Value| object.with("/metadata/namespace", shop.as_str());
    let admin = plane.kubectl_as("admin");
    let deletes = objects::storage_class("deletes").with("/reclaimPolicy", "Delete");
    let standing = [
        objects::csi_driver("ebs.csi.aws.com"),
        objects::storage_class("standard"),
        deletes,
        own(objects::stateful_set("db")),
    ];
    admin.apply(&objects::list(&standing), &[]).ok();
    let api = plane.api("admin");
    // its claim is counted at it
    eventually("the controller makes a claim", PATIENCE, || {
        let path = format!("/api/v1/namespaces/{shop}/persistentvolumeclaims/data-db-0");
        (api.get(&path).unwrap().0 == 200).then_some(())
    });
    // no second pass comes by itself
    let seawall = start(&plane, "audits", &["--audit-interval=1h", "--audit-events"]);
    eventually("a pass", PATIENCE, || (passes(&seawall) >= 1.0).then_some(()));
    let of = |kind_and_name: &str| {
        let (kind, name) = kind_and_name.split_once(' ').unwrap();
        findings(&plane).remove(&format!("{kind} {shop}/{name}")).unwrap_or_default()
    };
    assert!(of("PersistentVolumeClaim data-db-0").is_empty() && events(&plane, &shop, "db").is_empty());

    // a violation comes
    let retention = |value: &str| {
        let spec = json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": value}}});
        assert_eq!(api.merge(&set_path(&shop, "db"), &spec).unwrap().0, 200);
    };
    let has = |id: &str| of("StatefulSet db").contains(id);
    let started = Instant::now();
    retention("Delete");
    eventually("it is reported", PATIENCE, || has("sts-claim-retention").then_some(()));
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let told = eventually("an Event", PATIENCE, || events(&plane, &shop, "db").pop());
    assert_eq!(told.0, "PolicyViolation");
    assert!(told.1.contains("[sts-claim-retention]"), "{told:?}");
    // and goes
    retention("Retain");
    eventually("it is not reported any more", PATIENCE, || (!has("sts-claim-retention")).then_some(()));
    eventually("an Event of each", PATIENCE, || (events(&plane, &shop, "db").len() == 2).then_some(()));
    assert_eq!(events(&plane, &shop, "db")[1].0, "PolicyViolationResolved");

    // an object comes, and its report goes with it
    admin.apply(&own(objects::claim("by-hand", "deletes")).to_string(), &[]).ok();
    eventually("the claim is reported", PATIENCE, || {
        of("PersistentVolumeClaim by-hand").contains("claim-class-retain").then_some(())
    });
    admin.run(&["delete", "pvc", "-n", &shop, "by-hand", "--wait=false"], "").ok();
    eventually("the garbage collector removes the report", PATIENCE, || {
        of("PersistentVolumeClaim by-hand").is_empty().then_some(())
    });
    let counted = ["policy=\"claim-class-retain\""];
    assert_eq!(seawall.metric("seawall_audit_violations", &counted), 0.0);

    // what a whole namespace hangs on brings the next pass forward
    let before = passes(&seawall);
    admin.run(&["label", "--overwrite", "namespace", &shop, "seawall.dev/mode=off"], "").ok();
    eventually("no reports in mode off", Duration::from_secs(120), || {
        let left = findings(&plane).into_keys().filter(|name| name.contains(&format!(" {shop}/"))).count();
        (left == 0).then_some(())
    });
    assert_eq!((passes(&seawall), seawall.metric("seawall_audit_events_total", &["sent"])), (before + 1.0, 3.0));
}

#[test]
fn one_replica_audits_and_an_api_server_that_was_away_is_no_reason_for_a_wrong_word() {
    let Some(mut plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    define_policy_reports(&plane);
    let namespaces = fill(&plane, 30);
    let mut replicas = [start(&plane, "one", &[]), start(&plane, "two", &[])];
    let auditing = |replica: &Seawall| replica.metric("seawall_audit_auditing", &[]) == 1.0 && passes(replica) >= 1.0;
    let first = eventually("one audits", PATIENCE, || replicas.iter().position(auditing));
    assert_eq!(replicas[1 - first].metric("seawall_audit_auditing", &[]), 0.0);
    assert_eq!(judged(&replicas[1 - first]), 0.0);
    replicas[first].process.kill();
    let seawall = &replicas[1 - first];
    eventually("the other takes over", PATIENCE, || auditing(seawall).then_some(()));
    let wrong = || seawall.metric("seawall_audit_violations", &["policy=\"database-without-volume\""]);
    assert_eq!(wrong(), 6.0);
    await_passes(seawall, 1.0);
    let (before, listed) = (findings(&plane), lists(&plane));
    assert!(before.len() >= 6, "{before:?}");

    // away for longer than a pass and its patience, and without the history that watches resume from
    let away = Instant::now();
    plane.restart_apiserver(|plane| {
        eventually("the audit says so", PATIENCE, || {
            (seawall.metric("seawall_audit_auditing", &[]) == 0.0).then_some(())
        });
        plane.forget_history();
    });
    let away = away.elapsed();
    eventually("it audits again", PATIENCE, || auditing(seawall).then_some(()));
    eventually("what it found before is there", PATIENCE, || (wrong() == 6.0).then_some(()));
    await_passes(seawall, 1.0);
    assert_eq!(findings(&plane), before);
    let bad = objects::database_without_volume("late");
    let path = format!("/apis/apps/v1/namespaces/{}/statefulsets", namespaces[0]);
    assert_eq!(plane.api("admin").post(&path, &bad).unwrap().0, 201);
    eventually("changes are seen again", PATIENCE, || (wrong() == 7.0).then_some(()));
    let since = lists(&plane) - listed;
    binaries::announce(&format!(
        "API server away for {:.0} s: StatefulSets were listed {since} times since, in {} passes of this replica\n",
        away.as_secs_f64(),
        seawall.metric("seawall_audit_passes_total", &[])
    ));
    // one for each pass and one for the facts of policies, and a few for what was refused while it came up
    assert!(since as f64 <= seawall.metric("seawall_audit_passes_total", &[]) + 8.0, "{since}");
}

/// How often all StatefulSets were listed.
fn lists(plane: &ControlPlane) -> usize {
    let list = |event: &Value| {
        let object = &event["objectRef"];
        event["verb"] == "list" && object["resource"] == "statefulsets" && object["namespace"].is_null()
    };
    plane.audit_events().iter().filter(|event| list(event)).count()
}

#[test]
fn reports_of_the_other_group_and_none_at_all() {
    let Some(plane) = own(&Options::default()) else { return };
    define_reports(&plane, "openreports.io", "v1alpha1", [("reports", "Report"), ("clusterreports", "ClusterReport")]);
    fill(&plane, 5);
    let count = || {
        let (_, list) = plane.api("admin").get("/apis/openreports.io/v1alpha1/reports").unwrap();
        list["items"].as_array().unwrap().len()
    };
    let silent = start(&plane, "silent", &["--audit-reports=none"]);
    await_passes(&silent, 1.0);
    assert_eq!((count(), writes(&silent)), (0, 0.0));
    drop(silent);
    let seawall = start(&plane, "writes", &["--audit-reports=openreports"]);
    eventually("reports", PATIENCE, || (count() >= 1 && passes(&seawall) >= 1.0).then_some(()));
    assert_eq!(
        seawall.metric("seawall_audit_report_writes_total", &["failed"]),
        0.0,
        "{}",
        seawall.process.log_tail(9)
    );
}
