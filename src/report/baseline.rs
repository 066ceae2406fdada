//! What an audit found, kept in a file, and what another one found since: new, fixed, still open.

use super::{Judged, Results};
use crate::admission::pointer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Version of the format.
const VERSION: &str = "1";

/// Why a saved audit cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a saved audit.
    #[error("{path} is no saved audit: {source}; make one with `seawall audit --save`")]
    Shape {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Of another version of Seawall.
    #[error("{path} was saved in format {found}, this Seawall knows {VERSION}; save it again")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
}

/// One open violation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// Kind of the object.
    pub kind: String,
    /// Namespace; empty for none.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// Policy id.
    pub policy: String,
    /// Where in the object, list elements by name.
    pub key: String,
}

/// A saved audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    version: String,
    /// When, RFC 3339.
    pub taken_at: String,
    /// Whether everything was seen.
    pub complete: bool,
    /// What was open, with its message.
    violations: Vec<(Open, String)>,
}

/// What changed between two audits. Sorted by object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// When the other audit was.
    pub since: String,
    /// Open now and not then.
    pub new: Vec<(Open, String)>,
    /// Open then and not now.
    pub fixed: Vec<(Open, String)>,
    /// Open then and now.
    pub still_open: usize,
    /// One of the two did not see everything, so what is not there may only not have been seen.
    pub uncertain: bool,
}

impl Baseline {
    /// What is open in an audit.
    ///
    /// # Errors
    /// When the results cannot be read.
    pub fn of(results: &dyn Results, complete: bool, now: jiff::Timestamp) -> io::Result<Self> {
        let mut violations = Vec::new();
        results.each(&mut |row| {
            violations.extend(open(row));
            Ok(())
        })?;
        violations.sort();
        violations.dedup();
        Ok(Self { version: VERSION.to_owned(), taken_at: now.to_string(), complete, violations })
    }

    /// Reads a saved audit.
    ///
    /// # Errors
    /// When the file cannot be read or is no saved audit.
    pub fn load(path: &Path) -> Result<Self, BaselineError> {
        let file = |source| BaselineError::File { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(file)?;
        let baseline: Self =
            serde_json::from_str(&text).map_err(|source| BaselineError::Shape { path: path.to_owned(), source })?;
        if baseline.version != VERSION {
            return Err(BaselineError::Version { path: path.to_owned(), found: baseline.version });
        }
        Ok(baseline)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), BaselineError> {
        let file = |source| BaselineError::File { path: path.to_owned(), source };
        let text = serde_json::to_string(self).map_err(|e| file(e.into()))?;
        std::fs::write(path, text + "\n").map_err(file)
    }

    /// What changed since an earlier audit.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Comparison {
        let index = |baseline: &'_ Self| -> BTreeMap<Open, String> { baseline.violations.iter().cloned().collect() };
        let (then, now) = (index(earlier), index(self));
        let only = |a: &BTreeMap<Open, String>, b: &BTreeMap<Open, String>| {
            a.iter().filter(|(key, _)| !b.contains_key(*key)).map(|(k, m)| (k.clone(), m.clone())).collect::<Vec<_>>()
        };
        Comparison {
            since: earlier.taken_at.clone(),
            still_open: now.keys().filter(|key| then.contains_key(*key)).count(),
            new: only(&now, &then),
            fixed: only(&then, &now),
            uncertain: !(self.complete && earlier.complete),
        }
    }
}

fn open(row: &Judged) -> impl Iterator<Item = (Open, String)> + '_ {
    row.violations.iter().map(|violation| {
        let finding = &violation.finding;
        let key = if finding.key.is_empty() { pointer::to_pointer(&finding.path) } else { finding.key.clone() };
        let open = Open {
            kind: row.resource.kind.clone(),
            namespace: row.resource.namespace.clone().unwrap_or_default(),
            name: row.resource.name.clone(),
            policy: finding.policy.clone(),
            key: format!("{}{key}", finding.expanded_from.as_ref().map(|e| format!("{e} ")).unwrap_or_default()),
        };
        (open, finding.message.clone())
    })
}
