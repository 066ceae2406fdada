//! Why a policy has nothing to do with a request: kind, operation, version, `via`, tier.

use crate::admission::expand;
use crate::admission::request::Request;
use crate::policy::matcher::via;
use crate::policy::metadata::{MatchRule, Metadata, Via};
use crate::policy::mode::{Action, Tier};
use serde::Serialize;
use std::collections::BTreeSet;

/// A policy that a request does not concern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unconcerned {
    /// Id.
    pub policy: String,
    /// Why not.
    pub reason: String,
    /// It is for other kinds: the reason that needs no words where many policies are listed.
    #[serde(skip)]
    pub other_kind: bool,
}

/// Why a policy does not concern a request.
#[must_use]
pub fn unconcerned(metadata: &Metadata, request: &Request, tier: Tier, ending: bool) -> Unconcerned {
    let (other_kind, reason) = reason(metadata, request, tier, ending);
    Unconcerned { policy: metadata.id.clone(), reason, other_kind }
}

fn reason(metadata: &Metadata, request: &Request, tier: Tier, ending: bool) -> (bool, String) {
    let sub = &request.sub_resource;
    let whole = &request.resource.resource;
    let resource = if sub.is_empty() { whole.clone() } else { format!("{whole}/{sub}") };
    let claims = !expand::claim_templates(request).is_empty();
    let pods = expand::pod_template(request).is_some();
    let direct = |rule: &&MatchRule| names(rule, &request.resource.group, &resource);
    let part =
        |rule: &&MatchRule| claims && names(rule, "", "persistentvolumeclaims") || pods && names(rule, "", "pods");
    let rows: Vec<&MatchRule> = metadata.rules.iter().filter(|rule| direct(rule) || part(rule)).collect();
    let kinds = |rules: &[MatchRule]| rules.iter().flat_map(|r| r.resources.clone()).collect::<BTreeSet<_>>();
    if rows.is_empty() {
        let kinds: Vec<String> = kinds(&metadata.rules).into_iter().collect();
        return (true, format!("it is for {}", kinds.join(", ")));
    }
    let reason = if metadata.actions.get(tier) == Action::Off {
        format!("it is Off in {tier}")
    } else if ending && !metadata.guards_finalizers {
        "the object is being deleted, or only loses finalizers".to_owned()
    } else if rows.iter().all(|rule| !rule.operations.contains(&request.operation)) {
        let operations: BTreeSet<String> =
            rows.iter().flat_map(|rule| &rule.operations).map(ToString::to_string).collect();
        format!("it is for {} only", operations.into_iter().collect::<Vec<_>>().join(", "))
    } else if rows.iter().all(|rule| direct(rule) && !rule.api_versions.contains(&request.resource.version)) {
        let versions: BTreeSet<&str> = rows.iter().flat_map(|rule| &rule.api_versions).map(String::as_str).collect();
        format!("it is for version {}", versions.into_iter().collect::<Vec<_>>().join(", "))
    } else if rows.iter().all(|rule| !rule.registered) {
        "it is for manifests and stored objects only (registered: false)".to_owned()
    } else if rows.iter().any(|rule| direct(rule) && via(rule, &resource) == Via::Template) {
        "it judges them inside workloads only (via: template)".to_owned()
    } else if rows.iter().all(|rule| part(rule) && via(rule, part_of(rule)) == Via::Direct) {
        "it judges objects of their own only, not what is inside a workload (via: direct)".to_owned()
    } else {
        "its match does not fit".to_owned()
    };
    (false, reason)
}

fn part_of(rule: &MatchRule) -> &'static str {
    if rule.resources.iter().any(|r| r == "persistentvolumeclaims") { "persistentvolumeclaims" } else { "pods" }
}

fn names(rule: &MatchRule, group: &str, resource: &str) -> bool {
    rule.api_groups.iter().any(|own| own == group) && rule.resources.iter().any(|own| own == resource)
}
