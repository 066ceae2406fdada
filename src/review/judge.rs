//! Judges an object: violations of the request and its parts, ratcheted against the stored object.

use super::Snapshot;
use super::select::{Chosen, Prepared, Run, input, targets};
use crate::admission::expand::Target;
use crate::admission::pointer::{self, Path, Step};
use crate::admission::request::{Operation, Request};
use crate::decision::{Cap, Finding};
use crate::engine::compile::{EngineKind, Entry};
use crate::engine::evaluate::Worker;
use crate::engine::value::{self, Value};
use crate::engine::violation::{self, Violation};
use crate::policy::mode::Action;
use crate::policy::store::Policy;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

impl Run<'_> {
    /// All violations, worst first.
    pub(super) fn judge(&mut self, request: &Request) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (target, policies) in targets(self.snapshot, self.scope, request) {
            let prepared = Prepared::new(target);
            let mut before = None;
            for chosen in policies.iter().filter(|c| c.effective != Action::Off) {
                let Some(violations) = self.violations(chosen, &prepared) else { continue };
                let mut of_policy: Vec<Finding> = violations
                    .into_iter()
                    .map(|v| self.finding(v, chosen, &prepared.target, request.subject()))
                    .collect();
                if request.operation == Operation::Update && of_policy.iter().any(|f| f.in_enforce == Action::Deny) {
                    self.ratchet(&mut of_policy, chosen, &prepared.target, request, &mut before);
                }
                findings.append(&mut of_policy);
            }
        }
        findings.sort_by(|a, b| {
            (std::cmp::Reverse(a.effective), &a.policy, &a.path).cmp(&(
                std::cmp::Reverse(b.effective),
                &b.policy,
                &b.path,
            ))
        });
        findings
    }

    fn violations(&mut self, chosen: &Chosen<'_>, prepared: &Prepared) -> Option<Vec<Violation>> {
        let result = self.evaluate(chosen, Entry::Violation, prepared)?;
        match violation::violations(&result) {
            Ok(violations) => Some(violations),
            Err(error) => {
                self.fail(chosen, "result", error);
                None
            }
        }
    }

    fn finding(&self, violation: Violation, chosen: &Chosen<'_>, target: &Target, object: Option<&Json>) -> Finding {
        let path: Path = target.prefix.iter().cloned().chain(violation.path.into_iter().map(step)).collect();
        let part = target.part.as_deref().unwrap_or_default();
        let key = match violation.key {
            Some(key) => format!("{part}#{key}"),
            None => object.map_or_else(|| pointer::to_pointer(&path), |object| pointer::by_name(object, &path)),
        };
        let metadata = &chosen.policy.metadata;
        Finding {
            policy: metadata.id.clone(),
            checklist: metadata.checklist.clone(),
            severity: metadata.severity,
            action: chosen.action,
            effective: chosen.effective,
            in_enforce: chosen.in_enforce,
            tier: self.scope.tier,
            mode: self.scope.mode,
            path,
            message: violation.msg,
            found: violation.found,
            wanted: violation.wanted,
            fix: violation.fix,
            key,
            ratcheted: false,
            capped_by: chosen.capped_by,
            note: None,
            expanded_from: target.part.clone(),
        }
    }

    /// A violation that the stored object already had is a warning: the same policy and key, and an unchanged value.
    fn ratchet(
        &mut self,
        findings: &mut [Finding],
        chosen: &Chosen<'_>,
        target: &Target,
        request: &Request,
        before: &mut Option<Option<Prepared>>,
    ) {
        let (Some(new), Some(old)) = (request.object(), request.old_object()) else { return };
        let prepared = before.get_or_insert_with(|| {
            let request = target.request.of_old_object()?;
            Some(Prepared::new(Target { request, ..target.clone() }))
        });
        let Some(prepared) = prepared else { return };
        let kept = self.failures.len();
        let violations = self.violations(chosen, prepared);
        // a policy that cannot judge the old object has nothing to say about it
        self.failures.truncate(kept);
        let prefix = match old_prefix(target, new, old) {
            Some(prefix) => prefix,
            None => return,
        };
        let part = Target { prefix, ..target.clone() };
        let had: Vec<Finding> =
            violations.unwrap_or_default().into_iter().map(|v| self.finding(v, chosen, &part, Some(old))).collect();
        for finding in findings {
            let same = |h: &&Finding| {
                h.key == finding.key && pointer::given(old, &h.path) == pointer::given(new, &finding.path)
            };
            if had.iter().any(|h| same(&h)) {
                finding.ratcheted = true;
                finding.in_enforce = finding.in_enforce.at_most(Action::Warn);
                // where the mode is weaker, it is the mode that weakens
                if finding.effective == Action::Deny {
                    finding.effective = Action::Warn;
                    finding.capped_by = Some(Cap::Ratchet);
                }
            }
        }
    }
}

/// Where a part stood in the old object: a claim template may have another index there.
fn old_prefix(target: &Target, new: &Json, old: &Json) -> Option<Path> {
    let Some((Step::Index(_), list)) = target.prefix.split_last() else { return Some(target.prefix.clone()) };
    let name = pointer::by_name(new, &target.prefix);
    let length = pointer::get(old, list)?.as_array()?.len();
    (0..length)
        .map(|index| list.iter().cloned().chain([Step::Index(index)]).collect::<Path>())
        .find(|path| pointer::by_name(old, path) == name)
}

fn step(step: violation::Step) -> Step {
    match step {
        violation::Step::Index(index) => Step::Index(index),
        violation::Step::Key(key) => Step::Key(key),
    }
}

/// Evaluates the policies of a request on both engines and returns the ids of those that disagree; they are answered by
/// the interpreter from then on. Runs off the request path.
pub fn sample(request: &Request, snapshot: &Snapshot, worker: &mut Worker) -> Vec<String> {
    let limit = Duration::from_secs(5);
    let mut disagree = Vec::new();
    for (policy, input) in inputs(request, snapshot).iter().filter(|(policy, _)| policy.engine() == EngineKind::Rvm) {
        let differs = [Entry::Violation, Entry::Patch].into_iter().any(|entry| {
            let mut on = |kind| worker.evaluate_on(kind, &policy.unit, entry, input, snapshot.data(), limit);
            let (rvm, interpreter) = (on(EngineKind::Rvm), on(EngineKind::Interpreter));
            match (rvm, interpreter) {
                (Ok(a), Ok(b)) => a != b && !(is_empty(&a) && is_empty(&b)),
                // an interpreter that cannot answer is no better place (it fails on an undefined value in a head)
                (_, Err(_)) => false,
                (Err(_), Ok(_)) => true,
            }
        });
        if differs && policy.unit.demote() {
            disagree.push(policy.id().to_owned());
        }
    }
    disagree
}

/// Every policy that a request concerns, with the input that it gets: to compare engines.
#[must_use]
pub fn inputs<'s>(request: &Request, snapshot: &'s Snapshot) -> Vec<(&'s Policy, Value)> {
    let scope = snapshot.scope(request);
    let now = snapshot.now.to_string();
    let of_target = |(target, policies): (Target, Vec<Chosen<'s>>)| {
        let prepared = Prepared::new(target);
        policies.into_iter().map(|c| (c.policy, input(c.policy, &prepared, &now, scope))).collect::<Vec<_>>()
    };
    targets(snapshot, scope, request).into_iter().flat_map(of_target).collect()
}

/// A policy that judges a request or a part of its object here, with what it sees and what its violations lead to.
#[derive(Debug, Clone)]
pub struct Judge<'s> {
    /// The policy.
    pub policy: &'s Policy,
    /// Its input.
    pub input: Value,
    /// `volumeClaimTemplates[data]` or `template` for a part of a workload.
    pub part: Option<String>,
    /// By tier.
    pub action: Action,
    /// After mode and caps; exemptions and ratcheting come later.
    pub effective: Action,
    /// Why the action is weaker than the mode alone would have it.
    pub capped_by: Option<Cap>,
}

/// Every policy that a request concerns, to tell why it does what it does. A policy may judge several parts.
#[must_use]
pub fn judging<'s>(request: &Request, snapshot: &'s Snapshot) -> Vec<Judge<'s>> {
    let scope = snapshot.scope(request);
    let now = snapshot.now.to_string();
    let of_target = |(target, chosen): (Target, Vec<Chosen<'s>>)| {
        let prepared = Prepared::new(target);
        let judge = |c: Chosen<'s>| Judge {
            policy: c.policy,
            input: input(c.policy, &prepared, &now, scope),
            part: prepared.target.part.clone(),
            action: c.action,
            effective: c.effective,
            capped_by: c.capped_by,
        };
        chosen.into_iter().map(judge).collect::<Vec<_>>()
    };
    targets(snapshot, scope, request).into_iter().flat_map(of_target).collect()
}

/// The ids of the policies that judge a request or its parts here: what they found nothing on is in order.
#[must_use]
pub fn judges<'s>(request: &Request, snapshot: &'s Snapshot) -> BTreeSet<&'s str> {
    let targets = targets(snapshot, snapshot.scope(request), request);
    let chosen = targets.iter().flat_map(|(_, chosen)| chosen).filter(|c| c.effective != Action::Off);
    chosen.map(|c| c.policy.id()).collect()
}

/// The engines that the Pods of the object run, as far as policies rest a denial on it; by title, sorted.
#[must_use]
pub fn engines(request: &Request, snapshot: &Snapshot, worker: &mut Worker) -> Vec<String> {
    let input = value::object([("request", value::from_map(request.body()))]);
    let limit = Duration::from_secs(5);
    let found = snapshot.policies.subject_value("engines", &input, snapshot.data(), worker, limit);
    let found = found.ok().and_then(|found| value::to_json(&found)).unwrap_or_default();
    let sure = found.as_array().into_iter().flatten().filter(|entry| entry["sure"] == Json::Bool(true));
    let titles = sure.filter_map(|entry| entry["title"].as_str().or_else(|| entry["engine"].as_str()));
    titles.map(str::to_owned).collect::<BTreeSet<String>>().into_iter().collect()
}

fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Undefined) || value.as_set().is_ok_and(|set| set.is_empty())
}
