//! Markdown as plain text for a terminal: headings, paragraphs, lists, tables and code, in lines of bounded length. Enough for
//! the pages of policies; what it does not know stays as it is written.

use super::text::behind;
use crate::report::page::plain;
use crate::report::text::{Ink, Style};
use std::io::{self, Write};

/// Writes a page.
///
/// # Errors
/// When it cannot be written.
pub fn write(text: &str, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut lines = text.lines().peekable();
    let mut code = false;
    while let Some(line) = lines.next() {
        if line.trim_start().starts_with("```") {
            code = !code;
            continue;
        }
        if code {
            writeln!(out, "    {}", style.paint(Ink::Dim, &plain(line)))?;
            continue;
        }
        let trimmed = line.trim();
        if let Some(title) = heading(trimmed) {
            writeln!(out, "{}", style.paint(Ink::Bold, &inline(title)))?;
        } else if trimmed.starts_with('|') {
            let mut rows = vec![trimmed];
            while let Some(next) = lines.next_if(|next| next.trim().starts_with('|')) {
                rows.push(next.trim());
            }
            table(&rows, out)?;
        } else if trimmed.is_empty() {
            writeln!(out)?;
        } else {
            let (label, first) = item(line);
            let mut words = first.to_owned();
            // lines of one paragraph or item belong together
            while let Some(next) = lines.next_if(|next| continues(next)) {
                words.push(' ');
                words.push_str(next.trim());
            }
            behind(out, &label, label.chars().count(), &inline(&words))?;
        }
    }
    Ok(())
}

fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#');
    (title.len() < line.len() && title.starts_with(' ')).then(|| title.trim())
}

/// The label of a list item, and what stands behind it; no label for a paragraph.
fn item(line: &str) -> (String, &str) {
    let trimmed = line.trim_start();
    let indent = line.len() - trimmed.len();
    let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
    let number = trimmed.get(digits..).and_then(|rest| rest.strip_prefix(". ")).filter(|_| digits > 0);
    let bullet = trimmed.strip_prefix("- ").or_else(|| trimmed.strip_prefix("* "));
    match (bullet, number) {
        (Some(rest), _) => (format!("{}  - ", " ".repeat(indent)), rest),
        (None, Some(rest)) => {
            let number = trimmed.get(..digits).unwrap_or_default();
            (format!("{}  {number}. ", " ".repeat(indent)), rest)
        }
        (None, None) => (String::new(), trimmed),
    }
}

fn continues(line: &str) -> bool {
    let trimmed = line.trim();
    let begins = heading(trimmed).is_some() || trimmed.starts_with('|') || trimmed.starts_with("```");
    !trimmed.is_empty() && !begins && item(line).0.is_empty()
}

/// Columns side by side; the row of dashes becomes a line.
fn table(rows: &[&str], out: &mut dyn Write) -> io::Result<()> {
    let split = |row: &&str| -> Vec<String> {
        // `\|` is no border
        let row = row.trim_matches('|').replace("\\|", "\u{0}");
        row.split('|').map(|cell| inline(&cell.trim().replace('\u{0}', "|"))).collect()
    };
    let rows: Vec<Vec<String>> = rows.iter().map(split).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| !is_border(row)).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default().min(40)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut label = String::from("  ");
        let last = columns.saturating_sub(1);
        for (column, width) in widths.iter().enumerate().take(last) {
            let cell = row.get(column).map(String::as_str).unwrap_or_default();
            let cell = if is_border(row) { "-".repeat(*width) } else { cell.to_owned() };
            label.push_str(&format!("{cell:<width$}  "));
        }
        let cell = match row.get(last) {
            _ if is_border(row) => "-".repeat(widths.get(last).copied().unwrap_or_default()),
            Some(cell) => cell.clone(),
            None => String::new(),
        };
        behind(out, &label, label.chars().count(), &cell)?;
    }
    Ok(())
}

fn is_border(row: &[String]) -> bool {
    row.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':')))
}

/// Words without emphasis; a link is its text, and its address where that says more.
fn inline(text: &str) -> String {
    let mut words = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let parts = link.split_once("](").and_then(|(label, tail)| Some((label, tail.split_once(')')?)));
        match parts.filter(|(label, _)| !label.contains(['[', '\n'])) {
            Some((label, (address, tail))) => {
                words.push_str(before);
                words.push_str(label);
                if address.contains("://") && address != label {
                    words.push_str(&format!(" ({address})"));
                }
                rest = tail;
            }
            None => {
                words.push_str(before);
                words.push('[');
                rest = link;
            }
        }
    }
    words.push_str(rest);
    plain(&words.replace("**", "").replace("<https://", "https://").replace(">.", "."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_like_text() {
        let page = "# title\n\nOne **bold** word\nand a [link](https://x.test/a), [here](other.md).\n\n- first\n  goes on\n- second\n  1. inner\n\n\
                    | key | meaning |\n| --- | --- |\n| `a` | one |\n| longer \\| key | two |\n\n```yaml\na: [1]\n```\n[not a link\n";
        let mut out = Vec::new();
        write(page, Style { colour: false }, &mut out).unwrap();
        let wanted = [
            "title",
            "",
            "One bold word and a link (https://x.test/a), here.",
            "",
            "  - first goes on",
            "  - second",
            "    1. inner",
            "",
            "  key           meaning",
            "  ------------  -------",
            "  `a`           one",
            "  longer | key  two",
            "",
            "    a: [1]",
            "[not a link",
        ];
        assert_eq!(String::from_utf8(out).unwrap().lines().collect::<Vec<_>>(), wanted);
    }
}
