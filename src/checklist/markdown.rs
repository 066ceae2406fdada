//! The scorecard as Markdown (GitHub's tables), for a wiki or a pull request.

use super::words::{gap, name, object, place, title, wanted, workloads};
use super::{About, Cell, Found, ITEMS, Row, Scorecard, State};
use crate::policy::metadata::CHECKLIST;
use crate::report::markdown::escaped as text;
use std::io::{self, Write};

/// Writes the scorecard.
///
/// # Errors
/// When it cannot be written, or the rows cannot be read back.
pub fn write(card: &Scorecard, about: &About, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Checklist\n")?;
    writeln!(
        out,
        "{} of {}, judged {}; {} cells open.\n",
        workloads(card.len()),
        text(&about.of),
        about.judged_at,
        card.open()
    )?;
    incomplete(about, out)?;
    if card.passed_over > 0 {
        writeln!(out, "Not judged, for mode off: {}.\n", workloads(card.passed_over))?;
    }
    tasks(card, out)?;
    table(card, "The checklist", 0..ITEMS, out)?;
    table(card, "Further advice", ITEMS..CHECKLIST.len(), out)?;
    items(card, out)?;
    details(card, out)
}

fn incomplete(about: &About, out: &mut dyn Write) -> io::Result<()> {
    if about.is_complete() {
        return Ok(());
    }
    writeln!(out, "**INCOMPLETE**: not everything was seen or judged.\n")?;
    for missing in about.coverage.iter().flat_map(|coverage| &coverage.missing) {
        writeln!(out, "- {}: {}", text(&missing.resource), text(&missing.reason))?;
    }
    for error in &about.errors {
        let at = error.source.as_ref().map(|s| format!("{}:{}: ", s.file, s.line)).unwrap_or_default();
        writeln!(out, "- {}", text(&format!("{at}{}", error.message)))?;
    }
    writeln!(out)
}

fn tasks(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## Next tasks\n")?;
    if card.open() == 0 {
        return writeln!(out, "Nothing is open.\n");
    }
    writeln!(out, "| tier | workload | item | what is wrong | fix |\n| --- | --- | --- | --- | --- |")?;
    card.tasks(&mut |row, item, found| {
        let Row { tier, resource, .. } = row;
        let wrong = format!("{}: {}", place(found, resource), found.message.trim());
        let fix = format!("{} (wanted {})", found.fix, wanted(found));
        writeln!(out, "| {tier} | {} | {item} | {} | {} |", text(&object(resource)), text(&wrong), text(&fix))
    })?;
    writeln!(out)
}

fn table(card: &Scorecard, heading: &str, columns: std::ops::Range<usize>, out: &mut dyn Write) -> io::Result<()> {
    if card.is_empty() {
        return Ok(());
    }
    let within = |position: usize| columns.contains(&position);
    writeln!(out, "## {heading}\n")?;
    let ids: Vec<&str> = CHECKLIST.iter().enumerate().filter(|(at, _)| within(*at)).map(|(_, id)| *id).collect();
    writeln!(out, "| workload | tier | {} |", ids.join(" | "))?;
    writeln!(out, "|{}", " --- |".repeat(ids.len() + 2))?;
    card.each(&mut |row| {
        let cells: Vec<String> =
            row.cells.iter().enumerate().filter(|(at, _)| within(*at)).map(|(_, cell)| word(cell)).collect();
        writeln!(out, "| {} | {} | {} |", text(&name(&row.resource)), row.tier, cells.join(" | "))
    })?;
    writeln!(out)
}

fn word(cell: &Cell) -> String {
    match (cell.state, cell.worst()) {
        (State::Open, Some(worst)) => format!("**open** ({}, {})", worst.severity, worst.in_enforce),
        (State::Exempt, _) => format!("exempt until {}", cell.exempt_until.as_deref().unwrap_or("?")),
        (State::Unknown, _) if cell.unknown == [super::Gap::NoPolicy] => "no policy yet".to_owned(),
        (state, _) => state.as_str().to_owned(),
    }
}

fn items(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "## Items\n\n| item | asks for | policies | open | exempt | unknown | met |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    )?;
    for item in &card.items {
        let counts = item.counts;
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            item.id,
            title(item.id),
            item.policies.len(),
            counts.open,
            counts.exempt,
            counts.unknown,
            counts.met
        )?;
    }
    writeln!(out)
}

fn details(card: &Scorecard, out: &mut dyn Write) -> io::Result<()> {
    card.each(&mut |row| {
        let worth = |cell: &Cell| !cell.found.is_empty() || cell.unknown.iter().any(|g| *g != super::Gap::NoPolicy);
        if !row.cells.iter().any(worth) {
            return Ok(());
        }
        writeln!(out, "## {} ({})\n", text(&object(&row.resource)), row.tier)?;
        for (item, cell) in row.items().filter(|(_, cell)| worth(cell)) {
            writeln!(out, "- {item}: {}", word(cell))?;
            for found in &cell.found {
                writeln!(out, "  - {}", finding(found, row))?;
            }
            for why in &cell.unknown {
                writeln!(out, "  - not known: {}", text(&gap(why)))?;
            }
        }
        writeln!(out)
    })
}

fn finding(found: &Found, row: &Row) -> String {
    let until = found.exempt_until.as_ref().map(|day| format!(" Exempt until {day}.")).unwrap_or_default();
    let note = found
        .note
        .as_ref()
        .filter(|_| found.exempt_until.is_none())
        .map(|n| format!(" Note: {n}."))
        .unwrap_or_default();
    text(&format!(
        "[{}] {}: {} Fix: {} (wanted {}).{until}{note}",
        found.policy,
        place(found, &row.resource),
        found.message.trim(),
        found.fix,
        wanted(found)
    ))
}
