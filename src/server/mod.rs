//! The two ports: admission over TLS, health and metrics beside it.
//!
//! This module knows nothing of reviews. It takes a [`Router`] for the admission port and serves it: connections,
//! clocks, certificates, readiness and the way down are here, what a request means is the router's business.
//!
//! ```text
//! tls ── accept ── connection ── activity (clocks)          router: /healthz /readyz /metrics
//!           └──────── shutdown (signals, phases) ───────────── health (conditions)
//! ```

mod accept;
mod activity;
pub mod answer;
mod connection;
pub mod handlers;
pub mod health;
pub mod policies;
pub mod router;
pub mod shadow;
pub mod shutdown;
pub mod tls;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rustls::server::ResolvesServerCert;
use tokio::net::TcpListener;

pub use accept::Limits;
pub use health::{Condition, Readiness};
pub use shutdown::{DrainConfig, Ended, Phase, Shutdown};

use crate::telemetry::Metrics;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A port cannot be opened.
    #[error("cannot listen on {address} ({port}): is another process using it, or may this user not open it?")]
    Bind {
        /// Which of the two ports.
        port: &'static str,
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] tls::TlsError),
}

/// Where to listen and how much to grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// The admission port (TLS). Port 0 takes any free one.
    pub admission: SocketAddr,
    /// The port of health and metrics (plain HTTP). Port 0 takes any free one.
    pub admin: SocketAddr,
    /// Limits of the admission port.
    pub limits: Limits,
}

/// Both ports, opened, not yet served.
///
/// Opening is apart from serving so that the caller can print real addresses, and so that a port that is taken ends the
/// program before it touches a cluster.
pub struct Server {
    admission: TcpListener,
    admin: TcpListener,
    addresses: (SocketAddr, SocketAddr),
    tls: Arc<rustls::ServerConfig>,
    limits: Limits,
}

impl Server {
    /// Opens both ports.
    ///
    /// # Errors
    /// [`ServerError::Bind`] with the port that could not be opened.
    pub async fn bind(config: ServerConfig, resolver: Arc<dyn ResolvesServerCert>) -> Result<Self, ServerError> {
        let tls = tls::server_config(resolver)?;
        let (admission, admission_address) = listen("admission", config.admission).await?;
        let (admin, admin_address) = listen("admin", config.admin).await?;
        Ok(Self { admission, admin, addresses: (admission_address, admin_address), tls, limits: config.limits })
    }

    /// The address of the admission port.
    #[must_use]
    pub fn admission_address(&self) -> SocketAddr {
        self.addresses.0
    }

    /// The address of health and metrics.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Serves until `shutdown` has gone all the way down.
    ///
    /// Signals are the caller's: spawn [`Shutdown::take_signals`] beside this. After [`Ended::Aborted`] leave the
    /// process at once; waiting for worker threads is what the second signal was meant to avoid.
    pub async fn run(
        self,
        admission: Router,
        admin: Router,
        shutdown: Shutdown,
        readiness: Readiness,
        metrics: Arc<Metrics>,
    ) -> Ended {
        let Self { admission: admission_listener, admin: admin_listener, addresses: _, tls, limits } = self;
        let admission = accept::run(
            accept::Endpoint {
                name: "admission",
                listener: admission_listener,
                tls: Some(tls),
                router: admission,
                limits,
            },
            shutdown.clone(),
            Arc::clone(&metrics),
        );
        // probes and scrapes go on to the very end, so this port does not drain; it ends when it is dropped
        let admin = accept::run(
            accept::Endpoint {
                name: "admin",
                listener: admin_listener,
                tls: None,
                router: admin,
                limits: Limits { connections: 100, connections_per_peer: 50, ..Limits::default() },
            },
            Shutdown::new(DrainConfig::default()),
            metrics,
        );
        let admission = async { tokio::join!(shutdown.walk(&readiness), admission).1 };
        tokio::select! {
            ended = admission => ended,
            ended = admin => ended,
        }
    }
}

async fn listen(port: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let error = |source| ServerError::Bind { port, address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let local = listener.local_addr().map_err(error)?;
    Ok((listener, local))
}
