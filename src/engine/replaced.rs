//! Values of `with`, computed before their statement: `p with input as f(x)` is `y := f(x); p with input as y`, as OPA's compiler
//! rewrites it (`rewriteWithModifiers`). The interpreter of regorus 0.14 computes them where the old values of rules are being put away:
//! what such a value reads is undefined for the statement itself. Lines after the statement stay where they are.

use super::place::{edited, is_whole_body, written as span};
use serde_json::Value as Json;

/// The source with values of `with` assigned before their statements; `None` where there is nothing to move.
pub(super) fn written_out(source: &str, tree: &Json) -> Option<String> {
    let mut found = Found { source, edits: Vec::new(), names: 0 };
    found.node(tree.get("rules").unwrap_or(&Json::Null));
    if found.edits.is_empty() { None } else { Some(edited(source, found.edits)) }
}

struct Found<'s> {
    source: &'s str,
    /// Start, end and new text.
    edits: Vec<(usize, usize, String)>,
    names: usize,
}

impl Found<'_> {
    fn node(&mut self, node: &Json) {
        match node {
            Json::Array(items) => items.iter().for_each(|item| self.node(item)),
            Json::Object(fields) => {
                if let Some(mods) = fields.get("with_mods").and_then(Json::as_array).filter(|mods| !mods.is_empty())
                    && self.statement(node, mods)
                {
                    // what was moved is a text of its own now; the statement itself may have others
                    return fields.get("literal").into_iter().for_each(|literal| self.node(literal));
                }
                fields.values().for_each(|value| self.node(value));
            }
            _ => {}
        }
    }

    /// Moves the values of a statement; false where there are none to move.
    fn statement(&mut self, statement: &Json, mods: &[Json]) -> bool {
        let Some((start, end)) = span(statement) else { return false };
        let mut before = String::new();
        for with in mods {
            let Some((kind, body)) = with.get("as").and_then(|value| value.as_object()?.iter().next()) else {
                continue;
            };
            // a name may be that of a function, and other plain values read nothing
            let computed = matches!(kind.as_str(), "Call" | "Array" | "Set" | "Object") || kind.ends_with("Compr");
            let Some((_, to)) = span(body).filter(|_| computed) else { continue };
            let Some((from, text)) = self.value(with, to) else { continue };
            self.names += 1;
            let name = format!("with_{}__", self.names);
            before.push_str(&format!("{name} := {text}; "));
            self.edits.push((from, to, name));
        }
        if before.is_empty() {
            return false;
        }
        if is_whole_body(self.source, start) {
            before.insert_str(0, "{ ");
            self.edits.push((end, end, " }".to_owned()));
        }
        self.edits.push((start, start, before));
        true
    }
}

impl<'s> Found<'s> {
    /// The value of a `with` that ends at an offset, and where it begins: what stands behind `as`, for the places of objects that
    /// the parser tells begin within them.
    fn value(&self, with: &Json, end: usize) -> Option<(usize, &'s str)> {
        let (_, target) = span(with.get("refr")?.as_object()?.values().next()?)?;
        let value = self.source.get(target..)?.trim_start().strip_prefix("as")?.trim_start();
        let start = self.source.len() - value.len();
        Some((start, self.source.get(start..end)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(body: &str) -> Option<String> {
        let source = format!("package p\n\n{body}\n");
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), source.clone()).unwrap();
        let trees: Json = serde_json::from_str(&engine.get_ast_as_json().unwrap()).unwrap();
        let text = written_out(&source, &trees[0]["ast"])?;
        regorus::Engine::new().add_policy("p.rego".to_owned(), text.clone()).unwrap();
        Some(text.trim_start_matches("package p\n\n").trim_end().to_owned())
    }

    #[test]
    fn computed_values_come_first_and_names_stay() {
        assert_eq!(
            written(
                "r if {\n\tp == 1 with input as f({\"a\": 1}) with data.x as g with data.y as {\"k\": {\"l\": []}}\n}"
            )
            .as_deref(),
            Some(
                "r if {\n\twith_1__ := f({\"a\": 1}); with_2__ := {\"k\": {\"l\": []}}; p == 1 with input as with_1__ with data.x as g with data.y as with_2__\n}"
            )
        );
        assert_eq!(
            written("r if p with input as [1]").as_deref(),
            Some("r if { with_1__ := [1]; p with input as with_1__ }")
        );
        assert_eq!(written("r if p with input as 1"), None);
    }
}
