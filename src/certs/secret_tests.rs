//! The Secret against an API server in this process that keeps resource versions like a real one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::certs::manager::{Clocks, SelfMade};
use crate::certs::{Reports, now};
use crate::telemetry::Metrics;

#[derive(Clone, Default)]
struct Api {
    secret: Arc<Mutex<Option<Value>>>,
    version: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
    /// Answered instead of doing anything, for this method.
    refuses: Arc<Mutex<Option<(Method, u16)>>>,
}

fn status(code: u16, reason: &str) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": format!("secrets \"seawall-ca\": {reason}")});
    (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response()
}

impl Api {
    fn client(&self) -> Client {
        let router = Router::new()
            .route("/api/v1/namespaces/{namespace}/secrets", post(write))
            .route("/api/v1/namespaces/{namespace}/secrets/{name}", get(read).put(write))
            .with_state(self.clone());
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let router = router.clone();
            async move { router.oneshot(request.map(Body::new)).await }
        });
        Client::new(service, "seawall-system")
    }

    fn store(&self) -> SecretStore {
        SecretStore::new(self.client(), "seawall-system", DEFAULT_NAME)
    }

    fn refusal(&self, method: &Method) -> Option<Response> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let refuses = self.refuses.lock().unwrap();
        let (refused, code) = refuses.as_ref()?;
        (refused == method).then(|| status(*code, "Refused"))
    }

    fn data(&self, key: &str) -> Option<String> {
        use base64::Engine as _;
        let secret = self.secret.lock().unwrap();
        let text = secret.as_ref()?["data"][key].as_str()?.to_owned();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    }

    fn set_data(&self, key: &str, value: &str) {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(value);
        self.secret.lock().unwrap().as_mut().unwrap()["data"][key] = json!(text);
    }
}

async fn read(State(api): State<Api>, method: Method, Path((namespace, name)): Path<(String, String)>) -> Response {
    assert_eq!((namespace.as_str(), name.as_str()), ("seawall-system", "seawall-ca"));
    if let Some(refusal) = api.refusal(&method) {
        return refusal;
    }
    let secret = api.secret.lock().unwrap();
    secret.as_ref().map_or_else(|| status(404, "NotFound"), |secret| axum::Json(secret).into_response())
}

async fn write(State(api): State<Api>, method: Method, axum::Json(mut sent): axum::Json<Value>) -> Response {
    if let Some(refusal) = api.refusal(&method) {
        return refusal;
    }
    let mut secret = api.secret.lock().unwrap();
    match secret.as_ref() {
        Some(_) if method == Method::POST => return status(409, "AlreadyExists"),
        Some(there) if there["metadata"]["resourceVersion"] != sent["metadata"]["resourceVersion"] => {
            return status(409, "Conflict");
        }
        None if method == Method::PUT => return status(404, "NotFound"),
        _ => {}
    }
    let version = api.version.fetch_add(1, Ordering::SeqCst);
    sent["metadata"]["resourceVersion"] = json!(version.to_string());
    *secret = Some(sent.clone());
    axum::Json(sent).into_response()
}

fn authority() -> Authority {
    issue::authority(now(), Duration::from_secs(3600)).unwrap()
}

fn full() -> CaState {
    CaState {
        current: authority(),
        next: Some(authority()),
        previous: vec![authority().certificate, authority().certificate],
        incarnation: "first".into(),
    }
}

#[tokio::test]
async fn what_is_written_is_read_and_the_bundle_is_beside_it() {
    let api = Api::default();
    assert!(api.store().read().await.unwrap().is_none());
    let state = full();
    api.store().write(&state, None).await.unwrap();
    let stored = api.store().read().await.unwrap().unwrap();
    assert_eq!(stored.state.as_ref(), Some(&state));
    assert_eq!(api.data("ca-bundle.crt").unwrap().matches("BEGIN CERTIFICATE").count(), 4);
    assert_eq!(api.data("ca.crt").unwrap(), *state.current.certificate.pem);

    // what is gone from the state is gone from the Secret
    let alone = CaState { next: None, previous: Vec::new(), ..state };
    api.store().write(&alone, Some(&stored.version)).await.unwrap();
    assert_eq!(api.store().read().await.unwrap().unwrap().state, Some(alone));
    assert!(api.data("next.key").is_none() && api.data("previous.crt").is_none());
}

#[tokio::test]
async fn every_way_of_being_second_is_a_conflict() {
    let api = Api::default();
    let store = api.store();
    store.write(&full(), None).await.unwrap();
    let first = store.read().await.unwrap().unwrap().version;
    assert!(matches!(store.write(&full(), None).await, Err(StoreError::Conflict)), "AlreadyExists");
    store.write(&full(), Some(&first)).await.unwrap();
    assert!(matches!(store.write(&full(), Some(&first)).await, Err(StoreError::Conflict)), "old version");
    let second = store.read().await.unwrap().unwrap().version;
    *api.secret.lock().unwrap() = None;
    assert!(matches!(store.write(&full(), Some(&second)).await, Err(StoreError::Conflict)), "deleted meanwhile");
}

#[tokio::test]
async fn an_empty_secret_made_beforehand_is_filled_and_foreign_things_stay() {
    let api = Api::default();
    *api.secret.lock().unwrap() = Some(json!({
        "apiVersion": "v1", "kind": "Secret", "data": {"theirs": "aGVsbG8="},
        "metadata": {"name": "seawall-ca", "namespace": "seawall-system", "resourceVersion": "7",
            "labels": {"team": "platform"}},
    }));
    let stored = api.store().read().await.unwrap().unwrap();
    assert!(stored.state.is_none());
    let state = full();
    api.store().write(&state, Some(&stored.version)).await.unwrap();
    assert_eq!(api.store().read().await.unwrap().unwrap().state, Some(state));
    assert_eq!(api.data("theirs").as_deref(), Some("hello"));
    assert_eq!(api.secret.lock().unwrap().as_ref().unwrap()["metadata"]["labels"]["team"], "platform");
}

#[tokio::test]
async fn damage_is_named_and_never_quotes_a_key() {
    for (key, value, part) in [
        ("ca.crt", "", "ca.crt and ca.key"),
        ("ca.key", "-----BEGIN PRIVATE KEY----- SECRETSECRET", "ca.crt and ca.key"),
        ("next.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "next.crt and next.key"),
        ("previous.crt", "no certificate", "previous.crt"),
    ] {
        let api = Api::default();
        api.store().write(&full(), None).await.unwrap();
        api.set_data(key, value);
        let error = api.store().read().await.unwrap_err();
        let text = crate::certs::manager::chain(&error);
        assert!(matches!(error, StoreError::Corrupt { .. }), "{text}");
        assert!(text.contains(part) && text.contains("delete the Secret"), "{text}");
        assert!(!text.contains("SECRETSECRET") && !format!("{error:?}").contains("SECRETSECRET"), "{text}");
    }
}

#[tokio::test]
async fn a_missing_permission_says_which() {
    let api = Api::default();
    for (method, verb) in [(Method::GET, "get"), (Method::POST, "create"), (Method::PUT, "update")] {
        *api.refuses.lock().unwrap() = None;
        *api.secret.lock().unwrap() = None;
        api.store().write(&full(), None).await.unwrap();
        let version = api.store().read().await.unwrap().unwrap().version;
        *api.refuses.lock().unwrap() = Some((method.clone(), 403));
        let error = match verb {
            "get" => api.store().read().await.map(drop).unwrap_err(),
            "create" => api.store().write(&full(), None).await.unwrap_err(),
            _ => api.store().write(&full(), Some(&version)).await.unwrap_err(),
        };
        assert!(matches!(error, StoreError::Forbidden { .. }), "{error}");
        assert!(error.to_string().contains(&format!("not allowed to {verb} the Secret seawall-system/seawall-ca")));
    }
    *api.refuses.lock().unwrap() = Some((Method::GET, 500));
    assert!(matches!(api.store().read().await, Err(StoreError::Unavailable { .. })));
}

/// 40 replicas that start at once agree on one CA, with few calls each.
#[tokio::test]
async fn many_replicas_starting_at_once_share_one_ca() {
    let api = Api::default();
    let replicas = (0..40).map(|_| {
        let reports = Reports::new(Arc::new(Metrics::new()), |_| {});
        SelfMade::new(vec!["seawall.seawall-system.svc".to_owned()]).start(
            api.store(),
            Clocks::system(),
            reports,
            Duration::from_secs(10),
        )
    });
    let replicas = futures::future::join_all(replicas).await;
    let bundle = api.data("ca-bundle.crt").unwrap();
    assert_eq!(bundle.matches("BEGIN CERTIFICATE").count(), 1);
    for replica in replicas {
        let (certificates, _) = replica.unwrap();
        assert_eq!(certificates.bundle_pem().borrow().as_deref(), Some(bundle.as_str()));
    }
    let calls = api.calls.load(Ordering::SeqCst);
    assert!(calls <= 40 * 3, "{calls} calls");
}
