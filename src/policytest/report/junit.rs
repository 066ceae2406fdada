//! A test run as JUnit XML: a suite for each policy and package of the library. Attributes are those that Jenkins' schema knows
//! (`jenkinsci/xunit-plugin` `junit-10.xsd`).

use super::super::subject::{Outcome, Row};
use super::super::suite::Report;
use crate::report::junit::{escaped, lines};
use std::io::{self, Write};

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, threshold: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let below = threshold.map(|threshold| report.below(threshold)).unwrap_or_default();
    let extra = report.untested.len() + report.errors.len() + below.len();
    let (tests, failures) = (report.rows.len() + extra, counts.failed + below.len());
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites name="seawall test" tests="{tests}" failures="{failures}" errors="{}" time="{:.3}">"#,
        counts.errors,
        report.took.as_secs_f64()
    )?;
    for rows in report.rows.chunk_by(|a, b| a.subject == b.subject) {
        let Some(first) = rows.first() else { continue };
        let count = |of: fn(&Outcome) -> bool| rows.iter().filter(|row| of(&row.result)).count();
        writeln!(
            out,
            r#"  <testsuite name="{}" tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3}">"#,
            escaped(&first.subject),
            rows.len(),
            count(|o| matches!(o, Outcome::Failed(_))),
            count(|o| matches!(o, Outcome::Broken(_))),
            count(|o| matches!(o, Outcome::Skipped)),
            rows.iter().map(|row| row.took.as_secs_f64()).sum::<f64>(),
        )?;
        rows.iter().try_for_each(|row| case(row, out))?;
        writeln!(out, "  </testsuite>")?;
    }
    if extra > 0 {
        let (failures, errors) = (report.untested.len() + below.len(), report.errors.len());
        writeln!(
            out,
            r#"  <testsuite name="files" tests="{extra}" failures="{failures}" errors="{errors}" skipped="0">"#
        )?;
        for (policy, file) in &report.untested {
            let text = format!("{file}: no case and no test");
            element(policy, "failure", &text, out)?;
        }
        for (file, percent) in &below {
            element(file, "failure", &format!("{file}: {percent:.1} % of its lines are covered"), out)?;
        }
        for (number, error) in report.errors.iter().enumerate() {
            element(&format!("error {}", number + 1), "error", error, out)?;
        }
        writeln!(out, "  </testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

fn element(name: &str, kind: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let first = text.lines().next().unwrap_or_default();
    writeln!(
        out,
        r#"    <testcase name="{}" classname="files"><{kind} type="{kind}" message="{}">{}</{kind}></testcase>"#,
        escaped(name),
        escaped(first),
        lines(text)
    )
}

fn case(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let (name, class) = (escaped(&row.name), escaped(&row.subject));
    write!(out, r#"    <testcase name="{name}" classname="{class}" time="{:.3}""#, row.took.as_secs_f64())?;
    match &row.result {
        Outcome::Passed => writeln!(out, "/>"),
        Outcome::Skipped => writeln!(out, "><skipped/></testcase>"),
        Outcome::Broken(problem) => {
            let text = format!("{}/{problem}", row.place);
            writeln!(out, r#"><error type="error" message="{}">{}</error></testcase>"#, escaped(&text), lines(&text))
        }
        Outcome::Failed(failure) => {
            let message = failure.problems.first().map(String::as_str).unwrap_or_default();
            let prints = failure.prints.iter().map(|line| format!("printed {line}"));
            let text: Vec<String> = std::iter::once(row.place.clone())
                .chain(failure.problems.iter().cloned())
                .chain(failure.diff.iter().cloned())
                .chain(prints)
                .collect();
            let (message, text) = (escaped(message), lines(&text.join("\n")));
            writeln!(out, r#"><failure type="failure" message="{message}">{text}</failure></testcase>"#)
        }
    }
}
