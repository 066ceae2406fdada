//! The watch caches against an API server made of a function: lists in pages, watches that break, kinds that come and go.

use super::*;
use crate::engine::value;
use axum::body::{Body, Bytes};
use serde_json::{Value as Json, json};
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// What the fake API server answers.
#[derive(Default)]
struct Script {
    /// Pages of a collection by path; a list beyond them repeats the last.
    lists: BTreeMap<String, VecDeque<Json>>,
    /// Watches of a collection by path, in order; a watch beyond them is silent.
    watches: BTreeMap<String, VecDeque<mpsc::UnboundedReceiver<Bytes>>>,
    /// Single objects by path; `None`: 404.
    objects: BTreeMap<String, Json>,
    /// Every request as `path?query`.
    seen: Vec<String>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Script>>);

impl Fake {
    fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: axum::http::Request<kube::client::Body>| {
            let answer = fake.answer(request.uri());
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    fn answer(&self, uri: &axum::http::Uri) -> axum::http::Response<Body> {
        let mut script = self.0.lock().unwrap();
        script.seen.push(uri.to_string());
        let path = uri.path().to_owned();
        let query = uri.query().unwrap_or_default();
        if query.contains("watch=true") {
            let stream = script.watches.get_mut(&path).and_then(VecDeque::pop_front);
            return axum::http::Response::new(match stream {
                Some(receiver) => Body::from_stream(futures::stream::unfold(receiver, |mut receiver| async {
                    receiver.recv().await.map(|bytes| (Ok::<_, std::io::Error>(bytes), receiver))
                })),
                None => Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>()),
            });
        }
        let found = match script.lists.get_mut(&path) {
            Some(pages) if pages.len() > 1 => pages.pop_front(),
            Some(pages) => pages.front().cloned(),
            None => script.objects.get(&path).cloned(),
        };
        let missing =
            json!({"kind": "Status", "status": "Failure", "code": 404, "message": "not found", "reason": "NotFound"});
        let (code, body) = found.map_or((404, missing), |body| (200, body));
        axum::http::Response::builder().status(code).body(Body::from(body.to_string())).unwrap()
    }

    fn list(&self, path: &str, pages: impl IntoIterator<Item = Json>) {
        self.0.lock().unwrap().lists.insert(path.to_owned(), pages.into_iter().collect());
    }

    fn watch(&self, path: &str) -> Events {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.lock().unwrap().watches.entry(path.to_owned()).or_default().push_back(receiver);
        Events(sender)
    }

    fn requests(&self, part: &str) -> Vec<String> {
        self.0.lock().unwrap().seen.iter().filter(|uri| uri.contains(part)).cloned().collect()
    }
}

/// The server's side of a watch; dropped: the connection ends.
struct Events(mpsc::UnboundedSender<Bytes>);

impl Events {
    fn send(&self, kind: &str, object: Json) {
        let line = format!("{}\n", json!({"type": kind, "object": object}));
        self.0.send(Bytes::from(line)).unwrap();
    }
}

const NAMESPACES_PATH: &str = "/api/v1/namespaces";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";

fn page(version: u32, next: &str, items: Json) -> Json {
    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": version.to_string(), "continue": next}, "items": items})
}

fn class(name: &str, version: u32, provisioner: &str) -> Json {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string()}, "provisioner": provisioner})
}

fn namespace(name: &str, version: u32, mode: &str) -> Json {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string(), "labels": {"seawall.dev/mode": mode}}})
}

fn start(fake: &Fake, needed: &[&str]) -> ClusterContext {
    let needed = needed.iter().map(|kind| (*kind).to_owned()).collect();
    ClusterContext::start(fake.client(), needed, CancellationToken::new())
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 10 s: {what}");
}

fn provisioner(context: &ClusterContext, name: &str) -> Option<String> {
    let data = value::to_json(&context.facts().data()).unwrap();
    Some(data["storageclasses"][name]["provisioner"].as_str()?.to_owned())
}

fn status(context: &ClusterContext, resource: &str) -> KindStatus {
    context.status().into_iter().find(|kind| kind.resource == resource).unwrap()
}

#[tokio::test]
async fn pages_are_joined_and_events_followed() {
    let fake = Fake::default();
    fake.list(NAMESPACES_PATH, [page(5, "", json!([namespace("shop", 5, "warn")]))]);
    fake.list(CLASSES, [page(0, "more", json!([class("a", 1, "p")])), page(7, "", json!([class("b", 2, "p")]))]);
    let namespaces = fake.watch(NAMESPACES_PATH);
    let classes = fake.watch(CLASSES);
    let context = start(&fake, &["storageclasses"]);
    assert_eq!(context.wait_synced(Duration::from_secs(5)).await, Vec::<String>::new());
    assert_eq!(context.facts().namespace_labels("shop").unwrap()["seawall.dev/mode"], "warn");
    assert_eq!(status(&context, "storageclasses").objects, 2);
    assert!(fake.requests("continue=more").len() == 1 && fake.requests("limit=500").len() >= 3);

    classes.send("MODIFIED", class("a", 8, "q"));
    classes.send("DELETED", class("b", 9, "p"));
    classes.send("ADDED", json!({"metadata": {"resourceVersion": "10"}}));
    namespaces.send("MODIFIED", namespace("shop", 8, "enforce"));
    until("events", || {
        provisioner(&context, "a").as_deref() == Some("q")
            && provisioner(&context, "b").is_none()
            && context.facts().namespace_labels("shop").unwrap()["seawall.dev/mode"] == "enforce"
    })
    .await;
    assert_eq!(status(&context, "storageclasses").skipped, 1);
    assert!(fake.requests(CLASSES).iter().any(|uri| uri.contains("resourceVersion=7")));
}

#[tokio::test]
async fn a_broken_watch_is_resumed_where_it_was_and_gone_history_is_listed_again() {
    let fake = Fake::default();
    fake.list(NAMESPACES_PATH, [page(5, "", json!([]))]);
    fake.list(CLASSES, [page(7, "", json!([class("a", 1, "p")]))]);
    let first = fake.watch(CLASSES);
    let second = fake.watch(CLASSES);
    let context = start(&fake, &["storageclasses"]);
    assert!(context.wait_synced(Duration::from_secs(5)).await.is_empty());
    first.send(
        "BOOKMARK",
        json!({"kind": "StorageClass", "apiVersion": "storage.k8s.io/v1", "metadata": {"resourceVersion": "40"}}),
    );
    until("bookmark", || status(&context, "storageclasses").stale.is_some()).await;
    drop(first);
    until("resumed at the bookmark", || !fake.requests("resourceVersion=40").is_empty()).await;
    assert_eq!(status(&context, "storageclasses").lists, 1);

    fake.list(CLASSES, [page(90, "", json!([class("c", 80, "p")]))]);
    second.send(
        "ERROR",
        json!({"kind": "Status", "status": "Failure", "code": 410, "message": "too old", "reason": "Expired"}),
    );
    until("listed again", || status(&context, "storageclasses").lists == 2).await;
    until("what was deleted meanwhile is gone", || {
        provisioner(&context, "a").is_none() && provisioner(&context, "c").is_some()
    })
    .await;
}

#[tokio::test]
async fn kinds_come_and_go_with_the_policies() {
    let fake = Fake::default();
    fake.list(NAMESPACES_PATH, [page(5, "", json!([]))]);
    fake.list(CLASSES, [page(7, "", json!([class("a", 1, "p")]))]);
    let context = start(&fake, &[]);
    assert!(context.wait_synced(Duration::from_secs(5)).await.is_empty());
    assert!(!context.facts().is_synced("storageclasses"));
    assert!(fake.requests("storageclasses").is_empty());

    context.set_needed(BTreeSet::from(["storageclasses".to_owned()]));
    assert!(context.wait_synced(Duration::from_secs(5)).await.is_empty());
    assert!(context.facts().is_synced("storageclasses"));

    context.set_needed(BTreeSet::new());
    until("forgotten", || !context.facts().is_synced("storageclasses")).await;
    assert!(context.facts().is_synced(NAMESPACES));
    assert_eq!(context.status().len(), 1);
}

#[tokio::test]
async fn a_custom_kind_without_its_definition_is_not_synced_and_not_waited_for() {
    let fake = Fake::default();
    fake.list(NAMESPACES_PATH, [page(5, "", json!([]))]);
    fake.0
        .lock()
        .unwrap()
        .objects
        .insert("/apis".into(), json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []}));
    let context = start(&fake, &["backups.velero.io", "secrets"]);
    assert!(context.wait_synced(Duration::from_secs(5)).await.is_empty());
    let absent = status(&context, "backups.velero.io");
    assert!(!absent.served && !absent.synced && absent.problem.unwrap().contains("does not serve backups.velero.io"));
    assert!(status(&context, "secrets").problem.unwrap().contains("no kind that Seawall can watch"));
}

#[tokio::test]
async fn a_storm_of_unknown_namespaces_is_one_get() {
    let fake = Fake::default();
    fake.list(NAMESPACES_PATH, [page(5, "", json!([]))]);
    let path = format!("{NAMESPACES_PATH}/new");
    fake.0.lock().unwrap().objects.insert(path.clone(), namespace("new", 6, "enforce"));
    let context = start(&fake, &[]);
    let answers = futures::future::join_all((0..200).map(|_| context.namespace_live("new"))).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().unwrap()["seawall.dev/mode"] == "enforce"));
    for _ in 0..3 {
        assert_eq!(context.namespace_live("none").await.unwrap(), None);
    }
    assert_eq!(context.namespace_live("../pods").await.unwrap(), None);
    assert_eq!(fake.requests(&path).len(), 1);
    assert_eq!(fake.requests(&format!("{NAMESPACES_PATH}/")).len(), 2);
}
