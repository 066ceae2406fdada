//! JSON with places. Manifests that begin with `{` are JSON to kubectl, possibly several objects one after the other.
//!
//! Not read as YAML, because the two differ in escapes: `\/` and surrogate pairs.

use super::position::{Parts, Place, Spot};
use super::scalar;
use super::yaml::{Budget, DocumentError, Node};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Reads all values of a text that begins at `first_line` of its file.
///
/// # Errors
/// At the first character that is no JSON, a key written twice, or when the budget is spent; with the values before.
pub fn parse(text: &str, first_line: usize, budget: Budget) -> (Vec<Node>, Option<DocumentError>) {
    let mut reader = Reader { text, at: 0, line: first_line, column: 1, depth: 0, nodes: 0, budget };
    let mut nodes = Vec::new();
    loop {
        reader.space();
        if reader.peek().is_none() {
            return (nodes, None);
        }
        match reader.value() {
            Ok(node) => nodes.push(node),
            Err(error) => return (nodes, Some(error)),
        }
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
    depth: usize,
    nodes: usize,
    budget: Budget,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves on by one byte; bytes inside a character do not count as columns.
    fn bump(&mut self) {
        match self.peek() {
            Some(b'\n') => {
                self.line += 1;
                self.column = 1;
            }
            Some(byte) if byte & 0xC0 != 0x80 => self.column += 1,
            _ => {}
        }
        self.at += 1;
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.bump();
        }
    }

    const fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    fn wrong(&self, wanted: &str) -> DocumentError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("found {found:?}"),
            None => "the document ends here, truncated".to_owned(),
        };
        DocumentError::new(self.place(), format!("not readable as JSON: wanted {wanted}, {found}"))
    }

    fn expect(&mut self, byte: u8, wanted: &str) -> Result<(), DocumentError> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(wanted));
        }
        self.bump();
        Ok(())
    }

    fn value(&mut self) -> Result<Node, DocumentError> {
        let place = self.place();
        self.nodes += 1;
        if self.nodes > self.budget.nodes {
            return Err(DocumentError::new(place, format!("more than {} values in one document", self.budget.nodes)));
        }
        match self.peek() {
            Some(b'{') => self.nested(place, Self::object),
            Some(b'[') => self.nested(place, Self::list),
            Some(b'"') => self.string().map(|text| leaf(place, Value::String(text))),
            Some(b't' | b'f' | b'n') => self.word(place),
            Some(b'-' | b'0'..=b'9') => self.number(place),
            _ => Err(self.wrong("a value")),
        }
    }

    fn nested(
        &mut self,
        place: Place,
        read: fn(&mut Self, Place) -> Result<Node, DocumentError>,
    ) -> Result<Node, DocumentError> {
        if self.depth >= self.budget.depth {
            return Err(DocumentError::new(place, format!("nested deeper than {} levels", self.budget.depth)));
        }
        self.depth += 1;
        self.bump();
        self.space();
        let node = read(self, place);
        self.depth -= 1;
        node
    }

    fn object(&mut self, place: Place) -> Result<Node, DocumentError> {
        let mut map = Map::new();
        let mut spots: HashMap<String, (Place, Arc<Spot>)> = HashMap::new();
        while self.peek() != Some(b'}') {
            if !map.is_empty() {
                self.expect(b',', "`,` or `}`")?;
                self.space();
            }
            let at = self.place();
            if self.peek() != Some(b'"') {
                return Err(self.wrong("a key in double quotes"));
            }
            let key = self.string()?;
            if let Some((first, _)) = spots.get(&key) {
                let problem = format!("key {key:?} is written twice, first at {first}; keep one");
                return Err(DocumentError::new(at, problem));
            }
            self.space();
            self.expect(b':', "`:`")?;
            self.space();
            let node = self.value()?;
            spots.insert(key.clone(), (at, node.spot));
            map.insert(key, node.value);
            self.space();
        }
        self.bump();
        Ok(Node { value: Value::Object(map), spot: Arc::new(Spot { place, parts: Parts::Map(spots) }) })
    }

    fn list(&mut self, place: Place) -> Result<Node, DocumentError> {
        let mut items = Vec::new();
        let mut spots = Vec::new();
        while self.peek() != Some(b']') {
            if !items.is_empty() {
                self.expect(b',', "`,` or `]`")?;
                self.space();
            }
            let node = self.value()?;
            items.push(node.value);
            spots.push(node.spot);
            self.space();
        }
        self.bump();
        Ok(Node { value: Value::Array(items), spot: Arc::new(Spot { place, parts: Parts::List(spots) }) })
    }

    /// Finds the end of a string; its escapes are serde_json's work.
    fn string(&mut self) -> Result<String, DocumentError> {
        let (place, start) = (self.place(), self.at);
        self.bump();
        loop {
            match self.peek() {
                None => return Err(self.wrong("the closing `\"`")),
                Some(b'"') => break,
                Some(b'\\') => {
                    self.bump();
                    self.bump();
                }
                Some(_) => self.bump(),
            }
        }
        self.bump();
        let slice = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(slice)
            .map_err(|error| DocumentError::new(place, format!("not readable as JSON: string: {}", short(&error))))
    }

    fn word(&mut self, place: Place) -> Result<Node, DocumentError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let words = [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)];
        let Some((word, value)) = words.into_iter().find(|(word, _)| rest.starts_with(word)) else {
            return Err(self.wrong("true, false or null"));
        };
        (0..word.len()).for_each(|_| self.bump());
        Ok(leaf(place, value))
    }

    fn number(&mut self, place: Place) -> Result<Node, DocumentError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.bump();
        }
        let slice = self.text.get(start..self.at).unwrap_or_default();
        let value: Value = serde_json::from_str(slice)
            .map_err(|error| DocumentError::new(place, format!("not readable as JSON: number: {}", short(&error))))?;
        // a float without a fraction arrives at the API server as an integer
        let whole = value.as_f64().filter(|_| value.is_f64()).and_then(scalar::number);
        Ok(leaf(place, whole.unwrap_or(value)))
    }
}

fn leaf(place: Place, value: Value) -> Node {
    Node { value, spot: Arc::new(Spot::scalar(place)) }
}

/// serde_json's wording without its own line and column, which count from the slice.
fn short(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> Node {
        let (mut nodes, error) = parse(text, 1, Budget::default());
        assert_eq!(error, None);
        assert_eq!(nodes.len(), 1);
        nodes.remove(0)
    }

    #[test]
    fn several_objects_follow_each_other() {
        let (nodes, error) = parse("{\"a\":1}\n {\"b\": 2.0}", 1, Budget::default());
        assert_eq!(error, None);
        assert_eq!(nodes[1].value, serde_json::json!({"b": 2}));
        assert_eq!(nodes[1].spot.find(["b"]), Place { line: 2, column: 3 });
    }

    #[test]
    fn errors_have_their_place_and_what_came_before_stays() {
        let cases = [
            ("{\"a\": 1", 1, 8, "truncated"),
            ("{\"a\": 1}\n{\"é\": tru}", 2, 7, "true, false or null"),
            ("{\"a\": 1,\n \"a\": 2}", 2, 2, "written twice, first at 1:2"),
            ("{\"a\": 01}", 1, 7, "number"),
            ("{\"a\": \"\\x\"}", 1, 7, "string"),
            ("{a: 1}", 1, 2, "a key in double quotes"),
            ("[1 2]", 1, 4, "`,` or `]`"),
            ("{\"a\": 1,}", 1, 9, "a key"),
        ];
        for (text, line, column, problem) in cases {
            let (_, error) = parse(text, 1, Budget::default());
            let error = error.unwrap();
            assert_eq!(error.place, Place { line, column }, "{text}: {error}");
            assert!(error.problem.contains(problem), "{text}: {error}");
        }
        assert_eq!(parse("{}{}[", 1, Budget::default()).0.len(), 2);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(100_000);
        let error = parse(&deep, 1, Budget::default()).1.unwrap();
        assert_eq!(error.problem, "nested deeper than 128 levels");
        assert_eq!(one(&format!("{}{}", "[".repeat(128), "]".repeat(128))).spot.place, Place::START);
    }

    proptest! {
        #[test]
        fn equals_serde_json(value in super::super::arbitrary_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(one(&text).value, value);
        }

        #[test]
        fn never_panics(text in "[\\[\\]{}\":,0-9a-z\\\\ é\n-]{0,40}") {
            let _ = parse(&text, 1, Budget::default());
        }
    }
}
