//! `seawall policy new`: what is made works at once, in Seawall and in OPA.

use crate::rig::{Run, seawall, skipped};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn new(folder: &Path, args: &[&str]) -> Run {
    let mut all = vec!["policy", "new", "--folder", folder.to_str().unwrap()];
    all.extend_from_slice(args);
    seawall(&all, "")
}

/// The policies that are tried: every form that the templates have.
const FORMS: &[&[&str]] = &[
    &["plain"],
    &["with-patch", "--patch", "--title", "Claims: \"who\" owns them?", "--resource", "persistentvolumeclaims"],
    &["several", "--resource", "storageclasses,services", "--resource", "namespaces", "--patch"],
    &["of-pods", "--resource", "pods", "--patch"],
    &["on-deletion", "--operations", "DELETE", "--actions", "Warn"],
    &["on-everything", "--operations", "create,update,delete", "--patch", "--severity", "high"],
    &["on-update", "--operations", "UPDATE", "--resource", "cronjobs"],
    &[
        "custom",
        "--resource",
        "backups.velero.io/v1",
        "--resource",
        "sheep.example.com/v1=Sheep",
        "--checklist",
        "rpo-rto",
    ],
];

fn made() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for args in FORMS {
        let run = new(folder.path(), args);
        assert_eq!(run.code, 0, "{args:?}: {}", run.stderr);
    }
    folder
}

#[test]
fn what_is_made_passes_its_cases_on_both_engines() {
    let folder = made();
    let bundle = seawall::policy::bundle::Bundle::read(folder.path()).unwrap();
    let set = seawall::policy::store::PolicySet::build(&bundle, &seawall::config::Settings::default()).unwrap();
    let (count, failures) = seawall::policytest::run_all(&bundle, &set);
    assert_eq!(failures, []);
    assert!(count >= 2 * FORMS.len(), "{count}");
    for policy in set.policies() {
        assert!(policy.unit.is_compiled(), "{}: {:?}", policy.id(), policy.unit.interpreted_because);
    }
    let check = ["check", "--policies", folder.path().to_str().unwrap(), "--policies-only", "-"];
    let run = seawall(
        &check,
        "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: b}\nspec: {ports: [{port: 1}]}\n",
    );
    assert!(run.stdout.contains("[several]"), "{}{}", run.stdout, run.stderr);
}

#[test]
fn opa_tests_checks_and_formats_what_is_made() {
    let Some(opa) = opa() else { return };
    let folder = made();
    for args in [&["test", "-b"][..], &["check", "--strict", "-b"], &["fmt", "--fail", "--diff"]] {
        let output = Command::new(&opa).args(args).arg(folder.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "opa {args:?}:\n{text}");
    }
}

#[test]
fn it_says_what_it_made_and_what_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let run = new(folder.path(), &["owner-label"]);
    let shown = |text: &str| text.replace(folder.path().to_str().unwrap(), "policies");
    insta::assert_snapshot!(shown(&run.stderr), @"not given, so taken: --resource statefulsets --operations CREATE,UPDATE --checklist governance --severity medium --actions Deny,Warn,Warn,Audit --title 'StatefulSet must name an owner'");
    insta::assert_snapshot!(shown(&run.stdout), @r#"
    policies/seawall/policies/owner_label
      policy.rego        METADATA and the rules: change these
      policy_test.rego   tests of the rules
      README.md          the page for the person whose object is rejected
      cases/             2 objects with the verdicts expected

    It works as it is. Next:
      seawall test policies --run owner-label
      seawall check --policies policies --policies-only policies/seawall/policies/owner_label/cases/without_owner/input.yaml
      opa test -b policies
    "#);
    let policy = folder.path().join("seawall/policies/owner_label/policy.rego");
    insta::assert_snapshot!(fs::read_to_string(policy).unwrap(), @r#"
    # METADATA
    # title: StatefulSet must name an owner
    # description: >-
    #   Say in one or two sentences what is asked for, and what happens to the data without it. This policy asks for a label
    #   that names an owner, as an example that works.
    # related_resources:
    # - ref: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    # custom:
    #   id: owner-label
    #   checklist: governance
    #   severity: medium
    #   actions: {tier-0: Deny, tier-1: Warn, tier-2: Warn, tier-3: Audit}
    #   match:
    #   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
    package seawall.policies.owner_label

    # Next: put your own condition in the place of lacks_owner, then your own words in the place of msg, wanted and fix, and make a
    # case for each thing that it should find and each that it should leave alone.
    # What a policy sees and may use: docs/policy-format.md of Seawall.
    label := "example.com/owner"

    # One member for each thing that is wrong. `path` leads to the field, as keys and indices; `found` may be left out.
    violation contains {
    	"msg": msg,
    	"path": ["metadata", "labels", label],
    	"wanted": "the name of the team that answers for it",
    	"fix": fix,
    } if {
    	lacks_owner
    	msg := sprintf("the label %s is missing or empty: nobody knows whom to ask when the data is at risk", [label])
    	fix := sprintf("add to metadata.labels: %s: my-team", [label])
    }

    lacks_owner if {
    	is_object(judged)
    	not has_owner
    }

    # An absent field is the API's default: nothing is filled in before policies run.
    has_owner if {
    	owner := judged.metadata.labels[label]
    	is_string(owner)
    	owner != ""
    }

    judged := input.request.object
    "#);
}

#[test]
fn the_commands_that_it_prints_work() {
    let folder = tempfile::tempdir().unwrap();
    let run = new(folder.path(), &["owner-label"]);
    let check = run.stdout.lines().find(|line| line.trim_start().starts_with("seawall check")).unwrap();
    let args: Vec<&str> = check.split_whitespace().skip(1).collect();
    let run = seawall(&args, "");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("[owner-label]") && run.stdout.contains("example.com/owner"), "{}", run.stdout);
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(new(folder.path(), &["owner-label"]).code, 0);
    let file = folder.path().join("seawall/policies/owner_label/policy.rego");
    fs::write(&file, fs::read_to_string(&file).unwrap() + "\n# mine\n").unwrap();
    let run = new(folder.path(), &["owner-label", "--patch"]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("is there already, and nothing is overwritten"), "{}", run.stderr);
    assert!(fs::read_to_string(&file).unwrap().ends_with("# mine\n"));
    // the same policy in another place of the folder
    let elsewhere = folder.path().join("mine");
    fs::create_dir(&elsewhere).unwrap();
    fs::rename(&file, elsewhere.join("policy.rego")).unwrap();
    fs::remove_dir_all(folder.path().join("seawall/policies/owner_label")).unwrap();
    let run = new(folder.path(), &["owner-label"]);
    assert!(
        run.code == 2 && run.stderr.contains("mine/policy.rego is the policy owner-label already"),
        "{}",
        run.stderr
    );
    // nothing half-made is left behind
    let left: Vec<PathBuf> =
        fs::read_dir(folder.path().join("seawall/policies")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn wrong_ids_and_flags_are_explained_together() {
    let folder = tempfile::tempdir().unwrap();
    let run = new(folder.path(), &["Owner_Label", "--resource", "statefulset", "--severity", "hihg"]);
    assert_eq!(run.code, 2);
    insta::assert_snapshot!(run.stderr, @r#"
    seawall: "Owner_Label" is no id: wanted words of lower-case letters and digits, joined by -; did you mean "owner-label"?
    --resource: no resource "statefulset" is known; did you mean "statefulsets"?; a custom one is written with group and version, backups.velero.io/v1
    --severity: "hihg" is not a severity; wanted one of critical, high, medium, low; did you mean "high"?
    "#);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let run = new(folder.path(), &["class-reclaim-retain"]);
    insta::assert_snapshot!(run.stderr, @"seawall: class-reclaim-retain is a policy of Seawall's own, which yours would replace; choose another id (to change its actions, parameters or match, use the configuration: policies.class-reclaim-retain)");
}

/// The real OPA of tests/tools, built where it is not there yet.
fn opa() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let program = tools.join("bin/opa");
    if program.exists() {
        return Some(program);
    }
    let build = ["build", "-trimpath", "-o", "bin/opa", "github.com/open-policy-agent/opa"];
    match Command::new("go").args(build).current_dir(&tools).status() {
        Ok(status) => {
            assert!(status.success(), "opa does not build");
            Some(program)
        }
        Err(error) if std::env::var("SEAWALL_CLUSTER_TESTS").as_deref() == Ok("require") => {
            panic!("opa needs Go to be built: {error}")
        }
        Err(error) => {
            skipped(&format!("opa on new policies: it needs Go to be built ({error})"));
            None
        }
    }
}
