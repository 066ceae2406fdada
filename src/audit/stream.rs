//! One kind as a stream of objects in the order in which the API server keeps them: by namespace, then by name.
//!
//! etcd lists keys in byte order, and all kinds have their namespace in the same place of the key
//! (`/registry/<resource>/<namespace>/<name>`), so streams of several kinds can be walked side by side.

use crate::admission::request::{Gvk, Gvr};
use crate::context::list::Pages;
use crate::kubeapi::{Reason, jitter};
use kube::Client;
use kube::core::params::ListParams;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::time::Duration;
use tokio::time::Instant;

/// Longest time for an answer that is no list.
pub(super) const REQUEST: Duration = Duration::from_secs(30);

/// Bounds the calls of an audit: no two closer together than the pause.
#[derive(Debug)]
pub struct Budget {
    pause: Duration,
    next: tokio::sync::Mutex<Instant>,
    calls: AtomicU64,
}

impl Budget {
    /// A budget with a pause between calls.
    #[must_use]
    pub fn new(pause: Duration) -> Self {
        Self { pause, next: tokio::sync::Mutex::new(Instant::now()), calls: AtomicU64::new(0) }
    }

    /// Waits until the next call may be made, and counts it.
    pub async fn call(&self) {
        let mut next = self.next.lock().await;
        tokio::time::sleep_until(*next).await;
        *next = Instant::now() + self.pause;
        self.calls.fetch_add(1, Atomic::Relaxed);
    }

    /// Calls so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Atomic::Relaxed)
    }
}

/// The order of keys: `a-b/x` comes before `a/x`.
pub(super) fn by_key(a: (&str, &str), b: (&str, &str)) -> Ordering {
    let key = |(namespace, name): (&str, &str)| {
        namespace.bytes().chain(std::iter::once(b'/')).chain(name.bytes()).collect::<Vec<u8>>()
    };
    key(a).cmp(&key(b))
}

/// Namespaces in the order of their keys.
pub(super) fn by_namespace(a: &str, b: &str) -> Ordering {
    by_key((a, ""), (b, ""))
}

/// What is listed of a kind.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// As policies name it.
    pub(super) resource: String,
    /// Path of the collection.
    pub(super) path: String,
    pub(super) gvk: Gvk,
    pub(super) gvr: Gvr,
    /// Its objects are judged.
    pub(super) judged: bool,
    /// Its objects are facts.
    pub(super) fact: bool,
}

/// A kind under way.
pub(super) struct Stream<'c> {
    pub(super) source: Source,
    pages: Pages<'c>,
    budget: &'c Budget,
    attempts: u32,
    ready: VecDeque<Value>,
    last: Option<(String, String)>,
    ended: bool,
    /// The version of the collection from which the list began.
    pub(super) version: Option<String>,
    /// Why it ended early.
    pub(super) failed: Option<String>,
    pub(super) count: u64,
}

impl<'c> Stream<'c> {
    pub(super) fn new(client: &'c Client, source: Source, page: u32, attempts: u32, budget: &'c Budget) -> Self {
        let pages = Pages::with(client, &source.path, ListParams::default().limit(page));
        let (ready, last) = (VecDeque::new(), None);
        Self { source, pages, budget, attempts, ready, last, ended: false, version: None, failed: None, count: 0 }
    }

    /// The next object, where there is one.
    pub(super) async fn next(&mut self) -> Option<Value> {
        self.fill().await;
        self.ready.pop_front()
    }

    /// The namespace of the next object.
    pub(super) async fn namespace(&mut self) -> Option<String> {
        self.fill().await;
        self.ready.front().map(|object| names(object).0)
    }

    /// The next objects while they are in this namespace.
    pub(super) async fn of_namespace(&mut self, namespace: &str) -> Vec<Value> {
        let mut objects = Vec::new();
        while self.namespace().await.as_deref() == Some(namespace) {
            objects.extend(self.ready.pop_front());
        }
        objects
    }

    async fn fill(&mut self) {
        while self.ready.is_empty() && !self.ended {
            match self.page().await {
                Ok(true) => {}
                Ok(false) => self.ended = true,
                Err(reason) => {
                    let from = self.last.as_ref().map(|(namespace, name)| format!(" (after {namespace}/{name})"));
                    self.failed = Some(format!("{reason}{}", from.unwrap_or_default()));
                    self.ended = true;
                }
            }
        }
    }

    /// Takes one more page; false behind the last.
    async fn page(&mut self) -> Result<bool, String> {
        let mut attempt = 1;
        let page = loop {
            self.budget.call().await;
            match self.pages.next(Some).await {
                Ok(page) => break page,
                Err(error) if is_final(&error) || attempt >= self.attempts => return Err(Reason(&error).to_string()),
                Err(error) => {
                    if matches!(&error, kube::Error::Api(status) if status.code == 410) {
                        // the version is forgotten and there is no token to go on with; what was seen is left out below
                        self.pages.restart();
                    }
                    let wait = Duration::from_millis(250 << attempt.min(7));
                    tokio::time::sleep(wait + jitter(wait)).await;
                    attempt += 1;
                }
            }
        };
        let Some(page) = page else { return Ok(false) };
        if page.skipped > 0 {
            return Err(format!("{} objects of a page are not readable", page.skipped));
        }
        self.version.get_or_insert(page.version);
        for object in page.items {
            let (namespace, name) = names(&object);
            let key = (namespace.as_str(), name.as_str());
            // listed before a restart, or out of order: both would be judged without the facts of their namespace
            if self.last.as_ref().is_some_and(|(n, m)| by_key((n, m), key) != Ordering::Less) {
                continue;
            }
            self.count += 1;
            self.last = Some((namespace, name));
            self.ready.push_back(object);
        }
        Ok(true)
    }
}

/// What does not get better by asking again.
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 401 | 403 | 404 | 405))
}

/// Namespace and name of an object.
pub(super) fn names(object: &Value) -> (String, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/metadata/namespace"), text("/metadata/name"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use axum::body::Body;
    use serde_json::json;
    use std::sync::{Arc, Mutex};

    /// Answers in turn; what was asked is kept.
    fn client(answers: Vec<(u16, Value)>) -> (Client, Arc<Mutex<Vec<String>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answers) = (seen.clone(), Arc::new(Mutex::new(VecDeque::from(answers))));
        let service = tower::service_fn(move |request: axum::http::Request<kube::client::Body>| {
            kept.lock().unwrap().push(request.uri().query().unwrap_or_default().to_owned());
            let (code, body) = answers.lock().unwrap().pop_front().unwrap();
            let answer = axum::http::Response::builder().status(code).body(Body::from(body.to_string())).unwrap();
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        (Client::new(service, "default"), seen)
    }

    fn page(keys: &[(&str, &str)], next: &str) -> (u16, Value) {
        let items: Vec<Value> = keys.iter().map(|(n, m)| json!({"metadata": {"namespace": n, "name": m}})).collect();
        (200, json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"continue": next}, "items": items}))
    }

    fn failure(code: u16, metadata: Value) -> (u16, Value) {
        let reason = if code == 410 { "Expired" } else { "Other" };
        (
            code,
            json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "no", "metadata": metadata}),
        )
    }

    async fn read(answers: Vec<(u16, Value)>) -> (Vec<String>, Option<String>, Vec<String>) {
        let (client, seen) = client(answers);
        let gvk = Gvk { group: String::new(), version: "v1".into(), kind: "Pod".into() };
        let gvr = Gvr { group: String::new(), version: "v1".into(), resource: "pods".into() };
        let source =
            Source { resource: "pods".into(), path: "/api/v1/pods".into(), gvk, gvr, judged: true, fact: true };
        let budget = Budget::new(Duration::ZERO);
        let mut stream = Stream::new(&client, source, 2, 3, &budget);
        let mut names = Vec::new();
        while let Some(object) = stream.next().await {
            let (namespace, name) = super::names(&object);
            names.push(format!("{namespace}/{name}"));
        }
        let asked = seen.lock().unwrap().clone();
        (names, stream.failed, asked)
    }

    #[tokio::test]
    async fn a_page_that_fails_is_asked_for_again() {
        let answers = vec![
            page(&[("a", "1"), ("a", "2")], "t"),
            failure(500, json!({})),
            failure(429, json!({})),
            page(&[("b", "1")], ""),
        ];
        let (names, failed, asked) = read(answers).await;
        assert_eq!((names.join(" ").as_str(), failed), ("a/1 a/2 b/1", None));
        assert!(asked[1..].iter().all(|query| query.contains("continue=t")), "{asked:?}");
    }

    #[tokio::test]
    async fn a_forgotten_version_goes_on_behind_the_last_key() {
        let gone = |token: &str| failure(410, json!({"continue": token}));
        let answers = vec![page(&[("a", "1")], "old"), gone("new"), page(&[("b", "1")], "")];
        let (names, failed, asked) = read(answers).await;
        assert_eq!((names.join(" ").as_str(), failed), ("a/1 b/1", None));
        assert!(asked[2].contains("continue=new"), "{asked:?}");
        // without a token the list begins again, and nothing is seen twice
        let answers = vec![
            page(&[("a", "1"), ("a", "2")], "old"),
            failure(410, json!({})),
            page(&[("a", "1"), ("a", "2")], "t"),
            page(&[("a", "3")], ""),
        ];
        let (names, failed, asked) = read(answers).await;
        assert_eq!((names.join(" ").as_str(), failed), ("a/1 a/2 a/3", None));
        assert!(!asked[2].contains("continue"), "{asked:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_listed_is_named_with_its_place() {
        let (names, failed, asked) = read(vec![page(&[("a", "1")], "t"), failure(403, json!({}))]).await;
        assert_eq!((names.len(), failed.as_deref(), asked.len()), (1, Some("no (after a/1)"), 2));
        let tired = vec![failure(500, json!({})), failure(500, json!({})), failure(500, json!({}))];
        let (names, failed, asked) = read(tired).await;
        assert_eq!((names.len(), failed.as_deref(), asked.len()), (0, Some("no"), 3));
    }

    #[test]
    fn keys_are_ordered_as_etcd_orders_them() {
        assert!(by_namespace("a-b", "a").is_lt());
        assert!(by_namespace("a", "a0").is_lt());
        assert!(by_key(("a", "2"), ("a", "10")).is_gt());
    }
}
