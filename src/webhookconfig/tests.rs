//! Golden configurations, and the selectors evaluated as the API server does.

use super::*;
use serde_json::{Value, json};

/// A policy with these lines of METADATA below `custom`.
fn policy(id: &str, actions: &str, rest: &str, rule: &str) -> Metadata {
    let package = id.replace('-', "_");
    let text = format!(
        "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: {id}\n#   checklist: probes\n#   severity: high\n\
         #   actions: {actions}\n#   {rest}\n#   match:\n#   - {rule}\npackage seawall.policies.{package}\n"
    );
    Metadata::parse("policy.rego", &text).unwrap()
}

const DENY: &str = "{tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: Audit}";
const WARN: &str = "{tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Audit}";
const OFF: &str = "{tier-0: Off, tier-1: Off, tier-2: Off, tier-3: Off}";

fn policies() -> Vec<Metadata> {
    let storage =
        "{apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE, UPDATE]}";
    let volumes = "{apiGroups: [''], apiVersions: [v1], resources: [persistentvolumes], operations: [CREATE, UPDATE]}";
    let claims =
        "{apiGroups: [''], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [CREATE, UPDATE]}";
    let deleted =
        "{apiGroups: [''], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [DELETE], via: direct}";
    let finalizers =
        "{apiGroups: [''], apiVersions: [v1], resources: [persistentvolumeclaims], operations: [UPDATE], via: direct}";
    let pods = "{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE, UPDATE]}";
    let sets = "{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}";
    let scale = "{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets/scale], operations: [UPDATE]}";
    let namespaces = "{apiGroups: [''], apiVersions: [v1], resources: [namespaces], operations: [UPDATE]}";
    let custom =
        "{apiGroups: [postgresql.cnpg.io], apiVersions: [v1], resources: [clusters], operations: [CREATE, UPDATE]}";
    let old = "{apiGroups: [apps], apiVersions: [v1beta1], resources: [statefulsets, deployments], operations: [CREATE], \
               registered: false}";
    let off = "{apiGroups: [''], apiVersions: [v1], resources: [services], operations: [CREATE]}";
    let patch = "patch: [tier-0, tier-1]";
    vec![
        policy("class-reclaim-retain", DENY, patch, storage),
        policy("volume-reclaim-retain", DENY, patch, volumes),
        policy("claim-class-retain", DENY, "patch: []", claims),
        policy("delete-claim", DENY, "patch: []", deleted),
        policy("finalizer-kept", DENY, "guardsFinalizers: true", finalizers),
        policy("spread-zone", WARN, patch, pods),
        policy("governing-service-named", DENY, "patch: []", sets),
        policy("scale-down-guard", DENY, "patch: []", scale),
        policy("mode-not-lowered", DENY, "patch: []", namespaces),
        policy("cr-storage-durable", DENY, "patch: []", custom),
        policy("nothing", OFF, patch, off),
        policy("api-version-served", DENY, patch, old),
    ]
}

fn settings(mode: Mode) -> Settings {
    let mut settings = Settings::default();
    settings.defaults.mode = mode;
    settings.excluded_namespaces = vec!["legacy".into()];
    settings
}

fn options() -> Options {
    Options {
        target: WebhookTarget::service("seawall-system/seawall").unwrap(),
        ca_bundle: Some("PEM".into()),
        own_namespace: Some("seawall-system".into()),
        own_user: Some("system:serviceaccount:seawall-system:seawall".into()),
    }
}

fn configurations(mode: Mode) -> Configurations {
    generate(&policies(), &settings(mode), &options()).unwrap()
}

#[test]
fn the_configurations_in_default_mode_warn() {
    let made = configurations(Mode::Warn);
    insta::assert_snapshot!("validating_warn", serde_saphyr::to_string(&made.validating).unwrap());
    insta::assert_snapshot!("mutating_warn", serde_saphyr::to_string(&made.mutating).unwrap());
}

/// A webhook as JSON, by the first part of its name.
fn webhooks(made: &Configurations) -> BTreeMap<String, Value> {
    let json = [json!(made.validating), json!(made.mutating)];
    let all = json.iter().flat_map(|c| c["webhooks"].as_array().unwrap());
    all.map(|w| (w["name"].as_str().unwrap().strip_suffix(".seawall.dev").unwrap().to_owned(), w.clone())).collect()
}

#[test]
fn what_is_not_registered_is_in_no_webhook() {
    let made = configurations(Mode::Enforce);
    let versions = |w: &Value| w["rules"].as_array().unwrap().iter().map(|r| r["apiVersions"][0].clone()).collect();
    let all: Vec<Value> = webhooks(&made).values().flat_map(|w| -> Vec<Value> { versions(w) }).collect();
    assert!(!all.is_empty() && all.iter().all(|version| version == "v1"), "{all:?}");
}

/// The API server's rule for match expressions; an absent key is `NotIn` everything.
fn selects(selector: &Value, labels: &BTreeMap<&str, &str>) -> bool {
    selector["matchExpressions"].as_array().into_iter().flatten().all(|row| {
        let found = labels.get(row["key"].as_str().unwrap());
        let among = found.is_some_and(|v| row["values"].as_array().unwrap().iter().any(|value| value == v));
        match row["operator"].as_str().unwrap() {
            "In" => among,
            "NotIn" => !among,
            other => panic!("{other}"),
        }
    })
}

/// The webhooks registered for a resource, in a namespace with this mode label (`None`: a cluster-scoped object).
fn called(made: &Configurations, resource: &str, namespace: Option<(&str, Option<&str>)>) -> Vec<String> {
    let labels: Option<BTreeMap<&str, &str>> = namespace
        .map(|(name, mode)| mode.map(|mode| (MODE, mode)).into_iter().chain([(NAMESPACE_NAME, name)]).collect());
    let wanted = |webhook: &Value| {
        let scope = if labels.is_some() { "Namespaced" } else { "Cluster" };
        let rule = |rule: &Value| {
            rule["scope"] == scope && rule["resources"].as_array().unwrap().iter().any(|r| r == resource)
        };
        webhook["rules"].as_array().unwrap().iter().any(rule)
            && labels.as_ref().is_none_or(|labels| selects(&webhook["namespaceSelector"], labels))
    };
    webhooks(made).into_iter().filter(|(_, w)| wanted(w)).map(|(name, _)| name).collect()
}

#[test]
fn a_namespace_is_in_exactly_the_webhook_of_its_mode() {
    for default in Mode::ALL {
        let made = configurations(*default);
        for label in [None, Some("enforce"), Some("warn"), Some("audit"), Some("off"), Some("nonsense")] {
            let mode = label.and_then(|l| l.parse().ok()).unwrap_or(*default);
            let wanted: &[&str] = match mode {
                Mode::Enforce => &["enforce", "mutate", "restore"],
                Mode::Warn | Mode::Audit => &["mutate", "observe", "restore"],
                Mode::Off => &["restore"],
            };
            assert_eq!(called(&made, "statefulsets", Some(("shop", label))), wanted, "{default} {label:?}");
            // no policy can deny a Deployment, so nothing there may fail closed
            let wanted: Vec<&str> = wanted.iter().map(|n| if *n == "enforce" { "advise" } else { n }).collect();
            let mut wanted = wanted;
            wanted.sort_unstable();
            assert_eq!(called(&made, "deployments", Some(("shop", label))), wanted, "{default} {label:?}");
            for left_alone in ["kube-system", "kube-public", "kube-node-lease", "seawall-system", "legacy"] {
                assert!(called(&made, "statefulsets", Some((left_alone, label))).is_empty());
            }
        }
    }
}

#[test]
fn cluster_scoped_kinds_are_in_one_validating_webhook_by_the_default_mode() {
    let classes = |mode| called(&configurations(mode), "storageclasses", None);
    assert_eq!(classes(Mode::Enforce), ["enforce", "mutate", "restore"]);
    assert_eq!(classes(Mode::Warn), ["mutate", "observe", "restore"]);
    assert_eq!(classes(Mode::Audit), ["mutate", "observe", "restore"]);
    assert_eq!(classes(Mode::Off), ["restore"]);
    let volumes = |mode| called(&configurations(mode), "persistentvolumes", None);
    assert_eq!(volumes(Mode::Enforce), ["enforce", "mutate", "restore"]);
    // a volume of a claim in a namespace that enforces is still judged
    assert_eq!(volumes(Mode::Off), ["mutate", "observe", "restore"]);
    // a kind that we do not know is registered in the scope that it turns out to have
    assert_eq!(called(&configurations(Mode::Off), "clusters", None), ["restore"]);
    assert_eq!(called(&configurations(Mode::Off), "clusters", Some(("shop", Some("enforce")))), ["enforce", "restore"]);
}

#[test]
fn lowering_the_mode_of_a_namespace_is_seen_by_the_webhook_that_fails_closed() {
    for default in Mode::ALL {
        let webhooks = webhooks(&configurations(*default));
        let labels = |mode: Option<&'static str>| mode.map(|mode| (MODE, mode)).into_iter().collect();
        // the API server's rule for updates: the old or the new object is selected
        let called = |name: &str, old, new| {
            let selector = &webhooks[name]["objectSelector"];
            selects(selector, &labels(old)) || selects(selector, &labels(new))
        };
        assert!(called("enforce-namespaces", Some("enforce"), Some("warn")), "{default}");
        assert!(called("enforce-namespaces", Some("enforce"), Some("off")), "{default}");
        assert!(called("enforce-namespaces", Some("enforce"), None));
        assert_eq!(called("enforce-namespaces", None, Some("off")), *default == Mode::Enforce);
        assert!(called("observe-namespaces", Some("warn"), Some("off")), "{default}");
        assert!(!called("observe-namespaces", Some("off"), Some("off")), "{default}");
        assert_eq!(webhooks["enforce-namespaces"]["failurePolicy"], "Fail");
        assert!(webhooks["enforce-namespaces"]["namespaceSelector"].to_string().find(MODE).is_none());
        assert_eq!(webhooks["enforce-namespaces"]["rules"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn only_what_can_deny_fails_closed_and_nobody_waits_long() {
    for mode in Mode::ALL {
        for (name, webhook) in webhooks(&configurations(*mode)) {
            let enforces = name.starts_with("enforce");
            assert_eq!(webhook["failurePolicy"] == "Fail", enforces, "{name}");
            assert!(webhook["timeoutSeconds"].as_i64().unwrap() <= 5);
            let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap();
            let wanted = if enforces {
                "/validate/enforce"
            } else if ["mutate", "restore"].contains(&name.as_str()) {
                "/mutate"
            } else {
                "/validate/observe"
            };
            assert_eq!(path, wanted, "{name}");
        }
    }
}

#[test]
fn subresources_have_their_own_webhooks_and_pods_and_status_are_never_registered() {
    let made = configurations(Mode::Warn);
    let all = webhooks(&made);
    assert_eq!(all["enforce-scale"]["rules"][0]["resources"], json!(["statefulsets/scale"]));
    assert_eq!(all["observe-scale"]["rules"].as_array().unwrap().len(), 1);
    assert!(called(&made, "pods", Some(("shop", None))).is_empty());
    assert!(called(&made, "services", Some(("shop", None))) == ["restore"], "a policy that is off");
    let status = policy(
        "bad",
        DENY,
        "patch: []",
        "{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets/status], operations: [UPDATE]}",
    );
    let error = generate([&status], &settings(Mode::Warn), &options()).unwrap_err().to_string();
    assert!(error.starts_with("policy bad matches statefulsets/status"), "{error}");
    let direct = policy(
        "direct",
        DENY,
        "patch: []",
        "{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE], via: direct}",
    );
    let made = generate([&direct], &settings(Mode::Warn), &options()).unwrap();
    assert!(called(&made, "pods", Some(("shop", None))).is_empty(), "bare Pods are for `check` and audits");
}

#[test]
fn deleting_a_workload_is_not_deleting_its_claims() {
    let all = webhooks(&configurations(Mode::Warn));
    for rule in all["enforce"]["rules"].as_array().unwrap() {
        let operations = rule["operations"].as_array().unwrap();
        let claims = rule["resources"].as_array().unwrap().contains(&json!("persistentvolumeclaims"));
        assert_eq!(operations.contains(&json!("DELETE")), claims, "{rule}");
    }
}

#[test]
fn no_policies_make_empty_configurations() {
    let made = generate([], &settings(Mode::Warn), &options()).unwrap();
    assert_eq!(made.validating.webhooks, Some(Vec::new()));
    assert_eq!(made.mutating.webhooks, Some(Vec::new()));
}
