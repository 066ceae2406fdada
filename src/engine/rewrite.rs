//! Rewrites what regorus 0.14 gets wrong or does slowly. Positions of lines stay as they are.
//!
//! For the RVM only: in a body, `x := e` goes on with an undefined `x` where `e` is undefined, so `7 if { x := input.missing }` would give 7.
//! `some x; x = e` means the same in Rego and is compiled rightly.
//!
//! Also for the RVM only: where a statement of a comprehension fails before the comprehension loops itself, the loop around it ends, and
//! what it had yet to find is lost: `[x | some x in ["a", "b", "c"]; count([1 | x != "b"]) == 0]` is empty. A loop over one item put
//! first makes the failure that of the inner loop.
//!
//! And for the RVM: a lookup by the variable of `every` (`every k in ks { xs[k] == 1 }`) is taken for a loop of its own, so that what is
//! undefined there counts as held. `every k, v in xs { … }` is `count({k | some k, v in xs; …}) == count(xs)`.
//!
//! And for the RVM: it loads `input` and `data` where a body mentions them first, and takes them for loaded from there on. Where that is in
//! a comprehension which never ran, all that comes after is undefined. Such bodies begin with a mention that always runs.
//!
//! For both engines: `lib.rule`, where `lib` is imported, is taken for the whole package `lib`, all rules of which are computed,
//! and its key `rule`. With the full path only that rule is.

use super::ambiguity::bodies;
use super::place::{edited, is_whole_body, place as span};
use super::tree::{Key, chain};
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
    let mut rewriter = Rewriter { source, imports, bound, assignments, braced: BTreeSet::new(), edits: Vec::new() };
    for rule in rules.as_array().into_iter().flatten().filter(|_| assignments) {
        rewriter.preload(rule);
    }
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
    /// Where statements begin that have got braces.
    braced: BTreeSet<usize>,
    /// Start, end and new text.
    edits: Vec<(usize, usize, String)>,
}

impl Rewriter<'_> {
    /// Mentions `input` and `data` first in bodies that could go without the first mention that they have.
    fn preload(&mut self, rule: &Json) {
        let Some(spec) = rule.get("Spec") else { return };
        let head = spec.get("head").unwrap_or(&Json::Null);
        let bodies = bodies(spec);
        if bodies.is_empty() {
            let first = self.needed(&[head]);
            if let Some((_, end)) = span(spec).filter(|_| !first.is_empty()) {
                self.edits.push((end, end, format!(" if {{ {} }}", first.join("; "))));
            }
        }
        for (position, body) in bodies.iter().enumerate() {
            let query = body.get("query").unwrap_or(&Json::Null);
            let value = if position == 0 { head } else { body.get("assign").unwrap_or(&Json::Null) };
            let first = self.needed(&[value, query]);
            if first.is_empty() {
                continue;
            }
            let statements = statements(query);
            let places = (statements.first().and_then(span), statements.last().and_then(span));
            let (Some((start, _)), Some((_, end))) = places else { continue };
            let text = format!("{}; ", first.join("; "));
            if is_whole_body(self.source, start) {
                self.braced.insert(start);
                self.edits.push((start, start, format!("{{ {text}")));
                self.edits.push((end, end, " }".to_owned()));
            } else {
                self.edits.push((start, start, text));
            }
        }
    }

    /// What must be mentioned first, of what a body and its value consist of.
    fn needed(&self, parts: &[&Json]) -> Vec<&'static str> {
        let mut found = Vec::new();
        for (root, mention) in [("input", "not input.first__"), ("data", "not data.first__")] {
            let (mut all, mut within) = (0, 0);
            for part in parts {
                self.mentions(part, root, false, &mut all, &mut within);
            }
            if within > 0 && all > 1 {
                found.push(mention);
            }
        }
        found
    }

    /// Counts how often a root is mentioned, and how often of these within what may not run. Rules are called, not loaded.
    fn mentions(&self, node: &Json, root: &str, nested: bool, all: &mut usize, within: &mut usize) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.mentions(item, root, nested, all, within)),
            Json::Object(fields) => {
                if let Some(chain) = chain(node) {
                    let alias = self.imports.get(chain.root).filter(|_| !self.bound.contains(chain.root));
                    let written = alias.map_or(chain.root, String::as_str).split('.');
                    let path: Vec<&str> = written.chain(chain.leading()).collect();
                    let is_rule = matches!(path.as_slice(), ["data", "seawall", "lib" | "policies", ..]);
                    if path.first() == Some(&root) && !is_rule {
                        *all += 1;
                        *within += usize::from(nested);
                    }
                    for key in &chain.keys {
                        if let Key::Computed(key) = key {
                            self.mentions(key, root, nested, all, within);
                        }
                    }
                    return;
                }
                let is_every = fields.contains_key("domain") && fields.contains_key("query");
                for (key, value) in fields.iter().filter(|(key, _)| *key != "span") {
                    let may_not_run = key.ends_with("Compr") || key == "NotExpr" || (is_every && key == "query");
                    self.mentions(value, root, nested || may_not_run, all, within);
                }
            }
            _ => {}
        }
    }

    fn node(&mut self, node: &Json) -> Result<(), u64> {
        match node {
            Json::Array(items) => items.iter().try_for_each(|item| self.node(item)),
            Json::Object(fields) => {
                if let Some(literal) = fields.get("literal").filter(|_| self.assignments) {
                    self.assignment(literal)?;
                    self.every(literal);
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
        let statements = body.get("query").map_or(&[][..], statements);
        let Some(first) = statements.first() else { return };
        let loops = first.get("literal").is_some_and(|literal| literal.get("SomeIn").is_some());
        if let Some((start, _)) = span(first).filter(|_| !loops) {
            self.edits.push((start, start, format!("some once_{start}__ in [1]; ")));
        }
    }

    /// A statement `every … in … { … }`.
    fn every(&mut self, literal: &Json) {
        let Some(every) = literal.get("Every") else { return };
        let of = |key: &str| every.get(key).unwrap_or(&Json::Null);
        let (Some((start, end)), Some((_, domain_end))) = (span(every), span(of("domain"))) else { return };
        let statements = statements(of("query"));
        let Some((body, _)) = statements.first().and_then(span) else { return };
        let at = |span: &Json, key: &str| usize::try_from(span.get(key)?.as_u64()?).ok();
        let word = |span: &Json| {
            let text = self.source.get(at(span, "start")?..at(span, "end")?);
            text.filter(|word| !word.is_empty() && *word != "_").map(str::to_owned)
        };
        // behind `in`: the engine lets an object begin at its last key
        let rest = at(of("value"), "end").and_then(|end| self.source.get(end..));
        let Some(rest) = rest.and_then(|rest| rest.trim_start().strip_prefix("in")) else { return };
        let domain_start = self.source.len() - rest.trim_start().len();
        let key = word(of("key")).unwrap_or_else(|| format!("every_key_{start}__"));
        let value = word(of("value")).unwrap_or_else(|| "_".to_owned());
        let all = format!("every_{start}__");
        let bare = is_whole_body(self.source, start) && !self.braced.contains(&start);
        let open = self.source.get(domain_end..body).and_then(|text| text.find('{'));
        let close = self.source.get(..end).and_then(|text| text.rfind('}'));
        let (Some(open), Some(close)) = (open.map(|at| domain_end + at + 1), close) else { return };
        let brace = |brace: &'static str| if bare { brace } else { "" };
        self.edits.push((start, domain_start, format!("{}some {all}; {all} = ", brace("{ "))));
        // what is no collection is no error for `every`, and holds never
        self.edits.push((
            domain_end,
            open,
            format!("; type_name({all}) in {{\"array\", \"object\", \"set\"}}; count({{{key} | some {key}, {value} in {all}; "),
        ));
        self.edits.push((close, close + 1, format!("}}) == count({all}){}", brace(" }"))));
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
        if is_whole_body(self.source, start) {
            let before = self.source.get(..start).unwrap_or_default().trim_end();
            return Err(u64::try_from(before.lines().count()).unwrap_or(1));
        }
        self.edits.push((start, start, format!("some {name}; ")));
        self.edits.push((operator, operator + 2, " =".to_owned()));
        Ok(())
    }
}

fn statements(query: &Json) -> &[Json] {
    query.get("stmts").and_then(Json::as_array).map_or(&[][..], Vec::as_slice)
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
        let wanted = "package p\n\nimport data.a.lib\nimport data.b.long as other\n\nr contains x if {\n\tnot data.first__; some x; x  = data.a.lib.rule[input.k].z\n\tlib.f(data.b.long.rule, data.a.lib[\"y\"])\n\tsome every_132__; every_132__ = data.b.long.list; type_name(every_132__) in {\"array\", \"object\", \"set\"}; count({every_key_132__ | some every_key_132__, e in every_132__;  e == data.a.lib.one }) == count(every_132__)\n}\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
    }

    #[test]
    fn what_is_first_mentioned_where_it_may_not_run_is_mentioned_before() {
        let both = |source: &str, wanted: &str| {
            assert_eq!(rewritten(&format!("package p\n\n{source}\n")).unwrap(), format!("package p\n\n{wanted}\n"));
        };
        both(
            "r contains input.y if {\n\t[k | some k in q; input.x] != 1\n}",
            "r contains input.y if {\n\tnot input.first__; [k | some k in q; input.x] != 1\n}",
        );
        both(
            "f(x) := 1 if not input.x == x\nelse := input.z if [k | some k in q; input.x] != 1",
            "f(x) := 1 if not input.x == x\nelse := input.z if { not input.first__; [k | some k in q; input.x] != 1 }",
        );
        both(
            "r := [[k | some k in q; data.x.y], data.z]",
            "r := [[k | some k in q; data.x.y], data.z] if { not data.first__ }",
        );
        both("r if { [k | some k in q; input.x] == 1 }", "r if { [k | some k in q; input.x] == 1 }");
        both("r if { input.x; input.y }", "r if { input.x; input.y }");
    }

    #[test]
    fn every_becomes_a_count() {
        let source = "package p\n\nr if {\n\tevery k, v in input.xs {\n\t\tw := v.b\n\t\tw[k] == 1\n\t}\n\tinput.y\n}\n\nq if every v in [1, \"a\"] { v }\n";
        let wanted = "package p\n\nr if {\n\tsome every_19__; every_19__ = input.xs; type_name(every_19__) in {\"array\", \"object\", \"set\"}; count({k | some k, v in every_19__; \n\t\tsome w; w  = v.b\n\t\tw[k] == 1\n\t}) == count(every_19__)\n\tinput.y\n}\n\nq if { some every_87__; every_87__ = [1, \"a\"]; type_name(every_87__) in {\"array\", \"object\", \"set\"}; count({every_key_87__ | some every_key_87__, v in every_87__;  v }) == count(every_87__) }\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
        let source = "package p\n\nr if {\n\tevery k, v in {\n\t\t\"a\": {\"b\": 1},\n\t\t\"c\": {},\n\t} {\n\t\tv == k\n\t}\n}\n";
        let text = rewritten(source).unwrap();
        assert!(
            text.contains("some every_19__; every_19__ = {\n\t\t\"a\": {\"b\": 1},\n\t\t\"c\": {},\n\t}; type_name("),
            "{text}"
        );
        assert!(text.contains("some k, v in every_19__; \n\t\tv == k\n\t}) == count(every_19__)\n}"), "{text}");
    }

    #[test]
    fn a_variable_that_hides_an_import_is_left_alone() {
        let source = "package p\n\nimport data.a.lib\n\nf(lib) := lib.rule\n";
        assert_eq!(rewritten(source).as_deref(), Ok(source));
    }
}
