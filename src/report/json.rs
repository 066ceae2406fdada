//! The report as JSON, `schemaVersion` 1.

use super::baseline::Comparison;
use super::coverage::Coverage;
use super::fixes::Fixes;
use super::{Failure, Judged, PatchRow, ResourceId, Results, Source, Summary, UnknownRow, Violation};
use crate::admission::pointer;
use crate::decision::Cap;
use crate::policy::mode::{Action, Mode, Severity, Tier};
use serde::ser::{Error as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    schema_version: &'static str,
    results: Rows<'r>,
    patches: Rows<'r>,
    unknown: Rows<'r>,
    errors: &'r [Failure],
    summary: Summary,
    /// What an audit saw of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<&'r Coverage>,
    /// What changed since another audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    comparison: Option<&'r Comparison>,
    /// What was written into files.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<&'r Fixes>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultRow<'r> {
    policy: &'r str,
    checklist: &'r str,
    severity: Severity,
    action: Action,
    effective_action: Action,
    tier: Tier,
    mode: Mode,
    resource: &'r ResourceId,
    source: &'r Source,
    path: String,
    expanded_from: Option<&'r str>,
    message: &'r str,
    found: Option<&'r Value>,
    wanted: &'r Value,
    fix: &'r str,
    ratcheted: bool,
    /// Why `effectiveAction` is weaker than mode and tier alone would have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    capped_by: Option<Cap>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'r str>,
}

#[derive(Serialize)]
struct Patch<'r> {
    resource: &'r ResourceId,
    policies: &'r [String],
    ops: &'r json_patch::Patch,
    /// Only written where it is false: wanted by the policies, not permitted by mode or patch setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    permitted: Option<bool>,
}

#[derive(Serialize)]
struct Unknown<'r> {
    policy: &'r str,
    resource: &'r ResourceId,
    source: &'r Source,
    missing: &'r str,
}

/// Writes the report, with a line break at the end.
///
/// # Errors
/// When it cannot be written.
pub fn write(report: &dyn Results, out: &mut dyn Write) -> io::Result<()> {
    document(report, None, None, None, out)
}

/// Writes the report of a run that wrote files.
///
/// # Errors
/// When it cannot be written.
pub fn write_fixed(report: &dyn Results, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    document(report, None, None, Some(fixes), out)
}

/// Writes an audit.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write_audit(
    report: &dyn Results,
    coverage: &Coverage,
    comparison: Option<&Comparison>,
    out: &mut dyn Write,
) -> io::Result<()> {
    document(report, Some(coverage), comparison, None, out)
}

fn document(
    report: &dyn Results,
    coverage: Option<&Coverage>,
    comparison: Option<&Comparison>,
    fixes: Option<&Fixes>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let document = Document {
        schema_version: "1",
        results: Rows { report, part: Part::Results },
        patches: Rows { report, part: Part::Patches },
        unknown: Rows { report, part: Part::Unknown },
        errors: report.errors(),
        summary: report.summary(),
        coverage,
        comparison,
        fixes,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

/// One list of the document, written while the objects are read.
struct Rows<'r> {
    report: &'r dyn Results,
    part: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Results,
    Patches,
    Unknown,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        // kept as it is: a broken pipe must still be one
        let mut failed = None;
        let each = self.report.each(&mut |object| {
            let Judged { resource, source, .. } = object;
            let written = match self.part {
                Part::Results => object.violations.iter().try_for_each(|v| list.serialize_element(&row(resource, v))),
                Part::Patches => object.patches.iter().try_for_each(|p| list.serialize_element(&patch(resource, p))),
                Part::Unknown => object.unknown.iter().try_for_each(|u| {
                    let UnknownRow { policy, missing } = u;
                    list.serialize_element(&Unknown { policy, resource, source, missing })
                }),
            };
            written.map_err(|error| io::Error::other(failed.insert(error).to_string()))
        });
        match failed {
            Some(error) => Err(error),
            None => each.map_err(S::Error::custom).and_then(|()| list.end()),
        }
    }
}

fn row<'r>(resource: &'r ResourceId, violation: &'r Violation) -> ResultRow<'r> {
    let finding = &violation.finding;
    ResultRow {
        policy: &finding.policy,
        checklist: &finding.checklist,
        severity: finding.severity,
        action: finding.action,
        effective_action: finding.effective,
        tier: finding.tier,
        mode: finding.mode,
        resource,
        source: &violation.source,
        path: pointer::to_pointer(&finding.path),
        expanded_from: finding.expanded_from.as_deref(),
        message: &finding.message,
        found: finding.found.as_ref(),
        wanted: &finding.wanted,
        fix: &finding.fix,
        ratcheted: finding.ratcheted,
        capped_by: finding.capped_by,
        note: finding.note.as_deref(),
    }
}

fn patch<'r>(resource: &'r ResourceId, patch: &'r PatchRow) -> Patch<'r> {
    Patch { resource, policies: &patch.policies, ops: &patch.ops, permitted: (!patch.permitted).then_some(false) }
}
