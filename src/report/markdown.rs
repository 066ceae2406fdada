//! Markdown for a comment on a merge request: the numbers first, then object after object, the worst first, in a size that every
//! forge takes. What is left out is told.

use super::overview::{Count, Overview};
use super::page::{Page, Verdict, name, place, plain, plural};
use super::{Judged, Violation};
use crate::decision::{field_path, inline};
use std::io::{self, Write};

/// Bytes of a comment. GitHub takes 65,536 characters, other forges more.
pub const MOST_BYTES: usize = 60_000;
/// Rows of a table.
const ROWS: usize = 40;
/// Findings of one object.
const FINDINGS: usize = 20;
/// Characters of one text.
const LONGEST: usize = 500;

/// Writes the comment.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut text = head(page)?;
    // room for the last line
    let room = MOST_BYTES - 200;
    let (mut objects, mut findings) = (0, 0);
    for worst in Verdict::ALL {
        page.results.each(&mut |judged| {
            if worst_of(page, judged) != Some(worst) {
                return Ok(());
            }
            let block = object(page, judged);
            if objects > 0 || text.len() + block.len() > room {
                objects += 1;
                findings += judged.violations.len();
            } else {
                text.push_str(&block);
            }
            Ok(())
        })?;
    }
    if objects > 0 {
        text.push_str(&format!(
            "\n{} with {} left out of this comment.\n",
            plural(objects, "object", "objects"),
            plural(findings, "finding", "findings")
        ));
    }
    out.write_all(text.as_bytes())
}

fn worst_of(page: &Page<'_>, judged: &Judged) -> Option<Verdict> {
    judged.violations.iter().map(|violation| page.view.of(&violation.finding)).min()
}

/// The numbers.
fn head(page: &Page<'_>) -> io::Result<String> {
    let overview = Overview::of(page.results, page.view)?;
    let sum = page.results.summary();
    let total = |verdict| overview.namespaces.values().map(|count| count.of(verdict)).sum::<usize>();
    let mut text = format!(
        "### Seawall: {}, {} in {}\n\n",
        plural(total(Verdict::Deny), "denial", "denials"),
        plural(total(Verdict::Warn), "warning", "warnings"),
        plural(sum.resources, "object", "objects")
    );
    let gaps = page.gaps();
    if !gaps.is_empty() {
        text.push_str("**Incomplete.** This was not read or not judged:\n\n");
        gaps.iter().take(FINDINGS).for_each(|gap| text.push_str(&format!("- {}\n", escaped(gap))));
        if gaps.len() > FINDINGS {
            text.push_str(&format!("- and {} more\n", gaps.len() - FINDINGS));
        }
        text.push('\n');
    }
    if sum.unknown > 0 {
        let answers = plural(sum.unknown, "answer is missing", "answers are missing");
        text.push_str(&format!("{answers} for want of facts.\n\n"));
    }
    if sum.patched > 0 {
        let objects = plural(sum.patched, "object gets", "objects get");
        text.push_str(&format!("{objects} safe defaults when applied.\n\n"));
    }
    let rows: Vec<(String, Count)> =
        overview.by_policy().map(|(id, item, count)| (format!("{} ({})", cell(id), escaped(item)), count)).collect();
    table(page, "policy", &rows, &mut text);
    if overview.by_namespace().count() > 1 {
        let shown = |name: &str| if name.is_empty() { "(no namespace)".to_owned() } else { cell(name) };
        let rows: Vec<(String, Count)> = overview.by_namespace().map(|(name, count)| (shown(name), count)).collect();
        table(page, "namespace", &rows, &mut text);
    }
    Ok(text)
}

fn table(page: &Page<'_>, head: &str, rows: &[(String, Count)], text: &mut String) {
    if rows.is_empty() {
        return;
    }
    let words = Verdict::ALL.map(|verdict| page.view.word(verdict)).join(" | ");
    text.push_str(&format!("| {head} | {words} | objects |\n| --- | ---: | ---: | ---: | ---: | ---: |\n"));
    for (name, count) in rows.iter().take(ROWS) {
        let numbers = Verdict::ALL.map(|verdict| count.of(verdict).to_string()).join(" | ");
        text.push_str(&format!("| {name} | {numbers} | {} |\n", count.objects));
    }
    if rows.len() > ROWS {
        text.push_str(&format!("\n{} more of {} left out.\n", rows.len() - ROWS, rows.len()));
    }
    text.push('\n');
}

fn object(page: &Page<'_>, judged: &Judged) -> String {
    let at = if judged.source.line > 0 { format!(", {}", code(&place(&judged.source))) } else { String::new() };
    let mut text = format!("\n#### {}{at}\n\n", code(&name(&judged.resource)));
    let mut violations: Vec<&Violation> = judged.violations.iter().collect();
    violations.sort_by_key(|violation| page.view.of(&violation.finding));
    for Violation { finding, source } in violations.iter().take(FINDINGS) {
        let verdict = page.view.word(page.view.of(finding));
        let part = finding.expanded_from.as_ref().map(|part| format!("{} ", code(part))).unwrap_or_default();
        let field = code(&field_path(&finding.path));
        let message = escaped(finding.message.trim());
        text.push_str(&format!("- **{verdict}** {} {part}{field}: {message}\n", code(&finding.policy)));
        let found = finding.found.as_ref().map(|found| format!("found {}, ", code(&inline(found)))).unwrap_or_default();
        let line = if source.line > 0 { format!(" (line {})", source.line) } else { String::new() };
        let (wanted, fix) = (code(&inline(&finding.wanted)), escaped(&finding.fix));
        text.push_str(&format!("  {found}wanted {wanted}.\n  **Fix:** {fix}{line}\n"));
        if let Some(note) = &finding.note {
            text.push_str(&format!("  Note: {}\n", escaped(note)));
        }
    }
    if violations.len() > FINDINGS {
        text.push_str(&format!("- and {} more\n", violations.len() - FINDINGS));
    }
    text
}

/// At most [`LONGEST`] characters on one line.
fn short(text: &str) -> String {
    let text = plain(text);
    if text.chars().count() > LONGEST { text.chars().take(LONGEST - 1).chain(['…']).collect() } else { text }
}

/// A code span: nothing in it is markup, a mention or a link. Its fence is longer than any run of backticks in it
/// (CommonMark 0.31 6.1).
pub(crate) fn code(text: &str) -> String {
    let text = short(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // blanks at both ends are taken away, so backticks may stand at the ends; text of blanks only keeps them
    if text.trim().is_empty() { "``".repeat(usize::from(!text.is_empty())) } else { format!("{fence} {text} {fence}") }
}

/// A code span in a cell, where a bar needs a backslash even in code (GitHub Flavored Markdown 4.10).
pub(crate) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text that means itself: no markup, no HTML, no link, and nobody is called by `@name` or an issue by `#1`.
pub(crate) fn escaped(text: &str) -> String {
    let text = short(text);
    let mut out = String::new();
    let mut previous = ' ';
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // forges look for these after the Markdown is read, so only what stands between helps
            '@' => out.push_str("@\u{200b}"),
            '#' => out.push_str("\\#\u{200b}"),
            // bare links: `http://`, `www.`
            ':' => out.push_str("&#58;"),
            '.' if previous == 'w' || previous == 'W' => out.push_str("&#46;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '!' | '|' | '~' | '=' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        previous = c;
    }
    out
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
