//! Judges one namespace after the other.
//!
//! What a controller made of a workload is counted at the workload: ReplicaSets and Pods are not judged again, and the claims of
//! a StatefulSet appear in its row, with what its claim templates do not already say.

use super::spool::Filling;
use super::walk::{Batch, Part};
use super::{Audit, AuditError, Options, Progress};
use crate::admission::request::{Gvk, Request};
use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::facts::{Fact, Facts};
use crate::engine::evaluate::Worker;
use crate::policy::mode::Mode;
use crate::policy::store::PolicySet;
use crate::report::coverage::Coverage;
use crate::report::{Failure, Judged, ResourceId, Source, Summary, UnknownRow, Violation};
use crate::review::{Outcome, Phase, Snapshot, review};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

/// Longest time for one object.
const PER_OBJECT: Duration = Duration::from_secs(10);

/// Judges batches and keeps what it finds.
pub(super) struct Judge {
    policies: Arc<PolicySet>,
    settings: Arc<Settings>,
    options: Options,
    now: jiff::Timestamp,
    /// Facts that have no namespace.
    lasting: Facts,
    rows: Filling<Judged>,
    errors: Vec<Failure>,
    summary: Summary,
    coverage: Coverage,
    worker: Worker,
}

impl Judge {
    pub(super) fn new(
        policies: Arc<PolicySet>,
        settings: Arc<Settings>,
        options: Options,
        now: jiff::Timestamp,
    ) -> Result<Self, AuditError> {
        Ok(Self {
            policies,
            settings,
            options,
            now,
            lasting: Facts::default(),
            rows: Filling::new()?,
            errors: Vec::new(),
            summary: Summary::default(),
            coverage: Coverage::default(),
            worker: Worker::new(),
        })
    }

    /// Judges until no more batches come.
    pub(super) fn run(
        mut self,
        mut batches: Receiver<Batch>,
        mut progress: impl FnMut(&Progress),
    ) -> Result<Audit, AuditError> {
        let mut so_far = Progress::default();
        while let Some(batch) = batches.blocking_recv() {
            so_far.listed += batch.parts.iter().map(|part| part.objects.len() as u64).sum::<u64>();
            so_far.namespace.clone_from(&batch.namespace);
            progress(&so_far);
            self.batch(batch)?;
            so_far.judged = self.summary.resources as u64;
            progress(&so_far);
        }
        self.summary.errors = self.errors.len();
        Ok(Audit { coverage: self.coverage, rows: self.rows.finish()?, errors: self.errors, summary: self.summary })
    }

    fn batch(&mut self, batch: Batch) -> Result<(), AuditError> {
        let mut facts = self.lasting.clone();
        for Part { source, objects } in batch.parts.iter().filter(|part| part.source.fact) {
            if batch.unknown.contains(&source.resource) {
                facts.unset_kind(&source.resource);
            } else {
                let list: Vec<Fact> = objects.iter().filter_map(|o| Fact::new(&source.resource, o)).collect();
                facts.set_kind(&source.resource, &list);
            }
        }
        if batch.lasting {
            self.lasting = facts.clone();
        }
        let snapshot =
            Snapshot::new(self.policies.clone(), self.settings.clone(), Arc::new(facts), self.now).with_unregistered();
        let snapshot = snapshot.forcing(self.options.forced);
        let before = self.summary.resources;
        let mut rows: Vec<Judged> = Vec::new();
        // where the row of a StatefulSet is, by name
        let mut sets: BTreeMap<String, usize> = BTreeMap::new();
        let claims_last = |part: &&Part| part.source.resource == "persistentvolumeclaims";
        let (claims, others): (Vec<&Part>, Vec<&Part>) = batch.parts.iter().partition(claims_last);
        for part in others.into_iter().chain(claims).filter(|part| part.source.judged) {
            for object in &part.objects {
                let row = self.options.selector.matches(object).then(|| self.object(part, object, &snapshot));
                let Some(row) = row.flatten() else { continue };
                if part.source.resource == "persistentvolumeclaims"
                    && let Some(position) = set_of(&row.resource.name, object, &sets)
                    && let Some(set) = rows.get_mut(position)
                {
                    self.coverage.children += 1;
                    adopt(set, row);
                    continue;
                }
                if part.source.resource == "statefulsets" {
                    sets.insert(row.resource.name.clone(), rows.len());
                }
                rows.push(row);
            }
        }
        for row in rows {
            self.summary.add(&row);
            self.rows.add(&row)?;
        }
        if !batch.namespace.is_empty() && self.summary.resources > before {
            self.coverage.namespaces += 1;
        }
        Ok(())
    }

    /// The row of an object, where it is judged.
    fn object(&mut self, part: &Part, object: &Value, snapshot: &Snapshot) -> Option<Judged> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = Gvk { kind: text("/kind").to_owned(), ..part.source.gvk.clone() };
        let namespace = text("/metadata/namespace");
        let of_namespace = if part.source.resource == "namespaces" { text("/metadata/name") } else { namespace };
        if !self.options.namespaces.is_empty() && !self.options.namespaces.contains(of_namespace) {
            return None;
        }
        let excluded = SYSTEM_NAMESPACES.contains(&of_namespace)
            || self.settings.excluded_namespaces.iter().any(|excluded| excluded == of_namespace);
        let leaving = object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null());
        if excluded || leaving {
            self.coverage.passed_over += 1;
            return None;
        }
        if is_made(&part.source.resource, object) {
            self.coverage.children += 1;
            return None;
        }
        let resource = ResourceId {
            api_version: kind.api_version(),
            kind: kind.kind.clone(),
            namespace: Some(namespace.to_owned()).filter(|n| !n.is_empty()),
            name: text("/metadata/name").to_owned(),
        };
        let source = Source { file: "cluster".to_owned(), line: 0, column: 0 };
        let request = match Request::of_stored(&kind, &part.source.gvr, object.clone()) {
            Ok(request) => request,
            Err(error) => {
                let message = format!("{} {}: {error}", resource.kind, resource.name);
                self.errors.push(Failure { source: None, policy: None, message });
                return None;
            }
        };
        let deadline = Instant::now() + PER_OBJECT;
        let outcome = review(&request, snapshot, Phase::Validate, deadline, &mut self.worker);
        let _ = self.worker.take_times();
        if outcome.scope.mode == Mode::Off {
            self.coverage.passed_over += 1;
            return None;
        }
        if self.options.tier.is_some_and(|tier| tier != outcome.scope.tier) {
            return None;
        }
        let judged_in = crate::context::scope::deciding_namespace(&request);
        Some(Judged { judged_in, ..self.row(resource, source, outcome) })
    }

    fn row(&mut self, resource: ResourceId, source: Source, outcome: Outcome) -> Judged {
        let place = match &resource.namespace {
            Some(namespace) => format!("{} {namespace}/{}", resource.kind, resource.name),
            None => format!("{} {}", resource.kind, resource.name),
        };
        self.errors.extend(outcome.failures.into_iter().map(|failure| Failure {
            source: None,
            policy: Some(failure.policy),
            message: format!("{place}: {}", failure.reason),
        }));
        let violation = |finding| Violation { finding, source: source.clone() };
        let unknown = |u: crate::decision::Unknown| UnknownRow { policy: u.policy, missing: u.missing };
        Judged {
            resource,
            judged_in: None,
            violations: outcome.findings.into_iter().map(violation).collect(),
            patches: Vec::new(),
            unknown: outcome.unknown.into_iter().map(unknown).collect(),
            source,
        }
    }
}

/// Whether a controller of Kubernetes made the object from a workload that is judged itself.
fn is_made(resource: &str, object: &Value) -> bool {
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

/// The StatefulSet that made a claim: its name is `<template>-<set>-<ordinal>`
/// (k8s.io/kubernetes `pkg/controller/statefulset/stateful_set_utils.go`).
fn set_of(name: &str, claim: &Value, sets: &BTreeMap<String, usize>) -> Option<usize> {
    let (rest, ordinal) = name.rsplit_once('-')?;
    ordinal.parse::<u32>().ok()?;
    // labels of the set's selector are copied to its claims; a claim without labels was made by hand
    claim.pointer("/metadata/labels").and_then(Value::as_object)?;
    sets.iter()
        .find(|(set, _)| rest.strip_suffix(set.as_str()).is_some_and(|t| t.len() > 1 && t.ends_with('-')))
        .map(|(_, position)| *position)
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
