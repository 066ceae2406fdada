//! Findings for a program: schemaVersion 1.

use super::{Level, Report};
use serde_json::{Value, json};
use std::io::{self, Write};

/// Writes all findings and the numbers.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.code.name,
                "level": finding.level,
                "file": finding.place.file,
                "line": finding.place.line,
                "column": finding.place.column,
                "message": finding.message,
                "fix": finding.fix,
                "page": finding.code.page(),
            })
        })
        .collect();
    let document = json!({
        "schemaVersion": 1,
        "findings": findings,
        "notes": report.notes,
        "summary": {
            "policies": report.policies,
            "libraries": report.libraries,
            "errors": report.count(Level::Error),
            "warnings": report.count(Level::Warning),
        },
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}
