//! The JSON Schemas against everything that is written in their formats, and against the program's own readers: an editor that
//! validates with the schema and the program must say the same of a document.

use crate::rig::seawall;
use jsonschema::Validator;
use seawall::config::Settings;
use seawall::policy::bundle::CaseFiles;
use seawall::policy::metadata::Metadata;
use seawall::policytest::case::Case;
use seawall::policytest::cluster::ClusterRun;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The schema as a user gets it.
fn validator(name: &str) -> Validator {
    let run = seawall(&["docs", "schema", name], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&run.stdout).unwrap();
    jsonschema::draft7::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: no JSON Schema: {error}"));
    jsonschema::draft7::new(&schema).unwrap()
}

/// As editors read it: YAML 1.2, in which `off` is text.
fn yaml(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What is wrong with a document, each with its place.
fn complaints(validator: &Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn assert_fits(validator: &Validator, place: &Path, text: &str) {
    let wrong = complaints(validator, &yaml(text));
    assert!(wrong.is_empty(), "{}:\n{}", place.display(), wrong.join("\n"));
}

/// Files of this name below a folder.
fn files(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, name, found);
        } else if path.file_name().is_some_and(|n| n == name) {
            found.push(path);
        }
    }
}

#[test]
fn every_case_of_the_embedded_policies_fits() {
    for part in ["input", "context", "expected", "cluster"] {
        let validator = validator(&format!("case-{part}"));
        let mut found = Vec::new();
        files(&root().join("policies"), &format!("{part}.yaml"), &mut found);
        assert!(found.len() > 50, "{part}: only {}", found.len());
        for path in found {
            assert_fits(&validator, &path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// The YAML of a METADATA block, as docs/editor.md has it taken out.
fn block(source: &str) -> String {
    let lines = source.lines().skip_while(|line| *line != "# METADATA").skip(1);
    let body = lines.take_while(|line| line.starts_with('#'));
    body.map(|line| format!("{}\n", line.trim_start_matches('#').strip_prefix(' ').unwrap_or_default())).collect()
}

#[test]
fn every_metadata_block_fits() {
    let validator = validator("metadata");
    let mut found = Vec::new();
    files(&root().join("policies"), "policy.rego", &mut found);
    assert!(found.len() > 50);
    for path in found {
        assert_fits(&validator, &path, &block(&fs::read_to_string(&path).unwrap()));
    }
}

/// The two commands of docs/editor.md: a block becomes a file, and the file a block.
#[test]
fn metadata_goes_out_and_comes_back_as_the_page_says() {
    let page = fs::read_to_string(root().join("docs/editor.md")).unwrap();
    let commands: Vec<&str> = page.lines().filter(|line| line.starts_with("sed ")).collect();
    let [out, back] = commands[..] else { panic!("{commands:?}") };
    let source = fs::read_to_string(root().join("policies/seawall/policies/class_reclaim_retain/policy.rego")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("policy.rego"), &source).unwrap();
    let run = |command: &str| {
        let output =
            std::process::Command::new("sh").args(["-c", command]).current_dir(scratch.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(out);
    assert_eq!(fs::read_to_string(scratch.path().join("metadata.yaml")).unwrap(), block(&source));
    assert!(source.starts_with(&run(back)), "{}", run(back));
}

#[test]
fn the_configurations_that_we_show_fit() {
    let validator = validator("config");
    let shipped = root().join("deploy/base/seawall.yaml");
    assert_fits(&validator, &shipped, &fs::read_to_string(&shipped).unwrap());
    let mut shown = 0;
    for page in ["docs/modes.md", "docs/exemptions.md"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for example in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if Settings::parse(Path::new(page), example).is_ok() {
                assert_fits(&validator, Path::new(page), example);
                shown += 1;
            }
        }
    }
    assert!(shown >= 2, "the pages show {shown} configurations");
}

/// A document, an edit of it (text and what comes in its place), and whether the result is good.
type Edit<'e> = (&'e str, &'e str, bool);

/// Compares both verdicts on each edit of a document.
fn compare(name: &str, good: &str, edits: &[Edit<'_>], reads: impl Fn(&str) -> Result<(), String>) {
    let validator = validator(name);
    let mut problems = Vec::new();
    for (from, to, is_good) in [("", "", true)].iter().chain(edits) {
        assert!(good.contains(from), "{name}: {from:?} is not in the document");
        let text = good.replacen(from, to, 1);
        let wrong = complaints(&validator, &yaml(&text));
        let read = reads(&text);
        if wrong.is_empty() != *is_good || read.is_ok() != *is_good {
            problems.push(format!("{from:?} -> {to:?}: wanted good: {is_good}; schema: {wrong:?}; program: {read:?}"));
        }
    }
    assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
}

#[test]
fn configurations_are_judged_as_the_program_does() {
    const GOOD: &str = "\
defaults: {tier: tier-1, mode: audit, patch: enabled}
policies:
  class-reclaim-retain:
    actions: {tier-2: Deny}
    patch: [tier-0]
    match:
    - {apiGroups: [storage.k8s.io], apiVersions: [v1], resources: [storageclasses], operations: [CREATE]}
  mode-not-lowered:
    parameters: {groups: [platform]}
excludedNamespaces: [openebs]
operatorGroups: [databases.example.com]
breakGlassGroups: [oncall]
exemptions:
- {policies: [probes-declared], namespace: shop, resources: [statefulsets], name: db, reason: moving, until: 2026-12-31, by: ops}
limits: {maxBodyBytes: 65536, reviewMilliseconds: 50, workers: 0, sampleOneIn: 100}
knowledge: {engines: {ours: {name: Ours}}}
";
    let good = GOOD.replace("probes-declared", "class-reclaim-retain");
    let embedded = policies();
    let edits = [
        ("defaults: {tier", "default: {tier", false),
        ("mode: audit", "mode: audits", false),
        ("mode: audit, ", "", true),
        ("tier: tier-1", "tier: dev", false),
        ("patch: enabled", "patch: null", true),
        ("patch: enabled", "patch: true", false),
        ("{tier-2: Deny}", "{tier-2: deny}", false),
        ("{tier-2: Deny}", "{tier-4: Deny}", false),
        ("{tier-2: Deny}", "{}", true),
        ("patch: [tier-0]", "patch: tier-0", false),
        ("patch: [tier-0]", "patch: []", true),
        ("operations: [CREATE]", "operations: [create]", false),
        ("operations: [CREATE]", "operations: [CREATE], via: direct, registered: false", true),
        ("operations: [CREATE]", "operations: [CREATE], via: directly", false),
        ("apiVersions: [v1], ", "", false),
        ("{groups: [platform]}", "{group: [platform]}", false),
        ("{groups: [platform]}", "[]", false),
        ("[openebs]", "openebs", false),
        ("namespace: shop, ", "", true),
        ("namespace: shop, resources: [statefulsets], name: db, ", "", false),
        ("reason: moving", "reason: \"  \"", false),
        ("reason: moving, ", "", false),
        ("until: 2026-12-31", "until: 31.12.2026", false),
        ("until: 2026-12-31", "until: 2026-12-31, approver: me", false),
        ("policies: [class-reclaim-retain]", "policies: []", false),
        ("maxBodyBytes: 65536", "maxBodyBytes: 65535", false),
        ("maxBodyBytes: 65536", "maxBodyBytes: many", false),
        ("reviewMilliseconds: 50", "reviewMilliseconds: 49", false),
        ("workers: 0", "workers: -1", false),
        ("workers: 0", "workers: 1.5", false),
        ("knowledge: {", "knowledge: {anything: [1], ", true),
        ("limits:", "limit:", false),
    ];
    compare("config", &good, &edits, |text| {
        let settings = Settings::parse(Path::new("seawall.yaml"), text).map_err(|e| e.to_string())?;
        settings.validate(&embedded).map_err(|e| e.to_string())
    });
}

/// The METADATA of the embedded policies.
fn policies() -> Vec<Metadata> {
    let bundle = seawall::policy::bundle::Bundle::embedded().unwrap();
    seawall::docs::documented(&bundle).unwrap().into_iter().map(|policy| policy.metadata).collect()
}

#[test]
fn metadata_is_judged_as_the_program_does() {
    const GOOD: &str = "\
title: T
description: D
related_resources:
- {ref: https://example.com, description: more}
scope: package
authors: [{name: A}]
custom:
  id: my-policy-2
  checklist: probes
  severity: high
  actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: Off}
  patch: [tier-1]
  match:
  - {apiGroups: [''], apiVersions: [v1], resources: [services, services/status], operations: [CREATE, DELETE], via: direct}
  context:
  - {resource: services, optional: true}
  parameters: {strength: preferred}
  tierParameters: {tier-0: {strength: required}}
  guardsFinalizers: false
  exemptible: true
";
    let edits = [
        ("title: T\n", "", false),
        ("title: T\n", "titel: T\n", false),
        ("- {ref:", "- {url:", false),
        ("custom:\n", "custom:\n  owner: me\n", false),
        ("scope: package\n", "", true),
        ("my-policy-2", "My-Policy", false),
        ("my-policy-2", "my--policy", false),
        ("checklist: probes", "checklist: prober", false),
        ("severity: high", "severity: severe", false),
        ("  severity: high\n", "", false),
        (", tier-3: Off}", "}", false),
        (", tier-3: Off}", ", tier-3: Off, tier-4: Off}", false),
        ("tier-3: Off}", "tier-3: off}", false),
        ("patch: [tier-1]", "patch: [tier-5]", false),
        ("  patch: [tier-1]\n", "", true),
        ("resources: [services, services/status]", "resources: []", false),
        ("resources: [services, services/status]", "resources: ['*']", false),
        ("resources: [services, services/status], ", "", false),
        ("operations: [CREATE, DELETE]", "operations: []", false),
        ("operations: [CREATE, DELETE]", "operations: [CREATE, PATCH]", false),
        ("via: direct", "registered: false", true),
        ("via: direct", "registered: no-thanks", false),
        ("via: direct", "scope: Cluster", false),
        ("resource: services, ", "", false),
        ("resource: services", "resource: ''", false),
        ("optional: true", "optionally: true", false),
        ("{strength: preferred}", "[strength]", false),
        ("{tier-0: {strength", "{tier-9: {strength", false),
        ("exemptible: true", "exemptible: sometimes", false),
        ("guardsFinalizers", "guardFinalizers", false),
    ];
    compare("metadata", GOOD, &edits, |text| {
        let id = text.split("id: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        let comments: String = text.lines().map(|line| format!("# {line}\n")).collect();
        let source = format!("# METADATA\n{comments}package seawall.policies.{}\n", id.replace('-', "_"));
        Metadata::parse("p.rego", &source).map(|_| ()).map_err(|e| e.to_string())
    });
}

/// Reads a case of which one file is given.
fn read_case(input: &str, context: &str, expected: &str) -> Result<(), String> {
    let files = CaseFiles {
        name: "case".to_owned(),
        folder: "cases/case".to_owned(),
        input: input.to_owned(),
        context: Some(context.to_owned()),
        expected: expected.to_owned(),
    };
    Case::parse(&files).map(|_| ()).map_err(|e| e.to_string())
}

#[test]
fn inputs_are_judged_as_the_program_does() {
    let reads = |text: &str| read_case(text, "{}", "{}");
    let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: db}\nspec: {}\n";
    compare(
        "case-input",
        manifest,
        &[
            ("apiVersion: v1\n", "", false),
            ("kind: Service\n", "", false),
            ("kind: Service", "kind: [Service]", false),
            ("metadata: {name: db}\n", "", true),
            ("spec: {}", "operation: CREATE", true),
        ],
        reads,
    );
    let short = "\
operation: UPDATE
object: {apiVersion: v1, kind: Service}
oldObject: {apiVersion: v1, kind: Service}
user: somebody
groups: [developers]
subResource: status
dryRun: true
options: {kind: UpdateOptions}
";
    compare(
        "case-input",
        short,
        &[
            ("operation: UPDATE", "operation: DELETE", true),
            ("operation: UPDATE", "operation: Update", false),
            ("user: somebody", "username: somebody", false),
            ("groups: [developers]", "groups: developers", false),
            ("dryRun: true", "dryRun: maybe", false),
            ("object: {apiVersion: v1, kind: Service}\nold", "old", false),
            ("oldObject: {apiVersion: v1, kind: Service}\n", "", false),
            ("object: {apiVersion: v1, kind: Service}\nold", "object: text\nold", false),
            ("object: {apiVersion: v1, kind: Service}\nold", "object: {kind: Service}\nold", false),
            ("options: {kind: UpdateOptions}\n", "", true),
        ],
        reads,
    );
    compare(
        "case-input",
        "operation: DELETE\noldObject: {apiVersion: v1, kind: Service}\n",
        &[("oldObject: {apiVersion: v1, kind: Service}\n", "", false), ("DELETE", "CREATE", false)],
        reads,
    );
    let review = "\
apiVersion: admission.k8s.io/v1
kind: AdmissionReview
request:
  uid: u
  kind: {group: apps, version: v1, kind: StatefulSet}
  resource: {group: apps, version: v1, resource: statefulsets}
  operation: CREATE
  object: {}
";
    compare(
        "case-input",
        review,
        &[
            ("  uid: u\n", "", false),
            ("uid: u", "uid: ''", false),
            ("operation: CREATE", "operation: PATCH", false),
            ("  object: {}\n", "", false),
            ("version: v1, kind", "kind", false),
            ("version: v1, resource", "resource", false),
            ("request:\n  uid: u", "requests:\n  uid: u", false),
            ("  object: {}\n", "  object: {}\n  whatever: 1\n", true),
        ],
        reads,
    );
}

#[test]
fn contexts_and_expectations_are_judged_as_the_program_does() {
    let input = "apiVersion: v1\nkind: Service\n";
    let context = "\
tier: tier-0
now: 2026-01-15T12:00:00Z
parameters: {days: 3}
objects:
- {apiVersion: v1, kind: Service, metadata: {name: db}, spec: {}}
unsynced: [storageclasses]
";
    compare(
        "case-context",
        context,
        &[
            ("tier: tier-0", "tier: 0", false),
            ("tier: tier-0\n", "", true),
            ("tier: tier-0", "mode: enforce", false),
            ("now: 2026-01-15T12:00:00Z", "now: yesterday", false),
            ("{days: 3}", "[days]", false),
            ("- {apiVersion: v1, kind: Service", "- {apiVersion: v1", false),
            ("- {apiVersion: v1, kind", "- {kind", false),
            ("[storageclasses]", "storageclasses", false),
        ],
        |text| read_case(input, text, "{}"),
    );
    let expected = "\
violations:
- {path: /spec/replicas, msg: too few, found: 1, wanted: {at: least 3}, fix: 'replicas: 3'}
patched: {apiVersion: v1}
unknown: false
";
    compare(
        "case-expected",
        expected,
        &[
            ("violations:", "violation:", false),
            ("path: /spec/replicas, ", "", false),
            ("msg: too few", "message: too few", false),
            ("found: 1", "found: [1, {a: b}]", true),
            ("unknown: false", "unknown: perhaps", false),
            ("patched: {apiVersion: v1}\n", "", true),
            ("- {path", "  {path", false),
        ],
        |text| read_case(input, "{}", text),
    );
    let cluster = "- {act: Deny, tier: tier-1}\n- {act: Audit, tier: tier-3, custom: true, crd: kafkas.yaml}\n";
    compare(
        "case-cluster",
        cluster,
        &[
            ("- {act: Deny, tier: tier-1}\n", "", true),
            ("act: Deny", "act: deny", false),
            ("tier: tier-1", "tier: one", false),
            (", tier: tier-1", "", false),
            ("custom: true", "customs: true", false),
        ],
        |text| {
            let runs = match yaml(text) {
                Value::Array(runs) => runs,
                run => vec![run],
            };
            runs.into_iter()
                .try_for_each(|run| serde_json::from_value::<ClusterRun>(run).map(|_| ()).map_err(|e| e.to_string()))
        },
    );
}

#[test]
fn a_schema_can_know_the_policies_of_a_folder() {
    let run = seawall(&["docs", "schema", "config", "--policies", "policies", "--policies-only"], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&run.stdout).unwrap();
    let known: Vec<&String> = schema["properties"]["policies"]["properties"].as_object().unwrap().keys().collect();
    assert!(!known.is_empty() && !known.iter().any(|id| *id == "class-reclaim-retain"), "{known:?}");
    let run = seawall(&["docs", "schema", "configuration"], "");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("case-input"), "{}", run.stderr);
}
