//! Changes a module in one place at a time, so that tests can be asked whether they notice.
//!
//! What is changed: a rule (or one of its `else`) never holds, a `default` is gone, a condition always holds, a condition holds
//! where it did not, a comparison is turned round, and a comparison of order moves by its boundary. Assignments and `some … in`
//! stay: without them the rest has no meaning and does not compile.

use super::compile::{CompileError, Source, syntax};
use super::place::place as span;
use super::tree;
use serde_json::Value as Json;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mutant {
    /// Line of what is changed, from 1.
    pub line: usize,
    /// The rule in which it stands.
    pub rule: String,
    /// The text that is changed, on one line.
    pub was: String,
    /// What it becomes, on one line.
    pub becomes: String,
    /// Place of the edit in the source, in bytes.
    start: usize,
    end: usize,
    new: String,
}

impl Mutant {
    /// The module with the change.
    #[must_use]
    pub fn apply(&self, source: &str) -> String {
        let mut text = source.to_owned();
        if source.is_char_boundary(self.start) && source.is_char_boundary(self.end) {
            text.replace_range(self.start..self.end, &self.new);
        }
        text
    }
}

/// What a rule that is switched off is said to become.
pub const NEVER: &str = "(never holds)";

/// What a `default` that is taken away is said to become.
pub const GONE: &str = "(gone)";

/// All changes of a module, by line.
///
/// # Errors
/// When it does not parse.
pub fn mutants(source: &Source) -> Result<Vec<Mutant>, CompileError> {
    let module = syntax(source).map_err(|error| CompileError::Parse(vec![error]))?;
    let mut found = Found { source: &source.text, rule: String::new(), mutants: Vec::new() };
    let rules = module.get("ast").and_then(|tree| tree.get("rules")?.as_array());
    for rule in rules.into_iter().flatten() {
        found.definition(rule);
    }
    let mut mutants = found.mutants;
    mutants.sort();
    mutants.dedup();
    Ok(mutants)
}

struct Found<'s> {
    source: &'s str,
    rule: String,
    mutants: Vec<Mutant>,
}

impl Found<'_> {
    /// Notes a change of a place, told as one of another that holds it.
    fn note(&mut self, (start, end): (usize, usize), new: String, was: &str, becomes: &str) {
        let before = self.source.get(..start).unwrap_or_default();
        // what is told begins at the line of its first word
        let line = before.matches('\n').count() + 1;
        let (was, becomes) = (one_line(was), one_line(becomes));
        self.mutants.push(Mutant { line, rule: self.rule.clone(), was, becomes, start, end, new });
    }

    fn text(&self, (start, end): (usize, usize)) -> &str {
        self.source.get(start..end).unwrap_or_default()
    }

    fn definition(&mut self, rule: &Json) {
        let Some(head) = tree::head_chain(rule) else { return };
        self.rule = head.root.to_owned();
        if let Some(default) = rule.get("Default") {
            if let Some(span) = span(default) {
                let was = self.text(span).to_owned();
                self.note(span, String::new(), &was, GONE);
            }
            return;
        }
        let Some(spec) = rule.get("Spec") else { return };
        let bodies = spec.get("bodies").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let Some((start, whole)) = span(spec) else { return };
        match bodies.first() {
            None => self.without_body((start, whole)),
            Some(_) => {
                for (position, body) in bodies.iter().enumerate() {
                    // the first body begins after the head, which is what a person knows it by
                    let from = if position == 0 { Some(start) } else { span(body).map(|(start, _)| start) };
                    if let Some(from) = from {
                        self.body(from, body);
                    }
                }
            }
        }
        self.node(spec.get("head").unwrap_or(&Json::Null));
        self.node(spec.get("bodies").unwrap_or(&Json::Null));
    }

    /// A definition, or an `else`, that holds without conditions.
    fn without_body(&mut self, (start, end): (usize, usize)) {
        let was = self.text((start, end)).trim_end().to_owned();
        let end = start + was.len();
        let new = format!("{was} if {{ false }}");
        self.note((start, end), new, &was, NEVER);
    }

    fn body(&mut self, from: usize, body: &Json) {
        let query = body.get("query").unwrap_or(&Json::Null);
        let first = query.get("stmts").and_then(|stmts| stmts.get(0)).and_then(span);
        let Some((first, _)) = first else {
            if let Some(span) = span(body) {
                self.without_body(span);
            }
            return;
        };
        let Some((start, end)) = span(query) else { return };
        let head = one_line(self.text((from, start)));
        let was = head.strip_suffix('{').unwrap_or(&head).trim_end().to_owned();
        let braces = self.source.get(start..).is_some_and(|rest| rest.starts_with('{')) && first > start;
        let line = self.source.get(..from).unwrap_or_default().matches('\n').count() + 1;
        let (edit, new) = if braces {
            ((first, first), "false; ".to_owned())
        } else {
            ((start, end), format!("{{ false; {} }}", self.text((start, end))))
        };
        let rule = self.rule.clone();
        let becomes = NEVER.to_owned();
        self.mutants.push(Mutant { line, rule, was, becomes, start: edit.0, end: edit.1, new });
    }

    /// Everything below a node: statements of bodies, comprehensions and `every`, and comparisons.
    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                for statement in fields.get("stmts").and_then(Json::as_array).into_iter().flatten() {
                    self.statement(statement);
                }
                if let Some(comparison) = fields.get("BoolExpr") {
                    self.comparison(comparison);
                }
                fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| self.node(value));
            }
            _ => {}
        }
    }

    /// A statement that is a condition.
    fn statement(&mut self, statement: &Json) {
        let (Some(place), Some(literal)) = (span(statement), statement.get("literal")) else { return };
        let was = self.text(place).to_owned();
        if was == "true" {
            return;
        }
        if let Some(negated) = literal.get("NotExpr") {
            self.note(place, "true".to_owned(), &was, "true");
            if let Some(inner) = negated.get("expr").and_then(span) {
                let inner = self.text(inner).to_owned();
                self.note(place, inner.clone(), &was, &inner);
            }
        } else if literal.get("Every").is_some() {
            self.note(place, "true".to_owned(), &was, "true");
        } else if let Some(expression) = literal.get("Expr").and_then(|literal| literal.get("expr")) {
            if expression.get("AssignExpr").is_some() {
                return;
            }
            self.note(place, "true".to_owned(), &was, "true");
            // a comparison is turned round where it stands
            if expression.get("BoolExpr").is_none() {
                let new = format!("not {was}");
                self.note(place, new.clone(), &was, &new);
            }
        }
    }

    fn comparison(&mut self, body: &Json) {
        let ends = |key: &str| body.get(key).and_then(span);
        let (Some((from, left)), Some((right, to))) = (ends("lhs"), ends("rhs")) else { return };
        let between = self.text((left, right));
        let operator = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find_map(|op| Some((op, between.find(op)?)));
        let Some((operator, at)) = operator else { return };
        let others: &[&str] = match operator {
            "==" => &["!="],
            "!=" => &["=="],
            "<" => &[">=", "<="],
            "<=" => &[">", "<"],
            ">" => &["<=", ">="],
            _ => &["<", ">"],
        };
        let place = (left + at, left + at + operator.len());
        let was = self.text((from, to)).to_owned();
        for other in others {
            let head = self.text((from, place.0)).to_owned();
            let becomes = format!("{head}{other}{}", self.text((place.1, to)));
            self.note(place, (*other).to_owned(), &was, &becomes);
        }
    }
}

/// A text with every stretch of white space as one blank, without comments that end lines.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(|line| if line.trim_start().starts_with('#') { "" } else { line });
    lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;
    use regorus::Engine;

    fn of(rules: &str) -> (String, Vec<Mutant>) {
        let text = format!("package p\n\n{rules}\n");
        let source = Source { file: "p.rego".to_owned(), text: text.clone() };
        let mutants = mutants(&source).unwrap_or_else(|e| panic!("{e}"));
        for mutant in &mutants {
            let text = mutant.apply(&text);
            // variables may be left without a value, but the text is Rego
            Engine::new().add_policy("p.rego".to_owned(), text.clone()).unwrap_or_else(|e| panic!("{text}\n{e}"));
        }
        (text, mutants)
    }

    fn told(rules: &str) -> String {
        let line = |m: &Mutant| format!("{} {}: {} => {}\n", m.line, m.rule, m.was, m.becomes);
        of(rules).1.iter().map(line).collect()
    }

    #[test]
    fn rules_conditions_and_comparisons_are_changed() {
        insta::assert_snapshot!(told(
            "violation contains {\"msg\": msg} if {\n\t# why\n\tinput.x.y # and so\n\tnot input.z\n\tsome e in input.list\n\te.n < 3\n\tmsg := concat(\"\", [n | n := e.name; n != \"\"])\n}"
        ), @r#"
        3 violation: violation contains {"msg": msg} if => (never holds)
        5 violation: input.x.y => not input.x.y
        5 violation: input.x.y => true
        6 violation: not input.z => input.z
        6 violation: not input.z => true
        8 violation: e.n < 3 => e.n <= 3
        8 violation: e.n < 3 => e.n >= 3
        8 violation: e.n < 3 => true
        9 violation: n != "" => n == ""
        9 violation: n != "" => true
        "#);
        insta::assert_snapshot!(told(
            "default a := 1\n\na := 2 if input.a\n\nf(x) := 3 if {\n\tx == 1\n} else := 4 if x >= 2\n\nelse := 5\n\nb := [1, 2]\n\nc if {\n\tevery v in b { v > 0 }\n}\n\nd(v) if v in b\n\ne := (1 + 2) == (3)"
        ), @r#"
        3 a: default a := 1 => (gone)
        5 a: a := 2 if => (never holds)
        5 a: input.a => not input.a
        5 a: input.a => true
        7 f: f(x) := 3 if => (never holds)
        8 f: x == 1 => true
        8 f: x == 1 => x != 1
        9 f: else := 4 if => (never holds)
        9 f: x >= 2 => true
        9 f: x >= 2 => x < 2
        9 f: x >= 2 => x > 2
        11 f: else := 5 => (never holds)
        13 b: b := [1, 2] => (never holds)
        15 c: c if => (never holds)
        16 c: every v in b { v > 0 } => true
        16 c: v > 0 => true
        16 c: v > 0 => v <= 0
        16 c: v > 0 => v >= 0
        19 d: d(v) if => (never holds)
        19 d: v in b => not v in b
        19 d: v in b => true
        21 e: 1 + 2) == (3 => 1 + 2) != (3
        21 e: e := (1 + 2) == (3) => (never holds)
        "#);
    }

    #[test]
    fn the_place_is_edited_and_nothing_else() {
        let (text, mutants) = of("a if {\n\tinput.x == \"é\"\n\tinput.y\n}");
        let found = mutants.iter().find(|m| m.was == "input.y" && m.becomes == "true").unwrap();
        assert_eq!(found.apply(&text), "package p\n\na if {\n\tinput.x == \"é\"\n\ttrue\n}\n");
        let found = mutants.iter().find(|m| m.becomes.contains("!=")).unwrap();
        assert_eq!(found.apply(&text), "package p\n\na if {\n\tinput.x != \"é\"\n\tinput.y\n}\n");
        let found = mutants.iter().find(|m| m.becomes == NEVER).unwrap();
        assert_eq!(found.apply(&text), "package p\n\na if {\n\tfalse; input.x == \"é\"\n\tinput.y\n}\n");
    }

    #[test]
    fn what_does_not_parse_is_an_error() {
        let broken = Source { file: "p.rego".to_owned(), text: "package p\n\na if {".to_owned() };
        assert!(mutants(&broken).unwrap_err().to_string().starts_with("p.rego:3:"));
    }
}
