//! The harness itself: what the other tests take for granted.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::binaries::announce;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::network::Node;
use crate::harness::process::{Guarded, ScratchDir, eventually};
use crate::harness::{own, shared};

/// The API server is the version that the module asks for, RBAC is on, and the controllers really work.
#[test]
fn control_plane_is_real() {
    let Some(plane) = shared() else { return };
    let version: serde_json::Value =
        serde_json::from_str(&plane.kubectl().run(&["version", "-o", "json"], "").ok().stdout).unwrap();
    assert_eq!(version["serverVersion"]["gitVersion"], version["clientVersion"]["gitVersion"]);

    let namespace = plane.namespace("real", &[]);
    plane.kubectl_as("nobody").run(&["get", "pods", "-n", &namespace], "").refused().says(&["Forbidden"]);
    let somebody = plane.kubectl().impersonate("somebody", &["system:masters"]);
    somebody.run(&["get", "pods", "-n", &namespace], "").ok();
    let kubectl = plane.kubectl();
    kubectl.wait_for("the service account controller", &["-n", &namespace, "serviceaccount", "default"], |_| true);
    kubectl.run(&["delete", "namespace", &namespace], "").ok();
    kubectl.run(&["get", "namespace", &namespace], "").refused().says(&["NotFound"]);
    let deleted = |e: &serde_json::Value| e["verb"] == "delete" && e["objectRef"]["name"] == *namespace;
    let event = plane.audit_events().into_iter().find(deleted).expect("the deletion is in the audit log");
    assert_eq!(event["user"]["username"], "developer");
}

/// A child dies with its guard: nothing is left behind when a test run is killed.
#[test]
fn guarded_children_do_not_outlive_the_test() {
    let scratch = ScratchDir::new("seawall-guard-").unwrap();
    let args = ["-c", "trap '' TERM; echo up; while :; do sleep 1; done"].map(str::to_owned);
    let mut child = Guarded::spawn("stubborn", scratch.path(), Path::new("sh"), &args).unwrap();
    let process = format!("/proc/{}", child.pid().unwrap());
    crate::harness::process::eventually("it runs", std::time::Duration::from_secs(5), || {
        child.stdout().contains("up").then_some(())
    });
    child.signal("TERM");
    assert!(child.exited().is_none(), "it ignores TERM");
    child.kill();
    assert!(!Path::new(&process).exists());
}

/// A network namespace reaches the API server by the host's end of its cable, and does not when it is cut off.
#[test]
fn a_node_reaches_the_api_server_until_it_is_cut_off() {
    let node = match Node::create(1) {
        Ok(mut nodes) => nodes.remove(0),
        Err(why) => {
            return announce(&format!("cluster tests: no network namespaces here ({why}); their test is left out"));
        }
    };
    let options = Options { extra_addresses: vec![node.gateway], ..Options::default() };
    let Some(plane) = own(&options) else { return };
    // a busy machine, or an address that was just looked for in vain, may need another try
    let reached = || ready_from(&plane, &node).status.success().then_some(());
    eventually("the node reaches the API server", Duration::from_secs(60), reached);
    node.cut();
    assert!(!ready_from(&plane, &node).status.success());
    node.heal();
    eventually("the node reaches the API server again", Duration::from_secs(60), reached);
}

fn ready_from(plane: &ControlPlane, node: &Node) -> Output {
    let server = format!("https://{}:{}", node.gateway, plane.port());
    let kubeconfig = plane.kubeconfig_for("node", &server, "admin");
    let command = node.enter(&plane.kubectl().program());
    Command::new(&command[0])
        .args(&command[1..])
        .args(["get", "--raw", "/readyz", "--request-timeout=3s", "--kubeconfig"])
        .arg(kubeconfig)
        .env("HOME", plane.dir())
        .output()
        .unwrap()
}
