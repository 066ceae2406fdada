//! The layout keeps its promises: who may import whom, file sizes, module heads (docs/layout in src/lib.rs).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The first part of the path below `src/`: the module that a file belongs to.
fn module(file: &Path) -> String {
    let first = file.strip_prefix(src()).unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The modules that a file imports by `crate::`, tests left out.
fn imports(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for part in line.split("crate::").skip(1) {
            let name: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            found.push((number + 1, name));
        }
    }
    found
}

#[test]
fn the_core_knows_no_front_end() {
    let core = ["admission", "policy", "context", "engine", "decision", "patch", "review"];
    let outside = [
        "server",
        "check",
        "policydiff",
        "policytest",
        "policysource",
        "docs",
        "report",
        "cli",
        "audit",
        "checklist",
        "explain",
        "import",
        "webhookconfig",
        "certs",
        "telemetry",
        "decisions",
        "rollout",
        "lint",
        "authoring",
        "benchmark",
    ];
    for file in sources(&src()).into_iter().filter(|f| core.contains(&module(f).as_str())) {
        for (line, name) in imports(&file) {
            assert!(!outside.contains(&name.as_str()), "{}:{line} imports {name}", file.display());
        }
    }
}

#[test]
fn the_engine_knows_nothing_of_kubernetes() {
    for file in sources(&src().join("engine")) {
        let text = fs::read_to_string(&file).unwrap();
        for (line, name) in imports(&file) {
            assert!(["engine", "words"].contains(&name.as_str()), "{}:{line}: {name}", file.display());
        }
        for word in ["kube::", "k8s_openapi", "StatefulSet", "StorageClass"] {
            assert!(!text.contains(word), "{} speaks of {word}", file.display());
        }
    }
}

#[test]
fn only_some_modules_talk_to_the_api_server() {
    let may = [
        "context/cluster.rs",
        "context/watch.rs",
        "context/namespace.rs",
        "context/list.rs",
        "context/read.rs",
        "context/read_tests.rs",
        "context/resources.rs",
        "context/cluster_tests.rs",
        "decisions/store.rs",
        "decisions/store_tests.rs",
        "kubeapi.rs",
        "kubeapi/lease.rs",
        "kubeapi/lease_tests.rs",
    ];
    for file in sources(&src()) {
        let relative = file.strip_prefix(src()).unwrap().to_string_lossy().into_owned();
        let permitted = may.contains(&relative.as_str())
            || ["audit", "certs", "webhookconfig", "cli"].contains(&module(&file).as_str());
        let text = fs::read_to_string(&file).unwrap();
        assert!(permitted || !text.contains("kube::"), "{relative} uses the Kubernetes client");
    }
}

#[test]
fn anyhow_stays_in_the_command_line() {
    // the engine's builtins have anyhow's Result in their signature
    for file in sources(&src())
        .into_iter()
        .filter(|f| module(f) != "cli" && !f.ends_with("engine/builtins.rs") && !f.ends_with("main.rs"))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("anyhow"), "{}", file.display());
    }
}

#[test]
fn files_are_small_and_say_what_they_are_for() {
    for file in sources(&src()) {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        assert!(lines < 600, "{} has {lines} lines; split it", file.display());
        let is_tests = file.file_name().is_some_and(|n| n.to_string_lossy().contains("tests"));
        assert!(text.starts_with("//!") || is_tests, "{} does not begin with //!", file.display());
    }
    let review = fs::read_to_string(src().join("review.rs")).unwrap();
    assert!(review.lines().count() <= 180, "the pipeline no longer fits a screen");
}
