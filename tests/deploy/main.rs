//! `deploy/base` fits the program that it deploys. Whether an API server takes it, and its RBAC, is tested in `tests/cluster`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy's allow-…-in-tests covers test functions only, not the helpers of an integration test"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use seawall::config::Settings;
use seawall::context::cluster::NAMESPACES;
use seawall::context::resources;
use seawall::policy::store::PolicySet;
use seawall::server::DrainConfig;
use seawall::webhookconfig::rules::registered;
use serde_json::{Value, json};

fn base(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base").join(file)
}

fn documents(file: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&std::fs::read_to_string(base(file)).unwrap()).unwrap()
}

fn pod() -> Value {
    documents("deployment.yaml")[0]["spec"]["template"]["spec"].clone()
}

#[test]
fn the_configuration_says_what_holds_without_it() {
    assert_eq!(Settings::load(&base("seawall.yaml")).unwrap(), Settings::default());
}

#[test]
fn every_file_is_part_of_the_kustomization() {
    let kustomization = &documents("kustomization.yaml")[0];
    let listed = kustomization["resources"].as_array().unwrap().iter().chain(
        kustomization["configMapGenerator"].as_array().unwrap().iter().flat_map(|g| g["files"].as_array().unwrap()),
    );
    let listed: BTreeSet<String> = listed.map(|file| file.as_str().unwrap().to_owned()).collect();
    let there = std::fs::read_dir(base("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(listed, there.filter(|name| name != "kustomization.yaml").collect());
}

#[test]
fn exactly_the_kinds_that_embedded_policies_read_may_be_listed_and_watched() {
    let mut needed: BTreeSet<(String, String)> = BTreeSet::new();
    let policies = PolicySet::embedded(&Settings::default()).unwrap();
    for kind in policies.watched_context().keys().map(String::as_str).chain([NAMESPACES]) {
        let group = match kind.split_once('.') {
            Some((_, group)) => group.to_owned(),
            None => resources::KNOWN.iter().find(|row| row.resource == kind).unwrap().group.to_owned(),
        };
        needed.insert((group, kind.split('.').next().unwrap().to_owned()));
    }
    let role = documents("rbac.yaml").into_iter().find(|role| role["kind"] == "ClusterRole").unwrap();
    for verb in ["list", "watch"] {
        let mut granted = BTreeSet::new();
        for rule in role["rules"].as_array().unwrap() {
            if rule["verbs"].as_array().unwrap().contains(&json!(verb)) {
                let group = rule["apiGroups"][0].as_str().unwrap();
                let resources = rule["resources"].as_array().unwrap().iter();
                granted.extend(resources.map(|r| (group.to_owned(), r.as_str().unwrap().to_owned())));
            }
        }
        assert_eq!(granted, needed, "{verb}");
    }
}

/// `seawall audit` lists what policies match and what they read.
#[test]
fn the_role_for_audits_has_exactly_the_kinds_that_are_listed() {
    let policies = PolicySet::embedded(&Settings::default()).unwrap();
    let mut needed: BTreeSet<(String, String)> = BTreeSet::new();
    for kind in policies.needed_context().keys().map(String::as_str).chain([NAMESPACES]) {
        let known = resources::KNOWN.iter().find(|row| row.resource == kind);
        let (plural, group) = kind.split_once('.').unwrap_or((kind, known.map_or("", |row| row.group)));
        needed.insert((group.to_owned(), plural.to_owned()));
    }
    for row in registered(policies.policies().iter().map(|p| &p.metadata)).unwrap() {
        if row.subresource.is_empty() && (row.validate.contains("CREATE") || row.validate.contains("UPDATE")) {
            needed.insert((row.group, row.resource));
        }
    }
    let role = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/audit/rbac.yaml");
    let role: Value = serde_saphyr::from_str(&std::fs::read_to_string(role).unwrap()).unwrap();
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert_eq!(rule["verbs"], json!(["list"]));
        for resource in rule["resources"].as_array().unwrap() {
            let [group] = rule["apiGroups"].as_array().unwrap().as_slice() else { panic!("{rule}") };
            granted.insert((group.as_str().unwrap().to_owned(), resource.as_str().unwrap().to_owned()));
        }
    }
    assert_eq!(granted, needed);
}

fn overlay(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/overlays/audit").join(file);
    serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// `group/resource` of what a role gives a verb on.
fn granted(role: &Value, verb: &str) -> BTreeSet<String> {
    let of = |rule: &Value| {
        let group = rule["apiGroups"][0].as_str().unwrap().to_owned();
        let resources = rule["resources"].as_array().unwrap().clone();
        resources.into_iter().map(move |r| format!("{group}/{}", r.as_str().unwrap())).collect::<Vec<_>>()
    };
    let rules = role["rules"].as_array().unwrap().iter();
    rules.filter(|rule| rule["verbs"].as_array().unwrap().contains(&json!(verb))).flat_map(of).collect()
}

#[test]
fn with_the_overlay_exactly_what_an_audit_reads_may_be_listed_and_what_it_judges_watched() {
    let role = |documents: Vec<Value>| documents.into_iter().find(|role| role["kind"] == "ClusterRole").unwrap();
    let (own, more) = (role(documents("rbac.yaml")), role(overlay("rbac.yaml")));
    let policies = PolicySet::embedded(&Settings::default()).unwrap();
    let kinds = seawall::audit::kinds(&policies).into_keys().map(|kind| match kind.split_once('.') {
        Some((plural, group)) => format!("{group}/{plural}"),
        None => {
            // the one workload that no policy may read as context
            let known = resources::KNOWN.iter().find(|row| row.resource == kind);
            format!("{}/{kind}", known.map_or("", |row| row.group))
        }
    });
    let kinds: BTreeSet<String> = kinds.collect();
    let reports: BTreeSet<String> =
        ["wgpolicyk8s.io/clusterpolicyreports", "wgpolicyk8s.io/policyreports"].map(str::to_owned).into();
    for verb in ["list", "watch"] {
        let (own, mut more) = (granted(&own, verb), granted(&more, verb));
        if verb == "list" {
            more = &more - &reports;
        }
        assert!(own.is_disjoint(&more), "{verb}: {:?}", &own & &more);
        assert_eq!(&own | &more, kinds, "{verb}");
    }
    for verb in ["create", "patch", "delete"] {
        assert_eq!(granted(&more, verb), reports, "{verb}");
    }
    for verb in ["get", "update", "deletecollection"] {
        assert!(granted(&more, verb).is_empty(), "{verb}");
    }
    let listed = overlay("kustomization.yaml")[0]["resources"].clone();
    assert_eq!(listed, json!(["../../base", "rbac.yaml"]));
}

#[test]
fn no_pod_is_killed_while_it_drains() {
    let grace = pod()["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace > DrainConfig::default().total().as_secs(), "{grace}");
}

#[test]
fn pods_are_found_by_service_budget_and_spread() {
    let deployment = &documents("deployment.yaml")[0]["spec"];
    let labels = &deployment["template"]["metadata"]["labels"];
    assert_eq!(&deployment["selector"]["matchLabels"], labels);
    assert_eq!(&documents("service.yaml")[0]["spec"]["selector"], labels);
    assert_eq!(&documents("poddisruptionbudget.yaml")[0]["spec"]["selector"]["matchLabels"], labels);
    assert_eq!(&pod()["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"], labels);
    let term = &pod()["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(&term["podAffinityTerm"]["labelSelector"]["matchLabels"], labels);
}

#[test]
fn what_is_mounted_named_and_called_is_there() {
    let pod = pod();
    let container = &pod["containers"][0];
    let ports: BTreeSet<&str> =
        container["ports"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        assert!(ports.contains(container[probe]["httpGet"]["port"].as_str().unwrap()), "{probe}");
    }
    assert!(ports.contains(documents("service.yaml")[0]["spec"]["ports"][0]["targetPort"].as_str().unwrap()));
    let mounts = container["volumeMounts"].as_array().unwrap().iter();
    let config = mounts.clone().find(|mount| mount["name"] == "config").unwrap();
    let flag = format!("--config={}/seawall.yaml", config["mountPath"].as_str().unwrap());
    assert!(container["args"].as_array().unwrap().contains(&json!(flag)));
    let mounted: BTreeSet<Option<&str>> = mounts.map(|mount| mount["name"].as_str()).collect();
    assert_eq!(mounted, pod["volumes"].as_array().unwrap().iter().map(|volume| volume["name"].as_str()).collect());
    let generated = &documents("kustomization.yaml")[0]["configMapGenerator"][0]["name"];
    assert_eq!(&pod["volumes"][0]["configMap"]["name"], generated);
    // kustomize puts the hash of the ConfigMap into every resourceNames that has its name
    assert!(documents("rbac.yaml").iter().all(|role| !role["rules"].to_string().contains(&generated.to_string())));
    // serve makes the Service's name from the namespace that it finds itself in
    assert_eq!(documents("service.yaml")[0]["metadata"]["name"], "seawall");
    assert_eq!(pod["serviceAccountName"], documents("serviceaccount.yaml")[0]["metadata"]["name"]);
}

/// What the Dockerfile copies is all that cargo needs to find its targets (a build needs docker; this does not).
#[test]
fn the_image_gets_all_that_cargo_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dockerfile = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let build_stage = dockerfile.split("FROM scratch").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for line in build_stage.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let mut sources: Vec<&str> = line.split_whitespace().collect();
        let target = sources.pop().unwrap();
        for source in sources {
            let to = if target.ends_with('/') { folder.path().join(source) } else { folder.path().join(target) };
            let copied = Command::new("cp").arg("-r").arg(root.join(source)).arg(&to).status().unwrap();
            assert!(copied.success(), "COPY {source}");
        }
    }
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let text = String::from_utf8_lossy(&metadata.stdout).into_owned();
    for wanted in ["custom-build", "\"bin\""] {
        assert!(text.contains(wanted), "no {wanted} target");
    }
}
