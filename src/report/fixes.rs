//! What `seawall check --fix` did to files.

use super::{ResourceId, Source};
use serde::Serialize;

/// What was written, and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fixes {
    /// Files that were written, or would be.
    pub files: Vec<FixedFile>,
    /// Objects whose safe defaults were not written.
    pub left_alone: Vec<LeftAlone>,
}

/// A file with safe defaults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FixedFile {
    /// The file as it was named.
    pub file: String,
    /// Objects in it that were changed.
    pub objects: usize,
}

/// An object that stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftAlone {
    /// Which object.
    pub resource: ResourceId,
    /// Where it begins.
    pub source: Source,
    /// Why.
    pub reason: String,
}
