//! Makes programs from Rego: all modules are parsed together, then each policy gets a small program of its own, so that
//! one policy's error, limit or panic is its own.

use super::analysis::{self, Construct, Refused, Rules};
use super::builtins::{self, short};
use super::guards::{self, Begun};
use super::negation;
use super::rewrite;
use super::shape;
use super::shared::{self, SharedRules};
use super::tree;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::program::Program;
use regorus::{CompiledPolicy, Engine};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Why modules were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Modules do not parse, all of them.
    #[error("{}", .0.iter().map(|e| format!("{e}; correct it there, `opa check` tells more")).collect::<Vec<_>>().join("\n"))]
    Parse(Vec<SyntaxError>),
    /// Constructs that are not loaded, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Refused(Vec<Refused>),
    /// The engine cannot prepare the modules (an undefined function, a conflict).
    #[error("{package}: {problem}")]
    Prepare {
        /// Package being prepared.
        package: String,
        /// The engine's words.
        problem: String,
    },
}

/// A module does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct SyntaxError {
    /// File of the module.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// The engine's words.
    pub problem: String,
}

impl SyntaxError {
    /// The engine draws an excerpt: `--> file:line:column` first, `error: …` last.
    pub(crate) fn of(file: &str, drawn: &str) -> Self {
        let place = drawn.lines().find_map(|line| line.trim().strip_prefix("--> ")).map(|place| {
            let mut parts = place.rsplitn(3, ':').map(|part| part.parse::<u64>().ok());
            let column = parts.next().flatten().unwrap_or(1);
            (parts.next().flatten().unwrap_or(1), column)
        });
        let (line, column) = place.unwrap_or((1, 1));
        Self { file: file.to_owned(), line: line.max(1), column: column.max(1), problem: short(drawn) }
    }
}

/// Parses one module by itself: what the engine prints of it (`source` and `ast`).
///
/// # Errors
/// When it does not parse.
pub fn syntax(source: &Source) -> Result<serde_json::Value, SyntaxError> {
    if let Some((line, problem)) = shape::too_deep(&source.text) {
        return Err(SyntaxError { file: source.file.clone(), line, column: 1, problem });
    }
    let mut engine = Engine::new();
    let error = |error: String| SyntaxError::of(&source.file, &error);
    engine.add_policy(source.file.clone(), source.text.clone()).map_err(|e| error(e.to_string()))?;
    let printed = engine.get_ast_as_json().map_err(|e| error(e.to_string()))?;
    let mut trees = parse_deep(&printed).map_err(|e| error(e.to_string()))?;
    Ok(trees.get_mut(0).map(serde_json::Value::take).unwrap_or_default())
}

/// A file of a policy set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Path for messages, relative to the bundle's root.
    pub file: String,
    /// Content.
    pub text: String,
}

/// All modules of a set, parsed and analysed.
#[derive(Debug)]
pub struct Modules {
    engine: Engine,
    /// The same modules as the RVM's compiler gets them right, prepared once for the programs of all policies.
    rewritten: CompiledPolicy,
    /// The engine that prepared them, to which tests can be added.
    pub(super) rewritten_engine: Engine,
    /// The rules whose values policies share, and the rewritten modules without them.
    pub(super) shared: Option<(Arc<SharedRules>, CompiledPolicy)>,
    /// What every rule calls and reads.
    pub rules: Rules,
}

impl Modules {
    /// Parses and analyses. `shared` is the package, as `data.seawall.lib.subject`, whose rules are computed once for each
    /// object under review; without such a module nothing is shared.
    ///
    /// # Errors
    /// When a module does not parse or has a construct that is not loaded.
    pub fn parse<'s>(sources: impl IntoIterator<Item = &'s Source>, shared: &str) -> Result<Self, CompileError> {
        let prepare = |problem: String| CompileError::Prepare { package: "all modules".to_owned(), problem };
        let Trees { written, trees } = trees(sources)?;
        // as written first: there the columns are those of the files
        let (rules, mut refused) = analysis::analyse(written.as_ref().unwrap_or(&trees));
        if refused.is_empty() && written.is_some() {
            refused = analysis::analyse(&trees).1;
        }
        if !refused.is_empty() {
            return Err(CompileError::Refused(refused));
        }
        let mut rewritten = Engine::new();
        rewritten.set_strict_builtin_errors(true);
        let mut without_shared = rewritten.clone();
        let mut engine = rewritten.clone();
        engine.set_gather_prints(true);
        let mut begun = Begun::new(&trees);
        for tree in trees.as_array().into_iter().flatten() {
            let text = |key: &str| tree.get("source").and_then(|s| s.get(key)?.as_str()).unwrap_or_default();
            let (file, imports) = (text("file"), tree::imports(tree));
            let package = analysis::Module::new(tree).map(|module| module.package).unwrap_or_default();
            let tree = tree.get("ast").unwrap_or(&serde_json::Value::Null);
            let module = rewrite::for_rvm(text("contents"), tree, &imports).map_err(|line| {
                let problem = "an assignment is the whole body of a rule".to_owned();
                let instead = "put the body in braces: `if { x := … }`".to_owned();
                let (file, construct) = (file.to_owned(), Construct::Assignment);
                CompileError::Refused(vec![Refused { file, line, column: 1, construct, problem, instead }])
            });
            if file.ends_with("_test.rego") {
                // parsed like the others, run by nobody here
                continue;
            }
            let module = module?;
            let module = guards::guarded(&module, &package, &mut begun).map_err(|e| prepare(format!("{file}: {e}")))?;
            let written = rewrite::for_interpreter(text("contents"), tree, &imports);
            engine.add_policy(file.to_owned(), written).map_err(|e| prepare(e.to_string()))?;
            let package = rewritten.add_policy(file.to_owned(), module.clone()).map_err(|e| prepare(e.to_string()))?;
            if package != shared {
                without_shared.add_policy(file.to_owned(), module).map_err(|e| prepare(e.to_string()))?;
            }
        }
        if let Some(module) = shared::together(&rules, shared) {
            rewritten.add_policy("shared values".to_owned(), module).map_err(|e| prepare(e.to_string()))?;
        }
        // Preparing goes through all modules, so it is done once and not for each policy. The rule that it asks for is only
        // what the engine would evaluate by itself; programs name their own.
        let prepared = |engine: &mut Engine, any: Option<&String>| {
            let any = any.ok_or_else(|| prepare("they have no rule".to_owned()))?;
            let compiled = engine.compile_with_entrypoint(&any.as_str().into());
            compiled.map_err(|e| prepare(e.to_string().trim().to_owned()))
        };
        // also prepared as written: what the interpreter cannot use is not loaded
        prepared(&mut engine, rules.keys().next())?;
        let mut rewritten_engine = rewritten;
        let rewritten = prepared(&mut rewritten_engine, rules.keys().next())?;
        let outside = rules.keys().find(|rule| rule.rsplit_once('.').is_none_or(|(package, _)| package != shared));
        let shared = match (SharedRules::compile(&rewritten, &rules, shared)?, outside) {
            (Some(shared), Some(_)) => Some((Arc::new(shared), prepared(&mut without_shared, outside)?)),
            _ => None,
        };
        Ok(Self { engine, rewritten, rewritten_engine, shared, rules })
    }

    /// An engine with these modules and no data.
    #[must_use]
    pub(super) fn engine(&self) -> Engine {
        self.engine.clone()
    }
}

/// The syntax trees, and with each its source.
pub(super) struct Trees {
    /// As the files are written, where that differs.
    pub(super) written: Option<serde_json::Value>,
    /// After the calls within negations were written out.
    pub(super) trees: serde_json::Value,
}

pub(super) fn trees<'s>(sources: impl IntoIterator<Item = &'s Source>) -> Result<Trees, CompileError> {
    let mut sources: Vec<Source> = sources.into_iter().cloned().collect();
    let mut written = None;
    let mut turn = 0;
    loop {
        let mut engine = Engine::new();
        let mut errors = Vec::new();
        for source in &sources {
            if let Err(error) = engine.add_policy(source.file.clone(), source.text.clone()) {
                errors.push(SyntaxError::of(&source.file, &error.to_string()));
            }
        }
        if !errors.is_empty() {
            return Err(CompileError::Parse(errors));
        }
        let prepare = |problem: String| CompileError::Prepare { package: "all modules".to_owned(), problem };
        let printed = engine.get_ast_as_json().map_err(|e| prepare(e.to_string()))?;
        let trees = parse_deep(&printed).map_err(|e| prepare(e.to_string()))?;
        turn += 1;
        let mut changed = false;
        let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for module in trees.as_array().into_iter().flatten().filter_map(analysis::Module::new) {
            names.entry(module.package).or_default().extend(module.own);
        }
        for (source, printed) in sources.iter_mut().zip(trees.as_array().into_iter().flatten()) {
            let package = analysis::Module::new(printed).map(|module| module.package).unwrap_or_default();
            let mut rules = names.get(&package).cloned().unwrap_or_default();
            rules.extend(tree::imports(printed).into_keys());
            let tree = printed.get("ast").unwrap_or(&serde_json::Value::Null);
            if let Some(text) = negation::written_out(&source.text, tree, &rules, turn) {
                source.text = text;
                changed = true;
            }
        }
        // each turn goes one level deeper, and the parser bounds how deep expressions nest
        if !changed {
            return Ok(Trees { written, trees });
        }
        written.get_or_insert(trees);
    }
}

/// Syntax trees nest deeper than serde_json reads by default; the parser of the engine itself bounds expressions to 32
/// levels, so a deeper document cannot come from it. Read on a thread of its own with room for that.
pub(super) fn parse_deep(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    use serde::Deserialize;
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_json::Value::deserialize(&mut reader)
}

/// The two rules that a policy answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entry {
    /// `violation`
    Violation,
    /// `patch`
    Patch,
}

impl Entry {
    /// The rule's name.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Violation => "violation",
            Self::Patch => "patch",
        }
    }
}

/// Which engine answers for a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// The compiled program.
    Rvm,
    /// The interpreter.
    Interpreter,
}

/// One policy, ready to be evaluated.
#[derive(Debug)]
pub struct Unit {
    /// Unique in this process: workers keep a machine for each.
    pub(super) id: u64,
    /// Full package, for example `data.seawall.policies.x`.
    pub package: String,
    pub(super) modules: Arc<Modules>,
    pub(super) compiled: Option<(Arc<Program>, CompiledPolicy)>,
    /// The shared rules that its program finds in `data`: their names within the package.
    pub(super) shared: Option<(Arc<SharedRules>, Vec<String>)>,
    /// Why the interpreter answers, where it does from the start.
    pub interpreted_because: Option<String>,
    demoted: AtomicBool,
}

/// Numbers programs, so that a worker finds its machine for each.
pub(super) fn next_id() -> u64 {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1);
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

impl Unit {
    /// Compiles the policy of a package. `interpret`: a reason to leave it to the interpreter.
    ///
    /// # Errors
    /// When the engine cannot prepare the package at all; what only the RVM cannot compile goes to the interpreter.
    pub fn compile(modules: &Arc<Modules>, package: &str, interpret: Option<String>) -> Result<Self, CompileError> {
        let prepare = |problem: String| CompileError::Prepare { package: package.to_owned(), problem };
        let entries: Vec<String> = [Entry::Violation, Entry::Patch]
            .iter()
            .map(|e| format!("{package}.{}", e.rule()))
            .filter(|r| modules.rules.contains_key(r))
            .collect();
        if entries.is_empty() {
            return Err(prepare(
                "neither `violation` nor `patch`; a policy needs at least `violation contains …`".to_owned(),
            ));
        }
        let names: Vec<&str> = entries.iter().map(String::as_str).collect();
        let shared = modules.shared.as_ref().and_then(|(shared, without)| {
            let read = shared.read_by(&analysis::closure(&modules.rules, &names));
            (!read.is_empty()).then(|| (shared.clone(), read, without))
        });
        let compiled = shared.as_ref().map_or(&modules.rewritten, |(_, _, without)| without).clone();
        let shared = shared.map(|(shared, read, _)| (shared, read));
        let program = match interpret {
            Some(reason) => Err(reason),
            None => program(&compiled, &names),
        };
        let (compiled, interpreted_because) = match program {
            Ok(program) => (Some((program, compiled)), None),
            Err(reason) => (None, Some(reason)),
        };
        Ok(Self {
            id: next_id(),
            package: package.to_owned(),
            modules: modules.clone(),
            compiled,
            shared,
            interpreted_because,
            demoted: AtomicBool::new(false),
        })
    }

    /// Whether the policy has this rule.
    #[must_use]
    pub fn has(&self, entry: Entry) -> bool {
        self.modules.rules.contains_key(&format!("{}.{}", self.package, entry.rule()))
    }

    /// Whether it has a program for the RVM.
    #[must_use]
    pub const fn is_compiled(&self) -> bool {
        self.compiled.is_some()
    }

    /// Which engine answers now.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        if self.compiled.is_none() || self.demoted.load(Ordering::Relaxed) {
            EngineKind::Interpreter
        } else {
            EngineKind::Rvm
        }
    }

    /// From now on the interpreter answers: the engines were seen to disagree. True when it was the RVM before.
    pub fn demote(&self) -> bool {
        self.compiled.is_some() && !self.demoted.swap(true, Ordering::Relaxed)
    }
}

/// The RVM's program, or why there is none.
pub(super) fn program(compiled: &CompiledPolicy, entries: &[&str]) -> Result<Arc<Program>, String> {
    let program = Compiler::compile_from_policy(compiled, entries).map_err(|e| short(&e.to_string()))?;
    let mut program = Arc::unwrap_or_clone(program);
    program.validate_limits()?;
    builtins::guard_program(&mut program).map_err(|name| format!("{name} is not a permitted builtin"))?;
    if program.has_host_await {
        return Err("it waits for the host".to_owned());
    }
    Ok(Arc::new(program))
}
