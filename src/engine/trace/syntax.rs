//! Modules as a trace reads them: rules by name, their bodies and statements, and expressions as the text of a query that
//! stands outside any module (imports and own rules by their full path).

use super::super::analysis::{self, Rules};
use super::super::compile::{CompileError, Source, trees};
use super::super::rewrite;
use super::super::tree::{self, chain};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The syntax trees of a policy set.
#[derive(Debug)]
pub struct Syntax {
    pub(super) modules: Vec<Module>,
    /// What every rule calls and reads.
    pub rules: Rules,
    /// Definitions by full name of the rule: positions of the module and of the rule in it.
    definitions: BTreeMap<String, Vec<(usize, usize)>>,
}

#[derive(Debug)]
pub(super) struct Module {
    pub(super) file: String,
    /// With `data.` in front.
    pub(super) package: String,
    /// The source, with calls in negations written out.
    pub(super) text: String,
    /// The source for the interpreter.
    pub(super) interpreted: String,
    tree: Json,
    imports: BTreeMap<String, String>,
    own: BTreeSet<String>,
}

/// What one definition of a rule answers with.
pub(super) enum Head<'s> {
    /// A member of a set, or a key of an object.
    Member(&'s Json),
    /// A value, for arguments where there are any.
    Value(Vec<&'s Json>),
}

/// One definition of a rule.
pub(super) struct Definition<'s> {
    pub(super) module: &'s Module,
    pub(super) line: u64,
    pub(super) head: Head<'s>,
    /// The first, and those after `else`. `default` has none.
    pub(super) bodies: Vec<Body<'s>>,
    /// Names of local variables.
    pub(super) locals: BTreeSet<String>,
    /// A `default`: its value.
    pub(super) default: Option<&'s Json>,
}

/// One body.
pub(super) struct Body<'s> {
    pub(super) line: u64,
    /// What the rule is where the body holds; left out: true.
    pub(super) value: Option<&'s Json>,
    pub(super) statements: Vec<&'s Json>,
}

impl Syntax {
    /// Reads modules; tests are left out.
    ///
    /// # Errors
    /// When one does not parse.
    pub fn read<'s>(sources: impl IntoIterator<Item = &'s Source>) -> Result<Self, CompileError> {
        let trees = trees(sources)?.trees;
        let (rules, _) = analysis::analyse(&trees);
        let printed = match trees {
            Json::Array(printed) => printed,
            _ => Vec::new(),
        };
        let modules: Vec<Module> = printed.into_iter().filter_map(Module::new).collect();
        let mut definitions: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
        for (position, module) in modules.iter().enumerate() {
            for (rule, tree) in module.rules().iter().enumerate() {
                if let Some(name) = name(tree) {
                    definitions.entry(format!("{}.{name}", module.package)).or_default().push((position, rule));
                }
            }
        }
        Ok(Self { modules, rules, definitions })
    }

    /// Whether there is a rule or function of this full name.
    pub(super) fn has(&self, rule: &str) -> bool {
        self.definitions.contains_key(rule)
    }

    /// The definitions of a rule, in the order of the source.
    pub(super) fn definitions(&self, rule: &str) -> Vec<Definition<'_>> {
        let places = self.definitions.get(rule).into_iter().flatten();
        places.filter_map(|(module, rule)| self.modules.get(*module)?.definition(*rule)).collect()
    }
}

impl Module {
    fn new(printed: Json) -> Option<Self> {
        let source = printed.get("source")?;
        let file = source.get("file")?.as_str()?.to_owned();
        if file.ends_with("_test.rego") {
            return None;
        }
        let text = source.get("contents")?.as_str()?.to_owned();
        let imports = tree::imports(&printed);
        let tree = printed.get("ast")?;
        let package = format!("data.{}", chain(tree.get("package")?.get("refr")?)?.constant()?.join("."));
        let interpreted = rewrite::for_interpreter(&text, tree, &imports);
        let rules = tree.get("rules").and_then(Json::as_array);
        let own = rules.into_iter().flatten().filter_map(name).map(str::to_owned).collect();
        Some(Self { file, package, text, interpreted, tree: tree.clone(), imports, own })
    }

    fn rules(&self) -> &[Json] {
        self.tree.get("rules").and_then(Json::as_array).map_or(&[][..], Vec::as_slice)
    }

    fn definition(&self, position: usize) -> Option<Definition<'_>> {
        let rule = self.rules().get(position)?;
        let mut locals = BTreeSet::new();
        if let Some(default) = rule.get("Default") {
            let (head, default, line) = (Head::Value(Vec::new()), default.get("value"), tree::line(default));
            return Some(Definition { module: self, line, head, bodies: Vec::new(), locals, default });
        }
        let spec = rule.get("Spec")?;
        let (kind, head) = spec.get("head")?.as_object()?.iter().next()?;
        let arguments: Vec<&Json> = head.get("args").and_then(Json::as_array).into_iter().flatten().collect();
        arguments.iter().for_each(|argument| bare(argument, &mut locals));
        self.locals(spec, &mut locals);
        let assigned = |holder: &'_ Json| holder.get("assign").is_some_and(|a| !a.is_null());
        let first = head.get("assign").filter(|_| assigned(head)).and_then(|a| a.get("value"));
        let written = spec.get("bodies").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let line = tree::line(spec);
        let mut bodies: Vec<Body<'_>> = written
            .iter()
            .enumerate()
            .map(|(number, body)| {
                let own = body.get("assign").filter(|_| assigned(body)).and_then(|a| a.get("value"));
                let statements = body.get("query").and_then(|q| q.get("stmts")?.as_array());
                let line = if number == 0 { line } else { body.get("span").map_or(line, |_| tree::line(body)) };
                let statements = statements.into_iter().flatten().collect();
                Body { line, value: if number == 0 { first } else { own }, statements }
            })
            .collect();
        if bodies.is_empty() {
            bodies.push(Body { line, value: first, statements: Vec::new() });
        }
        let head = match (kind.as_str(), head.get("key").filter(|key| !key.is_null())) {
            ("Set", Some(key)) => Head::Member(key),
            // `name[key] if …`
            ("Compr", None) if first.is_none() && head.get("refr").and_then(|r| r.get("RefBrack")).is_some() => {
                Head::Member(head.get("refr")?.get("RefBrack")?.get("index")?)
            }
            _ => Head::Value(arguments),
        };
        Some(Definition { module: self, line, head, bodies, locals, default: None })
    }

    /// The names that a definition declares, and those that stand for nothing else.
    fn locals(&self, node: &Json, names: &mut BTreeSet<String>) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.locals(item, names)),
            Json::Object(fields) => {
                for (key, value) in fields {
                    match key.as_str() {
                        "AssignExpr" if value.get("op").and_then(Json::as_str) == Some("ColEq") => {
                            value.get("lhs").into_iter().for_each(|lhs| bare(lhs, names));
                        }
                        "SomeVars" => {
                            let spans = value.get("vars").and_then(Json::as_array).into_iter().flatten();
                            names.extend(spans.filter_map(|span| self.at(place(span)?)).map(str::to_owned));
                        }
                        "SomeIn" => {
                            for part in ["key", "value"] {
                                value.get(part).into_iter().for_each(|pattern| bare(pattern, names));
                            }
                        }
                        "Every" => {
                            let spans = ["key", "value"].map(|part| value.get(part).and_then(place));
                            names.extend(spans.into_iter().flatten().filter_map(|at| self.at(at)).map(str::to_owned));
                        }
                        "Var" => {
                            let name = value.get("value").and_then(Json::as_str).unwrap_or_default();
                            if !self.is_known(name) {
                                names.insert(name.to_owned());
                            }
                        }
                        // names of functions, of builtins too
                        "fcn" => continue,
                        _ => {}
                    }
                    self.locals(value, names);
                }
            }
            _ => {}
        }
        names.remove("_");
    }

    fn is_known(&self, name: &str) -> bool {
        matches!(name, "input" | "data" | "_") || self.imports.contains_key(name) || self.own.contains(name)
    }

    pub(super) fn at(&self, (start, end): (usize, usize)) -> Option<&str> {
        self.text.get(start..end)
    }

    /// Start and end of a node. regorus 0.14 leaves the quotes out where a node begins or ends with a text, gives an object the
    /// start of its last key, and `set()` the end of what follows.
    fn span(&self, node: &Json) -> Option<(usize, usize)> {
        let (start, end) = span(node)?;
        match kind(node) {
            Some(("Object", body)) => {
                let key = body.get("fields").and_then(|fields| place(fields.get(0)?.get(0)?));
                let start = key.and_then(|(key, _)| self.text.get(..key)?.rfind('{')).unwrap_or(start);
                Some((start, end))
            }
            Some(("Set", body)) if body.get("items").and_then(Json::as_array).is_some_and(Vec::is_empty) => {
                let closed = self.text.get(start..).and_then(|rest| rest.find(')'));
                Some((start, closed.map_or(end, |closed| start + closed + 1)))
            }
            _ => {
                let quote = |c: char| matches!(c, '"' | '`');
                let opened = self.text.get(..start).is_some_and(|before| before.ends_with(quote));
                let closed = self.text.get(end..).is_some_and(|after| after.starts_with(quote));
                Some((start - usize::from(opened), end + usize::from(closed)))
            }
        }
    }

    /// The source of a node, in one line.
    pub(super) fn shown(&self, node: &Json) -> String {
        let text = self.span(node).and_then(|at| self.at(at)).unwrap_or_default();
        let lines = text.lines().map(|line| line.split('#').next().filter(|_| !line.contains('"')).unwrap_or(line));
        let text = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        // as opa fmt breaks lines
        text.replace("( ", "(")
            .replace(" )", ")")
            .replace("[ ", "[")
            .replace(",]", "]")
            .replace(", ]", "]")
            .replace(",)", ")")
    }

    /// The source of a node for a query outside the module.
    pub(super) fn outside(&self, node: &Json, locals: &BTreeSet<String>) -> Option<String> {
        let (from, to) = self.span(node)?;
        let mut edits = Vec::new();
        self.roots(node, locals, &mut edits);
        edits.sort();
        edits.dedup();
        let mut text = self.at((from, to))?.to_owned();
        for (start, end, new) in edits.into_iter().rev() {
            if start >= from && end <= to {
                text.replace_range(start - from..end - from, &new);
            }
        }
        Some(text)
    }

    fn roots(&self, node: &Json, locals: &BTreeSet<String>, edits: &mut Vec<(usize, usize, String)>) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.roots(item, locals, edits)),
            Json::Object(fields) => {
                if let Some(variable) = fields.get("Var") {
                    let name = variable.get("value").and_then(Json::as_str).unwrap_or_default();
                    if let (Some(full), Some((start, end))) = (self.full(name, locals), place(variable))
                        && self.at((start, end)) == Some(name)
                    {
                        edits.push((start, end, full));
                    }
                }
                for (key, value) in fields {
                    // a function is never a local variable
                    if key == "fcn" {
                        self.roots(value, &BTreeSet::new(), edits);
                    } else {
                        self.roots(value, locals, edits);
                    }
                }
            }
            _ => {}
        }
    }

    /// The full path of an import or of a rule of this module.
    fn full(&self, name: &str, locals: &BTreeSet<String>) -> Option<String> {
        if locals.contains(name) {
            return None;
        }
        let own = || self.own.contains(name).then(|| format!("{}.{name}", self.package));
        self.imports.get(name).cloned().or_else(own)
    }

    /// The rule or function that a reference means.
    pub(super) fn rule_of(&self, node: &Json, locals: &BTreeSet<String>, syntax: &Syntax) -> Option<String> {
        let chain = chain(node)?;
        let root = match chain.root {
            "data" => "data".to_owned(),
            name => self.full(name, locals)?,
        };
        if syntax.has(&root) {
            return Some(root);
        }
        let mut path = root;
        for key in chain.leading() {
            path = format!("{path}.{key}");
            if syntax.has(&path) {
                return Some(path);
            }
        }
        None
    }

    /// A reference below `data.cluster`: the leading keys after it. Empty for other references.
    pub(super) fn is_fact(&self, node: &Json, locals: &BTreeSet<String>) -> bool {
        chain(node).is_some_and(|chain| {
            let full = if chain.root == "data" { Some("data".to_owned()) } else { self.full(chain.root, locals) };
            full.is_some_and(|root| {
                let leading = chain.leading().join(".");
                format!("{root}.{leading}.").starts_with("data.cluster.")
            })
        })
    }
}

/// The name of the rule that a definition belongs to.
fn name(rule: &Json) -> Option<&str> {
    Some(tree::head_chain(rule)?.root)
}

/// Start and end in the source of a node that has a span of its own or is a kind of node with one.
pub(super) fn span(node: &Json) -> Option<(usize, usize)> {
    place(node.get("span").unwrap_or(node)).or_else(|| kind(node).and_then(|(_, body)| place(body)))
}

fn place(node: &Json) -> Option<(usize, usize)> {
    let span = node.get("span").unwrap_or(node);
    let offset = |key: &str| span.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
    Some((offset("start")?, offset("end")?))
}

/// The kind of an expression and what it is made of.
pub(super) fn kind(node: &Json) -> Option<(&str, &Json)> {
    let fields = node.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().map(|(name, body)| (name.as_str(), body))
}

/// The variables that stand alone in a pattern.
pub(super) fn bare(node: &Json, names: &mut BTreeSet<String>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| bare(item, names)),
        Json::Object(fields) => {
            for (key, value) in fields {
                if key == "Var" {
                    let name = value.get("value").and_then(Json::as_str).filter(|name| *name != "_");
                    names.extend(name.map(str::to_owned));
                } else if key != "refr" && key != "fcn" {
                    bare(value, names);
                }
            }
        }
        _ => {}
    }
}

/// All variables of a node, those within comprehensions too.
pub(super) fn variables(node: &Json, names: &mut BTreeSet<String>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| variables(item, names)),
        Json::Object(fields) => {
            for (key, value) in fields {
                if key == "Var" {
                    names.extend(value.get("value").and_then(Json::as_str).map(str::to_owned));
                } else if key != "fcn" {
                    variables(value, names);
                }
            }
        }
        _ => {}
    }
}

/// Whether names of its own are declared within a node.
pub(super) fn is_scope(kind: &str) -> bool {
    matches!(kind, "ArrayCompr" | "SetCompr" | "ObjectCompr" | "Every")
}
