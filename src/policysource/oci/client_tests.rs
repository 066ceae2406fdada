//! Registries that ask for credentials, send elsewhere, lie or never end; the good one is the real one of `tests/`.

use super::*;
use crate::policysource::files::Files;
use crate::policysource::tarball;
use axum::Router;
use axum::body::Body;
use axum::extract::Request as Received;
use axum::http::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What a registry answers: the path with query, the `Authorization` header, its own address.
type Answers = dyn Fn(&str, &str, &str) -> Response + Send + Sync;

async fn registry(answers: impl Fn(&str, &str, &str) -> Response + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (answers, own): (Arc<Answers>, String) = (Arc::new(answers), address.clone());
    let app = Router::new().fallback(move |request: Received| {
        let (answers, own) = (answers.clone(), own.clone());
        async move {
            let authorization = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
            answers(&request.uri().to_string(), authorization, &own)
        }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn artifact() -> Artifact {
    let files = Files::from_iter([("a.rego".to_owned(), b"package a\n".to_vec())]);
    Artifact::new(tarball::write(&files).unwrap(), None).unwrap()
}

/// A registry that has the artifact.
fn good(path: &str) -> Response {
    let artifact = artifact();
    if path.contains("/manifests/") { artifact.manifest.into_response() } else { artifact.layer.into_response() }
}

fn client(host: &str, auth: Option<&str>) -> Client {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    if let Some(auth) = auth {
        let encoded = base64::engine::general_purpose::STANDARD.encode(auth);
        std::fs::write(&file, json!({"auths": {host: {"auth": encoded}}}).to_string()).unwrap();
    }
    let options = Options { docker_config: Some(file), ..Options::default() };
    Client::new(&format!("oci://{host}/team/policies:v1").parse().unwrap(), &options).unwrap()
}

async fn pulled(host: &str, auth: Option<&str>) -> Result<Artifact, String> {
    let client = client(host, auth);
    let digest = client.resolve().await.map_err(|e| e.to_string())?;
    client.pull(&digest).await.map_err(|e| e.to_string().replace(host, "HOST"))
}

async fn error(host: &str, auth: Option<&str>) -> String {
    pulled(host, auth).await.map(|a| a.digest).unwrap_err().replace(host, "HOST")
}

#[tokio::test]
async fn passwords_are_sent_where_they_are_asked_for() {
    let host = registry(|path, authorization, _| {
        if authorization == "Basic bWU6c2VjcmV0" {
            return good(path);
        }
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"r\"")]).into_response()
    })
    .await;
    assert_eq!(pulled(&host, Some("me:secret")).await.unwrap().digest, artifact().digest);
    let anonymous = error(&host, None).await;
    assert!(
        anonymous.contains("refuses oci://HOST/team/policies:v1 (401") && anonymous.contains("docker login"),
        "{anonymous}"
    );
    let wrong = error(&host, Some("me:other")).await;
    assert!(wrong.contains("credentials of the docker configuration were sent") && !wrong.contains("other"), "{wrong}");
}

#[tokio::test]
async fn tokens_are_asked_for_with_the_scope_of_the_challenge() {
    let host = registry(|path, authorization, own| {
        if path == "/token?kind=x&service=a%20registry&scope=repository:team/policies:pull" {
            let anonymous = authorization.is_empty();
            return json!({"token": if anonymous { "weak" } else { "strong" }}).to_string().into_response();
        }
        if authorization == "Bearer strong" {
            return good(path);
        }
        let realm = format!("http://{own}/token?kind=x");
        let challenge =
            format!("Bearer realm=\"{realm}\",service=\"a registry\",scope=\"repository:team/policies:pull\"");
        (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, challenge)]).into_response()
    })
    .await;
    assert_eq!(pulled(&host, Some("me:secret")).await.unwrap().digest, artifact().digest);
    assert!(error(&host, None).await.contains("401"));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect() {
    let elsewhere = registry(|path, authorization, _| {
        assert_eq!(authorization, "", "a password went to another host");
        good(path)
    })
    .await;
    let host = registry(move |path, authorization, _| {
        if authorization.is_empty() {
            return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Basic realm=\"r\"")]).into_response();
        }
        if path.contains("/blobs/") {
            return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, format!("http://{elsewhere}/blobs/x?signed=1"))])
                .into_response();
        }
        good(path)
    })
    .await;
    assert_eq!(pulled(&host, Some("me:secret")).await.unwrap().digest, artifact().digest);
}

#[tokio::test]
async fn odd_redirects_are_not_followed() {
    for (to, told) in [
        ("file:///etc/passwd", "not followed"),
        ("ftp://r.example/x", "it leaves HTTPS"),
        ("http://user:password@r.example/x", "it has a user in it"),
        ("//r.example/x", "not followed"),
        ("", "not followed"),
        ("/v2/team/policies/blobs/again", "there were too many"),
    ] {
        let host = registry(move |path, _, _| {
            if path.contains("/blobs/") { (StatusCode::FOUND, [(LOCATION, to)]).into_response() } else { good(path) }
        })
        .await;
        let found = error(&host, None).await;
        assert!(found.contains(told), "{to}: {found}");
    }
    // over HTTPS nothing leads to HTTP
    let options = Options { docker_config: Some("/nonexistent".into()), ..Options::default() };
    let reference = "oci://r.example/a".parse().unwrap();
    if let Ok(client) = Client::new(&reference, &options) {
        let from = client.uri("/v2/").unwrap();
        assert!(client.location(&from, "http://r.example/a").unwrap_err().to_string().contains("it leaves HTTPS"));
        assert!(client.location(&from, "https://cdn.example/a").is_ok());
    }
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_refused() {
    let corrupt = |what: &'static str| {
        move |path: &str, _: &str, _: &str| {
            let mut artifact = artifact();
            artifact.layer[20] ^= u8::from(what == "layer");
            if what == "manifest" && path.contains("/manifests/sha256:") {
                artifact.manifest.push(b' ');
            }
            if what == "short" {
                artifact.layer.truncate(30);
            }
            if what == "long" {
                artifact.layer.extend([0; 1000]);
            }
            if path.contains("/manifests/") {
                artifact.manifest.into_response()
            } else {
                artifact.layer.into_response()
            }
        }
    };
    for (what, told) in [
        ("layer", "HOST/team/policies:v1: the layer has digest"),
        ("manifest", "HOST/team/policies:v1: the manifest has digest"),
        ("short", "the layer has 30 bytes"),
        ("long", "or broke off"),
    ] {
        let host = registry(corrupt(what)).await;
        let found = error(&host, None).await;
        assert!(found.contains(told), "{what}: {found}");
    }
}

#[tokio::test]
async fn answers_that_do_not_end_are_cut_off() {
    let host = registry(|_, _, _| {
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 65536]));
        Response::new(Body::from_stream(endless))
    })
    .await;
    assert!(error(&host, None).await.contains("more than 1048576 bytes"));
}

#[tokio::test]
async fn answers_outside_the_specification_are_told() {
    let said = |status: u16, body: &'static str| {
        registry(move |_, _, _| (StatusCode::from_u16(status).unwrap(), body).into_response())
    };
    let teapot = said(500, r#"{"errors": [{"code": "UNKNOWN", "message": "the disk\u001b is full"}]}"#).await;
    let client = client(&teapot, None);
    let text = client.manifest("v1").await.unwrap_err().to_string();
    assert!(text.contains("with 500 Internal Server Error: UNKNOWN the disk is full"), "{text}");
    assert!(error(&said(404, "").await, None).await.contains("the registry has no oci://HOST/team/policies:v1"));
    assert!(error(&said(403, "").await, None).await.contains("(403 Forbidden)"));
    assert!(error(&said(200, "<html>").await, None).await.contains("the manifest cannot be read"));
    // TLS is spoken to, where it is asked for
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca");
    std::fs::write(&ca, rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem()).unwrap();
    let options = Options { plain_http: false, ca: Some(ca), docker_config: Some(folder.path().join("none")) };
    let client = Client::new(&format!("oci://{teapot}/a").parse().unwrap(), &options).unwrap();
    let text = client.resolve().await.unwrap_err().to_string();
    assert!(text.contains("it does not speak TLS: give --plain-http"), "{text}");
}

/// The same registry behind TLS, and the file with its certificate.
async fn over_tls(folder: &std::path::Path) -> (String, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = folder.join("registry-ca");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(certs::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else { continue };
            let service = hyper::service::service_fn(|request: Request<hyper::body::Incoming>| async move {
                Ok::<_, std::convert::Infallible>(good(request.uri().path()))
            });
            let stream = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
        }
    });
    (format!("localhost:{port}"), file)
}

#[tokio::test]
async fn https_is_checked_with_the_ca_that_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let (host, ca) = over_tls(folder.path()).await;
    let with = |ca: &std::path::Path, host: &str| {
        let options =
            Options { ca: Some(ca.to_owned()), docker_config: Some(folder.path().join("none")), ..Options::default() };
        Client::new(&format!("oci://{host}/team/policies:v1").parse().unwrap(), &options).unwrap()
    };
    let good = with(&ca, &host);
    let digest = good.resolve().await.unwrap();
    assert_eq!(good.pull(&digest).await.unwrap().digest, artifact().digest);
    // another name, another CA, no TLS at all
    let name = with(&ca, &host.replace("localhost", "127.0.0.1")).resolve().await.unwrap_err().to_string();
    assert!(name.contains("cannot be reached") && name.contains("not valid for name"), "{name}");
    let other = folder.path().join("other");
    std::fs::write(&other, rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem())
        .unwrap();
    let other = with(&other, &host).resolve().await.unwrap_err().to_string();
    assert!(other.contains("with --registry-ca"), "{other}");
    let plain = client(&host, None).resolve().await.unwrap_err().to_string();
    assert!(plain.contains("cannot be reached"), "{plain}");
}

#[test]
fn challenges_are_read() {
    let text = "realm=\"https://a/t?x=1,2\", service=plain,scope=\"repository:a/b:pull,push\"";
    assert_eq!(parameter(text, "realm").unwrap(), "https://a/t?x=1,2");
    assert_eq!(parameter(text, "service").unwrap(), "plain");
    assert_eq!(parameter(text, "Scope").unwrap(), "repository:a/b:pull,push");
    assert_eq!((parameter(text, "none"), parameter("", "a"), parameter("=\"", "a")), (None, None, None));
}

#[test]
fn a_ca_file_that_is_none_is_named() {
    let options = Options { ca: Some("/nonexistent/ca.pem".into()), ..Options::default() };
    let error = Client::new(&"oci://r.example/a".parse().unwrap(), &options).err().unwrap().to_string();
    assert!(error.starts_with("--registry-ca /nonexistent/ca.pem cannot be used"), "{error}");
}
