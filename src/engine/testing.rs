//! `test_` rules of `_test.rego` files: listed from their syntax trees, so that one without a value is a failure and never missing,
//! and run on the interpreter and, where it compiles them and can be trusted with them, on the RVM.
//!
//! As in `opa test`: a test passes when its value is `true`, `todo_test_` is left out, and of several definitions of one name each is
//! a test of its own (`test_x`, `test_x#01`). Stricter: a builtin that fails makes a test fail, as it makes a policy fail.

use super::analysis::{self, Module, Refused, Rule, Rules, Walk};
use super::builtins;
use super::compile::{self, CompileError, Modules, Source};
use super::coverage::Coverage;
use super::evaluate::EvaluationError;
use super::replaced;
use super::rewrite;
use super::tree;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{CompiledPolicy, Engine, Value};
use serde_json::Value as Json;
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Steps between two looks at the clock.
const CHECK_INTERVAL: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// One `test_` rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRule {
    /// Its file.
    pub file: String,
    /// Line of its head, from 1.
    pub line: u64,
    /// Line of its end.
    pub last_line: u64,
    /// Full package: `data.seawall.policies.x_test`.
    pub package: String,
    /// Name as OPA shows it: `test_x`, `test_x#01` for a second definition.
    pub name: String,
    /// Why nothing could run it, for example because it takes arguments.
    pub unusable: Option<&'static str>,
    /// `todo_test_`: not run.
    pub todo: bool,
    /// Name of the rule in the engines.
    rule: String,
    /// A construct that the interpreter gets wrong as well.
    pub doubtful: Option<String>,
    /// Why the RVM is not asked.
    distrusted: Option<String>,
}

/// Test modules beside the modules that they test, ready to be run by any number of threads.
#[derive(Debug)]
pub struct TestModules {
    engine: Engine,
    rewritten: Option<CompiledPolicy>,
    data: Value,
    sources: Vec<Source>,
    /// The tests, in the order of files and lines.
    pub tests: Vec<TestRule>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// The value of the rule on the interpreter; undefined where it has none.
    pub value: Result<Value, EvaluationError>,
    /// What the RVM says.
    pub rvm: RvmAnswer,
    /// What the test printed.
    pub prints: Vec<String>,
    /// The last line of the rule that was evaluated, where it did not hold.
    pub ended_at: Option<u64>,
}

/// What the RVM makes of a test.
#[derive(Debug, Clone, PartialEq)]
pub enum RvmAnswer {
    /// The same value.
    Same,
    /// Something else.
    Differs(Result<Value, EvaluationError>),
    /// It was not asked, and why.
    NotAsked(String),
}

impl TestModules {
    /// Prepares test modules beside the modules that they test. `data` is the document that they see.
    ///
    /// # Errors
    /// When one does not parse, a rule calls itself, or the engine cannot prepare them.
    pub fn prepare(modules: &Modules, sources: &[Source], data: Value) -> Result<Self, CompileError> {
        let prepare = |problem: String| CompileError::Prepare { package: "the tests".to_owned(), problem };
        let (trees, renamed) = one_name_each(sources)?;
        let trees = values_first(trees)?;
        let own: Vec<Module<'_>> = trees.as_array().into_iter().flatten().filter_map(Module::new).collect();
        let (rules, distrusted, refused) = analyse(&own, &modules.rules);
        if !refused.is_empty() {
            return Err(CompileError::Refused(refused));
        }
        let mut tests: Vec<TestRule> = own.iter().flat_map(|module| listed(module, &renamed)).collect();
        for test in &mut tests {
            let full = format!("{}.{}", test.package, test.rule);
            let reads = analysis::closure(&rules, &[full.as_str()]).refers;
            let found: Vec<_> = std::iter::once(&full).chain(&reads).filter_map(|rule| distrusted.get(rule)).collect();
            test.distrusted = found.first().map(|(problem, _)| problem.clone());
            test.doubtful = found.iter().find_map(|(_, doubtful)| doubtful.clone());
        }
        tests.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        let (mut engine, mut rewritten) = (modules.engine(), modules.rewritten_engine.clone());
        let mut compiles = true;
        for tree in trees.as_array().into_iter().flatten() {
            let text = |key: &str| tree.get("source").and_then(|s| s.get(key)?.as_str()).unwrap_or_default();
            let (file, imports) = (text("file"), tree::imports(tree));
            let tree = tree.get("ast").unwrap_or(&Json::Null);
            let written = rewrite::for_interpreter(text("contents"), tree, &imports);
            engine.add_policy(file.to_owned(), written).map_err(|e| prepare(e.to_string()))?;
            // what the RVM cannot have is left to the interpreter
            let module = rewrite::for_rvm(text("contents"), tree, &imports).ok();
            compiles &= module.is_some_and(|module| rewritten.add_policy(file.to_owned(), module).is_ok());
        }
        engine.add_data(data.clone()).map_err(|e| prepare(e.to_string()))?;
        let any = tests.iter().map(|test| format!("{}.{}", test.package, test.rule)).next();
        let mut compiled = None;
        if let Some(any) = any {
            // preparing names every function that is not there, so it is done before any test runs
            let entry = any.as_str().into();
            engine.compile_with_entrypoint(&entry).map_err(|e| prepare(e.to_string().trim().to_owned()))?;
            compiled = rewritten.compile_with_entrypoint(&entry).ok().filter(|_| compiles);
        }
        Ok(Self { engine, rewritten: compiled, data, sources: sources.to_vec(), tests })
    }

    /// The text of a test file.
    #[must_use]
    pub fn text(&self, file: &str) -> Option<&str> {
        self.sources.iter().find(|source| source.file == file).map(|source| source.text.as_str())
    }

    /// Runs a test on the interpreter and, with `both`, on the RVM, each within the limit.
    #[must_use]
    pub fn run(&self, test: &TestRule, limit: Duration, both: bool, coverage: Option<&mut Coverage>) -> Tested {
        let rule = format!("{}.{}", test.package, test.rule);
        let mut engine = self.engine.clone();
        let gathers = coverage.is_some();
        engine.set_enable_coverage(gathers);
        let value = self.interpret(&mut engine, &rule, limit);
        let prints = engine.take_prints().unwrap_or_default();
        if let Some(coverage) = coverage {
            coverage.add(&engine);
        }
        let holds = matches!(value, Ok(Value::Bool(true)));
        let ended_at = (!holds).then(|| self.ended_at(test, &rule, limit)).flatten();
        let rvm = match &value {
            Ok(_) if !both => RvmAnswer::NotAsked("the engines are not compared".to_owned()),
            // an interpreter that has no answer has nothing to compare
            Err(_) => RvmAnswer::NotAsked("the interpreter has no answer".to_owned()),
            Ok(value) => match self.compiled(test, &rule, limit) {
                Err(reason) => RvmAnswer::NotAsked(reason),
                Ok(Ok(found)) if found == *value => RvmAnswer::Same,
                Ok(found) => RvmAnswer::Differs(found),
            },
        };
        Tested { value, rvm, prints, ended_at }
    }

    fn interpret(&self, engine: &mut Engine, rule: &str, limit: Duration) -> Result<Value, EvaluationError> {
        engine.set_execution_timer_config(ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL });
        engine.set_input(Value::new_object());
        let _ = builtins::take_error();
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| engine.eval_rule(rule.to_owned())));
        let _ = builtins::take_error();
        match result {
            Err(panic) => Err(EvaluationError::Panic(panic_text(panic.as_ref()))),
            Ok(_) if started.elapsed() >= limit => Err(EvaluationError::Timeout(limit)),
            Ok(Err(error)) => Err(EvaluationError::Engine(builtins::short(&error.to_string()))),
            Ok(Ok(value)) => Ok(value),
        }
    }

    /// The last line of a test that was looked at.
    fn ended_at(&self, test: &TestRule, rule: &str, limit: Duration) -> Option<u64> {
        let mut engine = self.engine.clone();
        engine.set_enable_coverage(true);
        let _ = self.interpret(&mut engine, rule, limit);
        let mut coverage = Coverage::default();
        coverage.add(&engine);
        coverage.last_covered(&test.file, test.line, test.last_line)
    }

    /// The RVM's answer, or why it is not asked.
    fn compiled(&self, test: &TestRule, rule: &str, limit: Duration) -> Result<Result<Value, EvaluationError>, String> {
        if let Some(reason) = &test.distrusted {
            return Err(reason.clone());
        }
        let compiled = self.rewritten.as_ref().ok_or("the RVM cannot prepare the file")?;
        let program = compile::program(compiled, &[rule])?;
        let mut machine = RegoVM::new_with_policy(compiled.clone());
        machine.load_program(program);
        machine.set_strict_builtin_errors(false);
        machine.set_max_instructions(usize::MAX);
        machine.set_data(self.data.clone()).map_err(|e| e.to_string())?;
        machine.set_input(Value::new_object());
        machine.set_execution_timer_config(Some(ExecutionTimerConfig { limit, check_interval: CHECK_INTERVAL }));
        let _ = builtins::take_error();
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| machine.execute_entry_point_by_name(rule)));
        let builtin = builtins::take_error();
        Ok(match (result, builtin) {
            (Err(panic), _) => Err(EvaluationError::Panic(panic_text(panic.as_ref()))),
            _ if started.elapsed() >= limit => Err(EvaluationError::Timeout(limit)),
            (Ok(Err(error)), _) => Err(EvaluationError::Engine(builtins::short(&error.to_string()))),
            (Ok(Ok(_)), Some(error)) => Err(EvaluationError::Builtin(error)),
            (Ok(Ok(value)), None) => Ok(value),
        })
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// Whether a name is that of a test; true also for one that is to do.
fn is_test(name: &str) -> bool {
    name.starts_with("test_") || name.starts_with("todo_test_")
}

/// Names that were given to further definitions, by package and name: what OPA shows.
type Renamed = BTreeMap<(String, String), String>;

/// The syntax trees, in which every definition of a test has a name of its own.
fn one_name_each(sources: &[Source]) -> Result<(Json, Renamed), CompileError> {
    let trees = compile::trees(sources)?.trees;
    let mut renamed = Renamed::new();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut sources = sources.to_vec();
    for (source, printed) in sources.iter_mut().zip(trees.as_array().into_iter().flatten()) {
        let Some(module) = Module::new(printed) else { continue };
        // offsets are those of the text that was parsed
        let contents = printed.get("source").and_then(|s| s.get("contents")?.as_str()).unwrap_or_default();
        let mut text = contents.to_owned();
        let mut edits = Vec::new();
        for rule in definitions(&module) {
            let Some((name, start)) = head_name(rule).filter(|(name, _)| is_test(name)) else { continue };
            let key = (module.package.clone(), name.to_owned());
            let number = counts.entry(key).or_default();
            if *number > 0 {
                let new = format!("{name}__{number:02}");
                renamed.insert((module.package.clone(), new.clone()), format!("{name}#{number:02}"));
                edits.push((start, start + name.len(), new));
            }
            *number += 1;
        }
        for (start, end, new) in edits.into_iter().rev() {
            if text.is_char_boundary(start) && text.is_char_boundary(end) {
                text.replace_range(start..end, &new);
            }
        }
        source.text = text;
    }
    if renamed.is_empty() { Ok((trees, renamed)) } else { Ok((compile::trees(&sources)?.trees, renamed)) }
}

/// The syntax trees after the values of `with` were written out.
fn values_first(trees: Json) -> Result<Json, CompileError> {
    let mut changed = false;
    let source = |printed: &Json| {
        let text = |key: &str| printed.get("source").and_then(|s| s.get(key)?.as_str()).unwrap_or_default();
        let moved = replaced::written_out(text("contents"), printed.get("ast").unwrap_or(&Json::Null));
        changed |= moved.is_some();
        Source { file: text("file").to_owned(), text: moved.unwrap_or_else(|| text("contents").to_owned()) }
    };
    let sources: Vec<Source> = trees.as_array().into_iter().flatten().map(source).collect();
    if changed { Ok(compile::trees(&sources)?.trees) } else { Ok(trees) }
}

/// The rules of a module, without their defaults.
fn definitions<'t>(module: &Module<'t>) -> impl Iterator<Item = &'t Json> {
    let rules = module.tree.get("rules").and_then(Json::as_array);
    rules.into_iter().flatten().filter(|rule| rule.get("Spec").is_some())
}

/// The name in the head of a rule, and the offset at which it stands.
fn head_name(rule: &Json) -> Option<(&str, usize)> {
    let mut node = rule.get("Spec")?.get("head")?.as_object()?.values().next()?.get("refr")?;
    loop {
        if let Some(variable) = node.get("Var") {
            let start = variable.get("span")?.get("start")?.as_u64()?;
            return Some((variable.get("value")?.as_str()?, usize::try_from(start).ok()?));
        }
        node = node.as_object()?.values().next()?.get("refr")?;
    }
}

/// The tests of a module.
fn listed(module: &Module<'_>, renamed: &Renamed) -> Vec<TestRule> {
    let rules: Vec<&Json> = definitions(module).collect();
    let line = |rule: &Json| rule.get("Spec").and_then(|s| s.get("span")?.get("line")?.as_u64());
    let test = |(position, rule): (usize, &&Json)| {
        let (name, _) = head_name(rule).filter(|(name, _)| is_test(name))?;
        let head = rule.get("Spec")?.get("head")?.as_object()?;
        let kind = head.keys().next()?;
        let keys = tree::head_chain(rule).map(|chain| chain.keys).unwrap_or_default();
        let unusable = match kind.as_str() {
            "Func" => Some("it takes arguments, so nothing can run it; remove them, or name it otherwise"),
            "Set" => Some("it is a set, and a set is never `true`; write `test_x if { … }`"),
            _ if !keys.is_empty() => Some(
                "its head has a key, and a key that does not hold would be missing rather than false; write a rule of its own \
                 for each, or `every`",
            ),
            _ => None,
        };
        let first = line(rule)?;
        let next = rules.get(position + 1).and_then(|rule| line(rule)).filter(|next| *next > first);
        let shown = renamed.get(&(module.package.clone(), name.to_owned())).cloned();
        Some(TestRule {
            file: module.file.clone(),
            line: first,
            last_line: next.map_or(u64::MAX, |next| next - 1),
            package: module.package.clone(),
            name: shown.unwrap_or_else(|| name.to_owned()),
            unusable,
            todo: name.starts_with("todo_"),
            rule: name.to_owned(),
            doubtful: None,
            distrusted: None,
        })
    };
    rules.iter().enumerate().filter_map(test).collect()
}

/// Why the RVM is not asked, and what the interpreter gets wrong as well.
type Distrusted = (String, Option<String>);

/// What the rules of test modules call; of each rule that has a construct that the RVM gets wrong, which one; and rules that lead back to
/// themselves, which would overflow the stack.
fn analyse(own: &[Module<'_>], known: &Rules) -> (Rules, BTreeMap<String, Distrusted>, Vec<Refused>) {
    let ours = own.iter().flat_map(|m| m.own.iter().map(|rule| format!("{}.{rule}", m.package)));
    let names: BTreeSet<String> = known.keys().cloned().chain(ours).collect();
    let above = |name: &String| name.rsplit_once('.').map(|(package, _)| package.to_owned());
    let packages: BTreeSet<String> = names.iter().filter_map(above).collect();
    let mut rules = known.clone();
    let mut distrusted = BTreeMap::new();
    for module in own {
        for definition in module.tree.get("rules").and_then(Json::as_array).into_iter().flatten() {
            let mut refused = Vec::new();
            let mut walk =
                Walk { module, names: &names, packages: &packages, refused: &mut refused, rule: Rule::default() };
            let Some((name, (line, _))) = walk.definition(definition) else { continue };
            let found = walk.rule;
            let full = format!("{}.{name}", module.package);
            // a test may read any policy, and replace what it likes, but for that there is the interpreter
            refused.retain(|r| !r.problem.ends_with("belongs to another policy"));
            if let Some(first) = refused.first() {
                let with = refused.iter().any(|r| r.problem.starts_with("`with`"));
                let problem = if with { "it uses `with`".to_owned() } else { first.problem.clone() };
                let doubtful = refused.iter().find(|r| r.problem.contains("engines differ"));
                distrusted.entry(full.clone()).or_insert((problem, doubtful.map(|r| r.problem.clone())));
            }
            let rule = rules.entry(full).or_insert_with(|| Rule { at: (module.file.clone(), line), ..Rule::default() });
            rule.refers.extend(found.refers);
        }
    }
    let refused = analysis::recursions(&rules);
    (rules, distrusted, refused)
}
