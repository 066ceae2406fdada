//! Would-be decisions of two replicas on a real API server: counted once each, kept over a kill, a restart and a replica
//! that goes away, shown by `seawall decisions`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

/// What `readiness-probe` supplies.
const PROBE: &str = "/spec/template/spec/containers/0/readinessProbe";

fn start(plane: &ControlPlane, pod: &str) -> Seawall {
    let name = format!("--pod-name={pod}");
    let extra = [name.as_str(), "--decisions-seconds=1"];
    let options = seawall::Options { unregistered: true, extra: &extra, ..seawall::Options::default() };
    Seawall::start(plane, pod, &options)
}

/// Sends one request to a replica as the API server would, to both of its webhooks.
fn review(replica: &Seawall, namespace: &str, operation: &str, object: &Value, old: Option<&Value>) -> Value {
    let ca = std::fs::read_to_string(&replica.ca).unwrap();
    let api = Api::new(replica.admission.clone(), &ca, "none");
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": operation, "namespace": namespace, "name": "db",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "somebody"}, "object": object, "oldObject": old,
    }});
    let [_, validated] = ["/mutate", "/validate/observe"].map(|path| {
        let (status, answer) = api.post(path, &review).unwrap();
        assert_eq!((status, &answer["response"]["allowed"]), (200, &json!(true)), "{answer}");
        answer["response"].clone()
    });
    validated
}

/// `seawall decisions` as JSON.
fn shown(plane: &ControlPlane, args: &[&str]) -> Value {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(["decisions", "--format=json", "--kubeconfig"])
        .arg(plane.kubeconfig("admin"))
        .args(args)
        .output()
        .unwrap();
    if !output.status.success() {
        return json!({"error": String::from_utf8_lossy(&output.stderr)});
    }
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Denials and patches of a policy in a namespace.
fn counts(plane: &ControlPlane, namespace: &str, policy: &str) -> (u64, u64) {
    let shown = shown(plane, &["--namespace", namespace, "--policy", policy]);
    let rows = shown["decisions"].as_array().cloned().unwrap_or_default();
    assert!(rows.len() < 2, "{shown}");
    let number = |key: &str| rows.iter().map(|row| row[key].as_u64().unwrap()).sum();
    (number("denials"), number("patches"))
}

#[test]
fn would_be_decisions_of_all_replicas_are_kept_and_added_up() {
    let Some(plane) = own(&Options::default()) else { return };
    assert!(shown(&plane, &[])["error"].as_str().is_some_and(|error| error.contains("nothing is recorded")));
    let audit = plane.namespace("audit", &[("seawall.dev/mode", "audit"), ("seawall.dev/tier", "tier-0")]);
    let warn = plane.namespace("warn", &[("seawall.dev/mode", "warn"), ("seawall.dev/tier", "tier-0")]);
    let faulty = objects::database_without_volume("db").without(PROBE);
    let await_counts = |namespace: &str, policy: &str, wanted: (u64, u64)| {
        eventually(&format!("{policy} in {namespace}: {wanted:?}"), Duration::from_secs(20), || {
            (counts(&plane, namespace, policy) == wanted).then_some(())
        });
    };
    let [mut first, second] = ["one", "two"].map(|pod| start(&plane, pod));
    for (replica, namespace) in [(&first, &audit), (&first, &warn), (&second, &audit)] {
        let answer = review(replica, namespace, "CREATE", &faulty, None);
        let noted = answer["auditAnnotations"]["violations"].as_str().unwrap();
        let noted: Vec<Value> = serde_json::from_str(noted).unwrap();
        let row = noted.iter().find(|row| row["policy"] == "database-without-volume").unwrap();
        assert_eq!((&row["action"], &row["wouldDeny"]), (&json!("Deny"), &json!(true)));
    }
    assert!(first.metric("seawall_would_deny_total", &["policy=\"database-without-volume\""]) > 1.5);
    assert!(first.metric("seawall_would_patch_total", &["policy=\"readiness-probe\""]) > 1.5);
    await_counts(&audit, "database-without-volume", (2, 0));
    await_counts(&warn, "database-without-volume", (1, 0));
    assert_eq!(counts(&plane, &audit, "readiness-probe").1, 2, "patches are counted beside denials");

    // what the stored object had already would be a warning in enforce, so it hinders nothing
    let changed = faulty.clone().with("/metadata/labels/changed", "yes");
    let answer = review(&second, &audit, "UPDATE", &changed, Some(&faulty));
    let noted: Vec<Value> = serde_json::from_str(answer["auditAnnotations"]["violations"].as_str().unwrap()).unwrap();
    let row = noted.iter().find(|row| row["policy"] == "database-without-volume").unwrap();
    assert_eq!((&row["ratcheted"], &row["wouldDeny"]), (&json!(true), &json!(false)));
    // killed after a write, started again under the same name: the container of a Pod
    first.process.signal("KILL");
    assert!(first.process.wait_exit(Duration::from_secs(20)).is_some());
    let mut first = start(&plane, "one");
    review(&first, &audit, "CREATE", &faulty, None);
    await_counts(&audit, "database-without-volume", (3, 0));
    // ended in order right after a decision: nothing is lost, whatever the interval
    review(&first, &warn, "CREATE", &faulty, None);
    first.process.signal("TERM");
    assert!(first.process.wait_exit(Duration::from_secs(60)).is_some());
    // another Pod in its place
    let third = start(&plane, "three");
    review(&third, &audit, "CREATE", &faulty, None);
    await_counts(&audit, "database-without-volume", (4, 0));
    assert_eq!(counts(&plane, &warn, "database-without-volume"), (2, 0));

    let all = shown(&plane, &[]);
    assert_eq!((&all["records"], &all["dropped"]), (&json!(3), &json!(0)), "{all}");
    let row = shown(&plane, &["--namespace", &audit, "--policy", "database-without-volume", "--since", "10m"]);
    let row = &row["decisions"][0];
    assert!(row["first"].as_str() <= row["last"].as_str() && row["lastDenial"] == row["last"], "{row}");
    let later = shown(&plane, &["--since", "2999-01-01T00:00:00Z"]);
    assert_eq!(later["decisions"], json!([]));
    // quiet replicas write nothing
    let maps =
        || plane.kubectl_as("admin").get(&["-n", "seawall-system", "configmaps", "-l", "seawall.dev/record=decisions"]);
    let versions = |list: &Value| {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|map| map["metadata"]["resourceVersion"].clone()).collect::<Vec<_>>()
    };
    let before = versions(&maps());
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(versions(&maps()), before);
    assert_eq!(counts(&plane, &audit, "database-without-volume"), (4, 0), "and none came late");
    drop(second);
}
