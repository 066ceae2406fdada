//! `seawall rollout plan` on a real API server: what it says can be enforced, can; what stands in the way is named.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects;
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

/// Short enough to wait for.
const WINDOW: Duration = Duration::from_secs(20);

/// Exit code, standard output, standard error.
fn plan(plane: &ControlPlane, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["rollout", "plan", "--kubeconfig"])
        .arg(plane.kubeconfig("admin"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn deny_in(replica: &Seawall, namespace: &str) {
    let ca = std::fs::read_to_string(&replica.ca).unwrap();
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "namespace": namespace, "name": "db",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "somebody"}, "object": objects::database_without_volume("db"),
    }});
    let (status, _) = Api::new(replica.admission.clone(), &ca, "none").post("/validate/observe", &review).unwrap();
    assert_eq!(status, 200);
}

#[test]
fn what_is_clean_can_be_enforced_and_the_rest_says_why_not() {
    let Some(plane) = own(&Options::default()) else { return };
    let admin = plane.kubectl_as("admin");
    let (code, _, stderr) = plan(&plane, &[]);
    assert_eq!((code, stderr.contains("nothing is recorded")), (2, true), "{stderr}");
    let extra = ["--decisions-seconds=1"];
    let options = seawall::Options { unregistered: true, extra: &extra, ..seawall::Options::default() };
    let replica = Seawall::start(&plane, "seawall", &options);
    let named =
        |name: &str, mode: &str| plane.namespace(name, &[("seawall.dev/mode", mode), ("seawall.dev/tier", "tier-0")]);
    let [clean, stored, asked] = [named("clean", "audit"), named("stored", "audit"), named("asked", "warn")];
    let begun = Instant::now();
    admin.apply(&objects::database_without_volume("db").to_string(), &["-n", &stored]).ok().quiet();

    let (code, _, stderr) = plan(&plane, &[]);
    assert_eq!((code, stderr.contains("are recorded since")), (2, true), "{stderr}");
    let (code, _, stderr) = plan(&plane, &["--window", "6d"]);
    assert_eq!((code, stderr.contains("--allow-short-window")), (2, true), "{stderr}");

    std::thread::sleep((WINDOW + Duration::from_secs(3)).saturating_sub(begun.elapsed()));
    deny_in(&replica, &asked);
    let window = format!("{}s", WINDOW.as_secs());
    let args = ["--window", &window, "--allow-short-window", "-n", &clean, "-n", &stored, "-n", &asked];
    let document: Value = eventually("the denial is recorded", Duration::from_secs(15), || {
        let (code, stdout, stderr) = plan(&plane, &[&args[..], &["--format", "json"]].concat());
        assert_eq!((code, stderr.as_str()), (1, ""));
        Some(serde_json::from_str::<Value>(&stdout).unwrap()).filter(|document| {
            document["namespaces"][0]["next"] == "stay"
                || document["namespaces"].as_array().unwrap().iter().any(|n| n["next"] == "stay")
        })
    });
    let of = |name: &str| {
        let namespaces = document["namespaces"].as_array().unwrap();
        namespaces.iter().find(|n| n["namespace"] == *name).unwrap().clone()
    };
    assert_eq!(of(&clean)["next"], "enforce");
    assert!(of(&clean)["ready"].as_array().unwrap().contains(&json!("database-without-volume")));
    let blocked = |name: &str| {
        let rows = of(name)["blocked"].as_array().unwrap().clone();
        rows.into_iter().find(|row| row["policy"] == "database-without-volume").unwrap()
    };
    assert_eq!((&of(&stored)["next"], &blocked(&stored)["violating"]), (&json!("warn"), &json!(1)));
    assert!(blocked(&asked)["lastDenial"].is_string() && blocked(&asked)["violating"] == 0);

    // what it prints can be run as it stands
    let (_, text, _) = plan(&plane, &args);
    assert!(text.contains("would be denied as stored"), "{text}");
    let lines: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("kubectl ")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    for line in lines {
        let line = line.split('#').next().unwrap();
        admin.run(&line.split_whitespace().collect::<Vec<_>>(), "").ok();
    }
    let mode = |name: &str| admin.get(&["namespace", name])["metadata"]["labels"]["seawall.dev/mode"].clone();
    assert_eq!([mode(&clean), mode(&stored), mode(&asked)], ["enforce", "warn", "warn"]);
    let (code, _, _) = plan(&plane, &["--window", &window, "--allow-short-window", "-n", &clean]);
    assert_eq!(code, 0, "enforced");
}
