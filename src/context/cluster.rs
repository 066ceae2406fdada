//! Facts of the live cluster, kept up to date by watches of exactly the kinds that the loaded policies declare, and of
//! namespaces always.
//!
//! One thread owns the objects: it gathers events for about 100 ms, rebuilds the kinds that changed and publishes a new
//! snapshot. Readers take the snapshot without a lock and never wait for the API server.

use super::facts::{Fact, Facts};
use super::namespace::{LiveNamespaces, NamespaceError};
use super::watch::{Change, Health, Update, Watch};
use arc_swap::ArcSwap;
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The kind that is always watched: its labels decide tier, mode and patches.
pub const NAMESPACES: &str = "namespaces";
/// How long events are gathered before a snapshot is made of them.
const GATHER: Duration = Duration::from_millis(100);
/// Longest wait before the first list of a kind at start.
const START_JITTER: Duration = Duration::from_millis(500);

/// How one watched kind fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindStatus {
    /// As policies name it.
    pub resource: String,
    /// False when the API server does not have the kind (its CustomResourceDefinition is not there).
    pub served: bool,
    /// Its objects are in the snapshot.
    pub synced: bool,
    /// Objects in the snapshot.
    pub objects: usize,
    /// Time since the last list, event or bookmark; `None` before the first. More than about a minute and a half means
    /// that the API server is out of reach: facts are those of that moment.
    pub stale: Option<Duration>,
    /// Complete lists so far; more than a few an hour is a fault worth looking at.
    pub lists: u64,
    /// Objects that could not be read and are left out.
    pub skipped: u64,
    /// What is wrong now.
    pub problem: Option<String>,
}

/// Watch caches over a cluster. Cheap to clone; watches end with the shutdown token.
#[derive(Clone)]
pub struct ClusterContext {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    runtime: Handle,
    shutdown: CancellationToken,
    published: Arc<ArcSwap<Facts>>,
    /// Number of objects of each kind in the snapshot; changes with each snapshot.
    counts: watch::Receiver<Counts>,
    updates: Sender<Update>,
    running: Mutex<Running>,
    live: LiveNamespaces,
}

/// Number of objects by kind.
type Counts = Arc<BTreeMap<Arc<str>, usize>>;

#[derive(Debug, Default)]
struct Running {
    last_epoch: u64,
    kinds: BTreeMap<String, RunningKind>,
}

#[derive(Debug)]
struct RunningKind {
    stop: CancellationToken,
    health: Arc<Health>,
    epoch: u64,
}

impl ClusterContext {
    /// Starts to watch `needed` and namespaces. Returns at once; see [`Self::wait_synced`]. To be called within a tokio
    /// runtime.
    #[must_use]
    pub fn start(client: Client, needed: BTreeSet<String>, shutdown: CancellationToken) -> Self {
        let (sender, updates) = channel();
        let published = Arc::new(ArcSwap::from_pointee(Facts::default()));
        let (count_sender, counts) = watch::channel(Arc::default());
        let publisher = Publisher {
            updates,
            published: Arc::clone(&published),
            counts: count_sender,
            stores: BTreeMap::new(),
            dirty: BTreeSet::new(),
        };
        let thread = std::thread::Builder::new().name("seawall-facts".into()).spawn(move || publisher.run());
        if let Err(error) = thread {
            tracing::error!(%error, "no thread for facts: policies that need facts of the cluster will answer unknown");
        }
        let shared = Shared {
            client,
            runtime: Handle::current(),
            shutdown,
            published,
            counts,
            updates: sender,
            running: Mutex::default(),
            live: LiveNamespaces::default(),
        };
        let context = Self { shared: Arc::new(shared) };
        context.set_needed(needed);
        context
    }

    /// The facts as of now.
    #[must_use]
    pub fn facts(&self) -> Arc<Facts> {
        self.shared.published.load_full()
    }

    /// Watches exactly these kinds from now on, and namespaces.
    pub fn set_needed(&self, mut needed: BTreeSet<String>) {
        needed.insert(NAMESPACES.to_owned());
        let mut running = self.running();
        let gone: Vec<String> = running.kinds.keys().filter(|kind| !needed.contains(*kind)).cloned().collect();
        for resource in gone {
            if let Some(kind) = running.kinds.remove(&resource) {
                kind.stop.cancel();
                self.tell(&resource, kind.epoch, Change::Stopped);
                tracing::info!(resource, "no policy reads this kind any more; its watch is stopped");
            }
        }
        for resource in needed {
            if running.kinds.contains_key(&resource) {
                continue;
            }
            running.last_epoch += 1;
            let kind = RunningKind {
                stop: self.shared.shutdown.child_token(),
                health: Arc::default(),
                epoch: running.last_epoch,
            };
            self.tell(&resource, kind.epoch, Change::Started);
            let watch = Watch {
                client: self.shared.client.clone(),
                resource: Arc::from(resource.as_str()),
                epoch: kind.epoch,
                updates: self.shared.updates.clone(),
                health: Arc::clone(&kind.health),
                start_jitter: START_JITTER,
            };
            let stop = kind.stop.clone();
            self.shared.runtime.spawn(async move { stop.run_until_cancelled(watch.run()).await });
            running.kinds.insert(resource, kind);
        }
    }

    /// How every watched kind fares, in order of name.
    #[must_use]
    pub fn status(&self) -> Vec<KindStatus> {
        let counts = Arc::clone(&self.shared.counts.borrow());
        let running = self.running();
        let one = |(resource, kind): (&String, &RunningKind)| {
            let health = kind.health.get();
            let count = counts.get(resource.as_str());
            KindStatus {
                resource: resource.clone(),
                served: !health.unserved,
                synced: count.is_some(),
                objects: count.copied().unwrap_or_default(),
                stale: health.contact.map(|at| at.elapsed()),
                lists: health.lists,
                skipped: health.skipped,
                problem: health.problem,
            }
        };
        running.kinds.iter().map(one).collect()
    }

    /// Waits until every watched kind is in the snapshot, except those that the API server does not serve. Returns the
    /// kinds that are still missing after `limit`, empty when all is well.
    pub async fn wait_synced(&self, limit: Duration) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + limit;
        let mut counts = self.shared.counts.clone();
        loop {
            counts.mark_unchanged();
            let missing: Vec<String> = self
                .status()
                .into_iter()
                .filter(|kind| kind.served && !kind.synced)
                .map(|kind| kind.resource)
                .collect();
            if missing.is_empty() || tokio::time::Instant::now() >= deadline {
                return missing;
            }
            // a kind that turns out not to be served makes no snapshot, hence the short rounds
            let round = deadline.min(tokio::time::Instant::now() + GATHER);
            let _ = tokio::time::timeout_at(round, counts.changed()).await;
        }
    }

    /// The labels of a namespace that the snapshot does not have, by one live GET of at most a second; `None` when there
    /// is no such namespace. Answers are shared and kept for a moment. Nothing else on the path of a request may call the
    /// API server.
    ///
    /// # Errors
    /// When the API server refuses or does not answer in time.
    pub async fn namespace_live(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, NamespaceError> {
        self.shared.live.labels(&self.shared.client, name).await
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, resource: &str, epoch: u64, change: Change) {
        // fails only when the publisher's thread could not be started, which was logged
        let _ = self.shared.updates.send(Update { resource: Arc::from(resource), epoch, change });
    }
}

/// The thread that owns the objects and makes the snapshots.
struct Publisher {
    updates: Receiver<Update>,
    published: Arc<ArcSwap<Facts>>,
    counts: watch::Sender<Counts>,
    stores: BTreeMap<Arc<str>, Store>,
    dirty: BTreeSet<Arc<str>>,
}

/// The objects of one kind, by namespace and name; `None` before the first complete list.
struct Store {
    epoch: u64,
    objects: Option<BTreeMap<(String, String), Fact>>,
}

impl Publisher {
    fn run(mut self) {
        let mut due: Option<Instant> = None;
        let mut gather = GATHER;
        loop {
            let update = match due {
                None => self.updates.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // zero does not wait, but still takes what is there: the time is looked at below
                Some(due) => self.updates.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            match update {
                Ok(update) => self.take(update),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            match due {
                None if !self.dirty.is_empty() => due = Some(now + gather),
                Some(at) if at <= now => {
                    self.publish();
                    // the rebuild of a large kind may take a tenth of the thread's time, not more
                    gather = GATHER.max(now.elapsed() * 9);
                    due = None;
                }
                _ => {}
            }
        }
    }

    fn take(&mut self, Update { resource, epoch, change }: Update) {
        match change {
            Change::Started => {
                self.stores.insert(resource, Store { epoch, objects: None });
                return;
            }
            Change::Stopped => {
                self.stores.remove(&resource);
                self.dirty.insert(resource);
                return;
            }
            _ => {}
        }
        let Some(store) = self.stores.get_mut(&resource).filter(|store| store.epoch == epoch) else { return };
        let key = |fact: &Fact| (fact.namespace.clone(), fact.name.clone());
        match (change, &mut store.objects) {
            (Change::Replaced(facts), objects) => *objects = Some(facts.into_iter().map(|f| (key(&f), f)).collect()),
            (Change::Forgotten, objects) => *objects = None,
            (Change::Applied(fact), Some(objects)) => {
                let before = objects.insert(key(&fact), fact.clone());
                if before.is_some_and(|before| before.value == fact.value) {
                    return;
                }
            }
            (Change::Deleted { namespace, name }, Some(objects)) => {
                objects.remove(&(namespace, name));
            }
            (Change::Applied(_) | Change::Deleted { .. }, None) | (Change::Started | Change::Stopped, _) => return,
        }
        self.dirty.insert(resource);
    }

    fn publish(&mut self) {
        let mut facts = Facts::clone(&self.published.load());
        for resource in std::mem::take(&mut self.dirty) {
            match self.stores.get(&resource).and_then(|store| store.objects.as_ref()) {
                Some(objects) => facts.set_kind(&resource, objects.values()),
                None => facts.unset_kind(&resource),
            }
        }
        self.published.store(Arc::new(facts));
        let count =
            |(resource, store): (&Arc<str>, &Store)| Some((Arc::clone(resource), store.objects.as_ref()?.len()));
        self.counts.send_replace(Arc::new(self.stores.iter().filter_map(count).collect()));
    }
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
