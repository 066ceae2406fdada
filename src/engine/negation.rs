//! Calls within a negated expression, as OPA means them: `not f(x) == 0` is `y := f(x); not y == 0`, so that where `f(x)` is
//! undefined the whole statement fails. regorus takes the call for a part of what is negated, and the statement holds. A
//! database would be judged differently by `opa test` and by the server, so the calls are written out before both engines.
//!
//! Source: `expandExpr` in OPA's compiler, which runs on every expression, negated or not. References are not moved:
//! `not input.x == 0` holds in OPA too where there is no `x`.

use super::place::{edited, place as span};
use super::tree::kind;
use serde_json::Value as Json;

/// The source with the outermost calls of every negated expression assigned before it; `None` where there are none. What is
/// left within the moved calls (a comprehension with a negation of its own) is for the next turn: `turn` keeps names apart.
pub(super) fn written_out(source: &str, tree: &Json, turn: usize) -> Option<String> {
    let mut found = Found { source, turn, edits: Vec::new(), names: 0, until: 0 };
    found.node(tree.get("rules").unwrap_or(&Json::Null));
    if found.edits.is_empty() { None } else { Some(edited(source, found.edits)) }
}

struct Found<'s> {
    source: &'s str,
    turn: usize,
    /// Start, end and new text.
    edits: Vec<(usize, usize, String)>,
    names: usize,
    /// Where the last rewritten statement ends.
    until: usize,
}

impl Found<'_> {
    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                if let Some(negated) = fields.get("literal").and_then(|literal| literal.get("NotExpr")) {
                    self.statement(node, negated);
                }
                fields.values().for_each(|value| self.node(value));
            }
            _ => {}
        }
    }

    fn statement(&mut self, statement: &Json, negated: &Json) {
        let (Some((start, _)), Some(expression)) = (span(statement), negated.get("expr")) else { return };
        if start < self.until {
            return;
        }
        let mut calls = Vec::new();
        match kind(expression) {
            Some(("Call", body)) => operands(body.get("params").unwrap_or(&Json::Null), &mut calls),
            Some((_, body)) if is_operation(expression) => operands(body, &mut calls),
            _ => operands(expression, &mut calls),
        }
        let Some(end) = span(expression).map(|(_, end)| end).filter(|_| !calls.is_empty()) else { return };
        // what a test replaces for the statement is replaced for the calls too
        let replaced = statement.get("with_mods").and_then(Json::as_array).is_some_and(|mods| !mods.is_empty());
        let until = span(statement).map_or(end, |(_, end)| end);
        let with = self.source.get(end..until).filter(|_| replaced).map_or("", str::trim);
        if replaced && !with.starts_with("with") {
            return;
        }
        let space = if with.is_empty() { "" } else { " " };
        let mut before = String::new();
        for (from, to) in calls {
            let Some(text) = self.source.get(from..to) else { continue };
            self.names += 1;
            let name = format!("negated_{}_{}__", self.turn, self.names);
            before.push_str(&format!("{name} := {text}{space}{with}; "));
            self.edits.push((from, to, name));
        }
        // the whole body of a rule without braces has no room for a second statement
        if self.source.get(..start).is_some_and(|text| text.trim_end().ends_with(" if")) {
            before.insert_str(0, "{ ");
            self.edits.push((until, until, " }".to_owned()));
        }
        self.edits.push((start, start, before));
        self.until = until;
    }
}

/// The outermost calls and operations under a node, as places in the source. Those in comprehensions stay there.
fn operands(node: &Json, calls: &mut Vec<(usize, usize)>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| operands(item, calls)),
        Json::Object(fields) => match kind(node) {
            Some((name, _)) if name.ends_with("Compr") => {}
            Some((name, _)) if name == "Call" || (is_operation(node) && name != "UnaryExpr") => {
                calls.extend(span(node));
            }
            _ => fields.values().for_each(|value| operands(value, calls)),
        },
        _ => {}
    }
}

fn is_operation(node: &Json) -> bool {
    kind(node).is_some_and(|(name, _)| {
        matches!(name, "BinExpr" | "BoolExpr" | "ArithExpr" | "Membership" | "UnaryExpr" | "AssignExpr")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &str) -> Option<String> {
        let source = format!("package p\n\n{body}\n");
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), source.clone()).unwrap();
        let trees: Json = serde_json::from_str(&engine.get_ast_as_json().unwrap()).unwrap();
        let text = written_out(&source, &trees[0]["ast"], 1)?;
        // what comes out parses
        regorus::Engine::new().add_policy("p.rego".to_owned(), text.clone()).unwrap();
        Some(text.trim_start_matches("package p\n\n").trim_end().to_owned())
    }

    #[test]
    fn calls_come_first() {
        assert_eq!(
            written("r if {\n\tx := 1\n\tnot f(x, g(x)) == input.y[count([x])]\n}").as_deref(),
            Some(
                "r if {\n\tx := 1\n\tnegated_1_1__ := f(x, g(x)); negated_1_2__ := count([x]); not negated_1_1__ == input.y[negated_1_2__]\n}"
            )
        );
        assert_eq!(
            written("r if not lower(input.x) in {\"a\"}").as_deref(),
            Some("r if { negated_1_1__ := lower(input.x); not negated_1_1__ in {\"a\"} }")
        );
        assert_eq!(
            written("r if { not startswith(lower(input.x), concat(\"\", [\"a\"])) }").as_deref(),
            Some(
                "r if { negated_1_1__ := lower(input.x); negated_1_2__ := concat(\"\", [\"a\"]); not startswith(negated_1_1__, negated_1_2__) }"
            )
        );
        assert_eq!(
            written("r if {\n\tnot f(1) == 0 with input as g(2)\n}").as_deref(),
            Some("r if {\n\tnegated_1_1__ := f(1) with input as g(2); not negated_1_1__ == 0 with input as g(2)\n}")
        );
        assert_eq!(
            written("r if { not input.x + 1 == 2 }").as_deref(),
            Some("r if { negated_1_1__ := input.x + 1; not negated_1_1__ == 2 }")
        );
    }

    #[test]
    fn texts_keep_their_quotes() {
        assert_eq!(
            written("r if not lower(input.x) == \"a\"").as_deref(),
            Some("r if { negated_1_1__ := lower(input.x); not negated_1_1__ == \"a\" }")
        );
        assert_eq!(
            written("r if { not \"a\" in f(input.x) }\nf(x) := x").as_deref(),
            Some("r if { negated_1_1__ := f(input.x); not \"a\" in negated_1_1__ }\nf(x) := x")
        );
    }

    #[test]
    fn what_has_no_call_within_stays() {
        assert_eq!(written("r if { not f(input.x) }\nf(x) if x"), None);
        assert_eq!(written("r if { not input.x == -1 }"), None);
        assert_eq!(written("r if { not input.x in [y | some y in input.z; count(y) == 0] }"), None);
        assert_eq!(written("r if { f(input.x) == 0 }\nf(x) := x"), None);
    }
}
