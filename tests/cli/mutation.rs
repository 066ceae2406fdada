//! `seawall test --mutate` on a policy of which it is known what its tests notice.

use crate::rig::{Run, seawall};
use std::fs;
use std::path::Path;

const FOLDER: &str = "../mutation";

fn mutate(folder: &str, args: &[&str]) -> Run {
    let mut all = vec!["test", folder, "--mutate"];
    all.extend_from_slice(args);
    seawall(&all, "")
}

/// A copy of the fixture, with one file changed.
fn changed(file: &str, from: &str, to: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mutation");
    copy(&source, folder.path());
    let file = folder.path().join("seawall/policies/replicas").join(file);
    let text = fs::read_to_string(&file).unwrap_or_default();
    assert!(text.contains(from), "{text}");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, if from.is_empty() { text + to } else { text.replace(from, to) }).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name))
        } else {
            _ = fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn what_nothing_notices_is_shown_with_its_place() {
    let run = mutate(FOLDER, &["--mutation-threshold", "80"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{}", run.stdout);
    insta::assert_snapshot!(run.stdout, @r#"
    ../mutation/seawall/policies/replicas/policy.rego:15: replicas: nothing notices this change of violation
      was:     found < 2
      becomes: found <= 2

    A case or test for each of them would fail with the change. What nothing can notice belongs into mutants.yaml
    beside the policy, with a reason (docs/mutation.md).

    13 changes of 1 policies: 11 noticed (84.6 %), 1 not, with a reason, 1 not, without one; 0 more do not load
    "#);
}

#[test]
fn a_case_that_notices_it_makes_it_clean() {
    let folder = changed("cases/two/expected.yaml", "", "violations: []\n");
    let two = folder.path().join("seawall/policies/replicas/cases/two/input.yaml");
    let three = fs::read_to_string(two.with_file_name("../three/input.yaml")).unwrap();
    fs::write(two, three.replace("replicas: 3", "replicas: 2")).unwrap();
    let run = mutate(folder.path().to_str().unwrap(), &[]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let run = mutate(folder.path().to_str().unwrap(), &["--mutation-threshold", "100"]);
    assert_eq!((run.code, run.stderr.as_str()), (1, "fewer than 100 % of the changes are noticed\n"));
}

#[test]
fn a_test_rule_notices_as_well_as_a_case() {
    let folder = changed("policy_test.rego", "\"kept\"", "\"scratch\"");
    let failing = mutate(folder.path().to_str().unwrap(), &[]);
    assert!(
        failing.code == 2 && failing.stderr.contains("test_data_that_is_kept fails as it is"),
        "{}",
        failing.stderr
    );
    fs::remove_file(folder.path().join("seawall/policies/replicas/policy_test.rego")).unwrap();
    let run = mutate(folder.path().to_str().unwrap(), &[]);
    assert_eq!(run.code, 1);
    assert!(run.stdout.contains("was:     data_class == \"scratch\"\n  becomes: true"), "{}", run.stdout);
}

#[test]
fn a_list_of_reasons_stays_true() {
    let folder = changed(
        "mutants.yaml",
        "",
        "- {rule: violation, was: not is_scratch, becomes: 'true', reason: r}\n- {rule: violation, was: found < 2, becomes: found <= 2, reason: r}\n",
    );
    let run = mutate(folder.path().to_str().unwrap(), &[]);
    assert_eq!(run.code, 2);
    let shown = run.stderr.replace(folder.path().to_str().unwrap(), "policies");
    insta::assert_snapshot!(shown, @"error: replicas: policies/seawall/policies/replicas/mutants.yaml: violation: not is_scratch => true: some case or test notices it now; remove the entry");
}
