//! What has to be listed: the kinds that policies match, and the kinds that they read.

use super::stream::{Budget, Source};
use crate::admission::request::{Gvk, Gvr};
use crate::context::resources::{self, Endpoint, ResolveError};
use crate::policy::store::PolicySet;
use crate::report::coverage::Missing;
use crate::webhookconfig::rules;
use kube::Client;
use std::collections::BTreeMap;

/// What is wanted of the kinds, by name: whether they are judged, whether they are facts, and a version that policies match.
fn wanted<'f>(
    policies: &PolicySet,
    facts: impl IntoIterator<Item = &'f str>,
) -> BTreeMap<String, (bool, bool, Option<String>)> {
    let mut wanted: BTreeMap<String, (bool, bool, Option<String>)> = BTreeMap::new();
    // a policy that matches `status` is refused when its webhook is made; nothing else fails here
    let rows = rules::registered(policies.policies().iter().map(|p| &p.metadata)).unwrap_or_default();
    for row in rows.iter().filter(|row| row.subresource.is_empty()) {
        let judged = ["CREATE", "UPDATE"].iter().any(|operation| row.validate.contains(*operation));
        let name = match resources::known(&row.group, &row.resource) {
            Some(_) => row.resource.clone(),
            None if (row.group.as_str(), row.resource.as_str()) == ("", "replicationcontrollers") => {
                row.resource.clone()
            }
            None => format!("{}.{}", row.resource, row.group),
        };
        if judged {
            let version = row.version.clone();
            wanted.insert(name, (true, false, Some(version)));
        }
    }
    for kind in facts {
        wanted.entry(kind.to_owned()).or_insert((false, false, None)).1 = true;
    }
    wanted
}

/// The kinds of which an audit knows all objects while it judges.
fn facts(policies: &PolicySet) -> impl Iterator<Item = &str> {
    policies.needed_context().keys().map(String::as_str).chain(["namespaces"])
}

/// The kinds that an audit lists, as policies name them (`statefulsets`, `backups.velero.io`), and whether their objects are
/// judged; those that are not are facts.
#[must_use]
pub fn kinds(policies: &PolicySet) -> BTreeMap<String, bool> {
    wanted(policies, facts(policies)).into_iter().map(|(resource, (judged, ..))| (resource, judged)).collect()
}

/// The kinds of an audit.
pub(super) struct Plan {
    /// Kinds without a namespace, listed first. PersistentVolumes are not among them.
    pub(super) cluster: Vec<Source>,
    /// Kinds with a namespace, walked side by side.
    pub(super) namespaced: Vec<Source>,
    /// PersistentVolumes, sorted by the namespace of their claim.
    pub(super) volumes: Option<Source>,
    pub(super) missing: Vec<Missing>,
    pub(super) not_served: Vec<String>,
}

impl Plan {
    /// Finds where everything is served.
    ///
    /// # Errors
    /// When the API server cannot be reached or does not know who asks.
    pub(super) async fn new(client: &Client, policies: &PolicySet, budget: &Budget) -> Result<Self, kube::Error> {
        Self::of_sets(client, &[policies], budget).await
    }

    /// What several sets need, each kind once.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) async fn of_sets(client: &Client, sets: &[&PolicySet], budget: &Budget) -> Result<Self, kube::Error> {
        let mut all: BTreeMap<String, (bool, bool, Option<String>)> = BTreeMap::new();
        for (resource, (judged, fact, version)) in sets.iter().flat_map(|set| wanted(set, facts(set))) {
            let (other, as_fact, known) = all.entry(resource).or_insert((false, false, None));
            *other |= judged;
            *as_fact |= fact;
            *known = known.take().or(version);
        }
        Self::with(client, all, budget).await
    }

    /// Only the kinds that are judged, and the Namespaces.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) async fn judged(client: &Client, policies: &PolicySet, budget: &Budget) -> Result<Self, kube::Error> {
        Self::with(client, wanted(policies, ["namespaces"]), budget).await
    }

    async fn with(
        client: &Client,
        wanted: BTreeMap<String, (bool, bool, Option<String>)>,
        budget: &Budget,
    ) -> Result<Self, kube::Error> {
        budget.call().await;
        crate::kubeapi::within(super::stream::REQUEST, client.apiserver_version()).await?;
        let mut plan = Self { cluster: vec![], namespaced: vec![], volumes: None, missing: vec![], not_served: vec![] };
        for (resource, (judged, fact, version)) in wanted {
            match Self::endpoint(client, &resource, budget).await {
                Ok(endpoint) => plan.add(resource, endpoint, judged, fact, version),
                Err(ResolveError::Absent { .. }) => plan.not_served.push(resource),
                Err(error) => plan.missing.push(Missing { resource, reason: error.to_string() }),
            }
        }
        Ok(plan)
    }

    async fn endpoint(client: &Client, resource: &str, budget: &Budget) -> Result<Endpoint, ResolveError> {
        if resource == "replicationcontrollers" {
            let path = "/api/v1/replicationcontrollers".to_owned();
            return Ok(Endpoint { path, namespaced: true, custom: false });
        }
        if resource.contains('.') {
            budget.call().await;
        }
        resources::resolve(client, resource).await
    }

    fn add(&mut self, resource: String, endpoint: Endpoint, judged: bool, fact: bool, version: Option<String>) {
        // /api/<version>/<plural> or /apis/<group>/<version>/<plural>
        let parts: Vec<&str> = endpoint.path.trim_start_matches('/').split('/').collect();
        let (group, served, plural) = match parts.as_slice() {
            ["api", version, plural] => ("", *version, *plural),
            ["apis", group, version, plural] => (*group, *version, *plural),
            _ => return,
        };
        // policies are matched by the version that they name
        let version = version.unwrap_or_else(|| served.to_owned());
        let path = match group {
            "" => format!("/api/{version}/{plural}"),
            _ => format!("/apis/{group}/{version}/{plural}"),
        };
        let gvr = Gvr { group: group.to_owned(), version: version.clone(), resource: plural.to_owned() };
        let gvk = Gvk { group: group.to_owned(), version, kind: String::new() };
        let source = Source { resource, path, gvk, gvr, judged, fact };
        if source.resource == "persistentvolumes" {
            self.volumes = Some(source);
        } else if endpoint.namespaced {
            self.namespaced.push(source);
        } else {
            self.cluster.push(source);
        }
    }
}
