//! The text of a METADATA block: found above the package line, read as YAML with the place of every key and value.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// A place in a policy file: line and column, from 1.
pub type At = (u64, u64);

/// A METADATA block as text.
#[derive(Debug, Clone)]
pub struct Block {
    /// Line of `# METADATA`.
    pub line: u64,
    /// The YAML, without the comment signs.
    pub yaml: String,
    /// Package that stands below.
    pub package: String,
}

/// A value of the block.
#[derive(Debug, Clone)]
pub struct Node {
    /// Where it stands.
    pub at: At,
    /// What it is.
    pub part: Part,
}

/// What a value of the block is.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text, number, boolean or nothing.
    Scalar {
        /// As written.
        text: String,
        /// Whether it is without quotes, so that `true` is a boolean.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: At,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The entry of a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a mapping.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        if let Part::Map(entries) = &self.part { entries } else { &[] }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Part::List(items) = &self.part { items } else { &[] }
    }

    /// The text of a scalar that is not null.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.part {
            Part::Scalar { text, plain } if !(*plain && matches!(text.as_str(), "" | "~" | "null")) => Some(text),
            _ => None,
        }
    }

    /// The value of a boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match &self.part {
            Part::Scalar { text, plain: true } => text.parse().ok(),
            _ => None,
        }
    }

    /// What it is, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.part {
            Part::Scalar { .. } => self.text().map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}")),
            Part::List(_) => "a list".to_owned(),
            Part::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// The block directly above the package line. `Err`: the line of the package, above which there is none.
///
/// # Errors
/// When there is no block, or something stands between it and the package line.
pub fn block(source: &str) -> Result<Block, u64> {
    let number = |index: usize| u64::try_from(index + 1).unwrap_or(1);
    let lines: Vec<&str> = source.lines().collect();
    let package_line = lines.iter().position(|line| line.starts_with("package ")).ok_or(1_u64)?;
    let found = || {
        let package = lines.get(package_line)?.strip_prefix("package ")?.split('#').next()?.trim().to_owned();
        let above = lines.get(..package_line)?;
        let start = above.iter().rposition(|line| line.trim_end() == "# METADATA")?;
        let body = above.get(start + 1..)?;
        if !body.iter().all(|line| line.starts_with('#')) {
            return None;
        }
        let strip = |line: &&str| line.strip_prefix("# ").or_else(|| line.strip_prefix('#')).unwrap_or(line).to_owned();
        let yaml = body.iter().map(strip).collect::<Vec<_>>().join("\n");
        Some(Block { line: number(start), yaml, package })
    };
    found().ok_or_else(|| number(package_line))
}

/// Deepest nesting of a block.
const DEEPEST: usize = 32;

/// Reads the YAML of a block. `None`: it is empty.
///
/// # Errors
/// Where and why it is no YAML, or not of the kind that a block may have.
pub fn read(block: &Block) -> Result<Option<Node>, (At, String)> {
    // the block's first line is the one below `# METADATA`, and every line lost the two characters of the comment sign
    let at = |marker: Marker| {
        let part = |n: usize| u64::try_from(n).unwrap_or(1);
        // what is left open is noticed behind the end
        let line = marker.line().clamp(1, block.yaml.lines().count().max(1));
        (block.line + part(line), part(marker.col()) + 3)
    };
    let mut open: Vec<(Node, Option<(String, At)>)> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(&block.yaml) {
        let (event, span) = event.map_err(|error| (at(*error.marker()), error.info().to_owned()))?;
        let here = at(span.start);
        let done = match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                Node { at: here, part: Part::Scalar { text: text.into_owned(), plain } }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= DEEPEST => {
                return Err((here, format!("nests deeper than {DEEPEST} levels")));
            }
            Event::SequenceStart(..) => {
                open.push((Node { at: here, part: Part::List(Vec::new()) }, None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Node { at: here, part: Part::Map(Vec::new()) }, None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((node, _)) => node,
                None => continue,
            },
            Event::Alias(_) => return Err((here, "an alias (`*name`); write the value itself".to_owned())),
            Event::DocumentStart(_) if root.is_some() => return Err((here, "a second YAML document".to_owned())),
            _ => continue,
        };
        match open.last_mut() {
            None => root = Some(done),
            Some((Node { part: Part::List(items), .. }, _)) => items.push(done),
            Some((Node { part: Part::Map(entries), .. }, key)) => match key.take() {
                None => {
                    let Some(name) = done.text() else {
                        return Err((done.at, format!("{} as a key; wanted a word", done.words())));
                    };
                    if entries.iter().any(|entry| entry.key == name) {
                        return Err((done.at, format!("the key {name:?} is written twice")));
                    }
                    *key = Some((name.to_owned(), done.at));
                }
                Some((name, at)) => entries.push(Entry { key: name, at, value: done }),
            },
            Some(_) => {}
        }
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(yaml: &str) -> Result<Option<Node>, (At, String)> {
        let source = format!("\n# METADATA\n{yaml}package p\n");
        read(&block(&source).unwrap())
    }

    #[test]
    fn keys_and_values_have_their_places_in_the_file() {
        let root = of("# title: T\n# custom:\n#   match:\n#   - {resources: [a, \"b\"]}\n").unwrap().unwrap();
        let custom = root.entry("custom").unwrap();
        assert_eq!((custom.at, root.entry("title").unwrap().value.at), ((4, 3), (3, 10)));
        let row = &custom.value.entry("match").unwrap().value.items()[0];
        let resources = row.entry("resources").unwrap();
        assert_eq!((resources.at, resources.value.items()[1].at), ((6, 8), (6, 23)));
        assert_eq!(resources.value.items()[1].text(), Some("b"));
    }

    #[test]
    fn what_is_no_block_is_told_with_its_place() {
        assert_eq!(of("# a: [\n").unwrap_err().0.0, 3);
        assert_eq!(of("# a: 1\n# a: 2\n").unwrap_err(), ((4, 3), "the key \"a\" is written twice".to_owned()));
        assert_eq!(of("# a: &x 1\n# b: *x\n").unwrap_err().0, (4, 6));
        assert!(of(&format!("# a: {}\n", "[".repeat(100))).unwrap_err().1.contains("nests deeper"));
        assert_eq!(block("package p").unwrap_err(), 1);
        assert_eq!(block("# METADATA\n# a: 1\n\npackage p").unwrap_err(), 4);
    }
}
