//! One kind watched between passes, from the version at which the last pass listed it.
//!
//! There is no list here: what a watch missed (410 Gone, a time-out of the API server's history) the next pass finds, which is
//! brought forward for it, so however often watches break, the cluster is listed at most once in [`super::SPACING`].

use super::memory::{Key, key};
use crate::audit::stream::Source;
use crate::kubeapi::{Reason, is_status, jitter, within};
use futures::TryStreamExt as _;
use kube::Client;
use kube::core::params::{ListParams, WatchParams};
use kube::core::{Request, WatchEvent};
use serde_json::Value;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Longest time for one answer of the API server, watches excepted.
const REQUEST: Duration = Duration::from_secs(30);
/// A watch that is silent for longer is dead: the API server sends a bookmark about every minute.
const IDLE: Duration = Duration::from_secs(90);
/// Objects that wait to be judged, at most. When there are more, the next pass has to find them.
const MOST_WAITING: usize = 1000;

/// What happened to an object last.
#[derive(Debug)]
pub(super) enum Change {
    /// It was made or changed.
    Applied(Box<(Source, Value)>),
    /// It was deleted.
    Deleted,
}

/// Changes that wait, the last of each object.
#[derive(Default)]
pub(super) struct Changes {
    waiting: Mutex<Waiting>,
    /// Told when something waits.
    pub(super) news: Notify,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) objects: BTreeMap<Key, Change>,
    /// Changes were missed: a pass has to look.
    pub(super) missed: bool,
}

impl Changes {
    /// All that waits.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A pass has to look.
    pub(super) fn miss(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).missed = true;
        self.news.notify_one();
    }

    fn add(&self, key: Key, change: Change) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.objects.len() < MOST_WAITING || waiting.objects.contains_key(&key) {
            waiting.objects.insert(key, change);
        } else {
            waiting.missed = true;
        }
        drop(waiting);
        self.news.notify_one();
    }
}

/// Follows a kind until the task is dropped.
pub(super) async fn follow(client: Client, source: Source, mut version: String, changes: std::sync::Arc<Changes>) {
    let mut failures = 0_u32;
    let mut problem = None;
    loop {
        let opened = std::time::Instant::now();
        let ended = watch(&client, &source, &mut version, &changes).await;
        if opened.elapsed() > Duration::from_secs(5) {
            failures = 0;
            problem = None;
        }
        if let Err(error) = ended {
            let (resource, reason) = (source.resource.as_str(), Reason(&error).to_string());
            // once per problem: a dead API server must not fill the log
            if problem.as_ref() != Some(&reason) {
                tracing::warn!(
                    resource,
                    problem = reason,
                    "watch of a kind that is audited; the next pass sees it anyway"
                );
            }
            problem = Some(reason);
            if is_status(&error, 410) || matches!(error, kube::Error::SerdeError(_)) {
                // the history from there on is gone: goes on from now, and a pass looks for what was missed
                changes.miss();
                if let Ok(now) = current(&client, &source).await {
                    version = now;
                }
            }
        }
        failures = failures.saturating_add(1);
        let wait = Duration::from_millis(250 << failures.min(7));
        tokio::time::sleep(wait / 2 + jitter(wait / 2)).await;
    }
}

/// The version of a collection now.
async fn current(client: &Client, source: &Source) -> Result<String, kube::Error> {
    let request =
        Request::new(&source.path).list(&ListParams::default().limit(1)).map_err(kube::Error::BuildRequest)?;
    let list: Value = within(REQUEST, client.request(request)).await?;
    Ok(list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned())
}

async fn watch(client: &Client, source: &Source, version: &mut String, changes: &Changes) -> Result<(), kube::Error> {
    // spread, so that all kinds are not opened again together
    let seconds = 240 + u32::try_from(jitter(Duration::from_secs(50)).as_secs()).unwrap_or(0);
    let params = WatchParams::default().timeout(seconds);
    let request = Request::new(&source.path).watch(&params, version).map_err(kube::Error::BuildRequest)?;
    let events = within(REQUEST, client.request_events::<Value>(request)).await?;
    let mut events = pin!(events);
    loop {
        let event = match tokio::time::timeout(IDLE, events.try_next()).await {
            Ok(event) => event?,
            Err(_) => return Ok(()),
        };
        let (object, deleted) = match event {
            None => return Ok(()),
            Some(WatchEvent::Bookmark(bookmark)) => {
                version.clone_from(&bookmark.metadata.resource_version);
                continue;
            }
            Some(WatchEvent::Error(status)) => return Err(kube::Error::Api(status)),
            Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => (object, false),
            Some(WatchEvent::Deleted(object)) => (object, true),
        };
        if let Some(seen) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            seen.clone_into(version);
        }
        let change =
            if deleted { Change::Deleted } else { Change::Applied(Box::new((source.clone(), object.clone()))) };
        changes.add(key(&source.resource, &object), change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_waits_is_bounded_and_the_rest_is_left_to_a_pass() {
        let changes = Changes::default();
        for n in 0..=MOST_WAITING {
            changes.add(key("pods", &json!({"metadata": {"name": n.to_string()}})), Change::Deleted);
        }
        // of one object only the last change counts
        changes.add(key("pods", &json!({"metadata": {"name": "0"}})), Change::Deleted);
        let waiting = changes.take();
        assert_eq!((waiting.objects.len(), waiting.missed), (MOST_WAITING, true));
        let waiting = changes.take();
        assert!(waiting.objects.is_empty() && !waiting.missed);
    }
}
