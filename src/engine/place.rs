//! Where the nodes of a syntax tree stand in the source. The engine's spans of texts leave their quotes out, and so do the spans of
//! everything that begins or ends with a text: `x == "a"` would end before its last quote.

use serde_json::Value as Json;

/// A source with parts of it replaced: start and end in bytes, and the new text.
pub(super) fn edited(source: &str, mut edits: Vec<(usize, usize, String)>) -> String {
    edits.sort();
    let mut text = source.to_owned();
    // from the end, so that earlier places stay right
    for (start, end, new) in edits.into_iter().rev() {
        text.replace_range(start..end, &new);
    }
    text
}

/// Whether what begins there is the whole body of a rule without braces: an `if` stands before it.
pub(super) fn is_whole_body(source: &str, start: usize) -> bool {
    let lines = source.get(..start).unwrap_or_default().lines();
    let last = lines.rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let before = last.and_then(|line| line.strip_suffix("if"));
    before.is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t', ')', ']']))
}

/// The place of a node in bytes, with its quotes: an object with a `span`, or an expression, which is an object of its kind.
pub(super) fn place(node: &Json) -> Option<(usize, usize)> {
    let fields = node.as_object()?;
    let span = fields.get("span").or_else(|| fields.values().next().filter(|_| fields.len() == 1)?.get("span"));
    let (start, end) = offsets(span?)?;
    Some((start - usize::from(has_text(node, "start", start)), end + usize::from(has_text(node, "end", end))))
}

/// The span of a node as the engine tells it, in bytes.
pub(super) fn written(node: &Json) -> Option<(usize, usize)> {
    offsets(node.get("span")?)
}

fn offsets(span: &Json) -> Option<(usize, usize)> {
    let offset = |key: &str| span.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
    Some((offset("start")?, offset("end")?))
}

/// Whether a text within a node begins or ends there. Only the first quote of a source could be at 0, and packages come first.
fn has_text(node: &Json, key: &str, at: usize) -> bool {
    match node {
        Json::Array(items) => items.iter().any(|item| has_text(item, key, at)),
        Json::Object(fields) => fields.iter().any(|(name, value)| {
            let is_text = at > 0 && matches!(name.as_str(), "String" | "RawString");
            let here = || value.get("span").and_then(|s| s.get(key)?.as_u64()).and_then(|n| usize::try_from(n).ok());
            (is_text && here() == Some(at)) || (name != "span" && has_text(value, key, at))
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_body_stands_behind_an_if() {
        for (before, whole) in [
            ("r if ", true),
            ("r := 1\n\tif ", true),
            ("f(x)if ", true),
            ("r if\n\t# why\n\t", true),
            ("} else := 2 if ", true),
            ("r if {\n\t", false),
            ("r if {\n\tnotif\n\t", false),
            ("r if {\n\tx == \"if\"\n\t", false),
        ] {
            let source = format!("package p\n\n{before}input.x");
            assert_eq!(is_whole_body(&source, source.len() - "input.x".len()), whole, "{before:?}");
        }
    }
}
