//! `seawall policy catalogue`: the embedded rules, a real cluster, and a ConfigMap that the API server takes.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::controlplane::ControlPlane;
use crate::harness::objects::{self, Manifest as _};
use crate::harness::shared;

/// Code, standard output, standard error.
fn catalogue(plane: &ControlPlane, user: &str, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(["policy", "catalogue"])
        .args(args)
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig(user))
        .current_dir(plane.dir())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The names of the classes of a tier and profile that these tests made.
fn names(document: &Value, tier: &str, profile: &str) -> Vec<String> {
    let row = document["rows"].as_array().unwrap().iter().find(|row| row["tier"] == tier && row["profile"] == profile);
    let classes = row.unwrap()["classes"].as_array().unwrap().iter();
    let names = classes.map(|class| class["name"].as_str().unwrap().to_owned());
    names.filter(|name| name.starts_with("catalogue-")).collect()
}

#[test]
fn the_catalogue_of_a_cluster_is_what_its_labels_and_the_configuration_say() {
    let Some(plane) = shared() else { return };
    let labelled = |name: &str, labels: Value| {
        let annotations = json!({"kubernetes.io/description": "three copies"});
        objects::storage_class(name).with("/metadata/labels", labels).with("/metadata/annotations", annotations)
    };
    let classes = [
        labelled("catalogue-oltp", json!({"seawall.dev/supported": "true", "seawall.dev/workload-profile": "oltp"})),
        labelled("catalogue-deletes", json!({"seawall.dev/supported": "true"})).with("/reclaimPolicy", "Delete"),
        labelled("catalogue-nobody", json!({})),
        labelled("catalogue-configured", json!({})),
    ];
    let kubectl = plane.kubectl_as("admin");
    kubectl.apply(&objects::list(&classes), &[]).ok();
    let config = "knowledge: {catalogue: {classes: {catalogue-configured: {tiers: [tier-1], rank: 1}, catalogue-coming: {tiers: [tier-1], rank: 200}}}}\n";
    std::fs::write(plane.dir().join("catalogue-config"), config).unwrap();
    let with_config = ["--config", "catalogue-config"];

    let (code, stdout, stderr) = catalogue(plane, "developer", &[&with_config[..], &["--format", "json"]].concat());
    assert_eq!((code, stderr.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&stdout).unwrap();
    assert!(document["serverVersion"].as_str().unwrap().starts_with("v1."), "{document}");
    // what deletes is not for the upper tiers, what the platform put into a tier is for no other
    let in_tier_1 = ["catalogue-configured", "catalogue-oltp", "catalogue-coming"];
    assert_eq!(names(&document, "tier-1", "oltp"), in_tier_1);
    assert_eq!(names(&document, "tier-2", "oltp"), ["catalogue-oltp", "catalogue-deletes"]);
    assert_eq!(names(&document, "tier-2", "queue"), ["catalogue-deletes"]);
    let (_, text, _) = catalogue(plane, "developer", &with_config);
    assert!(text.contains("ebs.csi.aws.com, Retain, can be expanded, encrypted, by label\n"), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("catalogue-coming ") && line.contains("not in the cluster")),
        "{text}"
    );
    assert!(text.contains("  three copies\n") && !text.contains("catalogue-nobody"), "{text}");

    // the API server takes the ConfigMap, and takes it again without a change
    let namespace = plane.namespace("portal", &[]);
    let map = ["--format", "configmap", "-n", namespace.as_str()];
    let print = || catalogue(plane, "developer", &[&with_config[..], &map].concat()).1;
    kubectl.apply(&print(), &[]).ok().quiet();
    let stored = kubectl.get(&["configmap", "seawall-catalogue", "-n", &namespace]);
    let inside: Value = serde_json::from_str(stored["data"]["catalogue.json"].as_str().unwrap()).unwrap();
    assert_eq!(names(&inside, "tier-1", "oltp"), in_tier_1);
    assert!(stored["data"]["catalogue.txt"].as_str().unwrap().starts_with("Classes that a claim may use"));

    // a snapshot gives the same, and who may not list classes is told so
    let (code, _, stderr) = catalogue(plane, "nobody", &[]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("no catalogue without storageclasses: could not be read (storageclasses.storage.k8s.io is"),
        "{stderr}"
    );
    kubectl
        .run(
            &[
                "delete",
                "storageclass",
                "catalogue-oltp",
                "catalogue-deletes",
                "catalogue-nobody",
                "catalogue-configured",
            ],
            "",
        )
        .ok();
}
