//! Rules of the library that many policies read are computed once for each object under review, not once in each policy:
//! the RVM does not remember what a function returned, and policies have programs of their own.
//!
//! All rules of one package are shared. A policy's program is compiled without that package, so it looks for the values
//! in `data`, where they are put before it runs. They are computed together in one evaluation, in which the RVM does remember
//! the values of rules; only when that fails each is computed for itself, so that the failure is that of whom it concerns. The interpreter knows nothing of this and computes the rules as written,
//! so that comparing the engines also tests the sharing.

use super::analysis::{Rule, Rules};
use super::compile::{self, CompileError};
use super::evaluate::{Data, EvaluationError};
use super::value;
use super::{analysis, builtins};
use regorus::rvm::program::Program;
use regorus::{CompiledPolicy, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rule that has the values of all shared ones.
const TOGETHER: &str = "data.seawall_shared.together";

/// A module with that rule: pairs of name and value. `None` where there is nothing to share.
pub(super) fn together(rules: &Rules, package: &str) -> Option<String> {
    let prefix = format!("{package}.");
    let pairs: String = rules
        .keys()
        .filter_map(|rule| rule.strip_prefix(&prefix))
        // the form of an assignment that the RVM compiles rightly, see rewrite.rs
        .map(|name| format!("\ntogether contains [\"{name}\", value] if {{ some value; value = {package}.{name} }}\n"))
        .collect();
    (!pairs.is_empty()).then(|| format!("package seawall_shared\n{pairs}"))
}

/// The program that computes the shared rules.
pub struct SharedRules {
    pub(super) id: u64,
    /// Full package.
    pub(super) package: String,
    pub(super) compiled: (Arc<Program>, CompiledPolicy),
    /// Names of the rules within the package.
    names: Vec<String>,
}

impl std::fmt::Debug for SharedRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedRules")
            .field("package", &self.package)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl SharedRules {
    /// Compiles the rules of a package. `None` where the modules have no such package.
    ///
    /// # Errors
    /// When they depend on the policy that asks, or the RVM cannot compile them.
    pub(super) fn compile(
        modules: &CompiledPolicy,
        rules: &Rules,
        package: &str,
    ) -> Result<Option<Self>, CompileError> {
        let inside = |name: &str| name.strip_prefix(package).and_then(|rest| rest.strip_prefix('.')).map(str::to_owned);
        let names: Vec<String> = rules.keys().filter_map(|name| inside(name)).collect();
        let full: Vec<&str> = rules.keys().filter(|name| inside(name).is_some()).map(String::as_str).collect();
        if full.is_empty() {
            return Ok(None);
        }
        let problem = |problem: String| CompileError::Prepare { package: package.to_owned(), problem };
        let read = analysis::closure(rules, &full);
        if !read.parameters.is_empty() {
            return Err(problem(
                "reads input.seawall; what policies share may depend on input.request and data alone, so write a \
                 function in another package of seawall.lib"
                    .to_owned(),
            ));
        }
        let entries: Vec<&str> = full.into_iter().chain([TOGETHER]).collect();
        let program = compile::program(modules, &entries).map_err(problem)?;
        let compiled = (program, modules.clone());
        Ok(Some(Self { id: compile::next_id(), package: package.to_owned(), compiled, names }))
    }

    /// The shared rules, by name within the package, that a policy reads.
    pub(super) fn read_by(&self, policy: &Rule) -> Vec<String> {
        self.names.iter().filter(|name| policy.refers.contains(&format!("{}.{name}", self.package))).cloned().collect()
    }
}

/// The values of the shared rules for one object under review, computed when first needed.
#[derive(Debug, Default)]
pub struct SharedValues(RefCell<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether they were computed together, or that was tried.
    begun: bool,
    /// By name; `None` where the rule is undefined.
    values: BTreeMap<String, Option<Value>>,
    /// The document that holds them all.
    document: Option<Data>,
}

impl SharedValues {
    /// The document with the shared rules in place; `compute` evaluates a rule of their program.
    pub(super) fn data(
        &self,
        rules: &SharedRules,
        read: &[String],
        data: &Data,
        mut compute: impl FnMut(&str) -> Result<Value, EvaluationError>,
    ) -> Result<Data, EvaluationError> {
        let mut known = self.0.borrow_mut();
        if !known.begun {
            known.begun = true;
            let all = compute(TOGETHER);
            if let (Ok(all), None) = (all, builtins::take_error()) {
                known.values = rules.names.iter().map(|name| (name.clone(), None)).collect();
                for pair in all.as_set().into_iter().flatten() {
                    if let Ok(name) = pair[0].as_string() {
                        known.values.insert(name.to_string(), Some(pair[1].clone()));
                    }
                }
            }
        }
        for name in read {
            if !known.values.contains_key(name) {
                let found = compute(&format!("{}.{name}", rules.package))?;
                // a failed builtin leaves a value that nobody may use; whoever asks next fails in the same way
                if let Some(error) = builtins::take_error() {
                    return Err(EvaluationError::Builtin(error));
                }
                known.values.insert(name.clone(), (found != Value::Undefined).then_some(found));
                known.document = None;
            }
        }
        if let Some(data) = &known.document {
            return Ok(data.clone());
        }
        let values = known.values.iter().filter_map(|(name, found)| Some((name.as_str(), found.clone()?)));
        let values = value::object(values.collect::<Vec<_>>());
        let path: Vec<&str> = rules.package.split('.').skip(1).collect();
        let document = Data::new(with(&data.root, &path, values));
        known.document = Some(document.clone());
        Ok(document)
    }
}

/// The document with a value at a path. Everything beside the path is shared, not copied.
fn with(document: &Value, path: &[&str], new: Value) -> Value {
    let Some((key, rest)) = path.split_first() else { return new };
    let inner = with(&document[*key], rest, new);
    let mut document = if document.as_object().is_ok() { document.clone() } else { Value::new_object() };
    if let Ok(fields) = document.as_object_mut() {
        fields.insert(Value::from(*key), inner);
    }
    document
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use crate::engine::compile::{EngineKind, Entry, Modules, Source, Unit};
    use crate::engine::evaluate::{Data, EvaluationError, Worker};
    use crate::engine::shared::SharedValues;
    use crate::engine::value;
    use serde_json::{Value as Json, json};
    use std::sync::Arc;
    use std::time::Duration;

    const PACKAGE: &str = "data.seawall.lib.subject";

    fn policy(name: &str, rule: &str) -> Source {
        let text = format!(
            "package seawall.policies.{name}\n\nimport data.seawall.lib.subject\n\nviolation contains {{\"v\": v}} if {{\n\tv := {rule}\n}}\n"
        );
        Source { file: format!("{name}.rego"), text }
    }

    fn subject(text: &str) -> Source {
        Source { file: "subject.rego".to_owned(), text: format!("package seawall.lib.subject\n\n{text}") }
    }

    fn units(subject: Source) -> [Unit; 2] {
        let sources = [subject, policy("a", "subject.doubled"), policy("b", "[subject.doubled, subject.name]")];
        let modules = Arc::new(Modules::parse(&sources, PACKAGE).unwrap_or_else(|e| panic!("{e}")));
        ["a", "b"].map(|name| Unit::compile(&modules, &format!("data.seawall.policies.{name}"), None).unwrap())
    }

    const RULES: &str = "doubled := input.n * 2\n\nname := input.name\n";

    struct Rig {
        worker: Worker,
        data: Data,
        shared: SharedValues,
    }

    impl Rig {
        fn new() -> Self {
            let root = json!({"cluster": {}, "seawall": {"knowledge": {}}});
            Self { worker: Worker::new(), data: Data::new(value::from_json(&root)), shared: SharedValues::default() }
        }

        fn ask(&mut self, unit: &Unit, input: &Json) -> Result<Json, EvaluationError> {
            let input = value::from_json(input);
            let limit = Duration::from_secs(10);
            let answer = self.worker.evaluate(unit, Entry::Violation, &input, &self.data, &self.shared, limit)?;
            Ok(value::to_json(&answer).unwrap())
        }
    }

    #[test]
    fn a_shared_rule_is_computed_once_for_an_object() {
        let [a, b] = units(subject(RULES));
        assert!(a.is_compiled() && b.is_compiled());
        let mut rig = Rig::new();
        assert_eq!(rig.ask(&a, &json!({"n": 2, "name": "x"})).unwrap(), json!([{"v": 4}]));
        // asked with another input the values are still those of the first: they were not computed again
        assert_eq!(rig.ask(&b, &json!({"n": 9, "name": "y"})).unwrap(), json!([{"v": [4, "x"]}]));
        // another object has values of its own
        rig.shared = SharedValues::default();
        assert_eq!(rig.ask(&b, &json!({"n": 9, "name": "y"})).unwrap(), json!([{"v": [18, "y"]}]));
    }

    #[test]
    fn comparing_engines_computes_the_rules_as_written() {
        let [_, b] = units(subject(RULES));
        let input = value::from_json(&json!({"n": 3, "name": "z"}));
        let mut rig = Rig::new();
        let limit = Duration::from_secs(10);
        for kind in [EngineKind::Rvm, EngineKind::Interpreter] {
            let answer = rig.worker.evaluate_on(kind, &b, Entry::Violation, &input, &rig.data, limit).unwrap();
            assert_eq!(value::to_json(&answer).unwrap(), json!([{"v": [6, "z"]}]), "{kind:?}");
        }
    }

    #[test]
    fn an_undefined_shared_rule_is_undefined_in_the_policy() {
        let [a, b] = units(subject(RULES));
        let mut rig = Rig::new();
        assert_eq!(rig.ask(&b, &json!({"n": 2})).unwrap(), json!([]));
        assert_eq!(rig.ask(&a, &json!({"n": 2})).unwrap(), json!([{"v": 4}]));
    }

    #[test]
    fn a_failing_shared_rule_fails_every_policy_that_reads_it() {
        let [a, b] = units(subject("doubled := to_number(input.n)\n\nname := 1\n"));
        let mut rig = Rig::new();
        for unit in [&a, &b, &a] {
            let error = rig.ask(unit, &json!({"n": "many"})).unwrap_err();
            assert!(matches!(error, EvaluationError::Builtin(_)), "{error:?}");
        }
    }

    #[test]
    fn a_failing_shared_rule_fails_no_policy_that_does_not_read_it() {
        let [a, b] = units(subject("doubled := 2\n\nname := to_number(input.n)\n"));
        let mut rig = Rig::new();
        for _ in 0..2 {
            assert_eq!(rig.ask(&a, &json!({"n": "many"})).unwrap(), json!([{"v": 2}]));
            assert!(matches!(rig.ask(&b, &json!({"n": "many"})), Err(EvaluationError::Builtin(_))));
        }
    }

    #[test]
    fn what_is_shared_may_not_depend_on_the_policy() {
        let error = Modules::parse([&subject("doubled := input.seawall.parameters.x\n")], PACKAGE).unwrap_err();
        assert!(error.to_string().contains("may depend on input.request and data alone"), "{error}");
    }
}
