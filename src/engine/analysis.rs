//! Reads the syntax trees of modules: what each rule calls and reads, and what must not be loaded.
//!
//! Refused is what could hang or abort the process, what would make the cluster a scan, and what the engines are known
//! to answer differently (tests in `tests/engine` show each one). Test files (`_test.rego`) are not analysed.

use super::builtins;
use super::divergence;
use super::tree::{self, Chain, Key, chain, head_chain, literal, loops};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// What kind of construct is not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Construct {
    /// A function that is neither on the allow-list nor a rule.
    Builtin,
    /// Arguments that a builtin is not given here: their number, formats and patterns that are no literals.
    Arguments,
    /// A rule that leads back to itself.
    Recursion,
    /// Definitions of one name that do not go together.
    Conflict,
    /// `data.…` that is neither a rule nor a fact.
    UnknownReference,
    /// A rule of another policy.
    ForeignRule,
    /// `data[x]`, `input[x]`
    ComputedRoot,
    /// `data.cluster[x]`, or all of `data.cluster`.
    ComputedKind,
    /// A loop in a body that has an `else`.
    LoopWithElse,
    /// An undefined value where engines differ.
    MayBeUndefined,
    /// `default` on a function.
    DefaultFunction,
    /// A head of several parts.
    RuleHead,
    /// `with` outside a test.
    With,
    /// What an engine answers differently from OPA ([`super::divergence`]).
    Divergence,
    /// A division by what could be zero.
    Division,
    /// An assignment as a whole body.
    Assignment,
}

/// A construct that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}; {instead}")]
pub struct Refused {
    /// File of the module.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// Which kind.
    pub construct: Construct,
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
    /// Where it reads: the first place of each fact and parameter, by full name (`data.cluster.nodes`,
    /// `input.seawall.parameters.size`; without the key for all parameters), and of each rule that it refers to.
    pub places: BTreeMap<String, Place>,
}

/// A place in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// The key of [`Rule::places`] under which the first definition of the rule itself stands.
pub const DEFINITION: &str = "definition";

impl Rule {
    /// Adds what another one reads.
    fn add(&mut self, other: &Self) {
        self.refers.extend(other.refers.iter().cloned());
        self.facts.extend(other.facts.iter().cloned());
        self.parameters.extend(other.parameters.iter().cloned());
        for (name, place) in &other.places {
            self.places.entry(name.clone()).or_insert_with(|| place.clone());
        }
    }

    /// Where the rule is defined first.
    #[must_use]
    pub fn place(&self) -> Place {
        self.places.get(DEFINITION).cloned().unwrap_or_default()
    }
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
    let mut refused = super::conflicts::refused(&modules);
    for module in &modules {
        for definition in module.tree.get("rules").and_then(Json::as_array).into_iter().flatten() {
            let mut walk =
                Walk { module, names: &names, packages: &packages, refused: &mut refused, rule: Rule::default() };
            let Some((name, (line, column))) = walk.definition(definition) else { continue };
            let found = walk.rule;
            let rule = rules
                .entry(format!("{}.{name}", module.package))
                .or_insert_with(|| Rule { at: (module.file.clone(), line), ..Rule::default() });
            let here = Place { file: module.file.clone(), line, column };
            rule.places.entry(DEFINITION.to_owned()).or_insert(here);
            rule.add(&found);
        }
    }
    refused.extend(trees.as_array().into_iter().flatten().flat_map(divergence::refused));
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
            all.add(rule);
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
        column: rule.place().column.max(1),
        construct: Construct::Recursion,
        problem: format!("{name} calls itself, directly or through others"),
        instead: "use a comprehension or `every` over a list of known depth".to_owned(),
    };
    rules.iter().filter(|(name, _)| leads_back(name)).map(refuse).collect()
}

/// One module.
pub(super) struct Module<'t> {
    pub(super) file: String,
    pub(super) contents: &'t str,
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
        let imports = tree::imports(printed);
        let contents = printed.get("source")?.get("contents")?.as_str()?;
        let rules = tree.get("rules").and_then(Json::as_array);
        let own = rules.into_iter().flatten().filter_map(|rule| Some(head_chain(rule)?.root.to_owned())).collect();
        Some(Self { file, contents, package, tree, imports, own })
    }
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
    /// Line and column of a node.
    fn at(&self, node: &Json) -> (u64, u64) {
        tree::position(self.module.contents, node)
    }

    fn refuse(
        &mut self,
        (line, column): (u64, u64),
        construct: Construct,
        problem: impl Into<String>,
        instead: impl Into<String>,
    ) {
        self.refused.push(Refused {
            file: self.module.file.clone(),
            line,
            column,
            construct,
            problem: problem.into(),
            instead: instead.into(),
        });
    }

    /// A read, the first place of which is kept.
    fn reads(&mut self, name: String, (line, column): (u64, u64)) {
        let place = Place { file: self.module.file.clone(), line, column };
        self.rule.places.entry(name).or_insert(place);
    }

    /// Walks a definition; its name, line and column.
    pub(super) fn definition(&mut self, rule: &Json) -> Option<(String, (u64, u64))> {
        let head = head_chain(rule)?;
        if let Some(default) = rule.get("Default") {
            if default.get("args").and_then(Json::as_array).is_some_and(|args| !args.is_empty()) {
                self.refuse(
                    self.at(default),
                    Construct::DefaultFunction,
                    format!("`default` on the function {}", head.root),
                    "add an `else := …` to the function",
                );
            }
            return Some((head.root.to_owned(), self.at(default)));
        }
        let spec = rule.get("Spec")?;
        let at = self.at(spec);
        let (kind, body) = spec.get("head")?.as_object()?.iter().next()?;
        let parts = head.keys.len();
        if parts > 1 || (parts == 1 && kind != "Compr" && !matches!(head.keys.first(), Some(Key::Computed(_)))) {
            let problem = format!("the head of {} has several parts", head.root);
            self.refuse(at, Construct::RuleHead, problem, "give the rule a name of its own");
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
                    self.at(query),
                    Construct::LoopWithElse,
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
                    let instead = "pass the value as an argument of a function";
                    self.refuse(self.at(node), Construct::With, "`with` outside a test", instead);
                }
                fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| self.node(value));
            }
            _ => {}
        }
    }

    /// A reference: to input, to facts, to rules, or to a local variable.
    fn reference(&mut self, node: &Json) {
        let at = self.at(node);
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

    fn data(&mut self, at: (u64, u64), path: &[String], keys: usize) {
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
                        Construct::ForeignRule,
                        format!("{prefix} belongs to another policy"),
                        "move what is shared to policies/seawall/lib",
                    );
                }
                self.reads(prefix.clone(), at);
                self.rule.refers.insert(prefix);
                return;
            }
        }
        match path.get(1).map(String::as_str) {
            Some("cluster") => match (path.get(2).map(String::as_str), path.get(3)) {
                (Some("index"), Some(index)) => {
                    self.reads(format!("data.cluster.index.{index}"), at);
                    self.rule.facts.insert(format!("index.{index}"));
                }
                (Some("index"), None) | (None, _) => {
                    self.refuse(
                        at,
                        Construct::ComputedKind,
                        "the kind of `data.cluster` is computed or left out",
                        "name the kind: data.cluster.storageclasses[name]",
                    );
                }
                (Some(kind), _) => {
                    self.reads(format!("data.cluster.{kind}"), at);
                    self.rule.facts.insert(kind.to_owned());
                }
            },
            Some("seawall") if path.get(2).is_some_and(|p| p == "knowledge") => {}
            _ if self.packages.iter().any(|package| package.starts_with(&prefix)) => {
                let problem = format!("{prefix} is a package, not a rule");
                self.refuse(at, Construct::UnknownReference, problem, "name the rule");
            }
            _ if path.len() == 1 && keys > 0 => {
                self.refuse(at, Construct::ComputedRoot, "the first key of `data` is computed", "name the document")
            }
            _ => self.refuse(
                at,
                Construct::UnknownReference,
                format!("{prefix} is neither a rule nor a fact"),
                "wanted data.cluster.<kind>, data.seawall.knowledge or a rule of data.seawall.lib",
            ),
        }
    }

    fn input(&mut self, at: (u64, u64), chain: &Chain<'_>) {
        let keys = chain.leading();
        match (keys.first(), keys.get(1), keys.get(2)) {
            (None, _, _) if !chain.keys.is_empty() => {
                let problem = "the first key of `input` is computed";
                self.refuse(at, Construct::ComputedRoot, problem, "name it: input.request");
            }
            (Some(&"seawall"), None, _) => {
                self.reads("input.seawall.parameters".to_owned(), at);
                self.rule.parameters.insert("*".to_owned());
            }
            (Some(&"seawall"), Some(&"parameters"), key) => {
                let name = key.map(|key| format!(".{key}")).unwrap_or_default();
                self.reads(format!("input.seawall.parameters{name}"), at);
                self.rule.parameters.insert((*key.unwrap_or(&"*")).to_owned());
            }
            _ => {}
        }
    }

    fn call(&mut self, body: &Json) {
        let at = self.at(body);
        let parameters = body.get("params").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        parameters.iter().for_each(|p| self.node(p));
        let Some(function) = body.get("fcn").and_then(chain) else { return };
        if let Some(path) = self.resolve(&function) {
            return self.data(at, &path, function.keys.len());
        }
        let name = function.constant().unwrap_or_default().join(".");
        let Some((_, arity)) = builtins::position(&name).and_then(|position| builtins::ALLOWED.get(position)) else {
            let problem = format!("{name} is not a permitted builtin");
            return self.refuse(at, Construct::Builtin, problem, builtins::instead_of(&name));
        };
        if parameters.len() != *arity && parameters.len() != arity + 1 {
            self.refuse(
                at,
                Construct::Arguments,
                format!("{name} takes {arity} arguments, found {}", parameters.len()),
                "see OPA's documentation of builtins",
            );
        }
        match name.as_str() {
            "sprintf" => self.format(at, parameters),
            "regex.match" if literal(parameters.first()).is_none() => {
                let problem = "regex.match with a pattern that is not a literal";
                self.refuse(at, Construct::Arguments, problem, "write the pattern in place");
            }
            _ => {}
        }
    }

    /// A format from data could panic the engine or make gigabytes; a wrong number of values is an error at run time.
    fn format(&mut self, at: (u64, u64), parameters: &[Json]) {
        let Some(format) = literal(parameters.first()) else {
            let problem = "sprintf with a format that is not a literal";
            return self.refuse(at, Construct::Arguments, problem, "write the format in place");
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
                        let problem = format!("sprintf verb %{verb}");
                        return self.refuse(at, Construct::Arguments, problem, "use %s, %d or %v");
                    }
                }
            }
        }
        let values = parameters.get(1).and_then(|p| p.get("Array")?.get("items")?.as_array().map(Vec::len));
        if values.is_some_and(|values| values != verbs) {
            self.refuse(
                at,
                Construct::Arguments,
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
                self.at(body),
                Construct::Division,
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
                self.at(node),
                Construct::MayBeUndefined,
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
