//! Runs rules and measures: instructions by counting, time as the median of many runs, allocations where they can be counted.

use super::CountAllocations;
use super::table::Table;
use crate::admission::request::Request;
use crate::check::input::Input;
use crate::check::{self, Context, Options};
use crate::config::Settings;
use crate::engine::compile::{EngineKind, Entry, Unit};
use crate::engine::evaluate::{EvaluationError, Worker};
use crate::engine::shared::SharedValues;
use crate::engine::value::Value;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use crate::policytest::case::Case;
use crate::report::observer::{Observer, Reviewed};
use crate::review::{Snapshot, inputs};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for one evaluation.
const LIMIT: Duration = Duration::from_secs(60);

/// How to measure.
#[derive(Debug, Clone)]
pub struct How {
    /// Runs of which the median counts.
    pub runs: usize,
    /// Also on the interpreter, which takes most of the time.
    pub interpreter: bool,
    /// Only these policies; empty for all.
    pub policies: Vec<String>,
    /// Counts allocations, where the program can.
    pub allocations: Option<CountAllocations>,
}

/// One rule on one input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Instructions of the RVM; none where the policy has no program.
    pub instructions: Option<u64>,
    /// Allocations on the RVM, where they are counted.
    pub allocations: Option<u64>,
    /// Median time on the RVM.
    pub rvm: Option<Duration>,
    /// Median time on the interpreter.
    pub interpreter: Option<Duration>,
}

/// Measures policies on their own cases.
#[must_use]
pub fn cases(bundle: &Bundle, set: &PolicySet, how: &How) -> Table {
    let mut table = Table::new(how);
    let mut bench = Bench { how, worker: Worker::new(), table: &mut table };
    for policy in set.policies().iter().filter(|policy| how.wants(policy.id())) {
        let package = policy.unit.package.trim_start_matches("data.");
        for files in bundle.cases.get(package).into_iter().flatten() {
            let case = Case::parse(files).map_err(|error| error.to_string());
            let snapshot = case.and_then(|case| match case.snapshot(set, policy.id()) {
                Some(snapshot) => Ok((case, snapshot)),
                None => Err("context.yaml: now is no RFC 3339 time".to_owned()),
            });
            match snapshot {
                Ok((case, snapshot)) => bench.request(&files.name, case.request(), &snapshot),
                Err(problem) => bench.table.problems.push(format!("{}: {problem}", files.folder)),
            }
        }
    }
    table
}

/// Measures policies on manifests.
#[must_use]
pub fn manifests(input: Input, set: PolicySet, settings: &Settings, how: &How) -> Table {
    let mut table = Table::new(how);
    let mut bench = Bench { how, worker: Worker::new(), table: &mut table };
    let options = Options { mode: None, tier: None, namespace: "default".to_owned() };
    let now = jiff::Timestamp::UNIX_EPOCH;
    let observed = check::observed(input, Context::default(), &Arc::new(set), settings, &options, now, &mut bench);
    let errors = observed.map(|report| report.errors).unwrap_or_default();
    let place = |failure: &crate::report::Failure| {
        let at = failure.source.as_ref().map(|s| format!("{}:{}: ", s.file, s.line)).unwrap_or_default();
        format!("{at}{}", failure.message)
    };
    table.problems.extend(errors.iter().filter(|failure| failure.policy.is_none()).map(place));
    table
}

impl How {
    fn wants(&self, policy: &str) -> bool {
        self.policies.is_empty() || self.policies.iter().any(|wanted| wanted == policy)
    }
}

struct Bench<'b> {
    how: &'b How,
    worker: Worker,
    table: &'b mut Table,
}

impl Observer for Bench<'_> {
    fn reviewed(&mut self, reviewed: &Reviewed<'_>, _worker: &mut Worker) {
        let at = reviewed.source.map(|source| format!("{}:{}", source.file, source.line));
        self.request(&at.unwrap_or_default(), reviewed.request, reviewed.snapshot);
    }

    fn namespace_done(&mut self, _not_listed: &std::collections::BTreeSet<String>) -> io::Result<()> {
        Ok(())
    }
}

impl Bench<'_> {
    /// Every rule of every policy that a request concerns.
    fn request(&mut self, name: &str, request: &Request, snapshot: &Snapshot) {
        for (policy, input) in inputs(request, snapshot) {
            if !self.how.wants(policy.id()) {
                continue;
            }
            for entry in [Entry::Violation, Entry::Patch].into_iter().filter(|entry| policy.unit.has(*entry)) {
                match self.rule(&policy.unit, entry, &input, snapshot) {
                    Ok(cost) => self.table.add(policy.id(), entry.rule(), name, cost),
                    Err(error) => self.failed(policy.id(), name, &error),
                }
            }
            for rule in policy.unit.shared_rules() {
                match self.shared(&policy.unit, &rule, &input, snapshot) {
                    Ok(cost) => self.table.add("(shared)", &rule, &format!("{}/{name}", policy.id()), cost),
                    Err(error) => self.failed(policy.id(), name, &error),
                }
            }
        }
    }

    fn failed(&mut self, policy: &str, name: &str, error: &EvaluationError) {
        self.table.problems.push(format!("{policy} on {name}: {error}"));
    }

    fn rule(&mut self, unit: &Unit, entry: Entry, input: &Value, snapshot: &Snapshot) -> Result<Cost, EvaluationError> {
        let (data, worker) = (snapshot.data(), &mut self.worker);
        let mut cost = Cost::default();
        if unit.is_compiled() {
            cost.instructions = worker.instructions(unit, entry, input, data)?;
            // what is shared is computed once for an object, and measured by itself
            let shared = SharedValues::default();
            let mut run = || worker.evaluate(unit, entry, input, data, &shared, LIMIT).map(drop);
            run()?;
            cost.rvm = Some(median(self.how.runs, &mut run)?);
            cost.allocations = self.how.allocations.map(|count| count(&mut || drop(run())));
        }
        if self.how.interpreter || !unit.is_compiled() {
            let mut run = || worker.evaluate_on(EngineKind::Interpreter, unit, entry, input, data, LIMIT).map(drop);
            run()?;
            cost.interpreter = Some(median(self.how.runs, &mut run)?);
        }
        worker.take_times().clear();
        Ok(cost)
    }

    fn shared(&mut self, unit: &Unit, rule: &str, input: &Value, snapshot: &Snapshot) -> Result<Cost, EvaluationError> {
        let (data, worker) = (snapshot.data(), &mut self.worker);
        let instructions = worker.shared_instructions(unit, rule, input, data)?;
        let mut run = || worker.run_shared(unit, rule, input, data, LIMIT).map(drop);
        run()?;
        let rvm = Some(median(self.how.runs, &mut run)?);
        let allocations = self.how.allocations.map(|count| count(&mut || drop(run())));
        Ok(Cost { instructions, allocations, rvm, interpreter: None })
    }
}

/// The median time of some runs.
fn median(runs: usize, run: &mut dyn FnMut() -> Result<(), EvaluationError>) -> Result<Duration, EvaluationError> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let started = Instant::now();
        run()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}
