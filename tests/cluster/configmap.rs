//! A set of policies as a ConfigMap: a real API server takes what `seawall policy bundle` prints, and what it gives back is the same set.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::harness::controlplane::Options;
use crate::harness::own;

fn seawall(args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(args)
        .env_clear()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_set_comes_back_from_the_api_server_as_it_was() {
    let Some(plane) = own(&Options::default()) else { return };
    let kubectl = plane.kubectl();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seawall-system"}});
    kubectl.apply(&namespace.to_string(), &[]).ok();
    let folder = "tests/fixtures/check/policies";
    let (code, manifest) = seawall(&["policy", "bundle", "--policies-only", folder, "--format", "configmap"]);
    assert_eq!(code, 0);
    kubectl.run(&["apply", "--server-side", "-f", "-"], &manifest).ok();

    // as the kubelet mounts it
    let mounted = tempfile::tempdir().unwrap();
    let map = kubectl.get(&["-n", "seawall-system", "configmap", "seawall-policies"]);
    for (name, text) in map["data"].as_object().unwrap() {
        fs::write(mounted.path().join(name), text.as_str().unwrap()).unwrap();
    }
    let check = |policies: &Path| {
        let policies = policies.to_str().unwrap();
        let manifests = ["tests/fixtures/check/shop.yaml", "--mode", "enforce", "--format", "json"];
        seawall(&[&["check", "--policies-only", "--policies", policies][..], &manifests].concat())
    };
    let (code, wanted) = check(Path::new(folder));
    assert_eq!(code, 1, "{wanted}");
    assert_eq!(check(mounted.path()), (code, wanted));
}
