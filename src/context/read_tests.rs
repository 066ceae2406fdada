//! A cluster read once, against an API server made of a table.

use super::*;
use axum::body::Body;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Status and body.
type Answer = (u16, Json);

/// Answers by path, `path+part` where the query has that part.
#[derive(Clone, Default)]
struct Fake {
    answers: Arc<Mutex<BTreeMap<String, Vec<Answer>>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new() -> Self {
        let fake = Self::default();
        fake.on(
            "/version",
            &[(
                200,
                json!({
            "major": "1", "minor": "35", "gitVersion": "v1.35.4", "gitCommit": "", "gitTreeState": "", "buildDate": "",
            "goVersion": "", "compiler": "", "platform": ""}),
            )],
        );
        fake
    }

    /// Several answers are given in order, the last for ever.
    fn on(&self, path: &str, answers: &[(u16, Json)]) {
        self.answers.lock().unwrap().insert(path.to_owned(), answers.to_vec());
    }

    fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: axum::http::Request<kube::client::Body>| {
            let uri = request.uri().to_string();
            assert_eq!(request.method(), "GET", "only read: {uri}");
            let answer = fake.answer(&uri);
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    fn answer(&self, uri: &str) -> axum::http::Response<Body> {
        self.seen.lock().unwrap().push(uri.to_owned());
        let mut answers = self.answers.lock().unwrap();
        // the most exact path first: the same collection with a token is another page
        let found = answers.iter_mut().rev().find(|(path, _)| {
            let (path, token) = path.split_once('+').unwrap_or((path, ""));
            uri.split('?').next() == Some(path) && uri.contains(token)
        });
        let (code, body) = match found {
            Some((_, list)) if list.len() > 1 => list.remove(0),
            Some((_, list)) => list[0].clone(),
            None => status(404, "not found"),
        };
        axum::http::Response::builder().status(code).body(Body::from(body.to_string())).unwrap()
    }

    fn seen(&self, part: &str) -> usize {
        self.seen.lock().unwrap().iter().filter(|uri| uri.contains(part)).count()
    }
}

fn status(code: u16, message: &str) -> (u16, Json) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "R"}))
}

fn page(kind: &str, next: &str, items: Json) -> (u16, Json) {
    let metadata = json!({"resourceVersion": "7", "continue": next});
    (200, json!({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}))
}

fn named(namespace: &str, name: &str) -> Json {
    json!({"metadata": {"namespace": namespace, "name": name, "resourceVersion": "9", "managedFields": [1]}})
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

async fn look(fake: &Fake, wanted: Wanted) -> Reading {
    read(&fake.client(), &wanted, jiff::Timestamp::UNIX_EPOCH).await.unwrap()
}

fn names(reading: &Reading) -> Vec<String> {
    let of = |o: &Json, key: &str| o["metadata"][key].as_str().unwrap_or_default().to_owned();
    reading.objects.iter().map(|(kind, o)| format!("{kind} {}/{}", of(o, "namespace"), of(o, "name"))).collect()
}

#[tokio::test]
async fn pages_are_put_together_pruned_and_in_order() {
    let fake = Fake::new();
    fake.on("/api/v1/services", &[page("ServiceList", "more", json!([named("b", "z"), named("b", "a")]))]);
    fake.on("/api/v1/services+continue=more", &[page("ServiceList", "", json!([named("a", "q")]))]);
    let reading = look(&fake, Wanted { kinds: set(&["services"]), ..Wanted::default() }).await;
    assert_eq!(names(&reading), ["services a/q", "services b/a", "services b/z"]);
    let metadata = json!({"namespace": "a", "name": "q"});
    assert_eq!(reading.objects[0].1, json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata}));
    let row = &reading.header.kinds[0];
    assert_eq!((row.kind.as_deref(), row.objects, row.namespaced, &row.namespaces), (Some("Service"), 3, true, &None));
    assert_eq!(reading.header.server_version, "v1.35.4");
    assert!(fake.seen("limit=500") == 2 && fake.seen("watch") == 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_does_not_stop_the_rest() {
    let fake = Fake::new();
    fake.on("/api/v1/nodes", &[status(403, "nodes is forbidden")]);
    fake.on("/api/v1/services", &[page("ServiceList", "", json!([]))]);
    // of velero.io there is nothing, so discovery answers 404
    let kinds = set(&["nodes", "services", "backups.velero.io", "secrets"]);
    let reading = look(&fake, Wanted { kinds, ..Wanted::default() }).await;
    let missing: Vec<&str> = reading.header.missing.iter().map(|row| row.resource.as_str()).collect();
    assert_eq!(missing, ["nodes", "secrets"]);
    assert_eq!(reading.header.missing[0].reason, "nodes is forbidden");
    assert_eq!(reading.header.not_served, ["backups.velero.io"]);
    let row = &reading.header.kinds[0];
    assert_eq!((row.resource.as_str(), row.objects, &row.kind), ("services", 0, &None));
    assert_eq!(fake.seen("secrets"), 0, "a Secret is never asked for");
}

#[tokio::test]
async fn who_may_not_read_everywhere_reads_the_namespaces_of_the_input() {
    let fake = Fake::new();
    fake.on("/api/v1/services", &[status(403, "services is forbidden")]);
    fake.on("/api/v1/namespaces/a/services", &[page("ServiceList", "", json!([named("a", "s")]))]);
    fake.on("/api/v1/namespaces/b/services", &[page("ServiceList", "", json!([]))]);
    fake.on("/api/v1/namespaces", &[status(403, "namespaces is forbidden")]);
    fake.on("/api/v1/namespaces/a", &[(200, json!({"kind": "Namespace", "metadata": {"name": "a"}}))]);
    fake.on("/api/v1/nodes", &[status(403, "nodes is forbidden")]);
    let kinds = set(&["services", "namespaces", "nodes"]);
    let reading = look(&fake, Wanted { kinds, fallback: set(&["a", "b"]), ..Wanted::default() }).await;
    // b is not there, which is known now
    assert_eq!(names(&reading), ["namespaces /a", "services a/s"]);
    assert!(reading.header.kinds.iter().all(|row| row.namespaces == Some(set(&["a", "b"]))));
    assert_eq!(reading.header.missing.len(), 1);
    // and where that is refused as well, the wider right is named
    fake.on("/api/v1/namespaces/b/services", &[status(403, "in b too")]);
    let kinds = set(&["services"]);
    let reading = look(&fake, Wanted { kinds, fallback: set(&["a", "b"]), ..Wanted::default() }).await;
    assert_eq!(reading.header.missing[0].reason, "services is forbidden");
    assert!(reading.objects.is_empty());
}

#[tokio::test]
async fn only_the_namespaces_that_were_asked_for_are_read() {
    let fake = Fake::new();
    fake.on("/api/v1/namespaces/a/services", &[page("ServiceList", "", json!([named("a", "s")]))]);
    fake.on("/api/v1/namespaces/a", &[(200, json!({"kind": "Namespace", "metadata": {"name": "a"}}))]);
    fake.on("/api/v1/nodes", &[page("NodeList", "", json!([named("", "n")]))]);
    let kinds = set(&["services", "namespaces", "nodes"]);
    let reading = look(&fake, Wanted { kinds, namespaces: set(&["a"]), ..Wanted::default() }).await;
    assert_eq!(names(&reading), ["namespaces /a", "nodes /n", "services a/s"]);
    let whole: Vec<bool> = reading.header.kinds.iter().map(|row| row.namespaces.is_none()).collect();
    assert_eq!(whole, [false, true, false]);
    assert_eq!(fake.seen("/api/v1/services") + fake.seen("/api/v1/namespaces?"), 0);
}

#[tokio::test]
async fn a_list_whose_version_is_gone_begins_again_once() {
    let fake = Fake::new();
    let first = page("ServiceList", "more", json!([named("a", "s")]));
    fake.on("/api/v1/services", &[first]);
    let last = page("ServiceList", "", json!([named("a", "t")]));
    fake.on("/api/v1/services+continue=more", &[status(410, "too old"), last]);
    let kinds = || set(&["services"]);
    let reading = look(&fake, Wanted { kinds: kinds(), ..Wanted::default() }).await;
    assert_eq!(names(&reading), ["services a/s", "services a/t"]);
    fake.on("/api/v1/services+continue=more", &[status(410, "too old")]);
    let reading = look(&fake, Wanted { kinds: kinds(), ..Wanted::default() }).await;
    assert_eq!(reading.header.missing[0].reason, "too old");
}

#[tokio::test]
async fn what_is_too_much_is_not_read_by_halves() {
    let fake = Fake::new();
    fake.on("/api/v1/services", &[page("ServiceList", "", json!([named("a", "s"), named("a", "t")]))]);
    let look_with = |bounds| look(&fake, Wanted { kinds: set(&["services"]), bounds, ..Wanted::default() });
    for bounds in [Bounds { objects: 1, bytes: 1 << 20 }, Bounds { objects: 10, bytes: 10 }] {
        let reading = look_with(bounds).await;
        assert!(reading.objects.is_empty() && reading.header.kinds.is_empty());
        assert!(reading.header.missing[0].reason.contains("more than"), "{:?}", reading.header.missing);
    }
    assert_eq!(look_with(Bounds { objects: 2, bytes: 1 << 20 }).await.objects.len(), 2);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_an_error() {
    let fake = Fake::new();
    fake.on("/version", &[status(401, "Unauthorized")]);
    let error = read(&fake.client(), &Wanted::default(), jiff::Timestamp::UNIX_EPOCH).await.unwrap_err().to_string();
    assert!(error.contains("Unauthorized") && error.contains("--context"), "{error}");
}
