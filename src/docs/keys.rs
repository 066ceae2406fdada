//! Pages of keys, from the JSON Schemas: one table for each kind of mapping, in the order in which they are met.

use super::cell;
use super::schema::Document;
use crate::policytest::schema::CaseFile;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The page of `seawall.yaml`.
#[must_use]
pub fn configuration() -> String {
    format!(
        "Given by `--config FILE` or `SEAWALL_CONFIG`. Unknown keys and wrong values are errors with their line. What the settings are \
         for: [modes](../modes.md#configuration), [exemptions](../exemptions.md).\n\n{}",
        tables(Document::Configuration)
    )
}

/// The page of METADATA.
#[must_use]
pub fn metadata() -> String {
    format!(
        "The comment block `# METADATA` above the package line of `policy.rego`, as Open Policy Agent defines it. How a policy is \
         written: [policy format](../policy-format.md).\n\n{}",
        tables(Document::Metadata)
    )
}

/// The page of case files.
#[must_use]
pub fn cases() -> String {
    let files = [
        ("input.yaml", CaseFile::Input),
        ("context.yaml", CaseFile::Context),
        ("expected.yaml", CaseFile::Expected),
        ("cluster.yaml", CaseFile::Cluster),
    ];
    let mut page = String::from(
        "A case of a policy is a folder `cases/<name>/` beside it: a request, what is around it, and what the policy says to it. \
         How they are run: [policy format](../policy-format.md#cases).\n",
    );
    for (name, file) in files {
        let _ = write!(page, "\n## `{name}`\n\n{}", tables(Document::Case(file)));
    }
    page
}

/// The tables of a document.
fn tables(document: Document) -> String {
    let root = document.schema();
    let mut page = Tables { root: &root, text: String::new(), met: BTreeSet::new(), todo: Vec::new() };
    page.top(&root);
    while let Some(name) = page.todo.pop() {
        let definition = page.definition(&name).clone();
        let _ = write!(page.text, "\n### {name}\n\n");
        page.describe(&definition);
        page.table(&definition);
    }
    page.text
}

struct Tables<'s> {
    root: &'s Value,
    text: String,
    /// Definitions that have a table, or will.
    met: BTreeSet<String>,
    /// The next last.
    todo: Vec<String>,
}

impl Tables<'_> {
    /// The document itself: a mapping, or one of several forms.
    fn top(&mut self, schema: &Value) {
        self.describe(schema);
        if schema.get("properties").is_some() && schema.get("if").is_none() {
            return self.table(schema);
        }
        let mut forms = Vec::new();
        forms_of(schema, &mut forms);
        let words: Vec<String> = forms.iter().map(|form| self.kind(form)).collect();
        let _ = writeln!(self.text, "One of: {}.", words.join("; "));
        for form in forms.into_iter().filter(|form| form.get("properties").is_some()) {
            self.text.push('\n');
            self.table(form);
        }
    }

    fn describe(&mut self, schema: &Value) {
        if let Some(text) = schema.get("description").and_then(Value::as_str) {
            let _ = write!(self.text, "{text}\n\n");
        }
    }

    fn table(&mut self, schema: &Value) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let required: BTreeSet<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        self.text.push_str("| key | value | left out | meaning |\n| --- | --- | --- | --- |\n");
        let before = self.todo.len();
        for (key, property) in properties {
            let kind = self.kind(property);
            let left_out = if required.contains(key.as_str()) { "required".to_owned() } else { default(property) };
            let meaning = cell(self.meaning(property));
            let _ = writeln!(self.text, "| `{key}` | {kind} | {left_out} | {meaning} |");
        }
        // the first that was met comes next
        if let Some(new) = self.todo.get_mut(before..) {
            new.reverse();
        }
    }

    /// The description of a key, or of what it refers to.
    fn meaning<'v>(&'v self, property: &'v Value) -> &'v str {
        let own = property.get("description").and_then(Value::as_str);
        let referred = || reference(property).and_then(|name| self.definition(name).get("description")?.as_str());
        own.or_else(referred).unwrap_or_default()
    }

    fn definition(&self, name: &str) -> &Value {
        self.root.get("definitions").and_then(|all| all.get(name)).unwrap_or(&Value::Null)
    }

    /// What may stand there, in words.
    fn kind(&mut self, schema: &Value) -> String {
        if let Some(name) = reference(schema) {
            let definition = self.definition(name).clone();
            if definition.get("properties").is_none() {
                return self.kind(&definition);
            }
            if self.met.insert(name.to_owned()) {
                self.todo.push(name.to_owned());
            }
            return format!("[{name}](#{})", name.to_lowercase());
        }
        for key in ["allOf", "anyOf"] {
            let parts = schema
                .get(key)
                .filter(|_| schema.get("type").is_none())
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let parts: Vec<String> = parts
                .filter(|part| part["type"] != "null")
                .map(|part| self.kind(part))
                .filter(|k| !k.is_empty())
                .collect();
            if !parts.is_empty() {
                return parts.join(" or ");
            }
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let words: Vec<String> = words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
            return words.join(", ");
        }
        let types = schema.get("type");
        let word = types.and_then(Value::as_array).map_or(types, |all| all.iter().find(|t| *t != "null"));
        match word.and_then(Value::as_str) {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => match schema.get("minimum").and_then(Value::as_u64).filter(|least| *least > 0) {
                Some(least) => format!("number, at least {least}"),
                None => "number".to_owned(),
            },
            Some("array") => {
                let items = schema.get("items").cloned().unwrap_or_default();
                format!("list of {}", self.kind(&items))
            }
            Some("object") => self.mapping(schema),
            _ if schema == &Value::Bool(true) || schema.as_object().is_some_and(Map::is_empty) => "anything".to_owned(),
            _ if schema.get("properties").is_some() => String::new(),
            _ => "anything".to_owned(),
        }
    }

    fn mapping(&mut self, schema: &Value) -> String {
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let keys: Vec<String> = properties.keys().map(|key| format!("`{key}`")).collect();
            return match properties.values().next().filter(|first| properties.values().all(|value| value == *first)) {
                Some(each) => format!("mapping from {} to {}", keys.join(", "), self.kind(each)),
                None => format!("mapping with {}", keys.join(", ")),
            };
        }
        match schema.get("additionalProperties") {
            Some(each @ Value::Object(_)) => format!("mapping from text to {}", self.kind(each)),
            _ => "mapping".to_owned(),
        }
    }
}

/// The definition that a schema refers to, alone or with a description of its own.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref");
    let alone = || match schema.get("allOf")?.as_array()?.as_slice() {
        [only] => only.get("$ref"),
        _ => None,
    };
    Some(direct.or_else(alone)?.as_str()?.rsplit_once('/')?.1)
}

/// The forms of a document that is not one mapping.
fn forms_of<'s>(schema: &'s Value, forms: &mut Vec<&'s Value>) {
    let parts = ["oneOf", "anyOf"].iter().filter_map(|key| schema.get(*key)?.as_array()).flatten();
    parts.for_each(|part| forms_of(part, forms));
    ["then", "else"].iter().filter_map(|key| schema.get(*key)).for_each(|part| forms_of(part, forms));
    let whole = schema.get("$ref").is_some() || schema.get("type").is_some();
    let is_choice = schema.get("if").is_some() || schema.get("oneOf").is_some() || schema.get("anyOf").is_some();
    if whole && !is_choice {
        forms.push(schema);
    } else if let Some(first) = schema.get("allOf").and_then(Value::as_array).and_then(|parts| parts.first()) {
        forms_of(first, forms);
    }
}

/// What holds where a key is left out.
fn default(property: &Value) -> String {
    match property.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(map)) if map.is_empty() => "nothing".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "nothing".to_owned(),
        Some(Value::String(text)) if text.is_empty() => String::new(),
        Some(Value::String(text)) => format!("`{text}`"),
        // a group of keys: each has its own
        Some(Value::Object(_)) => "see there".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_what_may_stand_there_and_what_holds_without_them() {
        let page = configuration();
        for row in [
            "| `mode` | `off`, `audit`, `warn`, `enforce` | `warn` | Mode of unlabelled namespaces and cluster-scoped objects. |",
            "| `policies` | mapping from text to [PolicyOverride](#policyoverride) | nothing | Overrides by policy id. |",
            "| `actions` | mapping from `tier-0`, `tier-1`, `tier-2`, `tier-3` to `Off`, `Audit`, `Warn`, `Deny` |",
            "| `until` | text | required | Last day, `YYYY-MM-DD`, UTC. |",
            "| `reviewMilliseconds` | number, at least 50 | `1000` |",
        ] {
            assert!(page.contains(row), "{row} is not in\n{page}");
        }
    }

    #[test]
    fn every_table_that_is_linked_is_there() {
        for page in [configuration(), metadata(), cases()] {
            for link in page.split("](#").skip(1) {
                let anchor = link.split(')').next().unwrap();
                assert!(page.to_lowercase().contains(&format!("### {anchor}\n")), "{anchor} is not in\n{page}");
            }
        }
    }
}
