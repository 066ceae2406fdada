//! The control plane itself: what the other tests take for granted.

use crate::harness::shared;

/// The API server is the version that the module asks for, RBAC is on, and the controllers really work.
#[test]
fn control_plane_is_real() {
    let Some(plane) = shared() else { return };
    let version: serde_json::Value =
        serde_json::from_str(&plane.kubectl().run(&["version", "-o", "json"], "").ok().stdout).unwrap();
    assert_eq!(version["serverVersion"]["gitVersion"], version["clientVersion"]["gitVersion"]);

    let namespace = plane.namespace("real", &[]);
    plane.kubectl_as("nobody").run(&["get", "pods", "-n", &namespace], "").refused().says(&["Forbidden"]);
    let kubectl = plane.kubectl();
    kubectl.wait_for("the service account controller", &["-n", &namespace, "serviceaccount", "default"], |_| true);
    kubectl.run(&["delete", "namespace", &namespace], "").ok();
    kubectl.run(&["get", "namespace", &namespace], "").refused().says(&["NotFound"]);
}
