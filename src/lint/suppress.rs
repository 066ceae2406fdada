//! Comments that silence a finding: `# seawall-lint: ignore CODE reason` above the line, or above `# METADATA` for the block.

use super::codes;
use super::set::Set;
use super::{Found, Raw};
use crate::engine::analysis::Place;
use std::collections::BTreeMap;

const SIGN: &str = "seawall-lint:";

struct Comment {
    place: Place,
    code: String,
    /// The lines that it is about.
    lines: (u64, u64),
    used: bool,
}

/// Takes away what is silenced, and adds what is wrong with the comments themselves.
pub(super) fn apply(set: &Set, raw: &mut Vec<Raw>) {
    let mut found = Found::default();
    let mut comments: BTreeMap<&str, Vec<Comment>> = BTreeMap::new();
    for (file, text) in set.rego().filter(|(file, _)| set.is_linted(file)) {
        let read = read(file, text, &mut found);
        if !read.is_empty() {
            comments.insert(file, read);
        }
    }
    raw.retain(|finding| {
        let Some(comments) = comments.get_mut(finding.place.file.as_str()) else { return true };
        let line = finding.place.line;
        let silences = |c: &&mut Comment| c.code == finding.code && c.lines.0 <= line && line <= c.lines.1;
        match comments.iter_mut().find(silences) {
            Some(comment) => {
                comment.used = true;
                false
            }
            None => true,
        }
    });
    for comment in comments.into_values().flatten().filter(|comment| !comment.used) {
        let message = format!("nothing on the line below is {}", comment.code);
        found.add("lint/unused-ignore", comment.place, message, "remove the comment");
    }
    raw.append(&mut found.0);
}

/// Whether a finding of a code on a line is silenced.
pub(super) fn is_ignored(text: &str, line: u64, code: &str) -> bool {
    text.contains(SIGN)
        && read("", text, &mut Found::default())
            .iter()
            .any(|c| c.code == code && c.lines.0 <= line && line <= c.lines.1)
}

fn read(file: &str, text: &str, found: &mut Found) -> Vec<Comment> {
    let lines: Vec<&str> = text.lines().collect();
    let number = |index: usize| u64::try_from(index + 1).unwrap_or(u64::MAX);
    let mut comments = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some((before, said)) = line.split_once(SIGN).filter(|(before, _)| before.trim() == "#") else { continue };
        let column = u64::try_from(before.chars().count() + 1).unwrap_or(1);
        let place = Place { file: file.to_owned(), line: number(index), column };
        let mut words = said.split_whitespace();
        let (word, code, reason) = (words.next(), words.next().unwrap_or_default(), words.next());
        let example = "write `# seawall-lint: ignore rego/unused-rule why it is right here`";
        if word != Some("ignore") || code.is_empty() {
            found.add("lint/ignore", place, "the comment is not understood", example);
            continue;
        }
        if codes::get(code).is_none() {
            let message = format!("no such code: {code:?}{}", codes::closest_code(code));
            found.add("lint/ignore", place, message, "`seawall lint --explain all` lists them");
            continue;
        }
        if reason.is_none() {
            found.add("lint/ignore", place, "the comment gives no reason", example);
            continue;
        }
        // the next line that is no comment; above a METADATA block, all of the block and the package line
        let rest = lines.get(index + 1..).unwrap_or_default();
        let skipped = rest.iter().take_while(|line| line.trim_start().starts_with('#')).count();
        let block = rest.iter().take(skipped).position(|line| line.trim_end() == "# METADATA");
        let last = number(index + 1 + skipped);
        let first = block.map_or(last, |block| number(index + 1 + block));
        comments.push(Comment { place, code: code.to_owned(), lines: (first, last), used: false });
    }
    comments
}
