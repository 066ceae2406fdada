//! Rules that nothing reaches, and conditions that are constant.

use super::{Context, Found, Module, suppress};
use crate::engine::analysis::closure;
use crate::engine::negation;
use crate::engine::tree::{self, chain, kind};
use serde_json::Value as Json;
use std::collections::BTreeSet;

pub(super) fn check(context: &Context<'_>, broken: &BTreeSet<String>, found: &mut Found) {
    unused(context, broken, found);
    for module in context.linted() {
        for rule in module.rules() {
            queries(rule, &mut |statements| {
                constant_conditions(module, statements, found);
                negated_fields(module, statements, found);
            });
        }
    }
}

fn unused(context: &Context<'_>, broken: &BTreeSet<String>, found: &mut Found) {
    let rules = &context.rules;
    let is_policy = |name: &str| name.starts_with("data.seawall.policies.");
    let answers = |name: &str| is_policy(name) && (name.ends_with(".violation") || name.ends_with(".patch"));
    let entries: Vec<&str> = rules.keys().map(String::as_str).filter(|name| answers(name)).collect();
    // who silenced the finding says that somebody else asks
    let asked = rules.iter().filter(|(_, rule)| {
        let place = rule.place();
        let text = context.set.text(&place.file).unwrap_or_default();
        suppress::is_ignored(text, place.line, "rego/unused-rule")
    });
    let entries: Vec<&str> = entries.into_iter().chain(asked.map(|(name, _)| name.as_str())).collect();
    let silenced: BTreeSet<&str> = entries.iter().copied().filter(|name| !answers(name)).collect();
    let answered: BTreeSet<String> = reached(context, &entries);
    let tests: BTreeSet<&str> =
        context.modules.iter().filter(|m| m.is_test()).flat_map(|m| tested(m, context)).collect();
    let by_tests = reached(context, &tests.iter().copied().collect::<Vec<_>>());
    for (name, rule) in rules {
        // a silenced rule is told, so that its comment counts as used, unless something really reaches it
        let really =
            answered.contains(name) && (!silenced.contains(name.as_str()) || by_others(context, &entries, name));
        // what a broken module would have asked for is not known
        let unknown = broken
            .iter()
            .any(|package| !is_policy(name) || name.starts_with(&format!("{package}.")) || package.ends_with("_test"));
        if really || unknown || !context.set.is_linted(&rule.at.0) {
            continue;
        }
        let short = name.rsplit('.').next().unwrap_or(name);
        let tested = by_tests.contains(name);
        let (message, fix) = match (is_policy(name), tested) {
            // a helper that a test calls by its name is reached
            (true, true) => continue,
            (true, false) => (
                format!("nothing reaches {short}: neither `violation` nor `patch` nor a test asks for it"),
                "remove it, or ask for it where it was meant",
            ),
            (false, true) => (
                format!("no policy asks for {name}, only its tests do"),
                "remove both, or say with `# seawall-lint: ignore` who asks for it",
            ),
            (false, false) => (format!("no policy asks for {name}"), "remove it"),
        };
        found.wide("rego/unused-rule", rule.place(), short.chars().count(), message, fix);
    }
}

/// Whether other roots than the rule itself lead to it.
fn by_others(context: &Context<'_>, roots: &[&str], name: &str) -> bool {
    let others: Vec<&str> = roots.iter().copied().filter(|root| *root != name).collect();
    reached(context, &others).contains(name)
}

/// Rules and all that they lead to.
fn reached(context: &Context<'_>, roots: &[&str]) -> BTreeSet<String> {
    let mut all = closure(&context.rules, roots).refers;
    all.extend(roots.iter().map(|root| (*root).to_owned()));
    all
}

/// The rules that a test names.
fn tested<'c>(test: &Module, context: &'c Context<'_>) -> Vec<&'c str> {
    let imports = tree::imports(&test.printed);
    let mut paths: BTreeSet<String> = imports.values().cloned().collect();
    each(test.tree(), &mut |node| {
        let Some(found) = chain(node) else { return };
        let base = if found.root == "data" { Some("data") } else { imports.get(found.root).map(String::as_str) };
        if let Some(base) = base {
            let mut path = base.to_owned();
            for key in found.leading() {
                path.push('.');
                path.push_str(key);
                paths.insert(path.clone());
            }
        }
    });
    context.rules.keys().map(String::as_str).filter(|name| paths.contains(*name)).collect()
}

/// Every node under a node.
pub(super) fn each<'t>(node: &'t Json, visit: &mut dyn FnMut(&'t Json)) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| each(item, visit)),
        Json::Object(fields) => {
            visit(node);
            fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| each(value, visit));
        }
        _ => {}
    }
}

/// The statements of every query under a node.
fn queries<'t>(node: &'t Json, visit: &mut dyn FnMut(&'t [Json])) {
    each(node, &mut |node| {
        if let Some(statements) = node.get("stmts").and_then(Json::as_array) {
            visit(statements);
        }
    });
}

fn constant_conditions(module: &Module, statements: &[Json], found: &mut Found) {
    for (index, statement) in statements.iter().enumerate() {
        let Some(literal) = statement.get("literal") else { continue };
        let (expression, negated) = match kind(literal) {
            Some(("Expr", body)) => (body.get("expr"), false),
            Some(("NotExpr", body)) => (body.get("expr"), true),
            _ => continue,
        };
        let Some(holds) = expression.and_then(constant).map(|value| value != negated) else { continue };
        let later = statements.len() > index + 1;
        let (message, fix) = match (holds, later) {
            (true, _) => ("the condition always holds", "remove it, or compare with a field of the object"),
            (false, true) => ("the condition never holds, so what stands below it is never reached", "remove the body"),
            (false, false) => ("the condition never holds", "remove the body, or compare with a field of the object"),
        };
        found.wide("rego/constant-condition", module.place(statement), module.width(statement), message, fix);
    }
}

/// Fields of the object as operands of a negated expression: where the object does not have them, the statement fails.
fn negated_fields(module: &Module, statements: &[Json], found: &mut Found) {
    for statement in statements {
        let Some(negated) = statement.get("literal").and_then(|literal| literal.get("NotExpr")?.get("expr")) else {
            continue;
        };
        for operand in negation::moved(negated, &BTreeSet::new()) {
            let Some(reference) = chain(operand) else { continue };
            let is_field = reference.root == "input"
                && matches!(reference.leading().as_slice(), ["request", "object" | "oldObject", ..])
                && reference.keys.len() > 2;
            if is_field {
                let field = reference.leading().join(".");
                let message = format!(
                    "where there is no input.{field} the whole condition fails, although it is negated, and nothing is found"
                );
                let fix = "read it with object.get and a value for its absence, or negate a rule of its own";
                found.wide("rego/negated-field", module.place(operand), module.width(operand), message, fix);
            }
        }
    }
}

/// Whether an expression holds whatever the input is.
fn constant(expression: &Json) -> Option<bool> {
    let scalar = |node: &Json| match kind(node) {
        Some(("Bool" | "String" | "RawString" | "Number" | "Null", body)) => body.get("value").cloned(),
        _ => None,
    };
    if let Some(value) = scalar(expression) {
        return Some(value != Json::Bool(false));
    }
    let (name, body) = kind(expression)?;
    if name != "BoolExpr" {
        return None;
    }
    let (left, right) = (body.get("lhs")?, body.get("rhs")?);
    let (left, right) = (scalar(left)?, scalar(right)?);
    let order = match (&left, &right) {
        (Json::Number(a), Json::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?)?,
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (a, b) if a == b => std::cmp::Ordering::Equal,
        // Rego orders types; only whether they are equal is plain to see
        _ => {
            return match body.get("op").and_then(Json::as_str)? {
                "Eq" => Some(false),
                "Ne" => Some(true),
                _ => None,
            };
        }
    };
    match body.get("op").and_then(Json::as_str)? {
        "Eq" => Some(order.is_eq()),
        "Ne" => Some(order.is_ne()),
        "Lt" => Some(order.is_lt()),
        "Le" => Some(order.is_le()),
        "Gt" => Some(order.is_gt()),
        "Ge" => Some(order.is_ge()),
        _ => None,
    }
}
