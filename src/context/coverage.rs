//! What a look at a cluster covers: which kinds, and of which namespaces. A kind that could not be read is not empty but
//! unknown, and stays so in the file that is made of the look.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `apiVersion` of a [`Header`].
const API_VERSION: &str = "seawall.dev/v1alpha1";
/// `kind` of a [`Header`].
const KIND: &str = "Snapshot";

/// Why a header cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Another version of the format.
    #[error("a Snapshot of version {0}, which this Seawall does not know (it knows {API_VERSION}); make it again")]
    Version(String),
    /// Not of the format.
    #[error("no readable Snapshot: {0}; make it again with `seawall snapshot`")]
    Shape(#[from] serde_json::Error),
}

/// The first document of a snapshot: when and of what it was made, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    api_version: String,
    kind: String,
    /// When it was made, RFC 3339.
    pub taken_at: String,
    /// Program and version that made it.
    pub taken_by: String,
    /// Version of the API server.
    pub server_version: String,
    /// The kinds that are in it, also those of which there is no object.
    pub kinds: Vec<KindRow>,
    /// Kinds that were asked for and could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingRow>,
    /// Kinds that were asked for and that the API server does not have (no CustomResourceDefinition).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_served: Vec<String>,
}

/// A kind that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindRow {
    /// As policies name it.
    pub resource: String,
    /// `apiVersion` of its objects; none when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// `kind` of its objects; none when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// Number of objects.
    pub objects: usize,
    /// The namespaces that were looked into; none: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<BTreeSet<String>>,
}

/// A kind that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MissingRow {
    /// As policies name it.
    pub resource: String,
    /// Why not.
    pub reason: String,
}

impl Header {
    /// A header without rows.
    #[must_use]
    pub fn new(taken_at: jiff::Timestamp, server_version: String) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: KIND.to_owned(),
            taken_at: taken_at.to_string(),
            taken_by: concat!("seawall ", env!("CARGO_PKG_VERSION")).to_owned(),
            server_version,
            kinds: Vec::new(),
            missing: Vec::new(),
            not_served: Vec::new(),
        }
    }

    /// Reads a document that is a header of any version; `None` for all others.
    ///
    /// # Errors
    /// When it is one that cannot be used.
    pub fn of_document(document: &Value) -> Option<Result<Self, HeaderError>> {
        let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        if text("kind") != KIND || version.split_once('/').map(|(group, _)| group) != Some("seawall.dev") {
            return None;
        }
        if version != API_VERSION {
            return Some(Err(HeaderError::Version(version.to_owned())));
        }
        Some(Self::deserialize(document).map_err(HeaderError::from))
    }
}

/// What one look, or several together, cover.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By kind the namespaces; `None`: all.
    kinds: BTreeMap<String, Option<BTreeSet<String>>>,
    missing: BTreeMap<String, String>,
    not_served: BTreeSet<String>,
}

impl Coverage {
    /// Adds what another look covers.
    pub fn add(&mut self, header: &Header) {
        for row in &header.kinds {
            match (self.kinds.get_mut(&row.resource), &row.namespaces) {
                (Some(Some(known)), Some(more)) => known.extend(more.iter().cloned()),
                (Some(known), None) => *known = None,
                (Some(None), Some(_)) => {}
                (None, namespaces) => {
                    self.kinds.insert(row.resource.clone(), namespaces.clone());
                }
            }
        }
        self.missing.extend(header.missing.iter().map(|row| (row.resource.clone(), row.reason.clone())));
        self.not_served.extend(header.not_served.iter().cloned());
    }

    /// The kinds that are covered, at least in some namespaces.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }

    /// Whether all is known of a kind that concerns an object in this namespace (`None`: in no namespace).
    #[must_use]
    pub fn covers(&self, resource: &str, namespace: Option<&str>) -> bool {
        match self.kinds.get(resource) {
            None => false,
            Some(None) => true,
            Some(Some(namespaces)) => namespace.is_some_and(|namespace| namespaces.contains(namespace)),
        }
    }

    /// Why a kind is not covered, or not everywhere; `None` when it is.
    #[must_use]
    pub fn gap(&self, resource: &str) -> Option<String> {
        match self.kinds.get(resource) {
            Some(None) => None,
            Some(Some(namespaces)) => {
                let names: Vec<&str> = namespaces.iter().map(String::as_str).collect();
                Some(format!("read in namespace {} only", names.join(", ")))
            }
            None => Some(match self.missing.get(resource) {
                Some(reason) => format!("could not be read ({reason})"),
                None if self.not_served.contains(resource) => "the cluster does not serve it".to_owned(),
                None => "not in the snapshot, which is older than a policy; make it again".to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(resource: &str, namespaces: Option<&[&str]>) -> KindRow {
        KindRow {
            resource: resource.to_owned(),
            api_version: None,
            kind: None,
            namespaced: true,
            objects: 0,
            namespaces: namespaces.map(|names| names.iter().map(|name| (*name).to_owned()).collect()),
        }
    }

    fn header(kinds: &[KindRow], missing: &[&str]) -> Header {
        let mut header = Header::new(jiff::Timestamp::UNIX_EPOCH, "v1.35.4".to_owned());
        header.kinds = kinds.to_vec();
        let missing =
            missing.iter().map(|name| MissingRow { resource: (*name).to_owned(), reason: "forbidden".to_owned() });
        header.missing = missing.collect();
        header
    }

    #[test]
    fn a_header_survives_and_others_are_told_apart() {
        let mut made = header(&[row("services", Some(&["a"]))], &["nodes"]);
        made.not_served.push("backups.velero.io".to_owned());
        let document = serde_json::to_value(&made).unwrap();
        assert_eq!(Header::of_document(&document).unwrap().unwrap(), made);
        assert!(Header::of_document(&json!({"apiVersion": "other.dev/v1", "kind": "Snapshot"})).is_none());
        assert!(Header::of_document(&json!({"apiVersion": "v1", "kind": "Service"})).is_none());
        let newer = Header::of_document(&json!({"apiVersion": "seawall.dev/v7", "kind": "Snapshot"})).unwrap();
        assert!(newer.unwrap_err().to_string().contains("seawall.dev/v7"));
        let broken = Header::of_document(&json!({"apiVersion": API_VERSION, "kind": "Snapshot"})).unwrap();
        assert!(broken.unwrap_err().to_string().contains("make it again"));
    }

    #[test]
    fn what_is_not_there_is_not_empty() {
        let mut coverage = Coverage::default();
        coverage.add(&header(&[row("services", None), row("statefulsets", Some(&["a"]))], &["nodes"]));
        assert!(coverage.covers("services", Some("x")) && coverage.covers("services", None));
        assert!(coverage.covers("statefulsets", Some("a")));
        assert!(!coverage.covers("statefulsets", Some("b")) && !coverage.covers("statefulsets", None));
        assert!(!coverage.covers("nodes", None) && !coverage.covers("pods", Some("a")));
        assert_eq!(coverage.gap("services"), None);
        assert_eq!(coverage.gap("statefulsets").unwrap(), "read in namespace a only");
        assert_eq!(coverage.gap("nodes").unwrap(), "could not be read (forbidden)");
        assert!(coverage.gap("pods").unwrap().contains("make it again"));
    }

    #[test]
    fn several_looks_cover_what_each_does() {
        let mut coverage = Coverage::default();
        coverage.add(&header(&[row("services", Some(&["a"]))], &["nodes"]));
        coverage.add(&header(&[row("services", Some(&["b"])), row("nodes", None)], &[]));
        assert!(coverage.covers("services", Some("a")) && coverage.covers("services", Some("b")));
        assert!(coverage.covers("nodes", None));
        coverage.add(&header(&[row("services", None)], &[]));
        coverage.add(&header(&[row("services", Some(&["c"]))], &[]));
        assert!(coverage.covers("services", Some("z")));
    }
}
