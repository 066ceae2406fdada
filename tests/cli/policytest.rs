//! `seawall test`, as the author of a policy uses it.

use crate::rig::{Run, binary};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/policytest")
}

fn test_in(folder: &Path, args: &[&str]) -> Run {
    let output = binary().current_dir(folder).arg("test").args(args).output().unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: steady(&String::from_utf8(output.stdout).unwrap()),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn test(args: &[&str]) -> Run {
    test_in(&fixtures(), args)
}

/// The text without how long it took.
fn steady(text: &str) -> String {
    let line = |line: &str| match (line.find(", in "), line.find(" with ")) {
        (Some(from), Some(to)) if to > from => format!("{}, in … s{}", &line[..from], &line[to..]),
        _ => line.to_owned(),
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

/// A copy of a fixture that can be changed.
fn copy(name: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.path().is_dir() {
                copy(&entry.path(), &to)
            } else {
                drop(std::fs::copy(entry.path(), to).unwrap())
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&fixtures().join(name), &folder.path().join(name));
    folder
}

#[test]
fn what_passes_is_one_line() {
    let run = test(&["green", "--jobs", "1"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn verbose_lists_each() {
    let run = test(&["green/class_owner", "--jobs", "1", "-v"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!(run.code, 0);
}

#[test]
fn a_failure_says_what_where_and_why() {
    let run = test(&["red", "--jobs", "2"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn everything_that_is_broken_is_told_at_once_and_the_rest_runs() {
    let run = test(&["broken", "--jobs", "1"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!((run.code, run.stderr.as_str()), (2, ""));
}

#[test]
fn a_pattern_chooses_by_name_policy_and_path() {
    let names = |pattern: &str| {
        let run = test(&["red", "-v", "--run", pattern]);
        let rows = run.stdout.lines().filter(|l| ["pass ", "FAIL ", "skip "].iter().any(|w| l.starts_with(w)));
        rows.map(|l| l.split_whitespace().nth(2).unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("test_teams"), "test_teams");
    assert_eq!(names("^data.seawall.policies.class_owner_test.test_a"), "test_a_team_is_fine");
    assert_eq!(names("cases/no-"), "cases/no-owner");
    assert_eq!(names("^class-owner/cases"), "cases/no-owner cases/owner cases/personal");
    let nothing = test(&["red", "--run", "no such name"]);
    assert_eq!(nothing.code, 2);
    insta::assert_snapshot!(nothing.stderr, @"");
}

#[test]
fn coverage_names_lines_and_a_threshold_fails() {
    let run = test(&["green", "--jobs", "1", "--coverage"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!(run.code, 0);
    let run = test(&["green", "--jobs", "1", "--coverage-threshold", "99"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!(run.code, 1);
    assert_eq!(test(&["green", "--coverage-threshold", "10"]).code, 0);
    assert_eq!(test(&["green", "--coverage-threshold", "110"]).code, 2);
}

#[test]
fn update_shows_and_rewrites_and_keeps_the_head() {
    let folder = copy("red");
    let run = test_in(folder.path(), &["red", "--update", "--run", "cases", "--jobs", "1"]);
    insta::assert_snapshot!(run.stdout, @"");
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(folder.path().join("red/class_owner/cases/no-owner/expected.yaml")).unwrap();
    insta::assert_snapshot!(text, @"");
    let again = test_in(folder.path(), &["red", "--run", "cases"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
    // tests are not rewritten, so they still fail
    assert_eq!(test_in(folder.path(), &["red", "--update"]).code, 1);
    let embedded = test(&["--update"]);
    assert_eq!(embedded.code, 2);
    insta::assert_snapshot!(embedded.stderr, @"");
}

#[test]
fn json_and_junit_say_the_same() {
    let run = test(&["red", "--format", "json"]);
    assert_eq!(run.code, 1);
    let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(json["schemaVersion"], 1);
    let summary = &json["summary"];
    assert_eq!(
        ["policies", "cases", "tests", "passed", "failed", "skipped", "errors"]
            .map(|key| summary[key].as_u64().unwrap()),
        [1, 3, 4, 3, 4, 1, 0]
    );
    let failed = json["results"].as_array().unwrap().iter().filter(|row| row["result"] == "failed");
    let names: Vec<&str> = failed.map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cases/no-owner", "cases/personal", "test_personal", "test_teams"]);

    let run = test(&["red", "--format", "junit"]);
    assert_eq!(run.code, 1);
    let timeless: String = run
        .stdout
        .split("time=\"")
        .enumerate()
        .map(|(n, part)| if n == 0 { part.to_owned() } else { format!("time=\"…{}", &part[part.find('"').unwrap()..]) })
        .collect();
    insta::assert_snapshot!(timeless, @"");
}

#[test]
fn what_the_server_would_load_is_tested_without_a_path() {
    let run = test(&["--policies", "green", "--run", "^class-owner/"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("2 cases and 3 tests of 73 policies: 5 passed"), "{}", run.stdout);
    let missing = test(&["no-such-folder"]);
    assert_eq!(missing.code, 2);
    insta::assert_snapshot!(missing.stderr, @"");
}

/// The policies of this repository, by their folder: a policy in it is found with the library beside it.
#[test]
fn one_policy_of_a_bundle_is_tested_with_its_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = test_in(root, &["policies/seawall/policies/class_reclaim_retain"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("of 1 policy"), "{}", run.stdout);
    insta::assert_snapshot!(run.stderr, @"");
}

#[test]
fn a_change_is_noticed_while_it_watches() {
    let folder = copy("green");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(["test", "green", "--watch"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut summary = || {
        let line = lines.find(|line| line.as_ref().is_ok_and(|l| l.contains(" passed"))).unwrap().unwrap();
        // it looks for changes from now on
        assert!(told.next().unwrap().unwrap().starts_with("waiting for a change"));
        line
    };
    assert!(summary().starts_with("ok: 2 cases and 3 tests"));
    let expected = folder.path().join("green/class_owner/cases/owner/expected.yaml");
    std::fs::write(expected, "violations: [{path: /a}]\n").unwrap();
    assert!(summary().starts_with("FAILED: 2 cases and 3 tests"));
    child.kill().unwrap();
    let _ = child.wait();
    let mut rest = String::new();
    let _ = child.stdout.take().map(|mut out| out.read_to_string(&mut rest));
    assert_eq!(test(&["--watch"]).code, 2, "nothing to watch");
}
