//! A comparison for a person, ASCII, made for 100 columns.

use super::Report;
use super::change::{Change, Difference};
use super::recorded::{Counts, Different, Replayed};
use super::sets::{Changed, OnlyHere, SetChanges, Side};
use super::tally::{Example, Group, Radius, Subject, Tally};
use crate::decision::inline;
use crate::policy::mode::Action;
use crate::report::Failure;
use crate::report::page::{place, plain, plural};
use crate::report::text::{Ink, Style};
use serde_json::Value;
use std::io::{self, Write};

/// What stands for no namespace.
pub(super) const CLUSTER: &str = "(cluster)";

/// Writes a comparison.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report<'_>, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Report { old, new, sets, objects, verbose } = *report;
    writeln!(out, "old: {}\nnew: {}\n", side(old), side(new))?;
    write_sets(sets, style, out)?;
    let Some(tally) = objects else { return Ok(()) };
    changes(tally, verbose, style, out)?;
    hidden(tally, out)?;
    errors(&tally.errors, tally.error_count, style, out)?;
    for missing in &tally.missing {
        writeln!(
            out,
            "{}: {} was not seen: {}",
            style.paint(Ink::Red, "INCOMPLETE"),
            missing.resource,
            missing.reason
        )?;
    }
    radius(tally, style, out)
}

pub(super) fn side(side: &Side) -> String {
    format!("{} ({})", side.name, plural(side.set.policies().len(), "policy", "policies"))
}

/// `Deny Deny Warn Off`
pub(super) fn actions(policy: &OnlyHere) -> String {
    format!("{}; {} in tier-0 to tier-3", policy.severity, policy.actions.join(", "))
}

/// A value of METADATA; nothing where it was not.
pub(super) fn value(value: &Value) -> String {
    if value.is_null() { "(none)".to_owned() } else { inline(value) }
}

fn write_sets(sets: &SetChanges, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if sets.is_empty() {
        return writeln!(out, "The sets are the same.\n");
    }
    writeln!(out, "{}", style.paint(Ink::Bold, "The sets"))?;
    for policy in &sets.added {
        writeln!(out, "  {} {}  {}", style.paint(Ink::Green, "+"), policy.policy, actions(policy))?;
    }
    for policy in &sets.removed {
        writeln!(out, "  {} {}  {}", style.paint(Ink::Red, "-"), policy.policy, actions(policy))?;
    }
    for Changed { policy, metadata, rules } in &sets.changed {
        writeln!(out, "  {} {policy}", style.paint(Ink::Yellow, "~"))?;
        let width = metadata.iter().map(|change| change.key.len()).max().unwrap_or_default();
        for change in metadata {
            let (old, new) = (value(&change.old), value(&change.new));
            writeln!(out, "      {:<width$}  {}", change.key, plain(&format!("{old} -> {new}")))?;
        }
        if *rules {
            writeln!(out, "      rules differ")?;
        }
    }
    for (what, list) in [("library", &sets.libraries), ("knowledge", &sets.knowledge)] {
        for name in list {
            writeln!(out, "  {} {what} {}", style.paint(Ink::Yellow, "~"), plain(name))?;
        }
    }
    if !sets.configuration.is_empty() {
        writeln!(out, "  {} configuration: {}", style.paint(Ink::Yellow, "~"), sets.configuration.join(", "))?;
    }
    writeln!(out)
}

/// Worse first for a person.
pub(super) const fn ink(change: Change) -> Ink {
    match change {
        Change::NewlyDenied | Change::NewlyFailing => Ink::Red,
        Change::NewlyWarned | Change::NewlyUnknown => Ink::Yellow,
        Change::NoLongerDenied | Change::NoLongerWarned | Change::NoLongerFailing => Ink::Green,
        _ => Ink::Cyan,
    }
}

/// The namespace, or what stands for none.
pub(super) fn namespace(name: &str) -> &str {
    if name.is_empty() { CLUSTER } else { name }
}

fn changes(tally: &Tally, verbose: bool, style: Style, out: &mut dyn Write) -> io::Result<()> {
    if tally.groups.is_empty() {
        return writeln!(out, "Nothing changes for the objects that were judged.\n");
    }
    writeln!(out, "{}", style.paint(Ink::Bold, "Changes for objects"))?;
    let mut last = "";
    for ((policy, change, of), group) in &tally.groups {
        if last != policy {
            writeln!(out, "  {}", style.paint(Ink::Bold, policy))?;
        }
        last = policy;
        let words = style.paint(ink(*change), &format!("{:<18}", change.words()));
        let quiet = *change == Change::Message && !verbose;
        let hint = if quiet { " (-v shows them)" } else { "" };
        let objects = many(group.objects);
        writeln!(out, "    {words} {:<20} {objects}{hint}", plain(namespace(of)))?;
        if !quiet {
            examples(group, out)?;
        }
    }
    writeln!(out)
}

fn examples(group: &Group, out: &mut dyn Write) -> io::Result<()> {
    for Example { subject, difference } in &group.examples {
        writeln!(out, "      {}", plain(&object(subject)))?;
        for line in details(difference) {
            writeln!(out, "        {}", plain(&line))?;
        }
    }
    let shown = group.examples.len() as u64;
    if group.changes > shown && shown > 0 {
        writeln!(out, "      and {} more (--examples)", group.changes - shown)?;
    }
    Ok(())
}

/// `CREATE StatefulSet shop/orders (shop.yaml:3)`
pub(super) fn object(subject: &Subject) -> String {
    let Subject { kind, namespace, name, operation, source, .. } = subject;
    let operation = operation.as_ref().map(|o| format!("{o} ")).unwrap_or_default();
    let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let source = if source.is_empty() { String::new() } else { format!(" ({source})") };
    format!("{operation}{kind} {namespace}{name}{source}")
}

/// What is to be said of a difference beside its change.
pub(super) fn details(difference: &Difference) -> Vec<String> {
    let Difference { change, field, old, new, old_action, new_action, .. } = difference;
    let (before, after) = (old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
    let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
    match change {
        Change::Message => vec![format!("- {before}"), format!("+ {after}")],
        Change::PatchAdded => vec![format!("{at}{after}")],
        Change::PatchRemoved => vec![format!("{at}{before}")],
        Change::PatchChanged => vec![format!("{at}{before} -> {after}")],
        Change::NewlyFailing => {
            let answer = match new_action {
                Some(Action::Deny) => "; so it is rejected",
                Some(Action::Warn) => "; so the user is warned",
                _ => "",
            };
            vec![format!("{at}{after}{answer}")]
        }
        Change::NewlyUnknown => vec![after.to_owned()],
        Change::NoLongerFailing | Change::NoLongerUnknown => vec![format!("{at}{before}")],
        _ => {
            let was = match (old_action, new_action) {
                (Some(was), Some(_)) if difference.is_newly() => format!(" (was {was})"),
                (Some(_), Some(now)) => format!(" (now {now})"),
                _ => String::new(),
            };
            vec![format!("{at}{}{was}", new.as_deref().unwrap_or(before))]
        }
    }
}

fn hidden(tally: &Tally, out: &mut dyn Write) -> io::Result<()> {
    for (policy, hidden) in &tally.failed_both {
        let objects = many(hidden.objects);
        writeln!(out, "not compared: [{policy}] fails in both sets, {objects}: {}", plain(&hidden.reason))?;
    }
    for (policy, hidden) in &tally.unknown_both {
        let objects = many(hidden.objects);
        let reason = format!("too little is known of {}; give them with --snapshot or --live", hidden.reason);
        writeln!(out, "not compared: [{policy}] is unknown in both sets, {objects}: {reason}")?;
    }
    if !tally.failed_both.is_empty() || !tally.unknown_both.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn errors(list: &[Failure], count: u64, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for Failure { source, message, .. } in list {
        let at = source.as_ref().map(|source| format!("{}: ", place(source))).unwrap_or_default();
        writeln!(out, "{}{}: {}", plain(&at), style.paint(Ink::Red, "error"), plain(message))?;
    }
    let left_out = count.saturating_sub(list.len() as u64);
    if left_out > 0 {
        writeln!(out, "and {left_out} more errors")?;
    }
    if count > 0 {
        writeln!(out)?;
    }
    Ok(())
}

/// One line: how far it reaches. Numbers that are 0 are left out.
pub(super) fn summary(tally: &Tally) -> String {
    let total = tally.total();
    let numbers = [
        (total.newly_denied, "newly denied"),
        (total.no_longer_denied, "no longer denied"),
        (total.newly_warned, "newly warned"),
        (total.no_longer_warned, "no longer warned"),
    ];
    let numbers = numbers.iter().filter(|(number, _)| *number > 0).map(|(number, words)| format!("{number} {words}"));
    let numbers = numbers.collect::<Vec<_>>().join(", ");
    let numbers = if numbers.is_empty() { numbers } else { format!(": {numbers}") };
    let patches =
        if total.patches > 0 { format!("; other safe defaults for {}", total.patches) } else { String::new() };
    format!("another decision for {} of {}{numbers}{patches}", total.decisions, many(total.judged))
}

/// `1 object`, `2 objects`.
fn many(number: u64) -> String {
    plural(usize::try_from(number).unwrap_or(usize::MAX), "object", "objects")
}

/// Heads of the table of namespaces.
pub(super) const HEADS: [&str; 7] =
    ["judged", "changed", "newly denied", "no longer denied", "newly warned", "no longer warned", "defaults"];

/// The numbers below them.
pub(super) const fn numbers(radius: &Radius) -> [u64; 7] {
    [
        radius.judged,
        radius.changed,
        radius.newly_denied,
        radius.no_longer_denied,
        radius.newly_warned,
        radius.no_longer_warned,
        radius.patches,
    ]
}

fn radius(tally: &Tally, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let changed: Vec<(&String, &Radius)> = tally.namespaces.iter().filter(|(_, radius)| radius.changed > 0).collect();
    writeln!(out, "{}", style.paint(Ink::Bold, "Blast radius"))?;
    if !changed.is_empty() {
        let width = changed.iter().map(|(name, _)| namespace(name).chars().count()).max().unwrap_or_default().max(9);
        writeln!(out, "  {:<width$}  {}", "namespace", HEADS.join("  "))?;
        for (name, radius) in &changed {
            let cell = |(head, number): (&&str, u64)| format!("{number:>width$}", width = head.len());
            let cells: Vec<String> = HEADS.iter().zip(numbers(radius)).map(cell).collect();
            writeln!(out, "  {:<width$}  {}", plain(namespace(name)), cells.join("  "))?;
        }
    }
    let others = tally.namespaces.len() - changed.len();
    if others > 0 && !changed.is_empty() {
        writeln!(out, "  and {} in which nothing changes", plural(others, "namespace", "namespaces"))?;
    }
    // two lines, or it is too long for a terminal
    writeln!(out, "  {}", summary(tally).replace("; ", "\n  "))
}

/// Writes what one set makes of recorded reviews.
///
/// # Errors
/// When it cannot be written.
pub fn replayed(of: &Side, replayed: &Replayed, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "policies: {}\n", side(of))?;
    if !replayed.policies.is_empty() {
        let width = replayed.policies.keys().map(String::len).max().unwrap_or_default().max(6);
        writeln!(out, "  {:<width$}  deny  warn  audit  patched  unknown  failed", "policy")?;
        for (policy, counts) in &replayed.policies {
            let Counts { deny, warn, audit, patched, unknown, failed } = counts;
            writeln!(
                out,
                "  {policy:<width$}  {deny:>4}  {warn:>4}  {audit:>5}  {patched:>7}  {unknown:>7}  {failed:>6}"
            )?;
        }
        writeln!(out)?;
    }
    let unknown: u64 = replayed.policies.values().map(|counts| counts.unknown).sum();
    if unknown > 0 {
        writeln!(out, "  unknown: too little is known of the cluster; give it with --snapshot or --live\n")?;
    }
    if !replayed.differences.is_empty() {
        writeln!(out, "{}", style.paint(Ink::Bold, "Not as recorded"))?;
    }
    for Different { subject, deviations } in &replayed.differences {
        writeln!(out, "  {}", plain(&object(subject)))?;
        for deviation in deviations {
            writeln!(out, "    {}", plain(&deviation.part))?;
            let gone = deviation.recorded.iter().filter(|line| !deviation.now.contains(line));
            let came = deviation.now.iter().filter(|line| !deviation.recorded.contains(line));
            for line in gone {
                writeln!(out, "      {} {}", style.paint(Ink::Red, "-"), plain(line))?;
            }
            for line in came {
                writeln!(out, "      {} {}", style.paint(Ink::Green, "+"), plain(line))?;
            }
        }
    }
    let more = replayed.different - replayed.differences.len() as u64;
    if more > 0 {
        writeln!(out, "  and {more} more (--examples)")?;
    }
    if replayed.different > 0 {
        writeln!(out)?;
    }
    errors(&replayed.errors, replayed.error_count, style, out)?;
    let Replayed { reviews, denied, warned, allowed, patched, compared, different, .. } = replayed;
    let reviews = plural(usize::try_from(*reviews).unwrap_or(usize::MAX), "review", "reviews");
    let answers = match compared {
        0 => "no recorded answer to compare with".to_owned(),
        _ => format!("{different} of {compared} recorded answers differ"),
    };
    writeln!(out, "{reviews}: {denied} denied, {warned} warned, {allowed} allowed; {patched} patched; {answers}")
}
