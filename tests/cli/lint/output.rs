//! What a person and a program read, from the real binary.

use assert_cmd::Command;
use std::path::Path;

fn run(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .env_clear()
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lint"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_person_reads_place_line_fix_and_page() {
    let (code, stdout, stderr) = run(&["lint", "many"]);
    assert_eq!((code, stderr.as_str()), (1, ""));
    insta::assert_snapshot!("many", stdout);
}

#[test]
fn programs_read_json_sarif_and_annotations() {
    let (code, stdout, _) = run(&["lint", "many", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &json["schemaVersion"]), (1, &1.into()));
    let codes: Vec<&str> = json["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"metadata/unknown-key") && codes.contains(&"rego/builtin"), "{codes:?}");
    assert_eq!(
        json["summary"]["errors"].as_u64().unwrap() + json["summary"]["warnings"].as_u64().unwrap(),
        codes.len() as u64
    );

    let (_, stdout, _) = run(&["lint", "many", "--format", "sarif"]);
    let sarif: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    let run_of = &sarif["runs"][0];
    assert_eq!(run_of["results"].as_array().unwrap().len(), codes.len());
    for result in run_of["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(run_of["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"];
        assert!(location["artifactLocation"]["uri"].as_str().unwrap().starts_with("many/"), "{location}");
    }
    let (_, stdout, _) = run(&["lint", "many", "--format", "github"]);
    let commands =
        stdout.lines().filter(|l| l.starts_with("::error file=many/") || l.starts_with("::warning file=many/"));
    assert_eq!(commands.count(), codes.len());
}

#[test]
fn levels_decide_the_exit_code() {
    assert_eq!(run(&["lint", "warning", "--format", "json"]).0, 0);
    assert_eq!(run(&["lint", "warning", "--strict"]).0, 1);
    assert_eq!(run(&["lint", "warning", "--deny", "rego/unused-rule"]).0, 1);
    assert_eq!(run(&["lint", "warning", "--deny", "rego", "--max-level", "warning"]).0, 0);
    assert_eq!(
        run(&["lint", "warning", "--strict", "--allow", "rego", "--allow", "cases", "--allow", "metadata"]).0,
        0
    );
    assert_eq!(run(&["lint", "many", "--max-level", "warning"]).0, 0);
}

#[test]
fn what_cannot_run_says_why() {
    let (code, _, stderr) = run(&["lint", "nowhere"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("cannot read nowhere"), "{stderr}");
    let (code, _, stderr) = run(&["lint", "many", "--deny", "rego/builtins"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean \"rego/builtin\"?"), "{stderr}");
    let (code, _, stderr) = run(&["lint", "--explain", "rego/bultin"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("did you mean \"rego/builtin\"?"), "{stderr}");
    let (code, _, stderr) = run(&["lint", "empty"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("no .rego file"), "{stderr}");
}

#[test]
fn a_page_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/lint/engine/division.md");
    let (code, stdout, _) = run(&["lint", "--explain", "engine/division"]);
    assert_eq!((code, stdout), (0, std::fs::read_to_string(page).unwrap()));
    assert!(run(&["lint", "--explain", "all"]).1.contains("rego/unused-rule"));
}

#[test]
fn an_extension_may_call_the_embedded_library() {
    let (code, stdout, stderr) = run(&["lint", "extension", "--strict"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert_eq!(stdout, "1 policy and 0 modules of the library: 0 errors, 0 warnings\n");
}
