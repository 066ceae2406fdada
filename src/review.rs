//! THE PIPELINE: match → context → evaluate → patch to a fixpoint → decide.
//!
//! Pure: no I/O, no clock but the `now` of the snapshot and the deadline. A violation that a permitted patch removes is
//! not a violation: [`Phase::Full`] patches first and judges what is left, as the API server does with `/mutate` and
//! `/validate`.

mod exempt;
mod judge;
mod mutate;
mod select;
mod snapshot;

use crate::admission::request::{Operation, Request};
use crate::decision::{Finding, PolicyFailure, Scope, Unknown};
use crate::engine::evaluate::Worker;
use crate::patch::plan::{Change, DroppedPatch};
use crate::policy::mode::{Action, Mode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Instant;

pub use exempt::{Used, covers, declared};
pub use judge::{Judge, engines, inputs, judges, judging, sample};
pub use select::{is_ending, passes, unanswered};
pub use snapshot::{Forced, Snapshot};

/// Which part of the pipeline is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Patches only; never denies.
    Mutate,
    /// Judges the object as it is.
    Validate,
    /// Patches, then judges what is left.
    Full,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The labels that decided.
    pub scope: Scope,
    /// Violations, worst first.
    pub findings: Vec<Finding>,
    /// Policies that could not answer.
    pub failures: Vec<PolicyFailure>,
    /// Policies whose facts are not there.
    pub unknown: Vec<Unknown>,
    /// What is patched.
    pub patch: PatchOutcome,
    /// Exemptions that made a difference.
    pub exemptions: Vec<Used>,
    /// Policies that would have denied, had the request not come from a break-glass group.
    pub break_glass: BTreeSet<String>,
}

/// What is patched, and what is not.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PatchOutcome {
    /// Applies to the request's object as received; empty when nothing changes.
    pub operations: json_patch::Patch,
    /// The object afterwards, when anything changes.
    pub object: Option<Value>,
    /// Defaults that were written.
    pub applied: Vec<Change>,
    /// Values of earlier patches that were put back.
    pub restored: Vec<Change>,
    /// Wanted by policies but not permitted here.
    pub proposed: Vec<Change>,
    /// Patches that could not be merged or applied.
    pub dropped: Vec<DroppedPatch>,
}

impl Outcome {
    fn new(scope: Scope) -> Self {
        Self {
            scope,
            findings: Vec::new(),
            failures: Vec::new(),
            unknown: Vec::new(),
            patch: PatchOutcome::default(),
            exemptions: Vec::new(),
            break_glass: BTreeSet::new(),
        }
    }

    /// Whether the request is rejected.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.findings.iter().any(|f| f.effective == Action::Deny)
            || self.failures.iter().any(|f| f.effective == Action::Deny)
    }
}

/// Reviews a request. Ends at the deadline at the latest (give or take one step of the engine).
#[must_use]
pub fn review(request: &Request, snapshot: &Snapshot, phase: Phase, deadline: Instant, worker: &mut Worker) -> Outcome {
    let scope = snapshot.scope(request);
    let mut outcome = Outcome::new(scope);
    if select::passes(request) {
        return outcome;
    }
    let mut run = select::Run {
        snapshot,
        scope,
        deadline,
        worker,
        failures: vec![],
        unknown: vec![],
        now: snapshot.now.to_string(),
        exemptions: exempt::Exemptions::of(request, snapshot, scope),
    };
    let patched = if phase != Phase::Validate && request.operation != Operation::Delete {
        outcome.patch = run.mutate(request);
        outcome.patch.object.clone().map(|object| request.with_object(object))
    } else {
        None
    };
    if phase != Phase::Mutate && scope.mode != Mode::Off {
        // what failed while patching is told by the judging of the same policy
        run.failures.clear();
        run.unknown.clear();
        outcome.findings = run.judge(patched.as_ref().unwrap_or(request));
    }
    outcome.failures = std::mem::take(&mut run.failures);
    outcome.unknown = std::mem::take(&mut run.unknown);
    run.exemptions.spare(request, snapshot, &mut outcome);
    outcome
}
