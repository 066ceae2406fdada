//! A comparison as JSON, `schemaVersion` 1.

use super::Report;
use super::change::Change;
use super::recorded::{Counts, Different, Replayed};
use super::sets::{SetChanges, Side};
use super::tally::{Example, Hidden, Radius, Tally};
use crate::report::Failure;
use crate::report::coverage::Missing;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    schema_version: &'static str,
    old: Named<'r>,
    new: Named<'r>,
    sets: &'r SetChanges,
    /// Left out when only the sets were compared.
    #[serde(flatten)]
    objects: Option<Objects<'r>>,
}

#[derive(Serialize)]
struct Named<'r> {
    name: &'r str,
    policies: usize,
    digest: &'r str,
}

impl<'r> Named<'r> {
    fn of(side: &'r Side) -> Self {
        Self { name: &side.name, policies: side.set.policies().len(), digest: side.set.digest() }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Objects<'r> {
    changes: Vec<Row<'r>>,
    failed_in_both: &'r BTreeMap<String, Hidden>,
    unknown_in_both: &'r BTreeMap<String, Hidden>,
    blast_radius: Blast<'r>,
    errors: &'r [Failure],
    error_count: u64,
    missing: &'r [Missing],
    complete: bool,
}

#[derive(Serialize)]
struct Row<'r> {
    policy: &'r str,
    change: Change,
    /// Empty: objects that no namespace decides for.
    namespace: &'r str,
    changes: u64,
    objects: u64,
    /// The first of them.
    examples: &'r [Example],
}

#[derive(Serialize)]
struct Blast<'r> {
    total: Radius,
    namespaces: &'r BTreeMap<String, Radius>,
}

fn objects(tally: &Tally) -> Objects<'_> {
    let rows = tally.groups.iter().map(|((policy, change, namespace), group)| Row {
        policy,
        change: *change,
        namespace,
        changes: group.changes,
        objects: group.objects,
        examples: &group.examples,
    });
    Objects {
        changes: rows.collect(),
        failed_in_both: &tally.failed_both,
        unknown_in_both: &tally.unknown_both,
        blast_radius: Blast { total: tally.total(), namespaces: &tally.namespaces },
        errors: &tally.errors,
        error_count: tally.error_count,
        missing: &tally.missing,
        complete: tally.is_complete(),
    }
}

/// Writes a comparison, with a line break at the end.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        schema_version: "1",
        old: Named::of(report.old),
        new: Named::of(report.new),
        sets: report.sets,
        objects: report.objects.map(objects),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayDocument<'r> {
    schema_version: &'static str,
    policies: Named<'r>,
    reviews: u64,
    denied: u64,
    warned: u64,
    allowed: u64,
    patched: u64,
    by_policy: &'r BTreeMap<String, Counts>,
    recorded: Answers<'r>,
    errors: &'r [Failure],
    error_count: u64,
    complete: bool,
}

#[derive(Serialize)]
struct Answers<'r> {
    compared: u64,
    different: u64,
    /// The first of them.
    examples: &'r [Different],
}

/// Writes what one set makes of recorded reviews.
///
/// # Errors
/// When it cannot be written.
pub fn replayed(side: &Side, replayed: &Replayed, out: &mut dyn Write) -> io::Result<()> {
    let document = ReplayDocument {
        schema_version: "1",
        policies: Named::of(side),
        reviews: replayed.reviews,
        denied: replayed.denied,
        warned: replayed.warned,
        allowed: replayed.allowed,
        patched: replayed.patched,
        by_policy: &replayed.policies,
        recorded: Answers {
            compared: replayed.compared,
            different: replayed.different,
            examples: &replayed.differences,
        },
        errors: &replayed.errors,
        error_count: replayed.error_count,
        complete: replayed.is_complete(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}
