//! OPA's own tools on the same files, as somebody who writes policies runs them (docs/opa-tools.md): `opa check`, `opa test`,
//! `opa eval` with a captured review and `conftest test` say what Seawall says, for one request that each policy rejects and one
//! that it lets pass.

use crate::embedded::{bundle, set};
use crate::oracle::{built, canonical};
use seawall::engine::compile::{EngineKind, Entry};
use seawall::engine::evaluate::Worker;
use seawall::engine::value;
use seawall::policytest::case::Case;
use seawall::review::inputs;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// One captured review of the sample.
#[derive(Clone)]
struct Sample {
    /// Package of the policy, without `data.`.
    package: String,
    /// Where it comes from.
    case: String,
    review: Value,
    /// `{"cluster": …}`, as a file beside the review.
    facts: Value,
    /// What Seawall answers.
    violations: Value,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program, built by Go (and cached by it) where `.ci/run` has not built it.
fn program(package: &'static str) -> Option<PathBuf> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let name = package.rsplit('/').next().unwrap();
    let there = root().join("tests/tools/bin").join(name);
    if there.exists() { Some(there) } else { built(name, package) }
}

fn run(command: &mut Command) -> Output {
    command.env("NO_COLOR", "1").current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn opa(args: &[&str]) -> Option<Output> {
    Some(run(Command::new(program("github.com/open-policy-agent/opa")?).args(args)))
}

/// For each policy a review that it rejects and one that it lets pass. Where there is a choice, facts are taken that another
/// sample has, so that fewer processes are needed.
fn samples() -> Vec<Sample> {
    static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(chosen);
    SAMPLES.clone()
}

fn chosen() -> Vec<Sample> {
    let mut worker = Worker::new();
    let mut samples: Vec<Sample> = Vec::new();
    let mut facts_seen: BTreeSet<String> = BTreeSet::new();
    for policy in set().policies().iter().filter(|policy| policy.unit.has(Entry::Violation)) {
        let package = policy.unit.package.trim_start_matches("data.").to_owned();
        let mut found: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
        for files in bundle().cases.get(&package).into_iter().flatten() {
            let case = Case::parse(files).unwrap();
            let snapshot = case.snapshot(set(), policy.id()).unwrap();
            let cluster = value::to_json(&snapshot.facts.data()).unwrap();
            for (policy, input) in inputs(case.request(), &snapshot) {
                let limit = Duration::from_secs(30);
                let answer =
                    worker.evaluate_on(EngineKind::Rvm, &policy.unit, Entry::Violation, &input, snapshot.data(), limit);
                let violations = canonical(value::to_json(&answer.unwrap()).unwrap_or_else(|| json!([])));
                let quiet = violations == json!([]);
                found[usize::from(quiet)].push(Sample {
                    package: package.clone(),
                    case: files.folder.clone(),
                    review: value::to_json(&input).unwrap(),
                    facts: json!({"cluster": cluster}),
                    violations,
                });
            }
        }
        for (kind, of_kind) in ["fires", "stays quiet"].iter().zip(found) {
            let seen = of_kind.iter().position(|sample| facts_seen.contains(&sample.facts.to_string()));
            let sample = of_kind.into_iter().nth(seen.unwrap_or_default());
            let sample = sample.unwrap_or_else(|| panic!("{package}: no case {kind}"));
            facts_seen.insert(sample.facts.to_string());
            samples.push(sample);
        }
    }
    samples
}

fn write(path: &Path, value: &Value) {
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn opa_checks_and_tests_the_embedded_policies() {
    let Some(checked) = opa(&["check", "--strict", "-b", "policies"]) else { return };
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let tested = opa(&["test", "-b", "policies"]).unwrap();
    let told = text(&tested.stdout);
    assert!(tested.status.success(), "{told}");
    let passed = told.lines().find_map(|line| line.strip_prefix("PASS: ")?.split('/').next()?.parse::<usize>().ok());
    assert!(passed.is_some_and(|passed| passed > 400), "{told}");
}

/// The commands of docs/opa-tools.md, for a policy that reads no facts and one that does.
#[test]
fn opa_eval_answers_a_captured_review_as_the_page_says() {
    if program("github.com/open-policy-agent/opa").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (review, facts) = (folder.path().join("review.json"), folder.path().join("facts.json"));
    let samples = samples();
    let no_facts =
        samples.iter().find(|s| s.facts == json!({"cluster": {"index": {}}}) || s.facts == json!({"cluster": {}}));
    let with_facts = samples.iter().filter(|s| s.violations != json!([])).max_by_key(|s| s.facts.to_string().len());
    for sample in no_facts.into_iter().chain(with_facts) {
        write(&review, &sample.review);
        write(&facts, &sample.facts);
        let query = format!("data.{}.violation", sample.package);
        let [review, facts] = [&review, &facts].map(|path| path.to_str().unwrap());
        let answer = opa(&[
            "eval",
            "--strict-builtin-errors",
            "-b",
            "policies",
            "-d",
            facts,
            "-i",
            review,
            "-f",
            "values",
            &query,
        ])
        .unwrap();
        let found: Value =
            serde_json::from_slice(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&answer.stderr)));
        assert_eq!(canonical(found[0].clone()), sample.violations, "{}", sample.case);
    }
}

/// The same for all policies, in one process.
#[test]
fn opa_eval_answers_as_seawall_does() {
    if program("github.com/open-policy-agent/opa").is_none() {
        return;
    }
    let samples = samples();
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.json");
    let all = samples
        .iter()
        .enumerate()
        .map(|(i, s)| (format!("s{i}"), json!({"review": s.review, "cluster": s.facts["cluster"]})));
    write(&input, &Value::Object(all.collect::<Map<_, _>>()));
    let asked = samples.iter().enumerate().map(|(i, s)| {
        let package = &s.package;
        format!(
            "s{i} := data.{package}.violation with input as input.s{i}.review with data.cluster as input.s{i}.cluster"
        )
    });
    let query = folder.path().join("query.rego");
    std::fs::write(&query, asked.collect::<Vec<_>>().join("; ")).unwrap();
    let opa = program("github.com/open-policy-agent/opa").unwrap();
    let mut command = Command::new(opa);
    command.args(["eval", "--strict-builtin-errors", "-b", "policies", "-f", "bindings", "--stdin", "-i"]).arg(&input);
    let answer = run(command.stdin(std::fs::File::open(&query).unwrap()));
    let found: Value =
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&answer.stderr)));
    let differences: Vec<String> = (samples.iter().enumerate())
        .filter(|(i, s)| canonical(found[format!("s{i}")].clone()) != s.violations)
        .map(|(i, s)| format!("{}: OPA {}, Seawall {}", s.case, found[format!("s{i}")], s.violations))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// conftest asks every policy for its `violation`, with facts and knowledge as data.
#[test]
fn conftest_answers_as_seawall_does() {
    let Some(conftest) = program("github.com/open-policy-agent/conftest") else { return };
    let mut by_facts: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for sample in samples() {
        by_facts.entry(sample.facts.to_string()).or_default().push(sample);
    }
    let groups: Vec<Vec<Sample>> = by_facts.into_values().collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut differences = Vec::new();
        while let Some(group) = groups.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            differences.extend(conftest_differs(&conftest, group));
        }
        differences
    };
    let differences: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn conftest_differs(conftest: &Path, group: &[Sample]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let facts = folder.path().join("facts.json");
    write(&facts, &group[0].facts);
    let mut command = Command::new(conftest);
    command.args([
        "test",
        "-o",
        "json",
        "--policy",
        "policies",
        "--data",
        "seawall.knowledge:policies/seawall/knowledge",
    ]);
    command.arg("--data").arg(&facts);
    for package in group.iter().map(|sample| &sample.package).collect::<BTreeSet<_>>() {
        command.args(["--namespace", package]);
    }
    let files: Vec<PathBuf> = (0..group.len()).map(|i| folder.path().join(format!("review-{i}.json"))).collect();
    for (file, sample) in files.iter().zip(group) {
        write(file, &sample.review);
        command.arg(file);
    }
    let answer = run(&mut command);
    let rows: Value =
        serde_json::from_slice(&answer.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&answer.stderr)));
    let row = |file: &Path, package: &str| {
        rows.as_array()
            .unwrap()
            .iter()
            .find(|row| row["filename"].as_str() == file.to_str() && row["namespace"] == package)
    };
    let differs = |(file, sample): (&PathBuf, &Sample)| {
        let failures = row(file, &sample.package).map_or(&Value::Null, |row| &row["failures"]);
        let found = canonical(failures.as_array().into_iter().flatten().map(violation).collect());
        (found != sample.violations)
            .then(|| format!("{}: conftest {found}, Seawall {}", sample.case, sample.violations))
    };
    files.iter().zip(group).filter_map(differs).collect()
}

/// conftest keeps all keys but `msg` as metadata and adds the query.
fn violation(failure: &Value) -> Value {
    let mut violation = failure["metadata"].as_object().cloned().unwrap_or_default();
    violation.remove("query");
    violation.insert("msg".to_owned(), failure["msg"].clone());
    Value::Object(violation)
}
