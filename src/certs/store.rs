//! Where the shared state of the CA is kept: in memory when alone, in a Secret in a cluster.

use std::sync::{Arc, Mutex, PoisonError};

use super::ca::{CaError, CaState};

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else wrote first: read again, decide again.
    #[error("another replica wrote first")]
    Conflict,
    /// What is stored is not a state of ours.
    #[error(
        "the stored CA cannot be used ({part}); delete the Secret: running replicas put back the CA that they know, and \
         if there are none a new one is made"
    )]
    Corrupt {
        /// Which part of it.
        part: &'static str,
        /// What is wrong with it.
        #[source]
        source: CaError,
    },
    /// This process may not do that.
    #[error(
        "not allowed to {verb} the Secret {name}: the Role needs the verbs get and update on it, and create on secrets"
    )]
    Forbidden {
        /// `get`, `create` or `update`.
        verb: &'static str,
        /// Namespace and name.
        name: String,
        /// The API server's answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server gave no usable answer.
    #[error("the Secret {name} could not be reached")]
    Unavailable {
        /// Namespace and name.
        name: String,
        /// What the client said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server gave no answer in time.
    #[error("the Secret {0} could not be reached in time")]
    Timeout(String),
}

/// A state as it was read.
#[derive(Debug, Clone)]
pub struct Stored<V> {
    /// `None`: the place is there, but empty.
    pub state: Option<CaState>,
    /// Guards the next write.
    pub version: V,
}

/// A place for the state, with optimistic locking.
pub trait CaStore: Send + Sync + 'static {
    /// What a write must present to prove that nobody wrote since the read.
    type Version: Clone + Send + Sync;

    /// What is stored now; `None` when nothing is.
    fn read(&self) -> impl Future<Output = Result<Option<Stored<Self::Version>>, StoreError>> + Send;

    /// Writes if `over` is still what is stored (`None`: if nothing is), or fails with [`StoreError::Conflict`].
    fn write(
        &self,
        state: &CaState,
        over: Option<&Self::Version>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A store for one process. Clones share what they hold.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Option<(CaState, u64)>>>);

impl CaStore for MemoryStore {
    type Version = u64;

    async fn read(&self) -> Result<Option<Stored<u64>>, StoreError> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(held.as_ref().map(|(state, version)| Stored { state: Some(state.clone()), version: *version }))
    }

    async fn write(&self, state: &CaState, over: Option<&u64>) -> Result<(), StoreError> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = held.as_ref().map(|(_, version)| *version);
        if version != over.copied() {
            return Err(StoreError::Conflict);
        }
        *held = Some((state.clone(), version.map_or(0, |version| version.wrapping_add(1))));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::certs::{issue, now};

    #[tokio::test]
    async fn memory_refuses_a_write_over_another() {
        let store = MemoryStore::default();
        let current = issue::authority(now(), Duration::from_secs(60)).unwrap();
        let state = CaState { current, next: None, previous: Vec::new(), incarnation: "first".into() };
        assert!(store.read().await.unwrap().is_none());
        store.write(&state, None).await.unwrap();
        assert!(matches!(store.write(&state, None).await, Err(StoreError::Conflict)));
        let version = store.read().await.unwrap().unwrap().version;
        store.write(&state, Some(&version)).await.unwrap();
        assert!(matches!(store.write(&state, Some(&version)).await, Err(StoreError::Conflict)));
    }
}
