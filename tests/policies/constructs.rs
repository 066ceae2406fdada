//! Rego that nobody thought of: generated policies, on the two engines and on OPA. Where Seawall loads one, it answers as OPA does or
//! fails loudly.
//!
//! `SEAWALL_CONSTRUCTS` is how many policies are made (400), `SEAWALL_CONSTRUCTS_SEED` chooses others.

use crate::oracle::{Oracle, built, canonical};
use seawall::engine::compile::{EngineKind, Entry, Modules, Source, Unit};
use seawall::engine::evaluate::{Data, Worker};
use seawall::engine::value;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Rules that every policy has: defined, undefined, false, a set, an object, and functions with and without an answer.
const RULES: &str = r#"
one := 1

none := input.missing

no := false

few contains item if some item in input.list

pairs[key] := item if some key, item in input.o

default fallback := "d"

fallback := input.a if input.a != 1

f(x) := x if x != "b"

g(x) := "s" if is_string(x)

g(x) := 2 if not is_string(x)

h(x) := 7 if {
	x == 1
} else := y if {
	y := input.o.b
} else := "e"

p(x) if x == input.a

p(x) if x == "b"

each(list) := [found |
	some item in list
	found := object.get(input.o, item, null)
	found != 1
]
"#;

/// Facts.
const CLUSTER: &str = r#"{"nodes": {"b": {"a": 1, "b": "x"}, "x": {}}}"#;

/// Makes text by chance.
struct Maker {
    state: u64,
    /// Variables of the bodies around, outermost first.
    known: Vec<String>,
    names: usize,
}

impl Maker {
    /// A number below a bound: xorshift64*.
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(mixed).unwrap() % bound
    }

    fn one_of(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn term(&mut self, depth: usize) -> String {
        let plain = [
            "input.a",
            "input.missing",
            "input.o.b",
            "input.o.missing.deep",
            "input.text",
            "input.nothing",
            "1",
            "\"b\"",
        ];
        match self.below(if depth == 0 { 12 } else { 31 }) {
            0..=6 => self.one_of(&plain),
            7..=8 => self.one_of(&["one", "none", "no", "few", "pairs", "fallback", "input.list"]),
            9..=11 if self.known.is_empty() => "input.a".to_owned(),
            9..=11 => {
                let at = self.below(self.known.len());
                self.known[at].clone()
            }
            12..=15 => format!(
                "{}({})",
                self.one_of(&["f", "g", "h", "f", "is_string", "is_number", "type_name"]),
                self.term(depth - 1)
            ),
            16 => format!("object.get(input.o, \"b\", {})", self.term(depth - 1)),
            17 => format!("count({})", self.list(depth - 1)),
            18 => format!("({} + {})", self.term(depth - 1), self.term(depth - 1)),
            19 => format!("{{\"k\": {}}}", self.term(depth - 1)),
            20 => format!("[{}]", self.term(depth - 1)),
            21 => format!("input.o[{}]", self.term(depth - 1)),
            22 => format!("input.list[{}]", self.term(depth - 1)),
            23 => format!("pairs[{}]", self.term(depth - 1)),
            24 => format!("data.cluster.nodes[{}].a", self.term(depth - 1)),
            25 => format!("each({})", self.list(depth - 1)),
            26 => format!("({} {} {})", self.term(depth - 1), self.one_of(&["-", "*"]), self.term(depth - 1)),
            27 => {
                let (key, item) = (self.name(), self.name());
                let list = self.list(depth - 1);
                let before = self.known.len();
                self.known.extend([key.clone(), item.clone()]);
                let condition = self.statement(depth - 1);
                self.known.truncate(before);
                format!("{{{key}: {item} | some {key}, {item} in {list}; {condition}}}")
            }
            _ => {
                let item = self.name();
                let list = self.list(depth - 1);
                let before = self.known.len();
                self.known.push(item.clone());
                let body: Vec<String> = (0..=self.below(2)).map(|_| self.statement(depth - 1)).collect();
                self.known.truncate(before);
                let (open, close) = if self.below(2) == 0 { ('[', ']') } else { ('{', '}') };
                format!("{open}{item} | some {item} in {list}; {}{close}", body.join("; "))
            }
        }
    }

    fn list(&mut self, depth: usize) -> String {
        match self.below(6) {
            0..=2 => "input.list".to_owned(),
            3 => self.one_of(&["few", "pairs", "input.o", "input.missing"]),
            4 => format!("[{}, {}]", self.term(depth.saturating_sub(1)), self.term(depth.saturating_sub(1))),
            _ => format!("{{{}}}", self.term(depth.saturating_sub(1))),
        }
    }

    fn condition(&mut self, depth: usize) -> String {
        let lower = depth.saturating_sub(1);
        match self.below(12) {
            0..=2 => {
                let sign = self.one_of(&["==", "!="]);
                format!("{} {sign} {}", self.term(lower), self.term(lower))
            }
            // engines order sets and objects otherwise, so these have none (docs/engine-divergences.md)
            3 => {
                let plain = [
                    "input.a",
                    "input.missing",
                    "input.o.b",
                    "input.text",
                    "one",
                    "none",
                    "fallback",
                    "1",
                    "type_name(few)",
                ];
                let sign = self.one_of(&["<", ">="]);
                format!("{} {sign} {}", self.one_of(&plain), self.one_of(&plain))
            }
            4 => {
                let (term, mut list) = (self.term(lower), self.list(lower));
                if list.starts_with('[') {
                    // OPA's rule index loses `input.a in [input.b, 1]` (docs/engine-divergences.md)
                    list = format!("array.concat({list}, [])");
                }
                format!("{term} in {list}")
            }
            5..=6 => format!("p({})", self.term(lower)),
            7 => format!("startswith(input.text, {})", self.one_of(&["\"b\"", "input.text", "input.missing", "none"])),
            8 => format!("is_string({})", self.term(lower)),
            _ => self.term(lower),
        }
    }

    /// One statement; what it assigns is known afterwards.
    fn statement(&mut self, depth: usize) -> String {
        match self.below(20) {
            0..=7 => self.condition(depth),
            8..=14 => format!("not {}", self.condition(depth)),
            15..=16 => {
                let term = self.term(depth);
                let name = self.name();
                self.known.push(name.clone());
                format!("{name} := {term}")
            }
            17 => {
                let lower = depth.saturating_sub(1);
                let (left, right) = (self.term(lower), self.term(lower));
                let (one, other) = (self.name(), self.name());
                self.known.extend([one.clone(), other.clone()]);
                format!("[{one}, {other}] := [{left}, {right}]")
            }
            18 => {
                let list = self.list(depth);
                let (key, name) = (self.name(), self.name());
                self.known.push(name.clone());
                if self.below(2) == 0 {
                    return format!("some {name} in {list}");
                }
                self.known.push(key.clone());
                format!("some {key}, {name} in {list}")
            }
            _ => {
                let (name, list) = (self.name(), self.list(depth));
                let before = self.known.len();
                self.known.push(name.clone());
                let body = self.condition(depth);
                self.known.truncate(before);
                format!("every {name} in {list} {{ is_number({name}); {body} }}")
            }
        }
    }

    /// A body and the variables that it makes.
    fn body(&mut self) -> (String, Vec<String>) {
        self.known.clear();
        let count = 1 + self.below(4);
        let statements: Vec<String> = (0..count).map(|_| format!("\t{}", self.statement(3))).collect();
        (statements.join("\n"), std::mem::take(&mut self.known))
    }

    fn policy(&mut self, package: &str) -> String {
        let mut text = format!("package {package}\n{RULES}\n");
        for _ in 0..=self.below(2) {
            let (body, known) = self.body();
            text.push_str(&format!("violation contains [{}] if {{\n{body}\n}}\n\n", known.join(", ")));
        }
        let (body, known) = self.body();
        let value = known.last().map_or("true", String::as_str);
        text.push_str(&format!("helper := {value} if {{\n{body}\n}}"));
        if self.below(2) == 0 {
            let (body, known) = self.body();
            let value = known.last().map_or("input.a", String::as_str);
            text.push_str(&format!(" else := {value} if {{\n{body}\n}}"));
        }
        // a second definition, which may contradict the first
        if self.below(4) == 0 {
            let (body, known) = self.body();
            let value = known.last().map_or("1", String::as_str);
            text.push_str(&format!("\n\nhelper := {value} if {{\n{body}\n}}"));
        }
        text.push_str("\n\n");
        text.push_str("violation contains \"helper\" if not helper\n\nviolation contains {\"helper\": helper}\n");
        text
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// The numbers of the policies that OPA refuses.
fn refused_by_opa(folder: &std::path::Path, opa: &std::path::Path) -> BTreeSet<usize> {
    let output = Command::new(opa)
        .args(["check", "--strict", "--max-errors", "100000", "--format", "json"])
        .arg(folder)
        .output()
        .unwrap();
    if output.status.success() {
        return BTreeSet::new();
    }
    let told: Value = serde_json::from_slice(&output.stderr).unwrap();
    let file = |error: &Value| {
        let file = error["location"]["file"].as_str().unwrap();
        file.rsplit('/').next().unwrap().trim_start_matches('g').trim_end_matches(".rego").parse().unwrap()
    };
    told["errors"].as_array().unwrap().iter().map(file).collect()
}

#[test]
fn generated_rego_is_answered_as_opa_answers_it() {
    let Some(opa) = built("opa", "github.com/open-policy-agent/opa") else { return };
    let (count, seed) = (number("SEAWALL_CONSTRUCTS", 400), number("SEAWALL_CONSTRUCTS_SEED", 1));
    let mut maker = Maker {
        state: u64::try_from(seed).unwrap().wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
        known: Vec::new(),
        names: 0,
    };
    let folder = tempfile::tempdir().unwrap();
    let mut texts: BTreeMap<usize, String> =
        (0..count).map(|n| (n, maker.policy(&format!("seawall.policies.g{n}")))).collect();
    let write = |texts: &BTreeMap<usize, String>| {
        for (n, text) in texts {
            fs::write(folder.path().join(format!("g{n}.rego")), text).unwrap();
        }
    };
    write(&texts);
    // types are checked after everything else
    loop {
        let refused = refused_by_opa(folder.path(), &opa);
        for n in &refused {
            texts.remove(n);
            fs::remove_file(folder.path().join(format!("g{n}.rego"))).unwrap();
        }
        if refused.is_empty() {
            break;
        }
    }
    let inputs = [
        json!({"a": 1, "text": "b", "list": [1, 2, "b"], "o": {"b": 1, "x": {"b": 2}}, "nothing": null}),
        json!({"a": "b", "text": "", "list": [], "o": {"b": "x"}, "nothing": {}}),
        json!({"a": false, "text": 1, "list": {"b": 1}, "o": [1, 2]}),
        json!({}),
    ];
    let mut oracle = Oracle::over(folder.path()).unwrap();
    let cluster: Value = serde_json::from_str(CLUSTER).unwrap();
    let data = Data::new(value::from_json(&json!({"cluster": cluster})));
    let (mut figures, mut wrong) = (BTreeMap::<String, usize>::new(), Vec::new());
    let mut worker = Worker::new();
    for (n, text) in &texts {
        let package = format!("data.seawall.policies.g{n}");
        let source = Source { file: format!("g{n}.rego"), text: text.clone() };
        let unit = catch_unwind(AssertUnwindSafe(|| {
            let modules = Modules::parse([&source], "").map_err(|e| e.to_string())?;
            Unit::compile(&Arc::new(modules), &package, None).map_err(|e| e.to_string())
        }));
        let unit = match unit {
            Ok(Ok(unit)) => unit,
            Ok(Err(_)) => {
                *figures.entry("refused".to_owned()).or_default() += 1;
                continue;
            }
            Err(_) => {
                wrong.push(format!("loading panics:\n{text}"));
                continue;
            }
        };
        for input in &inputs {
            let wanted = oracle.ask(&format!("{package}.violation"), input, CLUSTER).map(canonical);
            for kind in [EngineKind::Rvm, EngineKind::Interpreter] {
                if kind == EngineKind::Rvm && unit.interpreted_because.is_some() {
                    continue;
                }
                let answer = worker.evaluate_on(
                    kind,
                    &unit,
                    Entry::Violation,
                    &value::from_json(input),
                    &data,
                    Duration::from_secs(10),
                );
                let found = answer.map(|value| canonical(value::to_json(&value).unwrap_or_else(|| json!([]))));
                let class = match (&wanted, &found) {
                    (Ok(wanted), Ok(found)) if wanted == found => "right",
                    (Ok(_), Err(_)) => "fails loudly",
                    (Err(_), Err(_)) => "fails as OPA does",
                    // of two operands, one undefined and one of the wrong type, an engine may see the one or the other first; without
                    // strict errors both are undefined to OPA
                    (Err(error), Ok(_))
                        if error.contains("eval_type_error") || error.contains("eval_builtin_error") =>
                    {
                        "undefined, where OPA fails"
                    }
                    _ => "WRONG",
                };
                *figures.entry(format!("{kind:?}: {class}")).or_default() += 1;
                if class == "WRONG" {
                    let body = text.replace(RULES, "");
                    wrong.push(format!("{kind:?} with {input}\n{body}found {found:?}\nOPA:  {wanted:?}"));
                }
            }
        }
    }
    assert!(figures.get("Rvm: right").is_some_and(|right| *right > count / 2), "too little was compared: {figures:?}");
    println!("of {count} policies OPA takes {}: {figures:#?}", texts.len());
    wrong.sort_by_key(String::len);
    assert!(
        wrong.is_empty(),
        "{} answers differ\n{}",
        wrong.len(),
        wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n\n")
    );
}
