//! Findings as annotations of GitHub Actions
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use super::{Level, Report};
use crate::report::github::{data, property};
use crate::report::page::plain;
use std::io::{self, Write};

/// Writes a command for each finding.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for finding in &report.findings {
        let word = if finding.level == Level::Error { "error" } else { "warning" };
        let place = &finding.place;
        let text = format!("{}\nfix: {}", plain(&finding.message), plain(&finding.fix));
        writeln!(
            out,
            "::{word} file={},line={},col={},title={}::{}",
            property(&plain(&place.file)),
            place.line,
            place.column,
            property(finding.code.name),
            data(&text)
        )?;
    }
    let (errors, warnings) = (report.count(Level::Error), report.count(Level::Warning));
    writeln!(out, "- {} policies: {errors} errors, {warnings} warnings", report.policies)
}
