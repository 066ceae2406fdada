//! Judges one namespace after the other.
//!
//! What a controller made of a workload is counted at the workload: ReplicaSets and Pods are not judged again, and the claims of
//! a StatefulSet appear in its row, with what its claim templates do not already say.

use super::selector::Selector;
use super::spool::{Filling, SpoolError};
use super::stream::Source;
use super::walk::{Batch, Part};
use super::{AuditError, Options, Progress};
use crate::admission::request::{Gvk, Request};
use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::facts::{Fact, Facts};
use crate::engine::evaluate::Worker;
use crate::policy::mode::Mode;
use crate::policy::store::PolicySet;
use crate::report::coverage::Coverage;
use crate::report::observer::{Observer, Reviewed};
use crate::report::{self, Failure, Judged, ResourceId, Summary, UnknownRow, Violation};
use crate::review::{Outcome, Phase, Snapshot, review};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// Longest time for one object.
const PER_OBJECT: Duration = Duration::from_secs(10);

/// One object of a batch.
#[derive(Clone, Copy)]
pub(super) struct Item<'b> {
    pub(super) source: &'b Source,
    pub(super) object: &'b Value,
}

/// Objects that are judged together: one, or a StatefulSet with the claims that its controller made, which are counted at it.
pub(super) struct Group<'b> {
    pub(super) first: Item<'b>,
    pub(super) claims: Vec<Item<'b>>,
}

impl<'b> Group<'b> {
    /// All objects of the group.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'b>> + '_ {
        std::iter::once(self.first).chain(self.claims.iter().copied())
    }
}

/// What came of an object of a group.
pub(super) enum Verdict {
    /// A row of its own.
    Row {
        /// What was found.
        row: Box<Judged>,
        /// Every policy answered; [`Desk::errors`] says why not.
        whole: bool,
    },
    /// It is counted at the first of its group, or at a workload that is judged elsewhere.
    Counted,
    /// Nobody judges it.
    PassedOver,
    /// It cannot be judged; [`Desk::errors`] says why.
    Failed,
}

/// What becomes of the verdicts of an audit.
pub(super) trait Keeper {
    /// A batch begins.
    fn begin(&mut self, _batch: &Batch) {}

    /// Whether a group has to be judged.
    fn wants(&mut self, _group: &Group<'_>) -> bool {
        true
    }

    /// Takes the verdicts of a group: of its first object, then of its claims. `unknown`: kinds that are not all there.
    ///
    /// # Errors
    /// When they cannot be kept; the audit ends.
    fn keep(&mut self, group: &Group<'_>, verdicts: Vec<Verdict>, unknown: &BTreeSet<String>)
    -> Result<(), AuditError>;

    /// Objects with a row so far.
    fn judged(&self) -> u64;
}

/// Keeps the rows in a file until they are reported.
pub(super) struct InFile {
    pub(super) rows: Filling<Judged>,
    pub(super) summary: Summary,
}

impl Keeper for InFile {
    fn keep(&mut self, _: &Group<'_>, verdicts: Vec<Verdict>, _: &BTreeSet<String>) -> Result<(), AuditError> {
        for verdict in verdicts {
            if let Verdict::Row { row, .. } = verdict {
                self.summary.add(&row);
                self.rows.add(&row)?;
            }
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.summary.resources as u64
    }
}

/// Facts that have no namespace, which stay known while one namespace follows the other.
#[derive(Default)]
pub(super) struct Lasting(Facts);

impl Lasting {
    /// The facts for the objects of a batch.
    pub(super) fn facts(&mut self, batch: &Batch) -> Facts {
        let mut facts = self.0.clone();
        for Part { source, objects } in batch.parts.iter().filter(|part| part.source.fact) {
            if batch.unknown.contains(&source.resource) {
                facts.unset_kind(&source.resource);
            } else {
                let list: Vec<Fact> = objects.iter().filter_map(|o| Fact::new(&source.resource, o)).collect();
                facts.set_kind(&source.resource, &list);
            }
        }
        if batch.lasting {
            self.0 = facts.clone();
        }
        facts
    }
}

/// The objects of a batch that are judged.
pub(super) fn items<'b>(batch: &'b Batch, selector: &Selector) -> Vec<Item<'b>> {
    let judged = batch.parts.iter().filter(|part| part.source.judged);
    let items = judged.flat_map(|part| part.objects.iter().map(|object| Item { source: &part.source, object }));
    items.filter(|item| selector.matches(item.object)).collect()
}

/// Judges batches, one after the other.
pub(super) struct Judge<K> {
    pub(super) desk: Desk,
    pub(super) keeper: K,
    lasting: Lasting,
}

impl<K: Keeper> Judge<K> {
    pub(super) fn new(desk: Desk, keeper: K) -> Self {
        Self { desk, keeper, lasting: Lasting::default() }
    }

    /// Judges until no more batches come.
    pub(super) fn run(
        mut self,
        mut batches: Receiver<Batch>,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Self, AuditError> {
        let mut so_far = Progress::default();
        while let Some(batch) = batches.blocking_recv() {
            so_far.listed += batch.parts.iter().map(|part| part.objects.len() as u64).sum::<u64>();
            so_far.namespace.clone_from(&batch.namespace);
            progress(&so_far);
            self.batch(&batch)?;
            so_far.judged = self.keeper.judged();
            progress(&so_far);
        }
        Ok(self)
    }

    fn batch(&mut self, batch: &Batch) -> Result<(), AuditError> {
        let facts = self.lasting.facts(batch);
        let snapshot = self.desk.snapshot(Arc::new(facts));
        let before = self.keeper.judged();
        self.keeper.begin(batch);
        for group in groups(items(batch, &self.desk.options.selector)) {
            if self.keeper.wants(&group) {
                let verdicts = self.desk.group(&group, &snapshot);
                self.keeper.keep(&group, verdicts, &batch.unknown)?;
            }
        }
        if let Some(observer) = &self.desk.observer {
            lock(observer).namespace_done(&batch.unknown).map_err(SpoolError::from)?;
        }
        if !batch.namespace.is_empty() && self.keeper.judged() > before {
            self.desk.coverage.namespaces += 1;
        }
        Ok(())
    }
}

fn lock<'o>(observer: &'o Mutex<dyn Observer + Send + 'static>) -> MutexGuard<'o, dyn Observer + Send + 'static> {
    observer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Objects of one namespace as groups; claims of StatefulSets are with their set.
pub(super) fn groups(items: Vec<Item<'_>>) -> Vec<Group<'_>> {
    let (claims, others): (Vec<_>, Vec<_>) =
        items.into_iter().partition(|item| item.source.resource == "persistentvolumeclaims");
    let mut groups: Vec<Group<'_>> = Vec::with_capacity(others.len());
    // where a StatefulSet is, by name
    let mut sets: BTreeMap<&str, usize> = BTreeMap::new();
    for first in others {
        if first.source.resource == "statefulsets" {
            sets.insert(name_of(first.object), groups.len());
        }
        groups.push(Group { first, claims: Vec::new() });
    }
    for claim in claims {
        let set = set_of(name_of(claim.object), claim.object, &sets).and_then(|position| groups.get_mut(position));
        match set {
            Some(set) => set.claims.push(claim),
            None => groups.push(Group { first: claim, claims: Vec::new() }),
        }
    }
    groups
}

pub(super) fn name_of(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

/// Where objects are judged, one group at a time.
pub(super) struct Desk {
    policies: Arc<PolicySet>,
    settings: Arc<Settings>,
    pub(super) options: Options,
    now: jiff::Timestamp,
    pub(super) errors: Vec<Failure>,
    pub(super) coverage: Coverage,
    worker: Worker,
    /// Who looks on.
    pub(super) observer: Option<Arc<Mutex<dyn Observer + Send>>>,
}

impl Desk {
    pub(super) fn new(
        policies: Arc<PolicySet>,
        settings: Arc<Settings>,
        options: Options,
        now: jiff::Timestamp,
    ) -> Self {
        let (errors, coverage, worker) = (Vec::new(), Coverage::default(), Worker::new());
        Self { policies, settings, options, now, errors, coverage, worker, observer: None }
    }

    /// What objects are judged with.
    pub(super) fn snapshot(&self, facts: Arc<Facts>) -> Snapshot {
        Snapshot::new(self.policies.clone(), self.settings.clone(), facts, self.now)
            .with_unregistered()
            .forcing(self.options.forced)
    }

    /// The verdicts of a group: of its first object, then of its claims.
    pub(super) fn group(&mut self, group: &Group<'_>, snapshot: &Snapshot) -> Vec<Verdict> {
        let mut first = self.object(group.first, snapshot);
        let mut claims = Vec::with_capacity(group.claims.len());
        for claim in &group.claims {
            claims.push(match (self.object(*claim, snapshot), &mut first) {
                (Verdict::Row { row, whole }, Verdict::Row { row: set, whole: set_whole }) => {
                    self.coverage.children += 1;
                    *set_whole &= whole;
                    adopt(set, *row);
                    Verdict::Counted
                }
                (Verdict::Failed, Verdict::Row { whole, .. }) => {
                    *whole = false;
                    Verdict::Failed
                }
                (verdict, _) => verdict,
            });
        }
        claims.insert(0, first);
        claims
    }

    fn object(&mut self, Item { source: from, object }: Item<'_>, snapshot: &Snapshot) -> Verdict {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = Gvk { kind: text("/kind").to_owned(), ..from.gvk.clone() };
        let namespace = text("/metadata/namespace");
        let of_namespace = if from.resource == "namespaces" { text("/metadata/name") } else { namespace };
        let shared = self.options.with_shared && of_namespace.is_empty();
        if !self.options.namespaces.is_empty() && !self.options.namespaces.contains(of_namespace) && !shared {
            return Verdict::PassedOver;
        }
        let excluded = SYSTEM_NAMESPACES.contains(&of_namespace)
            || self.settings.excluded_namespaces.iter().any(|excluded| excluded == of_namespace);
        let leaving = object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null());
        if excluded || leaving {
            self.coverage.passed_over += 1;
            return Verdict::PassedOver;
        }
        if is_made(&from.resource, object) {
            self.coverage.children += 1;
            return Verdict::Counted;
        }
        let resource = ResourceId {
            api_version: kind.api_version(),
            kind: kind.kind.clone(),
            namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
            name: text("/metadata/name").to_owned(),
        };
        let source = report::Source { file: "cluster".to_owned(), line: 0, column: 0 };
        let request = match Request::of_stored(&kind, &from.gvr, object.clone()) {
            Ok(request) => request,
            Err(error) => {
                let message = format!("{} {}: {error}", resource.kind, resource.name);
                self.errors.push(Failure { source: None, policy: None, message });
                return Verdict::Failed;
            }
        };
        let deadline = Instant::now() + PER_OBJECT;
        let outcome = review(&request, snapshot, Phase::Validate, deadline, &mut self.worker);
        let _ = self.worker.take_times();
        if let Some(observer) = &self.observer {
            let reviewed = Reviewed { request: &request, snapshot, outcome: &outcome, source: None };
            lock(observer).reviewed(&reviewed, &mut self.worker);
        }
        if outcome.scope.mode == Mode::Off {
            self.coverage.passed_over += 1;
            return Verdict::PassedOver;
        }
        if self.options.tier.is_some_and(|tier| tier != outcome.scope.tier) {
            return Verdict::PassedOver;
        }
        let uid = Some(text("/metadata/uid").to_owned()).filter(|uid| !uid.is_empty());
        let judged_in = crate::context::scope::deciding_namespace(&request);
        self.row(Place { resource, uid, judged_in, source }, outcome)
    }

    fn row(&mut self, Place { resource, uid, judged_in, source }: Place, outcome: Outcome) -> Verdict {
        let place = match &resource.namespace {
            Some(namespace) => format!("{} {namespace}/{}", resource.kind, resource.name),
            None => format!("{} {}", resource.kind, resource.name),
        };
        let whole = outcome.failures.is_empty();
        self.errors.extend(outcome.failures.into_iter().map(|failure| Failure {
            source: None,
            policy: Some(failure.policy),
            message: format!("{place}: {}", failure.reason),
        }));
        let violation = |finding| Violation { finding, source: source.clone() };
        let unknown = |u: crate::decision::Unknown| UnknownRow { policy: u.policy, missing: u.missing };
        let row = Box::new(Judged {
            resource,
            uid,
            judged_in,
            violations: outcome.findings.into_iter().map(violation).collect(),
            patches: Vec::new(),
            unknown: outcome.unknown.into_iter().map(unknown).collect(),
            source,
        });
        Verdict::Row { row, whole }
    }
}

/// Whose verdict it is.
struct Place {
    resource: ResourceId,
    uid: Option<String>,
    judged_in: Option<String>,
    source: report::Source,
}

/// Whether a controller of Kubernetes made the object from a workload that is judged itself.
pub(super) fn is_made(resource: &str, object: &Value) -> bool {
    let owner = |kinds: &[&str]| {
        let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|owner| {
            owner.get("controller").and_then(Value::as_bool) == Some(true)
                && owner.get("kind").and_then(Value::as_str).is_some_and(|kind| kinds.contains(&kind))
        })
    };
    match resource {
        "replicasets" => owner(&["Deployment"]),
        "jobs" => owner(&["CronJob"]),
        // a generic ephemeral volume
        "persistentvolumeclaims" => owner(&["Pod"]),
        _ => false,
    }
}

/// The StatefulSet that made a claim.
fn set_of(name: &str, claim: &Value, sets: &BTreeMap<&str, usize>) -> Option<usize> {
    // labels of the set's selector are copied to its claims; a claim without labels was made by hand
    claim.pointer("/metadata/labels").and_then(Value::as_object)?;
    sets.iter().find(|(set, _)| is_claim_of(name, set)).map(|(_, position)| *position)
}

/// Whether a claim has such a name as those have that are made for a StatefulSet: `<template>-<set>-<ordinal>`
/// (k8s.io/kubernetes `pkg/controller/statefulset/stateful_set_utils.go`).
pub(super) fn is_claim_of(claim: &str, set: &str) -> bool {
    let Some((rest, ordinal)) = claim.rsplit_once('-') else { return false };
    ordinal.parse::<u32>().is_ok() && rest.strip_suffix(set).is_some_and(|t| t.len() > 1 && t.ends_with('-'))
}

/// Takes over what a claim has and its set's templates do not already say.
fn adopt(set: &mut Judged, claim: Judged) {
    for mut violation in claim.violations {
        let said = set.violations.iter().any(|v| v.finding.policy == violation.finding.policy);
        if !said {
            violation.finding.expanded_from = Some(format!("PersistentVolumeClaim {}", claim.resource.name));
            set.violations.push(violation);
        }
    }
    for unknown in claim.unknown {
        if !set.unknown.contains(&unknown) {
            set.unknown.push(unknown);
        }
    }
}
