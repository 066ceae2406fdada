//! Annotations of GitHub Actions: workflow commands on standard output
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).
//!
//! GitHub shows 10 errors, 10 warnings and 10 notices of a step and drops the others without a word, so the worst are chosen here,
//! and the rest stands in the log as plain lines.

use super::page::{Page, Verdict, View, name, place, plain, plural, rank};
use super::{Judged, Source, Violation};
use crate::decision::{field_path, inline};
use std::io::{self, Write};

/// Annotations of one level that GitHub shows for a step.
const SHOWN: usize = 10;
/// Findings that are told as lines of the log; more are only counted.
const LINES: usize = 500;
/// Bytes of one annotation's message. GitHub cuts at 64 KiB; nobody reads that far.
const LONGEST: usize = 4096;

/// A finding as a command, and its place in the order.
struct Annotation {
    rank: u8,
    /// Number of the object and of the finding, which tells annotations from lines in the second pass.
    at: (usize, usize),
    command: String,
}

/// Writes commands, then lines.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let gaps = page.gaps();
    let mut chosen: [Vec<Annotation>; 3] = Default::default();
    let [errors, warnings, notices] = &mut chosen;
    // what was not seen is worse than anything that was
    let room = SHOWN.saturating_sub(gaps.len());
    let mut object = 0;
    page.results.each(&mut |judged| {
        for (number, violation) in judged.violations.iter().enumerate() {
            let at = (object, number);
            match page.view.of(&violation.finding) {
                Verdict::Deny => keep(errors, room, page.view, "error", judged, violation, at),
                Verdict::Warn => keep(warnings, SHOWN, page.view, "warning", judged, violation, at),
                Verdict::Audit => keep(notices, SHOWN, page.view, "notice", judged, violation, at),
                Verdict::Exempt => {}
            }
        }
        object += 1;
        Ok(())
    })?;
    for gap in gaps.iter().take(SHOWN) {
        writeln!(out, "::error title=seawall could not judge everything::{}", data(&plain(gap)))?;
    }
    for annotation in chosen.iter().flatten() {
        writeln!(out, "{}", annotation.command)?;
    }
    let shown: Vec<(usize, usize)> = chosen.iter().flatten().map(|annotation| annotation.at).collect();
    rest(page, &shown, &gaps, out)
}

/// Keeps the worst; of the same severity the first ones.
fn keep(
    list: &mut Vec<Annotation>,
    most: usize,
    view: View,
    level: &str,
    judged: &Judged,
    violation: &Violation,
    at: (usize, usize),
) {
    let rank = rank(violation.finding.severity);
    let place = list.partition_point(|other| other.rank <= rank);
    if place < most {
        list.insert(place, Annotation { rank, at, command: command(view, level, judged, violation) });
        list.truncate(most);
    }
}

fn command(view: View, level: &str, judged: &Judged, violation: &Violation) -> String {
    let Violation { finding, source } = violation;
    let object = name(&judged.resource);
    let title = property(&plain(&format!("{}: {object}", finding.policy)));
    let at = match source {
        Source { line: 0, .. } => String::new(),
        Source { file, .. } if file == "stdin" => String::new(),
        Source { file, line, column } => format!("file={},line={line},col={column},", property(&plain(file))),
    };
    let verdict = view.word(view.of(finding));
    let found = finding.found.as_ref().map(|found| format!("\nfound: {}", plain(&inline(found)))).unwrap_or_default();
    let text = format!(
        "{verdict}: {}: {}{found}\nwanted: {}\nfix: {}",
        plain(&field_path(&finding.path)),
        plain(finding.message.trim()),
        plain(&inline(&finding.wanted)),
        plain(&finding.fix)
    );
    let text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
    format!("::{level} {at}title={title}::{}", data(text))
}

/// What has no annotation, as lines of the log, and the numbers.
fn rest(page: &Page<'_>, shown: &[(usize, usize)], gaps: &[String], out: &mut dyn Write) -> io::Result<()> {
    for gap in gaps.iter().skip(SHOWN) {
        writeln!(out, "{}", line(&format!("error: {gap}")))?;
    }
    let (mut object, mut lines, mut left_out) = (0, 0, 0);
    page.results.each(&mut |judged| {
        for (number, violation) in judged.violations.iter().enumerate() {
            let finding = &violation.finding;
            if shown.contains(&(object, number)) {
                continue;
            }
            lines += 1;
            if lines > LINES {
                left_out += 1;
                continue;
            }
            let verdict = page.view.word(page.view.of(finding));
            let at = place(&violation.source);
            let text = format!(
                "{verdict} [{}] {}, {}: {}; fix: {} ({at})",
                finding.policy,
                name(&judged.resource),
                field_path(&finding.path),
                finding.message.trim(),
                finding.fix
            );
            writeln!(out, "{}", line(&text))?;
        }
        object += 1;
        Ok(())
    })?;
    if left_out > 0 {
        writeln!(out, "{left_out} more are left out here; --format text tells all of them")?;
    }
    let summary = page.results.summary();
    writeln!(
        out,
        "{}: {} of {} as annotations (GitHub shows {SHOWN} of each level), {}",
        plural(summary.resources, "object", "objects"),
        shown.len(),
        plural(shown.len() + lines, "finding", "findings"),
        plural(gaps.len(), "error", "errors")
    )
}

/// A line of the log that the runner takes for no command: those are found behind leading blanks (`::`) and anywhere (`##[`)
/// (`actions/runner` `src/Runner.Common/ActionCommand.cs`).
fn line(text: &str) -> String {
    format!("- {}", plain(text).replace("##[", "## ["))
}

/// The message of a command.
pub(crate) fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command.
pub(crate) fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
#[path = "github_tests.rs"]
mod tests;
