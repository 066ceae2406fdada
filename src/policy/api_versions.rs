//! Old versions of kinds and the current ones: `data.seawall.knowledge.api_versions`, which policies read as well.
//!
//! ```yaml
//! apps/v1beta1:
//!   StatefulSet: {current: apps/v1, removed: Kubernetes 1.16, source: https://…}
//! autoscaling/v1:      # still served, but webhooks see autoscaling/v2: no `removed`
//!   HorizontalPodAutoscaler: {current: autoscaling/v2, source: https://…}
//! ```

use crate::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};

/// The topic below `data.seawall.knowledge`.
const TOPIC: &str = "api_versions";

/// The table of the binary, for policy folders that bring no knowledge: what Kubernetes serves does not depend on policies.
const EMBEDDED: &str = include_str!("../../policies/seawall/knowledge/api_versions/data.yaml");

/// Why the table was refused.
#[derive(Debug, thiserror::Error)]
pub enum ApiVersionsError {
    /// Of another shape.
    #[error(
        "knowledge.{TOPIC}: {source}; wanted APIVERSION: {{KIND: {{current: APIVERSION, removed: TEXT, source: URL}}}}"
    )]
    Shape {
        /// What serde says.
        #[source]
        source: serde_json::Error,
    },
    /// The table in the binary is no YAML, which a test rules out.
    #[error("the embedded {TOPIC}/data.yaml: {problem}")]
    Embedded {
        /// What is wrong.
        problem: String,
    },
    /// A row leads to another row, so what it leads to is not the current version.
    #[error(
        "knowledge.{TOPIC}: {api_version} {kind} leads to {current}, which is an old version itself; name the current one"
    )]
    Chain {
        /// Old version.
        api_version: String,
        /// Kind.
        kind: String,
        /// What it leads to.
        current: String,
    },
}

/// What an old version of a kind is today.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newer {
    /// `apiVersion` that webhooks see.
    pub current: String,
    /// The release that stopped to serve the old one, for example `Kubernetes 1.16`; none while it is served.
    #[serde(default)]
    pub removed: Option<String>,
    /// Where that stands.
    pub source: String,
}

/// Old versions by `apiVersion` and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiVersions {
    rows: HashMap<(String, String), Newer>,
}

impl ApiVersions {
    /// Reads the topic of the knowledge, with what the configuration adds; the table in the binary where there is none.
    ///
    /// # Errors
    /// When it is of another shape, or a row does not lead to a current version.
    pub fn of_knowledge(knowledge: &Map<String, Value>) -> Result<Self, ApiVersionsError> {
        let table: BTreeMap<String, BTreeMap<String, Newer>> = match knowledge.get(TOPIC) {
            Some(topic) => Deserialize::deserialize(topic).map_err(|source| ApiVersionsError::Shape { source })?,
            None => serde_saphyr::from_str(EMBEDDED)
                .map_err(|error| ApiVersionsError::Embedded { problem: yaml::problem(&error).2 })?,
        };
        let chain = |(api_version, kinds): (&String, &BTreeMap<String, Newer>)| {
            let (kind, newer) = kinds
                .iter()
                .find(|(kind, newer)| table.get(&newer.current).is_some_and(|kinds| kinds.contains_key(*kind)))?;
            let (api_version, kind, current) = (api_version.clone(), kind.clone(), newer.current.clone());
            Some(ApiVersionsError::Chain { api_version, kind, current })
        };
        if let Some(error) = table.iter().find_map(chain) {
            return Err(error);
        }
        let rows = table.into_iter().flat_map(|(api_version, kinds)| {
            kinds.into_iter().map(move |(kind, newer)| ((api_version.clone(), kind), newer))
        });
        Ok(Self { rows: rows.collect() })
    }

    /// What an old version is today; none for a current one, and for kinds of which nothing is known.
    #[must_use]
    pub fn current(&self, api_version: &str, kind: &str) -> Option<&Newer> {
        self.rows.get(&(api_version.to_owned(), kind.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(topic: Value) -> Result<ApiVersions, String> {
        let knowledge = Map::from_iter([(TOPIC.to_owned(), topic)]);
        ApiVersions::of_knowledge(&knowledge).map_err(|error| error.to_string())
    }

    #[test]
    fn rows_are_found_by_version_and_kind() {
        let versions = read(json!({"apps/v1beta1": {"StatefulSet":
            {"current": "apps/v1", "removed": "Kubernetes 1.16", "source": "s"}}}))
        .unwrap();
        let newer = versions.current("apps/v1beta1", "StatefulSet").unwrap();
        assert_eq!((newer.current.as_str(), newer.removed.as_deref()), ("apps/v1", Some("Kubernetes 1.16")));
        assert_eq!(versions.current("apps/v1beta1", "Deployment"), None);
        assert_eq!(versions.current("apps/v1", "StatefulSet"), None);
    }

    #[test]
    fn without_the_topic_the_table_of_the_binary_counts() {
        let embedded = ApiVersions::of_knowledge(&Map::new()).unwrap();
        assert_eq!(embedded.current("extensions/v1beta1", "Deployment").unwrap().current, "apps/v1");
        assert_eq!(embedded.current("batch/v1beta1", "CronJob").unwrap().current, "batch/v1");
        // still served, so not told to anybody
        assert_eq!(embedded.current("storage.k8s.io/v1beta1", "VolumeAttributesClass").unwrap().removed, None);
    }

    #[test]
    fn a_table_of_another_shape_or_with_a_chain_is_refused() {
        let error = read(json!({"apps/v1beta1": {"StatefulSet": {"curent": "apps/v1"}}})).unwrap_err();
        assert!(error.contains("curent") && error.contains("wanted APIVERSION"), "{error}");
        let error = read(json!({
            "a/v1": {"X": {"current": "a/v2", "source": "s"}}, "a/v2": {"X": {"current": "a/v1", "source": "s"}}}));
        assert!(error.unwrap_err().contains("a/v1 X leads to a/v2"));
    }
}
