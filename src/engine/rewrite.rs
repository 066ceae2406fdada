//! Rewrites what regorus 0.14 gets wrong or does slowly. Positions of lines stay as they are.
//!
//! For the RVM only: in a body, `x := e` goes on with an undefined `x` where `e` is undefined, so `7 if { x := input.missing }` would give 7.
//! `some x; x = e` means the same in Rego and is compiled rightly.
//!
//! Also for the RVM only: where a statement of a comprehension fails before the comprehension loops itself, the loop around it ends, and
//! what it had yet to find is lost: `[x | some x in ["a", "b", "c"]; count([1 | x != "b"]) == 0]` is empty. A loop over one item put
//! first makes the failure that of the inner loop.
//!
//! For both engines: `lib.rule`, where `lib` is imported, is taken for the whole package `lib`, all rules of which are computed,
//! and its key `rule`. With the full path only that rule is.

use super::place::{edited, place as span};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The source of one module for the RVM. `tree` is its syntax tree, `imports` the full path by alias.
///
/// # Errors
/// The line of an assignment that is the whole body of a rule without braces: there is no room for a second statement.
pub fn for_rvm(source: &str, tree: &Json, imports: &BTreeMap<String, String>) -> Result<String, u64> {
    rewrite(source, tree, imports, true)
}

/// The source of one module for the interpreter.
#[must_use]
pub fn for_interpreter(source: &str, tree: &Json, imports: &BTreeMap<String, String>) -> String {
    rewrite(source, tree, imports, false).unwrap_or_else(|_| source.to_owned())
}

fn rewrite(source: &str, tree: &Json, imports: &BTreeMap<String, String>, assignments: bool) -> Result<String, u64> {
    let rules = tree.get("rules").unwrap_or(&Json::Null);
    let mut bound = BTreeSet::new();
    bare(rules, &mut bound);
    let mut rewriter = Rewriter { source, imports, bound, assignments, edits: Vec::new() };
    rewriter.node(rules)?;
    let mut edits = rewriter.edits;
    edits.sort();
    edits.dedup();
    Ok(edited(source, edits))
}

struct Rewriter<'s> {
    source: &'s str,
    imports: &'s BTreeMap<String, String>,
    /// Names of variables: an import of the same name is hidden somewhere.
    bound: BTreeSet<String>,
    assignments: bool,
    /// Start, end and new text.
    edits: Vec<(usize, usize, String)>,
}

impl Rewriter<'_> {
    fn node(&mut self, node: &Json) -> Result<(), u64> {
        match node {
            Json::Array(items) => items.iter().try_for_each(|item| self.node(item)),
            Json::Object(fields) => {
                if let Some(literal) = fields.get("literal").filter(|_| self.assignments) {
                    self.assignment(literal)?;
                }
                if let Some(call) = fields.get("Call") {
                    // the name of a function is compiled as what it is
                    return self.node(call.get("params").unwrap_or(&Json::Null));
                }
                for kind in ["ArrayCompr", "SetCompr", "ObjectCompr"] {
                    if let Some(body) = fields.get(kind).filter(|_| self.assignments) {
                        self.comprehension(body);
                    }
                }
                for kind in ["RefDot", "RefBrack"] {
                    if let Some(refr) = fields.get(kind).and_then(|body| body.get("refr")) {
                        self.alias(refr);
                    }
                }
                fields.values().try_for_each(|value| self.node(value))
            }
            _ => Ok(()),
        }
    }

    /// An import at the beginning of a reference.
    fn alias(&mut self, refr: &Json) {
        let Some(variable) = refr.get("Var") else { return };
        let name = variable.get("value").and_then(Json::as_str).unwrap_or_default();
        let full = self.imports.get(name).filter(|full| full.starts_with("data.") && !self.bound.contains(name));
        if let (Some(full), Some((start, end))) = (full, span(variable))
            && self.source.get(start..end) == Some(name)
        {
            self.edits.push((start, end, full.clone()));
        }
    }

    /// A comprehension that does not loop in its first statement.
    fn comprehension(&mut self, body: &Json) {
        let statements = body.get("query").and_then(|q| q.get("stmts")?.as_array()).map_or(&[][..], Vec::as_slice);
        let Some(first) = statements.first() else { return };
        let loops = first.get("literal").is_some_and(|literal| literal.get("SomeIn").is_some());
        if let Some((start, _)) = span(first).filter(|_| !loops) {
            self.edits.push((start, start, format!("some once_{start}__ in [1]; ")));
        }
    }

    /// A statement `name := …`.
    fn assignment(&mut self, literal: &Json) -> Result<(), u64> {
        let assignment = literal.get("Expr").and_then(|e| e.get("expr")?.get("AssignExpr"));
        let Some(assignment) = assignment.filter(|a| a.get("op").and_then(Json::as_str) == Some("ColEq")) else {
            return Ok(());
        };
        let Some(variable) = assignment.get("lhs").and_then(|lhs| lhs.get("Var")) else { return Ok(()) };
        let name = variable.get("value").and_then(Json::as_str).unwrap_or("_");
        let Some((start, end)) = span(variable) else { return Ok(()) };
        let rest = self.source.get(end..).unwrap_or_default();
        let operator = end + (rest.len() - rest.trim_start().len());
        let fits = name != "_"
            && self.source.get(start..end) == Some(name)
            && self.source.get(operator..).is_some_and(|rest| rest.starts_with(":="));
        if !fits {
            return Ok(());
        }
        let before = self.source.get(..start).unwrap_or_default().trim_end();
        if before.ends_with("if") {
            return Err(u64::try_from(before.lines().count()).unwrap_or(1));
        }
        self.edits.push((start, start, format!("some {name}; ")));
        self.edits.push((operator, operator + 2, " =".to_owned()));
        Ok(())
    }
}

/// The variables that stand alone, not at the beginning of a reference.
fn bare(node: &Json, names: &mut BTreeSet<String>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| bare(item, names)),
        Json::Object(fields) => {
            for (key, value) in fields {
                match value.get("Var").filter(|_| key == "refr" || key == "fcn") {
                    Some(_) => {}
                    None if key == "Var" => {
                        names.extend(value.get("value").and_then(Json::as_str).map(str::to_owned));
                    }
                    None => bare(value, names),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> Result<String, u64> {
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), source.to_owned()).unwrap();
        let trees: Json = serde_json::from_str(&engine.get_ast_as_json().unwrap()).unwrap();
        let imports = [("lib", "data.a.lib"), ("other", "data.b.long")];
        let imports = imports.map(|(alias, full)| (alias.to_owned(), full.to_owned())).into();
        for_rvm(source, &trees[0]["ast"], &imports)
    }

    #[test]
    fn assignments_in_bodies_are_rewritten_and_heads_are_not() {
        let source =
            "package p\n\nf(x) := y if {\n\ty := x.a\n\tz := [w | some v in x; w := v.b]\n\tz != []\n} else := 2\n";
        let wanted = "package p\n\nf(x) := y if {\n\tsome y; y  = x.a\n\tsome z; z  = [w | some v in x; some w; w  = v.b]\n\tz != []\n} else := 2\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
        assert_eq!(rewritten("package p\n\nr contains x if x := input.x\n"), Err(3));
    }

    #[test]
    fn comprehensions_loop_first() {
        let source = "package p\n\nr contains [[1 | x; y] | some x in [1]; some y in [2]] if true\n";
        let wanted =
            "package p\n\nr contains [[1 | some once_28__ in [1]; x; y] | some x in [1]; some y in [2]] if true\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
        let source = "package p\n\nr contains [1 | \"b\" in input.xs] if true\n";
        let wanted = "package p\n\nr contains [1 | some once_27__ in [1]; \"b\" in input.xs] if true\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
    }

    #[test]
    fn imports_become_full_paths_and_functions_stay() {
        let source = "package p\n\nimport data.a.lib\nimport data.b.long as other\n\nr contains x if {\n\tx := lib.rule[input.k].z\n\tlib.f(other.rule, lib[\"y\"])\n\tevery e in other.list { e == lib.one }\n}\n";
        let wanted = "package p\n\nimport data.a.lib\nimport data.b.long as other\n\nr contains x if {\n\tsome x; x  = data.a.lib.rule[input.k].z\n\tlib.f(data.b.long.rule, data.a.lib[\"y\"])\n\tevery e in data.b.long.list { e == data.a.lib.one }\n}\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
    }

    #[test]
    fn a_variable_that_hides_an_import_is_left_alone() {
        let source = "package p\n\nimport data.a.lib\n\nf(lib) := lib.rule\n";
        assert_eq!(rewritten(source).as_deref(), Ok(source));
    }
}
