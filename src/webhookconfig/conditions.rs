//! The CEL of `matchConditions`: calls that are never needed, and must not be waited for when the cluster comes up.
//!
//! Every expression must be true for the call to happen. None may fail: under `failurePolicy: Fail` an error is a denial,
//! so each optional field is asked for with `has` first.

use super::rules::Registered;
use crate::patch::record::ANNOTATION;
use k8s_openapi::api::admissionregistration::v1::MatchCondition;
use std::fmt::Write as _;

/// Controllers of kube-controller-manager that write the kinds we judge, when they run with accounts of their own
/// (<https://github.com/kubernetes/kubernetes/blob/v1.35.4/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go>).
/// Named and not `kube-system:*`: on some distributions people's own installers run in `kube-system`. The
/// horizontal-pod-autoscaler is not here: a scale-down that loses data is one whoever asks for it.
const CONTROLLERS: &[&str] = &[
    "attachdetach-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "job-controller",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "service-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "volumeattributesclass-protection-controller",
];

/// Those that delete because something else, which was judged, is already going.
const COLLECTORS: &[&str] = &["generic-garbage-collector", "namespace-controller"];

const ACCOUNT: &str = "system:serviceaccount:kube-system:";

/// The conditions of validating webhooks.
#[must_use]
pub fn validation(rows: &[Registered], own_user: Option<&str>) -> Vec<MatchCondition> {
    let mut conditions = vec![
        condition("not-written-by-the-control-plane", written_by_people(own_user)),
        condition("not-collected-by-the-control-plane", deleted_by_people()),
    ];
    conditions.extend(not_being_deleted(rows).map(|expression| condition("not-being-deleted", expression)));
    conditions
}

/// The condition of restoring: the object carries, or is about to carry, the record of our patches.
#[must_use]
pub fn has_record() -> MatchCondition {
    let in_object = |object: &str| {
        format!("(has({object}.metadata.annotations) && '{ANNOTATION}' in {object}.metadata.annotations)")
    };
    condition("has-patches", format!("{} || {}", in_object("oldObject"), in_object("object")))
}

/// CREATE and UPDATE by nodes, by the control plane and by ourselves are spared; DELETE is seen.
fn written_by_people(own_user: Option<&str>) -> String {
    let mut users = vec!["system:apiserver".to_owned(), "system:kube-.+".to_owned(), accounts(CONTROLLERS)];
    // nothing in the name of a service account can end a CEL string; any other name is not ours
    let plain = |user: &&str| user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:.".contains(&b));
    users.extend(own_user.filter(plain).map(|user| user.replace('.', "[.]")));
    format!(
        "request.operation == 'DELETE' || !((has(request.userInfo.groups) && 'system:nodes' in request.userInfo.groups) || \
         request.userInfo.username.matches('^({})$'))",
        users.join("|")
    )
}

/// DELETE by the namespace controller and the garbage collector is spared, also where all controllers share one account.
fn deleted_by_people() -> String {
    format!(
        "request.operation != 'DELETE' || \
         !request.userInfo.username.matches('^(system:kube-controller-manager|{})$')",
        accounts(COLLECTORS)
    )
}

/// Updates of objects that are being deleted are spared, except of kinds whose finalizers a policy guards.
fn not_being_deleted(rows: &[Registered]) -> Option<String> {
    let guarded: Vec<&Registered> = rows.iter().filter(|row| row.guards_finalizers).collect();
    if guarded.len() == rows.len() {
        return None;
    }
    let mut expression = "request.operation != 'UPDATE' || !has(object.metadata.deletionTimestamp)".to_owned();
    let mut named: Vec<(&str, &str)> = guarded.iter().map(|row| (row.group.as_str(), row.resource.as_str())).collect();
    named.dedup();
    for (group, resource) in named {
        let _ = write!(
            expression,
            " || (request.resource.group == '{group}' && request.resource.resource == '{resource}')"
        );
    }
    Some(expression)
}

/// A regular expression of service accounts in `kube-system`.
fn accounts(names: &[&str]) -> String {
    format!("{ACCOUNT}({})", names.join("|"))
}

fn condition(name: &str, expression: String) -> MatchCondition {
    MatchCondition { name: name.to_owned(), expression }
}
