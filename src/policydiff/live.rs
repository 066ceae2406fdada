//! A live cluster, walked once: every object is judged by both sets with the same facts, as it is stored.
//!
//! A stored object is judged as `audit` judges it; the safe defaults that are compared are those that it would get if it were
//! made again.

use super::change::{Compared, Parts, compare};
use super::sets::Side;
use super::tally::{Subject, Tally};
use crate::admission::request::Request;
use crate::audit::visit::Visitor;
use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::facts::Facts;
use crate::context::scope::deciding_namespace;
use crate::engine::evaluate::Worker;
use crate::policy::mode::Mode;
use crate::policy::store::PolicySet;
use crate::report::Failure;
use crate::review::{Forced, Outcome, Phase, Snapshot, review};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest time for one object and one set.
const PER_OBJECT: Duration = Duration::from_secs(10);

/// One set at work.
struct Desk {
    set: Arc<PolicySet>,
    settings: Arc<Settings>,
    forced: Forced,
    worker: Worker,
    /// With the facts of the namespace under way.
    snapshot: Option<Snapshot>,
}

impl Desk {
    fn new(side: &Side, forced: Forced) -> Self {
        let (set, settings) = (side.set.clone(), side.settings.clone());
        Self { set, settings, forced, worker: Worker::new(), snapshot: None }
    }

    /// `None`: this side does not judge it.
    fn outcome(&mut self, request: &Request, facts: &Arc<Facts>, now: jiff::Timestamp) -> Option<Outcome> {
        let namespace = request.namespace.as_deref().unwrap_or_default();
        let excluded = self.settings.excluded_namespaces.iter().any(|excluded| excluded == namespace);
        if excluded || SYSTEM_NAMESPACES.contains(&namespace) {
            return None;
        }
        if !self.snapshot.as_ref().is_some_and(|s| Arc::ptr_eq(&s.facts, facts)) {
            let snapshot = Snapshot::new(self.set.clone(), self.settings.clone(), facts.clone(), now);
            self.snapshot = Some(snapshot.with_unregistered().forcing(self.forced));
        }
        let snapshot = self.snapshot.as_ref()?;
        let mut run = |phase| review(request, snapshot, phase, Instant::now() + PER_OBJECT, &mut self.worker);
        let mut outcome = run(Phase::Validate);
        if outcome.scope.mode == Mode::Off {
            return None;
        }
        outcome.patch = run(Phase::Mutate).patch;
        let _ = self.worker.take_times();
        Some(outcome)
    }
}

/// Both sets at work.
pub struct Desks {
    old: Desk,
    new: Desk,
    now: jiff::Timestamp,
    /// What was counted.
    pub tally: Tally,
}

impl Desks {
    /// Compares two sets. `forced`: what holds instead of the labels.
    #[must_use]
    pub fn new((old, new): (&Side, &Side), forced: Forced, now: jiff::Timestamp, examples: usize) -> Self {
        let (old, new) = (Desk::new(old, forced), Desk::new(new, forced));
        Self { old, new, now, tally: Tally::new(examples) }
    }

    fn compared(&mut self, request: &Request, facts: &Arc<Facts>) -> Option<Compared> {
        let old = self.old.outcome(request, facts, self.now);
        let new = self.new.outcome(request, facts, self.now);
        (old.is_some() || new.is_some()).then(|| compare(old.as_ref(), new.as_ref(), Parts::All))
    }
}

impl Visitor for Desks {
    fn visit(&mut self, first: &Request, claims: &[Request], facts: &Arc<Facts>) {
        // neither side judges it: mode off, excluded
        let Some(mut compared) = self.compared(first, facts) else { return };
        for claim in claims {
            if let Some(of_claim) = self.compared(claim, facts) {
                adopt(&mut compared, of_claim, claim.object_name());
            }
        }
        let own = |pointer: &str| first.object().and_then(|o| o.pointer(pointer)?.as_str()).unwrap_or_default();
        let subject = Subject {
            kind: first.kind.kind.clone(),
            namespace: own("/metadata/namespace").to_owned(),
            name: first.object_name().to_owned(),
            operation: None,
            source: String::new(),
            judged_in: deciding_namespace(first).unwrap_or_default(),
        };
        self.tally.add(&subject, compared);
    }

    fn failed(&mut self, failure: Failure) {
        self.tally.fail(failure);
    }
}

/// Takes over what changes for a claim and its set's templates do not already say, as an audit does.
fn adopt(set: &mut Compared, claim: Compared, name: &str) {
    for mut difference in claim.differences {
        let same = |d: &super::change::Difference| d.policy == difference.policy && d.change == difference.change;
        if !set.differences.iter().any(same) {
            difference.field = format!("PersistentVolumeClaim {name} {}", difference.field);
            set.differences.push(difference);
        }
    }
    for hidden in claim.failed_both {
        if !set.failed_both.iter().any(|(policy, _)| *policy == hidden.0) {
            set.failed_both.push(hidden);
        }
    }
    for hidden in claim.unknown_both {
        if !set.unknown_both.iter().any(|(policy, _)| *policy == hidden.0) {
            set.unknown_both.push(hidden);
        }
    }
    set.decisions.0 = set.decisions.0.max(claim.decisions.0);
    set.decisions.1 = set.decisions.1.max(claim.decisions.1);
}
