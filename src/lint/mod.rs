//! `seawall lint`: everything that is wrong with policies before they are loaded, each finding with its place, a code that has a
//! page, and what to write instead. A front end: what the loader refuses is asked of the same checks ([`crate::policy::inspect`],
//! [`crate::policy::declared`], [`crate::engine::analysis`]); what it does not see (rules that nothing reaches, patches that never
//! clear their violation, policies that contradict each other) is found here.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`set`] | which files are looked at |
//! | [`codes`] | the table of codes, from which pages are made ([`pages`]) |
//! | `declarations`, `rules`, `scans`, `results` | checks of text and syntax trees |
//! | `cases`, `runs` | cases: are they there, and what do patches do to them |
//! | `suppress` | comments that silence a finding |
//! | [`text`], [`json`], [`sarif`], [`github`] | what is printed |

mod cases;
pub mod codes;
mod declarations;
pub mod github;
pub mod json;
pub mod pages;
mod results;
mod rules;
mod runs;
pub mod sarif;
mod scans;
pub mod set;
mod suppress;
pub mod text;

use crate::config::Settings;
use crate::engine::analysis::{self, Place, Rules};
use crate::engine::compile::{Source, SyntaxError, syntax};
use crate::engine::{rewrite, tree};
use crate::policytest::case::{Case, CaseError};
use codes::{CODES, Code};
use serde_json::Value as Json;
use set::Set;
use std::collections::{BTreeMap, BTreeSet};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not told.
    Off,
    /// Told; exit code 1 only with `--strict`.
    Warning,
    /// Told; exit code 1.
    Error,
}

impl Level {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its code.
    pub code: &'static Code,
    /// How much it matters here.
    pub level: Level,
    /// The file, and where in it.
    pub place: Place,
    /// Characters that are meant, at least one.
    pub width: usize,
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub fix: String,
    /// The line of the file, where there is one.
    pub excerpt: Option<String>,
}

/// Which levels codes have.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// Codes or categories that are errors.
    pub deny: Vec<String>,
    /// Codes or categories that are not told.
    pub allow: Vec<String>,
    /// The most that anything is.
    pub most: Option<Level>,
}

/// An unknown code.
#[derive(Debug, thiserror::Error)]
#[error("no such code: {0:?}{1}; `seawall lint --explain all` lists them")]
pub struct UnknownCode(pub String, pub String);

impl Levels {
    /// Checks the names.
    ///
    /// # Errors
    /// When one is neither a code nor a category.
    pub fn validate(&self) -> Result<(), UnknownCode> {
        for name in self.deny.iter().chain(&self.allow) {
            if !CODES.iter().any(|code| code.is(name)) {
                return Err(UnknownCode(name.clone(), codes::closest_code(name)));
            }
        }
        Ok(())
    }

    fn of(&self, code: &Code) -> Level {
        let named = |list: &[String]| list.iter().any(|name| code.is(name));
        let level = match (named(&self.deny), named(&self.allow)) {
            (true, _) => Level::Error,
            (false, true) => Level::Off,
            (false, false) => code.level,
        };
        self.most.map_or(level, |most| level.min(most))
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// By file and place.
    pub findings: Vec<Finding>,
    /// How many policies were looked at.
    pub policies: usize,
    /// How many modules of the library.
    pub libraries: usize,
    /// What was not done, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// How many findings have a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }
}

/// A finding before its level is known.
pub(crate) struct Raw {
    code: &'static str,
    place: Place,
    width: usize,
    message: String,
    fix: String,
}

/// What is found, while it is looked for.
#[derive(Default)]
pub(crate) struct Found(Vec<Raw>);

impl Found {
    fn add(&mut self, code: &'static str, place: Place, message: impl Into<String>, fix: impl Into<String>) {
        self.wide(code, place, 1, message, fix);
    }

    fn wide(
        &mut self,
        code: &'static str,
        place: Place,
        width: usize,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.0.push(Raw { code, place, width, message: message.into(), fix: fix.into() });
    }
}

/// A module that parses.
pub(crate) struct Module {
    file: String,
    text: String,
    /// `data.seawall.…`
    package: String,
    /// What the engine prints.
    printed: Json,
}

impl Module {
    fn tree(&self) -> &Json {
        self.printed.get("ast").unwrap_or(&Json::Null)
    }

    /// The definitions.
    fn rules(&self) -> impl Iterator<Item = &Json> {
        self.tree().get("rules").and_then(Json::as_array).into_iter().flatten()
    }

    /// The place of a node.
    fn place(&self, node: &Json) -> Place {
        let (line, column) = tree::position(&self.text, node);
        Place { file: self.file.clone(), line, column }
    }

    /// How many characters of its first line a node has.
    fn width(&self, node: &Json) -> usize {
        let text = tree::bytes(node).and_then(|(start, end)| self.text.get(start..end));
        text.and_then(|text| text.lines().next()).map_or(1, |line| line.chars().count().max(1))
    }

    fn is_policy(&self) -> bool {
        self.package.starts_with("data.seawall.policies.")
    }

    fn is_test(&self) -> bool {
        self.file.ends_with("_test.rego")
    }
}

/// Everything that the checks look at.
pub(crate) struct Context<'s> {
    set: &'s Set,
    modules: Vec<Module>,
    rules: Rules,
    /// The cases of what is linted or run, by folder.
    cases: BTreeMap<&'s str, Result<Case, CaseError>>,
}

impl Context<'_> {
    /// The modules that are linted, without tests.
    fn linted(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter().filter(|module| !module.is_test() && self.set.is_linted(&module.file))
    }
}

/// Looks at a set of files.
#[must_use]
pub fn lint(set: &Set, settings: &Settings, levels: &Levels) -> Report {
    let mut found = Found::default();
    set.problems(&mut found);
    let (modules, broken) = parse(set, &mut found);
    let trees = Json::Array(modules.iter().map(|module| module.printed.clone()).collect());
    let (rules, refused) = analysis::analyse(&trees);
    for refused in refused {
        // what a broken module defines is not known
        let unknown = refused.construct == analysis::Construct::UnknownReference;
        if !(unknown && broken.iter().any(|package| refused.problem.contains(package.as_str()))) {
            found.refused(refused);
        }
    }
    let cases = set.needed().flat_map(|package| set.cases(package));
    let cases = cases.map(|files| (files.folder.as_str(), Case::parse(files))).collect();
    let context = Context { set, modules, rules, cases };
    declarations::check(&context, &broken, &mut found);
    rules::check(&context, &broken, &mut found);
    scans::check(&context, &mut found);
    results::check(&context, &mut found);
    cases::check(&context, &mut found);
    let mut report = Report::default();
    report.notes.extend(runs::check(&context, settings, &broken, &mut found));
    report.policies = context.linted().filter(|module| module.is_policy()).count();
    report.libraries = context.linted().filter(|module| !module.is_policy()).count();
    report.findings = finish(set, levels, found);
    report
}

/// Parses every file by itself, so that one that does not parse hides nothing. Also the packages of those.
fn parse(set: &Set, found: &mut Found) -> (Vec<Module>, BTreeSet<String>) {
    let mut modules = Vec::new();
    let mut broken = BTreeSet::new();
    for (file, text) in set.rego().filter(|(file, text)| set.is_needed(file, text)) {
        let source = Source { file: file.to_owned(), text: text.to_owned() };
        let package = crate::policy::bundle::package(text).unwrap_or_default();
        match syntax(&source) {
            Ok(printed) => {
                let package = format!("data.{package}");
                let tree = printed.get("ast").unwrap_or(&Json::Null);
                let rewritten = rewrite::for_rvm(text, tree, &tree::imports(&printed));
                if let Err(line) = rewritten.map_err(|line| line.max(1))
                    && !file.ends_with("_test.rego")
                {
                    let place = Place { file: file.to_owned(), line, column: 1 };
                    let message = "an assignment is the whole body of a rule";
                    found.add("engine/bare-assignment", place, message, "put the body in braces: `if { x := … }`");
                }
                modules.push(Module { file: source.file, text: source.text, package, printed });
            }
            Err(SyntaxError { file, line, column, problem }) => {
                let code = if problem.contains("nest deeper") || problem.contains("a chain of more") {
                    "rego/too-deep"
                } else {
                    "rego/syntax"
                };
                let place = Place { file, line, column };
                let fix = match code {
                    "rego/too-deep" => "give parts of it names",
                    _ => "`opa fmt` and `opa check` tell more about it; policies are Rego v1",
                };
                found.add(code, place, problem, fix);
                broken.insert(format!("data.{package}"));
            }
        }
    }
    (modules, broken)
}

impl Found {
    fn refused(&mut self, refused: analysis::Refused) {
        use analysis::Construct;
        let code = match refused.construct {
            Construct::Builtin => "rego/builtin",
            Construct::Arguments => "rego/arguments",
            Construct::Recursion => "rego/recursion",
            Construct::Conflict => "rego/conflict",
            // policies around the one that is linted are not always read
            Construct::UnknownReference if refused.problem.starts_with("data.seawall.policies.") => "rego/foreign-rule",
            Construct::UnknownReference => "rego/unknown-reference",
            Construct::ForeignRule => "rego/foreign-rule",
            Construct::ComputedRoot => "rego/computed-root",
            Construct::ComputedKind => "context/computed-kind",
            Construct::LoopWithElse => "engine/loop-with-else",
            Construct::MayBeUndefined => "engine/undefined-value",
            Construct::DefaultFunction => "engine/default-function",
            Construct::RuleHead => "engine/rule-head",
            Construct::With => "engine/with",
            Construct::Divergence => "engine/divergence",
            Construct::Division => "engine/division",
            Construct::Assignment => "engine/bare-assignment",
        };
        let place = Place { file: refused.file, line: refused.line, column: refused.column };
        self.add(code, place, refused.problem, refused.instead);
    }
}

/// Levels, suppressions, order.
fn finish(set: &Set, levels: &Levels, found: Found) -> Vec<Finding> {
    let mut raw: Vec<Raw> = found.0.into_iter().filter(|raw| set.is_linted(&raw.place.file)).collect();
    suppress::apply(set, &mut raw);
    let lines: BTreeMap<&str, Vec<&str>> = set.rego().map(|(file, text)| (file, text.lines().collect())).collect();
    let mut findings: Vec<Finding> = raw
        .into_iter()
        .filter_map(|raw| {
            let code = codes::get(raw.code)?;
            let level = levels.of(code);
            let at = usize::try_from(raw.place.line).ok().and_then(|line| line.checked_sub(1));
            let excerpt = lines.get(raw.place.file.as_str()).and_then(|lines| Some((*lines.get(at?)?).to_owned()));
            let Raw { place, mut width, message, fix, .. } = raw;
            if let (Some(line), 1) = (&excerpt, width) {
                // the word that begins there
                let word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.');
                let start = usize::try_from(place.column).unwrap_or(1).saturating_sub(1);
                width = line.chars().skip(start).take_while(word).count().max(1);
            }
            (level != Level::Off).then_some(Finding { code, level, place, width, message, fix, excerpt })
        })
        .collect();
    findings.sort_by(|a, b| (&a.place, a.code.name, &a.message).cmp(&(&b.place, b.code.name, &b.message)));
    findings.dedup();
    findings
}
