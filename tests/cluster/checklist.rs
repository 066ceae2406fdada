//! `seawall checklist` against a real API server: the same rows as from the manifests, by reading alone, and what it says when it
//! could not see everything.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;

fn checklist(plane: &ControlPlane, user: &str, args: &[&str]) -> (i32, String) {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(["checklist", "--requests-per-second", "1000"])
        .args(args)
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig(user))
        .current_dir(plane.dir())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
}

fn document(plane: &ControlPlane, user: &str, args: &[&str]) -> (i32, Value) {
    let (code, text) = checklist(plane, user, &[&["--format", "json"], args].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}")))
}

/// `namespace/name` and item to the state and the objects and policies of what was found.
fn cells(document: &Value) -> BTreeMap<(String, String), String> {
    let rows = document["workloads"].as_array().unwrap().iter().flat_map(|row| {
        let id = &row["resource"];
        let name = format!("{}/{}", id["namespace"].as_str().unwrap(), id["name"].as_str().unwrap());
        row["cells"].as_object().unwrap().iter().map(move |(item, cell)| {
            let found = cell["found"].as_array().into_iter().flatten();
            let found: Vec<String> = found
                .map(|f| format!("{} {}", f["policy"].as_str().unwrap(), f["object"]["name"].as_str().unwrap()))
                .collect();
            ((name.clone(), item.clone()), format!("{} {}", cell["state"].as_str().unwrap(), found.join(", ")))
        })
    });
    rows.collect()
}

#[test]
fn a_cluster_has_the_rows_of_its_manifests() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let pay = plane.namespace("pay", &[("seawall.dev/tier", "tier-0"), ("seawall.dev/mode", "enforce")]);
    let shop = plane.namespace("shop", &[("seawall.dev/tier", "tier-2"), ("seawall.dev/mode", "audit")]);
    let within = |object: Value, namespace: &str| object.with("/metadata/namespace", namespace);
    let set = objects::stateful_set("db").with("/spec/volumeClaimTemplates/0/spec/storageClassName", "deletes");
    let labels = set["spec"]["template"]["metadata"]["labels"].clone();
    let items = [
        objects::storage_class("deletes").with("/reclaimPolicy", "Delete"),
        within(set, &pay),
        within(objects::claim("data-db-0", "deletes"), &pay).with("/metadata/labels", labels),
        within(objects::database_without_volume("orders"), &shop),
    ];
    plane.kubectl_as("admin").apply(&objects::list(&items), &[]).ok();

    let (code, found) = document(&plane, "developer", &[]);
    assert_eq!((code, &found["complete"]), (1, &json!(true)), "{found}");
    let of_cluster = cells(&found);
    let cell =
        |namespace: &str, name: &str, item: &str| of_cluster[&(format!("{namespace}/{name}"), item.to_owned())].clone();
    let reclaim = cell(&pay, "db", "reclaim-policy");
    assert!(reclaim.starts_with("open ") && reclaim.contains("class-reclaim-retain deletes"), "{reclaim}");
    let workload = |at: usize| found["workloads"][at]["resource"]["namespace"].clone();
    assert_eq!((workload(0), workload(1)), (json!(pay), json!(shop)), "the worst tier first");
    assert!(found["coverage"]["calls"].as_u64().unwrap() > 10);

    // one namespace, with the class that it uses
    let (_, one) = document(&plane, "developer", &["-n", &pay]);
    let own: BTreeMap<_, _> = of_cluster.into_iter().filter(|((name, _), _)| name.starts_with(&pay)).collect();
    assert_eq!(cells(&one), own);
    // page after page the same
    let (_, paged) = document(&plane, "developer", &["--page-size", "1", "-n", &pay]);
    assert_eq!(cells(&paged), own);
    // as text, for a person
    let (_, text) = checklist(&plane, "developer", &["-n", &pay]);
    assert!(text.contains(&format!("{pay}/db")) && text.lines().all(|line| line.chars().count() <= 80), "{text}");

    few_rights(&plane, &pay);
    only_reads(&plane);
}

/// Who may not list claims and classes is told so, and no cell that depends on them is met.
fn few_rights(plane: &ControlPlane, pay: &str) {
    let rules = json!([
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list"]},
        {"apiGroups": ["apps"], "resources": ["statefulsets", "deployments"], "verbs": ["list"]}]);
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "few"}, "rules": rules});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "few"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "few"},
        "subjects": [{"kind": "ServiceAccount", "name": "few", "namespace": "default"}]});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "few", "namespace": "default"}});
    plane.kubectl_as("admin").apply(&objects::list(&[account, role, binding]), &[]).ok();
    let token = plane.service_account_token("default", "few");
    plane.kubeconfig_for("few", &plane.server(), &token);
    let (code, found) = document(plane, "few", &["-n", pay]);
    assert_eq!((code, &found["complete"]), (2, &json!(false)), "{found}");
    let reclaim = &found["workloads"][0]["cells"]["reclaim-policy"];
    assert_eq!(reclaim["state"], "unknown", "{reclaim}");
    let why: Vec<&str> =
        reclaim["unknown"].as_array().unwrap().iter().map(|gap| gap["why"].as_str().unwrap()).collect();
    assert!(why.contains(&"missing-facts") && why.contains(&"not-listed"), "{reclaim}");
    let (_, text) = checklist(plane, "few", &["-n", pay]);
    assert!(text.contains("INCOMPLETE") && text.contains("  storageclasses: "), "{text}");
}

/// The API server's own log: it lists and gets, and nothing else.
fn only_reads(plane: &ControlPlane) {
    let events = plane.audit_events();
    let own = events
        .iter()
        .filter(|e| e["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kubectl")))
        .filter(|e| e["user"]["username"].as_str() == Some("developer"));
    let verbs: Vec<&str> = own.filter_map(|e| e["verb"].as_str()).collect();
    assert!(verbs.len() > 5 && verbs.iter().all(|verb| ["get", "list"].contains(verb)), "{verbs:?}");
}
