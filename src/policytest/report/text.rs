//! A test run for a person: what is not as it should be, coverage, and one line of numbers.

use super::super::subject::{Failure, Outcome, Row};
use super::super::suite::{Counts, Report};
use super::ranges;
use crate::engine::coverage::Lines;
use std::io::{self, Write};

/// How it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Also what passed.
    pub verbose: bool,
    /// Red, green and yellow.
    pub colour: bool,
    /// Least part of the lines of each file, in percent.
    pub threshold: Option<f64>,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    for row in &report.rows {
        self::row(row, style, out)?;
    }
    for (policy, file) in &report.untested {
        writeln!(out, "{} {policy}", style.paint("31", "FAIL"))?;
        writeln!(out, "  {file}: no case and no test: add cases/<name>/input.yaml and expected.yaml beside it")?;
    }
    for error in &report.errors {
        writeln!(out, "{} {}", style.paint("31", "ERROR"), error.trim_end().replace('\n', "\n  "))?;
    }
    if report.rows.iter().any(|row| row.is_bad() || style.verbose) || !report.errors.is_empty() {
        writeln!(out)?;
    }
    coverage(report, style, out)?;
    summary(report, style, out)
}

fn row(row: &Row, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Row { subject, name, place, .. } = row;
    match &row.result {
        Outcome::Passed if !style.verbose => Ok(()),
        Outcome::Passed => {
            let alone = row.interpreter_alone.as_ref().map(|_| " (interpreter alone)").unwrap_or_default();
            writeln!(out, "{} {subject} {name}{alone}", style.paint("32", "pass"))
        }
        Outcome::Skipped => writeln!(out, "{} {subject} {name} ({place})", style.paint("33", "skip")),
        Outcome::Broken(problem) => {
            writeln!(out, "{} {subject} {name}", style.paint("31", "ERROR"))?;
            writeln!(out, "  {place}/{problem}")
        }
        Outcome::Failed(Failure { problems, diff, prints, .. }) => {
            writeln!(out, "{} {subject} {name}", style.paint("31", "FAIL"))?;
            for (number, problem) in problems.iter().enumerate() {
                let place = if number == 0 { format!("{place}: ") } else { String::new() };
                writeln!(out, "  {place}{problem}")?;
            }
            for line in diff {
                let code = if line.starts_with('-') { "31" } else { "32" };
                let painted = line.starts_with(['-', '+']);
                let line = line.trim_end();
                writeln!(out, "    {}", if painted { style.paint(code, line) } else { line.to_owned() })?;
            }
            prints.iter().try_for_each(|line| writeln!(out, "  printed {line}"))
        }
    }
}

fn coverage(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (Some(files), Some((percent, lines))) = (&report.coverage, report.covered()) else { return Ok(()) };
    writeln!(out, "coverage: {} of {lines} lines", part(percent))?;
    for (file, lines) in files {
        match lines {
            None => writeln!(out, "  {file}: 0 %, nothing of it was evaluated")?,
            Some(lines) if lines.uncovered().next().is_some() => {
                let left = ranges(lines.uncovered()).join(", ");
                writeln!(out, "  {file}: {}, not evaluated: {left}", part(lines.percent()))?;
            }
            Some(Lines { .. }) => {}
        }
    }
    let below = style.threshold.map(|threshold| (threshold, report.below(threshold)));
    if let Some((threshold, below)) = below.filter(|(_, below)| !below.is_empty()) {
        writeln!(out, "{} less than {} is covered of", style.paint("31", "FAIL"), part(threshold))?;
        for (file, percent) in below {
            writeln!(out, "  {file}: {}", part(percent))?;
        }
    }
    writeln!(out)
}

/// A part, cut and not rounded up: 100 % is all.
fn part(percent: f64) -> String {
    let cut = (percent * 10.0).floor() / 10.0;
    if cut.fract() == 0.0 { format!("{cut:.0} %") } else { format!("{cut:.1} %") }
}

fn summary(report: &Report, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let Counts { cases, tests, passed, failed, skipped, errors, .. } = counts;
    let word = |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let good = failed == 0 && errors == 0;
    let verdict = if good { style.paint("32", "ok:") } else { style.paint("31", "FAILED:") };
    let mut parts = vec![format!("{passed} passed")];
    for (number, what) in [(failed, "failed"), (skipped, "skipped"), (errors, "could not be run")] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    writeln!(
        out,
        "{verdict} {} and {} of {}: {}, in {:.1} s with {}",
        word(cases, "case", "cases"),
        word(tests, "test", "tests"),
        word(report.policies, "policy", "policies"),
        parts.join(", "),
        report.took.as_secs_f64(),
        word(report.jobs, "thread", "threads"),
    )?;
    let alone = counts.cases_alone + counts.tests_alone;
    if alone == 0 {
        return Ok(());
    }
    let both = cases + tests - alone;
    let reasons = report.alone();
    let told: Vec<String> = reasons.iter().take(3).map(|(reason, count)| format!("{count}: {reason}")).collect();
    let more = reasons.iter().skip(3).map(|(_, count)| count).sum::<usize>();
    let more = if more > 0 { format!("; {more}: other reasons") } else { String::new() };
    writeln!(out, "both engines answered {both}, the interpreter alone {alone} ({}{more})", told.join("; "))
}
