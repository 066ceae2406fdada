//! `docs/pipelines.md` and `.pre-commit-hooks.yaml` as they are written: every command is run, with the real Helm and kustomize.

use crate::rig::skipped;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The fixtures, copied: commands write files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = root().join("tests/fixtures/pipeline");
    let copied = Command::new("cp").arg("-r").arg(from.join(".")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    folder
}

/// The folders in which programs are looked for; with Helm and kustomize as `.ci/run` builds them.
fn path() -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_seawall")).parent().unwrap().to_owned();
    let own = [binary, root().join("tests/tools/bin")];
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let all = own.into_iter().chain(std::env::split_paths(&inherited));
    std::env::join_paths(all).unwrap().into_string().unwrap()
}

fn has(program: &str) -> bool {
    let there = std::env::split_paths(&path()).any(|folder| folder.join(program).is_file());
    if !there {
        skipped(&format!("what needs {program}; .ci/run builds the tools of tests/tools"));
    }
    there
}

/// As GitHub Actions runs it where the shell is `bash`.
fn bash(command: &str, folder: &Path) -> (i32, String) {
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-eo", "pipefail", "-c", command])
        .env_clear()
        .envs([("PATH", path()), ("HOME", folder.display().to_string())])
        .current_dir(folder)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/pipelines.md")).unwrap()
}

/// The YAML blocks of the page.
fn blocks() -> Vec<Value> {
    let page = page();
    page.split("```yaml\n")
        .skip(1)
        .map(|rest| serde_saphyr::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect()
}

#[test]
fn the_commands_of_the_page_judge_what_helm_and_kustomize_build() {
    let folder = folder();
    let page = page();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert_eq!(commands.len(), 3);
    for (command, code) in commands.into_iter().zip([0, 0, 1]) {
        if has(command.split(' ').next().unwrap()) {
            let (ended, text) = bash(command, folder.path());
            assert_eq!(ended, code, "{command}\n{text}");
            assert!(text.contains("1 object: "), "{command}\n{text}");
        }
    }
}

#[test]
fn a_chart_that_would_be_rejected_stops_the_pipeline_and_so_does_one_that_does_not_render() {
    if !has("helm") {
        return;
    }
    let folder = folder();
    let lost = "helm template shop chart/ --set persistent=false | seawall check -";
    let (code, text) = bash(lost, folder.path());
    assert_eq!(code, 1, "{text}");
    // Helm says which template an object comes from, in comments that do not move the lines of the report
    assert!(text.contains("deny    [database-without-volume]") && text.contains("stdin:"), "{text}");
    let (code, text) = bash("set +o pipefail; helm template shop nowhere/ | seawall check -", folder.path());
    assert_eq!(code, 2, "{text}");
}

#[test]
fn the_steps_for_github_actions_run() {
    let folder = folder();
    let workflow = blocks().into_iter().find(|block| block["jobs"].is_object()).unwrap();
    let steps = workflow["jobs"]["manifests"]["steps"].as_array().unwrap();
    let runs: BTreeMap<&str, &str> =
        steps.iter().filter_map(|step| Some((step["name"].as_str()?, step["run"].as_str()?))).collect();
    assert_eq!(runs.keys().copied().collect::<Vec<_>>(), ["annotations", "chart", "code scanning", "comment"]);
    let (code, text) = bash(runs["code scanning"], folder.path());
    assert_eq!(code, 0, "{text}");
    let sarif: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("seawall.sarif")).unwrap()).unwrap();
    let first = &sarif["runs"][0]["results"][0];
    assert_eq!(first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "deploy/cache.yaml", "{first}");
    assert_eq!(bash(runs["comment"], folder.path()).0, 0);
    let comment = std::fs::read_to_string(folder.path().join("comment.md")).unwrap();
    assert!(comment.starts_with("### Seawall: 1 denial, "), "{comment}");
    let (code, text) = bash(runs["annotations"], folder.path());
    assert_eq!(code, 1, "{text}");
    assert!(text.starts_with("::error file=deploy/cache.yaml,line="), "{text}");
    // a file that cannot be read is no violation, and the report steps let only those pass
    std::fs::write(folder.path().join("deploy/broken.yaml"), "a: b: c\n").unwrap();
    assert_ne!(bash(runs["code scanning"], folder.path()).0, 0);
    if has("helm") {
        assert_eq!(bash(runs["chart"], folder.path()).0, 0);
    }
}

#[test]
fn the_job_for_gitlab_runs() {
    let folder = folder();
    let job = blocks().into_iter().find_map(|block| block.get("seawall").cloned()).unwrap();
    let (code, text) = bash(job["script"][0].as_str().unwrap(), folder.path());
    assert_eq!(code, 1, "{text}");
    let file = job["artifacts"]["reports"]["junit"].as_str().unwrap();
    let suites = std::fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(suites.contains("<testsuite name=\"deploy/cache.yaml\""), "{suites}");
}

fn hook() -> Value {
    let text = std::fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    let hooks: Vec<Value> = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(hooks.len(), 1);
    hooks[0].clone()
}

#[test]
fn the_hook_is_the_one_that_the_page_names_and_judges_a_folder() {
    let folder = folder();
    let hook = hook();
    let config = blocks().into_iter().find(|block| block["repos"].is_array()).unwrap();
    let named = &config["repos"][0]["hooks"][0];
    assert_eq!(named["id"], hook["id"]);
    for args in [&hook["args"], &named["args"]] {
        let args: Vec<&str> = args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();
        let (code, text) = bash(&format!("{} {}", hook["entry"].as_str().unwrap(), args.join(" ")), folder.path());
        assert_eq!(code, 1, "{text}");
        assert!(text.contains("deploy/cache.yaml:"), "{text}");
    }
}

/// The definition as pre-commit itself takes it, where it is installed.
#[test]
fn pre_commit_runs_the_hook() {
    if !has("pre-commit") || !has("git") {
        return;
    }
    let folder = folder();
    let mut hooks: Value = serde_json::json!({"repos": [{"repo": "local", "hooks": [hook()]}]});
    hooks["repos"][0]["hooks"][0].as_object_mut().unwrap().remove("description");
    std::fs::write(folder.path().join(".pre-commit-config.yaml"), hooks.to_string()).unwrap();
    let run = "git init -q . && git add -A && pre-commit run --all-files --verbose --color never";
    let (code, text) = bash(run, folder.path());
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("database-without-volume") && text.contains("hook id: seawall-check"), "{text}");
    let clean = "sed -i 's/^  name: sessions/  labels: {seawall.dev\\/data: scratch}\\n&/' deploy/cache.yaml; git add -A; pre-commit run";
    let (code, text) = bash(clean, folder.path());
    assert_eq!(code, 0, "{text}");
}
