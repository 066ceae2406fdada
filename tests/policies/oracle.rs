//! OPA as the oracle: `opaeval` (tests/tools) is OPA's own evaluator with strict builtin errors, one process for a whole test.

use seawall::engine::compile::{EngineKind, Entry};
use seawall::engine::evaluate::Worker;
use seawall::engine::value;
use seawall::policy::store::Policy;
use seawall::review::Snapshot;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// A running `opaeval`. It ends when its standard input closes.
pub(crate) struct Oracle {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Oracle {
    /// Builds (cached by Go) and starts it; `None` where there is no Go, said loudly.
    pub(crate) fn start() -> Option<Self> {
        Self::over(&Path::new(env!("CARGO_MANIFEST_DIR")).join("policies"))
    }

    /// The same over the modules of another folder.
    pub(crate) fn over(folder: &Path) -> Option<Self> {
        let mut process = Command::new(tool("opaeval")?)
            .arg("-bundle")
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Some(Self { process, questions, answers })
    }

    /// What OPA answers for a rule of a policy: an undefined rule is an empty set, an error is an error.
    pub(crate) fn ask(&mut self, query: &str, input: &Value, cluster: &str) -> Result<Value, String> {
        // the same facts for many questions are written out once
        let line = format!(r#"{{"id": 0, "query": "{query}", "input": {input}, "cluster": {cluster}}}"#);
        let questions = self.questions.as_mut().unwrap();
        writeln!(questions, "{line}").unwrap();
        questions.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let mut answer: Value = serde_json::from_str(&answer).map_err(|e| format!("opaeval is gone: {e}"))?;
        match answer.get("error") {
            Some(error) => Err(format!("OPA fails: {error}")),
            None => Ok(answer.get_mut("result").map_or_else(|| json!([]), Value::take)),
        }
    }

    /// Compares RVM, interpreter and OPA on all rules of a policy for one input. `cluster` are the facts as JSON.
    pub(crate) fn compare(
        &mut self,
        worker: &mut Worker,
        policy: &Policy,
        input: &value::Value,
        snapshot: &Snapshot,
        cluster: &str,
    ) -> Result<(), String> {
        for entry in [Entry::Violation, Entry::Patch].into_iter().filter(|entry| policy.unit.has(*entry)) {
            let query = format!("{}.{}", policy.unit.package, entry.rule());
            let mut ours = [EngineKind::Rvm, EngineKind::Interpreter].map(|kind| {
                let limit = Duration::from_secs(30);
                let answer = worker.evaluate_on(kind, &policy.unit, entry, input, snapshot.data(), limit);
                answer.map_err(|e| format!("{query} on {kind:?}: {e}"))
            });
            let [rvm, interpreter] = &mut ours;
            let json = |answer: &Result<value::Value, String>| -> Result<Value, String> {
                Ok(canonical(value::to_json(answer.as_ref().map_err(Clone::clone)?).unwrap_or_else(|| json!([]))))
            };
            let (rvm, interpreter) = (json(rvm)?, json(interpreter)?);
            let input = value::to_json(input).unwrap_or_default();
            let opa = canonical(self.ask(&query, &input, cluster).map_err(|e| format!("{query}: {e}"))?);
            if rvm != interpreter || rvm != opa {
                return Err(format!(
                    "{query} differs\nRVM:         {rvm}\ninterpreter: {interpreter}\nOPA:         {opa}"
                ));
            }
        }
        Ok(())
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.process.wait();
    }
}

/// A program of tests/tools that is ours, built (cached by Go) once; `None` where there is no Go, said loudly.
pub(crate) fn tool(name: &'static str) -> Option<PathBuf> {
    built(name, &format!("./{name}"))
}

/// The same for any package that tests/tools has.
pub(crate) fn built(name: &'static str, package: &str) -> Option<PathBuf> {
    static PROGRAMS: Mutex<BTreeMap<&str, Option<PathBuf>>> = Mutex::new(BTreeMap::new());
    PROGRAMS.lock().unwrap().entry(name).or_insert_with(|| build(name, package)).clone()
}

fn build(name: &str, package: &str) -> Option<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools");
    let output = format!("bin/{name}");
    let built = Command::new("go").args(["build", "-trimpath", "-o", &output, package]).current_dir(&tools).status();
    match built {
        Ok(status) => assert!(status.success(), "{name} does not build"),
        Err(error) if std::env::var("SEAWALL_CLUSTER_TESTS").as_deref() == Ok("require") => {
            panic!("the comparison with OPA needs Go: {error}")
        }
        Err(error) => {
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: the comparison with OPA needs Go ({error}); install Go 1.26 or later ***\n"
            );
            return None;
        }
    }
    Some(tools.join(output))
}

/// One form for equal answers: keys in one order, whole numbers as integers (OPA writes 1.0 as 1), and the answer itself, a
/// set, sorted.
pub(crate) fn canonical(answer: Value) -> Value {
    match ordered(answer) {
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other,
    }
}

fn ordered(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut pairs: Vec<(String, Value)> = fields.into_iter().map(|(k, v)| (k, ordered(v))).collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(pairs.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(ordered).collect()),
        Value::Number(number) => number
            .as_f64()
            .filter(|f| f.fract() == 0.0 && f.abs() < 9e15)
            .map_or(Value::Number(number), |f| json!(f as i64)),
        other => other,
    }
}
