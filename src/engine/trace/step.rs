//! One statement at a time: what it needs, what it binds, and for which bindings it holds.
//!
//! The engine has no trace, so each statement is a query of its own: bindings go in as a part of the input, and those for which
//! the statement holds come out with what it added to them.

use super::syntax::{Definition, bare, is_scope, kind, variables};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) use regorus::Value;

/// Local variables and their values.
pub(super) type Bindings = BTreeMap<String, Value>;

/// Where in the input the bindings are. Policies never read it: the first key of `input` is always written out.
pub(super) const KEY: &str = "explain__";

/// A statement.
pub(super) struct Step<'s> {
    pub(super) node: &'s Json,
    /// The text of a query.
    text: String,
    /// Local variables in it, at any depth.
    uses: BTreeSet<String>,
    /// Local variables in it, but for those within comprehensions.
    outside: BTreeSet<String>,
    /// Declared by it.
    fresh: BTreeSet<String>,
    /// What it can give a value.
    binds: BTreeSet<String>,
    /// `some x` alone.
    pub(super) declares: bool,
}

impl<'s> Step<'s> {
    /// Reads a statement; `None` where its shape is not known.
    pub(super) fn new(definition: &Definition<'_>, node: &'s Json) -> Option<Self> {
        let (literal, body) = kind(node.get("literal")?)?;
        let (mut uses, mut fresh, mut binds) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        variables(node, &mut uses);
        let mut outside = BTreeSet::new();
        match literal {
            "SomeVars" | "NotExpr" => {}
            "SomeIn" => {
                for part in ["key", "value"] {
                    body.get(part).into_iter().for_each(|pattern| bare(pattern, &mut fresh));
                }
                indices(body.get("collection")?, &mut binds);
            }
            "Expr" => {
                let expression = body.get("expr")?;
                indices(expression, &mut binds);
                if let Some(assignment) = expression.get("AssignExpr") {
                    bare(assignment.get("lhs")?, if is_declaration(assignment) { &mut fresh } else { &mut binds });
                    if !is_declaration(assignment) {
                        bare(assignment.get("rhs")?, &mut binds);
                    }
                }
            }
            "Every" => {
                for part in ["key", "value"] {
                    let name = body.get(part).and_then(super::syntax::span).and_then(|at| definition.module.at(at));
                    name.into_iter().for_each(|name| _ = uses.remove(name));
                }
            }
            _ => return None,
        }
        surface(node.get("literal")?, &mut outside);
        let is_local = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| definition.locals.contains(name)).collect()
        };
        Some(Self {
            node,
            text: definition.module.outside(node, &definition.locals)?,
            uses: is_local(uses),
            outside: is_local(outside),
            fresh: is_local(fresh),
            binds: is_local(binds),
            declares: literal == "SomeVars",
        })
    }

    /// Whether all that it needs is bound.
    pub(super) fn is_ready(&self, bound: &BTreeSet<String>) -> bool {
        let given = |name: &String| bound.contains(name) || self.fresh.contains(name) || self.binds.contains(name);
        self.declares || self.outside.iter().all(given)
    }

    /// The query for these bindings, and the names whose values it answers with after the position of the bindings.
    pub(super) fn query(&self, bound: &BTreeSet<String>) -> (String, Vec<String>) {
        let takes: Vec<&String> = self.uses.iter().filter(|n| bound.contains(*n) && !self.fresh.contains(*n)).collect();
        let gives: Vec<String> =
            self.outside.iter().chain(&self.fresh).filter(|n| !takes.contains(n)).cloned().collect();
        let gives: Vec<String> = gives.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut before = taken(takes.into_iter());
        for name in gives.iter().filter(|name| !self.fresh.contains(*name)) {
            before.push_str(&format!("some {name}; "));
        }
        (query(&gives.join(", "), &before, &self.text), gives)
    }
}

/// The query for the value of an expression. `None` where it has local variables that are not bound.
pub(super) fn value_query(definition: &Definition<'_>, node: &Json, bound: &BTreeSet<String>) -> Option<String> {
    let (mut uses, mut outside) = (BTreeSet::new(), BTreeSet::new());
    variables(node, &mut uses);
    surface(node, &mut outside);
    let is_local = |name: &&String| definition.locals.contains(*name);
    if outside.iter().filter(is_local).any(|name| !bound.contains(name)) {
        return None;
    }
    let takes = uses.iter().filter(is_local).filter(|name| bound.contains(*name));
    let text = definition.module.outside(node, &definition.locals)?;
    Some(query("explain_v__", &taken(takes), &format!("explain_v__ := {text}")))
}

/// The query for the members of a collection, with the names of key and value.
pub(super) fn members_query(definition: &Definition<'_>, domain: &Json, bound: &BTreeSet<String>) -> Option<String> {
    let mut uses = BTreeSet::new();
    variables(domain, &mut uses);
    let takes = uses.iter().filter(|name| bound.contains(*name));
    let text = definition.module.outside(domain, &definition.locals)?;
    Some(query("explain_k__, explain_v__", &taken(takes), &format!("some explain_k__, explain_v__ in {text}")))
}

/// The query whether a pattern of a function's head takes an argument, with the names that it binds.
pub(super) fn pattern_query(
    definition: &Definition<'_>,
    pattern: &Json,
    argument: &str,
) -> Option<(String, Vec<String>)> {
    let mut names = BTreeSet::new();
    bare(pattern, &mut names);
    let names: Vec<String> = names.into_iter().collect();
    let text = definition.module.outside(pattern, &definition.locals)?;
    let before: String = names.iter().map(|name| format!("some {name}; ")).collect();
    Some((query(&names.join(", "), &before, &format!("{text} = explain_e__[{argument:?}]")), names))
}

fn query(gives: &str, before: &str, statement: &str) -> String {
    let comma = if gives.is_empty() { "" } else { ", " };
    format!("[[explain_i__{comma}{gives}] | some explain_i__, explain_e__ in input.{KEY}; {before}{statement}\n]")
}

fn taken<'n>(names: impl Iterator<Item = &'n String>) -> String {
    names.map(|name| format!("{name} := explain_e__[{name:?}]; ")).collect()
}

/// Whether an assignment declares its variables.
pub(super) fn is_declaration(assignment: &Json) -> bool {
    assignment.get("op").and_then(Json::as_str) == Some("ColEq")
}

/// The variables of a node, but for those within comprehensions and `every`.
fn surface(node: &Json, names: &mut BTreeSet<String>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| surface(item, names)),
        Json::Object(fields) => {
            for (key, value) in fields {
                match key.as_str() {
                    "Var" => names.extend(value.get("value").and_then(Json::as_str).map(str::to_owned)),
                    "fcn" => {}
                    key if is_scope(key) => {
                        // what a body ranges over is outside of it
                        value.get("domain").into_iter().for_each(|domain| surface(domain, names));
                    }
                    _ => surface(value, names),
                }
            }
        }
        _ => {}
    }
}

/// Variables in brackets, which range over the keys of what stands before them where they have no value.
fn indices(node: &Json, names: &mut BTreeSet<String>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| indices(item, names)),
        Json::Object(fields) => {
            for (key, value) in fields {
                if is_scope(key) {
                    continue;
                }
                if key == "RefBrack"
                    && let Some(name) = value.get("index").and_then(|index| index.get("Var")?.get("value")?.as_str())
                {
                    names.insert(name.to_owned());
                }
                indices(value, names);
            }
        }
        _ => {}
    }
}
