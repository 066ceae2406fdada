//! Which rules and functions may have two different values at once, as far as it can be seen without evaluating them. What is not
//! sure counts as one that may.

use super::negation::whole;
use super::tree;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Most definitions of one name that are compared with each other; a file has room for thousands.
const COMPARED: usize = 64;

/// Names of complete rules, functions and partial objects that may have two values at once.
pub(super) fn ambiguous(rules: &Json, text: &str) -> BTreeSet<String> {
    let mut found: BTreeMap<&str, (Vec<&Json>, BTreeSet<String>, bool)> = BTreeMap::new();
    for rule in rules.as_array().into_iter().flatten() {
        let (Some(name), Some(spec)) = (tree::head_chain(rule).map(|head| head.root), rule.get("Spec")) else {
            continue;
        };
        let Some((kind, head)) = spec.get("head").and_then(tree::kind) else { continue };
        if kind == "Set" {
            continue;
        }
        let (definitions, values, several) = found.entry(name).or_default();
        definitions.push(spec);
        *several |= kind == "Compr" && head.get("refr").is_some_and(|refr| refr.get("Var").is_none());
        let bodies = bodies(spec);
        // a chain of `else` has one value; other bodies of one head are definitions of their own
        *several |= bodies.iter().skip(1).any(|body| body.get("is_else").and_then(Json::as_bool) != Some(true));
        let number = definitions.len();
        for (position, assign) in
            [head.get("assign")].into_iter().chain(bodies.iter().skip(1).map(|body| body.get("assign"))).enumerate()
        {
            let value = assign.and_then(|assign| assign.get("value"));
            values.insert(match value {
                None => "true".to_owned(),
                Some(value) if constant(value) => without_spans(value).to_string(),
                // each is another one than all others
                Some(_) => format!("{number} {position}"),
            });
            *several |= value.is_some_and(|value| !constant(value)) && definition_loops(spec);
        }
    }
    let may = |(definitions, values, several): &(Vec<&Json>, BTreeSet<String>, bool)| {
        let pairs =
            || definitions.iter().enumerate().flat_map(|(n, a)| definitions.iter().skip(n + 1).map(move |b| (a, b)));
        let many = definitions.len() > COMPARED;
        *several || (values.len() > 1 && (many || !pairs().all(|(a, b)| exclusive(a, b, text))))
    };
    found.into_iter().filter(|(_, found)| may(found)).map(|(name, _)| name.to_owned()).collect()
}

pub(super) fn bodies(spec: &Json) -> &[Json] {
    spec.get("bodies").and_then(Json::as_array).map_or(&[][..], Vec::as_slice)
}

/// Whether two definitions never hold at once, as far as it can be seen without evaluating: their arguments are different
/// constants, or of the same arguments the first statement of one negates that of the other, or compares the same with another
/// constant. Before the first statement there are no variables but the arguments.
fn exclusive(a: &Json, b: &Json, text: &str) -> bool {
    let shown = |node: &Json| {
        let (start, end) = whole(node)?;
        Some(text.get(start..end)?.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    let arguments = |spec: &Json| spec.get("head").and_then(tree::kind)?.1.get("args")?.as_array().cloned();
    let (of_a, of_b) = (arguments(a).unwrap_or_default(), arguments(b).unwrap_or_default());
    let differ = |(a, b): (&Json, &Json)| constant(a) && constant(b) && without_spans(a) != without_spans(b);
    if of_a.iter().zip(&of_b).any(differ) {
        return true;
    }
    let same = |a: &Json, b: &Json| shown(a).is_some_and(|shown_a| Some(shown_a) == shown(b));
    if of_a.len() != of_b.len() || !of_a.iter().zip(&of_b).all(|(a, b)| same(a, b)) {
        return false;
    }
    let first = |spec: &'_ Json| -> Option<Json> {
        let [body] = bodies(spec) else { return None };
        let statement = body.get("query")?.get("stmts")?.get(0)?;
        let replaced = statement.get("with_mods").and_then(Json::as_array).is_some_and(|mods| !mods.is_empty());
        statement.get("literal").filter(|_| !replaced).cloned()
    };
    let (Some(a), Some(b)) = (first(a), first(b)) else { return false };
    let mut known = BTreeSet::new();
    of_a.iter().for_each(|argument| variables(argument, &mut known));
    let inner = |literal: &Json, kind: &str| literal.get(kind)?.get("expr").cloned();
    match (inner(&a, "Expr"), inner(&b, "Expr"), inner(&a, "NotExpr"), inner(&b, "NotExpr")) {
        (Some(holds), None, None, Some(negated)) | (None, Some(holds), Some(negated), None) => same(&holds, &negated),
        (Some(a), Some(b), None, None) => {
            let compared = |expression: &Json| {
                let body =
                    expression.get("BoolExpr").filter(|body| body.get("op").and_then(Json::as_str) == Some("Eq"))?;
                let (left, right) = (body.get("lhs")?.clone(), body.get("rhs")?.clone());
                (constant(&right) && !loops(&left, &known)).then_some((left, right))
            };
            matches!((compared(&a), compared(&b)), (Some((x, one)), Some((y, other))) if same(&x, &y) && differ((&one, &other)))
        }
        _ => false,
    }
}

/// Whether a definition, or a value of it, loops. Statements are gone through in order, so that a key which is assigned before it
/// is used is none that goes through all keys; more than do are taken for loops.
fn definition_loops(spec: &Json) -> bool {
    let Some((_, head)) = spec.get("head").and_then(tree::kind) else { return false };
    let mut arguments = BTreeSet::new();
    variables(head.get("args").unwrap_or(&Json::Null), &mut arguments);
    let value = |at: &Json, bound: &BTreeSet<&str>| at.get("assign").is_some_and(|assign| loops(assign, bound));
    let mut bodies = bodies(spec).iter().peekable();
    if bodies.peek().is_none() {
        return value(head, &arguments);
    }
    bodies.enumerate().any(|(position, body)| {
        let mut bound = arguments.clone();
        let statements = body.get("query").and_then(|query| query.get("stmts")?.as_array());
        let within = statements.into_iter().flatten().any(|statement| {
            let found = loops(statement, &bound);
            if let Some(assigned) = statement.get("literal").and_then(|l| l.get("Expr")?.get("expr")?.get("AssignExpr"))
            {
                variables(assigned.get("lhs").unwrap_or(&Json::Null), &mut bound);
            }
            found
        });
        within || value(if position == 0 { head } else { body }, &bound)
    })
}

/// The variables of a pattern.
fn variables<'t>(pattern: &'t Json, found: &mut BTreeSet<&'t str>) {
    match pattern {
        Json::Array(items) => items.iter().for_each(|item| variables(item, found)),
        _ => match tree::kind(pattern) {
            Some(("Var", body)) => found.extend(body.get("value").and_then(Json::as_str).filter(|name| *name != "_")),
            Some(("Array", body)) => variables(body.get("items").unwrap_or(&Json::Null), found),
            _ => {}
        },
    }
}

/// Whether a node loops: `some … in`, or a key that may be a free variable. `some x` alone only declares.
fn loops(node: &Json, bound: &BTreeSet<&str>) -> bool {
    match node {
        Json::Array(items) => items.iter().any(|item| loops(item, bound)),
        Json::Object(fields) => match tree::kind(node) {
            Some(("SomeIn", _)) => true,
            Some(("ArrayCompr" | "SetCompr" | "ObjectCompr" | "Every" | "NotExpr", _)) => false,
            Some(("RefBrack", body)) => {
                let key = body.get("index").and_then(|index| index.get("Var")?.get("value")?.as_str());
                key.is_some_and(|name| !bound.contains(name)) || loops(body, bound)
            }
            _ => fields.iter().filter(|(key, _)| *key != "span").any(|(_, value)| loops(value, bound)),
        },
        _ => false,
    }
}

fn constant(value: &Json) -> bool {
    matches!(tree::kind(value), Some(("String" | "RawString" | "Number" | "Bool" | "Null", _)))
}

fn without_spans(value: &Json) -> Json {
    let (kind, body) = tree::kind(value).unwrap_or(("", &Json::Null));
    serde_json::json!([kind, body.get("value")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous_in(body: &str) -> Vec<String> {
        let text = format!("package p\n\n{body}\n");
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), text.clone()).unwrap();
        let trees: Json = serde_json::from_str(&engine.get_ast_as_json().unwrap()).unwrap();
        ambiguous(&trees[0]["ast"]["rules"], &text).into_iter().collect()
    }

    #[test]
    fn what_never_has_two_values_costs_nothing() {
        for body in [
            "f(x) := 1 if x > 1\nelse := 2 if x > 0\nelse := x",
            "f(x) := 1 if g(x)\nf(x) := 2 if not  g(x)",
            "f(x) := 1 if x.kind == \"a\"\nf(x) := x if { x.kind == \"b\"; x.y }",
            "f(\"a\", x) := x\nf(\"b\", y) := 2",
            "q := 1 if input.x\nq := 1 if input.y",
            "q if input.x\nq if input.y",
            "q contains 1 if input.x\nq contains 2",
            "f(x, k) := y if { i := g(k); [a, b] = x.pair; y := x[k][i][a][b] }",
            "f(x, k) := x[k]",
        ] {
            assert_eq!(ambiguous_in(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn what_may_have_two_values_is_watched() {
        for body in [
            "f(x) := 1 if x.a\nf(x) := 2 if x.b",
            "f(x, y) := 1 if x.kind == \"a\"\nf(x, y) := 2 if y.kind == \"b\"",
            "f(x, y) := 1 if x.a.kind\nf(x, y) := 2 if not y.a.kind",
            // the same words about another variable
            "f(x, y) := 1 if x\nf(y, x) := 2 if not x",
            "f(x) := 1 if { some y in x; y }\nf(x) := 2 if { some y in x; not y }",
            "f(x) := 1 if g(x)\nf(x) := 2 if not g(x) with input as 1",
            "f(x) := 1 if x[_] == 1\nf(x) := 2 if x[_] == 2",
            "f(x) := 1 if x == 1\nf(x) := 2 if x == 1.0",
            "f(x) := 1 if x.kind == \"a\"\nf(x) := 2 if x.kind == \"b\"\nf(x) := 3 if x.other",
            "f(x) := 1 if g(x)\nf(x) := 2 if not g(x)\nelse := 3",
            "f(x) := y if some y in x",
            "f(x) := x[_]",
            "f(x) := y if { some i; y = x[i] }",
            "f(x) := y if { i = x[i]; y := i }",
            "f(x) := y if { i = x[j]; j = x[i]; y := i }",
            "f(x) := 1 if x.a\nelse := x[i]",
            "f[k] := 1 if some k in input.x",
        ] {
            assert_eq!(ambiguous_in(body), ["f"], "{body}");
        }
    }

    #[test]
    fn of_very_many_definitions_none_are_compared() {
        let definitions = |count: usize| (0..count).map(|n| format!("f({n}) := {n}\n")).collect::<String>();
        assert_eq!(ambiguous_in(&definitions(COMPARED)), Vec::<String>::new());
        assert_eq!(ambiguous_in(&definitions(COMPARED + 1)), ["f"]);
    }
}
