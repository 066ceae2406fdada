//! What a front end found, as one type; each format is a file beside this one.

pub mod baseline;
pub mod catalogue;
pub mod coverage;
pub mod decisions;
mod diff;
pub mod exemptions;
pub mod fingerprint;
pub mod fixes;
pub mod github;
pub mod html;
pub mod index;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod observer;
pub mod overview;
pub mod page;
pub mod policyreport;
pub mod rollout;
pub mod sarif;
pub mod snapshot;
pub mod text;
pub mod yaml;

#[cfg(test)]
mod testing;

use crate::decision::Finding;
use crate::policy::mode::Action;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;

/// What was found in a run, however it is kept: formats write from this, one object after the other, so that a run over a
/// large cluster need not hold all of them.
pub trait Results {
    /// Calls for every object that was judged, in order, stopping at the first error. Can be called again.
    ///
    /// # Errors
    /// Those of `visit`, and when the objects cannot be read back.
    fn each(&self, visit: &mut dyn FnMut(&Judged) -> io::Result<()>) -> io::Result<()>;

    /// What could not be read or evaluated.
    fn errors(&self) -> &[Failure];

    /// The numbers.
    fn summary(&self) -> Summary;
}

impl Results for Report {
    fn each(&self, visit: &mut dyn FnMut(&Judged) -> io::Result<()>) -> io::Result<()> {
        self.objects.iter().try_for_each(visit)
    }

    fn errors(&self) -> &[Failure] {
        &self.errors
    }

    fn summary(&self) -> Summary {
        let mut summary = Summary { errors: self.errors.len(), ..Summary::default() };
        self.objects.iter().for_each(|object| summary.add(object));
        summary
    }
}

/// What was found in a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Every object that was judged, in the order of the input.
    pub objects: Vec<Judged>,
    /// What could not be read or evaluated.
    pub errors: Vec<Failure>,
    /// What a person should know, but no program: one line each, for standard error.
    pub notes: Vec<String>,
}

/// An object that was judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// Which object.
    pub resource: ResourceId,
    /// Its uid, where it is stored in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The namespace whose labels decided; of a PersistentVolume that of its claim.
    pub judged_in: Option<String>,
    /// Where it begins.
    pub source: Source,
    /// Violations, worst first.
    pub violations: Vec<Violation>,
    /// Safe defaults that are written, or would be.
    pub patches: Vec<PatchRow>,
    /// Policies that could not answer for want of facts.
    pub unknown: Vec<UnknownRow>,
}

/// A violation and its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The violation.
    pub finding: Finding,
    /// Where the field stands; of a field that is not written, the nearest parent.
    pub source: Source,
}

/// Names an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceId {
    /// As written.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; none for cluster-scoped objects.
    pub namespace: Option<String>,
    /// Name, or what stands in `generateName`.
    pub name: String,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file as it was named; `stdin` for standard input.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Safe defaults for one object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PatchRow {
    /// The policies that want them.
    pub policies: Vec<String>,
    /// RFC 6902, applies to the manifest as written.
    pub ops: json_patch::Patch,
    /// Whether mode and patch setting permit them here. If not they are only told.
    pub permitted: bool,
    /// The manifest as written.
    pub before: Value,
    /// The manifest with the defaults.
    pub after: Value,
    /// The manifest was JSON.
    pub is_json: bool,
}

/// A policy without an answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnknownRow {
    /// Policy id.
    pub policy: String,
    /// The kind of which nothing is known.
    pub missing: String,
}

/// Something that could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Where, if it has a place.
    pub source: Option<Source>,
    /// Which policy, if one failed.
    pub policy: Option<String>,
    /// One line.
    pub message: String,
}

/// The numbers at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Objects that were judged.
    pub resources: usize,
    /// Violations that reject.
    pub deny: usize,
    /// Violations that warn.
    pub warn: usize,
    /// Violations that are only recorded.
    pub audit: usize,
    /// Objects into which safe defaults are written.
    pub patched: usize,
    /// Answers that were not given for want of facts.
    pub unknown: usize,
    /// What could not be read or evaluated.
    pub errors: usize,
}

impl Summary {
    /// Counts one more object.
    pub fn add(&mut self, object: &Judged) {
        let count = |action| object.violations.iter().filter(|v| v.finding.effective == action).count();
        self.resources += 1;
        self.deny += count(Action::Deny);
        self.warn += count(Action::Warn);
        self.audit += count(Action::Audit);
        self.patched += usize::from(object.patches.iter().any(|p| p.permitted));
        self.unknown += object.unknown.len();
    }
}
