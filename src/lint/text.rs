//! Findings for a person: place, code, what is wrong, the line with a caret, what to write, and the page.

use super::{Finding, Level, Report};
use crate::report::page::{plain, plural};
use crate::report::text::{Ink, Style};
use std::io::{self, Write};

/// Characters of a source line that are shown.
const SHOWN: usize = 80;

/// Writes all findings and the numbers.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for finding in &report.findings {
        self::finding(finding, style, out)?;
        writeln!(out)?;
    }
    for note in &report.notes {
        writeln!(out, "note: {}", plain(note))?;
    }
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    let line = format!(
        "{} and {} of the library: {}, {}",
        plural(report.policies, "policy", "policies"),
        plural(report.libraries, "module", "modules"),
        plural(errors, "error", "errors"),
        plural(warnings, "warning", "warnings")
    );
    let ink = match (errors, warnings) {
        (0, 0) => Ink::Green,
        (0, _) => Ink::Yellow,
        _ => Ink::Red,
    };
    writeln!(out, "{}", style.paint(ink, &line))
}

fn finding(finding: &Finding, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Finding { code, level, place, message, fix, .. } = finding;
    let ink = if *level == Level::Error { Ink::Red } else { Ink::Yellow };
    let word = style.paint(ink, &format!("{}[{}]", level.as_str(), code.name));
    writeln!(out, "{}: {word}", style.paint(Ink::Bold, &plain(&place.to_string())))?;
    writeln!(out, "  {}", wrapped(&plain(message), 2))?;
    if let Some(line) = &finding.excerpt {
        let (text, caret) = excerpt(line, place.column, finding.width);
        let number = place.line.to_string();
        writeln!(out, "  {number} | {text}")?;
        writeln!(out, "  {:width$} | {}", "", style.paint(ink, &caret), width = number.len())?;
    }
    writeln!(out, "  fix: {}", wrapped(&plain(fix), 7))?;
    writeln!(out, "  see: seawall lint --explain {} ({})", code.name, code.page())
}

/// Text in lines of at most 100 columns; those after the first are indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let fits = |line: &String| line.is_empty() || indent + line.chars().count() + 1 + word.chars().count() <= 100;
        match lines.last_mut().filter(|line| fits(line)) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// The line with tabs as four blanks, around the column, and carets below it.
fn excerpt(line: &str, column: u64, width: usize) -> (String, String) {
    let start = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    let cells = |c: char| if c == '\t' { 4 } else { 1 };
    // a line of any length is cut around what is meant
    let skip =
        if line.chars().take(start + width).map(cells).sum::<usize>() > SHOWN { start.saturating_sub(20) } else { 0 };
    let shown: Vec<char> = line.chars().skip(skip).take(SHOWN).collect();
    let text: String =
        shown.iter().map(|c| if *c == '\t' { "    ".to_owned() } else { plain(&c.to_string()) }).collect();
    let before: usize = shown.iter().take(start - skip.min(start)).map(|c| cells(*c)).sum();
    let room = shown.len().saturating_sub(start - skip.min(start)).max(1);
    (text.trim_end().to_owned(), format!("{}{}", " ".repeat(before), "^".repeat(width.clamp(1, room))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_what_is_meant() {
        assert_eq!(excerpt("\tx := y", 7, 1), ("    x := y".to_owned(), "         ^".to_owned()));
        assert_eq!(excerpt("äb c", 4, 9), ("äb c".to_owned(), "   ^".to_owned()));
        assert_eq!(excerpt("", 9, 3).1.trim(), "^");
        let long = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let (text, caret) = excerpt(&long, 501, 1);
        assert_eq!(text.chars().nth(caret.len() - 1), Some('x'));
        assert!(text.len() <= SHOWN);
    }
}
