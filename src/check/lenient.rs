//! Reads what Go's YAML parser takes and ours does not: tabs as spaces behind a colon and in brackets, and too little
//! indentation of quoted text and of what stands in brackets.
//!
//! The white space in question has no meaning, so it is changed where the parser stopped, and the document read again. What Go
//! refuses too is told by the reader ([`super::yaml`]), which looks at the text as written.

use super::position::Place;
use saphyr_parser::{Marker, ScanError};
use std::borrow::Cow;
use std::collections::HashMap;

/// How often one document is read again at most.
const ROUNDS: usize = 256;

/// Bytes that may be read again for one document; large documents get few rounds.
const BYTES: usize = 32 * 1024 * 1024;

/// A document's text, with white space changed.
#[derive(Debug)]
pub(super) struct Lenient<'t> {
    text: Cow<'t, str>,
    /// Spaces added before lines, counted from 1.
    shifts: HashMap<usize, usize>,
    /// Lines whose indentation, as written, has a tab, and how many characters that is.
    tabbed: HashMap<usize, usize>,
    /// What is enough indentation anywhere.
    wide: usize,
    rounds: usize,
}

impl<'t> Lenient<'t> {
    /// Starts with a text as written.
    pub(super) fn new(text: &'t str) -> Self {
        // blanks behind the last line break would count as a line of a block
        let last_line = text.rfind('\n').map_or(0, |at| at + 1);
        let is_blank = text.get(last_line..).is_some_and(|line| line.trim().is_empty());
        let text = if is_blank { text.get(..last_line).unwrap_or_default() } else { text };
        let indents = || text.lines().map(|line| line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()));
        let tabbed = indents().enumerate().filter_map(|(index, indent)| {
            indent.filter(|indent| indent.contains('\t')).map(|indent| (index + 1, indent.len()))
        });
        Self {
            text: Cow::Borrowed(text),
            shifts: HashMap::new(),
            tabbed: tabbed.collect(),
            wide: indents().flatten().map(str::len).max().unwrap_or_default() + 2,
            rounds: (BYTES / text.len().max(1)).clamp(4, ROUNDS),
        }
    }

    /// The text to read.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where a marker of the parser stands in the text as written.
    pub(super) fn place(&self, marker: Marker) -> Place {
        let line = marker.line().max(1);
        let shift = self.shifts.get(&line).copied().unwrap_or_default();
        Place { line, column: marker.col().saturating_sub(shift) + 1 }
    }

    /// Whether a marker stands behind an indentation with a tab.
    pub(super) fn is_behind_tab(&self, marker: Marker) -> bool {
        let place = self.place(marker);
        self.tabbed.get(&place.line).is_some_and(|indent| *indent + 1 == place.column)
    }

    /// Changes the white space at which the parser stopped. False: that is not what it stopped at.
    pub(super) fn repair(&mut self, error: &ScanError) -> bool {
        if self.rounds == 0 {
            return false;
        }
        self.rounds -= 1;
        let marker = *error.marker();
        let Some(at) = self.offset(marker) else { return false };
        let lines = match error.info() {
            "invalid indentation in quoted scalar" => self.quoted_lines(at, marker.line()),
            "invalid indentation" | "invalid indentation in flow construct" => vec![marker.line()],
            _ => return self.without_tab(at),
        };
        self.indent(&lines)
    }

    /// The bytes before a marker.
    fn offset(&self, marker: Marker) -> Option<usize> {
        let before = marker.line().checked_sub(1)?;
        let start: usize = self.text.split_inclusive('\n').take(before).map(str::len).sum();
        let columns: usize = self.text.get(start..)?.chars().take(marker.col()).map(char::len_utf8).sum();
        Some(start + columns)
    }

    /// Makes tabs right before a place spaces. No character moves.
    fn without_tab(&mut self, at: usize) -> bool {
        let Some((head, tail)) = self.text.split_at_checked(at) else { return false };
        let kept = head.trim_end_matches([' ', '\t']);
        let blanks = head.len() - kept.len();
        if !head.get(kept.len()..).is_some_and(|blanks| blanks.contains('\t')) {
            return false;
        }
        self.text = Cow::Owned(format!("{kept}{}{tail}", " ".repeat(blanks)));
        true
    }

    /// The further lines of the quoted text that begins at a place.
    fn quoted_lines(&self, at: usize, first: usize) -> Vec<usize> {
        let mut lines = Vec::new();
        let mut chars = self.text.get(at..).unwrap_or_default().chars();
        let Some(quote) = chars.next().filter(|c| matches!(c, '"' | '\'')) else { return lines };
        let mut line = first;
        let mut chars = chars.peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if quote == '"' && chars.peek() != Some(&'\n') => drop(chars.next()),
                '\'' if quote == '\'' && chars.peek() == Some(&'\'') => drop(chars.next()),
                '\n' => {
                    line += 1;
                    lines.push(line);
                }
                c if c == quote => break,
                _ => {}
            }
        }
        lines
    }

    /// Indents lines, each once.
    fn indent(&mut self, lines: &[usize]) -> bool {
        let new: Vec<usize> = lines.iter().copied().filter(|line| !self.shifts.contains_key(line)).collect();
        if new.is_empty() {
            return false;
        }
        let mut text = String::with_capacity(self.text.len() + new.len() * self.wide);
        for (index, line) in self.text.split_inclusive('\n').enumerate() {
            // an empty line stays one: it is a line break in quoted text
            if new.contains(&(index + 1)) && !line.trim().is_empty() {
                text.push_str(&" ".repeat(self.wide));
            }
            text.push_str(line);
        }
        self.text = Cow::Owned(text);
        self.shifts.extend(new.into_iter().map(|line| (line, self.wide)));
        true
    }
}
