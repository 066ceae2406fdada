//! Constructs that an engine answers differently from OPA without saying so, found by OPA's own conformance cases
//! (docs/engine-divergences.md): they are not loaded.

use super::analysis::{Construct, Refused};
use super::tree::{self, kind};
use serde_json::Value as Json;

/// What is refused in a printed module (`Engine::get_ast_as_json`), besides what [`super::analysis`] refuses.
pub(super) fn refused(printed: &Json) -> Vec<Refused> {
    let source = printed.get("source");
    let text = |key: &str| source.and_then(|s| s.get(key)?.as_str()).unwrap_or_default();
    let mut found = Found { file: text("file"), contents: text("contents"), refused: Vec::new() };
    if found.file.ends_with("_test.rego") {
        return Vec::new();
    }
    let tree = printed.get("ast").unwrap_or(&Json::Null);
    for import in tree.get("imports").and_then(Json::as_array).into_iter().flatten() {
        let keyword = import.get("refr").and_then(|refr| refr.get("RefDot")?.get("field")?.get(1)?.as_str());
        let future = text("contents").lines().nth(usize::try_from(line(import)).unwrap_or(1).saturating_sub(1));
        if keyword == Some("not") && future.is_some_and(|line| line.contains("future.keywords")) {
            found.refuse(
                import,
                "`import future.keywords.not` changes what a negation means, which neither engine knows",
                "leave the import out, and negate one expression or a rule of its own",
            );
        }
    }
    for rule in tree.get("rules").and_then(Json::as_array).into_iter().flatten() {
        if let Some(value) = rule.get("Default").and_then(|default| default.get("value"))
            && contains(value, &["ArrayCompr", "SetCompr", "ObjectCompr"])
        {
            found.refuse(
                value,
                "a comprehension as a `default`, which is empty on the fast engine",
                "write a rule with the comprehension, and an `else` in place of the default",
            );
        }
    }
    found.node(tree.get("rules").unwrap_or(&Json::Null));
    found.refused
}

struct Found<'t> {
    file: &'t str,
    contents: &'t str,
    refused: Vec<Refused>,
}

impl Found<'_> {
    fn refuse(&mut self, node: &Json, problem: &str, instead: &str) {
        let (file, problem, instead) = (self.file.to_owned(), problem.to_owned(), instead.to_owned());
        let (line, column) = tree::position(self.contents, node);
        self.refused.push(Refused { file, line, column, construct: Construct::Divergence, problem, instead });
    }

    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                match kind(node) {
                    Some(("Membership", body)) if body.get("key").is_some_and(|key| !key.is_null()) => self.refuse(
                        node,
                        "`key, value in …`, which the interpreter does not find in sets",
                        "compare the value at the key: `collection[key] == value`",
                    ),
                    Some(("RefBrack", body)) if of_data(body) && index(body, "Number").is_some() => self.refuse(
                        node,
                        "a number as a key of `data`, which OPA also takes for the key with its digits and the fast engine does not",
                        "assign the list to a variable first, or write the key as a text",
                    ),
                    Some(("Call", body)) if name(body) == Some("glob.match") => self.glob(node, body),
                    Some(("NotExpr", body)) if wildcard(body) => self.refuse(
                        node,
                        "`_` within a negation, which OPA refuses as unsafe and both engines here take for \"none of them\"",
                        "write `every x in xs { not … }`, or negate a rule of its own",
                    ),
                    _ => {}
                }
                fields.iter().filter(|(key, _)| *key != "span").for_each(|(_, value)| self.node(value));
            }
            _ => {}
        }
    }

    fn glob(&mut self, node: &Json, body: &Json) {
        let pattern = body.get("params").and_then(|params| params.get(0));
        let pattern = pattern.and_then(|p| p.get("String").or_else(|| p.get("RawString"))?.get("value")?.as_str());
        match pattern {
            None => self.refuse(node, "glob.match with a pattern that is not a literal", "write the pattern in place"),
            Some(pattern) if [",}", "{,", ",,", "{}"].iter().any(|empty| pattern.contains(empty)) => self.refuse(
                node,
                "an empty alternative in the pattern of glob.match, which neither engine matches",
                "write two patterns",
            ),
            Some(_) => {}
        }
    }
}

/// Whether a reference begins at `data`.
fn of_data(body: &Json) -> bool {
    let mut refr = body.get("refr");
    while let Some((kind, inner)) = refr.and_then(tree::kind) {
        match kind {
            "Var" => return inner.get("value").and_then(Json::as_str) == Some("data"),
            "RefDot" | "RefBrack" => refr = inner.get("refr"),
            _ => return false,
        }
    }
    false
}

fn index<'j>(body: &'j Json, kind: &str) -> Option<&'j Json> {
    body.get("index")?.get(kind)
}

/// The name of a builtin of two parts.
fn name(body: &Json) -> Option<&'static str> {
    let dotted = body.get("fcn")?.get("RefDot")?;
    let root = dotted.get("refr")?.get("Var")?.get("value")?.as_str()?;
    let field = dotted.get("field")?.get(1)?.as_str()?;
    (root == "glob" && field == "match").then_some("glob.match")
}

/// Whether a key is `_`, outside comprehensions.
fn wildcard(node: &Json) -> bool {
    match node {
        Json::Array(items) => items.iter().any(wildcard),
        Json::Object(fields) => match kind(node) {
            Some((name, _)) if name.ends_with("Compr") => false,
            Some(("RefBrack", body))
                if body.get("index").and_then(|i| i.get("Var")?.get("value")?.as_str()) == Some("_") =>
            {
                true
            }
            _ => fields.values().any(wildcard),
        },
        _ => false,
    }
}

fn contains(node: &Json, kinds: &[&str]) -> bool {
    match node {
        Json::Array(items) => items.iter().any(|item| contains(item, kinds)),
        Json::Object(fields) => {
            fields.iter().any(|(key, value)| kinds.contains(&key.as_str()) || contains(value, kinds))
        }
        _ => false,
    }
}

fn line(node: &Json) -> u64 {
    let span = node.get("span").or_else(|| kind(node)?.1.get("span"));
    span.and_then(|span| span.get("line")?.as_u64()).unwrap_or(1)
}
