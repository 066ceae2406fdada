//! A server in this process, and clients that show every byte of what they do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use seawall::certs::ca::Authority;
use seawall::certs::{self, Resolver, issue};
use seawall::server::{DrainConfig, Ended, Limits, Readiness, Server, ServerConfig, Shutdown, router};
use seawall::telemetry::Metrics;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A running server.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) shutdown: Shutdown,
    pub(crate) readiness: Readiness,
    pub(crate) metrics: Arc<Metrics>,
    /// Requests that reached a handler.
    pub(crate) handled: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
    pub(crate) ended: JoinHandle<Ended>,
}

/// Short, so that tests are.
pub(crate) fn quick_drain() -> DrainConfig {
    DrainConfig {
        drain: Duration::from_millis(300),
        linger: Duration::from_millis(600),
        in_flight: Duration::from_secs(5),
    }
}

impl Rig {
    pub(crate) async fn start(limits: Limits, drain: DrainConfig) -> Self {
        Self::start_with(limits, drain, Router::new()).await
    }

    /// `/echo`, `/held` (until [`Self::release`]), `/slow` (a second), `/sleep` (a minute), `/panic`, and what `more` has.
    pub(crate) async fn start_with(limits: Limits, drain: DrainConfig, more: Router) -> Self {
        let authority = issue::authority(certs::now(), 365 * DAY).unwrap();
        let pair = issue::leaf(&authority, &issue::local_names(), certs::now(), 2 * DAY).unwrap();
        let resolver = Arc::new(Resolver::new(pair.key));
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ServerConfig { admission: local, admin: local, limits };
        let server = Server::bind(config, resolver.clone()).await.unwrap();
        let (address, admin) = (server.admission_address(), server.admin_address());
        let (shutdown, readiness) = (Shutdown::new(drain), Readiness::default());
        let metrics = Arc::new(Metrics::new());
        let handled = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let ended = tokio::spawn(server.run(
            routes(&handled, &gate).merge(more),
            router::admin(readiness.clone(), metrics.clone()),
            shutdown.clone(),
            readiness.clone(),
            metrics.clone(),
        ));
        Self { address, admin, authority, resolver, shutdown, readiness, metrics, handled, gate, ended }
    }

    /// Lets everybody in `/held` go.
    pub(crate) fn release(&self) {
        self.gate.close();
    }

    /// Waits until this many requests are in a handler or were in one.
    pub(crate) async fn reached_handlers(&self, count: usize) {
        while self.handled.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn roots(&self) -> RootCertStore {
        roots(&self.authority.certificate.pem)
    }

    /// A client that trusts the server's CA and offers these protocols.
    pub(crate) fn client(&self, alpn: &[&str]) -> ClientConfig {
        client(self.roots(), rustls::ALL_VERSIONS, alpn)
    }

    pub(crate) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        connect(self.address, self.client(&["http/1.1"]), "localhost").await
    }

    /// A keep-alive HTTP/1.1 connection.
    pub(crate) async fn http1(&self) -> Http1 {
        Http1 { stream: self.connect().await.unwrap() }
    }

    /// A client that speaks only HTTP/2.
    pub(crate) fn http2(&self) -> reqwest::Client {
        reqwest::Client::builder().use_preconfigured_tls(self.client(&["h2"])).build().unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    pub(crate) async fn ended(self) -> Ended {
        tokio::time::timeout(Duration::from_secs(30), self.ended).await.expect("the server ends").unwrap()
    }

    /// The value of a metric line that begins like this.
    pub(crate) fn metric(&self, line: &str) -> Option<f64> {
        let text = self.metrics.encode().unwrap();
        text.lines().find_map(|each| each.strip_prefix(line)).and_then(|rest| rest.trim().parse().ok())
    }

    /// Waits until the metric has at least this value.
    pub(crate) async fn metric_reaches(&self, line: &str, value: f64) {
        for _ in 0..500 {
            if self.metric(line).is_some_and(|now| now >= value) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{line} is {:?} instead of {value}", self.metric(line));
    }
}

fn routes(handled: &Arc<AtomicUsize>, gate: &Arc<Semaphore>) -> Router {
    let count = |handled: &Arc<AtomicUsize>| {
        let handled = handled.clone();
        move || handled.fetch_add(1, Ordering::SeqCst)
    };
    let (echo, held, slow, sleep) = (count(handled), count(handled), count(handled), count(handled));
    let gate = gate.clone();
    Router::new()
        .route(
            "/echo",
            post(async move |body: String| {
                echo();
                body
            }),
        )
        .route(
            "/held",
            get(async move || {
                held();
                // closing the gate is what ends this
                let _ = gate.acquire().await;
                "done"
            }),
        )
        .route(
            "/slow",
            get(async move || {
                slow();
                tokio::time::sleep(Duration::from_secs(1)).await;
                "done"
            }),
        )
        .route(
            "/sleep",
            get(async move || {
                sleep();
                tokio::time::sleep(Duration::from_secs(60)).await;
                "woken"
            }),
        )
        .route("/panic", get(async || -> &'static str { panic!("on purpose") }))
}

pub(crate) fn roots(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.unwrap()).unwrap();
    }
    roots
}

pub(crate) fn client(
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(certs::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn connect(address: SocketAddr, config: ClientConfig, name: &str) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// HTTP/1.1 by hand, so that it is known exactly when bytes go and when the connection ends.
pub(crate) struct Http1 {
    pub(crate) stream: TlsStream<TcpStream>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) closes: bool,
    pub(crate) body: String,
}

impl Http1 {
    pub(crate) async fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<()> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.stream.flush().await
    }

    /// Reads one reply with a Content-Length.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await?);
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let header =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_owned);
        let length: usize = header("content-length").expect("a length").parse().unwrap();
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Reply {
            status: head.split_whitespace().nth(1).unwrap().parse().unwrap(),
            closes: header("connection").as_deref() == Some("close"),
            body: String::from_utf8(body).unwrap(),
        })
    }

    pub(crate) async fn post(&mut self, body: &str) -> io::Result<Reply> {
        self.send("POST", "/echo", body).await?;
        self.reply().await
    }

    /// Waits for the end of the connection; `false` if it is still open after `limit`.
    pub(crate) async fn ends_within(&mut self, limit: Duration) -> bool {
        let mut byte = [0];
        matches!(tokio::time::timeout(limit, self.stream.read(&mut byte)).await, Ok(Ok(0) | Err(_)))
    }
}
