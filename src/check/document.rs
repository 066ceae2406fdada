//! The documents of one file: split first, then read one by one, so that a broken one does not silence the rest.
//!
//! The split is kubectl's (`YAMLReader` in k8s.io/apimachinery v0.35.4 `pkg/util/yaml/decoder.go`): a line that begins with
//! `---` ends a document, wherever it stands; YAML knows no content that may begin so. Only a comment may follow it.

use super::json;
use super::position::Place;
use super::yaml::{self, Budget, DocumentError, Node};

/// What one document held.
pub type Read = Result<Node, DocumentError>;

/// Reads all documents of a text. Empty ones are left out.
#[must_use]
pub fn read(text: &str, budget: Budget) -> Vec<Read> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reads = Vec::new();
    for chunk in split(text) {
        if let Some(error) = chunk.marker {
            reads.push(Err(error));
        }
        read_chunk(chunk.text, chunk.line, budget, &mut reads);
    }
    reads
}

/// The text between two document markers.
#[derive(Debug, PartialEq)]
pub(super) struct Chunk<'t> {
    pub(super) text: &'t str,
    /// Byte of its first character.
    pub(super) start: usize,
    /// Line of its first character.
    pub(super) line: usize,
    /// What is wrong with the marker above.
    marker: Option<DocumentError>,
}

impl<'t> Chunk<'t> {
    /// A text without markers.
    pub(super) fn new(text: &'t str, line: usize) -> Self {
        Self { text, start: 0, line, marker: None }
    }

    /// Whether a line of the file is one of the chunk's.
    pub(super) fn has_line(&self, line: usize) -> bool {
        (self.line..self.line + self.text.lines().count()).contains(&line)
    }
}

/// Splits a text, without a byte order mark, at its document markers.
pub(super) fn split(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut at) = (0, 0);
    let (mut first_line, mut marker) = (1, None);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if let Some(rest) = line.strip_prefix("---") {
            chunks.push(Chunk { text: text.get(start..at).unwrap_or_default(), start, line: first_line, marker });
            let rest = rest.trim();
            marker = (!rest.is_empty() && !rest.starts_with('#')).then(|| {
                let place = Place { line: index + 1, column: 4 };
                DocumentError::new(place, "only a comment may follow `---`, kubectl refuses the rest; move it below")
            });
            start = at + line.len();
            first_line = index + 2;
        }
        at += line.len();
    }
    chunks.push(Chunk { text: text.get(start..).unwrap_or_default(), start, line: first_line, marker });
    chunks
}

fn read_chunk(text: &str, line: usize, budget: Budget, reads: &mut Vec<Read>) {
    let yaml = || yaml::parse(text, line, budget);
    if !text.trim_start().starts_with('{') {
        reads.extend(yaml().map_err(|error| hint(text, error)).transpose());
        return;
    }
    // JSON first, as kubectl does; a YAML flow mapping such as `{a: b}` is the second try
    let (nodes, error) = json::parse(text, line, budget);
    match error {
        Some(error) if nodes.is_empty() => match yaml() {
            Ok(node) => reads.extend(node.map(Ok)),
            Err(other) if looks_like_json(text) => {
                let _ = other;
                reads.push(Err(error));
            }
            Err(other) => reads.push(Err(hint(text, other))),
        },
        error => {
            reads.extend(nodes.into_iter().map(Ok));
            reads.extend(error.map(Err));
        }
    }
}

/// Reads the one document of a chunk. `None`: there is none, more than one, or it cannot be read.
pub(super) fn read_one(chunk: &Chunk<'_>, budget: Budget) -> Option<Node> {
    let mut reads = Vec::new();
    read_chunk(chunk.text, chunk.line, budget, &mut reads);
    match reads.pop() {
        Some(Ok(node)) if reads.is_empty() => Some(node),
        _ => None,
    }
}

/// Whether the text was meant as JSON: the first thing in the braces is a key in quotes.
pub(super) fn looks_like_json(text: &str) -> bool {
    text.trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']))
}

/// Says what to do where the text is a chart's template.
fn hint(text: &str, error: DocumentError) -> DocumentError {
    if text.contains("{{") {
        let problem = format!("{}; a Helm template? check what `helm template` prints", error.problem);
        return DocumentError { problem, ..error };
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn values(text: &str) -> Vec<Result<Value, String>> {
        let reads = read(text, Budget::default());
        reads.into_iter().map(|r| r.map(|n| n.value).map_err(|e| format!("{} {}", e.place, e.problem))).collect()
    }

    #[test]
    fn empty_documents_and_comments_are_skipped() {
        let text = "# a chart\n---\n# Source: x.yaml\n---\n\n--- # more\na: 1\n---\n---   \n";
        assert_eq!(values(text), [Ok(json!({"a": 1}))]);
        assert_eq!(values(""), []);
        assert_eq!(values("\u{feff}a: 1"), [Ok(json!({"a": 1}))]);
        assert_eq!(values("a: 1\r\n---\r\nb: 2\r\n"), [Ok(json!({"a": 1})), Ok(json!({"b": 2}))]);
    }

    #[test]
    fn a_broken_document_leaves_the_others() {
        let text = "a: 1\n---\nb: [1, 2\n---\nc: 'x\n---\nd: 4\n";
        let values = values(text);
        assert_eq!(values.len(), 4);
        assert_eq!((&values[0], &values[3]), (&Ok(json!({"a": 1})), &Ok(json!({"d": 4}))));
        assert!(values[1].as_ref().unwrap_err().starts_with("4:1 not readable as YAML"), "{values:?}");
        assert!(values[2].as_ref().unwrap_err().starts_with("5:4 not readable as YAML"), "{values:?}");
    }

    #[test]
    fn a_marker_ends_a_block_scalar_too() {
        assert_eq!(values("a: |\n  x\n---\nb: 1\n"), [Ok(json!({"a": "x\n"})), Ok(json!({"b": 1}))]);
        // indented it is content
        assert_eq!(values("a: |\n  ---\n  x\n"), [Ok(json!({"a": "---\nx\n"}))]);
    }

    #[test]
    fn content_behind_a_marker_is_an_error_but_what_follows_is_read() {
        let read = values("--- {a: 1}\nb: 1\n");
        assert!(read[0].as_ref().unwrap_err().starts_with("1:4 only a comment"), "{read:?}");
        assert_eq!(read[1], Ok(json!({"b": 1})));
    }

    #[test]
    fn json_and_flow_mappings() {
        assert_eq!(values(r#"{"a": "\ud83d\ude00\/"}{"b": 1}"#), [Ok(json!({"a": "😀/"})), Ok(json!({"b": 1}))]);
        assert_eq!(values("{a: yes}\n---\n{\"b\": 1}"), [Ok(json!({"a": true})), Ok(json!({"b": 1}))]);
        assert_eq!(
            values("{\"a\": 1,\n"),
            [Err(
                "2:1 not readable as JSON: wanted a key in double quotes, the document ends here, truncated".to_owned()
            )]
        );
    }

    #[test]
    fn a_template_is_recognised() {
        let read = values("{{- if .Values.x }}\na: 1\n{{- end }}\n");
        assert!(read[0].as_ref().unwrap_err().contains("helm template"), "{read:?}");
    }

    #[test]
    fn what_follows_the_end_of_a_document_is_not_lost() {
        let read = values("a: 1\n...\nb: 2\n");
        assert!(read[0].as_ref().unwrap_err().contains("a second document without a `---` line"), "{read:?}");
    }
}
