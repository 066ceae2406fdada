//! JSON as the YAML that people write: block style, lists at the indent of their key, quotes only where needed.
//!
//! For showing, so the order of keys is kept. What is written reads back as the same value (a test beside
//! the parser, `check::yaml`).

use serde_json::{Map, Value};

/// How far lines are indented, in spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indent {
    /// A mapping under its key.
    pub mapping: usize,
    /// The dashes of a list under its key.
    pub list: usize,
}

impl Default for Indent {
    fn default() -> Self {
        Self { mapping: 2, list: 0 }
    }
}

/// The YAML of a value, with a line break at the end.
#[must_use]
pub fn to_yaml(value: &Value) -> String {
    to_yaml_with(value, Indent::default())
}

/// The YAML of a value in the indentation of a file.
#[must_use]
pub fn to_yaml_with(value: &Value, indent: Indent) -> String {
    let mut out = Writer { indent, out: String::new() };
    match value {
        Value::Object(map) if !map.is_empty() => out.mapping(map, 0),
        Value::Array(items) if !items.is_empty() => out.list(items, 0),
        scalar => {
            inline(scalar, &mut out.out);
            out.out.push('\n');
        }
    }
    out.out
}

/// The YAML of a value on one line, with brackets, as it can stand inside other brackets.
#[must_use]
pub fn to_flow(value: &Value) -> String {
    let mut out = String::new();
    flow(value, &mut out);
    out
}

fn flow(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            out.push('{');
            for (index, (key, value)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow_text(key, out);
                out.push_str(": ");
                flow(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                flow(item, out);
            }
            out.push(']');
        }
        Value::String(string) => flow_text(string, out),
        other => out.push_str(&other.to_string()),
    }
}

/// Inside brackets fewer characters mean themselves.
fn flow_text(string: &str, out: &mut String) {
    let simple = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if is_plain(string) && string.chars().all(simple) {
        out.push_str(string);
    } else {
        out.push_str(&quoted(string));
    }
}

/// Writes in block style.
struct Writer {
    indent: Indent,
    out: String,
}

impl Writer {
    fn start_line(&mut self, index: usize, indent: usize) {
        // the first key of a list's element stands behind its dash
        if index > 0 || self.out.is_empty() || self.out.ends_with('\n') {
            self.out.push_str(&" ".repeat(indent));
        }
    }

    fn mapping(&mut self, map: &Map<String, Value>, indent: usize) {
        for (index, (key, value)) in map.iter().enumerate() {
            self.start_line(index, indent);
            text(key, &mut self.out);
            self.out.push(':');
            match value {
                Value::Object(map) if !map.is_empty() => {
                    self.out.push('\n');
                    self.mapping(map, indent + self.indent.mapping);
                }
                Value::Array(items) if !items.is_empty() => {
                    self.out.push('\n');
                    self.list(items, indent + self.indent.list);
                }
                Value::String(lines) if is_block(lines) => block(lines, indent + self.indent.mapping, &mut self.out),
                scalar => {
                    self.out.push(' ');
                    inline(scalar, &mut self.out);
                    self.out.push('\n');
                }
            }
        }
    }

    fn list(&mut self, items: &[Value], indent: usize) {
        for (index, item) in items.iter().enumerate() {
            self.start_line(index, indent);
            self.out.push_str("- ");
            match item {
                Value::Object(map) if !map.is_empty() => self.mapping(map, indent + 2),
                Value::Array(items) if !items.is_empty() => self.list(items, indent + 2),
                scalar => {
                    inline(scalar, &mut self.out);
                    self.out.push('\n');
                }
            }
        }
    }
}

/// A scalar, or an empty collection, in block style.
pub(crate) fn inline(value: &Value, out: &mut String) {
    match value {
        Value::String(string) => text(string, out),
        other => out.push_str(&other.to_string()),
    }
}

fn text(string: &str, out: &mut String) {
    if is_plain(string) {
        out.push_str(string);
    } else {
        out.push_str(&quoted(string));
    }
}

/// JSON's quotes are YAML's double quotes, once what only YAML takes as a line break or refuses is escaped.
pub(crate) fn quoted(string: &str) -> String {
    let mut out = String::new();
    for c in Value::from(string).to_string().chars() {
        let code = u32::from(c);
        if matches!(code, 0x7F..=0x9F | 0x2028 | 0x2029 | 0xFEFF | 0xFFFE | 0xFFFF) {
            out.push_str(&format!("\\u{code:04x}"));
        } else if code >= 0x1_0000 && code & 0xFFFE == 0xFFFE {
            out.push_str(&format!("\\U{code:08x}"));
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether text means itself without quotes, decided narrowly: begins with a letter, `/` or `.` and holds nothing that YAML
/// could read otherwise, or is a quantity such as `10Gi` or a version such as `v1.2.3`.
fn is_plain(string: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '%' | '+' | '(' | ')' | '=');
    let first = string.chars().next();
    let begins = first.is_some_and(|c| c.is_ascii_alphanumeric() || c == '/');
    let mut previous = ' ';
    let inside = string.chars().all(|c| {
        let fits = word(c) || matches!(c, ',' | ';' | '\'' | '"' | '$') || c == ':' || c == ' ' && previous != ':';
        previous = c;
        fits
    });
    begins && inside && !string.ends_with([' ', ':']) && !is_other_scalar(string)
}

/// Whether YAML 1.1 reads the text as a boolean, null or number, or comes near to one.
fn is_other_scalar(string: &str) -> bool {
    let lower = string.to_ascii_lowercase();
    let word =
        matches!(lower.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null" | "nan" | "inf");
    let digits = string.starts_with(|c: char| c.is_ascii_digit());
    let numberlike =
        |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | '_' | '+' | '-' | 'x' | 'o' | ':' | ' ' | 't');
    word || digits && lower.chars().all(numberlike)
}

/// Whether text of several lines can be a literal block as it is.
fn is_block(string: &str) -> bool {
    let printable =
        |c: char| c == '\n' || c >= ' ' && !matches!(u32::from(c), 0x7F..=0x9F | 0x2028 | 0x2029 | 0xFEFF | 0xFFFE..);
    let Some(lines) = string.strip_suffix('\n').filter(|lines| lines.contains('\n')) else { return false };
    string.chars().all(printable)
        && !lines.starts_with([' ', '\n'])
        && !lines.ends_with('\n')
        && lines.lines().all(|line| !line.ends_with(' '))
}

fn block(string: &str, indent: usize, out: &mut String) {
    out.push_str(" |\n");
    for line in string.lines() {
        if !line.is_empty() {
            out.push_str(&" ".repeat(indent));
        }
        out.push_str(line);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_looks_as_people_write_it() {
        let value = json!({
            "apiVersion": "apps/v1",
            "metadata": {"name": "db", "labels": {}, "annotations": {"a": "yes", "b": "1", "when": "2020-01-01"}},
            "spec": {
                "image": "postgres:16",
                "args": ["-c", "ssl=on", "a: b", ""],
                "list": [{"name": "a", "ports": [{"port": 1}]}, [1, 2], []],
                "config": "line one\n  line two\n",
                "size": "10Gi",
            },
        });
        insta::assert_snapshot!(to_yaml(&value), @r#"
        apiVersion: apps/v1
        metadata:
          name: db
          labels: {}
          annotations:
            a: "yes"
            b: "1"
            when: "2020-01-01"
        spec:
          image: postgres:16
          args:
          - "-c"
          - ssl=on
          - "a: b"
          - ""
          list:
          - name: a
            ports:
            - port: 1
          - - 1
            - 2
          - []
          config: |
            line one
              line two
          size: 10Gi
        "#);
    }
}
