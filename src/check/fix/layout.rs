//! How a YAML document is written: every value with the bytes that it takes, for edits that leave the rest alone.
//!
//! What values mean is [`super::super::yaml`]'s; here only their extent, and what makes one unsafe to edit.

use crate::check::scalar;
use crate::report::yaml::Indent;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// A value as it is written.
#[derive(Debug)]
pub(super) struct Piece {
    /// First byte.
    pub(super) start: usize,
    /// The byte behind the last one. Of a value that is not written, the one behind the colon of its key.
    pub(super) end: usize,
    /// Its shape.
    pub(super) shape: Shape,
    /// Written in brackets, or inside them.
    pub(super) in_brackets: bool,
    /// Has an anchor.
    pub(super) is_anchored: bool,
    /// Has a tag.
    pub(super) is_tagged: bool,
}

/// The shape of a value.
#[derive(Debug)]
pub(super) enum Shape {
    /// On one line or more, in this style.
    Scalar(ScalarStyle),
    /// `*name`.
    Alias,
    /// Elements.
    List(Vec<Piece>),
    /// Fields in order.
    Map(Vec<Field>),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Field {
    /// The key as JSON has it; `None` for a merge (`<<`), an alias, or a key with an anchor.
    pub(super) key: Option<String>,
    /// First byte of the key.
    pub(super) start: usize,
    /// The byte behind the colon; `None` where there is none right behind the key.
    pub(super) colon: Option<usize>,
    /// Its value.
    pub(super) value: Piece,
}

/// Reads the layout of one document. `None`: the parser cannot read it without help.
pub(super) fn read(text: &str) -> Option<Piece> {
    let mut offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    offsets.push(text.len());
    let mut builder = Builder { text, offsets, open: Vec::new(), root: None };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.ok()?;
        match event {
            Event::StreamEnd => break,
            event => builder.event(event, span)?,
        }
    }
    builder.root
}

/// The indentation that a document uses most for mappings and lists under a key.
pub(super) fn indent(text: &str, root: &Piece) -> Indent {
    let (mut mapping, mut list) = (Counts::new(), Counts::new());
    look(text, root, &mut mapping, &mut list);
    let most = |counts: Counts| counts.into_iter().max_by_key(|(width, count)| (*count, Reverse(*width)));
    let default = Indent::default();
    Indent {
        mapping: most(mapping).map_or(default.mapping, |(width, _)| width),
        list: most(list).map_or(default.list, |(width, _)| width),
    }
}

/// How often each width is used.
type Counts = BTreeMap<usize, usize>;

fn look(text: &str, piece: &Piece, mapping: &mut Counts, list: &mut Counts) {
    if piece.in_brackets {
        return;
    }
    match &piece.shape {
        Shape::Map(fields) => {
            for field in fields {
                let further = |at: usize| column(text, at).checked_sub(column(text, field.start));
                let count = |counts: &mut Counts, width: Option<usize>, least: usize| {
                    if let Some(width) = width.filter(|width| (least..=8).contains(width)) {
                        *counts.entry(width).or_default() += 1;
                    }
                };
                match &field.value.shape {
                    _ if field.value.in_brackets => {}
                    Shape::Map(_) => count(mapping, further(field.value.start), 1),
                    Shape::List(items) => count(list, items.first().and_then(|i| dash(text, i)).and_then(further), 0),
                    _ => {}
                }
                look(text, &field.value, mapping, list);
            }
        }
        Shape::List(items) => items.iter().for_each(|item| look(text, item, mapping, list)),
        Shape::Scalar(_) | Shape::Alias => {}
    }
}

/// The byte of the dash before a list's element. `None`: something else stands between the two.
pub(super) fn dash(text: &str, item: &Piece) -> Option<usize> {
    let before = text.get(..item.start)?.trim_end_matches([' ', '\n', '\r']);
    before.ends_with('-').then(|| before.len() - 1)
}

/// How many bytes stand before a byte on its line; only spaces and dashes where a key begins.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - line_start(text, at)
}

/// The first byte of the line of a byte.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |found| found + 1)
}

struct Builder<'t> {
    text: &'t str,
    /// The byte of each character, as the parser counts characters.
    offsets: Vec<usize>,
    open: Vec<Open>,
    root: Option<Piece>,
}

/// A collection that is not closed yet.
struct Open {
    start: usize,
    in_brackets: bool,
    /// This collection has brackets itself, so its end is written.
    has_brackets: bool,
    is_anchored: bool,
    is_tagged: bool,
    content: Content,
}

enum Content {
    List(Vec<Piece>),
    Map(Vec<Field>, Option<Pending>),
}

/// A key whose value comes next.
struct Pending {
    key: Option<String>,
    start: usize,
    colon: Option<usize>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Option<()> {
        let (start, end) = (*self.offsets.get(span.start.index())?, *self.offsets.get(span.end.index())?);
        let in_brackets = self.open.last().is_some_and(|open| open.in_brackets);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let short = tag.as_deref().map(short_tag);
                if self.wants_key() {
                    let plain = style == ScalarStyle::Plain;
                    let odd = anchor != 0 || plain && short.is_none() && text == "<<";
                    let key = if odd { None } else { scalar::key(short, plain, &text).ok() };
                    return self.pending(key, start, end);
                }
                let end = self.end_of(style, &text, start, end)?;
                let shape = Shape::Scalar(style);
                let (is_anchored, is_tagged) = (anchor != 0, tag.is_some());
                self.complete(Piece { start, end, shape, in_brackets, is_anchored, is_tagged })
            }
            Event::Alias(_) if self.wants_key() => self.pending(None, start, end),
            Event::Alias(_) => {
                let shape = Shape::Alias;
                self.complete(Piece { start, end, shape, in_brackets, is_anchored: false, is_tagged: false })
            }
            Event::SequenceStart(anchor, tag) => {
                self.start(span, start, (anchor, tag.is_some()), Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.start(span, start, (anchor, tag.is_some()), Content::Map(Vec::new(), None))
            }
            // a closing bracket is one byte; its span goes on to the next token
            Event::SequenceEnd | Event::MappingEnd => self.close(start + 1),
            _ => Some(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { content: Content::Map(_, None), .. }))
    }

    fn pending(&mut self, key: Option<String>, start: usize, end: usize) -> Option<()> {
        let rest = self.text.get(end..)?;
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let colon = rest.get(blanks..)?.starts_with(':').then_some(end + blanks + 1);
        if let Some(Open { content: Content::Map(_, pending), .. }) = self.open.last_mut() {
            *pending = Some(Pending { key, start, colon });
        }
        Some(())
    }

    fn start(&mut self, span: Span, start: usize, properties: (usize, bool), content: Content) -> Option<()> {
        if self.wants_key() {
            return None;
        }
        let has_brackets = !span.is_empty();
        let in_brackets = has_brackets || self.open.last().is_some_and(|open| open.in_brackets);
        let (anchor, is_tagged) = properties;
        self.open.push(Open { start, in_brackets, has_brackets, is_anchored: anchor != 0, is_tagged, content });
        Some(())
    }

    fn close(&mut self, end: usize) -> Option<()> {
        let open = self.open.pop()?;
        let (last, shape) = match open.content {
            Content::List(items) => (items.last().map(|item| item.end), Shape::List(items)),
            Content::Map(fields, _) => (fields.last().map(|field| field.value.end), Shape::Map(fields)),
        };
        let Open { start, in_brackets, is_anchored, is_tagged, .. } = open;
        let end = if open.has_brackets { end } else { last.unwrap_or(start) };
        self.complete(Piece { start, end, shape, in_brackets, is_anchored, is_tagged })
    }

    /// Where a scalar really ends: the parser's spans go on to the next token, or begin behind the header of a block.
    fn end_of(&self, style: ScalarStyle, value: &str, start: usize, end: usize) -> Option<usize> {
        let text = self.text.get(start..end)?;
        match style {
            // what the parser makes of a value that is not written
            ScalarStyle::Plain if matches!(value, "~" | "") && text.trim_end() != value => Some(start),
            ScalarStyle::Plain => Some(start + text.trim_end().len()),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let quote = if style == ScalarStyle::SingleQuoted { '\'' } else { '"' };
                closing(self.text.get(start..)?, quote).map(|length| start + length)
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let header = self.text.get(..start)?.trim_end().lines().next_back()?;
                let header = header.split(" #").next()?.trim_end();
                if header.split_whitespace().next_back()?.contains('+') {
                    return Some(end);
                }
                // up to the end of the last line that is not blank, line break included
                let content = text.trim_end().len();
                let rest = self.text.get(start + content..)?;
                Some(start + content + rest.find('\n').map_or(rest.len(), |at| at + 1))
            }
        }
    }

    fn complete(&mut self, mut piece: Piece) -> Option<()> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(piece),
            Some(Content::List(items)) => items.push(piece),
            Some(Content::Map(fields, pending)) => {
                let Pending { key, start, colon } = pending.take()?;
                if piece.start == piece.end && matches!(piece.shape, Shape::Scalar(ScalarStyle::Plain)) {
                    // a value that is not written: its place is right behind the key
                    piece.start = colon.unwrap_or(piece.start);
                    piece.end = piece.start;
                }
                fields.push(Field { key, start, colon, value: piece });
            }
        }
        Some(())
    }
}

/// The bytes of a quoted text with both its quotes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().peekable();
    chars.next().filter(|(_, first)| *first == quote)?;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => drop(chars.next()),
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn short_tag(tag: &Tag) -> &str {
    if tag.is_yaml_core_schema() { &tag.suffix } else { "!" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every scalar as its text, in order.
    fn extents(text: &str) -> Vec<String> {
        fn walk(text: &str, piece: &Piece, out: &mut Vec<String>) {
            match &piece.shape {
                Shape::Map(fields) => fields.iter().for_each(|field| walk(text, &field.value, out)),
                Shape::List(items) => items.iter().for_each(|item| walk(text, item, out)),
                _ => out.push(text[piece.start..piece.end].to_owned()),
            }
        }
        let mut out = Vec::new();
        walk(text, &read(text).unwrap(), &mut out);
        out
    }

    #[test]
    fn values_end_where_their_text_ends() {
        let text = "a: é b  # c\nb: 'x' # d\nc:\n- 1 \n# e\n-\n- \"q\n  r\" #z\nd: |\n  x\n\n  y\n\n# f\ne: >+\n  z\n\n\nf: plain\n  more # g\ng: {a: 1 , b: [x, *y], c}\nh:\n";
        let text = text.replace("a: é", "anchor: &y 1\na: é");
        assert_eq!(
            extents(&text),
            [
                "&y 1",
                "é b",
                "'x'",
                "1",
                "",
                "\"q\n  r\"",
                "x\n\n  y\n",
                "z\n\n\n",
                "plain\n  more",
                "1",
                "x",
                "*y",
                "",
                ""
            ]
        );
    }

    #[test]
    fn the_indentation_of_a_document() {
        let of = |text: &str| {
            let found = indent(text, &read(text).unwrap());
            (found.mapping, found.list)
        };
        assert_eq!(of("a:\n    b: 1\nc:\n  - 1\n"), (4, 2));
        assert_eq!(of("a:\n  b: 1\nc:\n- 1\n"), (2, 0));
        assert_eq!(of("a: {b: 1}\n"), (2, 0));
    }
}
