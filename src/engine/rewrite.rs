//! Rewrites what the RVM of regorus 0.14 compiles wrongly, for the RVM only: in a body, `x := e` goes on with an undefined
//! `x` where `e` is undefined, so `7 if { x := input.missing }` would give 7. `some x; x = e` means the same in Rego and
//! is compiled rightly. Positions of lines stay as they are.

use serde_json::Value as Json;

/// The source of one module with its assignments rewritten. `tree` is its syntax tree.
///
/// # Errors
/// The line of an assignment that is the whole body of a rule without braces: there is no room for a second statement.
pub fn assignments(source: &str, tree: &Json) -> Result<String, u64> {
    let mut edits = Vec::new();
    collect(source, tree, &mut edits);
    // from the end, so that earlier offsets stay right
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.name_at));
    edits.dedup_by_key(|edit| edit.name_at);
    let mut text = source.to_owned();
    for edit in edits {
        let before = source.get(..edit.name_at).unwrap_or_default().trim_end();
        if before.ends_with("if") {
            return Err(u64::try_from(before.lines().count()).unwrap_or(1));
        }
        text.replace_range(edit.operator_at..edit.operator_at + 2, " =");
        text.insert_str(edit.name_at, &format!("some {}; ", edit.name));
    }
    Ok(text)
}

/// One assignment.
struct Edit {
    name: String,
    /// Offset of the variable.
    name_at: usize,
    /// Offset of `:=`.
    operator_at: usize,
}

fn collect(source: &str, node: &Json, edits: &mut Vec<Edit>) {
    match node {
        Json::Array(items) => items.iter().for_each(|item| collect(source, item, edits)),
        Json::Object(fields) => {
            edits.extend(fields.get("literal").and_then(|literal| edit(source, literal)));
            fields.values().for_each(|value| collect(source, value, edits));
        }
        _ => {}
    }
}

/// The edit of a statement `name := …`.
fn edit(source: &str, literal: &Json) -> Option<Edit> {
    let assignment = literal.get("Expr")?.get("expr")?.get("AssignExpr")?;
    if assignment.get("op")?.as_str()? != "ColEq" {
        return None;
    }
    let variable = assignment.get("lhs")?.get("Var")?;
    let name = variable.get("value")?.as_str()?.to_owned();
    let offset = |key: &str| variable.get("span")?.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
    let (name_at, end) = (offset("start")?, offset("end")?);
    let rest = source.get(end..)?;
    let operator_at = end + (rest.len() - rest.trim_start().len());
    let fits = name != "_" && source.get(name_at..end) == Some(&name) && source.get(operator_at..)?.starts_with(":=");
    fits.then_some(Edit { name, name_at, operator_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(source: &str) -> Result<String, u64> {
        let mut engine = regorus::Engine::new();
        engine.add_policy("p.rego".to_owned(), source.to_owned()).unwrap();
        let trees: Json = serde_json::from_str(&engine.get_ast_as_json().unwrap()).unwrap();
        assignments(source, &trees[0]["ast"])
    }

    #[test]
    fn assignments_in_bodies_are_rewritten_and_heads_are_not() {
        let source =
            "package p\n\nf(x) := y if {\n\ty := x.a\n\tz := [w | some v in x; w := v.b]\n\tz != []\n} else := 2\n";
        let wanted = "package p\n\nf(x) := y if {\n\tsome y; y  = x.a\n\tsome z; z  = [w | some v in x; some w; w  = v.b]\n\tz != []\n} else := 2\n";
        assert_eq!(rewritten(source).as_deref(), Ok(wanted));
        assert_eq!(rewritten("package p\n\nr contains x if x := input.x\n"), Err(3));
    }
}
