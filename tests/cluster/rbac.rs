//! The rights that `deploy/base` gives: Seawall runs as its service account, the API server's audit log shows what it asked
//! for. Nothing was refused, so they are enough; each was used, so each is needed.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

#[test]
fn each_right_is_needed_and_together_they_are_enough() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base");
    let base = base.to_str().unwrap();
    let kubectl = plane.kubectl_as("admin");
    kubectl.run(&["apply", "-k", base], "").ok().quiet();
    let rendered = kubectl.run(&["apply", "-k", base, "--dry-run=client", "-o", "json"], "").ok().stdout;
    let rendered: Value = serde_json::from_str(&rendered).unwrap();
    let items = rendered["items"].as_array().unwrap();
    let of_kind = |kind: &str| items.iter().filter(|item| item["kind"] == *kind).collect::<Vec<_>>();

    let deployment = of_kind("Deployment")[0];
    let namespace = deployment["metadata"]["namespace"].as_str().unwrap();
    let account = deployment["spec"]["template"]["spec"]["serviceAccountName"].as_str().unwrap();
    let token = plane.service_account_token(namespace, account);
    let kubeconfig = plane.kubeconfig_for("account", &plane.server(), &token);
    let config = seawall::default_mode("enforce");
    // as in a Pod whose container starts again: the same name
    let extra = ["--pod-name=seawall-0", "--decisions-seconds=1"];
    let options = seawall::Options {
        config: &config,
        kubeconfig: Some(kubeconfig.clone()),
        extra: &extra,
        ..seawall::Options::default()
    };
    // decisions of a replica that is gone for long, for the first start to remove
    let long_gone =
        r#"{"schemaVersion":"1","since":"2020-01-01T00:00:00Z","until":"2020-01-02T00:00:00Z","dropped":0,"rows":[]}"#;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"decisions.json": long_gone}, "metadata":
        {"name": "seawall-decisions-long-gone", "namespace": namespace, "labels": {"seawall.dev/record": "decisions"}}});
    kubectl.apply(&map.to_string(), &[]).ok().quiet();
    // the first start makes what the second finds
    for name in ["first", "second"] {
        let mut seawall = Seawall::start(&plane, name, &options).in_force(&plane);
        let judged = plane.namespace("judged", &[("seawall.dev/mode", "enforce")]);
        // at once: a namespace that the watch has not shown yet is asked for
        let path = format!("/apis/apps/v1/namespaces/{judged}/statefulsets");
        let (status, answer) = plane.api("developer").post(&path, &objects::database_without_volume("db")).unwrap();
        assert_eq!(status, 403, "{answer}");
        ask_about_an_unknown_namespace(&seawall);
        seawall.process.signal("TERM");
        assert!(seawall.process.wait_exit(std::time::Duration::from_secs(60)).is_some());
    }

    let user = format!("system:serviceaccount:{namespace}:{account}");
    let calls: Vec<Value> = plane.audit_events().into_iter().filter(|e| e["user"]["username"] == *user).collect();
    let refused: BTreeSet<String> = calls.iter().filter(|e| e["responseStatus"]["code"] == 403).map(describe).collect();
    assert!(refused.is_empty(), "not enough rights for: {refused:#?}");

    let mut unused = BTreeSet::new();
    for role in of_kind("ClusterRole").into_iter().chain(of_kind("Role")) {
        let scope = role["metadata"]["namespace"].as_str();
        for right in rights(role) {
            if !calls.iter().any(|call| right.covers(call, scope)) {
                unused.insert(format!("{} {} in {}", right.verb, right.resource, role["metadata"]["name"]));
            }
        }
    }
    assert!(unused.is_empty(), "rights that nothing asked for: {unused:#?}");
    is_minimal(&plane, namespace, account);
}

/// The same of `deploy/overlays/audit`, beyond what `deploy/base` gives.
#[test]
fn each_right_of_the_audit_is_needed_and_together_they_are_enough() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let overlay = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/overlays/audit");
    let overlay = overlay.to_str().unwrap();
    let kubectl = plane.kubectl_as("admin");
    kubectl.run(&["apply", "-k", overlay], "").ok().quiet();
    let rendered = kubectl.run(&["apply", "-k", overlay, "--dry-run=client", "-o", "json"], "").ok().stdout;
    let rendered: Value = serde_json::from_str(&rendered).unwrap();
    let items = rendered["items"].as_array().unwrap();
    let of = |kind: &str, name: &str| {
        items.iter().find(|item| item["kind"] == *kind && item["metadata"]["name"] == *name).unwrap()
    };
    let pod = &of("Deployment", "seawall")["spec"]["template"]["spec"];
    let tmp = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "tmp").unwrap();
    assert_eq!(tmp["emptyDir"], json!({"sizeLimit": "1Gi"}));
    let args = pod["containers"][0]["args"].as_array().unwrap();
    assert!(args.contains(&json!("--audit-interval=1h")) && args.contains(&json!("--register")), "{args:?}");
    crate::continuous::define_policy_reports(&plane);

    let judged = plane.namespace("judged", &[("seawall.dev/mode", "audit"), ("seawall.dev/tier", "tier-1")]);
    let class = objects::storage_class("deletes").with("/reclaimPolicy", "Delete");
    kubectl.apply(&class.to_string(), &[]).ok();
    let bad = objects::stateful_set("db").with("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Delete");
    let path = format!("/apis/apps/v1/namespaces/{judged}/statefulsets");
    let api = plane.api("admin");
    assert_eq!(api.post(&path, &bad).unwrap().0, 201);

    let token = plane.service_account_token("seawall-system", "seawall");
    let kubeconfig = plane.kubeconfig_for("account", &plane.server(), &token);
    let config = seawall::default_mode("audit");
    let extra = ["--audit-interval=10s", "--audit-requests-per-second=1000"];
    let options = seawall::Options {
        config: &config,
        kubeconfig: Some(kubeconfig),
        extra: &extra,
        unregistered: true,
        ..seawall::Options::default()
    };
    let mut seawall = Seawall::start(&plane, "audits", &options);
    let verb = |verb: &str| seawall.metric("seawall_audit_report_writes_total", &[verb]);
    let patience = std::time::Duration::from_secs(90);
    let passes = || seawall.metric("seawall_audit_passes_total", &["complete"]);
    eventually("a pass", patience, || (passes() >= 1.0).then_some(()));
    // other findings, so another report
    let probe = json!({"metadata": {"labels": {"seawall.dev/storage-approach": "nonsense"}}});
    assert_eq!(api.merge(&format!("{path}/db"), &probe).unwrap().0, 200);
    let class = "/apis/storage.k8s.io/v1/storageclasses/deletes";
    assert_eq!(api.merge(class, &json!({"allowVolumeExpansion": false})).unwrap().0, 200);
    eventually("both reports are changed", patience, || (verb("update") >= 2.0).then_some(()));
    // nothing collects garbage here, so the audit clears up behind the class
    assert_eq!(api.delete(class).unwrap().0, 200);
    kubectl.run(&["label", "--overwrite", "namespace", &judged, "seawall.dev/mode=off"], "").ok();
    eventually("reports are deleted", patience, || {
        let left = crate::continuous::findings(&plane).into_keys();
        (left.filter(|name| name.contains("db") || name.contains("deletes")).count() == 0).then_some(())
    });
    let incomplete = seawall.metric("seawall_audit_incomplete", &[]);
    assert_eq!((incomplete, verb("failed")), (0.0, 0.0), "{}", seawall.process.log_tail(20));

    // a watch is in the log when it has ended
    seawall.process.signal("TERM");
    assert!(seawall.process.wait_exit(patience).is_some());
    let calls: Vec<Value> = plane.audit_events();
    let user = json!("system:serviceaccount:seawall-system:seawall");
    let calls: Vec<Value> = calls.into_iter().filter(|e| e["user"]["username"] == user).collect();
    let refused: BTreeSet<String> = calls.iter().filter(|e| e["responseStatus"]["code"] == 403).map(describe).collect();
    assert!(refused.is_empty(), "not enough rights for: {refused:#?}");
    for kind in ["ClusterRole", "Role"] {
        let role = of(kind, "seawall-audit");
        for right in rights(role) {
            // kinds of operators are asked for where they are
            let served = right.group.is_empty() || api.get(&format!("/apis/{}", right.group)).unwrap().0 == 200;
            let used = calls.iter().any(|call| right.covers(call, role["metadata"]["namespace"].as_str()));
            // whether a report without a namespace was written hangs on the policies for classes
            assert!(used || !served, "nothing asked for {} {}", right.verb, right.resource);
        }
    }
}

/// A namespace that no watch has told of is asked for by one GET. New ones are in the cache too soon to rely on, so this is
/// one that is not there.
fn ask_about_an_unknown_namespace(seawall: &Seawall) {
    let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "operation": "CREATE", "namespace": "not-there", "name": "db",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
        "userInfo": {"username": "somebody"}, "object": objects::database_without_volume("db"),
    }});
    let ca = std::fs::read_to_string(&seawall.ca).unwrap();
    let (status, answer) = Api::new(seawall.admission.clone(), &ca, "none").post("/validate/observe", &review).unwrap();
    assert_eq!((status, &answer["response"]["uid"]), (200, &json!("u")), "{answer}");
}

/// Nothing that would make the account a prize: no other secrets, no writing of workloads.
fn is_minimal(plane: &ControlPlane, namespace: &str, account: &str) {
    let user = format!("system:serviceaccount:{namespace}:{account}");
    let kubectl = plane.kubectl_as("admin").impersonate(&user, &[]);
    for question in [
        ["get", "secrets", "-n", "default"],
        ["list", "secrets", "-n", namespace],
        ["update", "statefulsets.apps", "-n", "default"],
        ["delete", "persistentvolumeclaims", "-n", "default"],
        ["create", "pods", "-n", "default"],
    ] {
        let mut args = vec!["auth", "can-i"];
        args.extend(question);
        assert_eq!(kubectl.run(&args, "").refused().stdout.trim(), "no", "{question:?}");
    }
}

fn describe(event: &Value) -> String {
    let object = &event["objectRef"];
    let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
    format!("{} {}.{} {}/{}", event["verb"], text("resource"), text("apiGroup"), text("namespace"), text("name"))
}

/// One verb on one resource, on one name where the role says so.
struct Right {
    verb: String,
    group: String,
    resource: String,
    name: Option<String>,
}

impl Right {
    fn covers(&self, call: &Value, namespace: Option<&str>) -> bool {
        let object = &call["objectRef"];
        let subresource = object["subresource"].as_str().map(|s| format!("/{s}")).unwrap_or_default();
        let resource = format!("{}{subresource}", object["resource"].as_str().unwrap_or_default());
        call["verb"] == self.verb
            && object["apiGroup"].as_str().unwrap_or_default() == self.group
            && resource == self.resource
            && self.name.as_ref().is_none_or(|name| object["name"] == **name)
            && namespace.is_none_or(|namespace| object["namespace"] == namespace)
    }
}

fn rights(role: &Value) -> Vec<Right> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let mut all = Vec::new();
    for rule in role["rules"].as_array().into_iter().flatten() {
        let mut names: Vec<Option<String>> = texts(&rule["resourceNames"]).into_iter().map(Some).collect();
        if names.is_empty() {
            names.push(None);
        }
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    all.extend(names.iter().map(|name| Right {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                    }));
                }
            }
        }
    }
    all
}
