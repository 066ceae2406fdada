//! A cluster as context: `seawall snapshot`, `check --snapshot` and `check --live`, with the rights of a person.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;

/// How a run of `seawall` ended.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn report(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}{}", self.stdout, self.stderr))
    }
}

/// The policies of these tests: one for each way of needing a cluster.
const POLICIES: [(&str, &str, &str); 3] = [
    (
        "needs-service",
        "services",
        "not data.cluster.services[input.request.namespace][input.request.object.spec.serviceName]",
    ),
    ("needs-nodes", "nodes", "data.cluster.index.schedulable_nodes == 0"),
    ("needs-sheep", "sheep.example.com", "data.cluster[\"sheep.example.com\"][input.request.namespace]"),
];

fn policies(folder: &Path) -> PathBuf {
    for (id, kind, condition) in POLICIES {
        let package = id.replace('-', "_");
        let text = format!(
            "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: {id}\n#   checklist: updates\n#   severity: high\n\
             #   actions: {{tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}}\n#   match:\n\
             #   - {{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}}\n\
             #   context:\n#   - {{resource: {kind}}}\npackage seawall.policies.{package}\n\n\
             violation contains {{\"msg\": \"m\", \"path\": [\"spec\"], \"wanted\": \"w\", \"fix\": \"f\"}} if {{\n\
             \tinput.request.object.spec\n\t{condition}\n}}\n"
        );
        let file = folder.join("policies").join(&package).join("policy.rego");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder.join("policies")
}

/// Runs `seawall` as a user of the token file, with the kubeconfig where `kubectl` looks for it.
fn seawall(plane: &ControlPlane, user: &str, args: &[&str]) -> Run {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(args)
        .env_clear()
        .env("KUBECONFIG", plane.kubeconfig(user))
        .current_dir(plane.dir())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// What a run says of each policy: `deny`, or `unknown`; a policy that is content says nothing.
fn verdicts(report: &Value) -> BTreeMap<String, String> {
    let rows = |list: &str, word: &str| -> Vec<(String, String)> {
        let list = report[list].as_array().unwrap().iter();
        list.map(|row| (row["policy"].as_str().unwrap().to_owned(), word.to_owned())).collect()
    };
    assert_eq!(report["errors"], json!([]));
    rows("results", "deny").into_iter().chain(rows("unknown", "unknown")).collect()
}

fn words(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(policy, word)| ((*policy).to_owned(), (*word).to_owned())).collect()
}

fn admin(plane: &ControlPlane, items: &[Value]) {
    plane.kubectl_as("admin").apply(&objects::list(items), &[]).ok();
}

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "sheep.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"kind": "Sheep", "plural": "sheep", "singular": "sheep"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}

#[test]
fn what_is_known_of_a_cluster_is_what_was_read_of_it() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let folder = policies(plane.dir());
    let folder = folder.to_str().unwrap();
    let namespaces: Vec<String> = ["shop", "pay"].map(|stem| plane.namespace(stem, &[])).into();
    let (shop, pay) = (namespaces[0].as_str(), namespaces[1].as_str());
    admin(
        &plane,
        &[
            objects::headless_service("db").with("/metadata/namespace", shop),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": shop}, "stringData": {"k": "hidden"}}),
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}),
        ],
    );
    let set = |name: &str, namespace: &str| {
        let path = plane.dir().join(format!("{name}-{namespace}.json"));
        let set = objects::stateful_set(name).with("/metadata/namespace", namespace);
        std::fs::write(&path, set.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (known, unknown) = (set("db", shop), set("other", shop));
    let common = ["--policies", folder, "--policies-only"];
    let run = |user: &str, args: &[&str]| seawall(&plane, user, &[args, &common].concat());
    let check = |user: &str, args: &[&str]| run(user, &[&["check", "--format", "json"], args].concat());

    // without a cluster nothing is known
    let nothing = words(&[("needs-nodes", "unknown"), ("needs-service", "unknown"), ("needs-sheep", "unknown")]);
    assert_eq!(verdicts(&check("developer", &[&known]).report()), nothing);

    // live and by a snapshot the verdicts are the same; a kind that is not served is not known
    let made = run("developer", &["snapshot", "-o", "first.yaml"]);
    assert_eq!((made.code, made.stdout.as_str()), (0, ""), "{}", made.stderr);
    assert!(made.stderr.starts_with("first.yaml: ") && made.stderr.contains("version v1.35"), "{}", made.stderr);
    for context in [&["--live"][..], &["--snapshot", "first.yaml"]] {
        let known = check("developer", &[&[known.as_str()], context].concat());
        assert_eq!(verdicts(&known.report()), words(&[("needs-sheep", "unknown")]), "{context:?}");
        let note = "note: sheep.example.com: the cluster does not serve it; policies that need it answer unknown";
        assert!(known.stderr.contains(note), "{}", known.stderr);
        let unknown = check("developer", &[&[unknown.as_str()], context].concat());
        let wanted = words(&[("needs-service", "deny"), ("needs-sheep", "unknown")]);
        assert_eq!((verdicts(&unknown.report()), unknown.code), (wanted, 1), "{context:?}");
    }

    // the same cluster gives the same file, but for the time, and nothing in it is private
    let text = |name: &str| std::fs::read_to_string(plane.dir().join(name)).unwrap();
    let without_time =
        |text: &str| text.lines().filter(|line| !line.starts_with("takenAt: ")).collect::<Vec<_>>().join("\n");
    let again = run("developer", &["snapshot"]);
    assert_eq!(without_time(&text("first.yaml")), without_time(again.stdout.trim_end_matches('\n')));
    for word in ["Secret", "hidden", "managedFields", "resourceVersion", "last-applied-configuration"] {
        assert!(!again.stdout.contains(word), "{word} in\n{}", again.stdout);
    }

    custom_kinds(&plane, shop, &known, &check, &run);
    few_rights(&plane, shop, &set("db", pay), &known, &check, &run);
    only_reads(&plane);
}

/// A custom kind whose plural nobody could guess, in both forms of the file.
fn custom_kinds(
    plane: &ControlPlane,
    shop: &str,
    set: &str,
    check: &dyn Fn(&str, &[&str]) -> Run,
    run: &dyn Fn(&str, &[&str]) -> Run,
) {
    let kubectl = plane.kubectl_as("admin");
    kubectl.apply(&definition().to_string(), &[]).ok();
    kubectl.run(&["wait", "--for=condition=Established", "crd/sheep.example.com", "--timeout=60s"], "").ok();
    for file in ["second.json", "second.yaml"] {
        // discovery of a new kind may lag behind its condition
        crate::harness::process::eventually("sheep are served", std::time::Duration::from_secs(30), || {
            assert_eq!(run("developer", &["snapshot", "-o", file]).code, 0);
            let text = std::fs::read_to_string(plane.dir().join(file)).unwrap();
            (!text.contains("notServed")).then_some(())
        });
        let report = check("developer", &[set, "--snapshot", file]).report();
        assert_eq!(verdicts(&report), words(&[]), "{file}: none in the namespace, and that is known");
    }
    let sheep =
        json!({"apiVersion": "example.com/v1", "kind": "Sheep", "metadata": {"name": "dolly", "namespace": shop}});
    kubectl.apply(&sheep.to_string(), &[]).ok();
    for file in ["third.json", "third.yaml"] {
        assert_eq!(run("developer", &["snapshot", "-o", file]).code, 0);
        let report = check("developer", &[set, "--snapshot", file]).report();
        assert_eq!(verdicts(&report), words(&[("needs-sheep", "deny")]), "{file}");
    }
    assert_eq!(verdicts(&check("developer", &[set, "--live"]).report()), words(&[("needs-sheep", "deny")]));
}

/// A person who may read one namespace.
fn few_rights(
    plane: &ControlPlane,
    shop: &str,
    elsewhere: &str,
    set: &str,
    check: &dyn Fn(&str, &[&str]) -> Run,
    run: &dyn Fn(&str, &[&str]) -> Run,
) {
    let role = |kind: &str, rest: Value| {
        let mut object = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": "reader", "namespace": shop}});
        object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        object
    };
    let rule = |group: &str, kind: &str| json!({"apiGroups": [group], "resources": [kind], "verbs": ["list"]});
    admin(
        plane,
        &[
            role("Role", json!({"rules": [rule("", "services"), rule("example.com", "sheep")]})),
            role(
                "RoleBinding",
                json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "nobody"}]}),
            ),
        ],
    );
    let live = check("nobody", &[set, "--live"]);
    assert_eq!(verdicts(&live.report()), words(&[("needs-nodes", "unknown"), ("needs-sheep", "deny")]));
    assert!(
        live.stderr.contains("note: nodes: could not be read (nodes is forbidden: User \"nobody\""),
        "{}",
        live.stderr
    );
    // of two namespaces one may be read: neither counts, since a list of half of them says nothing
    let both = check("nobody", &[set, elsewhere, "--live"]);
    assert!(verdicts(&both.report()).values().all(|word| word == "unknown"), "{}", both.stdout);

    let refused = run("nobody", &["snapshot", "-o", "refused.yaml"]);
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("nodes: not in the snapshot: nodes is forbidden"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--allow-incomplete"), "{}", refused.stderr);
    assert!(!plane.dir().join("refused.yaml").exists());
    let partial = run("nobody", &["snapshot", "-o", "partial.yaml", "--namespace", shop, "--allow-incomplete"]);
    assert_eq!(partial.code, 0, "{}", partial.stderr);
    // what is not in the file is unknown, not empty; and the file knows one namespace only
    let inside = check("developer", &[set, "--snapshot", "partial.yaml"]);
    assert_eq!(verdicts(&inside.report()), words(&[("needs-nodes", "unknown"), ("needs-sheep", "deny")]));
    let outside = check("developer", &[elsewhere, "--snapshot", "partial.yaml"]);
    assert!(verdicts(&outside.report()).values().all(|word| word == "unknown"), "{}", outside.stdout);
}

/// All that `seawall` did in this cluster.
fn only_reads(plane: &ControlPlane) {
    let ours = |event: &Value| event["userAgent"].as_str().is_none_or(|agent| !agent.starts_with("kubectl"));
    let user = |event: &Value| ["developer", "nobody"].map(Value::from).contains(&event["user"]["username"]);
    let calls: Vec<Value> = plane.audit_events().into_iter().filter(|e| user(e) && ours(e)).collect();
    let verbs: BTreeSet<&str> = calls.iter().map(|e| e["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, BTreeSet::from(["get", "list"]));
    let kinds: BTreeSet<&str> = calls.iter().filter_map(|e| e["objectRef"]["resource"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["namespaces", "nodes", "services", "sheep"]));
}
