//! The calls of the OCI distribution specification v1.1 that a policy set needs, over HTTPS.
//!
//! Answers are bounded in size and time, digests are checked, redirects stay as safe as the call that they answer, and
//! credentials go to the registry and to the token service that it names, nowhere else. Proxies are not used.

use super::credentials::{self, Credentials, CredentialsError, Found};
use super::{Artifact, ArtifactError, LARGEST_MANIFEST, MANIFEST_TYPE, Reference, read_manifest, reference};
use crate::certs;
use crate::policysource::content;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Longest call, from the first byte sent to the last one received.
const CALL: Duration = Duration::from_secs(60);

/// Most redirects of one call.
const REDIRECTS: usize = 5;

/// Largest answer that is neither manifest nor blob: tokens and errors.
const LARGEST_ANSWER: u64 = 64 * 1024;

/// How to reach a registry.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// HTTP instead of HTTPS.
    pub plain_http: bool,
    /// Certificates in PEM to trust besides those of the machine.
    pub ca: Option<PathBuf>,
    /// Docker configuration [default: where docker looks].
    pub docker_config: Option<PathBuf>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The docker configuration.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The CA file.
    #[error("--registry-ca {path} cannot be used: {problem}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No certificate to trust.
    #[error(
        "there is no CA certificate on this machine to check {host} with; give --registry-ca FILE, or set SSL_CERT_FILE"
    )]
    NoRoots {
        /// The registry.
        host: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// Nobody answers.
    #[error("the registry {host} cannot be reached: {problem}{hint}")]
    Unreachable {
        /// The registry.
        host: String,
        /// The deepest cause.
        problem: String,
        /// What may help.
        hint: &'static str,
    },
    /// No answer in time.
    #[error("the registry {host} did not answer within {} s", CALL.as_secs())]
    Timeout {
        /// The registry.
        host: String,
    },
    /// Not permitted.
    #[error("the registry refuses {reference} ({status}){hint}")]
    Denied {
        /// What was asked for.
        reference: String,
        /// The answer.
        status: StatusCode,
        /// What may help.
        hint: String,
    },
    /// Not there.
    #[error("the registry has no {reference}; push it with `seawall policy push`, or look at the tag")]
    NotFound {
        /// What was asked for.
        reference: String,
    },
    /// Another answer than the specification has.
    #[error("the registry {host} answered {doing} with {status}{said}")]
    Status {
        /// The registry.
        host: String,
        /// What was asked.
        doing: &'static str,
        /// The answer.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// A larger answer than is read.
    #[error("the registry {host} answered {doing} with more than {most} bytes, or broke off; nothing of it is used")]
    Body {
        /// The registry.
        host: String,
        /// What was asked.
        doing: &'static str,
        /// The most that is read.
        most: u64,
    },
    /// A redirect that is not followed.
    #[error("the registry {host} sends on to {to:?}, which is not followed: {problem}")]
    Redirect {
        /// The registry.
        host: String,
        /// Where to.
        to: String,
        /// Why not.
        problem: &'static str,
    },
    /// What is pushed needs a tag.
    #[error("{0} names a digest; push to a tag, the digest comes from the content")]
    PushToDigest(String),
    /// What was pulled.
    #[error("{reference}: {source}")]
    Artifact {
        /// What was asked for.
        reference: String,
        /// What is wrong.
        #[source]
        source: ArtifactError,
    },
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first error of the answer in the words of the registry, as it can be shown.
    fn said(&self) -> String {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<One>,
        }
        #[derive(Deserialize)]
        struct One {
            #[serde(default)]
            code: String,
            #[serde(default)]
            message: String,
        }
        let first = serde_json::from_slice::<Errors>(&self.body).ok().and_then(|e| e.errors.into_iter().next());
        let text = first.map(|one| format!(": {} {}", one.code, one.message)).unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).take(200).collect()
    }
}

/// One call.
struct Call<'c> {
    method: Method,
    accept: &'static str,
    body: Bytes,
    content_type: Option<&'static str>,
    most: u64,
    doing: &'static str,
    authorization: Option<&'c str>,
}

impl Call<'_> {
    fn new(method: Method, doing: &'static str) -> Self {
        let (accept, body) = ("*/*", Bytes::new());
        Self { method, accept, body, content_type: None, most: LARGEST_ANSWER, doing, authorization: None }
    }
}

/// A client of one repository.
pub struct Client {
    http: Http<HttpsConnector<HttpConnector>, Full<Bytes>>,
    reference: Reference,
    scheme: &'static str,
    credentials: Found,
    /// What the last challenge of the registry led to.
    authorization: Mutex<Option<String>>,
}

impl Client {
    /// A client of the repository of a reference. Nothing is sent yet.
    ///
    /// # Errors
    /// When certificates or credentials cannot be read.
    pub fn new(reference: &Reference, options: &Options) -> Result<Self, ClientError> {
        let plain = options.plain_http || reference.is_loopback() && options.ca.is_none();
        let file = options.docker_config.clone().or_else(credentials::default_file);
        let credentials = file.map_or(Ok(Found::Nothing), |file| credentials::find(&file, &reference.host))?;
        let tls = ClientConfig::builder_with_provider(certs::provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(reference, options, plain)?)
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = if plain { builder.https_or_http() } else { builder.https_only() };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        let http = Http::builder(TokioExecutor::new()).build(builder.enable_http1().wrap_connector(connector));
        let (reference, scheme) = (reference.clone(), if plain { "http" } else { "https" });
        Ok(Self { http, reference, scheme, credentials, authorization: Mutex::new(None) })
    }

    /// The digest that the reference stands for now.
    ///
    /// # Errors
    /// When the registry does not say.
    pub async fn resolve(&self) -> Result<String, ClientError> {
        if let Some(digest) = &self.reference.digest {
            return Ok(digest.clone());
        }
        let path = self.path("manifests", self.reference.wanted());
        let call = Call { accept: MANIFEST_TYPE, ..Call::new(Method::HEAD, "a question for the digest") };
        let answer = self.expect(self.follow(&path, call).await?, "a question for the digest", &[StatusCode::OK])?;
        match answer.header("docker-content-digest").filter(|digest| reference::digest(digest).is_ok()) {
            Some(digest) => Ok(digest.to_owned()),
            // the header is not required of registries
            None => Ok(content::sha256(&self.manifest(self.reference.wanted()).await?)),
        }
    }

    async fn manifest(&self, wanted: &str) -> Result<Bytes, ClientError> {
        let doing = "a question for the manifest";
        let call = Call { accept: MANIFEST_TYPE, most: LARGEST_MANIFEST, ..Call::new(Method::GET, doing) };
        let answer = self.follow(&self.path("manifests", wanted), call).await?;
        Ok(self.expect(answer, doing, &[StatusCode::OK])?.body)
    }

    /// The artifact with a digest, everything checked.
    ///
    /// # Errors
    /// When it cannot be had, or is not what its digest says.
    pub async fn pull(&self, digest: &str) -> Result<Artifact, ClientError> {
        let error = |source| ClientError::Artifact { reference: self.reference.to_string(), source };
        let manifest = self.manifest(digest).await?.to_vec();
        super::check_digest("manifest", digest, &manifest).map_err(error)?;
        let layer = read_manifest(&manifest).map_err(error)?.layer;
        let doing = "a question for the layer";
        let call = Call { most: layer.size, ..Call::new(Method::GET, doing) };
        let answer = self.follow(&self.path("blobs", &layer.digest), call).await?;
        let body = self.expect(answer, doing, &[StatusCode::OK])?.body;
        Artifact::checked(digest, manifest, body.to_vec()).map_err(error)
    }

    /// Pushes an artifact to the tag of the reference. What the registry has already is not sent again.
    ///
    /// # Errors
    /// When the registry does not take it.
    pub async fn push(&self, artifact: &Artifact) -> Result<(), ClientError> {
        if self.reference.digest.is_some() {
            return Err(ClientError::PushToDigest(self.reference.to_string()));
        }
        for blob in artifact.config.iter().chain([&artifact.layer]) {
            self.push_blob(blob).await?;
        }
        let doing = "the manifest";
        let call = Call {
            body: Bytes::from(artifact.manifest.clone()),
            content_type: Some(MANIFEST_TYPE),
            ..Call::new(Method::PUT, doing)
        };
        let answer = self.authorized(&self.uri(&self.path("manifests", self.reference.wanted()))?, call).await?;
        self.expect(answer, doing, &[StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED]).map(drop)
    }

    async fn push_blob(&self, blob: &[u8]) -> Result<(), ClientError> {
        let digest = content::sha256(blob);
        let there = Call::new(Method::HEAD, "a question for a blob");
        if self.follow(&self.path("blobs", &digest), there).await?.status == StatusCode::OK {
            return Ok(());
        }
        let doing = "an upload";
        let begin = self.uri(&self.path("blobs", "uploads/"))?;
        let answer = self.authorized(&begin, Call::new(Method::POST, doing)).await?;
        let answer = self.expect(answer, doing, &[StatusCode::ACCEPTED])?;
        let place = self.location(&begin, answer.header(header::LOCATION).unwrap_or_default())?;
        let text = place.to_string();
        let text = format!("{text}{}digest={digest}", if text.contains('?') { "&" } else { "?" });
        let call = || Call {
            body: Bytes::copy_from_slice(blob),
            content_type: Some("application/octet-stream"),
            ..Call::new(Method::PUT, doing)
        };
        let place = self.parse(&text)?;
        let answer = if self.is_own(&place) {
            self.authorized(&place, call()).await?
        } else {
            self.send(&place, &call()).await?
        };
        self.expect(answer, doing, &[StatusCode::CREATED, StatusCode::NO_CONTENT]).map(drop)
    }

    fn path(&self, kind: &str, name: &str) -> String {
        format!("/v2/{}/{kind}/{name}", self.reference.repository)
    }

    fn uri(&self, path: &str) -> Result<Uri, ClientError> {
        self.parse(&format!("{}://{}{path}", self.scheme, self.reference.host))
    }

    fn parse(&self, text: &str) -> Result<Uri, ClientError> {
        text.parse().map_err(|_| self.redirect(text, "it is no URL"))
    }

    fn redirect(&self, to: &str, problem: &'static str) -> ClientError {
        ClientError::Redirect { host: self.reference.host.clone(), to: to.chars().take(200).collect(), problem }
    }

    /// Whether a URL is the registry's own, so that it may have our credentials.
    fn is_own(&self, uri: &Uri) -> bool {
        uri.scheme_str() == Some(self.scheme) && uri.authority().is_some_and(|a| a.as_str() == self.reference.host)
    }

    /// Where a `Location` leads from a URL.
    fn location(&self, from: &Uri, to: &str) -> Result<Uri, ClientError> {
        if to.starts_with('/') && !to.starts_with("//") {
            let (scheme, host) =
                (from.scheme_str().unwrap_or(self.scheme), from.authority().map_or("", |a| a.as_str()));
            return self.parse(&format!("{scheme}://{host}{to}"));
        }
        let uri = self.parse(to)?;
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(self.redirect(to, "it has a user in it"));
        }
        match (from.scheme_str(), uri.scheme_str()) {
            (Some(_), Some("https")) | (Some("http"), Some("http")) => Ok(uri),
            (_, None) => Err(self.redirect(to, "it is no complete URL")),
            _ => Err(self.redirect(to, "it leaves HTTPS")),
        }
    }

    /// A call that may be answered elsewhere: registries keep blobs in object stores.
    async fn follow(&self, path: &str, call: Call<'_>) -> Result<Answer, ClientError> {
        let mut uri = self.uri(path)?;
        for _ in 0..=REDIRECTS {
            let next = Call { authorization: None, body: call.body.clone(), method: call.method.clone(), ..call };
            let answer =
                if self.is_own(&uri) { self.authorized(&uri, next).await? } else { self.send(&uri, &next).await? };
            if !matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            uri = self.location(&uri, answer.header(header::LOCATION).unwrap_or_default())?;
        }
        Err(self.redirect(&uri.to_string(), "there were too many"))
    }

    /// A call with what the registry asks for: nothing, a password, or a token for this repository.
    async fn authorized(&self, uri: &Uri, mut call: Call<'_>) -> Result<Answer, ClientError> {
        let known = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone();
        call.authorization = known.as_deref();
        let answer = self.send(uri, &call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let Some(authorization) = self.answer_to(&answer).await? else { return Ok(answer) };
        call.authorization = Some(&authorization);
        let answer = self.send(uri, &call).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        }
        Ok(answer)
    }

    /// What to send for a challenge (RFC 9110, section 11.6.1; the token service is that of the distribution project).
    async fn answer_to(&self, refused: &Answer) -> Result<Option<String>, ClientError> {
        let basic = match &self.credentials {
            Found::Credentials(credentials) => Some(Credentials::basic(credentials)),
            Found::Nothing | Found::Unusable(_) => None,
        };
        let challenge = refused.header(header::WWW_AUTHENTICATE).unwrap_or_default();
        let (kind, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        if !kind.eq_ignore_ascii_case("bearer") {
            return Ok(basic);
        }
        let Some(realm) = parameter(parameters, "realm") else { return Ok(None) };
        let mut url = realm.clone();
        for name in ["service", "scope"] {
            if let Some(value) = parameter(parameters, name) {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&format!("{name}={}", escaped(&value)));
            }
        }
        let uri = self.location(&self.uri("/v2/")?, &url)?;
        let doing = "a question for a token";
        let call = Call { authorization: basic.as_deref(), ..Call::new(Method::GET, doing) };
        let answer = self.expect(self.send(&uri, &call).await?, doing, &[StatusCode::OK])?;
        #[derive(Deserialize)]
        struct Token {
            #[serde(default)]
            token: Option<String>,
            #[serde(default)]
            access_token: Option<String>,
        }
        let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
        Ok(token.and_then(|t| t.token.or(t.access_token)).map(|token| format!("Bearer {token}")))
    }

    async fn send(&self, uri: &Uri, call: &Call<'_>) -> Result<Answer, ClientError> {
        let host = || uri.authority().map_or_else(|| self.reference.host.clone(), |a| a.as_str().to_owned());
        let mut request = Request::builder()
            .method(&call.method)
            .uri(uri)
            .header(header::USER_AGENT, concat!("seawall/", env!("CARGO_PKG_VERSION")))
            .header(header::ACCEPT, call.accept);
        if let Some(kind) = call.content_type {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(mut value) = call.authorization.and_then(|a| HeaderValue::from_str(a).ok()) {
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        let request =
            request.body(Full::new(call.body.clone())).map_err(|_| self.redirect(&uri.to_string(), "it is no URL"))?;
        let work = async {
            let response = self.http.request(request).await.map_err(|error| {
                let problem = deepest(&error);
                let hint = if self.scheme == "https" && problem.contains("InvalidContentType") {
                    "; it does not speak TLS: give --plain-http if that is meant"
                } else if problem.contains("UnknownIssuer") || problem.contains("BadSignature") {
                    "; give the CA that signed its certificate with --registry-ca"
                } else {
                    ""
                };
                ClientError::Unreachable { host: host(), problem, hint }
            })?;
            let (parts, body) = response.into_parts();
            let most = if parts.status.is_success() { call.most } else { LARGEST_ANSWER };
            let limit = usize::try_from(most).unwrap_or(usize::MAX);
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|_| ClientError::Body { host: host(), doing: call.doing, most })?.to_bytes();
            Ok(Answer { status: parts.status, headers: parts.headers, body })
        };
        tokio::time::timeout(CALL, work).await.unwrap_or_else(|_| Err(ClientError::Timeout { host: host() }))
    }

    /// An answer that has one of the statuses; else what its status means.
    fn expect(&self, answer: Answer, doing: &'static str, good: &[StatusCode]) -> Result<Answer, ClientError> {
        if good.contains(&answer.status) {
            return Ok(answer);
        }
        let reference = self.reference.to_string();
        Err(match answer.status {
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                let hint = match &self.credentials {
                    Found::Credentials(_) => {
                        "; the credentials of the docker configuration were sent: may that user do this?".to_owned()
                    }
                    Found::Unusable(why) => format!("; {why}: write user and password there"),
                    Found::Nothing => {
                        "; log in with `docker login`, or set DOCKER_CONFIG to the folder of a config.json".to_owned()
                    }
                };
                ClientError::Denied { reference, status, hint }
            }
            StatusCode::NOT_FOUND if doing != "an upload" => ClientError::NotFound { reference },
            status => ClientError::Status { host: self.reference.host.clone(), doing, status, said: answer.said() },
        })
    }
}

/// The certificates to trust; none are needed, and none looked for, without TLS.
fn roots(reference: &Reference, options: &Options, plain: bool) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    if plain {
        return Ok(roots);
    }
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &options.ca {
        let error = |problem: String| ClientError::Ca { path: path.clone(), problem };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|e| error(e.to_string()))?;
        let mut count = 0;
        for certificate in certificates {
            roots.add(certificate.map_err(|e| error(e.to_string()))?).map_err(|e| error(e.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(error("it has no PEM certificate".to_owned()));
        }
    }
    if roots.is_empty() { Err(ClientError::NoRoots { host: reference.host.clone() }) } else { Ok(roots) }
}

/// A parameter of a challenge: `name="value"` or `name=value`, separated by commas.
fn parameter(text: &str, name: &str) -> Option<String> {
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let key = key.trim_matches([' ', ',']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}

/// A value of a query (RFC 3986): what is not unreserved is escaped, but for what scopes are made of.
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' | b'/' | b',' => {
            text + &char::from(byte).to_string()
        }
        _ => text + &format!("%{byte:02X}"),
    })
}

/// The cause at the bottom: "client error (Connect)" is true of any of a dozen faults.
fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
