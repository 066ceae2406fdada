//! Reads the syntax trees that the engine prints (`Engine::get_ast_as_json`): places, references, heads and imports.

use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A reference: a variable, then keys.
pub struct Chain<'t> {
    /// The variable.
    pub root: &'t str,
    /// The keys.
    pub keys: Vec<Key<'t>>,
}

/// A key of a reference.
pub enum Key<'t> {
    /// `.name` or `["name"]`
    Constant(&'t str),
    /// Anything else in brackets.
    Computed(&'t Json),
}

impl<'t> Chain<'t> {
    /// All parts, where none is computed.
    #[must_use]
    pub fn constant(&self) -> Option<Vec<&'t str>> {
        let keys = self.keys.iter().map(|key| if let Key::Constant(name) = key { Some(*name) } else { None });
        std::iter::once(Some(self.root)).chain(keys).collect()
    }

    /// The leading constant keys.
    #[must_use]
    pub fn leading(&self) -> Vec<&'t str> {
        self.keys.iter().map_while(|key| if let Key::Constant(name) = key { Some(*name) } else { None }).collect()
    }
}

/// The kind of an expression and what it is made of.
#[must_use]
pub fn kind(node: &Json) -> Option<(&str, &Json)> {
    let fields = node.as_object().filter(|fields| fields.len() == 1)?;
    fields.iter().next().map(|(name, body)| (name.as_str(), body))
}

/// Reads a node as a reference that begins with a variable.
#[must_use]
pub fn chain(node: &Json) -> Option<Chain<'_>> {
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
            inner.keys.push(literal(Some(index)).map_or(Key::Computed(index), Key::Constant));
            Some(inner)
        }
        _ => None,
    }
}

/// The reference in the head of a rule.
#[must_use]
pub fn head_chain(rule: &Json) -> Option<Chain<'_>> {
    let refr = match rule.get("Default") {
        Some(default) => default.get("refr"),
        None => rule.get("Spec")?.get("head")?.as_object()?.values().next()?.get("refr"),
    };
    chain(refr?)
}

/// The text of a literal string.
#[must_use]
pub fn literal(node: Option<&Json>) -> Option<&str> {
    let node = node?;
    node.get("String").or_else(|| node.get("RawString"))?.get("value")?.as_str()
}

/// The imports of a printed module: full path by alias.
#[must_use]
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

/// The span of a node, or of what stands in it where it only names its kind.
fn span_of(node: &Json) -> Option<&Json> {
    node.get("span").or_else(|| node.as_object()?.values().next()?.get("span"))
}

fn number(span: &Json, key: &str) -> Option<usize> {
    span.get(key).and_then(Json::as_u64).and_then(|n| usize::try_from(n).ok())
}

/// The variable that a reference begins with; other nodes themselves.
pub(super) fn first(mut node: &Json) -> &Json {
    while let Some(refr) = ["RefDot", "RefBrack"].iter().find_map(|kind| node.get(*kind)?.get("refr")) {
        node = refr;
    }
    node
}

/// Where a node begins and ends in its source, in bytes. A reference begins with its variable.
#[must_use]
pub fn bytes(node: &Json) -> Option<(usize, usize)> {
    let start = number(span_of(first(node))?, "start")?;
    Some((start, number(span_of(node)?, "end")?.max(start)))
}

/// Line and column (in characters) of a node, both from 1.
#[must_use]
pub fn position(contents: &str, node: &Json) -> (u64, u64) {
    let Some(span) = span_of(first(node)) else { return (1, 1) };
    let line = number(span, "line").unwrap_or(1);
    let mut start = number(span, "start").unwrap_or_default();
    // the engine's span of a literal over several lines has the line of the brace and begins behind it
    if matches!(kind(node), Some(("Object" | "Set", _))) {
        start = contents.get(..=start).and_then(|text| text.rfind('{')).unwrap_or(start);
    }
    let before = contents.get(..start).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u64::try_from(line).unwrap_or(1), u64::try_from(column).unwrap_or(1))
}

/// The line of a node, from 1.
#[must_use]
pub fn line(node: &Json) -> u64 {
    span_of(node).and_then(|s| s.get("line")).and_then(Json::as_u64).unwrap_or(1)
}

/// Whether a query loops itself: `some … in`, `some x`, `list[_]`. Comprehensions, `every` and calls do not count.
#[must_use]
pub fn loops(node: &Json) -> bool {
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
