//! One policy (or one package of the library) with its cases and tests: compiled with no more than it mentions, and run item by item.
//!
//! This is what `seawall test` runs in parallel, and what anything that tries changes of one policy can use:
//!
//! ```text
//! let bundle = Bundle::embedded()?;
//! let subjects = Subject::all(&bundle, &Settings::default());
//! for subject in &subjects {
//!     let changed = subject.with_policy("package seawall.policies.x …".to_owned());
//!     // an error: the change does not compile
//!     let Ok(prepared) = changed.prepare() else { continue };
//!     // stops at the first failure; empty: no test notices the change
//!     let failed = prepared.failed(&Options { stop_at_first: true, ..Options::default() });
//! }
//! ```

use super::case::{Case, Seen};
use super::expected;
use crate::config::Settings;
use crate::engine::compile::{CompileError, EngineKind, Source, SyntaxError};
use crate::engine::coverage::Coverage;
use crate::engine::evaluate::Worker;
use crate::engine::shape;
use crate::engine::testing::{RvmAnswer, TestModules, TestRule, Tested};
use crate::engine::value::{self, Value};
use crate::policy::bundle::{self, Bundle, CaseFiles};
use crate::policy::metadata::Metadata;
use crate::policy::store::{self, Policy, PolicyError, PolicySet};
use serde_json::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time of one test on one engine.
const LIMIT: Duration = Duration::from_secs(30);

/// Beginning of the packages of policies.
const POLICIES: &str = "seawall.policies.";

/// How items are run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Nothing more is run after the first failure.
    pub stop_at_first: bool,
    /// Cases on the engine that answers in service only, tests on the interpreter only: faster, and the engines are not compared.
    pub one_engine: bool,
}

/// What is tested together.
#[derive(Debug, Clone)]
pub struct Subject {
    /// `seawall.policies.x`, or a package of the library.
    pub package: String,
    /// The policy's id; `None` for the library.
    pub policy: Option<String>,
    /// Its first file.
    pub file: String,
    /// What it mentions, its cases, and its tests.
    bundle: Bundle,
    settings: Settings,
}

impl Subject {
    /// All policies and packages of the library in a bundle, by package, the library last. Test modules belong to the package that
    /// theirs is named after (`x_test` to `x`), else to one in the same folder, else to a subject of their own.
    #[must_use]
    pub fn all(bundle: &Bundle, settings: &Settings) -> Vec<Self> {
        Self::chosen(bundle, settings, &|_| true)
    }

    /// Those of [`Self::all`] whose first file is wanted.
    #[must_use]
    pub fn chosen(bundle: &Bundle, settings: &Settings, wanted: &dyn Fn(&str) -> bool) -> Vec<Self> {
        let metadata = bundle.modules.iter().filter(|(package, _)| package.starts_with(POLICIES));
        let metadata: Vec<Metadata> =
            metadata.filter_map(|(_, s)| s.first().and_then(|s| Metadata::parse(&s.file, &s.text).ok())).collect();
        let rows = store::loaded(metadata.iter());
        let mut tests: BTreeMap<String, BTreeMap<String, Vec<Source>>> = BTreeMap::new();
        for (package, sources) in &bundle.tests {
            for source in sources {
                let of = tested_by(bundle, package, source);
                tests.entry(of).or_default().entry(package.clone()).or_default().push(source.clone());
            }
        }
        let packages: BTreeSet<&String> = bundle.modules.keys().chain(tests.keys()).collect();
        let subject = |package: &String| {
            let own = bundle.modules.get(package).cloned().unwrap_or_default();
            let tests = tests.get(package).cloned().unwrap_or_default();
            let file = own.first().or_else(|| tests.values().flatten().next()).map(|s| s.file.clone());
            let file = file.filter(|file| wanted(file))?;
            let texts = own.iter().chain(tests.values().flatten()).map(|source| source.text.as_str());
            let mut part = bundle.mentioned_by(texts);
            if !own.is_empty() {
                part.modules.insert(package.clone(), own.clone());
            }
            part.survivors.extend(bundle.survivors.get(package).map(|list| (package.clone(), list.clone())));
            part.cases.extend(bundle.cases.get(package).map(|cases| (package.clone(), cases.clone())));
            part.beside = rows.clone();
            part.tests = tests;
            Some(Self {
                policy: package.strip_prefix(POLICIES).map(|name| name.replace('_', "-")),
                package: package.clone(),
                file,
                bundle: part,
                // cases describe a policy as it was written, so the configuration's overrides do not belong to them
                settings: Settings { knowledge: settings.knowledge.clone(), ..Settings::default() },
            })
        };
        let mut all: Vec<Self> = packages.into_iter().filter_map(subject).collect();
        all.sort_by_key(|subject| subject.policy.is_none());
        all
    }

    /// The name to show: the policy's id, or the package.
    #[must_use]
    pub fn name(&self) -> &str {
        self.policy.as_deref().unwrap_or(&self.package)
    }

    /// Its cases, as files.
    #[must_use]
    pub fn cases(&self) -> &[CaseFiles] {
        self.bundle.cases.get(&self.package).map_or(&[], Vec::as_slice)
    }

    /// Its list of changes that nothing can notice.
    #[must_use]
    pub fn survivors(&self) -> Option<&Source> {
        self.bundle.survivors.get(&self.package)
    }

    /// Its own modules.
    #[must_use]
    pub fn modules(&self) -> &[Source] {
        self.bundle.modules.get(&self.package).map_or(&[], Vec::as_slice)
    }

    /// Its test modules.
    #[must_use]
    pub fn tests(&self) -> Vec<Source> {
        self.bundle.tests.values().flatten().cloned().collect()
    }

    /// The same cases and tests with another text in the place of its first module.
    #[must_use]
    pub fn with_policy(&self, text: String) -> Self {
        let mut subject = self.clone();
        if let Some(source) = subject.bundle.modules.get_mut(&self.package).and_then(|modules| modules.first_mut()) {
            source.text = text;
        }
        subject
    }

    /// Compiles the policy, its tests, and what they mention.
    ///
    /// # Errors
    /// When the policy or the library cannot be used. Broken tests and cases are items that fail.
    pub fn prepare(&self) -> Result<Prepared, PolicyError> {
        self.bundle.modules.values().flatten().try_for_each(shallow)?;
        let set = PolicySet::build(&self.bundle, &self.settings)?;
        let mut broken = Vec::new();
        let mut knowledge = self.bundle.knowledge.clone();
        bundle::merge(&mut knowledge, &self.settings.knowledge);
        let tests = test_modules(&set, &self.tests(), &knowledge, &mut broken);
        let cases = self.cases().iter().map(|files| (files.clone(), Case::parse(files)));
        let cases: Vec<_> = cases.map(|(files, case)| (files, case.map_err(|error| error.to_string()))).collect();
        let cases = Arc::new(cases);
        Ok(Prepared { name: self.name().to_owned(), policy: self.policy.clone(), set, tests, cases, broken })
    }
}

impl Subject {
    /// The first case or test that notices another text of the policy. `before` is this subject as it is, whose cases are read
    /// already; `order` are the numbers of its cases in the order in which they are tried. Tests come after them.
    ///
    /// # Errors
    /// When the text cannot be used as this policy.
    pub fn noticed_by(&self, text: String, before: &Prepared, order: &[usize]) -> Result<Option<Notice>, PolicyError> {
        let mut bundle = Bundle {
            modules: self.bundle.modules.clone(),
            knowledge: self.bundle.knowledge.clone(),
            beside: self.bundle.beside.clone(),
            ..Bundle::default()
        };
        if !before.cases.is_empty() {
            // that there are cases is what decides the engine
            bundle.cases.insert(self.package.clone(), Vec::new());
        }
        if let Some(source) = bundle.modules.get_mut(&self.package).and_then(|modules| modules.first_mut()) {
            source.text = text;
        }
        let set = PolicySet::build(&bundle, &self.settings)?;
        let (name, policy, cases) = (before.name.clone(), before.policy.clone(), before.cases.clone());
        let mut changed = Prepared { name, policy, set, tests: None, cases, broken: Vec::new() };
        let options = Options { stop_at_first: true, one_engine: true };
        let mut workers = Workers::default();
        for index in order {
            let Some((files, case)) = changed.cases.get(*index) else { continue };
            if changed.run(Item::Case(files, case), &options, &mut workers).is_bad() {
                return Ok(Some(Notice::Case(*index)));
            }
        }
        let mut knowledge = self.bundle.knowledge.clone();
        bundle::merge(&mut knowledge, &self.settings.knowledge);
        changed.tests = test_modules(&changed.set, &self.tests(), &knowledge, &mut changed.broken);
        if !changed.broken.is_empty() {
            return Ok(Some(Notice::Test));
        }
        let rules = changed.tests.iter().flat_map(|tests| &tests.tests);
        if rules.map(Item::Test).any(|item| changed.run(item, &options, &mut workers).is_bad()) {
            return Ok(Some(Notice::Test));
        }
        // what one engine does not notice the other may: two values of one rule are an error of the interpreter only
        let both = Options { one_engine: false, ..options };
        let mut items = changed.cases.iter().map(|(files, case)| Item::Case(files, case));
        Ok(items.position(|item| changed.run(item, &both, &mut workers).is_bad()).map(Notice::Case))
    }
}

/// What noticed a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The case of this number.
    Case(usize),
    /// A `test_` rule.
    Test,
}

/// The package that a test module tests.
fn tested_by(bundle: &Bundle, package: &str, source: &Source) -> String {
    let named = package.strip_suffix("_test").unwrap_or(package);
    if bundle.modules.contains_key(named) {
        return named.to_owned();
    }
    let folder = |file: &str| file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let beside =
        |(_, sources): &(&String, &Vec<Source>)| sources.iter().any(|s| folder(&s.file) == folder(&source.file));
    // several packages of one folder: nobody can say which
    let mut beside = bundle.modules.iter().filter(beside);
    match (beside.next(), beside.next()) {
        (Some((package, _)), None) => package.clone(),
        _ => package.to_owned(),
    }
}

/// What would overflow the stack of the engine.
fn shallow(source: &Source) -> Result<(), CompileError> {
    match shape::too_deep(&source.text) {
        Some((line, problem)) => {
            Err(CompileError::Parse(vec![SyntaxError { file: source.file.clone(), line, column: 1, problem }]))
        }
        None => Ok(()),
    }
}

/// The test modules, as far as they can be used.
fn test_modules(
    set: &PolicySet,
    sources: &[Source],
    knowledge: &Map<String, serde_json::Value>,
    broken: &mut Vec<String>,
) -> Option<TestModules> {
    let seawall = value::object([("knowledge", value::from_map(knowledge))]);
    let data = value::object([("seawall", seawall)]);
    let prepare = |sources: &[Source]| {
        sources.iter().try_for_each(shallow)?;
        TestModules::prepare(set.modules(), sources, data.clone())
    };
    if sources.is_empty() {
        return None;
    }
    match prepare(sources) {
        Ok(tests) => Some(tests),
        // each on its own, so that all broken files are told
        Err(error) if sources.len() > 1 => {
            let alone: Vec<String> = sources
                .iter()
                .filter_map(|source| prepare(std::slice::from_ref(source)).err())
                .map(|error| error.to_string())
                .collect();
            broken.extend(if alone.is_empty() { vec![error.to_string()] } else { alone });
            None
        }
        Err(error) => {
            broken.push(error.to_string());
            None
        }
    }
}

/// A subject that can be run, by any number of threads.
#[derive(Debug)]
pub struct Prepared {
    name: String,
    policy: Option<String>,
    set: PolicySet,
    tests: Option<TestModules>,
    cases: Arc<Vec<(CaseFiles, Result<Case, String>)>>,
    /// Test files that cannot be used, and why.
    pub broken: Vec<String>,
}

/// One thing that is run.
#[derive(Debug, Clone, Copy)]
pub enum Item<'p> {
    /// A case, and why it cannot be read where it cannot.
    Case(&'p CaseFiles, &'p Result<Case, String>),
    /// A `test_` rule.
    Test(&'p TestRule),
}

impl Item<'_> {
    /// The name to show: `test_x`, `cases/x`.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Case(files, _) => format!("cases/{}", files.name),
            Self::Test(test) => test.name.clone(),
        }
    }

    /// Where to look: the file, and the line where it has one.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Case(files, _) => format!("{}/expected.yaml", files.folder),
            Self::Test(test) => format!("{}:{}", test.file, test.line),
        }
    }
}

/// The machines of one thread.
#[derive(Debug)]
pub struct Workers {
    rvm: Worker,
    interpreter: Worker,
    of_policy: Worker,
    coverage: Option<Coverage>,
}

impl Default for Workers {
    fn default() -> Self {
        Self {
            rvm: Worker::forced(EngineKind::Rvm),
            interpreter: Worker::forced(EngineKind::Interpreter),
            of_policy: Worker::new(),
            coverage: None,
        }
    }
}

impl Workers {
    /// Machines that note which lines are evaluated.
    #[must_use]
    pub fn covering() -> Self {
        Self { interpreter: Worker::covering(), coverage: Some(Coverage::default()), ..Self::default() }
    }

    /// The lines that were evaluated.
    #[must_use]
    pub fn coverage(mut self) -> Coverage {
        let mut coverage = self.coverage.unwrap_or_default();
        coverage.merge(self.interpreter.take_coverage());
        coverage
    }
}

/// What came of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The policy's id, or the package of the library.
    pub subject: String,
    /// `test_x`, `cases/x`.
    pub name: String,
    /// True for a case, false for a test.
    pub is_case: bool,
    /// File, and line where it has one.
    pub place: String,
    /// How it went.
    pub result: Outcome,
    /// Why the RVM was not asked; `None` where both engines answered.
    pub interpreter_alone: Option<String>,
    /// How long it took.
    pub took: Duration,
}

/// How an item went.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// A `todo_test_`.
    Skipped,
    /// Not as it should.
    Failed(Failure),
    /// It cannot be run, and why.
    Broken(String),
}

/// What is not as it should be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Failure {
    /// In words.
    pub problems: Vec<String>,
    /// Lines of a diff: `-` expected, `+` found.
    pub diff: Vec<String>,
    /// What the test printed.
    pub prints: Vec<String>,
    /// The text that `expected.yaml` would have if what was found were right. `None` where that would hide a fault.
    pub update: Option<String>,
    /// Path of `expected.yaml`.
    pub expected: Option<String>,
}

impl Row {
    /// Whether it is not as it should be, or could not be run.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self.result, Outcome::Failed(_) | Outcome::Broken(_))
    }
}

impl Prepared {
    /// All cases, then all tests.
    #[must_use]
    pub fn items(&self) -> Vec<Item<'_>> {
        let cases = self.cases.iter().map(|(files, case)| Item::Case(files, case));
        let tests = self.tests.iter().flat_map(|tests| &tests.tests).map(Item::Test);
        cases.chain(tests).collect()
    }

    /// Runs all items and returns those that are not as they should be.
    #[must_use]
    pub fn failed(&self, options: &Options) -> Vec<Row> {
        let mut workers = Workers::default();
        let mut failed = Vec::new();
        for item in self.items() {
            let row = self.run(item, options, &mut workers);
            if row.is_bad() {
                failed.push(row);
                if options.stop_at_first {
                    break;
                }
            }
        }
        failed
    }

    /// Runs one item.
    #[must_use]
    pub fn run(&self, item: Item<'_>, options: &Options, workers: &mut Workers) -> Row {
        let started = Instant::now();
        let (result, interpreter_alone) = match item {
            Item::Case(_, Err(error)) => (Outcome::Broken(error.clone()), None),
            Item::Case(files, Ok(case)) => self.case(files, case, *options, workers),
            Item::Test(test) => self.test(test, *options, workers),
        };
        let place = match (&item, &result) {
            // the reason names the file itself
            (Item::Case(files, _), Outcome::Broken(_)) => files.folder.clone(),
            _ => item.place(),
        };
        Row {
            subject: self.name.clone(),
            name: item.name(),
            is_case: matches!(item, Item::Case(..)),
            place,
            result,
            interpreter_alone,
            took: started.elapsed(),
        }
    }

    fn case(
        &self,
        files: &CaseFiles,
        case: &Case,
        options: Options,
        workers: &mut Workers,
    ) -> (Outcome, Option<String>) {
        let policy = self.policy.as_deref().and_then(|id| self.set.get(id));
        let snapshot = policy.and_then(|policy| case.snapshot(&self.set, policy.id()));
        let (Some(policy), Some(snapshot)) = (policy, snapshot) else {
            return (Outcome::Broken(case.no_snapshot(&self.name)), None);
        };
        let alone = interpreter_alone(policy);
        if options.one_engine {
            let seen = case.see(&snapshot, &mut workers.of_policy);
            return (judged(files, case, &seen, None), alone);
        }
        let seen = case.see(&snapshot, &mut workers.interpreter);
        let rvm = alone.is_none().then(|| case.see(&snapshot, &mut workers.rvm));
        (judged(files, case, &seen, rvm.as_ref()), alone)
    }

    fn test(&self, test: &TestRule, options: Options, workers: &mut Workers) -> (Outcome, Option<String>) {
        let failed = |problem: String| Outcome::Failed(Failure { problems: vec![problem], ..Failure::default() });
        let Some(modules) = self.tests.as_ref().filter(|_| !test.todo) else { return (Outcome::Skipped, None) };
        if let Some(problem) = test.unusable {
            return (failed(problem.to_owned()), None);
        }
        let tested = modules.run(test, LIMIT, !options.one_engine, workers.coverage.as_mut());
        let alone = match &tested.rvm {
            RvmAnswer::NotAsked(reason) => Some(reason.clone()),
            _ => None,
        };
        let mut problems = Vec::new();
        problems.extend(unmet(&tested));
        if let RvmAnswer::Differs(answer) = &tested.rvm {
            problems.push(format!(
                "the engines differ: the interpreter says {}, the RVM says {}; report it with the test",
                words(&tested.value),
                words(answer)
            ));
        }
        if problems.is_empty() {
            return (Outcome::Passed, alone);
        }
        let ended = tested.ended_at.filter(|line| *line > test.line).map(|line| {
            format!("it went no further than line {line}: {}", self.source_line(&test.file, line).unwrap_or_default())
        });
        problems.extend(ended);
        problems.extend(test.doubtful.as_ref().map(|reason| {
            format!("it may be the engine: {reason}; write it as policies must (docs/policy-format.md, What a policy may use)")
        }));
        (Outcome::Failed(Failure { problems, prints: tested.prints, ..Failure::default() }), alone)
    }

    fn source_line(&self, file: &str, line: u64) -> Option<String> {
        let text = self.tests.as_ref()?.text(file)?;
        let line = text.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        Some(line.trim().to_owned())
    }
}

/// Why the RVM does not answer for a policy.
fn interpreter_alone(policy: &Policy) -> Option<String> {
    let reason = || policy.unit.interpreted_because.clone().unwrap_or_else(|| "it does not compile".to_owned());
    (!policy.unit.is_compiled()).then(reason)
}

/// A case by what one engine has seen, and the other where it was asked.
fn judged(files: &CaseFiles, case: &Case, seen: &Seen, rvm: Option<&Seen>) -> Outcome {
    let mut failure = Failure::default();
    let differ = rvm.is_some_and(|rvm| !seen.agrees(rvm));
    let fits = case.expected().fits(seen);
    failure.problems = seen.faults();
    if let Some(rvm) = rvm.filter(|_| differ) {
        let only: Vec<String> = rvm.faults().into_iter().filter(|fault| !failure.problems.contains(fault)).collect();
        failure.problems.extend(only.into_iter().map(|fault| format!("on the RVM {fault}")));
        failure.problems.push(
            "the engines differ (- interpreter, + RVM): the policy has a construct that the RVM gets wrong; \
             docs/policy-format.md lists what to write instead"
                .to_owned(),
        );
        failure.diff = expected::engines(seen, rvm);
    } else if !fits {
        failure.diff = case.expected().diff(seen);
        failure.problems.push("it is not as expected (- expected, + found)".to_owned());
        if seen.faults().is_empty() {
            failure.update = Some(case.expected().rewritten(&files.expected, seen));
        }
    }
    if failure.problems.is_empty() {
        return Outcome::Passed;
    }
    failure.expected = Some(format!("{}/expected.yaml", files.folder));
    Outcome::Failed(failure)
}

/// Why a test does not pass.
fn unmet(tested: &Tested) -> Option<String> {
    match &tested.value {
        Ok(Value::Bool(true)) => None,
        Ok(Value::Undefined) => Some("it is undefined: a statement of it does not hold; wanted true".to_owned()),
        other => Some(format!("it is {}; wanted true", words(other))),
    }
}

fn words<E: std::fmt::Display>(value: &Result<Value, E>) -> String {
    match value {
        Ok(Value::Undefined) => "undefined".to_owned(),
        Ok(value) => value::to_json(value).map_or_else(|| "undefined".to_owned(), |json| json.to_string()),
        Err(error) => format!("an error ({error})"),
    }
}

#[cfg(test)]
#[path = "subject_tests.rs"]
mod tests;
