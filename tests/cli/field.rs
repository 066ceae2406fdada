//! Manifests as the documentation of drivers and engines has them, judged in three tiers. Beside each lies what it is told,
//! read line by line: a line that a storage engineer would not say is a defect, and so is one that is missing.

use crate::rig::seawall;
use seawall::check::input::Input;
use seawall::check::yaml::Budget;
use seawall::check::{Context, Options, check};
use seawall::config::Settings;
use seawall::policy::mode::{Mode, Tier};
use seawall::policy::store::PolicySet;
use seawall::report::json;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the workloads find in the cluster; drivers are judged with their own objects alone.
const CLUSTER: &str = "cluster.yaml";
const TIERS: [Tier; 3] = [Tier::Tier0, Tier::Tier1, Tier::Tier2];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/field")
}

fn manifests(part: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder().join(part)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|end| end == "yaml")).collect();
    files.sort();
    files
}

fn report(file: &Path, cluster: &[PathBuf], tier: Tier, policies: &Arc<PolicySet>) -> Value {
    let read = |files: &[PathBuf]| Input::read(files, &mut std::io::empty(), Budget::default());
    let context = Context { files: read(cluster), ..Context::default() };
    let options = Options { mode: Some(Mode::Enforce), tier: Some(tier), namespace: "default".to_owned() };
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    let report = check(read(&[file.to_owned()]), context, policies, &Settings::default(), &options, now);
    let mut text = Vec::new();
    json::write(&report, &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// What is told, as `policy object path` and the action. What is written is a line `patch object path`.
fn told(report: &Value) -> Vec<(String, String)> {
    let object = |row: &Value| format!("{}/{}", text(row, "/resource/kind"), text(row, "/resource/name"));
    let rows = report["results"].as_array().unwrap().iter().map(|row| {
        let said = format!("{} {} {}", text(row, "/policy"), object(row), text(row, "/path"));
        (said, text(row, "/effectiveAction").to_owned())
    });
    let patches = report["patches"].as_array().unwrap().iter().flat_map(|row| {
        let ops = row["ops"].as_array().unwrap().iter();
        ops.map(move |op| (format!("patch {} {}", object(row), text(op, "/path")), "Patch".to_owned()))
    });
    rows.chain(patches).collect()
}

/// The expectation: one line for each place and policy, with its action in each tier.
fn judged(file: &Path, cluster: &[PathBuf], policies: &Arc<PolicySet>) -> String {
    let mut lines: BTreeMap<String, [String; 3]> = BTreeMap::new();
    for (column, tier) in TIERS.into_iter().enumerate() {
        let report = report(file, cluster, tier, policies);
        assert_eq!(report["errors"], serde_json::json!([]), "{}", file.display());
        for (said, action) in told(&report) {
            let cell = &mut lines.entry(said).or_default()[column];
            *cell = if cell.is_empty() { action } else { format!("{cell}+{action}") };
        }
    }
    let dashed = |action: &String| if action.is_empty() { "-".to_owned() } else { action.clone() };
    let row = |(said, actions): (&String, &[String; 3])| {
        let [t0, t1, t2] = actions.each_ref().map(dashed);
        format!("{t0:5} {t1:5} {t2:5} {said}\n")
    };
    lines.iter().map(row).collect()
}

#[test]
fn manifests_of_the_field_are_told_what_a_storage_engineer_says() {
    let policies = Arc::new(PolicySet::embedded(&Settings::default()).unwrap());
    let cluster = vec![folder().join(CLUSTER)];
    let update = std::env::var_os("SEAWALL_UPDATE").is_some();
    let mut wrong = String::new();
    for (part, cluster) in [("drivers", Vec::new()), ("workloads", cluster)] {
        for file in manifests(part) {
            let found = judged(&file, &cluster, &policies);
            let page = file.with_extension("expected");
            if update {
                std::fs::write(&page, &found).unwrap();
                continue;
            }
            let expected = std::fs::read_to_string(&page).unwrap_or_default();
            let missing = expected.lines().filter(|line| !found.lines().any(|other| other == *line));
            wrong.extend(missing.map(|line| format!("{}: missing: {line}\n", file.display())));
            let new = found.lines().filter(|line| !expected.lines().any(|other| other == *line));
            wrong.extend(new.map(|line| format!("{}: new:     {line}\n", file.display())));
        }
    }
    assert!(
        wrong.is_empty(),
        "{wrong}read the lines; where they are right: SEAWALL_UPDATE=1 cargo test --test cli field"
    );
}

#[test]
fn the_command_line_says_the_same() {
    let policies = Arc::new(PolicySet::embedded(&Settings::default()).unwrap());
    let cluster = folder().join(CLUSTER);
    let file = folder().join("workloads/postgres-plain.yaml");
    let args = ["check", "--format", "json", "--mode", "enforce", "--tier", "tier-1", "--snapshot"];
    let mut args = args.to_vec();
    args.extend([cluster.to_str().unwrap(), file.to_str().unwrap()]);
    let run = seawall(&args, "");
    let printed: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{}", run.stderr));
    assert_eq!(told(&printed), told(&report(&file, &[cluster], Tier::Tier1, &policies)));
}
