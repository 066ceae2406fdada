//! The report as JSON, `schemaVersion` 1.

use super::{Failure, PatchRow, Report, ResourceId, Source, Summary, Violation};
use crate::admission::pointer;
use crate::decision::Cap;
use crate::policy::mode::{Action, Mode, Severity, Tier};
use serde::Serialize;
use serde_json::Value;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    schema_version: &'static str,
    results: Vec<ResultRow<'r>>,
    patches: Vec<Patch<'r>>,
    unknown: Vec<Unknown<'r>>,
    errors: &'r [Failure],
    summary: Summary,
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
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let objects = || report.objects.iter();
    let document = Document {
        schema_version: "1",
        results: objects().flat_map(|o| o.violations.iter().map(|v| row(&o.resource, v))).collect(),
        patches: objects().flat_map(|o| o.patches.iter().map(|p| patch(&o.resource, p))).collect(),
        unknown: objects()
            .flat_map(|o| {
                o.unknown.iter().map(|u| Unknown {
                    policy: &u.policy,
                    resource: &o.resource,
                    source: &o.source,
                    missing: &u.missing,
                })
            })
            .collect(),
        errors: &report.errors,
        summary: report.summary(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
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
