//! An explanation for a person: who decided tier and mode, then each policy with what it found and where its rules stopped.

use super::{Explanation, Row, Verdict};
use crate::decision::inline;
use crate::engine::trace::{BodyTrace, DefinitionTrace, Follow, Outcome, Seen, Stop};
use crate::report::page::{plain, plural};
use crate::report::text::{Ink, Style};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Longest line.
const WIDTH: usize = 100;

/// How much is told.
#[derive(Debug, Clone, Copy)]
pub struct Detail {
    /// The rules of policies that found nothing, and why each of the others does not concern the object.
    pub full: bool,
}

/// Writes one explanation.
///
/// # Errors
/// When it cannot be written.
pub fn write(explanation: &Explanation, detail: Detail, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Explanation { source, object, operation, scope, .. } = explanation;
    writeln!(out, "{}", style.paint(Ink::Bold, &plain(&format!("{source}: {object}, {operation}"))))?;
    for (word, said) in [("tier", &scope.tier), ("mode", &scope.mode), ("patch", &scope.patch)] {
        writeln!(out, "  {word:<5} {:<8} {}", said.value, plain(&said.from))?;
    }
    if let Some(passed) = &explanation.passed {
        return writeln!(out, "\n  {passed}\n");
    }
    let (long, short): (Vec<&Row>, Vec<&Row>) =
        explanation.policies.iter().partition(|row| detail.full || !is_quiet(row));
    for row in long {
        writeln!(out)?;
        self::row(row, detail, style, out)?;
    }
    if !short.is_empty() {
        writeln!(out)?;
    }
    for row in short {
        quiet(row, style, out)?;
    }
    unconcerned(explanation, detail, out)?;
    writeln!(out)
}

const fn is_quiet(row: &Row) -> bool {
    matches!(row.verdict, Verdict::Quiet | Verdict::Off)
}

fn word(verdict: Verdict) -> (Ink, &'static str) {
    match verdict {
        Verdict::Deny => (Ink::Red, "deny"),
        Verdict::Warn => (Ink::Yellow, "warning"),
        Verdict::Audit => (Ink::Cyan, "audit"),
        Verdict::Exempt => (Ink::Cyan, "exempt"),
        Verdict::Failed => (Ink::Red, "failed"),
        Verdict::Unknown => (Ink::Dim, "unknown"),
        Verdict::Patched => (Ink::Green, "patched"),
        Verdict::Off => (Ink::Dim, "off"),
        Verdict::Quiet => (Ink::Dim, "quiet"),
    }
}

fn heading(row: &Row, style: Style) -> String {
    let (ink, word) = word(row.verdict);
    let part = row.part.as_ref().map(|part| format!(" {}", plain(part))).unwrap_or_default();
    format!("{} [{}]{part}", style.paint(ink, &format!("{word:<7}")), row.policy)
}

fn row(row: &Row, detail: Detail, style: Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {}", heading(row, style), row.title)?;
    writeln!(out, "  action      {}", row.action)?;
    if let Some(reason) = &row.reason {
        let word = if row.verdict == Verdict::Failed { "failed" } else { "unknown" };
        writeln!(out, "  {word:<11} {}", plain(reason))?;
    }
    for violation in &row.violations {
        wrapped(out, "  violation   ", &plain(&format!("{}: {}", violation.path, violation.message)))?;
        if let Some(because) = &violation.because {
            wrapped(out, "              ", &plain(because))?;
        }
    }
    if let Some(patch) = &row.patch {
        wrapped(out, "  patch       ", &plain(patch))?;
    }
    if row.parameters.as_object().is_some_and(|parameters| !parameters.is_empty()) {
        wrapped(out, "  parameters  ", &plain(&row.parameters.to_string()))?;
    }
    let mut states: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for fact in &row.facts {
        states.entry(fact.state).or_default().push(&fact.path);
    }
    for (state, paths) in states {
        wrapped(out, "  facts       ", &plain(&format!("{state}: {}", paths.join(", "))))?;
    }
    if row.on_patched {
        writeln!(out, "  rules       run on the object with safe defaults written")?;
    }
    for definition in &row.violation {
        self::definition(definition, "violation", 1, detail, out)?;
    }
    let patches = detail.full || row.verdict == Verdict::Patched;
    for definition in row.patches.iter().filter(|_| patches) {
        self::definition(definition, "patch", 1, detail, out)?;
    }
    Ok(())
}

/// One line for a policy that found nothing: where its first rule stopped, as far inside as the trace goes.
fn quiet(row: &Row, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let why = match row.verdict {
        Verdict::Off => "mode off: it is not asked".to_owned(),
        _ => row.violation.iter().find_map(first).unwrap_or_else(|| match row.violation.is_empty() {
            true => "it has no rule `violation`, only safe defaults".to_owned(),
            false => "it found nothing".to_owned(),
        }),
    };
    let more = row.violation.len().saturating_sub(1);
    let more = if more > 0 { format!(" (and {})", plural(more, "more rule", "more rules")) } else { String::new() };
    let line = format!("[{}]{} ", row.policy, row.part.as_ref().map(|p| format!(" {}", plain(p))).unwrap_or_default());
    let room = (2 * WIDTH).saturating_sub(line.chars().count() + more.chars().count() + 8);
    let text = format!("{line}{}{more}", cut(&plain(&why), room));
    let label = format!("{} ", style.paint(Ink::Dim, &format!("{:<7}", word(row.verdict).1)));
    behind(out, &label, 8, &text)
}

/// The place, statement and values at which a definition that did not hold stopped.
fn first(definition: &DefinitionTrace) -> Option<String> {
    let body = definition.bodies.iter().find(|body| body.outcome != Outcome::Held)?;
    if let Outcome::Untold(reason) = &body.outcome {
        return Some(format!("{}:{}: cannot be told: {reason}", definition.file, body.line));
    }
    let stop = body.stops.last()?;
    // only one way inside: what is behind it says more
    if let [Follow { definitions, .. }] = stop.because.as_slice()
        && let [inner] = definitions.as_slice()
        && let Some(inside) = first(inner).or_else(|| first_because(inner))
    {
        return Some(inside);
    }
    Some(format!("{}:{}: {}{}", definition.file, stop.line, stop.expression, values(stop)))
}

/// The same behind the value of a rule that held and is empty.
fn first_because(definition: &DefinitionTrace) -> Option<String> {
    let mut behind = definition.bodies.iter().flat_map(|body| &body.because).flat_map(|follow| &follow.definitions);
    behind.find_map(|inner| first(inner).or_else(|| first_because(inner)))
}

fn values(stop: &Stop) -> String {
    let first = stop.seen.first().map(Vec::as_slice).unwrap_or_default();
    let shown: Vec<String> = first
        .iter()
        .filter(|seen| seen.expression != stop.expression && is_short(seen))
        .map(|seen| format!("{} = {}", seen.expression, value(seen.value.as_ref())))
        .collect();
    let undefined = first.iter().any(|seen| seen.expression == stop.expression && seen.value.is_none());
    match (shown.is_empty(), undefined) {
        (true, true) => " is undefined".to_owned(),
        (true, false) => String::new(),
        (false, _) => format!("; {}", shown.join(", ")),
    }
}

/// Whole objects say nothing in a line.
fn is_short(seen: &Seen) -> bool {
    seen.value.as_ref().is_none_or(|value| value.to_string().len() <= 60)
}

fn definition(
    definition: &DefinitionTrace,
    label: &str,
    level: usize,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    for body in &definition.bodies {
        self::body(body, definition, label, level, detail, out)?;
    }
    Ok(())
}

fn body(
    body: &BodyTrace,
    definition: &DefinitionTrace,
    label: &str,
    level: usize,
    detail: Detail,
    out: &mut dyn Write,
) -> io::Result<()> {
    let indent = "  ".repeat(level);
    let at = format!("{}:{}", definition.file, body.line);
    let outcome = match &body.outcome {
        Outcome::Held => {
            let times = if body.times > 1 { format!(", {} times", body.times) } else { String::new() };
            let members = if level > 1 { definition.members.as_slice() } else { &[] };
            let members: Vec<String> = members.iter().take(5).map(|member| value(Some(member))).collect();
            let members = if members.is_empty() { String::new() } else { format!(", for {}", members.join(", ")) };
            let is = body.value.as_ref().filter(|v| **v != Value::Bool(true));
            format!("held{times}{members}{}", is.map(|is| format!(", value {}", value(Some(is)))).unwrap_or_default())
        }
        Outcome::Stopped => "did not hold".to_owned(),
        Outcome::NotReached => "not reached, an earlier one held".to_owned(),
        Outcome::Untold(reason) => format!("cannot be told: {reason}"),
    };
    writeln!(out, "{}", cut(&plain(&format!("{indent}{label} {at}: {outcome}")), WIDTH))?;
    // of what held, the iterations that did not are told in full only
    for stop in body.stops.iter().filter(|_| detail.full || body.outcome != Outcome::Held) {
        self::stop(stop, level + 1, detail, out)?;
    }
    for follow in &body.because {
        self::follow(follow, level + 1, detail, out)?;
    }
    Ok(())
}

fn stop(stop: &Stop, level: usize, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let indent = "  ".repeat(level);
    let times = if stop.iterations > 1 { format!(" ({} iterations)", stop.iterations) } else { String::new() };
    let line = format!("{indent}stopped at line {}{times}: {}", stop.line, stop.expression);
    writeln!(out, "{}", cut(&plain(&line), WIDTH))?;
    for (number, seen) in stop.seen.iter().enumerate() {
        if stop.seen.len() > 1 {
            writeln!(out, "{indent}  iteration {}", number + 1)?;
        }
        for Seen { expression, value: found } in seen {
            // of a call alone only that it is undefined or false says something
            let line = format!("{indent}    {expression} = {}", value(found.as_ref()));
            writeln!(out, "{}", cut(&plain(&line), WIDTH))?;
        }
    }
    let left = stop.iterations.saturating_sub(stop.seen.len());
    if stop.seen.len() > 1 && left > 0 {
        writeln!(out, "{indent}  and {left} more")?;
    }
    stop.because.iter().filter(|_| detail.full).try_for_each(|follow| self::follow(follow, level + 1, detail, out))
}

fn follow(follow: &Follow, level: usize, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let indent = "  ".repeat(level);
    let is = follow.value.as_ref().map_or_else(|| "undefined".to_owned(), |found| value(Some(found)));
    if follow.definitions.is_empty() {
        let line = format!("{indent}{} is {is} (more with --depth)", follow.expression);
        return writeln!(out, "{}", cut(&plain(&line), WIDTH));
    }
    writeln!(out, "{}", cut(&plain(&format!("{indent}{} is {is}:", follow.expression)), WIDTH))?;
    follow.definitions.iter().try_for_each(|inner| definition(inner, "at", level + 1, detail, out))
}

/// A value in a line.
fn value(value: Option<&Value>) -> String {
    value.map_or_else(
        || "undefined".to_owned(),
        |value| match value {
            Value::String(text) => format!("{:?}", inline(&Value::from(text.as_str()))),
            other => inline(other),
        },
    )
}

fn unconcerned(explanation: &Explanation, detail: Detail, out: &mut dyn Write) -> io::Result<()> {
    let others = &explanation.unconcerned;
    if others.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    if detail.full {
        for other in others {
            wrapped(out, "not asked ", &format!("[{}] {}", other.policy, other.reason))?;
        }
        return Ok(());
    }
    let kinds = others.iter().filter(|other| other.other_kind).count();
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for other in others.iter().filter(|other| !other.other_kind) {
        reasons.entry(&other.reason).or_default().insert(&other.policy);
    }
    if kinds > 0 {
        writeln!(out, "not asked {}", plural(kinds, "policy for other kinds", "policies for other kinds"))?;
    }
    for (reason, policies) in reasons {
        wrapped(out, "not asked ", &format!("{}: {reason}", policies.into_iter().collect::<Vec<_>>().join(", ")))?;
    }
    Ok(())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect()
}

/// Writes words behind a label, in lines of at most [`WIDTH`]. `columns`: of the label, without its colour.
pub(super) fn behind(out: &mut dyn Write, label: &str, columns: usize, text: &str) -> io::Result<()> {
    let mut line = label.to_owned();
    let mut column = columns;
    for (number, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        let space = usize::from(number > 0 && column > columns);
        if space == 1 && column + 1 + length > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(columns);
            column = columns;
        } else if space == 1 {
            line.push(' ');
            column += 1;
        }
        line.push_str(word);
        column += length;
    }
    writeln!(out, "{}", line.trim_end())
}

fn wrapped(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    behind(out, label, label.chars().count(), text)
}
