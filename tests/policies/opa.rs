//! OPA as the oracle: on every case it must answer what the RVM and the interpreter answer.
//!
//! `opaeval` (tests/tools) is OPA's own evaluator with strict builtin errors, in one process for all cases.

use crate::embedded::set;
use seawall::engine::compile::{EngineKind, Entry};
use seawall::engine::evaluate::Worker;
use seawall::engine::value;
use seawall::policytest::case::Case;
use seawall::review::inputs;
use serde_json::{Map, Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Builds the oracle (cached by Go) and returns it; `None` where there is no Go, said loudly.
fn opaeval() -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let program = tools.join("bin/opaeval");
    let built =
        Command::new("go").args(["build", "-trimpath", "-o", "bin/opaeval", "./opaeval"]).current_dir(&tools).status();
    match built {
        Ok(status) => assert!(status.success(), "opaeval does not build"),
        Err(error) if std::env::var("SEAWALL_CLUSTER_TESTS").as_deref() == Ok("require") => {
            panic!("the comparison with OPA needs Go: {error}")
        }
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: the comparison with OPA needs Go ({error}); install Go 1.26 or later ***\n"
            );
            return None;
        }
    }
    Some(program)
}

/// A set has no order; compare sorted.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

/// Keys in one order, so that texts of objects can be compared.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut pairs: Vec<(String, Value)> = fields.into_iter().map(|(k, v)| (k, canonical(v))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        // OPA writes 1.0 as 1
        Value::Number(number) => number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15)
            .map_or(Value::Number(number), |f| json!(f as i64)),
        other => other,
    }
}

#[test]
fn the_three_engines_agree_on_every_case() {
    let Some(program) = opaeval() else { return };
    let (bundle, set) = set();
    let mut worker = Worker::new();
    let mut lines = Vec::new();
    let mut expected: Vec<(String, Value)> = Vec::new();
    for policy in set.policies() {
        let package = policy.unit.package.trim_start_matches("data.");
        for files in bundle.cases.get(package).into_iter().flatten() {
            let case = Case::parse(files).unwrap_or_else(|e| panic!("{}: {e}", files.folder));
            let snapshot = case.snapshot(&set, policy.id()).unwrap();
            let cluster = value::to_json(&snapshot.facts.data()).unwrap();
            for (number, (policy, input)) in inputs(case.request(), &snapshot).into_iter().enumerate() {
                for entry in [Entry::Violation, Entry::Patch].into_iter().filter(|entry| policy.unit.has(*entry)) {
                    let mut on = |kind| {
                        let result = worker.evaluate_on(
                            kind,
                            &policy.unit,
                            entry,
                            &input,
                            snapshot.data(),
                            Duration::from_secs(30),
                        );
                        let result = result.unwrap_or_else(|e| panic!("{} {kind:?}: {e}", files.folder));
                        canonical(sorted(value::to_json(&result).map_or_else(|| json!([]), canonical)))
                    };
                    let (rvm, interpreter) = (on(EngineKind::Rvm), on(EngineKind::Interpreter));
                    let id = format!("{} target {number} {}", files.folder, entry.rule());
                    assert_eq!(rvm, interpreter, "RVM and interpreter differ: {id}");
                    let query = format!("{}.{}", policy.unit.package, entry.rule());
                    lines.push(
                        json!({"id": id, "query": query, "input": value::to_json(&input), "cluster": cluster})
                            .to_string(),
                    );
                    expected.push((id, rvm));
                }
            }
        }
    }
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut opa = Command::new(program)
        .arg("-bundle")
        .arg(policies)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = opa.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for line in lines {
            writeln!(stdin, "{line}").unwrap();
        }
    });
    let answers: Vec<Value> = BufReader::new(opa.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    writer.join().unwrap();
    assert!(opa.wait().unwrap().success());
    assert_eq!(answers.len(), expected.len());
    let mut differences = Vec::new();
    for (answer, (id, wanted)) in answers.into_iter().zip(expected) {
        assert_eq!(answer["id"], id);
        let result = answer.get("result").cloned().map_or_else(|| json!([]), canonical);
        let result = canonical(sorted(result));
        if answer.get("error").is_some() || result != wanted {
            differences.push(format!("{id}\n  OPA:  {answer}\n  ours: {wanted}"));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
