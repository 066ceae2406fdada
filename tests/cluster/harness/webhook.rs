//! An admission webhook of the test's own: answers as the test says and remembers what it was asked.
//!
//! With it the facts that Seawall relies on are proved without Seawall.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::api::install_crypto_provider;
use super::controlplane::ControlPlane;
use super::pki::Authority;
use super::process::eventually;

/// One call as the API server made it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// HTTP/1.1 or HTTP/2.
    pub(crate) version: Version,
    /// Path and query, `/hook?timeout=5s`.
    pub(crate) uri: String,
    /// The `request` of the AdmissionReview.
    pub(crate) request: Value,
}

type Answer = dyn Fn(&Call) -> Value + Send + Sync;

/// A running webhook; ends when dropped.
pub(crate) struct TestWebhook {
    address: SocketAddr,
    ca: String,
    calls: Arc<Mutex<Vec<Call>>>,
    _runtime: Runtime,
}

impl TestWebhook {
    /// Serves on loopback with a certificate for loopback and `names`. `answer` gives the `response` without its uid.
    pub(crate) fn start(names: &[&str], answer: impl Fn(&Call) -> Value + Send + Sync + 'static) -> Self {
        install_crypto_provider();
        let authority = Authority::new("seawall test webhook");
        let mut all = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        all.extend(names.iter().map(|name| (*name).to_owned()));
        let acceptor = acceptor(&authority, &all);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, acceptor, Arc::clone(&calls), Arc::new(answer)));
        Self { address, ca: authority.pem().to_owned(), calls, _runtime: runtime }
    }

    /// The port on loopback.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it was asked so far, oldest first.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Forgets what it was asked.
    pub(crate) fn forget(&self) {
        self.calls.lock().unwrap().clear();
    }

    /// `clientConfig` by URL.
    pub(crate) fn by_url(&self) -> Value {
        json!({"url": format!("https://{}/hook", self.address), "caBundle": BASE64_STANDARD.encode(&self.ca)})
    }

    /// `clientConfig` by Service.
    pub(crate) fn by_service(&self, namespace: &str, name: &str) -> Value {
        json!({
            "service": {"namespace": namespace, "name": name, "path": "/hook", "port": self.port()},
            "caBundle": BASE64_STANDARD.encode(&self.ca),
        })
    }
}

/// An answer that allows and patches.
pub(crate) fn patched(operations: &Value) -> Value {
    json!({"allowed": true, "patchType": "JSONPatch", "patch": BASE64_STANDARD.encode(operations.to_string())})
}

/// A webhook registered for the namespaces labelled `hook: NAME`; removed when dropped.
pub(crate) struct Registration<'a> {
    plane: &'a ControlPlane,
    path: String,
}

/// Which of the two kinds of configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Validating,
    Mutating,
}

impl<'a> Registration<'a> {
    /// Registers `hook` for CREATE and UPDATE of `resources` (group and plural) and waits until a dry-run ConfigMap reaches it.
    /// `overrides` replaces fields of the webhook entry. The first namespace of the label must exist: `namespace`.
    pub(crate) fn new(
        plane: &'a ControlPlane,
        kind: Kind,
        name: &str,
        namespace: &str,
        hook: &TestWebhook,
        overrides: &Value,
    ) -> Self {
        let registration = Self::unproved(plane, kind, name, hook, overrides);
        let api = plane.api("platform");
        let probe = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "probe-", "labels": {"probe": "true"}}});
        // the API server does not tell when a new configuration is live
        eventually("the webhook is called", Duration::from_secs(20), || {
            let _ = api.post(&format!("/api/v1/namespaces/{namespace}/configmaps?dryRun=All"), &probe);
            (!hook.calls().is_empty()).then_some(())
        });
        hook.forget();
        registration
    }

    /// As [`Registration::new`], without waiting.
    pub(crate) fn unproved(
        plane: &'a ControlPlane,
        kind: Kind,
        name: &str,
        hook: &TestWebhook,
        overrides: &Value,
    ) -> Self {
        let (plural, type_name) = match kind {
            Kind::Validating => ("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
            Kind::Mutating => ("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
        };
        let mut entry = json!({
            "name": format!("{name}.facts.test"),
            "clientConfig": hook.by_url(),
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                       "operations": ["CREATE", "UPDATE"]}],
            "namespaceSelector": {"matchLabels": {"hook": name}},
            "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "failurePolicy": "Fail", "timeoutSeconds": 5,
        });
        for (key, value) in overrides.as_object().into_iter().flatten() {
            entry[key] = value.clone();
        }
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": type_name,
            "metadata": {"name": format!("facts-{name}")}, "webhooks": [entry],
        });
        let collection = format!("/apis/admissionregistration.k8s.io/v1/{plural}");
        let (status, answer) = plane.api("platform").post(&collection, &configuration).unwrap();
        assert_eq!(status, 201, "{answer}");
        Self { plane, path: format!("{collection}/facts-{name}") }
    }
}

impl Drop for Registration<'_> {
    fn drop(&mut self) {
        let _ = self.plane.api("platform").delete(&self.path);
    }
}

fn acceptor(authority: &Authority, names: &[String]) -> TlsAcceptor {
    let leaf = authority.leaf(names);
    let chain = vec![CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).unwrap();
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, calls: Arc<Mutex<Vec<Call>>>, answer: Arc<Answer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, calls, answer) = (acceptor.clone(), Arc::clone(&calls), Arc::clone(&answer));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(move |request| handle(request, Arc::clone(&calls), Arc::clone(&answer)));
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(
    request: Request<Incoming>,
    calls: Arc<Mutex<Vec<Call>>>,
    answer: Arc<Answer>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let version = request.version();
    let uri = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let body = request.into_body().collect().await?.to_bytes();
    let mut review: Value = serde_json::from_slice(&body).unwrap_or_default();
    let call = Call { version, uri, request: review["request"].take() };
    let mut response = answer(&call);
    response["uid"] = call.request["uid"].clone();
    calls.lock().unwrap().push(call);
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    Ok(Response::new(Full::new(Bytes::from(body.to_string()))))
}
