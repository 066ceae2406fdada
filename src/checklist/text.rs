//! The scorecard for a terminal, 80 columns wide: one letter for each cell, the tasks below.

use super::words::{clean, gap, name, object, place, title, wanted, workloads};
use super::{About, Cell, Found, ITEMS, Row, Scorecard, State};
use crate::policy::metadata::CHECKLIST;
use crate::policy::mode::Action;
use crate::report::text::{Ink, Style};
use std::io::{self, Write};

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns of a workload's name in the table.
const NAME: usize = 29;

/// How to write.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Colours.
    pub style: Style,
    /// Signs beyond ASCII, where the terminal shows them.
    pub unicode: bool,
}

/// The sign of a cell. Open ones say how much it matters: would be rejected, would warn, is recorded.
fn sign(cell: &Cell, look: Look) -> (&'static str, Ink) {
    match (cell.state, cell.worst().map(|worst| worst.in_enforce)) {
        (State::Open, Some(Action::Deny)) => (if look.unicode { "✗" } else { "X" }, Ink::Red),
        (State::Open, Some(Action::Warn)) => ("!", Ink::Yellow),
        (State::Open, _) => ("o", Ink::Cyan),
        (State::Met, _) => (if look.unicode { "✓" } else { "+" }, Ink::Green),
        (State::Exempt, _) => ("e", Ink::Dim),
        (State::Unknown, _) if cell.unknown == [super::Gap::NoPolicy] => {
            (if look.unicode { "·" } else { "." }, Ink::Dim)
        }
        (State::Unknown, _) => ("?", Ink::Dim),
    }
}

/// The name of a column: 1 to 13 for the checklist, a to l for the further advice.
fn column(position: usize) -> String {
    match position.checked_sub(ITEMS).and_then(|further| u8::try_from(further).ok()) {
        Some(further) => char::from(b'a'.saturating_add(further)).to_string(),
        None => (position + 1).to_string(),
    }
}

/// Writes the scorecard.
///
/// # Errors
/// When it cannot be written, or the rows cannot be read back.
pub fn write(card: &Scorecard, about: &About, look: Look, out: &mut dyn Write) -> io::Result<()> {
    if card.is_empty() {
        writeln!(
            out,
            "No workload: no StatefulSet, no Deployment that runs a database or mounts a\nclaim, no resource of an operator."
        )?;
    } else {
        table(card, look, out)?;
        legend(card, look, out)?;
        tasks(card, look, out)?;
        gaps(card, look, out)?;
    }
    foot(card, about, look, out)
}

fn table(card: &Scorecard, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let (mut upper, mut lower) = (String::new(), String::new());
    for position in 0..CHECKLIST.len() {
        let column = column(position);
        let gap = if position < ITEMS {
            " "
        } else if position == ITEMS {
            "  "
        } else {
            ""
        };
        let (tens, ones) = column.split_at(column.len() - 1);
        upper.push_str(&format!("{gap}{tens:>1}"));
        lower.push_str(&format!("{gap}{ones}"));
    }
    writeln!(out, "{}", format!("{:NAME$} {:6} {upper}", "", "").trim_end())?;
    writeln!(out, "{}", look.style.paint(Ink::Bold, &format!("{:NAME$} {:6} {lower}", "workload", "tier")))?;
    card.each(&mut |row| {
        write!(out, "{} {:6} ", cell_of(&clean(&name(&row.resource)), NAME, look), row.tier)?;
        for (position, cell) in row.cells.iter().enumerate() {
            let gap = if position < ITEMS {
                " "
            } else if position == ITEMS {
                "  "
            } else {
                ""
            };
            let (text, ink) = sign(cell, look);
            write!(out, "{gap}{}", look.style.paint(ink, text))?;
        }
        writeln!(out)
    })?;
    writeln!(out)
}

fn legend(card: &Scorecard, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let (met, denied, none) = if look.unicode { ("✓", "✗", "·") } else { ("+", "X", ".") };
    writeln!(out, "{met} met   open: {denied} would be rejected  ! would warn  o is recorded   e exempt")?;
    writeln!(out, "? not known   {none} no loaded policy covers it yet")?;
    writeln!(out)?;
    let heading = format!("   {:53}  open exempt unkn.  met", "item");
    writeln!(out, "{}", look.style.paint(Ink::Bold, &heading))?;
    for (position, item) in card.items.iter().enumerate() {
        if position == ITEMS {
            writeln!(out, "   further advice")?;
        }
        let counts = item.counts;
        writeln!(
            out,
            "{:>2} {:19} {:33} {:>5} {:>6} {:>5} {:>4}",
            column(position),
            item.id,
            title(item.id),
            counts.open,
            counts.exempt,
            counts.unknown,
            counts.met
        )?;
    }
    writeln!(out)
}

fn tasks(card: &Scorecard, look: Look, out: &mut dyn Write) -> io::Result<()> {
    if card.open() == 0 {
        return writeln!(out, "Nothing is open.\n");
    }
    writeln!(out, "{}", look.style.paint(Ink::Bold, "Next tasks, worst tier first"))?;
    let mut tier = None;
    let mut number = 0_usize;
    card.tasks(&mut |row, item, found| {
        if tier != Some(row.tier) {
            tier = Some(row.tier);
            writeln!(out, "{}", look.style.paint(Ink::Bold, row.tier.as_str()))?;
        }
        number += 1;
        task(number, row, item, found, look, out)
    })?;
    writeln!(out)
}

fn task(number: usize, row: &Row, item: &str, found: &Found, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let open = row.cells.iter().filter(|cell| cell.state == State::Open).count();
    let more = if open > 1 { format!(" ({} more open)", open - 1) } else { String::new() };
    let ink = if found.in_enforce == Action::Deny { Ink::Red } else { Ink::Yellow };
    let heading = format!("{}{more}", object(&row.resource));
    wrapped(&format!("{number:>3}. "), &clean(&heading), Some((Ink::Bold, look)), out)?;
    let what = format!("{item} [{}] {}, {}", found.policy, found.severity, found.in_enforce);
    wrapped("     ", &clean(&what), Some((ink, look)), out)?;
    let at = if row.source.is_some() || found.object != row.resource {
        place(found, &row.resource)
    } else {
        found.field.clone()
    };
    wrapped("     ", &clean(&format!("{at}: {}", found.message.trim())), None, out)?;
    wrapped("     wanted: ", &clean(&wanted(found)), None, out)?;
    wrapped("     fix:    ", &clean(&found.fix), None, out)?;
    match &row.source {
        Some(source) => wrapped("     at:     ", &clean(&format!("{}:{}", source.file, source.line)), None, out),
        None => Ok(()),
    }
}

/// Why cells are not known, the most frequent first.
fn gaps(card: &Scorecard, look: Look, out: &mut dyn Write) -> io::Result<()> {
    let mut gaps: Vec<(&super::Gap, &usize)> =
        card.gaps.iter().filter(|(gap, _)| **gap != super::Gap::NoPolicy).collect();
    if gaps.is_empty() {
        return Ok(());
    }
    gaps.sort_by(|a, b| (b.1, a.0).cmp(&(a.1, b.0)));
    writeln!(out, "{}", look.style.paint(Ink::Bold, "Not known (cells)"))?;
    let shown = 20;
    for (why, cells) in gaps.iter().take(shown) {
        wrapped(&format!("{cells:>4} "), &clean(&gap(why)), None, out)?;
    }
    if gaps.len() > shown {
        writeln!(out, "     and {} more reasons; see --format json", gaps.len() - shown)?;
    }
    writeln!(out)
}

fn foot(card: &Scorecard, about: &About, look: Look, out: &mut dyn Write) -> io::Result<()> {
    for error in &about.errors {
        let at = error.source.as_ref().map(|s| format!("{}:{}: ", s.file, s.line)).unwrap_or_default();
        let policy = error.policy.as_ref().map(|p| format!("[{p}] ")).unwrap_or_default();
        wrapped("error: ", &clean(&format!("{at}{policy}{}", error.message)), None, out)?;
    }
    if card.passed_over > 0 {
        writeln!(out, "{} not judged: mode off", workloads(card.passed_over))?;
    }
    let open = card.open();
    let cells = if open == 1 { "1 cell".to_owned() } else { format!("{open} cells") };
    let line = format!("{}, {cells} open, judged {}", workloads(card.len()), about.judged_at);
    let ink = if open > 0 { Ink::Yellow } else { Ink::Green };
    writeln!(out, "{}", look.style.paint(ink, &line))?;
    if about.is_complete() {
        return Ok(());
    }
    writeln!(out, "{}", look.style.paint(Ink::Red, "INCOMPLETE: not everything was seen or judged"))?;
    for missing in about.coverage.iter().flat_map(|coverage| &coverage.missing) {
        wrapped("  ", &clean(&format!("{}: {}", missing.resource, missing.reason)), None, out)?;
    }
    Ok(())
}

/// Text cut or filled to a width.
fn cell_of(text: &str, columns: usize, look: Look) -> String {
    if width(text) <= columns {
        return format!("{text}{}", " ".repeat(columns - width(text)));
    }
    let end = if look.unicode { "…" } else { "~" };
    let mut cut = String::new();
    for c in text.chars() {
        if width(&cut) + columns_of(c) + 1 > columns {
            break;
        }
        cut.push(c);
    }
    cut.push_str(end);
    let filled = columns.saturating_sub(width(&cut));
    format!("{cut}{}", " ".repeat(filled))
}

/// Writes text in lines of at most [`WIDTH`] columns, the first behind `head`, the others indented as far.
fn wrapped(head: &str, text: &str, ink: Option<(Ink, Look)>, out: &mut dyn Write) -> io::Result<()> {
    let room = WIDTH.saturating_sub(width(head)).max(20);
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word = word;
        while let Some(line) = lines.last_mut() {
            let used = width(line) + usize::from(!line.is_empty());
            if used + width(word) <= room {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
                break;
            }
            if line.is_empty() {
                // longer than a line
                let mut columns = 0;
                let end = word.char_indices().find(|(_, c)| {
                    columns += columns_of(*c);
                    columns > room
                });
                let (now, later) = word.split_at(end.map_or(word.len(), |(at, _)| at));
                line.push_str(now);
                word = later;
            }
            lines.push(String::new());
        }
    }
    for (position, line) in lines.iter().enumerate() {
        let line = ink.map_or_else(|| line.clone(), |(ink, look)| look.style.paint(ink, line));
        let head = if position == 0 { head.to_owned() } else { " ".repeat(width(head)) };
        writeln!(out, "{head}{line}")?;
    }
    Ok(())
}

fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// Columns of a character on a terminal: two for those of East Asian scripts and pictures (Unicode Standard Annex 11).
fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3ffff => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_at_80_columns_whatever_stands_in_them() {
        for text in ["a ".repeat(200), "x".repeat(400), "日本".repeat(100), String::new()] {
            let mut out = Vec::new();
            wrapped("  12. ", &text, None, &mut out).unwrap();
            let written = String::from_utf8(out).unwrap();
            assert!(written.lines().all(|line| width(line) <= WIDTH), "{written}");
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
            assert_eq!(letters(&written), letters(&text) + 3, "{written}");
        }
    }

    #[test]
    fn names_are_cut() {
        let look = Look { style: Style { colour: false }, unicode: false };
        assert_eq!(cell_of("abc", 5, look), "abc  ");
        assert_eq!(cell_of("abcdef", 5, look), "abcd~");
        assert_eq!(width(&cell_of("日本語日本語", 6, look)), 6);
    }

    #[test]
    fn columns_have_short_names() {
        assert_eq!((column(0), column(12), column(13), column(24)), ("1".into(), "13".into(), "a".into(), "l".into()));
    }
}
