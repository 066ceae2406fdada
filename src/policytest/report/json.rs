//! A test run for a program, schemaVersion 1 (`docs/testing-policies.md`).

use super::super::subject::{Outcome, Row};
use super::super::suite::Report;
use super::ranges;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes it.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, threshold: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let alone = counts.cases_alone + counts.tests_alone;
    let mut document = json!({
        "schemaVersion": 1,
        "summary": {
            "policies": report.policies, "cases": counts.cases, "tests": counts.tests, "passed": counts.passed,
            "failed": counts.failed, "skipped": counts.skipped, "errors": counts.errors,
            "interpreterAlone": alone, "seconds": report.took.as_secs_f64(), "threads": report.jobs,
        },
        "results": report.rows.iter().map(row).collect::<Vec<_>>(),
        "untested": report.untested.iter().map(|(policy, file)| json!({"policy": policy, "file": file})).collect::<Vec<_>>(),
        "errors": report.errors,
    });
    if let (Some(files), Some((percent, lines)), Some(document)) =
        (&report.coverage, report.covered(), document.as_object_mut())
    {
        let file = |(file, lines): (&String, &Option<_>)| match lines {
            None => json!({"file": file, "percent": 0.0}),
            Some(lines) => {
                let lines: &crate::engine::coverage::Lines = lines;
                json!({
                    "file": file, "percent": lines.percent(), "lines": lines.all.len(), "notEvaluated": ranges(lines.uncovered()),
                })
            }
        };
        let below: Vec<&str> =
            threshold.map(|t| report.below(t)).unwrap_or_default().into_iter().map(|(f, _)| f).collect();
        let coverage = json!({
            "percent": percent, "lines": lines, "files": files.iter().map(file).collect::<Vec<_>>(), "belowThreshold": below,
        });
        document.insert("coverage".to_owned(), coverage);
    }
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn row(row: &Row) -> Value {
    let mut value = json!({
        "subject": row.subject, "name": row.name, "kind": if row.is_case { "case" } else { "test" }, "place": row.place,
        "result": match row.result {
            Outcome::Passed => "passed",
            Outcome::Skipped => "skipped",
            Outcome::Failed(_) => "failed",
            Outcome::Broken(_) => "error",
        },
        "seconds": row.took.as_secs_f64(),
    });
    if let Some(object) = value.as_object_mut() {
        object
            .extend(row.interpreter_alone.iter().map(|why| ("interpreterAlone".to_owned(), Value::from(why.as_str()))));
        match &row.result {
            Outcome::Failed(failure) => {
                object.insert("problems".to_owned(), json!(failure.problems));
                let lists = [("diff", &failure.diff), ("prints", &failure.prints)];
                object.extend(
                    lists.into_iter().filter(|(_, l)| !l.is_empty()).map(|(key, l)| (key.to_owned(), json!(l))),
                );
            }
            Outcome::Broken(problem) => {
                object.insert("problems".to_owned(), json!([problem]));
            }
            Outcome::Passed | Outcome::Skipped => {}
        }
    }
    value
}
