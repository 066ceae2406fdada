//! Who looks on while a front end judges: sees every object with its review before rows are made of them.

use super::Source;
use crate::admission::request::Request;
use crate::engine::evaluate::Worker;
use crate::review::{Outcome, Snapshot};
use std::collections::BTreeSet;
use std::io;

/// One object and what came of it.
#[derive(Debug)]
pub struct Reviewed<'r> {
    /// The object as a request.
    pub request: &'r Request,
    /// What the review knew.
    pub snapshot: &'r Snapshot,
    /// What it found.
    pub outcome: &'r Outcome,
    /// Where the object stands, for manifests.
    pub source: Option<&'r Source>,
}

/// Looks on. `()` looks away.
pub trait Observer {
    /// An object was reviewed. The worker may be used for more questions about it.
    fn reviewed(&mut self, _reviewed: &Reviewed<'_>, _worker: &mut Worker) {}

    /// All objects of a namespace, or those without one, were reviewed; of some kinds (as policies name them) not all were
    /// there. Objects without a namespace come before all others, but Namespaces come with what is in them and
    /// PersistentVolumes with the namespace of their claim. Manifests all come at once.
    ///
    /// # Errors
    /// When what was seen cannot be kept.
    fn namespace_done(&mut self, _not_listed: &BTreeSet<String>) -> io::Result<()> {
        Ok(())
    }
}

impl Observer for () {}
