//! `seawall policy diff --live` against a real API server: what would change, counted where an audit counts it, by reading only.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;

fn diff(plane: &ControlPlane, user: &str, args: &[&str]) -> (i32, Value) {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/check/policies");
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(["policy", "diff", "--policies-only", "--live", "--format", "json"])
        .args([&policies, &policies])
        .args(args)
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig(user))
        .current_dir(plane.dir())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = || panic!("{text}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), serde_json::from_str(&text).unwrap_or_else(|_| problem()))
}

/// `policy change namespace objects` of every row.
fn rows(report: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        format!("{} {} {} {}", text("policy"), text("change"), text("namespace"), row["objects"])
    };
    report["changes"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn the_blast_radius_of_a_change_is_seen_before_it_is_made() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let shop = plane.namespace("shop", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "enforce")]);
    let calm = plane.namespace("calm", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")]);
    let off = plane.namespace("off", &[("seawall.dev/mode", "off")]);
    let class = objects::storage_class("deletes").with("/reclaimPolicy", "Delete");
    let database = |namespace: &str| {
        let set = objects::stateful_set("db").with("/metadata/namespace", namespace);
        set.with("/spec/volumeClaimTemplates/0/spec/storageClassName", "deletes")
    };
    let labels = database(&shop)["spec"]["template"]["metadata"]["labels"].clone();
    let of_set = objects::claim("data-db-0", "deletes")
        .with("/metadata/namespace", shop.as_str())
        .with("/metadata/labels", labels);
    let items = [class, database(&shop), database(&calm), database(&off), database("kube-system"), of_set];
    plane.kubectl_as("admin").apply(&objects::list(&items), &[]).ok();

    let weak = "policies: {claim-class: {actions: {tier-1: Off}}}\n";
    std::fs::write(plane.dir().join("weak.yaml"), weak).unwrap();
    let (code, report) = diff(&plane, "developer", &["--old-config", "weak.yaml"]);
    // the claim data-db-0 says the same and is counted at its set
    let wanted = [format!("claim-class newly-denied {shop} 1"), format!("claim-class newly-recorded {calm} 1")];
    assert_eq!(rows(&report), wanted);
    assert_eq!((code, &report["complete"]), (1, &json!(true)), "{report}");
    assert_eq!(report["blastRadius"]["namespaces"][&shop]["newlyDenied"], 1);
    let example = &report["changes"][0]["examples"][0];
    assert_eq!((&example["kind"], &example["name"]), (&json!("StatefulSet"), &json!("db")));

    // what if everything were enforced; and one namespace alone, where nothing is denied anew
    let (_, report) = diff(&plane, "developer", &["--old-config", "weak.yaml", "--mode", "enforce"]);
    assert!(rows(&report).contains(&format!("claim-class newly-denied {calm} 1")), "{:?}", rows(&report));
    let one = ["--old-config", "weak.yaml", "-n", &calm, "--fail-on", "newly-denied"];
    let (code, report) = diff(&plane, "developer", &one);
    assert_eq!((code, rows(&report)), (0, vec![format!("claim-class newly-recorded {calm} 1")]));
    let (code, report) = diff(&plane, "developer", &["--page-size", "1", "--requests-per-second", "1000"]);
    assert_eq!((code, rows(&report)), (0, vec![]), "a set is the same as itself");
    // who may list nothing sees nothing, and is told so
    let (code, report) = diff(&plane, "nobody", &[]);
    assert_eq!((code, &report["complete"]), (2, &json!(false)));

    let events = plane.audit_events();
    let own = events.iter().filter(|e| e["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kubectl")));
    let own: BTreeSet<&str> =
        own.filter(|e| e["user"]["username"] == "developer").filter_map(|e| e["verb"].as_str()).collect();
    assert!(!own.is_empty() && own.iter().all(|verb| ["get", "list"].contains(verb)), "{own:?}");
}
