//! One kind followed: listed in pages, then watched, resumed where it broke off, listed again only when that is needed.
//!
//! Our own loop over kube's requests and not `kube::runtime::watcher`, for three reasons read in kube-runtime 5.0: it
//! keeps bookmarks to itself, so a quiet watch cannot be told from a dead one before its time-out; a watch refused with
//! an HTTP error is retried on the same resourceVersion for ever, which does not heal after etcd was restored from a
//! backup; and it lists again without a lower bound between lists.

use super::facts::Fact;
use super::list::Pages;
use super::resources::{self, Endpoint, ResolveError};
use crate::kubeapi::{Reason, is_status, jitter, within};
use futures::TryStreamExt;
use kube::Client;
use kube::core::params::WatchParams;
use kube::core::{Request, WatchEvent};
use serde_json::Value as Json;
use std::pin::pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for one answer of the API server, watches excepted.
const REQUEST: Duration = Duration::from_secs(30);
/// A watch that is silent for longer is dead: the API server sends a bookmark about every minute.
const IDLE: Duration = Duration::from_secs(90);
/// Least time between the starts of two complete lists of a kind.
const BETWEEN_LISTS: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });
/// How often a kind that is not served is looked for.
const ABSENT: Duration = Duration::from_secs(30);
/// Longest wait after an answer that refuses: asking again at once would only add to the load.
const REFUSED: Duration = Duration::from_secs(30);
/// Longest wait while the API server cannot be reached: facts are to be fresh within seconds when it is back.
const UNREACHABLE: Duration = Duration::from_secs(4);
/// Watches refused in a row before the kind is listed again.
const FAILURES_BEFORE_LIST: u32 = 5;

/// What happened to a kind.
#[derive(Debug)]
pub(super) enum Change {
    /// From now on this watch's word counts for the kind.
    Started,
    /// The kind is no longer needed.
    Stopped,
    /// These are all objects.
    Replaced(Vec<Fact>),
    /// An object was made or changed.
    Applied(Fact),
    /// An object was deleted.
    Deleted {
        /// Namespace; empty for cluster-scoped kinds.
        namespace: String,
        /// Name.
        name: String,
    },
    /// The kind is no longer served.
    Forgotten,
}

/// A change with the watch that saw it, so that a stopped watch cannot bring a kind back.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) resource: Arc<str>,
    pub(super) epoch: u64,
    pub(super) change: Change,
}

/// How a watch fares; read by readiness and metrics.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<HealthState>);

#[derive(Debug, Default, Clone)]
pub(super) struct HealthState {
    /// The last list, event, bookmark or accepted watch.
    pub(super) contact: Option<Instant>,
    /// Complete lists so far.
    pub(super) lists: u64,
    /// Objects that could not be read.
    pub(super) skipped: u64,
    /// What went wrong last; `None` when nothing is wrong now.
    pub(super) problem: Option<String>,
    /// The API server does not have the kind.
    pub(super) unserved: bool,
}

impl Health {
    pub(super) fn get(&self) -> HealthState {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HealthState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contact(&self) {
        let mut state = self.lock();
        state.contact = Some(Instant::now());
        state.problem = None;
        state.unserved = false;
    }

    fn unserved(&self, resource: &str, error: &ResolveError) {
        self.problem(resource, error.to_string());
        self.lock().unserved = true;
    }

    fn problem(&self, resource: &str, problem: String) {
        let mut state = self.lock();
        state.unserved = false;
        // once per problem: a dead API server must not fill the log
        if state.problem.as_ref() != Some(&problem) {
            tracing::warn!(resource, problem, "watch of a kind that policies read");
        }
        state.problem = Some(problem);
    }
}

/// Why a complete list is needed again.
enum Ended {
    /// The history that we need is gone, or cannot be trusted.
    Relist,
    /// The kind is not served any more.
    Gone,
    /// Nobody listens.
    Stopped,
}

/// One kind that is followed until its task is cancelled.
pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) resource: Arc<str>,
    pub(super) epoch: u64,
    pub(super) updates: Sender<Update>,
    pub(super) health: Arc<Health>,
    /// Longest wait before the first list, so that replicas that start together do not list together.
    pub(super) start_jitter: Duration,
}

impl Watch {
    /// Follows the kind; ends when nobody listens.
    pub(super) async fn run(self) {
        tokio::time::sleep(jitter(self.start_jitter)).await;
        let mut backoff = Backoff::default();
        let mut listed: Option<Instant> = None;
        loop {
            let endpoint = match resources::resolve(&self.client, &self.resource).await {
                Ok(endpoint) => endpoint,
                Err(error @ ResolveError::Discovery { .. }) => {
                    self.health.problem(&self.resource, error.to_string());
                    tokio::time::sleep(backoff.unreachable()).await;
                    continue;
                }
                Err(error) => {
                    self.health.unserved(&self.resource, &error);
                    tokio::time::sleep(ABSENT + jitter(ABSENT / 2)).await;
                    continue;
                }
            };
            if let Some(wait) = listed.and_then(|at| BETWEEN_LISTS.checked_sub(at.elapsed())) {
                tokio::time::sleep(wait + jitter(Duration::from_secs(1))).await;
            }
            let ended = match self.list(&endpoint).await {
                Ok((version, facts)) => {
                    listed = Some(Instant::now());
                    backoff = Backoff::default();
                    self.health.contact();
                    self.health.lock().lists += 1;
                    if self.send(Change::Replaced(facts)) {
                        self.follow(&endpoint, version).await
                    } else {
                        Ended::Stopped
                    }
                }
                Err(error) if endpoint.custom && is_status(&error, 404) => Ended::Gone,
                Err(error) => {
                    self.health.problem(&self.resource, format!("list failed: {}", Reason(&error)));
                    tokio::time::sleep(backoff.after(&error)).await;
                    Ended::Relist
                }
            };
            match ended {
                Ended::Relist => {}
                Ended::Gone => {
                    if !self.send(Change::Forgotten) {
                        return;
                    }
                    let error = ResolveError::Absent { resource: self.resource.to_string() };
                    self.health.unserved(&self.resource, &error);
                    tokio::time::sleep(ABSENT + jitter(ABSENT / 2)).await;
                }
                Ended::Stopped => return,
            }
        }
    }

    /// Lists all objects in pages; each page is decoded off the async threads and kept pruned.
    async fn list(&self, endpoint: &Endpoint) -> Result<(String, Vec<Fact>), kube::Error> {
        let mut facts = Vec::new();
        let mut version = String::new();
        let mut pages = Pages::new(&self.client, &endpoint.path);
        loop {
            let resource = Arc::clone(&self.resource);
            let Some(page) = pages.next(move |object| Fact::new(&resource, &object)).await? else {
                return Ok((version, facts));
            };
            facts.extend(page.items);
            version = page.version;
            if page.skipped > 0 {
                self.skipped(page.skipped);
            }
        }
    }

    /// Watches from a version on; resumes after breaks.
    async fn follow(&self, endpoint: &Endpoint, mut version: String) -> Ended {
        let mut backoff = Backoff::default();
        let mut failures = 0;
        loop {
            let opened = Instant::now();
            let before = version.clone();
            let ended = self.stream(endpoint, &mut version).await;
            let lived = opened.elapsed() > Duration::from_secs(5) || version != before;
            if lived {
                failures = 0;
                backoff = Backoff::default();
            }
            match ended {
                // the server's own time-out, or a connection that fell silent: resumed at once
                Ok(()) if lived => continue,
                Ok(()) => {}
                Err(Failure::Stopped) => return Ended::Stopped,
                Err(Failure::Gone) => return Ended::Relist,
                Err(Failure::Request(error)) if endpoint.custom && is_status(&error, 404) => return Ended::Gone,
                Err(Failure::Request(error)) => {
                    self.health.problem(&self.resource, format!("watch failed: {}", Reason(&error)));
                    if !matches!(error, kube::Error::Api(_)) {
                        // no word about the version that we ask for, so nothing speaks for listing again
                        tokio::time::sleep(backoff.after(&error)).await;
                        continue;
                    }
                }
            }
            failures += 1;
            if failures >= FAILURES_BEFORE_LIST {
                return Ended::Relist;
            }
            tokio::time::sleep(backoff.refused()).await;
        }
    }

    /// One watch request until it ends.
    async fn stream(&self, endpoint: &Endpoint, version: &mut String) -> Result<(), Failure> {
        // spread, so that all kinds of all replicas are not opened again together
        let seconds = 240 + u32::try_from(jitter(Duration::from_secs(50)).as_secs()).unwrap_or(0);
        let params = WatchParams::default().timeout(seconds);
        let request = Request::new(&endpoint.path)
            .watch(&params, version)
            .map_err(|error| Failure::Request(kube::Error::BuildRequest(error)))?;
        let events = within(REQUEST, self.client.request_events::<Json>(request)).await.map_err(Failure::of)?;
        self.health.contact();
        let mut events = pin!(events);
        loop {
            let event = match tokio::time::timeout(IDLE, events.try_next()).await {
                Ok(Ok(Some(event))) => event,
                Ok(Ok(None)) | Err(_) => return Ok(()),
                Ok(Err(error)) => return Err(Failure::of(error)),
            };
            let change = match event {
                WatchEvent::Bookmark(bookmark) => {
                    version.clone_from(&bookmark.metadata.resource_version);
                    None
                }
                WatchEvent::Error(status) => return Err(Failure::of(kube::Error::Api(status))),
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    *version = version_of(&object).ok_or(Failure::Gone)?;
                    Some(Fact::new(&self.resource, &object).map(Change::Applied))
                }
                WatchEvent::Deleted(object) => {
                    *version = version_of(&object).ok_or(Failure::Gone)?;
                    Some(
                        Fact::new(&self.resource, &object)
                            .map(|f| Change::Deleted { namespace: f.namespace, name: f.name }),
                    )
                }
            };
            self.health.contact();
            match change {
                None => {}
                Some(None) => self.skipped(1),
                Some(Some(change)) => self.send(change).then_some(()).ok_or(Failure::Stopped)?,
            }
        }
    }

    fn skipped(&self, count: u64) {
        tracing::warn!(resource = &*self.resource, count, "objects without a name are left out");
        self.health.lock().skipped += count;
    }

    /// False when nobody listens.
    fn send(&self, change: Change) -> bool {
        self.updates.send(Update { resource: Arc::clone(&self.resource), epoch: self.epoch, change }).is_ok()
    }
}

/// Why a watch request ended early.
enum Failure {
    /// The versions from which we could resume are gone, or what came is not to be trusted.
    Gone,
    /// Anything that may pass.
    Request(kube::Error),
    /// Nobody listens.
    Stopped,
}

impl Failure {
    fn of(error: kube::Error) -> Self {
        match error {
            kube::Error::SerdeError(_) => Self::Gone,
            error if is_status(&error, 410) => Self::Gone,
            error => Self::Request(error),
        }
    }
}

fn version_of(object: &Json) -> Option<String> {
    object.pointer("/metadata/resourceVersion").and_then(Json::as_str).filter(|v| !v.is_empty()).map(str::to_owned)
}

/// Waits that double from half a second, with jitter. Refusals and silence are counted apart: an API server that comes up
/// refuses for a moment, which is no reason to wait as long as after minutes of silence.
#[derive(Default)]
struct Backoff {
    refused: u32,
    unreachable: u32,
}

impl Backoff {
    fn after(&mut self, error: &kube::Error) -> Duration {
        if matches!(error, kube::Error::Api(_)) { self.refused() } else { self.unreachable() }
    }

    fn refused(&mut self) -> Duration {
        self.unreachable = 0;
        self.refused = self.refused.saturating_add(1);
        Self::wait(self.refused, REFUSED)
    }

    fn unreachable(&mut self) -> Duration {
        self.refused = 0;
        self.unreachable = self.unreachable.saturating_add(1);
        Self::wait(self.unreachable, UNREACHABLE)
    }

    fn wait(times: u32, longest: Duration) -> Duration {
        let wait = Duration::from_millis(250 << times.min(7)).min(longest);
        wait / 2 + jitter(wait / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_differ() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.refused()).collect();
        assert!(waits[0] <= Duration::from_millis(500));
        assert!(waits.iter().all(|w| *w <= Duration::from_secs(30)) && waits[19] >= Duration::from_secs(15));
        assert!((0..20).all(|_| backoff.unreachable() <= Duration::from_secs(4)));
        assert!(backoff.refused() <= Duration::from_millis(500), "the count begins again");
        let many: std::collections::BTreeSet<Duration> = (0..50).map(|_| jitter(Duration::from_secs(1))).collect();
        assert!(many.len() > 40 && many.iter().all(|j| *j < Duration::from_secs(1)));
    }
}
