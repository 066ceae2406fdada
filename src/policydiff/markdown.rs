//! A comparison for a comment on a pull request: the blast radius first, then what changes, in a size that every forge takes.

use super::Report;
use super::change::Change;
use super::sets::{Changed, SetChanges};
use super::tally::{Example, Group, Radius, Tally};
use super::text::{HEADS, actions, details, namespace, numbers, object, side, summary, value};
use crate::report::markdown::{MOST_BYTES, cell, code, escaped};
use std::io::{self, Write};

/// Rows of a table.
const ROWS: usize = 40;

/// Writes the comment.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let Report { old, new, sets, objects, verbose } = *report;
    let mut text = match objects {
        Some(tally) => head(tally),
        None => "### Seawall policy diff\n\n".to_owned(),
    };
    text.push_str(&format!("{} &rarr; {}\n\n", code(&side(old)), code(&side(new))));
    if let Some(tally) = objects {
        incomplete(tally, &mut text);
        radius(tally, &mut text);
    }
    self::sets(sets, &mut text);
    if let Some(tally) = objects {
        changes(tally, verbose, &mut text);
    }
    out.write_all(text.as_bytes())
}

fn head(tally: &Tally) -> String {
    format!("### Seawall policy diff: {}\n\n", summary(tally))
}

fn incomplete(tally: &Tally, text: &mut String) {
    if tally.is_complete() {
        return;
    }
    text.push_str("**Incomplete.** This was not read or not compared:\n\n");
    let errors = tally.errors.iter().map(|error| {
        let at = error.source.as_ref().map(|s| format!("{}: ", crate::report::page::place(s))).unwrap_or_default();
        format!("{at}{}", error.message)
    });
    let missing = tally.missing.iter().map(|missing| format!("{}: {}", missing.resource, missing.reason));
    let failed =
        tally.failed_both.iter().map(|(policy, hidden)| format!("{policy} fails in both sets: {}", hidden.reason));
    let gaps: Vec<String> = errors.chain(missing).chain(failed).collect();
    gaps.iter().take(ROWS).for_each(|gap| text.push_str(&format!("- {}\n", escaped(gap))));
    if gaps.len() > ROWS {
        text.push_str(&format!("- and {} more\n", gaps.len() - ROWS));
    }
    text.push('\n');
}

fn radius(tally: &Tally, text: &mut String) {
    let changed: Vec<(&String, &Radius)> = tally.namespaces.iter().filter(|(_, radius)| radius.changed > 0).collect();
    if changed.is_empty() {
        return;
    }
    text.push_str(&format!("| namespace | {} |\n| --- |{}\n", HEADS.join(" | "), " ---: |".repeat(HEADS.len())));
    for (name, radius) in changed.iter().take(ROWS) {
        let numbers = numbers(radius).map(|number| number.to_string()).join(" | ");
        text.push_str(&format!("| {} | {numbers} |\n", cell(namespace(name))));
    }
    if changed.len() > ROWS {
        text.push_str(&format!("\n{} more of {} namespaces left out.\n", changed.len() - ROWS, changed.len()));
    }
    text.push('\n');
}

fn sets(sets: &SetChanges, text: &mut String) {
    if sets.is_empty() {
        return text.push_str("The sets are the same.\n\n");
    }
    text.push_str("#### The sets\n\n");
    for policy in &sets.added {
        text.push_str(&format!("- added {}: {}\n", code(&policy.policy), escaped(&actions(policy))));
    }
    for policy in &sets.removed {
        text.push_str(&format!("- removed {}: {}\n", code(&policy.policy), escaped(&actions(policy))));
    }
    for Changed { policy, metadata, rules } in &sets.changed {
        let mut parts: Vec<String> = metadata
            .iter()
            .map(|change| {
                format!("{} {} &rarr; {}", code(&change.key), code(&value(&change.old)), code(&value(&change.new)))
            })
            .collect();
        if *rules {
            parts.push("rules differ".to_owned());
        }
        text.push_str(&format!("- changed {}: {}\n", code(policy), parts.join("; ")));
    }
    for (what, list) in [("library", &sets.libraries), ("knowledge", &sets.knowledge)] {
        list.iter().for_each(|name| text.push_str(&format!("- {what} {}\n", code(name))));
    }
    if !sets.configuration.is_empty() {
        text.push_str(&format!("- configuration: {}\n", sets.configuration.join(", ")));
    }
    text.push('\n');
}

fn changes(tally: &Tally, verbose: bool, text: &mut String) {
    if tally.groups.is_empty() {
        return;
    }
    // room for the last line
    let room = MOST_BYTES - 200;
    let mut left_out = 0;
    text.push_str("#### Changes for objects\n");
    let mut last = "";
    for ((policy, change, of), group) in &tally.groups {
        let mut block = if last == policy { String::new() } else { format!("\n{}\n", code(policy)) };
        let (objects, name) = (group.objects, code(namespace(of)));
        let plural = if objects == 1 { "object" } else { "objects" };
        block.push_str(&format!("- **{}** in {name}: {objects} {plural}\n", change.words()));
        if *change != Change::Message || verbose {
            block.push_str(&examples(group));
        }
        if left_out > 0 || text.len() + block.len() > room {
            left_out += 1;
            continue;
        }
        last = policy;
        text.push_str(&block);
    }
    if left_out > 0 {
        text.push_str(&format!("\n{left_out} more rows left out of this comment.\n"));
    }
}

fn examples(group: &Group) -> String {
    let mut text = String::new();
    for Example { subject, difference } in &group.examples {
        let details: Vec<String> = details(difference).iter().map(|line| escaped(line)).collect();
        text.push_str(&format!("  - {}: {}\n", code(&object(subject)), details.join("; ")));
    }
    let shown = group.examples.len() as u64;
    if group.changes > shown && shown > 0 {
        text.push_str(&format!("  - and {} more\n", group.changes - shown));
    }
    text
}
