//! Runs one policy on one input, on this thread, within a time limit.
//!
//! A [`Worker`] belongs to one thread and keeps a machine for each policy: shared ones slow each other down by reference
//! counts. Whatever goes wrong inside is an error of that one policy.

use super::builtins;
use super::compile::{EngineKind, Entry, Modules, Unit};
use super::coverage::Coverage;
use super::shared::SharedValues;
use regorus::rvm::program::Program;
use regorus::rvm::vm::{RegoVM, VmError};
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{CompiledPolicy, Engine, Value};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Why a policy has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Longer than it may.
    #[error("took longer than its share of {} ms", .0.as_millis())]
    Timeout(Duration),
    /// A builtin failed, for example on a value of an unexpected type.
    #[error("{0}")]
    Builtin(String),
    /// The engine failed otherwise.
    #[error("{0}")]
    Engine(String),
    /// The engine panicked; the machine was thrown away.
    #[error("the engine panicked: {0}")]
    Panic(String),
}

impl EvaluationError {
    /// A bounded word for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Builtin(_) => "builtin",
            Self::Engine(_) => "error",
            Self::Panic(_) => "panic",
        }
    }
}

/// The document `data`, the same for all requests of a snapshot.
#[derive(Debug, Clone)]
pub struct Data {
    version: u64,
    pub(super) root: Value,
}

static NEXT_VERSION: AtomicU64 = AtomicU64::new(1);

impl Data {
    /// A new version of the document.
    #[must_use]
    pub fn new(root: Value) -> Self {
        Self { version: NEXT_VERSION.fetch_add(1, Ordering::Relaxed), root }
    }
}

/// Bound of instructions of the RVM; the time limit ends an evaluation long before.
pub(super) const MAX_INSTRUCTIONS: usize = 1_000_000_000;

/// Steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// Machines, and times, kept by one worker before it starts afresh (policy sets come and go by reloading).
const MAX_MACHINES: usize = 1024;

/// The machines of one thread.
#[derive(Default)]
pub struct Worker {
    /// By unit: the data version that the machine has, and the machine.
    machines: HashMap<u64, (u64, RegoVM)>,
    /// The interpreter of the last modules and data version.
    interpreter: Option<(Arc<Modules>, u64, Engine)>,
    /// The engine that answers whatever the policy says.
    forced: Option<EngineKind>,
    /// Packages and how long their rules took, since they were last taken.
    times: Vec<(String, Duration)>,
    /// The part of the evaluation under way that went into shared rules.
    shared_time: Duration,
    /// Which lines the interpreter evaluated, where that is wanted.
    coverage: Option<Coverage>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("machines", &self.machines.len()).finish_non_exhaustive()
    }
}

impl Worker {
    /// A worker without machines; they are made as policies are evaluated.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A worker that answers everything with one engine, to compare the two.
    #[must_use]
    pub fn forced(kind: EngineKind) -> Self {
        Self { forced: Some(kind), ..Self::default() }
    }

    /// A worker that answers everything with the interpreter and notes which lines it evaluates.
    #[must_use]
    pub fn covering() -> Self {
        Self { coverage: Some(Coverage::default()), ..Self::forced(EngineKind::Interpreter) }
    }

    /// The lines that were evaluated since the last call.
    pub fn take_coverage(&mut self) -> Coverage {
        self.note_coverage();
        self.coverage.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Adds what the interpreter has evaluated.
    fn note_coverage(&mut self) {
        if let (Some(coverage), Some((_, _, engine))) = (&mut self.coverage, &mut self.interpreter) {
            coverage.add(engine);
            engine.clear_coverage_data();
        }
    }

    /// How long the rules of policies and the shared ones (by package) took since the last call.
    pub fn take_times(&mut self) -> Vec<(String, Duration)> {
        std::mem::take(&mut self.times)
    }

    /// Evaluates one rule of a policy with the engine that answers for it. Undefined where the policy has no such rule.
    /// `shared` belongs to the object under review and is filled here.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn evaluate(
        &mut self,
        unit: &Unit,
        entry: Entry,
        input: &Value,
        data: &Data,
        shared: &SharedValues,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        let kind = self.forced.unwrap_or_else(|| unit.engine());
        self.run(kind, unit, entry, input, data, shared, limit)
    }

    /// Evaluates on a given engine and shares nothing, to compare the two.
    ///
    /// # Errors
    /// As [`Worker::evaluate`]; also when the RVM is asked for and the policy has no program.
    pub fn evaluate_on(
        &mut self,
        kind: EngineKind,
        unit: &Unit,
        entry: Entry,
        input: &Value,
        data: &Data,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        self.run(kind, unit, entry, input, data, &SharedValues::default(), limit)
    }

    #[allow(clippy::too_many_arguments, reason = "what an evaluation depends on, each a different thing")]
    fn run(
        &mut self,
        kind: EngineKind,
        unit: &Unit,
        entry: Entry,
        input: &Value,
        data: &Data,
        shared: &SharedValues,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        if !unit.has(entry) {
            return Ok(Value::Undefined);
        }
        if limit.is_zero() {
            return Err(EvaluationError::Timeout(limit));
        }
        let timer = ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL };
        let started = Instant::now();
        let _ = builtins::take_error();
        let rule = format!("{}.{}", unit.package, entry.rule());
        let result = catch_unwind(AssertUnwindSafe(|| match kind {
            EngineKind::Rvm => self.rvm(unit, &rule, input, data, shared, timer),
            EngineKind::Interpreter => self.interpreter(&unit.modules, &rule, input, data, timer),
        }));
        let builtin = builtins::take_error();
        if self.times.len() < MAX_MACHINES {
            let of_shared = std::mem::take(&mut self.shared_time);
            self.times.push((unit.package.clone(), started.elapsed().saturating_sub(of_shared)));
            if let Some((rules, _)) = unit.shared.as_ref().filter(|_| !of_shared.is_zero()) {
                self.times.push((rules.package.clone(), of_shared));
            }
        }
        self.settle(result, builtin, started, limit)
    }

    /// Evaluates one rule that belongs to no policy (`data.seawall.lib.x.y`), on the interpreter and without an input. Undefined
    /// where the modules have no such rule.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn query(
        &mut self,
        modules: &Arc<Modules>,
        rule: &str,
        data: &Data,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        if !modules.rules.contains_key(rule) {
            return Ok(Value::Undefined);
        }
        let timer = ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL };
        let started = Instant::now();
        let _ = builtins::take_error();
        let input = Value::new_object();
        let result = catch_unwind(AssertUnwindSafe(|| self.interpreter(modules, rule, &input, data, timer)));
        self.settle(result, builtins::take_error(), started, limit)
    }

    /// Evaluates one of the shared rules (see [`super::shared`]) for an input, by its full name. Undefined where the modules have
    /// no such rule.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn shared(
        &mut self,
        modules: &Modules,
        rule: &str,
        input: &Value,
        data: &Data,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        let Some((rules, _)) = modules.shared.as_ref().filter(|_| modules.rules.contains_key(rule)) else {
            return Ok(Value::Undefined);
        };
        let timer = ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL };
        let started = Instant::now();
        let _ = builtins::take_error();
        let run = || self.execute(rules.id, &rules.compiled, rule, input, data, timer);
        let result = catch_unwind(AssertUnwindSafe(run));
        self.settle(result, builtins::take_error(), started, limit)
    }

    /// What an evaluation gave, or why it cannot be trusted.
    fn settle(
        &mut self,
        result: std::thread::Result<Result<Value, EvaluationError>>,
        builtin: Option<String>,
        started: Instant,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        match result {
            Err(panic) => {
                self.machines.clear();
                self.interpreter = None;
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|t| (*t).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned());
                Err(EvaluationError::Panic(text.unwrap_or_default()))
            }
            Ok(Err(error)) => Err(if started.elapsed() >= limit { EvaluationError::Timeout(limit) } else { error }),
            // a limit error can be hidden by another clause of the same function, a builtin error by the rule's end
            Ok(Ok(_)) if started.elapsed() >= limit => Err(EvaluationError::Timeout(limit)),
            Ok(Ok(value)) => builtin.map_or(Ok(value), |error| Err(EvaluationError::Builtin(error))),
        }
    }

    fn rvm(
        &mut self,
        unit: &Unit,
        rule: &str,
        input: &Value,
        data: &Data,
        shared: &SharedValues,
        timer: ExecutionTimerConfig,
    ) -> Result<Value, EvaluationError> {
        let Some(compiled) = &unit.compiled else {
            return Err(EvaluationError::Engine("the policy has no compiled program".to_owned()));
        };
        match &unit.shared {
            Some((rules, read)) => {
                let started = Instant::now();
                let mut computed = false;
                let compute = |rule: &str| {
                    computed = true;
                    self.execute(rules.id, &rules.compiled, rule, input, data, timer)
                };
                let data = shared.data(rules, read, data, compute)?;
                if computed {
                    self.shared_time = started.elapsed();
                }
                self.execute(unit.id, compiled, rule, input, &data, timer)
            }
            None => self.execute(unit.id, compiled, rule, input, data, timer),
        }
    }

    /// Runs one rule of a program on this worker's machine for it.
    fn execute(
        &mut self,
        id: u64,
        compiled: &(Arc<Program>, CompiledPolicy),
        rule: &str,
        input: &Value,
        data: &Data,
        timer: ExecutionTimerConfig,
    ) -> Result<Value, EvaluationError> {
        let machine = self.machine(id, compiled, data)?;
        machine.set_input(input.clone());
        machine.set_execution_timer_config(Some(timer));
        let result = machine.execute_entry_point_by_name(rule);
        machine.set_input(Value::Null);
        result.map_err(|e| engine_error(&e))
    }

    /// This worker's machine for a program, with the data.
    pub(super) fn machine(
        &mut self,
        id: u64,
        (program, compiled): &(Arc<Program>, CompiledPolicy),
        data: &Data,
    ) -> Result<&mut RegoVM, EvaluationError> {
        if self.machines.len() > MAX_MACHINES {
            self.machines.clear();
        }
        let (version, machine) = self.machines.entry(id).or_insert_with(|| {
            let mut machine = RegoVM::new_with_policy(compiled.clone());
            machine.load_program(program.clone());
            machine.set_max_instructions(MAX_INSTRUCTIONS);
            // not strict: a failing builtin is noted by its wrapper, and strict mode would also refuse to compare values
            // of different types, which Rego orders
            machine.set_strict_builtin_errors(false);
            (0, machine)
        });
        if *version != data.version {
            machine.set_data(data.root.clone()).map_err(|e| engine_error(&e))?;
            *version = data.version;
        }
        Ok(machine)
    }

    fn interpreter(
        &mut self,
        modules: &Arc<Modules>,
        rule: &str,
        input: &Value,
        data: &Data,
        timer: ExecutionTimerConfig,
    ) -> Result<Value, EvaluationError> {
        let error = |e: &dyn std::fmt::Display| EvaluationError::Engine(builtins::short(&e.to_string()));
        let fits = self
            .interpreter
            .as_ref()
            .is_some_and(|(own, version, _)| Arc::ptr_eq(own, modules) && *version == data.version);
        if !fits {
            self.note_coverage();
            let mut engine = modules.engine();
            engine.add_data(data.root.clone()).map_err(|e| error(&e))?;
            // the first evaluation prepares the modules; clones of the engine need not do it again
            engine.set_execution_timer_config(timer);
            engine.set_input(Value::new_object());
            let _ = engine.eval_rule(rule.to_owned());
            let _ = builtins::take_error();
            engine.set_enable_coverage(self.coverage.is_some());
            self.interpreter = Some((modules.clone(), data.version, engine));
        }
        let Some((_, _, base)) = &mut self.interpreter else {
            return Err(EvaluationError::Engine("no interpreter".to_owned()));
        };
        base.set_execution_timer_config(timer);
        if self.coverage.is_some() {
            // what is covered would be lost with a clone; the engine clears all else before it evaluates
            base.set_input(input.clone());
            return base.eval_rule(rule.to_owned()).map_err(|e| error(&e));
        }
        // evaluated on a clone: nothing of one request is left for the next
        let mut engine = base.clone();
        engine.set_input(input.clone());
        engine.eval_rule(rule.to_owned()).map_err(|e| error(&e))
    }
}

pub(super) fn engine_error(error: &VmError) -> EvaluationError {
    EvaluationError::Engine(builtins::short(&error.to_string()))
}
