//! What a look at a cluster saw, and what it did not.

use serde::{Deserialize, Serialize};

/// A part of the cluster that was not seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Kind as policies name it.
    pub resource: String,
    /// Why, and from where on.
    pub reason: String,
}

/// One kind that was listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Kind as policies name it.
    pub resource: String,
    /// Objects.
    pub objects: u64,
}

/// What the audit saw besides the findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Kinds that were listed.
    pub listed: Vec<Listed>,
    /// Parts that were not seen.
    pub missing: Vec<Missing>,
    /// Kinds that policies match and the API server does not have.
    pub not_served: Vec<String>,
    /// Calls of the API server.
    pub calls: u64,
    /// Namespaces with at least one object that was judged.
    pub namespaces: u64,
    /// Objects counted at the workload that they belong to.
    pub children: u64,
    /// Objects that nobody judges: mode off, excluded namespaces, on their way out.
    pub passed_over: u64,
}

impl Coverage {
    /// Whether everything was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }
}
