//! Prints a module as Rego v1 from its syntax tree, laid out as `opa fmt` does, so that source in Rego v0 becomes v1 and looks
//! like it was written here. What one line held stays on one line; comments go before the statement that they stand at.

use super::names::Names;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A module in print.
pub(super) struct Printer<'a> {
    source: &'a str,
    names: &'a Names,
    /// Comments not printed yet, by line.
    comments: BTreeMap<u64, String>,
    /// Line, and what cannot be carried over there.
    pub(super) problems: Vec<(u64, String)>,
}

/// What a rule becomes.
pub(super) struct Target {
    /// The keys of a violation besides `msg` and `found`, as Rego.
    pub(super) more: String,
}

/// The strengths of operators, from weak to strong.
const ASSIGN: u8 = 1;
const MEMBER: u8 = 2;
const COMPARE: u8 = 3;
const UNION: u8 = 4;
const INTERSECT: u8 = 5;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
const TERM: u8 = 9;

impl<'a> Printer<'a> {
    pub(super) fn new(source: &'a str, names: &'a Names) -> Self {
        let mut comments = BTreeMap::new();
        let mut raw = false;
        for (line, text) in (1..).zip(source.lines()) {
            let mut quoted = false;
            let mut escaped = false;
            for (at, c) in text.char_indices() {
                match c {
                    '`' if !quoted => raw = !raw,
                    '"' if !raw && !escaped => quoted = !quoted,
                    '#' if !raw && !quoted => {
                        comments.insert(line, text.get(at..).unwrap_or_default().trim_end().to_owned());
                        break;
                    }
                    _ => {}
                }
                escaped = c == '\\' && !escaped;
            }
        }
        Self { source, names, comments, problems: Vec::new() }
    }

    /// All of a module below its package line. `rename` says what a rule's name becomes: nothing leaves the rule out, and with a
    /// target it is one that reports.
    pub(super) fn module(&mut self, tree: &Json, rename: &dyn Fn(&str) -> Option<Option<Target>>) -> String {
        let mut imports: Vec<String> = list(tree, "imports").iter().filter_map(|import| self.import(import)).collect();
        imports.sort();
        imports.dedup();
        let mut text = String::new();
        if !imports.is_empty() {
            text.push_str(&format!("\n{}\n", imports.join("\n")));
        }
        for rule in list(tree, "rules") {
            let (name, node) = (rule_name(rule), rule.get("Spec").or_else(|| rule.get("Default")));
            let Some(target) = rename(&name) else {
                // its comments go with it
                let last = node.map_or(0, |n| self.last_line(n));
                self.comments.retain(|line, _| *line > last);
                continue;
            };
            let comments = self.comments_before(node.map_or(0, line), "");
            text.push_str(&format!("\n{comments}{}\n", self.rule(rule, target.as_ref())));
        }
        text
    }

    fn problem(&mut self, node: &Json, problem: String) {
        self.problems.push((line(node), problem));
    }

    fn comments_before(&mut self, until: u64, indent: &str) -> String {
        let later = self.comments.split_off(&(until + 1));
        let now = std::mem::replace(&mut self.comments, later);
        now.into_values().map(|comment| format!("{indent}{comment}\n")).collect()
    }

    fn import(&mut self, import: &Json) -> Option<String> {
        let path = self.keys(import.get("refr")?)?;
        let alias = import.get("as").and_then(|span| self.text(span)).map(str::to_owned);
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["rego", ..] | ["future", ..] => None,
            ["data", rest @ ..] => match self.names.library(rest) {
                Some((full, _)) => {
                    let name = alias.or_else(|| path.last().cloned())?;
                    let as_is = full.rsplit('.').next() == Some(name.as_str());
                    Some(if as_is { format!("import {full}") } else { format!("import {full} as {name}") })
                }
                None => {
                    self.problem(
                        import,
                        format!("`import {}`: only the libraries of the template are known", path.join(".")),
                    );
                    None
                }
            },
            _ => {
                self.problem(import, format!("`import {}`: write the path out where it is used", path.join(".")));
                None
            }
        }
    }

    fn rule(&mut self, rule: &Json, target: Option<&Target>) -> String {
        if let Some(default) = rule.get("Default") {
            let arguments = list(default, "args");
            let arguments =
                if arguments.is_empty() { String::new() } else { format!("({})", self.joined(arguments, "")) };
            let name = self.expression(child(default, "refr"), "");
            return format!("default {name}{arguments} := {}", self.expression(child(default, "value"), ""));
        }
        let Some(spec) = rule.get("Spec") else { return String::new() };
        let head = child(spec, "head");
        let Some((kind, body)) = only(head) else { return String::new() };
        let start = self.head(kind, body, target);
        let value = |printer: &mut Self, assign: &Json| match assign.get("value") {
            Some(value) => format!(" := {}", printer.expression(value, "")),
            None => String::new(),
        };
        let assigned = value(self, child(body, "assign"));
        let bodies = list(spec, "bodies");
        if bodies.is_empty() {
            return format!("{start}{assigned}");
        }
        let mut text = String::new();
        for (position, each) in bodies.iter().enumerate() {
            let is_else = each.get("is_else").and_then(Json::as_bool) == Some(true);
            let query = child(each, "query");
            match (position, is_else) {
                (0, _) => text.push_str(&format!("{start}{assigned} if {{\n")),
                (_, true) => {
                    let own = value(self, child(each, "assign"));
                    if list(query, "stmts").is_empty() {
                        text.push_str(&format!(" else{own}"));
                        continue;
                    }
                    text.push_str(&format!(" else{own} if {{\n"));
                }
                // a second body of the same head is a rule of its own in v1
                (_, false) => text.push_str(&format!("\n\n{start}{assigned} if {{\n")),
            }
            text.push_str(&self.query(query, "\t"));
            text.push('}');
        }
        text
    }

    fn head(&mut self, kind: &str, body: &Json, target: Option<&Target>) -> String {
        let refr = child(body, "refr");
        match kind {
            "Func" => {
                let (name, arguments) = (self.expression(refr, ""), self.joined(list(body, "args"), ""));
                format!("{name}({arguments})")
            }
            "Set" => {
                // v0 has the key in brackets
                let bracket = refr.get("RefBrack").filter(|_| body.get("key").is_none_or(Json::is_null));
                let (name, key) = match bracket {
                    Some(bracket) => (child(bracket, "refr"), child(bracket, "index")),
                    None => (refr, child(body, "key")),
                };
                match target {
                    Some(target) => format!("violation contains {}", self.violation(key, target)),
                    None => format!("{} contains {}", self.expression(name, ""), self.expression(key, "")),
                }
            }
            _ => {
                if target.is_some() {
                    self.problem(body, "a rule that reports is no set: write `violation[{\"msg\": msg}]`".to_owned());
                }
                self.expression(refr, "")
            }
        }
    }

    /// The head of a rule that reports. `msg` and `details` are Gatekeeper's keys, a text is conftest's.
    fn violation(&mut self, key: &Json, target: &Target) -> String {
        let mut fields = Vec::new();
        match key.get("Object") {
            Some(object) => {
                for field in list(object, "fields") {
                    let name = field.get(1).and_then(|k| k.get("String")?.get("value")?.as_str()).unwrap_or_default();
                    let value = self.expression(field.get(2).unwrap_or(&Json::Null), "\t");
                    match name {
                        "msg" => fields.insert(0, format!("\"msg\": {value}")),
                        "details" => fields.push(format!("\"found\": {value}")),
                        other => self.problem(
                            key,
                            format!("the key {other:?} of a violation: only `msg` and `details` are carried over"),
                        ),
                    }
                }
                if fields.first().is_none_or(|field| !field.starts_with("\"msg\"")) {
                    self.problem(key, "a violation without `msg`: give it one".to_owned());
                }
            }
            None => fields.push(format!("\"msg\": {}", self.expression(key, "\t"))),
        }
        fields.insert(1.min(fields.len()), "\"path\": []".to_owned());
        fields.push(target.more.clone());
        format!("{{\n\t{},\n}}", fields.join(",\n\t"))
    }

    fn query(&mut self, query: &Json, indent: &str) -> String {
        let mut text = String::new();
        for statement in list(query, "stmts") {
            let comments = self.comments_before(line(statement), indent);
            if !comments.is_empty() && !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&comments);
            let printed = self.statement(statement, indent);
            text.push_str(&format!("{indent}{printed}\n"));
        }
        text
    }

    fn statement(&mut self, statement: &Json, indent: &str) -> String {
        let literal = child(statement, "literal");
        let Some((kind, body)) = only(literal) else { return String::new() };
        let mut text = match kind {
            "Expr" => self.expression(child(body, "expr"), indent),
            "NotExpr" => format!("not {}", self.expression(child(body, "expr"), indent)),
            "SomeVars" => {
                let variables: Vec<&str> = list(body, "vars").iter().filter_map(|span| self.text(span)).collect();
                format!("some {}", variables.join(", "))
            }
            "SomeIn" => {
                let key = body.get("key").filter(|key| !key.is_null());
                let key = key.map(|key| format!("{}, ", self.expression(key, indent))).unwrap_or_default();
                let value = self.expression(child(body, "value"), indent);
                format!("some {key}{value} in {}", self.expression(child(body, "collection"), indent))
            }
            "Every" => {
                let key = body.get("key").and_then(|span| self.text(span)).map(|key| format!("{key}, "));
                let value = self.text(child(body, "value")).unwrap_or("_").to_owned();
                let domain = self.expression(child(body, "domain"), indent);
                let inner = self.query(child(body, "query"), &format!("{indent}\t"));
                format!("every {}{value} in {domain} {{\n{inner}{indent}}}", key.unwrap_or_default())
            }
            _ => String::new(),
        };
        for with in list(statement, "with_mods") {
            let (refr, value) =
                (self.expression(child(with, "refr"), indent), self.expression(child(with, "as"), indent));
            text.push_str(&format!(" with {refr} as {value}"));
        }
        text
    }

    fn expression(&mut self, node: &Json, indent: &str) -> String {
        self.strong(node, indent, 0)
    }

    /// An expression, in parentheses where it binds weaker than its place asks for.
    fn strong(&mut self, node: &Json, indent: &str, place: u8) -> String {
        let Some((kind, body)) = only(node) else { return String::new() };
        let (strength, text) = match kind {
            "String" => (TERM, json_text(child(body, "value"))),
            "RawString" => (TERM, format!("`{}`", child(body, "value").as_str().unwrap_or_default())),
            "Number" => {
                let text = self.text(child(body, "span")).map(str::to_owned);
                (TERM, text.unwrap_or_else(|| child(body, "value").to_string()))
            }
            "Bool" | "Null" => (TERM, child(body, "value").to_string()),
            "Var" | "RefDot" | "RefBrack" => (TERM, self.reference(node, indent)),
            "Array" => (TERM, self.collection(body, list(body, "items"), "[", "]", indent)),
            "Set" if list(body, "items").is_empty() => (TERM, "set()".to_owned()),
            "Set" => (TERM, self.collection(body, list(body, "items"), "{", "}", indent)),
            "Object" => (TERM, self.object(body, indent)),
            "ArrayCompr" => (TERM, self.comprehension(body, "[", "]", indent)),
            "SetCompr" | "ObjectCompr" => (TERM, self.comprehension(body, "{", "}", indent)),
            "Call" => (TERM, self.call(body, indent)),
            "UnaryExpr" => (TERM, format!("-{}", self.strong(child(body, "expr"), indent, TERM))),
            "BinExpr" => match operator(body) {
                "Union" => (UNION, self.infix(body, "|", UNION, indent)),
                _ => (INTERSECT, self.infix(body, "&", INTERSECT, indent)),
            },
            "BoolExpr" => {
                let sign = match operator(body) {
                    "Lt" => "<",
                    "Le" => "<=",
                    "Gt" => ">",
                    "Ge" => ">=",
                    "Ne" => "!=",
                    _ => "==",
                };
                (COMPARE, self.infix(body, sign, COMPARE, indent))
            }
            "ArithExpr" => match operator(body) {
                "Mul" => (PRODUCT, self.infix(body, "*", PRODUCT, indent)),
                "Div" => (PRODUCT, self.infix(body, "/", PRODUCT, indent)),
                "Mod" => (PRODUCT, self.infix(body, "%", PRODUCT, indent)),
                "Sub" => (SUM, self.infix(body, "-", SUM, indent)),
                _ => (SUM, self.infix(body, "+", SUM, indent)),
            },
            "AssignExpr" => {
                let sign = if operator(body) == "ColEq" { ":=" } else { "=" };
                (ASSIGN, self.infix(body, sign, ASSIGN, indent))
            }
            "Membership" => {
                let key = body.get("key").filter(|key| !key.is_null());
                let key = key.map(|key| format!("{}, ", self.strong(key, indent, COMPARE))).unwrap_or_default();
                let value = self.strong(child(body, "value"), indent, COMPARE);
                (MEMBER, format!("{key}{value} in {}", self.strong(child(body, "collection"), indent, COMPARE)))
            }
            other => {
                self.problem(node, format!("a construct that is not known here: {other}"));
                (TERM, String::new())
            }
        };
        if strength < place { format!("({text})") } else { text }
    }

    fn infix(&mut self, body: &Json, sign: &str, strength: u8, indent: &str) -> String {
        let left = self.strong(child(body, "lhs"), indent, strength);
        format!("{left} {sign} {}", self.strong(child(body, "rhs"), indent, strength + 1))
    }

    fn call(&mut self, body: &Json, indent: &str) -> String {
        let function = self.keys(child(body, "fcn")).map(|keys| keys.join("."));
        let name = match function.as_deref() {
            // the name of today
            Some("re_match") => "regex.match".to_owned(),
            _ => self.expression(child(body, "fcn"), indent),
        };
        let arguments = list(body, "params");
        if let (Some("set_diff"), [left, right]) = (function.as_deref(), arguments) {
            let left = self.strong(left, indent, SUM);
            return format!("({left} - {})", self.strong(right, indent, SUM + 1));
        }
        // the span begins at the name
        let text = self.text(child(body, "span")).unwrap_or_default();
        let spread = text.split_once('(').is_some_and(|(_, rest)| rest.starts_with('\n') || rest.starts_with("\r\n"));
        if spread {
            let inner = format!("{indent}\t");
            let arguments: String =
                arguments.iter().map(|a| format!("{inner}{},\n", self.expression(a, &inner))).collect();
            return format!("{name}(\n{arguments}{indent})");
        }
        format!("{name}({})", self.joined(arguments, indent))
    }

    fn collection(&mut self, body: &Json, items: &[Json], open: &str, close: &str, indent: &str) -> String {
        if !self.spread(body) {
            return format!("{open}{}{close}", self.joined(items, indent));
        }
        let inner = format!("{indent}\t");
        let items: String = items.iter().map(|item| format!("{inner}{},\n", self.expression(item, &inner))).collect();
        format!("{open}\n{items}{indent}{close}")
    }

    fn object(&mut self, body: &Json, indent: &str) -> String {
        let spread = self.spread(body);
        let inner = if spread { format!("{indent}\t") } else { indent.to_owned() };
        let mut fields = Vec::new();
        for field in list(body, "fields") {
            let key = self.expression(field.get(1).unwrap_or(&Json::Null), &inner);
            fields.push(format!("{key}: {}", self.expression(field.get(2).unwrap_or(&Json::Null), &inner)));
        }
        if !spread {
            return format!("{{{}}}", fields.join(", "));
        }
        let fields: String = fields.iter().map(|field| format!("{inner}{field},\n")).collect();
        format!("{{\n{fields}{indent}}}")
    }

    fn comprehension(&mut self, body: &Json, open: &str, close: &str, indent: &str) -> String {
        let term = match body.get("key") {
            Some(key) => {
                let key = self.expression(key, indent);
                format!("{key}: {}", self.strong(child(body, "value"), indent, UNION + 1))
            }
            None => self.strong(child(body, "term"), indent, UNION + 1),
        };
        let query = child(body, "query");
        if self.spread(body) {
            let inner = self.query(query, &format!("{indent}\t"));
            return format!("{open}{term} |\n{inner}{indent}{close}");
        }
        let statements: Vec<String> = list(query, "stmts").iter().map(|s| self.statement(s, indent)).collect();
        format!("{open}{term} | {}{close}", statements.join("; "))
    }

    fn joined(&mut self, items: &[Json], indent: &str) -> String {
        items.iter().map(|item| self.expression(item, indent)).collect::<Vec<_>>().join(", ")
    }

    /// A reference, with the names of here.
    fn reference(&mut self, node: &Json, indent: &str) -> String {
        let mut keys: Vec<&Json> = Vec::new();
        let mut at = node;
        while let Some((kind @ ("RefDot" | "RefBrack"), body)) = only(at) {
            keys.push(if kind == "RefDot" { body } else { child(body, "index") });
            at = child(body, "refr");
        }
        keys.reverse();
        let mut parts: Vec<String> = Vec::new();
        let mut names = Vec::new();
        for key in keys {
            let text = match key.get("field") {
                Some(field) => field.get(1).and_then(Json::as_str),
                None => key.get("String").and_then(|s| s.get("value")?.as_str()),
            };
            parts.push(match text {
                Some(text) if word(text) => format!(".{text}"),
                Some(text) => format!("[{}]", json_text(&Json::from(text))),
                None => format!("[{}]", self.expression(key, indent)),
            });
            names.push(text.map(str::to_owned));
        }
        let root = match only(at) {
            Some(("Var", body)) => child(body, "value").as_str().unwrap_or("_").to_owned(),
            _ => self.strong(at, indent, TERM),
        };
        match self.names.resolve(&root, &names) {
            Ok(None) => format!("{root}{}", parts.concat()),
            Ok(Some((new, kept))) => {
                let kept: String = kept.into_iter().filter_map(|at| parts.get(at)).map(String::as_str).collect();
                format!("{new}{kept}")
            }
            Err(problem) => {
                self.problem(node, problem);
                format!("{root}{}", parts.concat())
            }
        }
    }

    /// The parts of a reference all of whose keys are constant.
    fn keys(&self, node: &Json) -> Option<Vec<String>> {
        let (kind, body) = only(node)?;
        if kind == "Var" {
            return Some(vec![child(body, "value").as_str()?.to_owned()]);
        }
        let mut keys = self.keys(body.get("refr")?)?;
        let key = match kind {
            "RefDot" => body.get("field")?.get(1)?.as_str()?,
            "RefBrack" => body.get("index")?.get("String")?.get("value")?.as_str()?,
            _ => return None,
        };
        keys.push(key.to_owned());
        Some(keys)
    }

    fn text(&self, span: &Json) -> Option<&'a str> {
        let offset = |key: &str| span.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
        self.source.get(offset("start")?..offset("end")?)
    }

    fn spread(&self, body: &Json) -> bool {
        // regorus lets an object begin at its last key
        let first = list(body, "fields").first().and_then(|field| only(field.get(1)?)).map(|(_, key)| line(key));
        self.text(child(body, "span")).is_some_and(|text| text.contains('\n'))
            || first.is_some_and(|first| first < line(body))
    }

    fn last_line(&self, node: &Json) -> u64 {
        let text = self.text(child(node, "span")).unwrap_or_default();
        line(node) + u64::try_from(text.matches('\n').count()).unwrap_or_default()
    }
}

/// The name in the head of a rule.
pub(super) fn rule_name(rule: &Json) -> String {
    let head = match rule.get("Default") {
        Some(default) => default.get("refr"),
        None => rule.get("Spec").and_then(|spec| only(spec.get("head")?)?.1.get("refr")),
    };
    let mut at = head.unwrap_or(&Json::Null);
    while let Some(("RefDot" | "RefBrack", body)) = only(at) {
        at = child(body, "refr");
    }
    at.get("Var").map(|var| child(var, "value").as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// The kind of a node and what it is made of.
pub(super) fn only(node: &Json) -> Option<(&str, &Json)> {
    let fields = node.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().map(|(kind, body)| (kind.as_str(), body))
}

fn child<'j>(node: &'j Json, key: &str) -> &'j Json {
    node.get(key).unwrap_or(&Json::Null)
}

pub(super) fn list<'j>(node: &'j Json, key: &str) -> &'j [Json] {
    node.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn operator(body: &Json) -> &str {
    child(body, "op").as_str().unwrap_or_default()
}

pub(super) fn line(node: &Json) -> u64 {
    let span = node.get("span").or_else(|| only(node)?.1.get("span"));
    span.and_then(|span| span.get("line")?.as_u64()).unwrap_or(1)
}

/// Whether a key can stand after a dot.
fn word(key: &str) -> bool {
    let keywords =
        ["not", "some", "every", "with", "as", "default", "else", "import", "package", "in", "if", "contains"];
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !key.is_empty()
        && !key.starts_with(|c: char| c.is_ascii_digit())
        && key.chars().all(letters)
        && !keywords.contains(&key)
        && !["true", "false", "null"].contains(&key)
}

/// A string as Rego and JSON both write it.
fn json_text(value: &Json) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
