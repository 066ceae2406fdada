//! Why a rule is what it is for one input: which of its bodies held, and where the others stopped.
//!
//! [`syntax`] reads modules, [`step`] runs one statement for given bindings, [`follow`] goes into the helper functions and rules
//! that made a statement fail. All of it runs on the interpreter, with the values that the real evaluation would see.
//! What cannot be told apart this way is said to be so ([`Outcome::Untold`]); nothing is guessed.

mod follow;
mod step;
mod syntax;

use super::analysis;
use super::builtins::{self, short};
use super::compile::CompileError;
use super::evaluate::Data;
use super::tree;
use super::value::to_json;
use regorus::Engine;
use regorus::utils::limits::ExecutionTimerConfig;
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use step::{Bindings, KEY, Step, Value};
use syntax::{Body, Definition, Head, bare, kind};

pub use syntax::Syntax;

/// Bindings that are followed at once. A loop over more is not told in parts.
const MOST: usize = 10_000;

/// Iterations that are shown of those that stopped at one statement.
const SHOWN: usize = 3;

/// Steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// How far a trace goes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Levels of helper functions and rules.
    pub depth: usize,
    /// Time for one rule.
    pub time: Duration,
}

/// Why a rule is what it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RuleTrace {
    /// Its definitions, in the order of the source.
    pub definitions: Vec<DefinitionTrace>,
    /// Facts (`data.cluster.…`) that were asked for on the way, and whether they were there.
    pub facts: BTreeMap<String, bool>,
}

/// One definition of a rule or function.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DefinitionTrace {
    /// File of the module.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// What a partial rule got from it; empty for others.
    pub members: Vec<Json>,
    /// Its bodies: the first, then those after `else`.
    pub bodies: Vec<BodyTrace>,
}

/// One body.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BodyTrace {
    /// Line, from 1.
    pub line: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// For how many bindings of its variables it held.
    pub times: usize,
    /// What the rule is by this body; left out for members of a set, and where the body did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Json>,
    /// Where it stopped; of a body with loops that held, the iterations that did not.
    pub stops: Vec<Stop>,
    /// Where its value comes from, when that is undefined, false or empty.
    pub because: Vec<Follow>,
}

/// What came of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It held.
    Held,
    /// A statement did not.
    Stopped,
    /// It stands after `else`, and one before it held.
    NotReached,
    /// It cannot be told, and why.
    Untold(String),
}

/// A statement at which a body stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stop {
    /// Line, from 1.
    pub line: u64,
    /// The statement.
    pub expression: String,
    /// How many iterations stopped here.
    pub iterations: usize,
    /// What it saw, for the first of them.
    pub seen: Vec<Vec<Seen>>,
    /// What made it fail, for the first of them.
    pub because: Vec<Follow>,
}

/// An expression and its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// The expression.
    pub expression: String,
    /// Its value; `None` when it is undefined.
    pub value: Option<Json>,
}

/// A helper function, rule or comprehension that made a statement fail.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Follow {
    /// The expression.
    pub expression: String,
    /// Its value; `None` when it is undefined.
    pub value: Option<Json>,
    /// Its definitions; none where the trace ends here.
    pub definitions: Vec<DefinitionTrace>,
}

/// Traces rules of a policy set, or of the part of it that they need.
pub struct Tracer<'s> {
    syntax: &'s Syntax,
    /// Without data.
    base: Engine,
    engine: Engine,
    data: Option<u64>,
    input: Value,
    until: Instant,
    facts: BTreeMap<String, bool>,
    /// Functions and rules that were looked through for facts, with their arguments.
    looked: BTreeSet<(String, Vec<Value>)>,
}

impl std::fmt::Debug for Tracer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tracer").finish_non_exhaustive()
    }
}

impl<'s> Tracer<'s> {
    /// A tracer for rules, by full name, and all that they need.
    ///
    /// # Errors
    /// When the engine does not take the modules.
    pub fn new(syntax: &'s Syntax, rules: &[String]) -> Result<Self, CompileError> {
        let roots: Vec<&str> = rules.iter().map(String::as_str).collect();
        let all = analysis::closure(&syntax.rules, &roots);
        let package = |rule: &String| rule.rsplit_once('.').map(|(package, _)| package.to_owned());
        let packages: BTreeSet<String> = all.refers.iter().chain(rules).filter_map(package).collect();
        let mut base = Engine::new();
        base.set_strict_builtin_errors(true);
        for module in syntax.modules.iter().filter(|module| packages.contains(&module.package)) {
            base.add_policy(module.file.clone(), module.interpreted.clone()).map_err(|error| {
                CompileError::Prepare { package: module.package.clone(), problem: short(&error.to_string()) }
            })?;
        }
        Ok(Self {
            syntax,
            engine: base.clone(),
            base,
            data: None,
            input: Value::new_object(),
            until: Instant::now(),
            facts: BTreeMap::new(),
            looked: BTreeSet::new(),
        })
    }

    /// Traces one rule. Empty where there is no such rule.
    pub fn rule(&mut self, rule: &str, input: &Value, data: &Data, limits: Limits) -> RuleTrace {
        self.until = Instant::now() + limits.time;
        self.facts.clear();
        self.looked.clear();
        if self.data != Some(data.version()) {
            self.engine = self.base.clone();
            // what cannot be added shows as statements that cannot be run
            let added = self.engine.add_data(data.root.clone());
            self.data = added.is_ok().then(|| data.version());
        }
        self.input = input.clone();
        let definitions = self.trace(rule, &[], limits.depth);
        RuleTrace { definitions, facts: std::mem::take(&mut self.facts) }
    }

    /// The definitions of a rule or function, for arguments.
    fn trace(&mut self, rule: &str, arguments: &[Value], depth: usize) -> Vec<DefinitionTrace> {
        let syntax = self.syntax;
        syntax.definitions(rule).iter().map(|definition| self.definition(definition, arguments, depth)).collect()
    }

    fn definition(&mut self, definition: &Definition<'s>, arguments: &[Value], depth: usize) -> DefinitionTrace {
        let mut trace = DefinitionTrace {
            file: definition.module.file.clone(),
            line: definition.line,
            members: Vec::new(),
            bodies: Vec::new(),
        };
        if let Some(default) = definition.default {
            let value = self.values(definition, default, &[Bindings::new()]).ok().and_then(|mut found| found.pop()?);
            let (line, value) = (definition.line, value.as_ref().and_then(to_json));
            let (stops, because) = (Vec::new(), Vec::new());
            trace.bodies.push(BodyTrace { line, outcome: Outcome::Held, times: 1, value, stops, because });
            return trace;
        }
        let bound = match self.bind(definition, arguments) {
            Ok(bound) => bound,
            Err(stopped) => {
                trace.bodies.push(*stopped);
                return trace;
            }
        };
        let mut reached = true;
        for body in &definition.bodies {
            if !reached {
                let (line, outcome) = (body.line, Outcome::NotReached);
                trace.bodies.push(BodyTrace::new(line, outcome));
                continue;
            }
            let (found, solutions) = self.body(definition, body, &bound, depth);
            reached = found.outcome == Outcome::Stopped;
            if let Head::Member(key) = &definition.head {
                match self.values(definition, key, &solutions) {
                    Ok(values) => trace.members.extend(values.iter().flatten().filter_map(to_json)),
                    Err(reason) => trace.bodies.push(BodyTrace::new(body.line, Outcome::Untold(reason))),
                }
            }
            trace.bodies.push(found);
        }
        trace.members.sort_by_key(Json::to_string);
        trace.members.dedup();
        trace
    }

    /// The bindings that arguments give the variables of a head. An error is a definition that is for other arguments.
    fn bind(&mut self, definition: &Definition<'s>, arguments: &[Value]) -> Result<Bindings, Box<BodyTrace>> {
        let mut bound = Bindings::new();
        let Head::Value(patterns) = &definition.head else { return Ok(bound) };
        for (pattern, argument) in patterns.iter().zip(arguments) {
            match kind(pattern) {
                Some(("Var", body)) => {
                    if let Some(name) = body.get("value").and_then(Json::as_str).filter(|name| *name != "_") {
                        bound.insert(name.to_owned(), argument.clone());
                    }
                }
                _ => {
                    let key = "argument";
                    let given = Bindings::from([(key.to_owned(), argument.clone())]);
                    let found = step::pattern_query(definition, pattern, key)
                        .ok_or_else(|| "the head cannot be read".to_owned())
                        .and_then(|(query, names)| Ok((self.rows(&query, &[given])?, names)));
                    match found {
                        Err(reason) => return Err(Box::new(BodyTrace::new(definition.line, Outcome::Untold(reason)))),
                        Ok((rows, names)) => match rows.into_iter().next() {
                            Some((_, values)) => bound.extend(names.into_iter().zip(values)),
                            None => {
                                let seen = Seen { expression: "argument".to_owned(), value: to_json(argument) };
                                let stop = Stop {
                                    line: definition.line,
                                    expression: format!("argument {}", definition.module.shown(pattern)),
                                    iterations: 1,
                                    seen: vec![vec![seen]],
                                    because: Vec::new(),
                                };
                                let body = BodyTrace::new(definition.line, Outcome::Stopped);
                                return Err(Box::new(BodyTrace { stops: vec![stop], ..body }));
                            }
                        },
                    }
                }
            }
        }
        Ok(bound)
    }

    /// One body: what came of it, and the bindings for which it held.
    fn body(
        &mut self,
        definition: &Definition<'s>,
        body: &Body<'s>,
        bound: &Bindings,
        depth: usize,
    ) -> (BodyTrace, Vec<Bindings>) {
        let mut trace = BodyTrace::new(body.line, Outcome::Held);
        let (mut stops, solutions) = match self.statements(definition, &body.statements, vec![bound.clone()]) {
            Ok(found) => found,
            Err(reason) => return (BodyTrace { outcome: Outcome::Untold(reason), ..trace }, Vec::new()),
        };
        trace.times = solutions.len();
        if solutions.is_empty() {
            trace.outcome = Outcome::Stopped;
        } else if let Head::Value(_) = definition.head {
            self.value(definition, body, &solutions, depth, &mut trace);
        }
        trace.stops.splice(0..0, stops.drain(..).map(|stop| self.told(definition, &body.statements, &stop, depth)));
        let solutions = if trace.outcome == Outcome::Held { solutions } else { Vec::new() };
        (trace, solutions)
    }

    /// The value that a body gives a rule.
    fn value(
        &mut self,
        definition: &Definition<'s>,
        body: &Body<'s>,
        solutions: &[Bindings],
        depth: usize,
        trace: &mut BodyTrace,
    ) {
        let Some(expression) = body.value else {
            trace.value = Some(Json::Bool(true));
            return;
        };
        let first = solutions.get(..1).unwrap_or_default();
        match self.values(definition, expression, first).map(|mut found| found.pop().flatten()) {
            Err(reason) => trace.outcome = Outcome::Untold(reason),
            Ok(Some(value)) => {
                trace.value = to_json(&value);
                if follow::is_bad(Some(&value)) {
                    trace.because = self.follow(definition, &body.statements, expression, first, depth);
                }
            }
            Ok(None) => {
                let (line, iterations) = (tree::line(expression), solutions.len());
                let (seen, because) = (
                    first.iter().map(|bound| self.seen(definition, &body.statements, expression, bound)).collect(),
                    self.follow(definition, &body.statements, expression, first, depth),
                );
                let expression = format!("value {}", definition.module.shown(expression));
                trace.outcome = Outcome::Stopped;
                trace.times = 0;
                trace.stops.push(Stop { line, expression, iterations, seen, because });
            }
        }
    }

    /// Runs statements in an order in which each has what it needs. The bindings for which all hold, and where the others
    /// stopped.
    fn statements(
        &mut self,
        definition: &Definition<'s>,
        statements: &[&'s Json],
        mut bindings: Vec<Bindings>,
    ) -> Result<(Vec<Stopped<'s>>, Vec<Bindings>), String> {
        let steps = statements.iter().map(|node| Step::new(definition, node)).collect::<Option<Vec<_>>>();
        let mut steps = steps.ok_or("a statement has a form that is not known")?;
        let mut stops = Vec::new();
        while !steps.is_empty() && !bindings.is_empty() {
            let bound: BTreeSet<String> = bindings.first().into_iter().flat_map(|b| b.keys().cloned()).collect();
            let Some(next) = steps.iter().position(|step| step.is_ready(&bound)) else {
                return Err("no statement has all values that it needs".to_owned());
            };
            let step = steps.remove(next);
            if step.declares {
                continue;
            }
            self.look(definition, step.node, &bindings);
            let (query, names) = step.query(&bound);
            let mut after = Vec::new();
            let mut held = BTreeSet::new();
            for (position, values) in self.rows(&query, &bindings)? {
                let Some(before) = bindings.get(position) else { continue };
                held.insert(position);
                let mut binding = before.clone();
                binding.extend(names.iter().cloned().zip(values));
                after.push(binding);
            }
            let stopped = bindings.iter().enumerate().filter(|(position, _)| !held.contains(position));
            let stopped: Vec<Bindings> = stopped.map(|(_, binding)| binding.clone()).collect();
            if !stopped.is_empty() {
                stops.push(Stopped { node: step.node, bindings: stopped });
            }
            bindings = after;
        }
        Ok((stops, bindings))
    }

    /// The values of an expression for bindings; `None` where it is undefined.
    fn values(
        &mut self,
        definition: &Definition<'s>,
        node: &Json,
        bindings: &[Bindings],
    ) -> Result<Vec<Option<Value>>, String> {
        let Some(first) = bindings.first() else { return Ok(Vec::new()) };
        let bound = first.keys().cloned().collect();
        let query = step::value_query(definition, node, &bound).ok_or("it has variables without a value")?;
        let mut found: Vec<Option<Value>> = vec![None; bindings.len()];
        for (position, values) in self.rows(&query, bindings)? {
            if let Some(slot) = found.get_mut(position) {
                *slot = values.into_iter().next();
            }
        }
        Ok(found)
    }

    /// Runs a query for bindings: for each that it holds for, the position and the values that it answers with.
    fn rows(&mut self, query: &str, bindings: &[Bindings]) -> Result<Vec<(usize, Vec<Value>)>, String> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err("the time for it was over".to_owned());
        }
        if bindings.len() > MOST {
            return Err(format!("it loops more than {MOST} times"));
        }
        let list: Vec<Value> = bindings
            .iter()
            .map(|b| {
                Value::from(b.iter().map(|(k, v)| (Value::from(k.as_str()), v.clone())).collect::<BTreeMap<_, _>>())
            })
            .collect();
        let mut input = self.input.clone();
        input.as_object_mut().map_err(|e| e.to_string())?.insert(Value::from(KEY), Value::from(list));
        let engine = &mut self.engine;
        engine.set_input(input);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: left, check_interval: CHECK_INTERVAL });
        let _ = builtins::take_error();
        let answer = catch_unwind(AssertUnwindSafe(|| engine.eval_query(query.to_owned(), false)));
        let results = match answer {
            Ok(Ok(results)) => results,
            Ok(Err(error)) => return Err(format!("the engine failed: {}", short(&error.to_string()))),
            Err(_) => {
                self.data = None;
                self.until = Instant::now();
                return Err("the engine panicked".to_owned());
            }
        };
        let expression = results.result.first().and_then(|result| result.expressions.first());
        let rows = expression.map(|e| &e.value).and_then(|value| value.as_array().ok());
        let rows = rows.ok_or("the engine gave no answer")?;
        let row = |row: &Value| {
            let mut values = row.as_array().ok()?.iter().cloned();
            let position = values.next()?.as_u64().ok()?;
            Some((usize::try_from(position).ok()?, values.collect()))
        };
        Ok(rows.iter().filter_map(row).collect())
    }
}

/// A statement and the bindings for which it did not hold.
struct Stopped<'s> {
    node: &'s Json,
    bindings: Vec<Bindings>,
}

impl BodyTrace {
    const fn new(line: u64, outcome: Outcome) -> Self {
        Self { line, outcome, times: 0, value: None, stops: Vec::new(), because: Vec::new() }
    }
}

impl DefinitionTrace {
    /// Whether one of its bodies held.
    #[must_use]
    pub fn held(&self) -> bool {
        self.bodies.iter().any(|body| body.outcome == Outcome::Held)
    }
}

/// What stands at the left of an assignment that is a whole statement, where it is one variable: its name and the right side.
fn assigned(statement: &Json) -> Option<(String, &Json)> {
    let assignment = statement.get("literal")?.get("Expr")?.get("expr")?.get("AssignExpr")?;
    let mut names = BTreeSet::new();
    bare(assignment.get("lhs")?, &mut names);
    let (kind, _) = kind(assignment.get("lhs")?)?;
    (kind == "Var").then(|| names.pop_first()).flatten().zip(assignment.get("rhs"))
}
