//! Reports of a live cluster: PolicyReports are taken by a real API server with the field's own CustomResourceDefinitions, and go
//! away with their objects.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::binaries;
use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;

/// The CustomResourceDefinitions, which are not ours to ship; `None`, said loudly, where they are not there.
fn definitions() -> Option<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("SEAWALL_CRDS").map(PathBuf::from);
    let folders = given.into_iter().chain(["../shared/crds", "../../shared/crds"].map(|folder| root.join(folder)));
    let Some(folder) = folders.into_iter().find(|folder| folder.is_dir()) else {
        binaries::announce(
            "*** SKIPPED: PolicyReports on an API server. No CustomResourceDefinitions in ../shared/crds; name their folder in \
             SEAWALL_CRDS. ***",
        );
        return None;
    };
    let files = [
        "wgpolicyk8s-policyreports",
        "wgpolicyk8s-clusterpolicyreports",
        "openreports-reports",
        "openreports-clusterreports",
    ];
    let read = |name: &str| fs::read_to_string(folder.join(format!("{name}.yaml"))).unwrap();
    Some(files.map(read).join("\n---\n"))
}

/// What `seawall audit --format` prints.
fn audit(plane: &ControlPlane, format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["audit", "--fail-on", "never", "--format", format, "--policy", "class-reclaim-retain"])
        .args(["--policy", "database-without-volume"])
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig("developer"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("objects judged"), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn policy_reports_are_taken_by_an_api_server_and_go_with_their_objects() {
    let Some(definitions) = definitions() else { return };
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    let admin = plane.kubectl_as("admin");
    admin.run(&["apply", "--server-side", "-f", "-"], &definitions).ok();
    admin.run(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"], "").ok();
    let shop = plane.namespace("shop", &[("seawall.dev/tier", "tier-1"), ("seawall.dev/mode", "audit")]);
    let set = objects::database_without_volume("orders").with("/metadata/namespace", shop.as_str());
    let class = objects::storage_class("deletes").with("/reclaimPolicy", "Delete");
    admin.apply(&objects::list(&[set, class]), &[]).ok();

    for (format, namespaced, cluster) in [
        ("policyreport", "policyreports.wgpolicyk8s.io", "clusterpolicyreports.wgpolicyk8s.io"),
        ("openreports", "reports.openreports.io", "clusterreports.openreports.io"),
    ] {
        let manifests = audit(&plane, format);
        // every field is one of the definition's: nothing is pruned without a word
        admin.run(&["apply", "--validate=strict", "-f", "-"], &manifests).ok().quiet();
        let again = admin.run(&["apply", "-f", "-"], &audit(&plane, format)).ok().stdout;
        assert!(again.lines().count() >= 2 && again.lines().all(|line| line.ends_with(" unchanged")), "{again}");

        let reports = |kind: &str, args: &[&str]| -> Vec<Value> {
            let output = admin.run(&[&["get", kind, "-o", "json"], args].concat(), "").ok().stdout;
            serde_json::from_str::<Value>(&output).unwrap()["items"].as_array().unwrap().clone()
        };
        let of_shop = reports(namespaced, &["-n", &shop]);
        assert_eq!(of_shop.len(), 1, "{of_shop:?}");
        let report = &of_shop[0];
        let uid = admin.run(&["get", "sts", "-n", &shop, "orders", "-o", "jsonpath={.metadata.uid}"], "").ok().stdout;
        assert_eq!(report["metadata"]["name"], format!("seawall-{uid}"));
        assert_eq!(report["metadata"]["ownerReferences"][0]["uid"], uid.as_str());
        assert_eq!((&report["scope"]["kind"], &report["scope"]["name"]), (&json!("StatefulSet"), &json!("orders")));
        assert_eq!(report["summary"], json!({"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0}));
        let result = &report["results"][0];
        assert_eq!((&result["policy"], &result["result"]), (&json!("database-without-volume"), &json!("fail")));
        assert_eq!(result["properties"]["effectiveAction"], "Audit");
        let classes = reports(cluster, &[]);
        assert!(classes.iter().any(|report| report["scope"]["name"] == "deletes"), "{classes:?}");
    }

    // the other formats tell of stored objects what would be, though the mode is audit
    for (format, part) in [
        ("sarif", format!("cluster/{shop}/StatefulSet/orders")),
        ("junit", format!("<testsuite name=\"{shop}\" tests=\"1\" failures=\"1\"")),
        ("github", format!("::error title=database-without-volume%3A StatefulSet {shop}/orders::would deny: ")),
        ("markdown", "- **would deny** ` database-without-volume `".to_owned()),
        (
            "html",
            format!("<tr data-namespace=\"{shop}\" data-tier=\"tier-1\" data-policy=\"database-without-volume\">"),
        ),
    ] {
        let text = audit(&plane, format);
        assert!(text.contains(&part), "{format}: {part} is not in\n{text}");
    }

    // what is in the columns, for people
    let table = admin.run(&["get", "policyreports", "-n", &shop], "").ok().stdout;
    assert!(table.contains("StatefulSet") && table.contains("orders"), "{table}");
    // the garbage collector takes them away
    admin.run(&["delete", "sts", "-n", &shop, "orders"], "").ok();
    let wait = ["wait", "--for=delete", "policyreports,reports.openreports.io", "--all", "-n", &shop, "--timeout=90s"];
    admin.run(&wait, "").ok();
}
