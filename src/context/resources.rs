//! Where the API server serves a kind that a policy names: a table for Kubernetes' own, discovery for custom ones.

use crate::kubeapi::{Reason, is_status};
use kube::core::discovery::Scope;
use kube::{Client, discovery};

/// A kind of Kubernetes' own that policies may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Plural resource, the key below `data.cluster`.
    pub resource: &'static str,
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version.
    pub version: &'static str,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
}

const fn row(resource: &'static str, group: &'static str, version: &'static str, namespaced: bool) -> Known {
    Known { resource, group, version, namespaced }
}

/// The kinds that have a name without a group. Secrets are not among them, so no policy can make Seawall read one.
pub const KNOWN: &[Known] = &[
    row("configmaps", "", "v1", true),
    row("cronjobs", "batch", "v1", true),
    row("csidrivers", "storage.k8s.io", "v1", false),
    row("csinodes", "storage.k8s.io", "v1", false),
    row("csistoragecapacities", "storage.k8s.io", "v1", true),
    row("customresourcedefinitions", "apiextensions.k8s.io", "v1", false),
    row("daemonsets", "apps", "v1", true),
    row("deployments", "apps", "v1", true),
    row("horizontalpodautoscalers", "autoscaling", "v2", true),
    row("jobs", "batch", "v1", true),
    row("limitranges", "", "v1", true),
    row("namespaces", "", "v1", false),
    row("networkpolicies", "networking.k8s.io", "v1", true),
    row("nodes", "", "v1", false),
    row("persistentvolumeclaims", "", "v1", true),
    row("persistentvolumes", "", "v1", false),
    row("poddisruptionbudgets", "policy", "v1", true),
    row("pods", "", "v1", true),
    row("priorityclasses", "scheduling.k8s.io", "v1", false),
    row("replicasets", "apps", "v1", true),
    row("resourcequotas", "", "v1", true),
    row("services", "", "v1", true),
    row("statefulsets", "apps", "v1", true),
    row("storageclasses", "storage.k8s.io", "v1", false),
    row("volumeattachments", "storage.k8s.io", "v1", false),
    row("volumeattributesclasses", "storage.k8s.io", "v1", false),
];

/// The row of a plural resource in an API group.
#[must_use]
pub fn known(group: &str, resource: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|row| row.resource == resource && row.group == group)
}

/// Where a kind is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Path of the collection over all namespaces, for example `/apis/apps/v1/statefulsets`.
    pub path: String,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
    /// Found by discovery, so it may go away with its CustomResourceDefinition.
    pub custom: bool,
}

impl Endpoint {
    /// Path of the collection in one namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> String {
        let (version, plural) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        format!("{version}/namespaces/{namespace}/{plural}")
    }
}

/// Why it is not known where a kind is served.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// No group and not in the table.
    #[error("{resource:?} is no kind that Seawall can watch; name custom kinds with their group, as backups.velero.io")]
    Unknown {
        /// As the policy names it.
        resource: String,
    },
    /// The API server does not serve the kind now.
    #[error("the API server does not serve {resource}; it is watched as soon as its CustomResourceDefinition is there")]
    Absent {
        /// As the policy names it.
        resource: String,
    },
    /// The API server did not answer.
    #[error("discovery of {resource} failed: {}", Reason(.source))]
    Discovery {
        /// As the policy names it.
        resource: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Finds where a kind is served: plural resource for known ones, `plural.group` for custom ones.
///
/// # Errors
/// When the name is unknown, the kind is not served, or the API server does not answer.
pub async fn resolve(client: &Client, resource: &str) -> Result<Endpoint, ResolveError> {
    let Some((plural, group)) = resource.split_once('.') else {
        let row = KNOWN
            .iter()
            .find(|row| row.resource == resource)
            .ok_or_else(|| ResolveError::Unknown { resource: resource.to_owned() })?;
        return Ok(Endpoint {
            path: collection(row.group, row.version, resource),
            namespaced: row.namespaced,
            custom: false,
        });
    };
    let absent = || ResolveError::Absent { resource: resource.to_owned() };
    let group = discovery::group(client, group).await.map_err(|error| match error {
        kube::Error::Discovery(_) => absent(),
        error if is_status(&error, 404) => absent(),
        source => ResolveError::Discovery { resource: resource.to_owned(), source: Box::new(source) },
    })?;
    let (found, capabilities) =
        group.recommended_resources().into_iter().find(|(r, _)| r.plural == plural).ok_or_else(absent)?;
    Ok(Endpoint {
        path: collection(&found.group, &found.version, &found.plural),
        namespaced: capabilities.scope == Scope::Namespaced,
        custom: true,
    })
}

/// Path of a collection over all namespaces.
fn collection(group: &str, version: &str, plural: &str) -> String {
    if group.is_empty() { format!("/api/{version}/{plural}") } else { format!("/apis/{group}/{version}/{plural}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_without_a_group_are_unique_and_sorted() {
        let names: Vec<&str> = KNOWN.iter().map(|row| row.resource).collect();
        let set: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names, set.into_iter().collect::<Vec<_>>());
        assert!(!names.contains(&"secrets"));
    }

    #[test]
    fn paths_follow_the_group() {
        assert_eq!(collection("", "v1", "namespaces"), "/api/v1/namespaces");
        assert_eq!(collection("apps", "v1", "statefulsets"), "/apis/apps/v1/statefulsets");
        let endpoint = Endpoint { path: "/apis/apps/v1/statefulsets".to_owned(), namespaced: true, custom: false };
        assert_eq!(endpoint.in_namespace("a"), "/apis/apps/v1/namespaces/a/statefulsets");
        assert!(known("apps", "statefulsets").is_some_and(|row| row.namespaced));
        assert!(known("", "statefulsets").is_none());
    }
}
