//! Which policies a request concerns: an index on (group, resource, subresource, operation).

use super::metadata::{MatchRule, Metadata, Via};
use crate::admission::request::{Gvr, Operation};
use std::collections::HashMap;

/// What policies are looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    group: String,
    version: String,
    /// `resource` or `resource/subresource`.
    resource: String,
    operation: Operation,
    /// Inside a workload.
    template: bool,
}

/// Which rows of `match` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rows {
    /// Those that are registered: a request of the API server.
    #[default]
    Registered,
    /// Also those with `registered: false`: a manifest or a stored object.
    All,
}

/// The index of a policy set.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    registered: HashMap<Key, Vec<usize>>,
    all: HashMap<Key, Vec<usize>>,
}

impl Matcher {
    /// Builds the index; positions are those of the iterator.
    #[must_use]
    pub fn new<'m>(policies: impl IntoIterator<Item = &'m Metadata>) -> Self {
        let mut matcher = Self::default();
        for (position, metadata) in policies.into_iter().enumerate() {
            for rule in &metadata.rules {
                for (key, template) in keys(rule) {
                    let key = Key { template, ..key };
                    if rule.registered {
                        add(&mut matcher.registered, key.clone(), position);
                    }
                    add(&mut matcher.all, key, position);
                }
            }
        }
        matcher
    }

    /// The positions of the policies for a request, in order. `template`: for a part of a workload.
    #[must_use]
    pub fn find(&self, gvr: &Gvr, sub_resource: &str, operation: Operation, template: bool, rows: Rows) -> &[usize] {
        let resource =
            if sub_resource.is_empty() { gvr.resource.clone() } else { format!("{}/{sub_resource}", gvr.resource) };
        let key = Key { group: gvr.group.clone(), version: gvr.version.clone(), resource, operation, template };
        let index = match rows {
            Rows::Registered => &self.registered,
            Rows::All => &self.all,
        };
        index.get(&key).map_or(&[], Vec::as_slice)
    }
}

fn add(index: &mut HashMap<Key, Vec<usize>>, key: Key, position: usize) {
    let row = index.entry(key).or_default();
    if row.last() != Some(&position) {
        row.push(position);
    }
}

/// Every combination of a row, with whether it is for parts of workloads.
fn keys(rule: &MatchRule) -> impl Iterator<Item = (Key, bool)> + '_ {
    rule.api_groups.iter().flat_map(move |group| {
        rule.api_versions.iter().flat_map(move |version| {
            rule.resources.iter().flat_map(move |resource| {
                rule.operations.iter().flat_map(move |operation| {
                    let key = Key {
                        group: group.clone(),
                        version: version.clone(),
                        resource: resource.clone(),
                        operation: *operation,
                        template: false,
                    };
                    let via = via(rule, resource);
                    let direct = matches!(via, Via::Direct | Via::Both).then(|| (key.clone(), false));
                    let template = matches!(via, Via::Template | Via::Both).then_some((key, true));
                    direct.into_iter().chain(template)
                })
            })
        })
    })
}

/// How a row reaches a resource: what it says, else both for claims, the template for Pods, direct for the rest.
#[must_use]
pub fn via(rule: &MatchRule, resource: &str) -> Via {
    let core = rule.api_groups.iter().any(String::is_empty);
    match (resource, core) {
        ("persistentvolumeclaims", true) => rule.via.unwrap_or(Via::Both),
        ("pods", true) => rule.via.unwrap_or(Via::Template),
        _ => Via::Direct,
    }
}

/// Whether a row of `match` names a resource.
#[must_use]
pub fn same_resource(rule: &MatchRule, resource: &str) -> bool {
    rule.resources.iter().any(|own| own == resource)
}
