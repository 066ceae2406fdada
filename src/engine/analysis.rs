//! Reads the syntax trees of modules: what each rule calls and reads, and what must not be loaded.
//!
//! Refused is what could hang or abort the process, what would make the cluster a scan, and what the engines are known
//! to answer differently (tests in `tests/engine` show each one). Test files (`_test.rego`) are not analysed.

use super::builtins;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// A construct that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {problem}; {instead}")]
pub struct Refused {
    /// File of the module.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// What stands there and what is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

/// What one rule (all its definitions together) calls and reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Full names of the rules and functions that it refers to, for example `data.seawall.lib.x.f`.
    pub refers: BTreeSet<String>,
    /// Kinds below `data.cluster`, `index.<name>` for indexes.
    pub facts: BTreeSet<String>,
    /// Keys below `input.seawall.parameters`; `*` for all of them.
    pub parameters: BTreeSet<String>,
    /// File and line of the first definition.
    pub at: (String, u64),
}

/// All rules by full name.
pub type Rules = BTreeMap<String, Rule>;

/// Analyses the syntax trees that the engine prints (`Engine::get_ast_as_json`).
#[must_use]
pub fn analyse(trees: &Json) -> (Rules, Vec<Refused>) {
    let modules: Vec<Module<'_>> = trees
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Module::new)
        .filter(|m| !m.file.ends_with("_test.rego"))
        .collect();
    let names: BTreeSet<String> =
        modules.iter().flat_map(|m| m.own.iter().map(|rule| format!("{}.{rule}", m.package))).collect();
    let packages: BTreeSet<String> = modules.iter().map(|m| m.package.clone()).collect();
    let mut rules = Rules::new();
    let mut refused = Vec::new();
    for module in &modules {
        for definition in module.tree.get("rules").and_then(Json::as_array).into_iter().flatten() {
            let mut walk =
                Walk { module, names: &names, packages: &packages, refused: &mut refused, rule: Rule::default() };
            let Some((name, line)) = walk.definition(definition) else { continue };
            let found = walk.rule;
            let rule = rules
                .entry(format!("{}.{name}", module.package))
                .or_insert_with(|| Rule { at: (module.file.clone(), line), ..Rule::default() });
            rule.refers.extend(found.refers);
            rule.facts.extend(found.facts);
            rule.parameters.extend(found.parameters);
        }
    }
    refused.extend(recursions(&rules));
    refused.sort();
    refused.dedup();
    (rules, refused)
}

/// Everything that a rule reads, directly or through others.
#[must_use]
pub fn closure(rules: &Rules, roots: &[&str]) -> Rule {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut todo: Vec<&str> = roots.to_vec();
    let mut all = Rule::default();
    while let Some(name) = todo.pop() {
        let Some((name, rule)) = rules.get_key_value(name) else { continue };
        if seen.insert(name) {
            all.refers.extend(rule.refers.iter().cloned());
            all.facts.extend(rule.facts.iter().cloned());
            all.parameters.extend(rule.parameters.iter().cloned());
            todo.extend(rule.refers.iter().map(String::as_str));
        }
    }
    all
}

/// Rules that lead back to themselves: the interpreter overflows the stack on them, which nothing can catch.
pub(super) fn recursions(rules: &Rules) -> Vec<Refused> {
    let leads_back = |name: &String| {
        let direct =
            rules.get(name).map(|r| r.refers.iter().map(String::as_str).collect::<Vec<_>>()).unwrap_or_default();
        direct.contains(&name.as_str()) || closure(rules, &direct).refers.contains(name)
    };
    let refuse = |(name, rule): (&String, &Rule)| Refused {
        file: rule.at.0.clone(),
        line: rule.at.1,
        problem: format!("{name} calls itself, directly or through others"),
        instead: "use a comprehension or `every` over a list of known depth".to_owned(),
    };
    rules.iter().filter(|(name, _)| leads_back(name)).map(refuse).collect()
}

/// One module.
pub(super) struct Module<'t> {
    pub(super) file: String,
    pub(super) package: String,
    pub(super) tree: &'t Json,
    /// Alias to full path.
    imports: BTreeMap<String, String>,
    /// Names of the rules of this module.
    pub(super) own: BTreeSet<String>,
}

impl<'t> Module<'t> {
    pub(super) fn new(printed: &'t Json) -> Option<Self> {
        let tree = printed.get("ast")?;
        let file = printed.get("source")?.get("file")?.as_str()?.to_owned();
        let path = |node: &Json| Some(chain(node)?.constant()?.join("."));
        let package = format!("data.{}", path(tree.get("package")?.get("refr")?)?);
        let imports = imports(printed);
        let rules = tree.get("rules").and_then(Json::as_array);
        let own = rules.into_iter().flatten().filter_map(|rule| Some(head_chain(rule)?.root.to_owned())).collect();
        Some(Self { file, package, tree, imports, own })
    }
}

/// The imports of a printed module: full path by alias.
pub fn imports(printed: &Json) -> BTreeMap<String, String> {
    let contents = printed.get("source").and_then(|s| s.get("contents")?.as_str()).unwrap_or_default();
    let list = printed.get("ast").and_then(|tree| tree.get("imports")?.as_array());
    let import = |import: &Json| {
        let full = chain(import.get("refr")?)?.constant()?.join(".");
        let alias = import.get("as").and_then(|span| text(contents, span)).or_else(|| full.rsplit('.').next())?;
        Some((alias.to_owned(), full.clone()))
    };
    list.into_iter().flatten().filter_map(import).collect()
}

/// The source text of a span.
fn text<'s>(contents: &'s str, span: &Json) -> Option<&'s str> {
    let at = |key: &str| span.get(key).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok());
    contents.get(at("start")?..at("end")?)
}

/// A reference: a variable, then keys.
pub(super) struct Chain<'t> {
    pub(super) root: &'t str,
    pub(super) keys: Vec<Key<'t>>,
}

pub(super) enum Key<'t> {
    Constant(&'t str),
    Computed(&'t Json),
}

impl<'t> Chain<'t> {
    /// All parts, where none is computed.
    fn constant(&self) -> Option<Vec<&'t str>> {
        let keys = self.keys.iter().map(|key| if let Key::Constant(name) = key { Some(*name) } else { None });
        std::iter::once(Some(self.root)).chain(keys).collect()
    }

    /// The leading constant keys.
    fn leading(&self) -> Vec<&'t str> {
        self.keys.iter().map_while(|key| if let Key::Constant(name) = key { Some(*name) } else { None }).collect()
    }
}

/// Reads a node as a reference that begins with a variable.
fn chain(node: &Json) -> Option<Chain<'_>> {
    let (kind, body) = node.as_object()?.iter().next()?;
    match kind.as_str() {
        "Var" => Some(Chain { root: body.get("value")?.as_str()?, keys: Vec::new() }),
        "RefDot" => {
            let mut inner = chain(body.get("refr")?)?;
            inner.keys.push(Key::Constant(body.get("field")?.get(1)?.as_str()?));
            Some(inner)
        }
        "RefBrack" => {
            let mut inner = chain(body.get("refr")?)?;
            let index = body.get("index")?;
            let constant =
                index.get("String").or_else(|| index.get("RawString")).and_then(|s| s.get("value")?.as_str());
            inner.keys.push(constant.map_or(Key::Computed(index), Key::Constant));
            Some(inner)
        }
        _ => None,
    }
}

/// The reference in the head of a rule.
pub(super) fn head_chain(rule: &Json) -> Option<Chain<'_>> {
    let refr = match rule.get("Default") {
        Some(default) => default.get("refr"),
        None => rule.get("Spec")?.get("head")?.as_object()?.values().next()?.get("refr"),
    };
    chain(refr?)
}

fn line(node: &Json) -> u64 {
    let span = node.get("span").or_else(|| node.as_object()?.values().next()?.get("span"));
    span.and_then(|s| s.get("line")).and_then(Json::as_u64).unwrap_or(1)
}

/// A walk through one definition.
pub(super) struct Walk<'a, 't> {
    pub(super) module: &'a Module<'t>,
    pub(super) names: &'a BTreeSet<String>,
    pub(super) packages: &'a BTreeSet<String>,
    pub(super) refused: &'a mut Vec<Refused>,
    pub(super) rule: Rule,
}

impl Walk<'_, '_> {
    fn refuse(&mut self, line: u64, problem: impl Into<String>, instead: &str) {
        self.refused.push(Refused {
            file: self.module.file.clone(),
            line,
            problem: problem.into(),
            instead: instead.to_owned(),
        });
    }

    /// Walks a definition; its name and line.
    pub(super) fn definition(&mut self, rule: &Json) -> Option<(String, u64)> {
        let head = head_chain(rule)?;
        if let Some(default) = rule.get("Default") {
            if default.get("args").and_then(Json::as_array).is_some_and(|args| !args.is_empty()) {
                self.refuse(
                    line(default),
                    format!("`default` on the function {}", head.root),
                    "add an `else := …` to the function",
                );
            }
            return Some((head.root.to_owned(), line(default)));
        }
        let spec = rule.get("Spec")?;
        let at = line(spec);
        let (kind, body) = spec.get("head")?.as_object()?.iter().next()?;
        let parts = head.keys.len();
        if parts > 1 || (parts == 1 && kind != "Compr" && !matches!(head.keys.first(), Some(Key::Computed(_)))) {
            self.refuse(at, format!("the head of {} has several parts", head.root), "give the rule a name of its own");
        }
        let bodies = spec.get("bodies").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let has_else =
            |position: usize| bodies.get(position + 1).and_then(|b| b.get("is_else")?.as_bool()) == Some(true);
        for (position, query) in bodies.iter().enumerate().filter_map(|(p, b)| Some((p, b.get("query")?))) {
            // a body whose value is undefined must fall through to the `else`; both engines stop there
            let value =
                if position == 0 { body.get("assign") } else { bodies.get(position).and_then(|b| b.get("assign")) };
            if let Some(value) = value.and_then(|v| v.get("value")).filter(|_| has_else(position)) {
                self.must_be_defined(value, "front of an `else`");
            }
            if has_else(position) && loops(query) {
                let instead = "move the loop to a function of its own, or use a comprehension or `every`";
                self.refuse(
                    line(query),
                    format!(
                        "a loop in a body of {} that has an `else`, which the fast engine does not reach",
                        head.root
                    ),
                    instead,
                );
            }
        }
        self.node(body.get("key").unwrap_or(&Json::Null));
        self.node(body.get("args").unwrap_or(&Json::Null));
        self.node(body.get("assign").unwrap_or(&Json::Null));
        self.node(spec.get("bodies").unwrap_or(&Json::Null));
        Some((head.root.to_owned(), at))
    }

    /// Walks any node.
    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                if let Some((kind, body)) = fields.iter().next().filter(|_| fields.len() == 1) {
                    match kind.as_str() {
                        "Var" | "RefDot" | "RefBrack" => return self.reference(node),
                        "Call" => return self.call(body),
                        "ArrayCompr" | "ObjectCompr" => {
                            let term = body.get("term").or_else(|| body.get("value"));
                            term.into_iter().for_each(|term| self.must_be_defined(term, "the term of a comprehension"));
                        }
                        "ArithExpr" if matches!(body.get("op").and_then(Json::as_str), Some("Div" | "Mod")) => {
                            self.division(body)
                        }
                        _ => {}
                    }
                }
                if fields.get("with_mods").and_then(Json::as_array).is_some_and(|mods| !mods.is_empty()) {
                    self.refuse(line(node), "`with` outside a test", "pass the value as an argument of a function");
                }
                fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| self.node(value));
            }
            _ => {}
        }
    }

    /// A reference: to input, to facts, to rules, or to a local variable.
    fn reference(&mut self, node: &Json) {
        let at = line(node);
        let Some(chain) = chain(node) else {
            // keys of something that is no variable, for example a call
            if let Some(body) = node.as_object().and_then(|fields| fields.values().next()) {
                for key in ["refr", "index"] {
                    self.node(body.get(key).unwrap_or(&Json::Null));
                }
            }
            return;
        };
        for key in &chain.keys {
            if let Key::Computed(index) = key {
                self.node(index);
            }
        }
        match self.resolve(&chain) {
            Some(path) => self.data(at, &path, chain.keys.len()),
            None if chain.root == "input" => self.input(at, &chain),
            None => {}
        }
    }

    /// The `data` path of a reference, as far as its keys are constant.
    fn resolve(&self, chain: &Chain<'_>) -> Option<Vec<String>> {
        let base = if chain.root == "data" {
            "data".to_owned()
        } else if let Some(import) = self.module.imports.get(chain.root) {
            import.clone()
        } else if self.module.own.contains(chain.root) {
            format!("{}.{}", self.module.package, chain.root)
        } else {
            return None;
        };
        let keys = chain.leading().into_iter().map(str::to_owned);
        Some(base.split('.').map(str::to_owned).chain(keys).collect())
            .filter(|path: &Vec<String>| path.first().is_some_and(|root| root == "data"))
    }

    fn data(&mut self, at: u64, path: &[String], keys: usize) {
        let mut prefix = String::new();
        for part in path {
            if !prefix.is_empty() {
                prefix.push('.');
            }
            prefix.push_str(part);
            if self.names.contains(&prefix) {
                if prefix.starts_with("data.seawall.policies.")
                    && !prefix.starts_with(&format!("{}.", self.module.package))
                {
                    self.refuse(
                        at,
                        format!("{prefix} belongs to another policy"),
                        "move what is shared to policies/seawall/lib",
                    );
                }
                self.rule.refers.insert(prefix);
                return;
            }
        }
        match path.get(1).map(String::as_str) {
            Some("cluster") => match (path.get(2).map(String::as_str), path.get(3)) {
                (Some("index"), Some(index)) => {
                    self.rule.facts.insert(format!("index.{index}"));
                }
                (Some("index"), None) | (None, _) => {
                    self.refuse(
                        at,
                        "the kind of `data.cluster` is computed or left out",
                        "name the kind: data.cluster.storageclasses[name]",
                    );
                }
                (Some(kind), _) => {
                    self.rule.facts.insert(kind.to_owned());
                }
            },
            Some("seawall") if path.get(2).is_some_and(|p| p == "knowledge") => {}
            _ if self.packages.iter().any(|package| package.starts_with(&prefix)) => {
                self.refuse(at, format!("{prefix} is a package, not a rule"), "name the rule");
            }
            _ if path.len() == 1 && keys > 0 => {
                self.refuse(at, "the first key of `data` is computed", "name the document")
            }
            _ => self.refuse(
                at,
                format!("{prefix} is neither a rule nor a fact"),
                "wanted data.cluster.<kind>, data.seawall.knowledge or a rule of data.seawall.lib",
            ),
        }
    }

    fn input(&mut self, at: u64, chain: &Chain<'_>) {
        let keys = chain.leading();
        match (keys.first(), keys.get(1), keys.get(2)) {
            (None, _, _) if !chain.keys.is_empty() => {
                self.refuse(at, "the first key of `input` is computed", "name it: input.request")
            }
            (Some(&"seawall"), None, _) => {
                self.rule.parameters.insert("*".to_owned());
            }
            (Some(&"seawall"), Some(&"parameters"), key) => {
                self.rule.parameters.insert((*key.unwrap_or(&"*")).to_owned());
            }
            _ => {}
        }
    }

    fn call(&mut self, body: &Json) {
        let at = line(body);
        let parameters = body.get("params").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        parameters.iter().for_each(|p| self.node(p));
        let Some(function) = body.get("fcn").and_then(chain) else { return };
        if let Some(path) = self.resolve(&function) {
            return self.data(at, &path, function.keys.len());
        }
        let name = function.constant().unwrap_or_default().join(".");
        let Some((_, arity)) = builtins::position(&name).and_then(|position| builtins::ALLOWED.get(position)) else {
            let instead = "use one of src/engine/builtins.rs or a function of policies/seawall/lib";
            return self.refuse(at, format!("{name} is not a permitted builtin"), instead);
        };
        if parameters.len() != *arity && parameters.len() != arity + 1 {
            self.refuse(
                at,
                format!("{name} takes {arity} arguments, found {}", parameters.len()),
                "see OPA's documentation of builtins",
            );
        }
        match name.as_str() {
            "sprintf" => self.format(at, parameters),
            "regex.match" if literal(parameters.first()).is_none() => {
                self.refuse(at, "regex.match with a pattern that is not a literal", "write the pattern in place");
            }
            _ => {}
        }
    }

    /// A format from data could panic the engine or make gigabytes; a wrong number of values is an error at run time.
    fn format(&mut self, at: u64, parameters: &[Json]) {
        let Some(format) = literal(parameters.first()) else {
            return self.refuse(at, "sprintf with a format that is not a literal", "write the format in place");
        };
        let mut verbs = 0_usize;
        let mut rest = format.chars();
        while let Some(c) = rest.next() {
            if c == '%' {
                match rest.next() {
                    Some('s' | 'd' | 'v') => verbs += 1,
                    Some('%') => {}
                    other => {
                        let verb = other.map(String::from).unwrap_or_default();
                        return self.refuse(at, format!("sprintf verb %{verb}"), "use %s, %d or %v");
                    }
                }
            }
        }
        let values = parameters.get(1).and_then(|p| p.get("Array")?.get("items")?.as_array().map(Vec::len));
        if values.is_some_and(|values| values != verbs) {
            self.refuse(
                at,
                format!("sprintf has {verbs} verbs and {} values", values.unwrap_or_default()),
                "give one value for each verb",
            );
        }
    }

    fn division(&mut self, body: &Json) {
        let by_literal =
            body.get("rhs").and_then(|rhs| rhs.get("Number")?.get("value")?.as_f64()).is_some_and(|n| n != 0.0);
        if !by_literal {
            self.refuse(
                line(body),
                "division by a value that could be zero",
                "divide by a literal, or compare products",
            );
        }
    }

    /// Engines differ when a member of these is undefined: one leaves it out, one keeps "<undefined>", one fails.
    fn must_be_defined(&mut self, node: &Json, place: &str) {
        let Some((kind, body)) = node.as_object().and_then(|fields| fields.iter().next()) else { return };
        let own_rule = |name: &Json| name.as_str().is_some_and(|name| self.module.own.contains(name));
        let may_be_undefined = match kind.as_str() {
            "RefDot" | "RefBrack" => true,
            "Var" => body.get("value").is_some_and(own_rule),
            "Call" => body.get("fcn").and_then(chain).is_some_and(|function| self.resolve(&function).is_some()),
            _ => false,
        };
        if may_be_undefined {
            let instead = "assign it to a variable in the body first (`x := …`), then use the variable";
            return self.refuse(
                line(node),
                format!("a value in {place} may be undefined, on which engines differ"),
                instead,
            );
        }
        match kind.as_str() {
            "Array" | "Set" => body
                .get("items")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .for_each(|item| self.must_be_defined(item, place)),
            "Call" => body
                .get("params")
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .for_each(|item| self.must_be_defined(item, place)),
            "Object" => {
                for field in body.get("fields").and_then(Json::as_array).into_iter().flatten() {
                    [field.get(1), field.get(2)]
                        .into_iter()
                        .flatten()
                        .for_each(|part| self.must_be_defined(part, place));
                }
            }
            "ArithExpr" | "BoolExpr" | "BinExpr" => {
                [body.get("lhs"), body.get("rhs")]
                    .into_iter()
                    .flatten()
                    .for_each(|part| self.must_be_defined(part, place));
            }
            _ => {}
        }
    }
}

/// Whether a query loops itself: `some … in`, `some x`, `list[_]`. Comprehensions, `every` and calls do not count.
fn loops(node: &Json) -> bool {
    match node {
        Json::Array(items) => items.iter().any(loops),
        Json::Object(fields) => match fields.iter().next().filter(|_| fields.len() == 1) {
            Some((kind, _)) if matches!(kind.as_str(), "SomeIn" | "SomeVars") => true,
            Some((kind, _))
                if matches!(kind.as_str(), "ArrayCompr" | "SetCompr" | "ObjectCompr" | "Every" | "NotExpr") =>
            {
                false
            }
            Some((kind, body)) if kind == "RefBrack" => {
                let wildcard = body.get("index").and_then(|i| i.get("Var")?.get("value")?.as_str()) == Some("_");
                wildcard || loops(body)
            }
            _ => fields.iter().filter(|(key, _)| *key != "span").any(|(_, value)| loops(value)),
        },
        _ => false,
    }
}

/// The text of a literal string.
fn literal(node: Option<&Json>) -> Option<&str> {
    let node = node?;
    node.get("String").or_else(|| node.get("RawString"))?.get("value")?.as_str()
}
