//! What can be said of a policy whose cases say too little: one that fails, does not end or answers in another shape on a bare
//! object of its own kind is not loaded, nor is one of which no case stays quiet: a rule that denies everything fulfils it.

use super::case::{Case, CaseError};
use crate::admission::request::{Operation, Request};
use crate::engine::evaluate::Worker;
use crate::policy::bundle::{Bundle, CaseFiles};
use crate::policy::store::{Policy, PolicySet};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time for one bare object. Requests have a second in all.
const LIMIT: Duration = Duration::from_secs(2);

/// Plurals of which the kind cannot be guessed from the letters.
const KINDS: &[(&str, &str)] = &[
    ("statefulsets", "StatefulSet"),
    ("daemonsets", "DaemonSet"),
    ("replicasets", "ReplicaSet"),
    ("cronjobs", "CronJob"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ("persistentvolumes", "PersistentVolume"),
    ("storageclasses", "StorageClass"),
    ("poddisruptionbudgets", "PodDisruptionBudget"),
    ("horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("networkpolicies", "NetworkPolicy"),
    ("configmaps", "ConfigMap"),
    ("serviceaccounts", "ServiceAccount"),
    ("csidrivers", "CSIDriver"),
    ("resourcequotas", "ResourceQuota"),
    ("limitranges", "LimitRange"),
    ("priorityclasses", "PriorityClass"),
    ("ingresses", "Ingress"),
];

/// Problems of the policies of a set that nobody has shown to work.
#[must_use]
pub fn problems(bundle: &Bundle, set: &PolicySet) -> Vec<String> {
    let mut problems = Vec::new();
    let mut worker = Worker::new();
    for policy in set.policies() {
        match bundle.cases.get(policy.unit.package.trim_start_matches("data.")) {
            Some(cases) => problems.extend(no_quiet_case(set, policy, cases)),
            None => problems.extend(on_bare_objects(set, policy, &mut worker)),
        }
    }
    problems
}

/// What an operator should know of policies that are loaded all the same.
#[must_use]
pub fn warnings(bundle: &Bundle, set: &PolicySet) -> Vec<String> {
    let unproven = |p: &&Policy| !bundle.cases.contains_key(p.unit.package.trim_start_matches("data."));
    let warning = |p: &Policy| {
        format!(
            "{}: policy {} has no cases, so nothing shows that it lets anything pass, and the slow engine answers for it; add \
             cases/<name>/input.yaml and expected.yaml beside it, one of them with `violations: []` (docs/policy-format.md)",
            p.file,
            p.id()
        )
    };
    set.policies().iter().filter(unproven).map(warning).collect()
}

fn no_quiet_case(set: &PolicySet, policy: &Policy, cases: &[CaseFiles]) -> Option<String> {
    // a case that cannot be read is told when cases are run
    let quiet = |files: &CaseFiles| !Case::parse(files).is_ok_and(|case| case.expects_violations());
    (!cases.iter().any(quiet)).then(|| {
        format!(
            "{}: every case of {} ({} in all) expects a violation, which a rule that denies everything fulfils too; add a case of \
             an object that is in order, with `violations: []` in its expected.yaml",
            set.place(policy, "violation"),
            policy.id(),
            cases.len()
        )
    })
}

fn on_bare_objects(set: &PolicySet, policy: &Policy, worker: &mut Worker) -> Option<String> {
    for rule in &policy.metadata.rules {
        let (group, version) = (rule.api_groups.first()?, rule.api_versions.first()?);
        let operation = *rule.operations.first()?;
        for resource in rule.resources.iter().filter(|resource| !resource.contains('/')) {
            let Ok(case) = bare(group, version, resource, operation) else { continue };
            if let Some(problem) = case.failures(set, policy.id(), LIMIT, worker).into_iter().next() {
                return Some(format!(
                    "{}: {} has no answer to a bare {}: {problem}; it must answer within a second on every object that it \
                     matches, also where fields are absent, with members of the shape in docs/policy-format.md",
                    set.place(policy, "violation"),
                    policy.id(),
                    kind(resource)
                ));
            }
        }
    }
    None
}

/// A request about an object with a name and nothing else.
fn bare(group: &str, version: &str, resource: &str, operation: Operation) -> Result<Case, CaseError> {
    let kind = kind(resource);
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let object = json!({
        "apiVersion": api_version, "kind": kind, "metadata": {"name": "bare", "namespace": "default"}, "spec": {},
    });
    let (object, old) = match operation {
        Operation::Delete => (Value::Null, object),
        Operation::Update => (object.clone(), object),
        _ => (object, Value::Null),
    };
    let body = json!({
        "uid": "bare", "kind": {"group": group, "version": version, "kind": kind}, "name": "bare", "namespace": "default",
        "resource": {"group": group, "version": version, "resource": resource}, "operation": operation, "object": object,
        "oldObject": old, "userInfo": {"username": "developer", "groups": []},
    });
    Ok(Case::of_request("bare", Request::from_body(body.as_object().cloned().unwrap_or_default())?))
}

/// The kind of a plural, or a guess that looks like one.
fn kind(resource: &str) -> String {
    if let Some((_, kind)) = KINDS.iter().find(|(plural, _)| *plural == resource) {
        return (*kind).to_owned();
    }
    let singular = match resource.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => resource.strip_suffix('s').unwrap_or(resource).to_owned(),
    };
    let mut letters = singular.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
