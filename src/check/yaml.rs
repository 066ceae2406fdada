//! One YAML document to JSON with places, within budgets.
//!
//! The parser's events are read one by one, without recursion, so neither depth nor aliases can exhaust anything before a
//! budget says no. What scalars mean is [`super::scalar`]'s; merge keys (`<<`) act as in go-yaml v2, where the later of a
//! merge and a key wins. A key written twice is an error: kubectl would take the last one without a word.

use super::lenient::Lenient;
use super::position::{Parts, Place, Spot};
use super::scalar;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// A value and where it and its parts stand.
#[derive(Debug, Clone)]
pub struct Node {
    /// The value, as the API server would get it.
    pub value: Value,
    /// Where it stands.
    pub spot: Arc<Spot>,
}

/// Bounds of one document.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Nesting. encoding/json stops at 10,000, serde_json at 128; no API object comes near.
    pub depth: usize,
    /// Values, aliases expanded.
    pub nodes: usize,
    /// Values that aliases may add.
    pub alias_nodes: usize,
    /// Bytes of text that aliases may add.
    pub alias_bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { depth: 128, nodes: 5_000_000, alias_nodes: 100_000, alias_bytes: 4 * 1024 * 1024 }
    }
}

/// Why a document cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct DocumentError {
    /// Where.
    pub place: Place,
    /// What is wrong, in one line.
    pub problem: String,
}

impl DocumentError {
    /// An error at a place.
    #[must_use]
    pub fn new(place: Place, problem: impl Into<String>) -> Self {
        Self { place, problem: problem.into() }
    }
}

/// Reads one document that begins at `first_line` of its file. `None`: there is nothing but comments.
///
/// # Errors
/// When it is no YAML, has a key twice, goes over the budget, or cannot be JSON.
pub fn parse(text: &str, first_line: usize, budget: Budget) -> Result<Option<Node>, DocumentError> {
    let mut lenient = Lenient::new(text);
    loop {
        match read(&lenient, first_line, budget) {
            Ok(root) => return Ok(root),
            Err(Unreadable::Document(error)) => return Err(error),
            Err(Unreadable::Scan(scan, error)) => {
                if !lenient.repair(&scan) {
                    return Err(error);
                }
            }
        }
    }
}

/// Why a text cannot be read.
enum Unreadable {
    /// The parser stopped.
    Scan(ScanError, DocumentError),
    /// What it read is no object.
    Document(DocumentError),
}

fn read(lenient: &Lenient<'_>, first_line: usize, budget: Budget) -> Result<Option<Node>, Unreadable> {
    let text = lenient.text();
    let mut builder = Builder {
        first_line,
        budget,
        frames: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        alias_nodes: 0,
        alias_bytes: 0,
        text_bytes: 0,
        ends_open: (!text.ends_with('\n')).then(|| text.chars().count()),
        lenient,
        root: None,
    };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str(text);
    let mut documents = 0_usize;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let told = DocumentError::new(builder.place(*error.marker()), builder.sentence(error.info()));
            Unreadable::Scan(error, told)
        })?;
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    let problem = "a second document without a `---` line before it; kubectl would ignore it";
                    return Err(Unreadable::Document(DocumentError::new(builder.place(span.start), problem)));
                }
            }
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            event => builder.event(event, span).map_err(Unreadable::Document)?,
        }
    }
    Ok(builder.root)
}

/// Builds the value of one document.
struct Builder<'t> {
    first_line: usize,
    budget: Budget,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    alias_nodes: usize,
    alias_bytes: usize,
    /// Bytes of all text so far, aliases expanded.
    text_bytes: usize,
    /// The number of characters, where the last line has no line break.
    ends_open: Option<usize>,
    lenient: &'t Lenient<'t>,
    root: Option<Node>,
}

/// A list or mapping that is not closed yet.
struct Frame {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    bytes_before: usize,
    /// Written in brackets; so is all that is in it.
    is_flow: bool,
    content: Content,
}

enum Content {
    List(Vec<Value>, Vec<Arc<Spot>>),
    Map(Map<String, Value>, HashMap<String, (Place, Arc<Spot>)>, Keys),
}

/// What is known of a mapping's keys while it is read.
#[derive(Default)]
struct Keys {
    /// The key whose value comes next.
    pending: Option<(Key, Place)>,
    /// Keys that were written here, not merged in, and where.
    written: HashMap<String, Place>,
}

enum Key {
    Text(String),
    Merge,
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
}

impl Builder<'_> {
    fn place(&self, marker: Marker) -> Place {
        let place = self.lenient.place(marker);
        Place { line: self.first_line + place.line - 1, ..place }
    }

    /// The parser's wording, without line breaks; its own limit on flow collections is the depth.
    fn sentence(&self, info: &str) -> String {
        if info == "recursion limit exceeded" {
            return self.too_deep();
        }
        if info == "did not find expected <document start>" {
            return "not readable as YAML: text behind the end of the document; is its indentation right?".to_owned();
        }
        format!("not readable as YAML: {}", info.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn too_deep(&self) -> String {
        format!("nested deeper than {} levels", self.budget.depth)
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), DocumentError> {
        let place = self.place(span.start);
        self.refuse_tab(span, place)?;
        match event {
            Event::Scalar(mut text, style, anchor, tag) => {
                // the parser ends a block with the line break that the end of the file left out
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                if is_block && self.ends_open.is_some_and(|end| span.end.index() >= end) && text.ends_with('\n') {
                    text.to_mut().pop();
                }
                self.count(place, 1, text.len())?;
                let plain = style == ScalarStyle::Plain;
                let tag = tag.as_deref().map(short_tag);
                if self.wants_key() && plain && text == "<<" && tag.is_none() {
                    return self.merge_key(place);
                }
                let wrong = |problem: String| DocumentError::new(place, problem);
                if self.wants_key() {
                    let key = scalar::key(tag, plain, &text).map_err(wrong)?;
                    if anchor != 0 {
                        let node = Node { value: Value::String(key.clone()), spot: Arc::new(Spot::scalar(place)) };
                        self.anchor(anchor, &node, 1, text.len(), place)?;
                    }
                    return self.key(key, place);
                }
                let value = scalar::value(tag, plain, &text).map_err(wrong)?;
                let node = Node { value, spot: Arc::new(Spot::scalar(place)) };
                self.anchor(anchor, &node, 1, text.len(), place)?;
                self.complete(node, place)
            }
            Event::SequenceStart(anchor, _) => {
                self.open(place, anchor, !span.is_empty(), Content::List(Vec::new(), Vec::new()))
            }
            Event::MappingStart(anchor, _) => {
                let content = Content::Map(Map::new(), HashMap::new(), Keys::default());
                self.open(place, anchor, !span.is_empty(), content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(id) => self.alias(id, place),
            _ => Ok(()),
        }
    }

    /// Counts what is about to be added.
    fn count(&mut self, place: Place, nodes: usize, bytes: usize) -> Result<(), DocumentError> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.text_bytes = self.text_bytes.saturating_add(bytes);
        if self.nodes > self.budget.nodes {
            let problem = format!("more than {} values in one document; split it with `---`", self.budget.nodes);
            return Err(DocumentError::new(place, problem));
        }
        Ok(())
    }

    /// Counts what aliases repeat: an alias bomb ends here, before anything is copied.
    fn count_copy(&mut self, place: Place, nodes: usize, bytes: usize) -> Result<(), DocumentError> {
        self.alias_nodes = self.alias_nodes.saturating_add(nodes);
        self.alias_bytes = self.alias_bytes.saturating_add(bytes);
        if self.alias_nodes > self.budget.alias_nodes || self.alias_bytes > self.budget.alias_bytes {
            let problem = format!(
                "aliases repeat more than {} values or {} bytes (an alias bomb?); write them out",
                self.budget.alias_nodes, self.budget.alias_bytes
            );
            return Err(DocumentError::new(place, problem));
        }
        Ok(())
    }

    /// Go's parser takes no tab before the first token of a line, but in brackets.
    fn refuse_tab(&self, span: Span, place: Place) -> Result<(), DocumentError> {
        let is_flow = self.frames.last().is_some_and(|frame| frame.is_flow);
        if !is_flow && self.lenient.is_behind_tab(span.start) {
            return Err(DocumentError::new(place, "not readable as YAML: a tab in the indentation; use spaces"));
        }
        Ok(())
    }

    fn open(&mut self, place: Place, anchor: usize, in_brackets: bool, content: Content) -> Result<(), DocumentError> {
        if self.wants_key() {
            return Err(DocumentError::new(place, "a list or a mapping cannot be a key"));
        }
        if self.frames.len() >= self.budget.depth {
            return Err(DocumentError::new(place, self.too_deep()));
        }
        self.count(place, 1, 0)?;
        let frame = Frame {
            place,
            anchor,
            nodes_before: self.nodes - 1,
            bytes_before: self.text_bytes,
            is_flow: in_brackets || self.frames.last().is_some_and(|frame| frame.is_flow),
            content,
        };
        self.frames.push(frame);
        Ok(())
    }

    fn close(&mut self, end: Place) -> Result<(), DocumentError> {
        let Some(frame) = self.frames.pop() else {
            return Err(DocumentError::new(end, "a list or mapping ends that never began"));
        };
        let node = match frame.content {
            Content::List(items, spots) => Node {
                value: Value::Array(items),
                spot: Arc::new(Spot { place: frame.place, parts: Parts::List(spots) }),
            },
            Content::Map(map, spots, _) => Node {
                value: Value::Object(map),
                spot: Arc::new(Spot { place: frame.place, parts: Parts::Map(spots) }),
            },
        };
        let (nodes, bytes) = (self.nodes - frame.nodes_before, self.text_bytes - frame.bytes_before);
        self.anchor(frame.anchor, &node, nodes, bytes, frame.place)?;
        self.complete(node, frame.place)
    }

    /// Remembers an anchored value. The copy counts like an alias, so that nested anchors cannot multiply.
    fn anchor(
        &mut self,
        id: usize,
        node: &Node,
        nodes: usize,
        bytes: usize,
        place: Place,
    ) -> Result<(), DocumentError> {
        if id != 0 {
            self.count_copy(place, nodes, bytes)?;
            self.anchors.insert(id, Anchored { node: node.clone(), nodes, bytes });
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Place) -> Result<(), DocumentError> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(DocumentError::new(place, "an anchor's value contains itself"));
        };
        let (nodes, bytes) = (anchored.nodes, anchored.bytes);
        self.count_copy(place, nodes, bytes)?;
        self.count(place, nodes, bytes)?;
        let Some(node) = self.anchors.get(&id).map(|anchored| anchored.node.clone()) else { return Ok(()) };
        self.complete(node, place)
    }

    /// Whether the next value is a key.
    fn wants_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame { content: Content::Map(_, _, keys), .. }) if keys.pending.is_none())
    }

    fn merge_key(&mut self, place: Place) -> Result<(), DocumentError> {
        if let Some(Frame { content: Content::Map(_, _, keys), .. }) = self.frames.last_mut() {
            keys.pending = Some((Key::Merge, place));
        }
        Ok(())
    }

    /// The next value is that of this key.
    fn key(&mut self, key: String, place: Place) -> Result<(), DocumentError> {
        if let Some(Frame { content: Content::Map(_, _, keys), .. }) = self.frames.last_mut() {
            if let Some(first) = keys.written.get(&key) {
                let problem = format!("key {key:?} is written twice, first at {first}; keep one");
                return Err(DocumentError::new(place, problem));
            }
            keys.written.insert(key.clone(), place);
            keys.pending = Some((Key::Text(key), place));
        }
        Ok(())
    }

    /// Puts a finished value where it belongs; `place` is where it was written, an alias' own place.
    fn complete(&mut self, node: Node, place: Place) -> Result<(), DocumentError> {
        match self.frames.last_mut().map(|frame| &mut frame.content) {
            None => self.root = Some(node),
            Some(Content::List(items, spots)) => {
                items.push(node.value);
                spots.push(node.spot);
            }
            Some(Content::Map(map, spots, keys)) => match keys.pending.take() {
                // only an alias comes here: keys of their own take the short way
                None => {
                    let key = match node.value {
                        Value::String(text) => text,
                        Value::Bool(_) | Value::Number(_) => node.value.to_string(),
                        _ => return Err(DocumentError::new(place, "this alias stands for nothing that can be a key")),
                    };
                    self.key(key, place)?;
                }
                Some((Key::Text(key), at)) => {
                    spots.insert(key.clone(), (at, node.spot));
                    map.insert(key, node.value);
                }
                Some((Key::Merge, _)) => merge(map, spots, node, place)?,
            },
        }
        Ok(())
    }
}

/// Merges a mapping, or a list of mappings of which the first wins, over what is there so far.
fn merge(
    map: &mut Map<String, Value>,
    spots: &mut HashMap<String, (Place, Arc<Spot>)>,
    node: Node,
    place: Place,
) -> Result<(), DocumentError> {
    let wrong = || DocumentError::new(place, "`<<` wants a mapping or a list of mappings");
    match (node.value, &node.spot.parts) {
        (Value::Object(from), Parts::Map(places)) => {
            for (key, value) in from {
                if let Some(spot) = places.get(&key) {
                    spots.insert(key.clone(), spot.clone());
                }
                map.insert(key, value);
            }
            Ok(())
        }
        (Value::Array(items), Parts::List(list)) => {
            for (value, spot) in items.into_iter().zip(list).rev() {
                if !value.is_object() {
                    return Err(wrong());
                }
                merge(map, spots, Node { value, spot: spot.clone() }, place)?;
            }
            Ok(())
        }
        _ => Err(wrong()),
    }
}

/// `str` of `!!str`; the text of a foreign tag is enough to tell that it is foreign.
fn short_tag(tag: &Tag) -> &str {
    if tag.is_yaml_core_schema() { &tag.suffix } else { "!" }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
