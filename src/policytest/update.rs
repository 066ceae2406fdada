//! Rewrites `expected.yaml` of failing cases: the difference is shown first, and what would hide a fault is left alone.

use super::expected::diff;
use super::subject::{Failure, Outcome};
use super::suite::Report;
use std::io::{self, Write};
use std::path::Path;

/// What became of the failing cases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Updated {
    /// Files that were rewritten.
    pub written: usize,
    /// Failures that stay: tests, engines that differ, policies that fail.
    pub left: usize,
}

/// Shows and rewrites. What is shown goes to `out`.
///
/// # Errors
/// When a file or `out` cannot be written.
pub fn update(report: &Report, out: &mut dyn Write) -> io::Result<Updated> {
    let mut updated = Updated { left: report.untested.len() + report.errors.len(), ..Updated::default() };
    for row in &report.rows {
        match &row.result {
            Outcome::Failed(Failure { update: Some(new), expected: Some(file), .. }) => {
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{file}: {error}"));
                let old = std::fs::read_to_string(file).map_err(named)?;
                writeln!(out, "--- {file}")?;
                writeln!(out, "+++ {file}")?;
                for line in diff(&old, new) {
                    writeln!(out, "{line}")?;
                }
                std::fs::write(Path::new(file), new).map_err(named)?;
                writeln!(out, "updated {file}\n")?;
                updated.written += 1;
            }
            Outcome::Failed(_) | Outcome::Broken(_) => updated.left += 1,
            Outcome::Passed | Outcome::Skipped => {}
        }
    }
    Ok(updated)
}
