//! What kube-apiserver really does with a webhook: each fact that Seawall's design relies on, proved on the version we test
//! with. When one of these fails after an upgrade of Kubernetes, the design must be looked at, not the test.

use std::collections::BTreeSet;

use hyper::Version;
use serde_json::{Value, json};

use crate::harness::controlplane::ControlPlane;
use crate::harness::kubectl::Kubectl;
use crate::harness::provisioner::Provisioner;
use crate::harness::shared;
use crate::harness::webhook::{Call, Kind, Registration, TestWebhook, patched};

fn allow(_: &Call) -> Value {
    json!({"allowed": true})
}

fn config_map(name: &str, labels: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"a": "1"}})
        .to_string()
}

/// A namespace whose label makes the webhook `hook` see it.
fn hooked(plane: &ControlPlane, hook: &str) -> String {
    plane.namespace(hook, &[("hook", hook)])
}

fn apply(kubectl: &Kubectl, namespace: &str, manifest: &str) -> crate::harness::kubectl::Output {
    kubectl.apply(manifest, &["-n", namespace])
}

/// `failurePolicy: Ignore` forgives a webhook that cannot be called, but not a patch that cannot be applied.
#[test]
fn inapplicable_patch_is_rejected_despite_ignore() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "bad-patch");
    let hook = TestWebhook::start(&[], |call| {
        if call.request["name"] == "victim" {
            patched(&json!([{"op": "remove", "path": "/data/absent"}]))
        } else if call.request["name"] == "garbled" {
            json!({"allowed": true, "patchType": "JSONPatch", "patch": "bm90IGEgcGF0Y2g="})
        } else {
            allow(call)
        }
    });
    let ignore = json!({"failurePolicy": "Ignore"});
    let _registered = Registration::new(plane, Kind::Mutating, "bad-patch", &namespace, &hook, &ignore);
    let kubectl = plane.kubectl();
    apply(&kubectl, &namespace, &config_map("victim", &json!({}))).refused().says(&["InternalError", "absent"]);
    apply(&kubectl, &namespace, &config_map("garbled", &json!({}))).ok();
    drop(hook);
    apply(&kubectl, &namespace, &config_map("victim", &json!({}))).ok();
}

/// HTTP/2 to a URL on loopback, HTTP/1.1 to a Service; both carry the time-out in whole seconds in the URL.
#[test]
fn http2_to_loopback_http1_to_service_timeout_in_url() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "protocol");
    let hook = TestWebhook::start(&["hook.protocol-service.svc"], allow);
    let kubectl = plane.kubectl();
    {
        let timeout = json!({"timeoutSeconds": 7});
        let _registered = Registration::new(plane, Kind::Validating, "protocol", &namespace, &hook, &timeout);
        apply(&kubectl, &namespace, &config_map("by-url", &json!({}))).ok();
        let call = hook.calls().into_iter().find(|c| c.request["name"] == "by-url").unwrap();
        assert_eq!(call.version, Version::HTTP_2);
        assert_eq!(call.uri, "/hook?timeout=7s");
    }
    let service = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "protocol-service"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook", "namespace": "protocol-service"},
         "spec": {"type": "ExternalName", "externalName": "localhost"}},
    ]});
    kubectl.apply(&service.to_string(), &[]).ok();
    hook.forget();
    let by_service = json!({"clientConfig": hook.by_service("protocol-service", "hook"), "timeoutSeconds": 3});
    let _registered = Registration::new(plane, Kind::Validating, "protocol", &namespace, &hook, &by_service);
    apply(&kubectl, &namespace, &config_map("by-service", &json!({}))).ok();
    let call = hook.calls().into_iter().find(|c| c.request["name"] == "by-service").unwrap();
    assert_eq!(call.version, Version::HTTP_11);
    assert_eq!(call.uri, "/hook?timeout=3s");
}

/// An objectSelector matches when the old or the new object does: taking the label off does not slip past.
#[test]
fn object_selector_looks_at_old_and_new_object() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "selector");
    let hook = TestWebhook::start(&[], allow);
    let selector = json!({"objectSelector": {"matchLabels": {"probe": "true"}}});
    let _registered = Registration::new(plane, Kind::Validating, "selector", &namespace, &hook, &selector);
    let kubectl = plane.kubectl();
    let mut saw = Vec::new();
    for label in ["false", "true", "false", "false"] {
        hook.forget();
        apply(&kubectl, &namespace, &config_map("moving", &json!({"probe": label, "n": saw.len().to_string()}))).ok();
        saw.push(hook.calls().iter().any(|c| c.request["name"] == "moving"));
    }
    assert_eq!(saw, [false, true, true, false]);
}

/// Cluster-scoped objects ignore the namespaceSelector, except for a Namespace, whose own labels count.
#[test]
fn namespace_selector_does_not_hold_back_cluster_scoped_objects() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "scope");
    let hook = TestWebhook::start(&[], allow);
    let rules = json!({"rules": [
        {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps", "namespaces"], "operations": ["CREATE"]},
        {"apiGroups": ["storage.k8s.io"], "apiVersions": ["v1"], "resources": ["storageclasses"], "operations": ["CREATE"]},
    ]});
    let _registered = Registration::new(plane, Kind::Validating, "scope", &namespace, &hook, &rules);
    let plain = plane.namespace("scope-plain", &[]);
    let labelled = hooked(plane, "scope");
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "scope"},
                       "provisioner": "scope.test"});
    plane.kubectl().apply(&class.to_string(), &[]).ok();
    let calls = hook.calls();
    let saw = |name: &str| calls.iter().any(|c| c.request["name"] == name);
    assert_eq!((saw("scope"), saw(&labelled), saw(&plain)), (true, true, false));

    // the author wrote neither; the webhook cannot see that
    let call = calls.iter().find(|c| c.request["name"] == "scope").unwrap();
    assert_eq!(call.request["object"]["reclaimPolicy"], "Delete");
    assert_eq!(call.request["object"]["volumeBindingMode"], "Immediate");
}

/// Several warnings arrive as several lines; one with a newline is lost without a word. An over-long list is cut.
#[test]
fn warnings_with_control_characters_vanish() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "warnings");
    let hook = TestWebhook::start(&[], |_| json!({"allowed": true, "warnings": ["first", "lost\nlost", "second"]}));
    let _registered = Registration::new(plane, Kind::Validating, "warnings", &namespace, &hook, &json!({}));
    let output = apply(&plane.kubectl(), &namespace, &config_map("warned", &json!({}))).ok();
    assert_eq!(output.warnings(), ["first", "second"]);
}

/// The text of a denial as the user sees it, and that a dry run asks us too and says so.
#[test]
fn denial_text_and_dry_run() {
    let Some(plane) = shared() else { return };
    let namespace = hooked(plane, "denial");
    let hook = TestWebhook::start(
        &[],
        |_| json!({"allowed": false, "status": {"code": 403, "reason": "Forbidden", "message": "first line\nsecond line"}}),
    );
    let _registered = Registration::new(plane, Kind::Validating, "denial", &namespace, &hook, &json!({}));
    let kubectl = plane.kubectl();
    let wanted = "Error from server (Forbidden): error when creating \"STDIN\": \
                  admission webhook \"denial.facts.test\" denied the request: first line\nsecond line\n";
    let manifest = config_map("denied", &json!({}));
    assert_eq!(apply(&kubectl, &namespace, &manifest).refused().stderr, wanted);
    assert_eq!(hook.calls().last().unwrap().request["dryRun"], false);
    assert_eq!(kubectl.apply(&manifest, &["-n", &namespace, "--dry-run=server"]).refused().stderr, wanted);
    assert_eq!(hook.calls().last().unwrap().request["dryRun"], true);
}

/// The controllers' user names, and that claims of a StatefulSet come from the StatefulSet controller as ordinary requests.
#[test]
fn who_creates_claims_pods_and_volumes() {
    let Some(plane) = shared() else { return };
    let hook = TestWebhook::start(&[], allow);
    let namespace = hooked(plane, "users");
    let rules = json!({"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": ["configmaps", "pods", "persistentvolumeclaims", "persistentvolumes"]}]});
    let _registered = Registration::new(plane, Kind::Validating, "users", &namespace, &hook, &rules);
    let _provisioner = Provisioner::start(plane, "users.test");
    let kubectl = plane.kubectl();
    let manifest = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "users"},
         "provisioner": "users.test", "volumeBindingMode": "WaitForFirstConsumer"},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "db", "image": "db",
                "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "users",
                "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}},
    ]});
    apply(&kubectl, &namespace, &manifest.to_string()).ok();
    kubectl
        .wait_for("the claim is bound", &["-n", &namespace, "pvc", "data-db-0"], |c| c["status"]["phase"] == "Bound");
    // the claim is freed only after its pod has gone
    kubectl.run(&["delete", "-n", &namespace, "statefulset/db"], "").ok();
    kubectl.run(&["delete", "-n", &namespace, "pod/db-0", "--ignore-not-found"], "").ok();
    kubectl.run(&["delete", "-n", &namespace, "pvc/data-db-0"], "").ok();

    let who: BTreeSet<String> = hook
        .calls()
        .iter()
        .map(|call| {
            let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
            let request = &call.request;
            format!(
                "{} {} {}",
                text(&request["resource"]["resource"]),
                text(&request["operation"]),
                text(&request["userInfo"]["username"])
            )
        })
        .collect();
    let wanted = [
        "persistentvolumeclaims CREATE system:serviceaccount:kube-system:statefulset-controller",
        "persistentvolumeclaims UPDATE system:kube-scheduler",
        "persistentvolumeclaims UPDATE system:serviceaccount:kube-system:persistent-volume-binder",
        "persistentvolumeclaims UPDATE system:serviceaccount:kube-system:pvc-protection-controller",
        "persistentvolumes CREATE system:serviceaccount:csi:csi-provisioner",
        "pods CREATE system:serviceaccount:kube-system:statefulset-controller",
    ];
    assert_eq!(who, wanted.map(str::to_owned).into());
}

/// Fields that a webhook adds on CREATE belong to nobody: neither way of applying the same or a changed file takes them off or
/// conflicts with them, but `kubectl replace` of the file does take them off. Hence the restoring of patches on UPDATE.
#[test]
fn patched_fields_have_no_owner() {
    let Some(plane) = shared() else { return };
    let hook = TestWebhook::start(&[], |call| {
        if call.request["operation"] == "CREATE" {
            patched(&json!([{"op": "add", "path": "/data/b", "value": "default"}]))
        } else {
            allow(call)
        }
    });
    let namespace = hooked(plane, "owner");
    let _registered = Registration::new(plane, Kind::Mutating, "owner", &namespace, &hook, &json!({}));
    let kubectl = plane.kubectl();
    for (name, flags) in [("client", &["-n", &namespace][..]), ("server", &["-n", &namespace, "--server-side"])] {
        let manifest = config_map(name, &json!({}));
        for (text, a) in [(&manifest, "1"), (&manifest, "1"), (&manifest.replace("\"1\"", "\"2\""), "2")] {
            kubectl.apply(text, flags).ok();
            let object = kubectl.get(&["-n", &namespace, "configmap", name]);
            assert_eq!(object["data"], json!({"a": a, "b": "default"}), "{name}");
            let owned = object["metadata"]["managedFields"].to_string();
            assert!(owned.contains("\"f:a\"") && !owned.contains("\"f:b\""), "{name}: {owned}");
        }
        kubectl.run(&["replace", "-n", &namespace, "-f", "-"], &manifest).ok();
        assert_eq!(kubectl.get(&["-n", &namespace, "configmap", name])["data"], json!({"a": "1"}), "{name}");
    }
}
