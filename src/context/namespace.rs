//! The one live call of the request path: the labels of a namespace that the watch cache does not know yet.
//!
//! A namespace and its first objects arrive within milliseconds of each other, so the cache can miss. Answers are kept
//! for a moment, the failures too: a storm of misses is one GET.

use crate::kubeapi::Reason;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// Longest wait for the API server.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer is kept; the watch cache has it long before.
const KEEP: Duration = Duration::from_millis(1500);

/// Why the labels of a namespace are not known.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NamespaceError {
    /// The API server did not answer in time.
    #[error("the API server did not answer within {} ms for the labels of a namespace", TIMEOUT.as_millis())]
    Timeout,
    /// The API server refused or could not be reached.
    #[error("the labels of a namespace cannot be read: {}", Reason(.0))]
    Request(#[source] Arc<kube::Error>),
}

/// Labels, or `None` when there is no such namespace.
type Answer = Result<Option<BTreeMap<String, String>>, NamespaceError>;

#[derive(Debug)]
struct Entry {
    since: Instant,
    answer: Arc<OnceCell<Answer>>,
}

/// Live reads of namespaces with their short memory.
#[derive(Debug, Default)]
pub(super) struct LiveNamespaces {
    entries: Mutex<HashMap<String, Entry>>,
}

impl LiveNamespaces {
    pub(super) async fn labels(&self, client: &Client, name: &str) -> Answer {
        // the name comes from a request body and goes into a path: nothing but a DNS label is asked for
        if !is_dns_label(name) {
            return Ok(None);
        }
        let answer = self.entry(name);
        answer.get_or_init(|| fetch(client, name)).await.clone()
    }

    fn entry(&self, name: &str) -> Arc<OnceCell<Answer>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|_, entry| entry.since.elapsed() < KEEP);
        let entry = entries
            .entry(name.to_owned())
            .or_insert_with(|| Entry { since: Instant::now(), answer: Arc::new(OnceCell::new()) });
        Arc::clone(&entry.answer)
    }
}

async fn fetch(client: &Client, name: &str) -> Answer {
    let api: Api<Namespace> = Api::all(client.clone());
    match tokio::time::timeout(TIMEOUT, api.get_metadata_opt(name)).await {
        Ok(Ok(found)) => Ok(found.map(|namespace| namespace.metadata.labels.unwrap_or_default())),
        Ok(Err(error)) => Err(NamespaceError::Request(Arc::new(error))),
        Err(_) => Err(NamespaceError::Timeout),
    }
}

/// RFC 1123 label, as the API server demands of the names of namespaces.
fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_asked_for() {
        assert!(is_dns_label("team-a1"));
        for bad in ["", "..", "a/b", "A", "-a", "a-", "a.b", "a?x", &"a".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
    }
}
