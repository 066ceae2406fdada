//! `seawall policy catalogue`: what may be used where, from files and snapshots. The rule here is a small one; what the
//! embedded one finds is tested with the policies.

use crate::rig::{Run, seawall};
use serde_json::{Value, json};
use std::path::Path;

/// Every class that retains, in two tiers.
const RULE: &str = r#"package seawall.lib.catalogue_matrix

matrix := [{"tier": tier, "profile": "oltp", "classes": classes} |
	some tier in ["tier-0", "tier-1"]
	classes := [row |
		some name, class in data.cluster.storageclasses
		class.reclaimPolicy == "Retain"
		row := described(name, class)
	]
]

described(name, class) := {
	"name": name,
	"description": data.seawall.knowledge.catalogue.text,
	"provisioner": class.provisioner,
	"reclaimPolicy": class.reclaimPolicy,
	"expansion": false,
	"encrypted": "unknown",
	"source": "label",
	"exists": true,
}
"#;

const CLASSES: &str = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: fast}\nprovisioner: p\nreclaimPolicy: Retain\n---\n\
    apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: loose}\nprovisioner: p\n";

fn policies(folder: &Path, rule: &str) {
    let put = |path: &str, text: &str| {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("lib/catalogue_matrix.rego", rule);
    put("seawall/knowledge/catalogue/data.yaml", "text: for databases\n");
}

fn catalogue(folder: &Path, args: &[&str], stdin: &str) -> Run {
    let mut all = vec!["policy", "catalogue", "--policies", folder.to_str().unwrap(), "--policies-only"];
    all.extend_from_slice(args);
    seawall(&all, stdin)
}

#[test]
fn manifests_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    policies(folder.path(), RULE);
    let run = catalogue(folder.path(), &["-"], CLASSES);
    insta::assert_snapshot!(run.stdout, @r"
    Classes that a claim may use, best first

    tier-0
      oltp  fast

    tier-1
      oltp  fast

    fast  p, Retain, cannot be expanded, encryption unknown, by label
          for databases
    ");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let run = catalogue(folder.path(), &["-", "--format", "json"], CLASSES);
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&document["schemaVersion"], &document["serverVersion"]), (&json!("1"), &Value::Null));
    assert_eq!(document["rows"][1]["classes"][0]["name"], "fast");
    // the configuration has a word
    let config = folder.path().join("config");
    std::fs::write(&config, "knowledge: {catalogue: {text: for queues}}\n").unwrap();
    let run = catalogue(folder.path(), &["-", "--config", config.to_str().unwrap()], CLASSES);
    assert!(run.stdout.contains("for queues"), "{}", run.stdout);
}

#[test]
fn a_config_map_is_a_manifest() {
    let folder = tempfile::tempdir().unwrap();
    policies(folder.path(), RULE);
    let run = catalogue(folder.path(), &["-", "--format", "configmap", "-n", "portal", "--name", "classes"], CLASSES);
    let manifest: Value = serde_saphyr::from_str(&run.stdout).unwrap();
    assert_eq!(manifest["metadata"]["name"], "classes");
    assert_eq!(manifest["metadata"]["namespace"], "portal");
    let text = manifest["data"]["catalogue.txt"].as_str().unwrap();
    assert!(text.starts_with("Classes that a claim may use"), "{text}");
}

#[test]
fn half_a_cluster_gives_no_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    policies(folder.path(), RULE);
    let header = "apiVersion: seawall.dev/v1alpha1\nkind: Snapshot\ntakenAt: t\ntakenBy: s\nserverVersion: v1.35.4\n";
    let snapshot = |rows: &str| {
        let file = folder.path().join("snapshot");
        std::fs::write(&file, format!("{header}{rows}---\n{CLASSES}")).unwrap();
        catalogue(folder.path(), &["--snapshot", file.to_str().unwrap()], "")
    };
    let run = snapshot("kinds:\n- {resource: storageclasses, objects: 2, namespaced: false}\n");
    assert!(run.stdout.starts_with("Classes that a claim may use, best first, in a cluster of version v1.35.4\n"));
    let run = snapshot("kinds: []\nmissing:\n- {resource: storageclasses, reason: forbidden}\n");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert_eq!(run.stderr, "seawall: no catalogue without storageclasses: could not be read (forbidden)\n");
    let run = catalogue(folder.path(), &["-"], "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n");
    assert_eq!(run.code, 2);
    assert_eq!(run.stderr, "seawall: no catalogue without storageclasses: the input has none\n");
    let run = catalogue(folder.path(), &["-"], "a: [");
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with("stdin:2:1: error: "), "{}", run.stderr);
}

#[test]
fn policies_that_do_not_fit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    policies(folder.path(), "package seawall.lib.other\n\nmatrix := []\n");
    let run = catalogue(folder.path(), &["-"], CLASSES);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("have no seawall.lib.catalogue_matrix.matrix"), "{}", run.stderr);
    policies(
        folder.path(),
        "package seawall.lib.catalogue_matrix\n\nmatrix := [{\"tier\": name}] if {\n\tsome name, _ in data.cluster.storageclasses\n}\n",
    );
    let run = catalogue(folder.path(), &["-"], CLASSES);
    assert_eq!(run.code, 2);
    policies(folder.path(), "package seawall.lib.catalogue_matrix\n\nmatrix := {\"a\": data.cluster.storageclasses}\n");
    let run = catalogue(folder.path(), &["-"], CLASSES);
    assert!(run.code == 2 && run.stderr.contains("another shape"), "{}", run.stderr);
    // a builtin that fails is no empty catalogue
    let failing = RULE.replace("\"expansion\": false", "\"expansion\": to_number(name) == 1");
    policies(folder.path(), &failing);
    let run = catalogue(folder.path(), &["-"], CLASSES);
    assert!(run.code == 2 && run.stderr.contains("cannot be computed"), "{}", run.stderr);
}
