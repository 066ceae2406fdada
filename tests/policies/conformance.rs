//! OPA's own conformance cases on both engines: bare, and as Seawall loads and asks them.
//!
//! What must hold: Seawall never answers something else than OPA. A case that an engine gets wrong is refused when it is loaded,
//! or left to the engine that is right, or fails loudly. `tests/fixtures/conformance.yaml` lists every case that is not simply
//! right; a case that is worse than it says fails this test, and so does one that is better, so that the list stays true.
//! `SEAWALL_UPDATE=1 cargo test --test policies conformance` writes it.

use crate::oracle::tool;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;
use regorus::utils::limits::ExecutionTimerConfig;
use seawall::engine::compile::{CompileError, EngineKind, Entry, Modules, Source, Unit};
use seawall::engine::evaluate::{Data, Worker};
use seawall::engine::{shape, value};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const PACKAGE: &str = "data.seawall.policies.conformance";
const LIMIT: Duration = Duration::from_secs(2);
const LIST: &str = "tests/fixtures/conformance.yaml";

/// A case as `opacases` prints it.
#[derive(Deserialize)]
struct Case {
    note: String,
    #[serde(default)]
    modules: Vec<String>,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    input: Value,
    result: Option<Value>,
    /// What OPA says where it has no result.
    error: Option<String>,
    /// Whether OPA refuses the modules.
    #[serde(default)]
    compile: bool,
    /// Why it cannot be run.
    skip: Option<String>,
}

impl Case {
    fn sources(&self) -> Vec<Source> {
        let source = |(i, text): (usize, &String)| Source { file: format!("{i}.rego"), text: text.clone() };
        self.modules.iter().enumerate().map(source).collect()
    }
}

/// How an answer compares with OPA's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Right,
    /// Another answer than OPA's, or one where OPA has none.
    Wrong(String),
    /// No answer, where OPA has one.
    Fails(String),
}

fn compare(case: &Case, answer: Result<value::Value, String>) -> Verdict {
    match (&case.result, answer) {
        (None, Err(_)) => Verdict::Right,
        (Some(_), Err(error)) => Verdict::Fails(error),
        (wanted, Ok(found)) => {
            let found = canonical(printed(&found));
            match wanted {
                Some(wanted) if canonical(wanted.clone()) == found => Verdict::Right,
                Some(wanted) => Verdict::Wrong(format!("wanted {wanted}, found {found}")),
                None => Verdict::Wrong(format!("OPA: {}; found {found}", case.error.as_deref().unwrap_or_default())),
            }
        }
    }
}

/// The value as OPA prints it: the members of a set are in its order of types, in which objects come before sets.
fn printed(found: &value::Value) -> Value {
    use value::Value as V;
    let rank = |v: &V| match v {
        V::Null | V::Bool(_) | V::Number(_) | V::String(_) | V::Array(_) => 0,
        V::Object(_) => 1,
        _ => 2,
    };
    match found {
        V::Set(set) => {
            let mut members: Vec<&V> = set.iter().collect();
            members.sort_by_key(|member| rank(member));
            members.into_iter().map(printed).collect()
        }
        V::Array(items) => items.iter().map(printed).collect(),
        V::Object(fields) => {
            let key = |k: &V| k.as_string().map_or_else(|_| k.to_string(), |text| text.to_string());
            Value::Object(fields.iter().map(|(k, v)| (key(k), printed(v))).collect())
        }
        V::Undefined => json!([]),
        other => value::to_json(other).unwrap_or_default(),
    }
}

/// Numbers in one notation.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().map(|(k, v)| (k, canonical(v))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), |f| json!(f)),
        other => other,
    }
}

fn caught<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("panics".to_owned()))
}

/// regorus by itself.
fn bare(case: &Case) -> [Verdict; 2] {
    let rule = format!("{PACKAGE}.violation");
    let timer = || ExecutionTimerConfig { limit: LIMIT, check_interval: NonZeroU32::new(16).unwrap() };
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let engine = || {
        let mut engine = regorus::Engine::new();
        engine.set_strict_builtin_errors(true);
        for source in case.sources() {
            engine.add_policy(source.file, source.text).map_err(|e| text(&e))?;
        }
        engine.add_data(value::from_json(&case.data)).map_err(|e| text(&e))?;
        engine.set_execution_timer_config(timer());
        Ok::<_, String>(engine)
    };
    let interpreter = caught(|| {
        let mut engine = engine()?;
        engine.set_input(value::from_json(&case.input));
        engine.eval_rule(rule.clone()).map_err(|e| text(&e))
    });
    let rvm = caught(|| {
        let compiled = engine()?.compile_with_entrypoint(&rule.as_str().into()).map_err(|e| text(&e))?;
        let program = Compiler::compile_from_policy(&compiled, &[&rule]).map_err(|e| text(&e))?;
        let mut machine = RegoVM::new_with_policy(compiled);
        machine.load_program(program);
        machine.set_strict_builtin_errors(true);
        machine.set_data(value::from_json(&case.data)).map_err(|e| text(&e))?;
        machine.set_input(value::from_json(&case.input));
        machine.set_execution_timer_config(Some(timer()));
        machine.execute_entry_point_by_name(&rule).map_err(|e| text(&e))
    });
    [compare(case, rvm), compare(case, interpreter)]
}

/// What Seawall does with a case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// Not loaded, with the first reason.
    Refused(String),
    /// Loaded; the RVM's verdict, or why it has no program, and the interpreter's.
    Loaded(Result<Verdict, String>, Verdict),
}

fn seawall(case: &Case) -> Answer {
    let sources = case.sources();
    if let Some((_, problem)) = sources.iter().find_map(|source| shape::too_deep(&source.text)) {
        return Answer::Refused(problem);
    }
    let unit = caught(|| {
        let modules = Modules::parse(&sources, "").map_err(|e| reason(&e))?;
        Unit::compile(&Arc::new(modules), PACKAGE, None).map_err(|e| reason(&e))
    });
    let unit = match unit {
        Ok(unit) => unit,
        Err(reason) => return Answer::Refused(reason),
    };
    let data = Data::new(value::from_json(&case.data));
    let input = value::from_json(&case.input);
    let ask = |kind| {
        let answer = Worker::new().evaluate_on(kind, &unit, Entry::Violation, &input, &data, LIMIT);
        compare(case, answer.map_err(|e| e.to_string()))
    };
    let rvm = match &unit.interpreted_because {
        Some(reason) => Err(reason.clone()),
        None => Ok(ask(EngineKind::Rvm)),
    };
    Answer::Loaded(rvm, ask(EngineKind::Interpreter))
}

/// The first reason, without the names of the case.
fn reason(error: &CompileError) -> String {
    match error {
        CompileError::Refused(all) => {
            let first = all.first().map_or("", |refused| refused.problem.as_str());
            let words = first.split_whitespace().map(|word| if word.starts_with("data.") { "data.…" } else { word });
            let text = words.collect::<Vec<_>>().join(" ");
            let function = |text: &str, start: &str| {
                let (before, after) = text.split_once(start)?;
                let rest = after.split_once(' ').map(|(_, rest)| format!(" {rest}")).unwrap_or_default();
                Some(format!("{before}{start}…{rest}"))
            };
            ["a body of ", "the function ", "the head of "]
                .iter()
                .find_map(|start| function(&text, start))
                .unwrap_or(text)
        }
        CompileError::Parse { .. } => "does not parse".to_owned(),
        CompileError::Prepare { .. } => "the engine cannot prepare it".to_owned(),
    }
}

/// Everything that is not simply right: class, then case, then what was seen.
type Found = BTreeMap<String, BTreeMap<String, String>>;

fn cases() -> Option<Vec<Case>> {
    let output = Command::new(tool("opacases")?).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect())
}

fn run(cases: &[Case]) -> (Found, BTreeMap<&'static str, usize>) {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut found, mut figures) = (Found::new(), BTreeMap::new());
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(case, &mut found, &mut figures);
        }
        (found, figures)
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let handles: Vec<_> = (0..threads)
            .map(|_| std::thread::Builder::new().stack_size(16 << 20).spawn_scoped(scope, work).unwrap())
            .collect();
        let (mut found, mut figures) = (Found::new(), BTreeMap::new());
        for handle in handles {
            let (more, counted) = handle.join().unwrap();
            for (class, notes) in more {
                found.entry(class).or_default().extend(notes);
            }
            for (name, count) in counted {
                *figures.entry(name).or_default() += count;
            }
        }
        (found, figures)
    })
}

fn one(case: &Case, found: &mut Found, figures: &mut BTreeMap<&'static str, usize>) {
    let mut note = |class: &str, seen: &str| {
        found.entry(class.to_owned()).or_default().insert(case.note.clone(), seen.to_owned());
    };
    let mut count = |figure: &'static str| *figures.entry(figure).or_default() += 1;
    count("cases");
    if let Some(reason) = &case.skip {
        count("not run");
        return note("not run", reason);
    }
    let [rvm, interpreter] = bare(case);
    for (verdict, right, wrong, fails) in [
        (&rvm, "RVM right", "RVM wrong", "RVM fails"),
        (&interpreter, "interpreter right", "interpreter wrong", "interpreter fails"),
    ] {
        // what OPA does not compile has no answer that could be right or wrong
        match verdict {
            Verdict::Wrong(_) if case.compile => count(right),
            Verdict::Right => count(right),
            Verdict::Wrong(seen) => {
                count(wrong);
                note(wrong, seen);
            }
            Verdict::Fails(_) => count(fails),
        }
    }
    match seawall(case) {
        Answer::Refused(reason) => {
            count(if case.result.is_none() { "refused, as by OPA" } else { "refused" });
            if case.result.is_some() {
                note(&format!("refused: {reason}"), "");
            }
        }
        Answer::Loaded(..) if case.compile => {
            count("loaded, not compiled by OPA");
            note("loaded, not compiled by OPA", case.error.as_deref().unwrap_or_default());
        }
        Answer::Loaded(rvm, interpreter) => {
            let answered = match &rvm {
                Ok(verdict) => verdict,
                Err(reason) => {
                    count("left to the interpreter");
                    note("left to the interpreter", reason);
                    &interpreter
                }
            };
            match answered {
                Verdict::Right => count("right"),
                Verdict::Wrong(seen) => {
                    count("WRONG");
                    note("WRONG", seen);
                }
                Verdict::Fails(seen) => {
                    count("fails loudly");
                    note("fails loudly", seen);
                }
            }
            // a policy without cases, and one on which engines were seen to differ, is left to it
            match &interpreter {
                Verdict::Wrong(seen) => {
                    count("WRONG on the interpreter");
                    note("WRONG on the interpreter", seen);
                }
                Verdict::Fails(seen) if rvm.is_ok() && *answered == Verdict::Right => {
                    count("the interpreter fails loudly");
                    note("the interpreter fails loudly", seen);
                }
                _ => {}
            }
        }
    }
}

/// The list as a file: classes and the cases of each.
fn listed(found: &Found) -> String {
    let mut text = "# OPA's conformance cases that are not simply right, by what happens to them (docs/engine-divergences.md).\n# Written by SEAWALL_UPDATE=1 cargo test --test policies conformance\n".to_owned();
    for (class, notes) in found {
        writeln!(text, "{}:", json!(class)).unwrap();
        for note in notes.keys() {
            writeln!(text, "- {}", json!(note)).unwrap();
        }
    }
    text
}

#[test]
fn no_conformance_case_is_silently_wrong() {
    let Some(cases) = cases() else { return };
    let (found, figures) = run(&cases);
    let mut report = String::new();
    for (name, count) in &figures {
        writeln!(report, "{count:>6} {name}").unwrap();
    }
    for class in ["WRONG", "WRONG on the interpreter"] {
        for (note, seen) in found.get(class).into_iter().flatten() {
            writeln!(report, "{class}: {note}: {}", seen.chars().take(300).collect::<String>()).unwrap();
        }
    }
    if let Some(path) = std::env::var_os("SEAWALL_CONFORMANCE_REPORT") {
        std::fs::write(path, serde_json::to_string_pretty(&found).unwrap()).unwrap();
    }
    println!("{report}");
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST);
    if std::env::var_os("SEAWALL_UPDATE").is_some() {
        std::fs::write(&path, listed(&found)).unwrap();
    }
    let known: BTreeMap<String, BTreeSet<String>> =
        serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let mut changes = String::new();
    for class in known.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let (before, now) = (known.get(class).cloned().unwrap_or_default(), found.get(class));
        let now: BTreeSet<String> = now.into_iter().flat_map(BTreeMap::keys).cloned().collect();
        now.difference(&before).for_each(|note| writeln!(changes, "now {class}: {note}").unwrap());
        before.difference(&now).for_each(|note| writeln!(changes, "no longer {class}: {note}").unwrap());
    }
    assert!(
        !found.contains_key("WRONG") && !found.contains_key("WRONG on the interpreter"),
        "Seawall answers what OPA does not answer:\n{report}"
    );
    assert!(
        changes.is_empty(),
        "{LIST} is not true any more; look at each, then SEAWALL_UPDATE=1 cargo test --test policies conformance\n{changes}\n{report}"
    );
}
