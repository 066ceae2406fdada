//! What a trace says is what the policy answers, on every case.

use crate::embedded::{bundle, set};
use seawall::engine::compile::{EngineKind, Entry};
use seawall::engine::evaluate::Worker;
use seawall::engine::trace::{BodyTrace, DefinitionTrace, Follow, Limits, Outcome, Syntax, Tracer};
use seawall::engine::value::to_json;
use seawall::policytest::case::Case;
use seawall::review::inputs;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

/// One of how many cases of a policy are tried.
const SAMPLE: usize = 8;

/// What a trace could not tell, at any depth.
fn untold(definitions: &[DefinitionTrace], found: &mut Vec<String>) {
    for definition in definitions {
        for BodyTrace { line, outcome, stops, because, .. } in &definition.bodies {
            if let Outcome::Untold(reason) = outcome {
                found.push(format!("{}:{line}: {reason}", definition.file));
            }
            let follows = stops.iter().flat_map(|stop| &stop.because).chain(because);
            follows.for_each(|Follow { definitions, .. }| untold(definitions, found));
        }
    }
}

#[test]
fn what_a_trace_says_is_what_the_policy_answers() {
    let (set, bundle) = (set(), bundle());
    let syntax = Syntax::read(bundle.modules.values().flatten()).unwrap();
    let every = std::env::var_os("SEAWALL_TRACE").is_some();
    let step = if every { 1 } else { SAMPLE };
    let limits = Limits { depth: 3, time: Duration::from_secs(60) };
    let mut worker = Worker::forced(EngineKind::Interpreter);
    let (mut problems, mut members, mut silent) = (Vec::new(), 0, 0);
    for (number, policy) in set.policies().iter().enumerate() {
        let rules = [Entry::Violation, Entry::Patch].map(|entry| format!("{}.{}", policy.unit.package, entry.rule()));
        let mut tracer = Tracer::new(&syntax, &rules).unwrap();
        let cases = bundle.cases.get(policy.unit.package.trim_start_matches("data.")).unwrap();
        // another place to begin in each policy, so that not only the first cases by name are tried
        for files in cases.iter().skip(number % step).step_by(step) {
            let case = Case::parse(files).unwrap();
            let snapshot = case.snapshot(set, policy.id()).unwrap();
            for (chosen, input) in inputs(case.request(), &snapshot) {
                for (entry, rule) in [Entry::Violation, Entry::Patch].iter().zip(&rules) {
                    if !chosen.unit.has(*entry) {
                        continue;
                    }
                    let limit = Duration::from_secs(30);
                    let answer = worker.evaluate_on(
                        EngineKind::Interpreter,
                        &chosen.unit,
                        *entry,
                        &input,
                        snapshot.data(),
                        limit,
                    );
                    // the interpreter alone fails on an undefined value in a head
                    let Ok(answer) = answer else { continue };
                    let expected: BTreeSet<String> = to_json(&answer)
                        .and_then(|a| a.as_array().cloned())
                        .into_iter()
                        .flatten()
                        .map(|v| v.to_string())
                        .collect();
                    let trace = tracer.rule(rule, &input, snapshot.data(), limits);
                    let found: BTreeSet<String> =
                        trace.definitions.iter().flat_map(|d| &d.members).map(Json::to_string).collect();
                    let at = format!("{} {}", files.folder, entry.rule());
                    if found != expected {
                        problems.push(format!("{at}: expected {expected:?}, found {found:?}"));
                    }
                    let mut gaps = Vec::new();
                    untold(&trace.definitions, &mut gaps);
                    problems.extend(gaps.into_iter().map(|gap| format!("{at}: {gap}")));
                    members += found.len();
                    for definition in trace.definitions.iter().filter(|d| !d.held()) {
                        silent += 1;
                        let stopped = |body: &BodyTrace| body.outcome == Outcome::Stopped && !body.stops.is_empty();
                        if !definition.bodies.iter().all(stopped) {
                            problems.push(format!("{at}: line {} does not say where it stopped", definition.line));
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    assert!(members > 100 && silent > 300, "{members} violations and patches, {silent} rules that did not hold");
}
