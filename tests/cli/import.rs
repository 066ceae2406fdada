//! `seawall policy import`: what is made of Gatekeeper's and conftest's files judges as they did, and OPA's tools take it.

use crate::rig::{Run, seawall, skipped};
use std::path::{Path, PathBuf};
use std::process::Command;

const REPORT: &str = r##"imported headless-service: 2 cases, 1 of them rejected
  from ../import/gatekeeper/hosts/template.yaml and ../import/gatekeeper/hosts/constraint.yaml
imported volume-owner: 2 cases, 1 of them rejected
  from ../import/gatekeeper/owner/template.yaml and ../import/gatekeeper/owner/constraint.yaml

try it: seawall check --policies policies MANIFESTS
"##;

const OWNER: &str = r##"# METADATA
# title: "Claims name an owner"
# description: "Every claim carries the labels of who is asked before its data is removed."
# custom:
#   id: volume-owner
#   checklist: governance
#   severity: medium
#   actions: {tier-0: Warn, tier-1: Warn, tier-2: Warn, tier-3: Warn}
#   match:
#   - {"apiGroups":[""],"apiVersions":["v1"],"resources":["persistentvolumeclaims"],"operations":["CREATE","UPDATE"]}
#   parameters: {"strict":true,"labels":["example.com/owner","example.com/contact"]}
package seawall.policies.volume_owner

import data.seawall.lib.volume_owner_labels as labels

# what is asked for and not there
missing contains name if {
	name := input.seawall.parameters.labels[_]
	not labels.has(input.request.object, name)
}

violation contains {
	"msg": msg,
	"path": [],
	"found": {"missing": absent},
	"wanted": "Claims name an owner",
	"fix": "Every claim carries the labels of who is asked before its data is removed.",
} if {
	absent := missing
	count(absent) > 0
	msg := sprintf("the claim %v has no %v", [input.request.object.metadata.name, concat(", ", absent)])
}

violation contains {
	"msg": msg,
	"path": [],
	"wanted": "Claims name an owner",
	"fix": "Every claim carries the labels of who is asked before its data is removed.",
} if {
	input.seawall.parameters.strict
	value := input.request.object.metadata.labels["example.com/owner"]

	# one team, in small letters
	not regex.match("^[a-z]+$", value)
	msg := sprintf("the owner %v is no team", [value])
}
"##;

const WORKLOADS: &str = r##"# METADATA
# title: "workloads (from conftest)"
# description: "What ../import/conftest/workloads.rego asks for."
# custom:
#   id: workloads
#   checklist: governance
#   severity: medium
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   match:
#   - {"apiGroups":["apps"],"apiVersions":["v1"],"resources":["statefulsets"],"operations":["CREATE","UPDATE"]}
package seawall.policies.workloads

is_database if {
	input.request.object.metadata.labels["example.com/database"] == "true"
}

violation contains {
	"msg": msg,
	"path": [],
	"wanted": "workloads (from conftest)",
	"fix": "What ../import/conftest/workloads.rego asks for.",
} if {
	input.request.object.kind == "StatefulSet"
	is_database
	not input.request.object.spec.serviceName
	msg = sprintf("%s: name the headless Service", [input.request.object.metadata.name])
}
"##;

const LEFT_OUT: &str = r##"
not carried over:
  ../import/gatekeeper/left-out/all.yaml:15: `data.inventory` with a computed version or kind; write both out, once for each kind
  ../import/gatekeeper/left-out/all.yaml:17: `data.settings.message`; a policy reads data.cluster, data.seawall.knowledge and its libraries; make it a parameter
  ../import/gatekeeper/left-out/all.yaml:25: enforcementAction scoped; it is carried over as Audit; set `actions` of the policy by tier
  ../import/gatekeeper/left-out/all.yaml:29: `match.excludedNamespaces` is not carried over; which namespaces are enforced is said by their labels seawall.dev/mode and seawall.dev/tier
  ../import/gatekeeper/left-out/all.yaml:32: no ConstraintTemplate makes the kind NobodyMakesThis; give the template's file too
"##;

fn given(path: &str) -> String {
    format!("../import/{path}")
}

fn import(out: &Path, paths: &[&str], more: &[&str]) -> Run {
    let paths: Vec<String> = paths.iter().map(|path| given(path)).collect();
    let mut args = vec!["policy", "import", "--out", out.to_str().unwrap()];
    args.extend(paths.iter().map(String::as_str));
    args.extend_from_slice(more);
    seawall(&args, "")
}

/// The program of tests/tools, where `.ci/run` has built it.
fn opa(args: &[&str], folder: &Path) {
    let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tools/bin/opa");
    if !program.exists() {
        return skipped("the imported policies under OPA's tools: no tests/tools/bin/opa");
    }
    let output = Command::new(program).args(args).arg(folder).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "opa {args:?}: {}", String::from_utf8_lossy(&told));
}

/// The policies whose violations `check` tells, by id.
fn violated(policies: &Path, manifests: &[&str]) -> Vec<String> {
    let manifests: Vec<String> = manifests.iter().map(|path| given(path)).collect();
    let mut args = vec!["check", "--policies", policies.to_str().unwrap(), "--policies-only", "--format", "json"];
    args.extend(manifests.iter().map(String::as_str));
    let run = seawall(&args, "");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stderr));
    let mut found = Vec::new();
    ids(&report, &mut found);
    found.sort();
    found.dedup();
    found
}

fn ids(node: &serde_json::Value, found: &mut Vec<String>) {
    match node {
        serde_json::Value::Array(items) => items.iter().for_each(|item| ids(item, found)),
        serde_json::Value::Object(fields) => {
            if let (Some(policy), true) =
                (fields.get("policy").and_then(|p| p.as_str()), fields.contains_key("message"))
            {
                found.push(policy.to_owned());
            }
            fields.values().for_each(|value| ids(value, found));
        }
        _ => {}
    }
}

#[test]
fn gatekeeper_policies_judge_their_samples_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let run = import(folder.path(), &["gatekeeper/owner", "gatekeeper/hosts"], &[]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(run.stdout.replace(folder.path().to_str().unwrap(), "policies"), REPORT);
    let policy = std::fs::read_to_string(folder.path().join("seawall/policies/volume_owner/policy.rego")).unwrap();
    assert_eq!(policy, OWNER);
    let policy = std::fs::read_to_string(folder.path().join("seawall/policies/headless_service/policy.rego")).unwrap();
    assert!(policy.contains("data.cluster.services[namespace][name]"), "{policy}");
    assert!(policy.contains("- {resource: services, optional: false}"), "{policy}");
    opa(&["fmt", "--fail", "--list"], folder.path());
    opa(&["check", "--strict", "-b"], folder.path());
    let found = violated(folder.path(), &["gatekeeper/owner/samples/disallowed.yaml"]);
    assert_eq!(found, ["volume-owner"]);
    assert_eq!(violated(folder.path(), &["gatekeeper/owner/samples/allowed.yaml"]), Vec::<String>::new());
    let with = |set: &str| {
        let sample = format!("gatekeeper/hosts/samples/{set}.yaml");
        violated(folder.path(), &[&sample, "gatekeeper/hosts/samples/inventory.yaml"])
    };
    assert_eq!(with("disallowed"), ["headless-service"]);
    assert_eq!(with("allowed"), Vec::<String>::new());
    // a second time nothing is overwritten
    let again = import(folder.path(), &["gatekeeper/owner"], &[]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("is there already") && again.stderr.contains("--force"), "{}", again.stderr);
}

#[test]
fn conftest_policies_become_one_that_denies_and_one_that_warns() {
    let folder = tempfile::tempdir().unwrap();
    let samples = given("conftest/samples");
    let run = import(folder.path(), &["conftest/workloads.rego"], &["--samples", &samples]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let policy =
        |id: &str| std::fs::read_to_string(folder.path().join(format!("seawall/policies/{id}/policy.rego"))).unwrap();
    assert_eq!(policy("workloads"), WORKLOADS);
    assert!(policy("workloads_warn").contains("tier-0: Warn"), "{}", policy("workloads_warn"));
    opa(&["fmt", "--fail", "--list"], folder.path());
    opa(&["check", "--strict", "-b"], folder.path());
    assert_eq!(violated(folder.path(), &["conftest/samples/both.yaml"]), ["workloads", "workloads-warn"]);
    assert_eq!(violated(folder.path(), &["conftest/samples/good.yaml"]), Vec::<String>::new());
}

#[test]
fn what_cannot_be_carried_over_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = import(folder.path(), &["gatekeeper/left-out"], &[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert_eq!(run.stdout, LEFT_OUT);
    assert!(!folder.path().join("seawall").exists());
}

#[test]
fn a_sample_that_is_judged_otherwise_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    std::fs::create_dir_all(source.join("samples")).unwrap();
    let fixture = |name: &str| {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    for name in ["template.yaml", "constraint.yaml"] {
        std::fs::write(source.join(name), fixture(&format!("gatekeeper/owner/{name}"))).unwrap();
    }
    std::fs::write(source.join("samples/allowed.yaml"), fixture("gatekeeper/owner/samples/disallowed.yaml")).unwrap();
    let out = folder.path().join("out");
    let run = seawall(&["policy", "import", source.to_str().unwrap(), "--out", out.to_str().unwrap()], "");
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("samples/allowed.yaml:2: the sample is said to be allowed"), "{}", run.stdout);
}

#[test]
fn nothing_to_import_and_bad_flags_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let run = import(folder.path(), &["conftest/samples"], &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("nothing to import"), "{}", run.stderr);
    let run = import(folder.path(), &["conftest/workloads.rego"], &["--kind", "Pod"]);
    assert!(run.code == 2 && run.stderr.contains("write it as apps/v1/StatefulSet"), "{}", run.stderr);
}
