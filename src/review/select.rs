//! Which policies judge a request, what their violations lead to, and running one of them within its share of the time.

use super::exempt::Exemptions;
use super::{Outcome, Snapshot};
use crate::admission::expand::{self, Target};
use crate::admission::request::{Operation, Request, annotation};
use crate::decision::{Cap, PolicyFailure, Scope, Unknown};
use crate::engine::compile::Entry;
use crate::engine::evaluate::Worker;
use crate::engine::shared::SharedValues;
use crate::engine::value::{self, Value};
use crate::policy::matcher::Rows;
use crate::policy::mode::Action;
use crate::policy::store::Policy;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Instant;

/// One review under way.
pub(super) struct Run<'r> {
    pub(super) snapshot: &'r Snapshot,
    pub(super) scope: Scope,
    pub(super) deadline: Instant,
    pub(super) worker: &'r mut Worker,
    pub(super) failures: Vec<PolicyFailure>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) now: String,
    pub(super) exemptions: Exemptions,
}

/// A policy chosen for a target.
#[derive(Clone, Copy)]
pub(super) struct Chosen<'s> {
    pub(super) policy: &'s Policy,
    /// By tier.
    pub(super) action: Action,
    /// After mode and caps.
    pub(super) effective: Action,
    /// After caps, were the mode enforce.
    pub(super) in_enforce: Action,
    pub(super) capped_by: Option<Cap>,
}

/// A target with its input, made once for all policies.
pub(super) struct Prepared {
    pub(super) target: Target,
    request: Value,
    /// What policies share about this object.
    shared: SharedValues,
}

impl Prepared {
    pub(super) fn new(target: Target) -> Self {
        let request = value::from_map(target.request.body());
        Self { target, request, shared: SharedValues::default() }
    }
}

/// Controllers that only ever finish deletions.
const PROTECTION_CONTROLLERS: &[&str] = &[
    "system:serviceaccount:kube-system:pvc-protection-controller",
    "system:serviceaccount:kube-system:pv-protection-controller",
    "system:serviceaccount:kube-system:volumeattributesclass-protection-controller",
];

/// Requests that are none of any policy's business.
#[must_use]
pub fn passes(request: &Request) -> bool {
    request.operation == Operation::Connect || PROTECTION_CONTROLLERS.contains(&request.username.as_str())
}

/// Whether the request comes from Kubernetes itself. Such requests act on what a person made, and that is judged there.
#[must_use]
pub(super) fn is_system(request: &Request) -> bool {
    let user = request.username.as_str();
    user.starts_with("system:serviceaccount:kube-system:")
        || user.starts_with("system:node:")
        || is_provisioned(request)
        || matches!(user, "system:kube-controller-manager" | "system:kube-scheduler" | "system:apiserver")
}

/// A volume that a provisioner just made: its account has any name, and the storage is there already. It is patched where
/// that is permitted, never denied, or claims would wait for ever.
fn is_provisioned(request: &Request) -> bool {
    let made = request.object().and_then(|o| annotation(o, "pv.kubernetes.io/provisioned-by"));
    request.operation == Operation::Create && request.resource.resource == "persistentvolumes" && made.is_some()
}

/// An object on its way out, or an update that only removes finalizers: neither may be stood in the way of.
#[must_use]
pub fn is_ending(request: &Request) -> bool {
    if request.operation != Operation::Update {
        return false;
    }
    let (Some(new), Some(old)) = (request.object(), request.old_object()) else { return false };
    new.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null()) || only_finalizers_removed(new, old)
}

fn only_finalizers_removed(new: &Json, old: &Json) -> bool {
    let finalizers = |object: &Json| -> BTreeSet<String> {
        let list = object.pointer("/metadata/finalizers").and_then(Json::as_array);
        list.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
    };
    let rest = |object: &Json| {
        let mut object = object.clone();
        if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
            for key in ["finalizers", "managedFields", "resourceVersion", "generation"] {
                metadata.shift_remove(key);
            }
        }
        object
    };
    let (now, before) = (finalizers(new), finalizers(old));
    now != before && now.is_subset(&before) && rest(new) == rest(old)
}

/// Whether an operator's resource owns the object: it is judged there.
fn operator_owned(request: &Request, groups: &BTreeSet<String>) -> bool {
    let owners = request.subject().and_then(|o| o.pointer("/metadata/ownerReferences")?.as_array());
    owners.into_iter().flatten().any(|owner| {
        let group = owner
            .get("apiVersion")
            .and_then(Json::as_str)
            .and_then(|v| v.split_once('/'))
            .map_or("", |(group, _)| group);
        owner.get("controller").and_then(Json::as_bool) == Some(true) && groups.contains(group)
    })
}

/// The request and its parts that any policy matches, each with its policies, those that can deny first.
pub(super) fn targets<'s>(snapshot: &'s Snapshot, scope: Scope, request: &Request) -> Vec<(Target, Vec<Chosen<'s>>)> {
    let matcher = snapshot.policies.matcher();
    let ending = is_ending(request);
    let caps = caps(request, snapshot);
    let choose = |target: &Request, template: bool| {
        let positions = matcher.find(&target.resource, &target.sub_resource, target.operation, template, snapshot.rows);
        let policies = positions.iter().filter_map(|position| snapshot.policies.policies().get(*position));
        let mut chosen: Vec<Chosen<'s>> = policies
            .filter(|p| !ending || p.metadata.guards_finalizers)
            .filter_map(|p| chosen(p, scope, caps))
            .collect();
        chosen.sort_by_key(|c| std::cmp::Reverse(c.effective));
        chosen
    };
    let mut current = choose(request, false);
    // an API server converts to a version that some webhook asks for; a manifest is judged by the policies that know its
    // own version, and as the current version by the others
    let requested = Some(request).filter(|_| snapshot.rows == Rows::All).and_then(Request::as_requested);
    let requested = requested.map(|request| (choose(&request, false), request));
    let mut targets = Vec::new();
    if let Some((policies, written)) = requested {
        current.retain(|c| policies.iter().all(|other| other.policy.id() != c.policy.id()));
        targets.push((Target::whole(written), policies));
    }
    targets.insert(0, (Target::whole(request.clone()), current));
    let wants = |gvr| !matcher.find(&gvr, "", request.operation, true, snapshot.rows).is_empty();
    if wants(expand::claims()) {
        targets.extend(expand::claim_templates(request).into_iter().map(|t| (t.clone(), choose(&t.request, true))));
    }
    if wants(expand::pods()) {
        targets.extend(expand::pod_template(request).into_iter().map(|t| (t.clone(), choose(&t.request, true))));
    }
    targets.retain(|(_, chosen)| !chosen.is_empty());
    targets
}

impl Run<'_> {
    /// Whether no operator owns the object, so that patches have a point.
    pub(super) fn may_patch(&self, request: &Request) -> bool {
        !operator_owned(request, self.snapshot.policies.operator_groups())
    }

    /// Evaluates one rule of a policy, with half of the time that is left, so that the others get a share. `None` when
    /// there is no answer; the reason is kept.
    pub(super) fn evaluate(&mut self, chosen: &Chosen<'_>, entry: Entry, prepared: &Prepared) -> Option<Value> {
        let needs = chosen.policy.metadata.context.iter().filter(|need| !need.optional);
        if let Some(need) = needs.into_iter().find(|need| !self.snapshot.facts.is_synced(&need.resource)) {
            let unknown = Unknown { policy: chosen.policy.id().to_owned(), missing: need.resource.clone() };
            if !self.unknown.contains(&unknown) {
                self.unknown.push(unknown);
            }
            return None;
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.fail(chosen, "skipped", "it was not run: the time of the review was over".to_owned());
            return None;
        }
        let input = input(chosen.policy, prepared, &self.now, self.scope);
        let (unit, data) = (&chosen.policy.unit, self.snapshot.data());
        match self.worker.evaluate(unit, entry, &input, data, &prepared.shared, left / 2) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(chosen, error.kind(), error.to_string());
                None
            }
        }
    }

    /// Keeps the failure of a policy, once.
    pub(super) fn fail(&mut self, chosen: &Chosen<'_>, kind: &'static str, reason: String) {
        let policy = chosen.policy.id().to_owned();
        if !self.failures.iter().any(|f| f.policy == policy) {
            self.failures.push(PolicyFailure { policy, effective: chosen.effective, reason, kind });
        }
    }
}

/// What weakens the actions of all policies for this request.
fn caps(request: &Request, snapshot: &Snapshot) -> Option<Cap> {
    let changes = matches!(request.operation, Operation::Create | Operation::Update);
    if changes && is_system(request) {
        Some(Cap::SystemUser)
    } else if changes && operator_owned(request, snapshot.policies.operator_groups()) {
        Some(Cap::Operator)
    } else {
        None
    }
}

fn chosen(policy: &Policy, scope: Scope, cap: Option<Cap>) -> Option<Chosen<'_>> {
    let action = policy.metadata.actions.get(scope.tier);
    if action == Action::Off {
        return None;
    }
    let by_mode = action.at_most(scope.mode.cap());
    let by_cap = |action: Action| if cap.is_some() { action.at_most(Action::Audit) } else { action };
    let (effective, in_enforce) = (by_cap(by_mode), by_cap(action));
    Some(Chosen { policy, action, effective, in_enforce, capped_by: cap.filter(|_| effective != by_mode) })
}

/// The input of a policy: the review, with `seawall` added.
pub(super) fn input(policy: &Policy, prepared: &Prepared, now: &str, scope: Scope) -> Value {
    let seawall = value::object([
        ("now", Value::from(now)),
        ("tier", Value::from(scope.tier.as_str())),
        ("parameters", policy.parameters(scope.tier)),
    ]);
    value::object([
        ("apiVersion", Value::from("admission.k8s.io/v1")),
        ("kind", Value::from("AdmissionReview")),
        ("request", prepared.request.clone()),
        ("seawall", seawall),
    ])
}

/// The policies of a request, answered by their own effective actions because the review as a whole gave no answer.
#[must_use]
pub fn unanswered(request: &Request, snapshot: &Snapshot, reason: &str, kind: &'static str) -> Outcome {
    let scope = snapshot.scope(request);
    let mut outcome = Outcome::new(scope);
    if passes(request) {
        return outcome;
    }
    let targets = targets(snapshot, scope, request);
    let mut seen = BTreeSet::new();
    let failures = targets
        .iter()
        .flat_map(|(_, chosen)| chosen)
        .filter(|c| c.effective != Action::Off && seen.insert(c.policy.id()));
    let failure = |c: &Chosen<'_>| PolicyFailure {
        policy: c.policy.id().to_owned(),
        effective: c.effective,
        reason: reason.to_owned(),
        kind,
    };
    outcome.failures = failures.map(failure).collect();
    Exemptions::of(request, snapshot, scope).spare(request, snapshot, &mut outcome);
    outcome
}
