//! What a decision costs: a 5 KB StatefulSet with all embedded policies, in one process on one thread, as ratios.
//!
//! `cargo bench --bench decision` prints how long one review takes beside only decoding the same bytes, beside the
//! interpreter, beside all policies in one program, and, where `tests/tools/bin/opa` is built, beside `opa bench` of the
//! same policies on the same input. Medians of alternating rounds, so that a noisy machine disturbs all sides alike.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::type_complexity
)]

use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use seawall::admission::request::Request;
use seawall::config::Settings;
use seawall::context::facts::Facts;
use seawall::engine::compile::EngineKind;
use seawall::engine::evaluate::Worker;
use seawall::engine::rewrite;
use seawall::engine::tree::imports;
use seawall::engine::value::{self, Value};
use seawall::policy::bundle::Bundle;
use seawall::policy::mode::Mode;
use seawall::policy::store::PolicySet;
use seawall::review::{Phase, Snapshot, inputs, review};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const PER_ROUND: usize = 100;

/// Median time of one call of each, in rounds that alternate.
fn measure(sides: &mut [(&str, Box<dyn FnMut() + '_>)]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); sides.len()];
    for (_, side) in sides.iter_mut() {
        (0..PER_ROUND).for_each(|_| side());
    }
    for _ in 0..ROUNDS {
        for (index, (_, side)) in sides.iter_mut().enumerate() {
            let started = Instant::now();
            (0..PER_ROUND).for_each(|_| side());
            times[index].push(started.elapsed() / u32::try_from(PER_ROUND).unwrap());
        }
    }
    times
        .into_iter()
        .map(|mut t| {
            t.sort();
            t[t.len() / 2]
        })
        .collect()
}

fn main() {
    let bytes = include_bytes!("data/statefulset.json");
    let settings = Settings {
        defaults: seawall::config::Defaults { mode: Mode::Enforce, ..Default::default() },
        ..Settings::default()
    };
    let bundle = Bundle::embedded().unwrap();
    let set = Arc::new(PolicySet::build(&bundle, &settings).unwrap());
    let kinds: BTreeSet<String> = set.needed_context().keys().cloned().collect();
    let classes: Vec<serde_json::Value> = (0..5000).map(|i| json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": format!("class-{i}")}, "provisioner": "ebs.csi.aws.com", "reclaimPolicy": "Retain"})).collect();
    let facts = Facts::from_objects(classes.iter().map(|c| ("storageclasses".to_owned(), c)), &kinds);
    let snapshot = Snapshot::new(set.clone(), Arc::new(settings), Arc::new(facts), jiff::Timestamp::UNIX_EPOCH);
    let request = Request::from_review(bytes).unwrap();
    let later = || Instant::now() + Duration::from_secs(60);
    let mut rvm = Worker::new();
    let mut interpreter = Worker::forced(EngineKind::Interpreter);
    let outcome = review(&request, &snapshot, Phase::Validate, later(), &mut rvm);
    println!(
        "{} policies, {} of them for this request ({} bytes), {} findings, {} StorageClasses as facts\n",
        set.policies().len(),
        inputs(&request, &snapshot).len(),
        bytes.len(),
        outcome.findings.len(),
        5000
    );
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);

    // all policies of this request in one program, as rules and as one rule
    let evaluations = inputs(&request, &snapshot);
    let names: Vec<String> = evaluations
        .iter()
        .map(|(p, _)| format!("{}.violation", p.unit.package))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let knowledge = value::object([("knowledge", set.knowledge())]);
    let data = value::object([("cluster", snapshot.facts.data()), ("seawall", knowledge)]);
    let mut combined = combined(&bundle, &names, &data);
    let inputs_of: Vec<Value> = evaluations.iter().map(|(_, input)| input.clone()).collect();

    let mut side_decode = || {
        std::hint::black_box(Request::from_review(bytes).unwrap());
    };
    let mut side_value = || {
        std::hint::black_box(serde_json::from_slice::<serde_json::Value>(bytes).unwrap());
    };
    let mut side_validate = || {
        std::hint::black_box(review(&request, &snapshot, Phase::Validate, later(), &mut rvm));
    };
    let mut second = Worker::new();
    let mut side_mutate = || {
        std::hint::black_box(review(&request, &snapshot, Phase::Mutate, later(), &mut second));
    };
    let mut side_interpreter = || {
        std::hint::black_box(review(&request, &snapshot, Phase::Validate, later(), &mut interpreter));
    };
    let mut apart = apart(&evaluations, &data, &bundle);
    let mut side_apart = || {
        for (machine, name, input) in &mut apart {
            machine.set_input(input.clone());
            std::hint::black_box(machine.execute_entry_point_by_name(name).unwrap());
        }
    };
    let mut side_combined = || {
        for (name, input) in names.iter().zip(&inputs_of) {
            combined.set_input(input.clone());
            std::hint::black_box(combined.execute_entry_point_by_name(name).unwrap());
        }
    };
    let mut sides: Vec<(&str, Box<dyn FnMut()>)> = vec![
        ("decode only (serde_json::Value)", Box::new(&mut side_value)),
        ("decode into a request", Box::new(&mut side_decode)),
        ("review, validate", Box::new(&mut side_validate)),
        ("review, mutate", Box::new(&mut side_mutate)),
        ("review, validate, interpreter", Box::new(&mut side_interpreter)),
        ("engine alone, one program per policy", Box::new(&mut side_apart)),
        ("engine alone, one program for all", Box::new(&mut side_combined)),
    ];
    let medians = measure(&mut sides);
    let base = medians[0].as_secs_f64();
    let mut rows: Vec<(String, f64)> =
        sides.iter().zip(&medians).map(|((name, _), t)| ((*name).to_owned(), t.as_secs_f64())).collect();
    if let Some(nanoseconds) = opa(&names, &evaluations[0].1, &snapshot) {
        rows.push(("opa bench, the same policies".to_owned(), nanoseconds / 1e9));
    }
    for (name, seconds) in &rows {
        println!(
            "{name:<40} {:>9.1} µs  {:>7.1} × decoding  {:>6.2} × our validating",
            seconds * 1e6,
            seconds / base,
            seconds / medians[2].as_secs_f64()
        );
    }
    drop(sides);
    dearest(&request, &snapshot);
}

/// What each policy takes of a review, the dearest first, as shares of the whole.
fn dearest(request: &Request, snapshot: &Snapshot) {
    let mut worker = Worker::new();
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    for round in 0..PER_ROUND {
        let _ = review(request, snapshot, Phase::Validate, Instant::now() + Duration::from_secs(60), &mut worker);
        for (package, time) in worker.take_times() {
            // the first round makes the machines
            *times.entry(package).or_default() += if round == 0 { Duration::ZERO } else { time };
        }
    }
    let whole: Duration = times.values().sum();
    let mut times: Vec<(String, Duration)> = times.into_iter().collect();
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    println!("\ndearest of {} in /validate:", times.len());
    for (package, time) in times.iter().take(10) {
        println!("{:<60} {:>5.1} %", package, 100.0 * time.as_secs_f64() / whole.as_secs_f64());
    }
}

/// The rewritten modules in an engine of their own.
fn engine(bundle: &Bundle) -> regorus::Engine {
    let mut plain = regorus::Engine::new();
    let mut engine = regorus::Engine::new();
    for source in bundle.modules.values().flatten() {
        plain.add_policy(source.file.clone(), source.text.clone()).unwrap();
    }
    let trees: serde_json::Value = serde_json::from_str(&plain.get_ast_as_json().unwrap()).unwrap();
    for tree in trees.as_array().unwrap() {
        let text =
            rewrite::for_rvm(tree["source"]["contents"].as_str().unwrap(), &tree["ast"], &imports(tree)).unwrap();
        engine.add_policy(tree["source"]["file"].as_str().unwrap().to_owned(), text).unwrap();
    }
    engine
}

fn machine(engine: &regorus::Engine, names: &[&str], data: &Value) -> RegoVM {
    let compiled = engine.clone().compile_with_entrypoint(&names[0].into()).unwrap();
    let program = Compiler::compile_from_policy(&compiled, names).unwrap();
    let mut machine = RegoVM::new_with_policy(compiled);
    machine.load_program(program);
    machine.set_max_instructions(100_000_000);
    machine.set_data(data.clone()).unwrap();
    machine
}

fn combined(bundle: &Bundle, names: &[String], data: &Value) -> RegoVM {
    machine(&engine(bundle), &names.iter().map(String::as_str).collect::<Vec<_>>(), data)
}

fn apart(
    evaluations: &[(&seawall::policy::store::Policy, Value)],
    data: &Value,
    bundle: &Bundle,
) -> Vec<(RegoVM, String, Value)> {
    let engine = engine(bundle);
    let mut machines: BTreeMap<String, Value> = BTreeMap::new();
    for (policy, input) in evaluations {
        machines.insert(format!("{}.violation", policy.unit.package), input.clone());
    }
    machines.into_iter().map(|(name, input)| (machine(&engine, &[name.as_str()], data), name, input)).collect()
}

/// Nanoseconds of one evaluation by `opa bench`, of the same rules as one query.
fn opa(names: &[String], input: &Value, snapshot: &Snapshot) -> Option<f64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join("tests/tools/bin/opa");
    if !program.exists() {
        println!(
            "(no tests/tools/bin/opa: `go build -o bin/opa github.com/open-policy-agent/opa` in tests/tools adds the comparison)\n"
        );
        return None;
    }
    let folder = std::env::temp_dir().join(format!("seawall-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // a parameter that one policy lacks in the input of another would end its rules early
    let mut input = value::to_json(input).unwrap();
    let all: serde_json::Map<String, serde_json::Value> =
        snapshot.policies.policies().iter().flat_map(|p| p.metadata.parameters.clone()).collect();
    input["seawall"]["parameters"] = serde_json::Value::Object(all);
    std::fs::write(folder.join("input.json"), input.to_string()).unwrap();
    let data = json!({"cluster": value::to_json(&snapshot.facts.data()).unwrap()});
    std::fs::write(folder.join("data.json"), data.to_string()).unwrap();
    let query = format!("x = [{}]", names.join(", "));
    let policies = root.join("policies");
    let output = Command::new(program)
        .args(["bench", "--optimize-store-for-read-speed", "--format", "json", "--data"])
        .arg(folder.join("data.json"))
        .arg("-b")
        .arg(policies)
        .arg("--input")
        .arg(folder.join("input.json"))
        .arg(query)
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let result: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| println!("opa bench: {e}\n{}", String::from_utf8_lossy(&output.stderr)))
        .ok()?;
    let (total, count) = (result.get("T")?.as_f64()?, result.get("N")?.as_f64()?);
    Some(total / count)
}
