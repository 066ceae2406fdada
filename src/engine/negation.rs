//! Operands of a negated expression, as OPA means them: `not f(input.x)` is `y := input.x; not f(y)`, and `not f(x) == 0` is
//! `y := f(x); not y == 0`, so that where an operand is undefined the whole statement fails. regorus takes operands for a part of
//! what is negated, and the statement holds. A database would be judged differently by `opa test` and by the server, so operands
//! are written out before both engines.
//!
//! Source: `expandExpr` and `rewriteDynamics` in OPA's compiler, which run on every expression, negated or not. The two sides of
//! `==` and what is negated by itself are not moved where they are references, only the keys in them: `not input.x == 0` and
//! `not input.x` hold in OPA too where there is no `x`, and `not input.x[input.y]` does not where there is no `y`.

use super::place::{edited, is_whole_body, place as span};
use super::tree::{first, kind};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// The source with the outermost operands of every negated expression assigned before it; `None` where there are none. What is
/// left within the moved ones (a comprehension with a negation of its own) is for the next turn: `turn` keeps names apart.
/// `rules` are the names that stand for rules and imports, which may be undefined; other plain names are variables.
pub(super) fn written_out(source: &str, tree: &Json, rules: &BTreeSet<String>, turn: usize) -> Option<String> {
    let mut found = Found { source, rules, turn, edits: Vec::new(), names: 0, until: 0 };
    found.node(tree.get("rules").unwrap_or(&Json::Null));
    if found.edits.is_empty() { None } else { Some(edited(source, found.edits)) }
}

struct Found<'s> {
    source: &'s str,
    rules: &'s BTreeSet<String>,
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
        let calls: Vec<(usize, usize)> = moved(expression, self.rules).into_iter().filter_map(whole).collect();
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
        if is_whole_body(self.source, start) {
            before.insert_str(0, "{ ");
            self.edits.push((until, until, " }".to_owned()));
        }
        self.edits.push((start, start, before));
        self.until = until;
    }
}

/// What OPA evaluates before a negated expression: its outermost calls, operations and references, but not what stands in
/// comprehensions.
pub(crate) fn moved<'t>(expression: &'t Json, rules: &BTreeSet<String>) -> Vec<&'t Json> {
    let mut found = Vec::new();
    match kind(expression) {
        Some(("Call", body)) => operands(body.get("params").unwrap_or(&Json::Null), rules, &mut found),
        // `==` and `=`
        Some(("BoolExpr" | "AssignExpr", body)) if body.get("op").and_then(Json::as_str) == Some("Eq") => {
            for side in ["lhs", "rhs"] {
                keys(body.get(side).unwrap_or(&Json::Null), rules, &mut found);
            }
        }
        Some((_, body)) if is_operation(expression) => operands(body, rules, &mut found),
        _ => keys(expression, rules, &mut found),
    }
    found
}

fn operands<'t>(node: &'t Json, rules: &BTreeSet<String>, found: &mut Vec<&'t Json>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| operands(item, rules, found)),
        Json::Object(fields) => match kind(node) {
            Some((name, _)) if name.ends_with("Compr") => {}
            Some(("Call" | "RefDot" | "RefBrack", _)) => found.push(node),
            Some((name, _)) if is_operation(node) && name != "UnaryExpr" => found.push(node),
            Some(("Var", body)) => {
                if body.get("value").and_then(Json::as_str).is_some_and(|name| rules.contains(name)) {
                    found.push(node);
                }
            }
            _ => fields.values().for_each(|value| operands(value, rules, found)),
        },
        _ => {}
    }
}

/// The same of a side of `==` or of what is negated by itself: of a reference only what its keys are made of.
fn keys<'t>(node: &'t Json, rules: &BTreeSet<String>, found: &mut Vec<&'t Json>) {
    match kind(node) {
        Some(("Var", _)) => {}
        Some(("RefDot" | "RefBrack", body)) => {
            keys(body.get("refr").unwrap_or(&Json::Null), rules, found);
            operands(body.get("index").unwrap_or(&Json::Null), rules, found);
        }
        _ => operands(node, rules, found),
    }
}

/// The place of an expression; the engine's span of a reference begins behind its variable.
pub(super) fn whole(node: &Json) -> Option<(usize, usize)> {
    Some((span(first(node))?.0, span(node)?.1))
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
        let rules = BTreeSet::from(["rule".to_owned()]);
        let text = written_out(&source, &trees[0]["ast"], &rules, 1)?;
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
    fn references_come_first() {
        assert_eq!(
            written("r if not f(input.x, [x.y[\"z\"], rule], y)").as_deref(),
            Some(
                "r if { negated_1_1__ := input.x; negated_1_2__ := x.y[\"z\"]; negated_1_3__ := rule; not f(negated_1_1__, [negated_1_2__, negated_1_3__], y) }"
            )
        );
        assert_eq!(
            written("r if { not input.x > 1; not input.x in {1} }").as_deref(),
            Some(
                "r if { negated_1_1__ := input.x; not negated_1_1__ > 1; negated_1_2__ := input.x; not negated_1_2__ in {1} }"
            )
        );
        assert_eq!(
            written("r if { not input.x[input.y].z; not [input.x] == input.y[rule] }").as_deref(),
            Some(
                "r if { negated_1_1__ := input.y; not input.x[negated_1_1__].z; negated_1_2__ := input.x; negated_1_3__ := rule; not [negated_1_2__] == input.y[negated_1_3__] }"
            )
        );
    }

    #[test]
    fn what_has_no_operand_within_stays() {
        assert_eq!(written("r if { not f(x) }\nf(x) if x"), None);
        assert_eq!(written("r if { not input.x == -1 }"), None);
        assert_eq!(written("r if { not input.x[y].z == rule }"), None);
        assert_eq!(written("r if { not rule }"), None);
        assert_eq!(written("r if { not y in [y | some y in input.z; count(y) == 0] }"), None);
        assert_eq!(written("r if { f(input.x) == 0 }\nf(x) := x"), None);
    }
}
