//! THE PIPELINE: match → context → evaluate → patch to a fixpoint → decide.
//!
//! Pure: no I/O, no clock but the `now` of the snapshot and the deadline. A violation that a permitted patch removes is
//! not a violation: [`Phase::Full`] patches first and judges what is left, as the API server does with `/mutate` and
//! `/validate`.

mod exempt;
mod judge;
mod mutate;
mod select;

use crate::admission::request::{Operation, Request};
use crate::config::Settings;
use crate::context::facts::Facts;
use crate::context::scope;
use crate::decision::{Finding, PolicyFailure, Scope, Unknown};
use crate::engine::evaluate::{Data, Worker};
use crate::engine::value;
use crate::patch::plan::{Change, DroppedPatch};
use crate::policy::matcher::Rows;
use crate::policy::mode::{Action, Mode, PatchSetting, Tier};
use crate::policy::store::PolicySet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

pub use exempt::Used;
pub use judge::{inputs, sample};
pub use select::unanswered;

/// Everything that a review depends on besides the request. Immutable; requests share it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The facts.
    pub facts: Arc<Facts>,
    /// The clock.
    pub now: jiff::Timestamp,
    /// Which rows of the policies' match count.
    rows: Rows,
    /// What holds instead of the labels.
    forced: Forced,
    data: Data,
}

/// What holds instead of labels and defaults: "what if everything were enforced".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forced {
    /// For every object.
    pub mode: Option<Mode>,
    /// For every object that does not ask for more itself.
    pub tier: Option<Tier>,
    /// For every object.
    pub patch: Option<PatchSetting>,
}

impl Snapshot {
    /// A snapshot of these parts.
    #[must_use]
    pub fn new(policies: Arc<PolicySet>, settings: Arc<Settings>, facts: Arc<Facts>, now: jiff::Timestamp) -> Self {
        let seawall = value::object([("knowledge", policies.knowledge())]);
        let data = Data::new(value::object([("cluster", facts.data()), ("seawall", seawall)]));
        Self { policies, settings, facts, now, rows: Rows::Registered, forced: Forced::default(), data }
    }

    /// The same snapshot for manifests and stored objects: what is never registered is judged as well.
    #[must_use]
    pub fn with_unregistered(self) -> Self {
        Self { rows: Rows::All, ..self }
    }

    /// The same snapshot with something that holds instead of the labels.
    #[must_use]
    pub fn forcing(self, forced: Forced) -> Self {
        Self { forced, ..self }
    }

    /// What the labels say about a request, or what holds instead.
    #[must_use]
    pub fn scope(&self, request: &Request) -> Scope {
        let found = scope::scope(request, &self.facts, self.settings.defaults);
        let raised = scope::raised(request);
        let tier = self.forced.tier.map_or(found.tier, |tier| raised.map_or(tier, |raised| tier.min(raised)));
        let mode = self.forced.mode.unwrap_or(found.mode);
        Scope { tier, mode, patch: self.forced.patch.unwrap_or(found.patch) }
    }

    /// The same snapshot at another time.
    #[must_use]
    pub fn at(&self, now: jiff::Timestamp) -> Self {
        Self { now, ..self.clone() }
    }

    /// The same snapshot with one more namespace known (answered by a live GET). Policies' facts stay as they are.
    #[must_use]
    pub fn with_namespace(&self, name: &str, labels: BTreeMap<String, String>) -> Self {
        Self { facts: Arc::new(self.facts.with_namespace(name, labels)), ..self.clone() }
    }

    /// The document that policies see as `data`.
    #[must_use]
    pub const fn data(&self) -> &Data {
        &self.data
    }
}

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
