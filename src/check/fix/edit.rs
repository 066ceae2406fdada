//! Makes a document hold another value by changing as few bytes as possible: comments, quotes, order and layout stay.
//!
//! The two values are walked together beside the [`layout`]; where they differ, bytes are inserted, replaced or removed.
//! What cannot be changed without touching more than is meant is an error. The result is read again and compared, so a
//! mistake in here leaves a file alone; it never writes a wrong one.

use super::layout::{self, Field, Piece, Shape, column, line_start};
use crate::check::document::{Chunk, looks_like_json, read_one};
use crate::check::yaml::Budget;
use crate::report::yaml::{Indent, inline, quoted, to_flow, to_yaml_with};
use saphyr_parser::ScalarStyle;
use serde_json::{Map, Value};

/// Why a document is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The reader had to help the parser: tabs, odd indentation.
    #[error("its white space is unusual (tabs, or text indented too little)")]
    Layout,
    /// Several values without a line of `---`.
    #[error("it does not hold exactly one object between `---` lines")]
    Several,
    /// An anchor, and so whatever repeats it, would change.
    #[error("an anchor, an alias or a merge (`<<`) stands where the change would be; write it out")]
    Anchor,
    /// A tag.
    #[error("a tag (`!`) stands where the change would be")]
    Tag,
    /// The place is written in a way that the editor does not know.
    #[error("{0} cannot be changed without touching more than is meant")]
    Place(&'static str),
    /// The comment would go with what is removed.
    #[error("a comment would be lost")]
    Comment,
    /// What was edited does not read back as what was meant.
    #[error("the edited text would not mean what is meant")]
    Differs,
}

/// The text of a document with another value, as alike as can be.
///
/// # Errors
/// When that is not safe.
pub(super) fn edit(chunk: &Chunk<'_>, before: &Value, after: &Value) -> Result<String, EditError> {
    let text = chunk.text;
    let edited = if looks_like_json(text) && text.trim_start().starts_with('{') && is_json(text) {
        json(text, after)
    } else {
        yaml(text, before, after)?
    };
    // its own judge: what was written is read as everything else is
    let again = Chunk::new(&edited, chunk.line);
    match read_one(&again, Budget::default()) {
        Some(node) if node.value == *after => Ok(edited),
        _ => Err(EditError::Differs),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// JSON has no comments: it is written anew, in its own indentation.
fn json(text: &str, value: &Value) -> String {
    let head = text.len() - text.trim_start().len();
    let body = text.trim();
    let tail = text.get(head + body.len()..).unwrap_or_default();
    let written = match body.split_once('\n') {
        None if body.contains("\": ") => one_line(value),
        None => value.to_string(),
        Some((_, rest)) => {
            let indent = rest.get(..rest.len() - rest.trim_start_matches([' ', '\t']).len()).unwrap_or_default();
            pretty(value, if indent.is_empty() { "  " } else { indent })
        }
    };
    let written = if text.contains("\r\n") { written.replace('\n', "\r\n") } else { written };
    format!("{}{written}{tail}", text.get(..head).unwrap_or_default())
}

fn pretty(value: &Value, indent: &str) -> String {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // a Value always can be written; if not, the comparison says so
    if value.serialize(&mut serializer).is_err() {
        out.clear();
    }
    String::from_utf8(out).unwrap_or_default()
}

/// JSON on one line with a space behind colons and commas.
fn one_line(value: &Value) -> String {
    let join = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), one_line(value)));
            format!("{{{}}}", join(fields.collect()))
        }
        Value::Array(items) => format!("[{}]", join(items.iter().map(one_line).collect())),
        scalar => scalar.to_string(),
    }
}

fn yaml(text: &str, before: &Value, after: &Value) -> Result<String, EditError> {
    let root = layout::read(text).ok_or(EditError::Layout)?;
    let eol = if text.split_inclusive('\n').next().is_some_and(|line| line.ends_with("\r\n")) { "\r\n" } else { "\n" };
    let mut edits = Edits { text, eol, indent: layout::indent(text, &root), list: Vec::new() };
    edits.value(&root, before, after, Parent::Root)?;
    edits.apply()
}

/// What a value stands in.
#[derive(Clone, Copy)]
enum Parent<'p> {
    Root,
    /// A field; is its mapping written in brackets?
    Field(&'p Field, bool),
    Item,
}

/// Bytes to replace.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

struct Edits<'t> {
    text: &'t str,
    eol: &'static str,
    indent: Indent,
    list: Vec<Edit>,
}

impl Edits<'_> {
    fn value(&mut self, piece: &Piece, before: &Value, after: &Value, parent: Parent<'_>) -> Result<(), EditError> {
        if before == after {
            return Ok(());
        }
        if piece.is_anchored || matches!(piece.shape, Shape::Alias) {
            return Err(EditError::Anchor);
        }
        if piece.is_tagged {
            return Err(EditError::Tag);
        }
        match (&piece.shape, before, after) {
            (Shape::Map(fields), Value::Object(old), Value::Object(new)) if !fields.is_empty() && !new.is_empty() => {
                self.mapping(piece, fields, old, new)
            }
            (Shape::List(items), Value::Array(old), Value::Array(new)) if !items.is_empty() && !new.is_empty() => {
                self.elements(piece, items, old, new)
            }
            _ => self.replace(piece, after, parent),
        }
    }

    fn mapping(
        &mut self,
        piece: &Piece,
        fields: &[Field],
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Result<(), EditError> {
        for field in fields {
            // a merge or an alias as a key: what a key written behind it means depends on more than this mapping
            let key = field.key.as_ref().ok_or(EditError::Anchor)?;
            let old = before.get(key).ok_or(EditError::Anchor)?;
            match after.get(key) {
                Some(new) => self.value(&field.value, old, new, Parent::Field(field, piece.in_brackets))?,
                None if piece.in_brackets => return Err(EditError::Place("a field in brackets")),
                None => self.remove(field.start, field.value.end)?,
            }
        }
        let new: Map<String, Value> = after
            .iter()
            .filter(|(key, _)| !before.contains_key(*key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let (Some(first), Some(last)) = (fields.first(), fields.last()) else { return Ok(()) };
        if new.is_empty() {
            return Ok(());
        }
        if piece.in_brackets {
            let fields = to_flow(&Value::Object(new));
            let fields = fields.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
            return self.behind_in_brackets(&last.value, fields);
        }
        let block = to_yaml_with(&Value::Object(new), self.indent);
        self.lines_behind(last.value.end, &block, column(self.text, first.start))
    }

    fn elements(&mut self, piece: &Piece, items: &[Piece], before: &[Value], after: &[Value]) -> Result<(), EditError> {
        // what is the same at the end stays; the rest goes in pairs
        let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(old, new)| old == new).count();
        let tail = if before.len() == after.len() { 0 } else { tail };
        let (old, new) = (before.len() - tail, after.len() - tail);
        let pairs = items.iter().zip(before).zip(after).take(old.min(new));
        for ((item, old), new) in pairs {
            if old.get("name") != new.get("name") {
                return Err(EditError::Place("the order of a list"));
            }
            self.value(item, old, new, Parent::Item)?;
        }
        for item in items.iter().take(old).skip(new) {
            if piece.in_brackets {
                return Err(EditError::Place("an element in brackets"));
            }
            self.remove(self.dash(item)?, item.end)?;
        }
        let added = after.get(old..new).unwrap_or_default();
        if added.is_empty() {
            return Ok(());
        }
        let last = old.checked_sub(1).and_then(|last| items.get(last));
        let last = last.ok_or(EditError::Place("the first element of a list"))?;
        if piece.in_brackets {
            let list = to_flow(&Value::from(added.to_vec()));
            let list = list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or_default();
            return self.behind_in_brackets(last, list);
        }
        let block = to_yaml_with(&Value::from(added.to_vec()), self.indent);
        self.lines_behind(last.end, &block, column(self.text, self.dash(last)?))
    }

    /// The byte of the dash of a list's element.
    fn dash(&self, item: &Piece) -> Result<usize, EditError> {
        layout::dash(self.text, item).ok_or(EditError::Place("an element of a list"))
    }

    /// Text behind the last value in brackets.
    fn behind_in_brackets(&mut self, last: &Piece, text: &str) -> Result<(), EditError> {
        if last.start == last.end {
            return Err(EditError::Place("a value that is left out in brackets"));
        }
        self.push(last.end, last.end, format!(", {text}"));
        Ok(())
    }

    /// Whole lines behind the line in which a value ends, so behind its comment too.
    fn lines_behind(&mut self, end: usize, block: &str, column: usize) -> Result<(), EditError> {
        let rest = self.text.get(end..).ok_or(EditError::Differs)?;
        let at_start = end > 0 && self.text.get(..end).is_some_and(|before| before.ends_with('\n'));
        let line_end = if at_start { Some(end) } else { rest.find('\n').map(|at| end + at + 1) };
        let mut text = String::new();
        for line in block.lines() {
            if !line.is_empty() {
                text.push_str(&" ".repeat(column));
                text.push_str(line);
            }
            text.push_str(self.eol);
        }
        match line_end {
            Some(at) => self.push(at, at, text),
            // the last line has no line break, and gets none
            None => {
                // but for a block of text, to which it may belong
                let cut = text.strip_suffix(self.eol).filter(|_| !block.contains(" |\n"));
                let text = cut.unwrap_or(&text);
                self.push(self.text.len(), self.text.len(), format!("{}{text}", self.eol));
            }
        }
        Ok(())
    }

    /// Removes the lines from a key or a dash to the end of its value.
    fn remove(&mut self, start: usize, end: usize) -> Result<(), EditError> {
        let line = line_start(self.text, start);
        let indentation = self.text.get(line..start).unwrap_or_default();
        if !indentation.bytes().all(|byte| byte == b' ') {
            return Err(EditError::Place("the first field of a list's element"));
        }
        let rest = self.text.get(end..).unwrap_or_default();
        let ends_line = self.text.get(..end).is_some_and(|before| before.ends_with('\n'));
        let end = if ends_line { end } else { end + rest.find('\n').map_or(rest.len(), |at| at + 1) };
        self.without_comment(line, end)?;
        self.push(line, end, String::new());
        Ok(())
    }

    /// Writes a value in the place of another one.
    fn replace(&mut self, piece: &Piece, after: &Value, parent: Parent<'_>) -> Result<(), EditError> {
        let one_token = match &piece.shape {
            Shape::Scalar(ScalarStyle::Literal | ScalarStyle::Folded) => {
                return Err(EditError::Place("a block of text"));
            }
            Shape::Scalar(_) => true,
            Shape::List(items) => items.is_empty(),
            Shape::Map(fields) => fields.is_empty(),
            Shape::Alias => return Err(EditError::Anchor),
        };
        if !one_token && !piece.in_brackets {
            return Err(EditError::Place("a list or mapping that becomes something else"));
        }
        if !matches!(piece.shape, Shape::Scalar(_)) {
            self.without_comment(piece.start, piece.end)?;
        }
        let is_collection = match after {
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        match parent {
            Parent::Field(field, false) if is_collection => self.block_for(piece, field, after),
            Parent::Field(field, _) if piece.start == piece.end => {
                let colon = field.colon.ok_or(EditError::Place("a key without a colon behind it"))?;
                self.push(colon, colon, format!(" {}", self.token(piece, after)));
                Ok(())
            }
            Parent::Root => Err(EditError::Place("the document as a whole")),
            Parent::Item if piece.start == piece.end => Err(EditError::Place("an empty element of a list")),
            Parent::Field(..) | Parent::Item => {
                self.push(piece.start, piece.end, self.token(piece, after));
                Ok(())
            }
        }
    }

    /// A list or mapping under a key that had a scalar, nothing, or empty brackets.
    fn block_for(&mut self, piece: &Piece, field: &Field, after: &Value) -> Result<(), EditError> {
        let colon = field.colon.ok_or(EditError::Place("a key without a colon behind it"))?;
        let between = self.text.get(colon..piece.start).unwrap_or_default();
        if !between.trim().is_empty() || between.contains('\n') {
            return Err(EditError::Place("a value on another line than its key"));
        }
        let further = if after.is_array() { self.indent.list } else { self.indent.mapping };
        let block = to_yaml_with(after, self.indent);
        self.push(colon, piece.end, String::new());
        self.lines_behind(piece.end, &block, column(self.text, field.start) + further)
    }

    /// A value that stands on one line, in the quotes of the one that it replaces.
    fn token(&self, piece: &Piece, after: &Value) -> String {
        match (&piece.shape, after) {
            (Shape::Scalar(ScalarStyle::SingleQuoted), Value::String(text)) if !text.chars().any(char::is_control) => {
                format!("'{}'", text.replace('\'', "''"))
            }
            (Shape::Scalar(ScalarStyle::DoubleQuoted), Value::String(text)) => quoted(text),
            (_, Value::Object(_) | Value::Array(_)) => to_flow(after),
            _ if piece.in_brackets => to_flow(after),
            _ => {
                let mut out = String::new();
                inline(after, &mut out);
                out
            }
        }
    }

    fn without_comment(&self, start: usize, end: usize) -> Result<(), EditError> {
        let text = self.text.get(start..end).unwrap_or_default();
        if text.contains('#') { Err(EditError::Comment) } else { Ok(()) }
    }

    fn push(&mut self, start: usize, end: usize, text: String) {
        self.list.push(Edit { start, end, text });
    }

    fn apply(mut self) -> Result<String, EditError> {
        // insertions at one place stay in order: those into a mapping come before those behind it
        self.list.sort_by_key(|edit| (edit.start, edit.end));
        let mut out = String::with_capacity(self.text.len() + 256);
        let mut at = 0;
        for edit in &self.list {
            out.push_str(self.text.get(at..edit.start).ok_or(EditError::Differs)?);
            out.push_str(&edit.text);
            at = edit.end;
        }
        out.push_str(self.text.get(at..).ok_or(EditError::Differs)?);
        Ok(out)
    }
}
