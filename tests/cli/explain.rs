//! `seawall explain`: what a person reads when a policy did or did not fire, and the page of a policy.

use crate::rig::{Run, fixtures, seawall};
use serde_json::Value;

/// With the small policies of the fixtures.
fn explain(args: &[&str], stdin: &str) -> Run {
    let mut all = vec!["explain", "--policies", "policies", "--policies-only"];
    all.extend_from_slice(args);
    seawall(&all, stdin)
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stdout))
}

const POSTGRES: &str = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\nspec:\n  serviceName: db\n  \
    selector: {matchLabels: {app: db}}\n  template:\n    metadata: {labels: {app: db}}\n    spec:\n      containers:\n      \
    - {name: db, image: 'postgres:16', env: [{name: POSTGRES_PASSWORD, value: hunter2}, {name: PGDATA, value: /data}]}\n";

#[test]
fn a_policy_that_fired_and_one_that_did_not() {
    let run = explain(&["-f", "shop.yaml", "--tier", "tier-0"], "");
    insta::assert_snapshot!(run.stdout, @r#"
    shop.yaml:2:1: StorageClass fast, CREATE
      tier  tier-0   --tier
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    patched [class-retain] Classes retain
      action      Deny in tier-0
      patch       written: /reclaimPolicy = Retain
      violation class_retain/policy.rego:14: held
      patch class_retain/policy.rego:24: held

    not asked 3 policies for other kinds

    shop.yaml:8:1: StatefulSet shop/db, CREATE
      tier  tier-0   --tier
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    warning [grace-period] Databases get time to stop
      action      Warn in tier-0
      violation   spec.template.spec.terminationGracePeriodSeconds: stopping takes longer than this
      patch       none proposed
      violation grace_period/policy.rego:14: held

    unknown [governing-service] The governing Service exists
      action      Deny in tier-0
      unknown     too little is known of services; give them with --snapshot or --live
      facts       not known: services

    quiet   [claim-class] volumeClaimTemplates[data] claim_class/policy.rego:23:
            data.cluster.storageclasses[name].reclaimPolicy == "Delete";
            data.cluster.storageclasses[name].reclaimPolicy = "Retain",...

    not asked 1 policy for other kinds

    shop.yaml:33:1: StatefulSet shop/cache, CREATE
      tier  tier-0   --tier
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    unknown [governing-service] The governing Service exists
      action      Deny in tier-0
      unknown     too little is known of services; give them with --snapshot or --live
      facts       not known: services

    patched [grace-period] Databases get time to stop
      action      Warn in tier-0
      patch       written: /spec/template/spec/terminationGracePeriodSeconds = 120
      violation grace_period/policy.rego:14: held
      patch grace_period/policy.rego:25: held

    not asked 2 policies for other kinds
    "#);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

/// Embedded policies change; where in them something stands is not what these tests are about.
fn without_lines(text: &str) -> String {
    let lines = regex::Regex::new(r"(policy\.rego:|stopped at line )\d+").unwrap();
    lines.replace_all(text, "$1<line>").into_owned()
}

#[test]
fn a_rule_that_stopped_in_the_library() {
    let run = seawall(&["explain", "-f", "-", "database-without-volume"], POSTGRES);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(without_lines(&run.stdout), @r#"
    stdin:1:1: StatefulSet shop/db, CREATE
      tier  tier-2   the default of the configuration
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    deny    [database-without-volume] A database has a volume that outlives its Pod
      action      Deny in tier-2
      violation   spec.template.spec.containers[0].volumeMounts: PostgreSQL in container db has no
                  volume that outlives the Pod: its data is lost when the Pod is deleted or drained
      violation seawall/policies/database_without_volume/policy.rego:<line>: held
      violation seawall/policies/database_without_volume/policy.rego:<line>: did not hold
        stopped at line <line>: mount := found.lack.mount
            found.lack.mount = undefined
    "#);
    let cache = POSTGRES
        .replace("{name: db, namespace: shop}", "{name: db, namespace: shop, labels: {seawall.dev/data: cache}}");
    let run = seawall(&["explain", "-f", "-", "database-without-volume"], &cache);
    insta::assert_snapshot!(without_lines(&run.stdout), @r#"
    stdin:1:1: StatefulSet shop/db, CREATE
      tier  tier-2   the default of the configuration
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    quiet   [database-without-volume] A database has a volume that outlives its Pod
      action      Deny in tier-2
      violation seawall/policies/database_without_volume/policy.rego:<line>: did not hold
        stopped at line <line>: some found in keeping
            keeping = []
          keeping is []:
            at seawall/policies/database_without_volume/policy.rego:<line>: held, value []
              [{"entry": entry, "lack": lack} | ...] is []:
                at seawall/policies/database_without_volume/policy.rego:<line>: did not hold
                  stopped at line <line>: applies
                      applies = undefined
                    applies is undefined:
                      at seawall/policies/database_without_volume/policy.rego:<line>: did not hold
                        stopped at line <line>: not workload.data_kind(target) in {"cache", "scratch", "r...
                            workload.data_kind(target) = "cache"
      violation seawall/policies/database_without_volume/policy.rego:<line>: did not hold
        stopped at line <line>: some found in keeping
            keeping = []
          keeping is []:
            at seawall/policies/database_without_volume/policy.rego:<line>: held, value []
              [{"entry": entry, "lack": lack} | ...] is []:
                at seawall/policies/database_without_volume/policy.rego:<line>: did not hold
                  stopped at line <line>: applies
                      applies = undefined
                    applies is undefined:
                      at seawall/policies/database_without_volume/policy.rego:<line>: did not hold
                        stopped at line <line>: not workload.data_kind(target) in {"cache", "scratch", "r...
                            workload.data_kind(target) = "cache"
    "#);
}

#[test]
fn an_exemption_and_a_stored_violation() {
    let review = |object: &str, old: &str| {
        format!(
            "{{\"apiVersion\": \"admission.k8s.io/v1\", \"kind\": \"AdmissionReview\", \"request\": {{\"uid\": \"u\", \"operation\": \
             \"UPDATE\", \"namespace\": \"shop\", \"name\": \"db\", \"kind\": {{\"group\": \"apps\", \"version\": \"v1\", \"kind\": \
             \"StatefulSet\"}}, \"resource\": {{\"group\": \"apps\", \"version\": \"v1\", \"resource\": \"statefulsets\"}}, \
             \"userInfo\": {{\"username\": \"dev\"}}, \"object\": {object}, \"oldObject\": {old}}}}}"
        )
    };
    let object = |note: &str| {
        format!(
            "{{\"apiVersion\": \"apps/v1\", \"kind\": \"StatefulSet\", \"metadata\": {{\"name\": \"db\", \"namespace\": \"shop\", \
             \"annotations\": {{{note}}}}}, \"spec\": {{\"template\": {{\"spec\": {{\"containers\": [{{\"name\": \"db\", \"image\": \
             \"postgres:16\"}}]}}}}}}}}"
        )
    };
    let ratcheted = review(&object("\"a\": \"b\""), &object(""));
    let run = seawall(&["explain", "-f", "-", "database-without-volume", "--tier", "tier-1"], &ratcheted);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(without_lines(&run.stdout), @r#"
    stdin:1:1: StatefulSet shop/db, UPDATE
      tier  tier-1   --tier
      mode  enforce  --mode
      patch enabled  it follows the mode, which is enforce

    warning [database-without-volume] A database has a volume that outlives its Pod
      action      Deny in tier-1
      violation   spec.template.spec.containers[0].volumeMounts: PostgreSQL in container db has no
                  volume that outlives the Pod: its data is lost when the Pod is deleted or drained
                  Deny in tier-1, here Warn: the stored object already is like this
      violation seawall/policies/database_without_volume/policy.rego:<line>: held
      violation seawall/policies/database_without_volume/policy.rego:<line>: did not hold
        stopped at line <line>: mount := found.lack.mount
            found.lack.mount = undefined
    "#);
    let configuration = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        configuration.path(),
        "exemptions:\n- {policies: [database-without-volume], namespace: shop, until: '2199-01-01', reason: moving, by: ops}\n",
    )
    .unwrap();
    let path = configuration.path().to_str().unwrap();
    let run = seawall(&["explain", "-f", "-", "database-without-volume", "--config", path], POSTGRES);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let head: Vec<&str> = run.stdout.lines().skip(5).take(5).collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    exempt  [database-without-volume] A database has a volume that outlives its Pod
      action      Deny in tier-2
      violation   spec.template.spec.containers[0].volumeMounts: PostgreSQL in container db has no
                  volume that outlives the Pod: its data is lost when the Pod is deleted or drained
                  Deny in tier-2, here Audit: exempt until 2199-01-01 by ops: moving
    "#);
}

#[test]
fn secrets_are_never_shown() {
    for args in [
        &["explain", "-f", "-", "anti-affinity-host"][..],
        &["explain", "-f", "-", "anti-affinity-host", "--format", "json", "--depth", "8"],
    ] {
        let run = seawall(args, POSTGRES);
        assert_eq!(run.code, 0, "{}", run.stderr);
        // the values are shown, and the password is not among them
        let shown = if args.contains(&"json") { "\"redacted\"" } else { "target = {" };
        assert!(run.stdout.contains(shown), "{}", run.stdout);
        assert!(!run.stdout.contains("hunter2"), "{}", run.stdout);
    }
}

#[test]
fn verdicts_are_those_of_check() {
    let explained = json(&explain(&["-f", "shop.yaml", "--format", "json"], ""));
    let mut found: Vec<(String, String)> = Vec::new();
    for object in explained["explanations"].as_array().unwrap() {
        for row in object["policies"].as_array().unwrap() {
            for violation in row["violations"].as_array().unwrap() {
                found.push((row["policy"].as_str().unwrap().into(), violation["path"].as_str().unwrap().into()));
            }
        }
    }
    found.sort();
    let checked = seawall(&["check", "--policies", "policies", "--policies-only", "shop.yaml"], "").stdout;
    assert_eq!(found.len(), 3, "{found:?}");
    for (policy, path) in found {
        assert!(checked.contains(&format!("[{policy}] {path}: ")), "{policy} {path}\n{checked}");
    }
}

#[test]
fn a_recorded_request_and_a_case() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let input = "operation: CREATE\nobject:\n  apiVersion: storage.k8s.io/v1\n  kind: StorageClass\n  metadata: {name: fast}\n  \
                 provisioner: x\n  reclaimPolicy: Delete\n";
    write("recorded/input.yaml", input);
    write("recorded/context.yaml", "tier: tier-0\n");
    let run = explain(&["-f", folder.path().join("recorded").to_str().unwrap(), "--format", "json"], "");
    let found = json(&run);
    assert_eq!(found["explanations"][0]["scope"]["tier"]["value"], "tier-0");
    assert_eq!(found["explanations"][0]["policies"][0]["verdict"], "patched", "{found:#}");
    // without the folder the tier is that of the configuration, in which the default is not wanted
    let run = explain(&["-f", "-", "--format", "json"], input);
    let found = json(&run);
    assert_eq!(found["explanations"][0]["policies"][0]["verdict"], "deny", "{found:#}");
    assert_eq!(found["explanations"][0]["policies"][0]["patch"], "not wanted in tier-2, only in tier-0");
    write("broken/input.yaml", "operation: [");
    let run = explain(&["-f", folder.path().join("broken").to_str().unwrap()], "");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("input.yaml:"), "{}", run.stderr);
}

#[test]
fn pages() {
    let run = seawall(&["explain", "class-reclaim-retain"], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let head: Vec<&str> = run.stdout.lines().take(11).collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    class-reclaim-retain: StorageClass must retain volumes
      severity    critical, checklist item reclaim-policy
      actions     tier-0 Deny, tier-1 Deny, tier-2 Warn, tier-3 Audit
      patches in  tier-0, tier-1, tier-2
      match       CREATE, UPDATE of storage.k8s.io/v1 storageclasses
      engine      RVM, compared with the interpreter
      file        seawall/policies/class_reclaim_retain/policy.rego
      see         https://kubernetes.io/docs/concepts/storage/persistent-volumes/#reclaiming

    What
    A StorageClass must have `reclaimPolicy: Retain`.
    "#);
    let run = explain(&["class-retain", "--format", "json"], "");
    assert_eq!(json(&run)["metadata"]["id"], "class-retain");
    let run = seawall(&["explain", "class-reclaim-retain", "--format", "markdown"], "");
    assert!(run.stdout.starts_with("# class-reclaim-retain\n"), "{}", run.stdout);
    let run = explain(&[], "");
    insta::assert_snapshot!(run.stdout, @r#"
    claim-class        medium    Claims name a class that retains
    class-retain       critical  Classes retain
    governing-service  high      The governing Service exists
    grace-period       low       Databases get time to stop

    4 policies; seawall explain POLICY_ID shows one.
    "#);
    let run = seawall(&["explain", "class-reclaim-retian"], "");
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.stderr, @r#"
    seawall: there is no policy "class-reclaim-retian"; did you mean "class-reclaim-retain"?; `seawall explain` lists them
    "#);
}

#[test]
fn hostile_input() {
    let deep = "[".repeat(100_000);
    let long =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{x: {}}}\n", "y".repeat(3_000_000));
    let list = format!(
        "{{\"apiVersion\": \"admission.k8s.io/v1\", \"kind\": \"AdmissionReview\", \"request\": {{\"object\": {}}}}}",
        "[1]"
    );
    for (text, code) in [
        ("a: [\n", 2),
        (deep.as_str(), 2),
        ("kind: AdmissionReview\n", 2),
        (list.as_str(), 2),
        ("operation: CREATE\nobject: {}\n", 2),
        ("", 2),
        (long.as_str(), 0),
        ("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: \"a\\u001b[31m\"}\nspec: 3\n", 0),
    ] {
        let run = explain(&["-f", "-"], text);
        let shown: String = text.chars().take(60).collect();
        assert_eq!(run.code, code, "{shown}: {} {}", run.stdout, run.stderr);
        assert_eq!(code == 2, run.stderr.contains("error: "), "{shown}: {}", run.stderr);
        assert!(!run.stdout.contains('\u{1b}'), "{shown}");
    }
    let run = explain(&["-f", "missing.yaml"], "");
    assert_eq!(run.code, 2);
    let run = explain(&["-f", "shop.yaml", "--format", "markdown"], "");
    assert_eq!(run.code, 2);
    assert!(fixtures().is_dir());
}
