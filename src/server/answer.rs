//! What the API server, its user and its audit log are told of an outcome.

use crate::admission::request::Request;
use crate::admission::response::{Cause, Details, Response, Status};
use crate::decision::{Cap, Finding, PolicyFailure, field_path, inline};
use crate::patch::plan::Change;
use crate::policy::mode::{Action, Mode};
use crate::review::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Largest audit annotation; the API server bounds all of an object's audit event.
const LARGEST_ANNOTATION: usize = 16 * 1024;

/// The answer of `/validate/…`: all violations at once.
#[must_use]
pub fn validating(request: &Request, outcome: &Outcome) -> Response {
    let warnings = warnings(outcome);
    let mut response = if outcome.denies() {
        Response::deny(&request.uid, denial(request, outcome))
    } else {
        Response::allow(&request.uid)
    };
    response = response.with_warnings(warnings);
    annotate(&mut response, outcome);
    response
}

/// The answer of `/mutate`: patches, never a denial.
#[must_use]
pub fn mutating(request: &Request, outcome: &Outcome) -> Response {
    let patch = &outcome.patch;
    let announce = patch.applied.iter().map(|c| format!("seawall set {}", change(c)));
    let restored = patch.restored.iter().map(|c| format!("seawall put back {}", change(c)));
    let told = matches!(outcome.scope.mode, Mode::Warn | Mode::Enforce);
    let dropped = patch
        .dropped
        .iter()
        .filter(|_| told)
        .map(|d| format!("seawall did not set the safe defaults of {}: {}", d.policies.join(", "), d.reason));
    let mut response = Response::allow(&request.uid)
        .with_patch(&patch.operations)
        .with_warnings(announce.chain(restored).chain(dropped));
    annotate(&mut response, outcome);
    response
}

/// Rejects what cannot be read: a body over the limit, another version, a missing object.
#[must_use]
pub fn unreadable(uid: &str, code: u16, problem: &str) -> Response {
    let reason = if code == 413 { "RequestEntityTooLarge" } else { "BadRequest" };
    Response::deny(
        uid,
        Status { code, reason, message: format!("seawall could not read the request: {problem}"), details: None },
    )
}

fn denial(request: &Request, outcome: &Outcome) -> Status {
    let denied: Vec<&Finding> = outcome.findings.iter().filter(|f| f.effective == Action::Deny).collect();
    let failed: Vec<&PolicyFailure> = outcome.failures.iter().filter(|f| f.effective == Action::Deny).collect();
    let place = request
        .namespace
        .as_deref()
        .filter(|n| *n != request.object_name())
        .map(|n| format!("{n}/"))
        .unwrap_or_default();
    let count = denied.len() + failed.len();
    let scope = outcome.scope;
    let mut message = format!(
        "{} {place}{}: {count} violation{} ({}, mode {})",
        request.kind.kind,
        request.object_name(),
        if count == 1 { "" } else { "s" },
        scope.tier,
        scope.mode
    );
    for (number, finding) in denied.iter().enumerate() {
        message.push_str(&format!(
            "\n{}. [{}] {}: {}",
            number + 1,
            finding.policy,
            field_path(&finding.path),
            finding.message
        ));
        if let Some(found) = &finding.found {
            message.push_str(&format!("\n   found:  {}", inline(found)));
        }
        message.push_str(&format!("\n   wanted: {}\n   fix:    {}", inline(&finding.wanted), finding.fix));
        if let Some(note) = &finding.note {
            message.push_str(&format!("\n   note:   {note}"));
        }
    }
    for (number, failure) in failed.iter().enumerate() {
        message.push_str(&format!("\n{}. [{}] {}", denied.len() + number + 1, failure.policy, failure_text(failure)));
    }
    let cause =
        |f: &&Finding| Cause { reason: f.policy.clone(), message: f.message.clone(), field: field_path(&f.path) };
    let failure =
        |f: &&PolicyFailure| Cause { reason: f.policy.clone(), message: failure_text(f), field: String::new() };
    let causes = denied.iter().map(cause).chain(failed.iter().map(failure)).collect();
    Status { code: 403, reason: "Forbidden", message, details: Some(Details { causes }) }
}

fn failure_text(failure: &PolicyFailure) -> String {
    format!(
        "the policy could not judge this request: {}; its action is {}, so that is the answer. Ask the platform team, or try again",
        failure.reason, failure.effective
    )
}

/// What the user is told beside the decision.
fn warnings(outcome: &Outcome) -> Vec<String> {
    let warned = outcome.findings.iter().filter(|f| f.effective == Action::Warn);
    let finding = |f: &Finding| {
        let already = if f.capped_by == Some(Cap::Ratchet) { " (it was so before, therefore allowed)" } else { "" };
        format!("{}{already}", f.line())
    };
    let failed = outcome.failures.iter().filter(|f| f.effective == Action::Warn);
    let told = matches!(outcome.scope.mode, Mode::Warn | Mode::Enforce);
    let ids = |list: &BTreeSet<String>| list.iter().cloned().collect::<Vec<_>>().join(", ");
    let spared = outcome.exemptions.iter().filter(|_| told);
    let spared = spared.map(|u| format!("seawall did not enforce {}: {}", ids(&u.policies), u.exemption));
    let glass = Some(&outcome.break_glass).filter(|list| !list.is_empty());
    let glass = glass.map(|list| format!("seawall let this pass for a break-glass group; denied by {}", ids(list)));
    let failed = failed.map(|f| format!("[{}] {}", f.policy, failure_text(f)));
    glass.into_iter().chain(spared).chain(warned.map(finding)).chain(failed).collect()
}

fn change(change: &Change) -> String {
    let value = |v: &Option<Value>| v.as_ref().map_or_else(|| "nothing".to_owned(), inline);
    match (&change.from, &change.to) {
        (None, to) => format!("{} to {} [{}]", change.pointer, value(to), change.policy),
        (from, to) => format!("{} from {} to {} [{}]", change.pointer, value(from), value(to), change.policy),
    }
}

/// For the API server's audit log: what was found and done, without the object.
fn annotate(response: &mut Response, outcome: &Outcome) {
    let mut put = |key: &'static str, list: Vec<Value>| {
        if !list.is_empty() {
            let mut kept = list;
            let mut text = Value::Array(kept.clone()).to_string();
            while text.len() > LARGEST_ANNOTATION && !kept.is_empty() {
                kept.truncate(kept.len() / 2);
                text = Value::Array(kept.clone()).to_string();
            }
            response.audit_annotations.insert(key, text);
        }
    };
    let finding = |f: &Finding| json!({"policy": f.policy, "field": field_path(&f.path), "action": f.action, "effective": f.effective, "wouldDeny": f.would_deny(), "ratcheted": f.ratcheted});
    put("violations", outcome.findings.iter().map(finding).collect());
    put(
        "failures",
        outcome
            .failures
            .iter()
            .map(|f| json!({"policy": f.policy, "effective": f.effective, "reason": f.reason}))
            .collect(),
    );
    put("unknown", outcome.unknown.iter().map(|u| json!({"policy": u.policy, "missing": u.missing})).collect());
    let changes =
        |list: &[Change]| list.iter().map(|c| json!({"policy": c.policy, "pointer": c.pointer})).collect::<Vec<_>>();
    put("exemptions", outcome.exemptions.iter().map(|u| json!(u)).collect());
    put("break-glass", outcome.break_glass.iter().map(|id| json!(id)).collect());
    put("patched", changes(&outcome.patch.applied));
    put("restored", changes(&outcome.patch.restored));
    put("proposed", changes(&outcome.patch.proposed));
    put("dropped", outcome.patch.dropped.iter().map(|d| json!({"policies": d.policies, "reason": d.reason})).collect());
}
