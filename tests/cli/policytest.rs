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
                assert!(std::fs::copy(entry.path(), to).is_ok())
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
    insta::assert_snapshot!(run.stdout, @r#"
    ok: 2 cases and 3 tests of 1 policy: 5 passed, in … s with 1 thread
    both engines answered 3, the interpreter alone 2 (2: it uses `with`)
    "#);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
}

#[test]
fn verbose_lists_each() {
    let run = test(&["green/class_owner", "--jobs", "1", "-v"]);
    insta::assert_snapshot!(run.stdout, @r#"
    pass class-owner cases/no-owner
    pass class-owner cases/owner
    pass class-owner test_a_team_is_fine (interpreter alone)
    pass class-owner test_nobody_is_found (interpreter alone)
    pass class-owner test_teams

    ok: 2 cases and 3 tests of 1 policy: 5 passed, in … s with 1 thread
    both engines answered 3, the interpreter alone 2 (2: it uses `with`)
    "#);
    assert_eq!(run.code, 0);
}

#[test]
fn a_failure_says_what_where_and_why() {
    let run = test(&["red", "--jobs", "2"]);
    insta::assert_snapshot!(run.stdout, @r#"
    FAIL class-owner cases/no-owner
      red/class_owner/cases/no-owner/expected.yaml: it is not as expected (- expected, + found)
          violations:
          - path: /metadata/labels/owner
        -   found: nobody
        +   found: ""
            msg: nobody knows
        - - path: /provisioner
        -   msg: not seen at all
    FAIL class-owner cases/personal
      red/class_owner/cases/personal/expected.yaml: it is not as expected (- expected, + found)
        - violations: []
        + violations:
        + - path: /metadata/name
        +   msg: a class in the name of a person
    FAIL class-owner test_personal
      red/class_owner/policy_test.rego:14: it is undefined: a statement of it does not hold; wanted true
      it went no further than line 19: violation.wanted == "another"
      printed red/class_owner/policy_test.rego:17: violations 2
    FAIL class-owner test_teams
      red/class_owner/policy_test.rego:23: it is []; wanted true
    skip class-owner todo_test_upper_case (red/class_owner/policy_test.rego:25)

    FAILED: 3 cases and 4 tests of 1 policy: 3 passed, 4 failed, 1 skipped, in … s with 2 threads
    both engines answered 4, the interpreter alone 3 (3: it uses `with`)
    "#);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}

#[test]
fn everything_that_is_broken_is_told_at_once_and_the_rest_runs() {
    let run = test(&["broken", "--jobs", "1"]);
    insta::assert_snapshot!(run.stdout, @r#"
    ERROR class-owner cases/typo
      broken/class_owner/cases/typo/expected.yaml:3: unknown field `mesage`, expected one of path, msg, found, wanted, fix
    FAIL class-untested
      broken/class_untested/policy.rego: no case and no test: add cases/<name>/input.yaml and expected.yaml beside it
    ERROR broken/class_owner/cases/half: the case has no expected.yaml; add it, or remove the folder
    ERROR broken/stray/cases: its cases are not run: there is no policy.rego beside it; a policy with cases is a file of that name
    ERROR broken/class_owner/policy_test.rego:4:1: expecting expression; correct it there, `opa check` tells more
    ERROR broken/class_refused/policy.rego:14:2: walk is not a permitted builtin; name the fields, or use a comprehension over lists of known depth
    ERROR broken/class_syntax/policy.rego:15:1: expecting expression; correct it there, `opa check` tells more

    FAILED: 3 cases and 0 tests of 4 policies: 2 passed, 1 failed, 6 could not be run, in … s with 1 thread
    "#);
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
    insta::assert_snapshot!(nothing.stderr, @r#"seawall: no case and no test matches "no such name"; --verbose lists their names"#);
}

#[test]
fn coverage_names_lines_and_a_threshold_fails() {
    let run = test(&["green", "--jobs", "1", "--coverage"]);
    insta::assert_snapshot!(run.stdout, @r#"
    coverage: 66.6 % of 15 lines
      green/class_owner/policy.rego: 66.6 %, not evaluated: 26-30

    ok: 2 cases and 3 tests of 1 policy: 5 passed, in … s with 1 thread
    both engines answered 3, the interpreter alone 2 (2: it uses `with`)
    "#);
    assert_eq!(run.code, 0);
    let run = test(&["green", "--jobs", "1", "--coverage-threshold", "99"]);
    insta::assert_snapshot!(run.stdout, @r#"
    coverage: 66.6 % of 15 lines
      green/class_owner/policy.rego: 66.6 %, not evaluated: 26-30
    FAIL less than 99 % is covered of
      green/class_owner/policy.rego: 66.6 %

    ok: 2 cases and 3 tests of 1 policy: 5 passed, in … s with 1 thread
    both engines answered 3, the interpreter alone 2 (2: it uses `with`)
    "#);
    assert_eq!(run.code, 1);
    assert_eq!(test(&["green", "--coverage-threshold", "10"]).code, 0);
    assert_eq!(test(&["green", "--coverage-threshold", "110"]).code, 2);
}

#[test]
fn update_shows_and_rewrites_and_keeps_the_head() {
    let folder = copy("red");
    let run = test_in(folder.path(), &["red", "--update", "--run", "cases", "--jobs", "1"]);
    insta::assert_snapshot!(run.stdout, @r#"
    FAIL class-owner cases/no-owner
      red/class_owner/cases/no-owner/expected.yaml: it is not as expected (- expected, + found)
          violations:
          - path: /metadata/labels/owner
        -   found: nobody
        +   found: ""
            msg: nobody knows
        - - path: /provisioner
        -   msg: not seen at all
    FAIL class-owner cases/personal
      red/class_owner/cases/personal/expected.yaml: it is not as expected (- expected, + found)
        - violations: []
        + violations:
        + - path: /metadata/name
        +   msg: a class in the name of a person

    FAILED: 3 cases and 0 tests of 1 policy: 1 passed, 2 failed, in … s with 1 thread
    --- red/class_owner/cases/no-owner/expected.yaml
    +++ red/class_owner/cases/no-owner/expected.yaml
      
      violations:
      - path: /metadata/labels/owner
    -   found: nobody
    +   found: ""
        msg: nobody knows
    - - path: /provisioner
    -   msg: not seen at all
    updated red/class_owner/cases/no-owner/expected.yaml

    --- red/class_owner/cases/personal/expected.yaml
    +++ red/class_owner/cases/personal/expected.yaml
    - violations: []
    + violations:
    + - path: /metadata/name
    +   msg: a class in the name of a person
    updated red/class_owner/cases/personal/expected.yaml

    2 files rewritten; run the tests again
    "#);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let text = std::fs::read_to_string(folder.path().join("red/class_owner/cases/no-owner/expected.yaml")).unwrap();
    insta::assert_snapshot!(text, @r#"
    # A class that nobody owns.
    # The text is what the platform's page says.

    violations:
    - path: /metadata/labels/owner
      found: ""
      msg: nobody knows
    "#);
    let again = test_in(folder.path(), &["red", "--run", "cases"]);
    assert_eq!(again.code, 0, "{}", again.stdout);
    // tests are not rewritten, so they still fail
    assert_eq!(test_in(folder.path(), &["red", "--update"]).code, 1);
    let embedded = test(&["--update"]);
    assert_eq!(embedded.code, 2);
    insta::assert_snapshot!(embedded.stderr, @r#"seawall: --update rewrites files, and the embedded policies have none; name their folder: seawall test PATH --update"#);
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
    insta::assert_snapshot!(timeless, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="seawall test" tests="8" failures="4" errors="0" time="…">
      <testsuite name="class-owner" tests="8" failures="4" errors="0" skipped="1" time="…">
        <testcase name="cases/no-owner" classname="class-owner" time="…"><failure type="failure" message="it is not as expected (- expected, + found)">red/class_owner/cases/no-owner/expected.yaml
    it is not as expected (- expected, + found)
      violations:
      - path: /metadata/labels/owner
    -   found: nobody
    +   found: &quot;&quot;
        msg: nobody knows
    - - path: /provisioner
    -   msg: not seen at all</failure></testcase>
        <testcase name="cases/owner" classname="class-owner" time="…"/>
        <testcase name="cases/personal" classname="class-owner" time="…"><failure type="failure" message="it is not as expected (- expected, + found)">red/class_owner/cases/personal/expected.yaml
    it is not as expected (- expected, + found)
    - violations: []
    + violations:
    + - path: /metadata/name
    +   msg: a class in the name of a person</failure></testcase>
        <testcase name="test_a_team_is_fine" classname="class-owner" time="…"/>
        <testcase name="test_nobody_is_found" classname="class-owner" time="…"/>
        <testcase name="test_personal" classname="class-owner" time="…"><failure type="failure" message="it is undefined: a statement of it does not hold; wanted true">red/class_owner/policy_test.rego:14
    it is undefined: a statement of it does not hold; wanted true
    it went no further than line 19: violation.wanted == &quot;another&quot;
    printed red/class_owner/policy_test.rego:17: violations 2</failure></testcase>
        <testcase name="test_teams" classname="class-owner" time="…"><failure type="failure" message="it is []; wanted true">red/class_owner/policy_test.rego:23
    it is []; wanted true</failure></testcase>
        <testcase name="todo_test_upper_case" classname="class-owner" time="…"><skipped/></testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn a_path_extends_what_the_server_would_load() {
    let run = test(&["green/class_owner", "--policies", "red"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("2 cases and 3 tests of 1 policy: 5 passed"), "{}", run.stdout);
    let missing = test(&["no-such-folder"]);
    assert_eq!(missing.code, 2);
    insta::assert_snapshot!(missing.stderr, @"seawall: no-such-folder: no such folder; wanted a folder with .rego files");
}

/// The policies of this repository, by their folder: a policy in it is found with the library beside it.
#[test]
fn one_policy_of_a_bundle_is_tested_with_its_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let run = test_in(root, &["policies/seawall/policies/class_reclaim_retain"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("of 1 policy"), "{}", run.stdout);
    insta::assert_snapshot!(run.stderr, @r#"note: policies brings the library along, so it stands for itself, as with --policies-only"#);
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
