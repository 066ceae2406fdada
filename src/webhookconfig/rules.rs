//! What is registered: the policies' `match` rows, with workloads in place of the Pods and claims inside them.

use super::WebhookConfigError;
use crate::admission::expand;
use crate::admission::request::{Gvr, Operation};
use crate::context::resources;
use crate::policy::matcher::via;
use crate::policy::metadata::{Metadata, Via};
use crate::policy::mode::{Action, Tier};
use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a kind lives in namespaces. `Any` when we do not know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In none.
    Cluster,
    /// A custom kind: split into one row of each scope, the API server takes the right one.
    Any,
}

impl Scope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaced => "Namespaced",
            Self::Cluster => "Cluster",
            Self::Any => "*",
        }
    }
}

/// One resource or subresource and what the policies want of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource; empty for the resource itself.
    pub subresource: String,
    /// See [`Scope`].
    pub scope: Scope,
    /// Operations that are validated, as the API server writes them.
    pub validate: BTreeSet<String>,
    /// Some policy patches it when it is created.
    pub patched: bool,
    /// Some policy denies in some tier.
    pub can_deny: bool,
    /// Some policy also judges deletions in progress.
    pub guards_finalizers: bool,
}

impl Registered {
    /// Namespace objects, which have webhooks of their own.
    #[must_use]
    pub fn is_namespace(&self) -> bool {
        self.group.is_empty() && self.resource == "namespaces" && self.subresource.is_empty()
    }

    /// PersistentVolumes, which follow the namespace of their claim.
    #[must_use]
    pub fn is_volume(&self) -> bool {
        self.group.is_empty() && self.resource == "persistentvolumes"
    }

    /// One row for each scope.
    #[must_use]
    pub fn scoped(&self) -> Vec<Self> {
        let scopes: &[Scope] = if self.scope == Scope::Any {
            &[Scope::Namespaced, Scope::Cluster]
        } else {
            std::slice::from_ref(&self.scope)
        };
        scopes.iter().map(|scope| Self { scope: *scope, ..self.clone() }).collect()
    }
}

type Key = (String, String, String, String);

/// Everything that the policies match, sorted. Policies that are off in all tiers count for nothing but restores.
///
/// # Errors
/// When a policy matches a `status` subresource.
pub fn registered<'m>(policies: impl IntoIterator<Item = &'m Metadata>) -> Result<Vec<Registered>, WebhookConfigError> {
    let mut rows: BTreeMap<Key, Registered> = BTreeMap::new();
    for policy in policies {
        for rule in policy.rules.iter().filter(|rule| rule.registered) {
            for resource in &rule.resources {
                let (plural, subresource) = resource.split_once('/').unwrap_or((resource, ""));
                if subresource == "status" {
                    return Err(WebhookConfigError::Status { policy: policy.id.clone(), resource: resource.clone() });
                }
                let how = via(rule, resource);
                for (group, version) in
                    rule.api_groups.iter().flat_map(|g| rule.api_versions.iter().map(move |v| (g.as_str(), v.as_str())))
                {
                    // Pods of their own are judged by `check` and audits only: a webhook for Pods that is down would keep
                    // nodes and operators from starting any
                    let is_pod = (group, plural) == ("", "pods");
                    if matches!(how, Via::Direct | Via::Both) && !is_pod {
                        add(&mut rows, [group, version, plural, subresource], policy, &rule.operations);
                    }
                    if matches!(how, Via::Template | Via::Both) {
                        // parts of a workload come and change with it; deleting the workload deletes no claim
                        let inside: Vec<Operation> = rule
                            .operations
                            .iter()
                            .copied()
                            .filter(|op| matches!(op, Operation::Create | Operation::Update))
                            .collect();
                        let part = Gvr { group: group.into(), version: version.into(), resource: plural.into() };
                        for (group, version, plural) in expand::workloads_with(&part) {
                            add(&mut rows, [group, version, plural, ""], policy, &inside);
                        }
                    }
                }
            }
        }
    }
    Ok(rows.into_values().collect())
}

fn add(
    rows: &mut BTreeMap<Key, Registered>,
    [group, version, resource, subresource]: [&str; 4],
    policy: &Metadata,
    operations: &[Operation],
) {
    if operations.is_empty() {
        return;
    }
    let key = (group.to_owned(), version.to_owned(), resource.to_owned(), subresource.to_owned());
    let row = rows.entry(key).or_insert_with(|| Registered {
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        subresource: subresource.to_owned(),
        scope: match resources::known(group, resource) {
            Some(known) if known.namespaced => Scope::Namespaced,
            Some(_) => Scope::Cluster,
            // the one workload that no policy may read as context
            None if (group, resource) == ("", "replicationcontrollers") => Scope::Namespaced,
            None => Scope::Any,
        },
        validate: BTreeSet::new(),
        patched: false,
        can_deny: false,
        guards_finalizers: false,
    });
    let strongest = Tier::ALL.iter().map(|tier| policy.actions.get(*tier)).max().unwrap_or(Action::Off);
    if strongest == Action::Off {
        return;
    }
    row.validate.extend(operations.iter().map(ToString::to_string));
    row.patched |= !policy.patch.is_empty() && operations.contains(&Operation::Create);
    row.can_deny |= strongest == Action::Deny;
    row.guards_finalizers |= policy.guards_finalizers;
}

/// The rules of a webhook: resources that want the same of the same API version share one.
#[must_use]
pub fn compact<'r>(rows: impl IntoIterator<Item = (&'r Registered, BTreeSet<String>)>) -> Vec<RuleWithOperations> {
    let mut shared: BTreeMap<(&str, &str, Scope, BTreeSet<String>), BTreeSet<String>> = BTreeMap::new();
    for (row, operations) in rows {
        let resource = if row.subresource.is_empty() {
            row.resource.clone()
        } else {
            format!("{}/{}", row.resource, row.subresource)
        };
        shared.entry((&row.group, &row.version, row.scope, operations)).or_default().insert(resource);
    }
    let rule = |((group, version, scope, operations), resources): (
        (&str, &str, Scope, BTreeSet<String>),
        BTreeSet<String>,
    )| {
        RuleWithOperations {
            api_groups: Some(vec![group.to_owned()]),
            api_versions: Some(vec![version.to_owned()]),
            operations: Some(operations.into_iter().collect()),
            resources: Some(resources.into_iter().collect()),
            scope: Some(scope.as_str().to_owned()),
        }
    };
    shared.into_iter().map(rule).collect()
}
