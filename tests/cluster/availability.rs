//! Seawall dying, draining, coming back, and running twice. Each test has a control plane of its own.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::replicas::{Replicas, SERVICE};
use crate::harness::seawall::{self, Seawall};

const NAMESPACE: &str = "seawall-system";

fn labelled(plane: &ControlPlane, mode: &str) -> String {
    plane.namespace(mode, &[("seawall.dev/mode", mode), ("seawall.dev/tier", "tier-2")])
}

/// Out of the box, nothing is rejected and nothing is changed where no label says so.
/// Killed without warning: enforced namespaces refuse, the others do not notice. Started again, all is as before.
#[test]
fn killed_server_is_felt_only_in_enforce() {
    let Some(plane) = own(&Options::default()) else { return };
    let mut seawall = Seawall::start(&plane, "seawall", &seawall::Options::default()).in_force(&plane);
    let unlabelled = plane.namespace("unlabelled", &[]);
    let (enforce, warn, audit) = (labelled(&plane, "enforce"), labelled(&plane, "warn"), labelled(&plane, "audit"));
    let kubectl = plane.kubectl();
    let bad = objects::database_without_volume("db").to_string();
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "bare"},
                       "provisioner": "ebs.csi.aws.com"});

    kubectl.apply(&bad, &["-n", &unlabelled]).warned_by("database-without-volume");
    kubectl.apply(&class.to_string(), &[]).ok();
    assert_eq!(kubectl.get(&["storageclass", "bare"])["reclaimPolicy"], "Delete");

    // without a label the namespace would only be warned
    kubectl.run(&["label", "namespace", &enforce, "seawall.dev/mode-"], "").denied_by("mode-not-lowered");

    seawall.process.signal("KILL");
    assert!(seawall.process.wait_exit(Duration::from_secs(5)).is_some());

    let good = objects::stateful_set("good").to_string();
    kubectl.apply(&good, &["-n", &enforce]).refused().says(&["failed calling webhook"]);
    for namespace in [&unlabelled, &warn, &audit] {
        let started = Instant::now();
        for manifest in [&good, &bad] {
            kubectl.apply(manifest, &["-n", namespace]).ok().quiet();
        }
        assert!(started.elapsed() < Duration::from_secs(5), "slow in {namespace}: {:?}", started.elapsed());
    }
    kubectl.apply(&class.with("/metadata/name", "while-dead").to_string(), &[]).ok().quiet();
    // what no policy is about works in enforced namespaces too
    kubectl.run(&["create", "configmap", "-n", &enforce, "other"], "").ok().quiet();

    let seawall = Seawall::start(&plane, "again", &seawall::Options::default()).in_force(&plane);
    kubectl.apply(&good, &["-n", &enforce]).ok();
    kubectl.apply(&bad, &["-n", &enforce]).denied_by("database-without-volume");
    drop(seawall);
}

/// A dead Seawall does not keep a database down: the control plane makes Pods and claims again in enforced namespaces.
#[test]
fn controllers_work_on_while_the_server_is_dead() {
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    let mut seawall = Seawall::start(&plane, "seawall", &seawall::Options::default()).in_force(&plane);
    let namespace = labelled(&plane, "enforce");
    let kubectl = plane.kubectl();
    let set = objects::stateful_set("db").with("/spec/podManagementPolicy", "Parallel");
    kubectl.apply(&set.to_string(), &["-n", &namespace]).ok();
    let pod = ["-n", namespace.as_str(), "pod", "db-1"];
    let before = kubectl.wait_for("the pod is there", &pod, |_| true);
    seawall.process.kill();
    kubectl.run(&["delete", "-n", &namespace, "pod/db-1", "--wait=false"], "").ok();
    kubectl.wait_for("the pod is there again", &pod, |pod| pod["metadata"]["uid"] != before["metadata"]["uid"]);
    // deletion protection of claims fails closed
    kubectl.run(&["delete", "-n", &namespace, "pvc/data-db-1", "--wait=false"], "").refused();
    // the namespace can still be taken down by those who may: its controller is not held up
    let kubectl = plane.kubectl_as("admin");
    kubectl.run(&["delete", "-n", &namespace, "statefulset/db"], "").ok();
    kubectl.run(&["delete", "namespace", &namespace, "--timeout=60s"], "").ok();
}

/// Frozen is worse than dead: connections are taken and nothing comes back. Namespaces that are not enforced wait for their
/// short time-outs and no longer; enforced ones are refused.
#[test]
fn frozen_server_costs_observed_namespaces_only_a_moment() {
    let Some(plane) = own(&Options::default()) else { return };
    let seawall = Seawall::start(&plane, "seawall", &seawall::Options::default()).in_force(&plane);
    let (enforce, warn) = (labelled(&plane, "enforce"), labelled(&plane, "warn"));
    let kubectl = plane.kubectl();
    let good = objects::stateful_set("good").to_string();
    seawall.process.signal("STOP");
    let started = Instant::now();
    kubectl.apply(&good, &["-n", &warn]).ok().quiet();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    kubectl.apply(&good, &["-n", &enforce]).refused().says(&["failed calling webhook"]);
    seawall.process.signal("CONT");
    kubectl.apply(&good, &["-n", &enforce]).ok();
}

/// A StorageClass has no namespace, so the configuration's mode counts. What was patched in enforce survives applying the file
/// again after the operator went back to audit.
#[test]
fn patched_class_survives_the_way_back_to_audit() {
    let Some(plane) = own(&Options::default()) else { return };
    let kubectl = plane.kubectl();
    let manifest = objects::storage_class("written").with("/reclaimPolicy", "Delete").to_string();
    let [enforce, audit] = ["enforce", "audit"].map(seawall::default_mode);
    let options = seawall::Options { config: &enforce, ..seawall::Options::default() };
    let mut seawall = Seawall::start(&plane, "enforcing", &options).in_force(&plane);
    kubectl.apply(&manifest, &[]).patched_by("class-reclaim-retain");
    seawall.process.signal("TERM");
    assert!(seawall.process.wait_exit(Duration::from_secs(30)).is_some_and(|status| status.success()));

    let options = seawall::Options { config: &audit, ..seawall::Options::default() };
    let _auditing = Seawall::start(&plane, "auditing", &options).in_force(&plane);
    for way in [&["apply"][..], &["apply", "--server-side", "--force-conflicts"], &["replace"]] {
        let mut args = way.to_vec();
        args.extend(["-f", "-"]);
        kubectl.run(&args, &manifest).ok();
        assert_eq!(kubectl.get(&["storageclass", "written"])["reclaimPolicy"], "Retain", "{way:?}");
    }
    let other = objects::storage_class("other").with("/reclaimPolicy", "Delete").to_string();
    kubectl.apply(&other, &[]).ok().quiet();
    assert_eq!(kubectl.get(&["storageclass", "other"])["reclaimPolicy"], "Delete");
}

/// Reached through a Service, as in production: HTTP/1.1, and the certificate names the Service.
#[test]
fn by_service_without_aggregator_routing() {
    let Some(plane) = own(&Options::default()) else { return };
    let port = seawall::free_port();
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "seawall", "namespace": NAMESPACE},
                         "spec": {"type": "ExternalName", "externalName": "localhost"}});
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    plane.kubectl().apply(&objects::list(&[namespace, service]), &[]).ok();
    let by_service = format!("{NAMESPACE}/seawall:{port}");
    let options = seawall::Options {
        service: Some(&by_service),
        listen: Some(format!("127.0.0.1:{port}")),
        ..seawall::Options::default()
    };
    let seawall = Seawall::start(&plane, "seawall", &options).in_force(&plane);
    let namespace = labelled(&plane, "enforce");
    let bad = objects::database_without_volume("db").to_string();
    plane.kubectl().apply(&bad, &["-n", &namespace]).denied_by("database-without-volume");
    drop(seawall);
}

/// `webhook-config --delete` is the way out: nothing is denied any more and nothing stays behind.
#[test]
fn registration_is_removed_on_request() {
    let Some(plane) = own(&Options::default()) else { return };
    let mut seawall = Seawall::start(&plane, "seawall", &seawall::Options::default()).in_force(&plane);
    assert_eq!(seawall::configurations(&plane).len(), 2);
    seawall.process.signal("TERM");
    assert!(seawall.process.wait_exit(Duration::from_secs(30)).is_some_and(|s| s.success()));
    assert_eq!(seawall::configurations(&plane).len(), 2, "a restart must not open the gate");
    let kubeconfig = plane.kubeconfig("admin");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["webhook-config", "--delete", "--kubeconfig"])
        .arg(kubeconfig)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(seawall::configurations(&plane), Vec::<String>::new());
    seawall::await_absence(&plane);
}

/// Calls whose body is still on its way when SIGTERM arrives are answered in full, then the process ends with 0.
#[test]
fn sigterm_answers_the_calls_in_flight() {
    let Some(plane) = own(&Options::default()) else { return };
    let options = seawall::Options { farewell: Some([2, 2]), ..seawall::Options::default() };
    let mut seawall = Seawall::start(&plane, "seawall", &options);
    let body = review(&plane).to_string();
    let (first, second) = body.split_at(body.len() / 2);
    let mut calls: Vec<_> = (0..20).map(|_| begin(&seawall, body.len(), first)).collect();
    seawall.process.signal("TERM");
    eventually("readiness ends", Duration::from_secs(5), || {
        seawall.get("/readyz").is_none_or(|(status, _)| status != 200).then_some(())
    });
    for call in &mut calls {
        call.write_all(second.as_bytes()).unwrap();
        call.flush().unwrap();
    }
    for mut call in calls {
        let mut bytes = Vec::new();
        // the server closes after the answer; it owes no TLS farewell
        let _ = call.read_to_end(&mut bytes);
        let answer = String::from_utf8_lossy(&bytes);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("00000000-0000-0000-0000-000000000001"), "{answer}");
    }
    let status = seawall.process.wait_exit(Duration::from_secs(30)).expect("the process ends");
    assert!(status.success(), "{status}\n{}", seawall.process.log_tail(20));
}

/// Two replicas share CA and registration, both are called, and either may go without a call being lost.
#[test]
fn two_replicas_behind_a_service_lose_no_call() {
    let Some(mut replicas) = Replicas::start() else { return };
    let plane = &replicas.plane;
    let namespace = labelled(plane, "enforce");
    eventually("both replicas are called", Duration::from_secs(30), || {
        burst(plane, &namespace, Duration::from_millis(200));
        replicas.both_were_called().then_some(())
    });

    let load = {
        let (api, namespace) = (plane.api("developer"), namespace.clone());
        thread::spawn(move || burst_with(&api, &namespace, Duration::from_secs(8)))
    };
    sleep(Duration::from_secs(1));
    replicas.seawalls[0].process.signal("TERM");
    // the endpoint controllers of a real cluster need a moment too
    sleep(Duration::from_millis(500));
    replicas.publish([false, true]);
    let status = replicas.seawalls[0].process.wait_exit(Duration::from_secs(30)).expect("the replica ends");
    assert!(status.success(), "{status}");
    load.join().unwrap();

    // the one that is left still judges, alone
    let bad = objects::database_without_volume("db").to_string();
    replicas.plane.kubectl().apply(&bad, &["-n", &namespace]).denied_by("database-without-volume");
}

/// A node that dies without a word takes calls with it only until its endpoint is marked unready.
#[test]
fn a_dead_node_is_survived() {
    let Some(replicas) = Replicas::start() else { return };
    let Some(node) = replicas.nodes.first() else { return };
    let namespace = labelled(&replicas.plane, "enforce");
    node.cut();
    replicas.publish([false, true]);
    let bad = objects::database_without_volume("db").to_string();
    eventually("the other replica answers", Duration::from_secs(60), || {
        let output = replicas.plane.kubectl().apply(&bad, &["-n", &namespace]).refused();
        output.stderr.contains("[database-without-volume]").then_some(())
    });
    burst(&replicas.plane, &namespace, Duration::from_secs(1));
    node.heal();
    replicas.publish([true, true]);
    burst(&replicas.plane, &namespace, Duration::from_secs(1));
}

/// Dry-run creations of a good set by 8 users at once, so that a debug build on two cores answers each within its second; fails
/// the test with the answers that were none.
fn burst(plane: &ControlPlane, namespace: &str, time: Duration) {
    burst_with(&plane.api("developer"), namespace, time);
}

fn burst_with(api: &Api, namespace: &str, time: Duration) {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
    let body = objects::stateful_set("burst");
    let end = Instant::now() + time;
    let worker = || {
        let (mut answered, mut lost) = (0, Vec::new());
        // at least one call each, however slow the machine is
        while answered + lost.len() == 0 || Instant::now() < end {
            match api.post(&path, &body) {
                Ok((201, _)) => answered += 1,
                Ok((status, answer)) => lost.push(format!("{status} {}", answer["message"])),
                Err(error) => lost.push(error.to_string()),
            }
        }
        (answered, lost)
    };
    let (answered, lost) = thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).fold(
            (0, Vec::new()),
            |(count, mut all), (more, lost)| {
                all.extend(lost);
                (count + more, all)
            },
        )
    });
    assert!(lost.is_empty(), "{} of {} calls were lost: {:#?}", lost.len(), answered + lost.len(), lost.iter().take(5));
}

/// A review as the API server would send it.
fn review(plane: &ControlPlane) -> Value {
    let namespace = labelled(plane, "enforce");
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "00000000-0000-0000-0000-000000000001", "operation": "CREATE", "dryRun": true,
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "requestKind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "requestResource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "name": "db", "namespace": namespace, "userInfo": {"username": "developer", "groups": ["developers"]},
        "object": objects::stateful_set("db").with("/metadata/namespace", namespace.clone()), "oldObject": null,
        "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
    }})
}

/// Opens a TLS connection and sends the head and the first part of the body.
fn begin(seawall: &Seawall, length: usize, first: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&seawall.ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let address = seawall.admission.strip_prefix("https://").unwrap();
    let tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let tls = ClientConnection::new(Arc::new(config), ServerName::try_from("127.0.0.1").unwrap()).unwrap();
    let mut stream = StreamOwned::new(tls, tcp);
    write!(
        stream,
        "POST /validate/enforce?timeout=10s HTTP/1.1\r\nHost: {SERVICE}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{first}"
    )
    .unwrap();
    stream.flush().unwrap();
    stream
}
