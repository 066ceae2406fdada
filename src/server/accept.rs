//! Our own accept loop, and the count of what it let in.
//!
//! `axum::serve` sets hyper's 30 s clock (axum#3478), does no TLS and cannot drain the way [`super::shutdown`] needs.
//! One task per connection from the first byte on: a client that is silent in its handshake holds up nobody.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::shutdown::{Ended, Phase, Shutdown};
use crate::telemetry::Metrics;
use crate::telemetry::labels::ConnectionEnd;

/// How much of everything one listener grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time. One API server has at most 600 requests in flight (400 + 200 seats by default), so three
    /// of them fit in the default of 2000.
    pub connections: usize,
    /// Connections at a time from one address, so that nobody can take all places.
    pub connections_per_peer: usize,
    /// The TLS handshake, from the connection on.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its header.
    pub header: Duration,
    /// Without any request. More than the 90 s of the API server's client, or it would meet closing connections.
    pub idle: Duration,
    /// From the end of the header to the answer, the body included. More than the 30 s that a webhook may have at most.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2000,
            connections_per_peer: 1800,
            handshake: Duration::from_secs(5),
            header: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            request: Duration::from_secs(35),
        }
    }
}

/// A bound port and what is served on it.
pub(super) struct Endpoint {
    /// Its name in logs and metrics.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    /// `None`: plain HTTP.
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
    pub(super) router: Router,
    pub(super) limits: Limits,
}

/// What all connections of one endpoint share.
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) shutdown: Shutdown,
    pub(super) metrics: Arc<Metrics>,
    /// When the stopping phase began, by whoever saw it first.
    pub(super) stopping: std::sync::OnceLock<Instant>,
    /// Ends every connection at once.
    pub(super) kill: CancellationToken,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

/// Serves until the way down has been walked. Connections never outlive the returned future.
pub(super) async fn run(endpoint: Endpoint, shutdown: Shutdown, metrics: Arc<Metrics>) -> Ended {
    let Endpoint { name, listener, tls, router, limits } = endpoint;
    let shared = Arc::new(Shared {
        name,
        tls: tls.map(tokio_rustls::TlsAcceptor::from),
        router,
        limits,
        shutdown: shutdown.clone(),
        metrics,
        stopping: std::sync::OnceLock::new(),
        kill: CancellationToken::new(),
        peers: Mutex::default(),
    });
    let _kill = shared.kill.clone().drop_guard();
    let tasks = TaskTracker::new();
    let places = Arc::new(Semaphore::new(limits.connections));

    tokio::select! {
        biased;
        () = shutdown.reached(Phase::Stopping) => {}
        // cancellation: a connection that `accept` has taken is handed to a task before the next await
        () = accept_all(&listener, &shared, &places, &tasks) => {}
    }
    if shutdown.phase() != Phase::Aborted {
        // what the kernel has accepted already would get a reset when the socket closes
        let backlog = accept_all(&listener, &shared, &places, &tasks);
        let _ = tokio::time::timeout(Duration::from_millis(50), backlog).await;
    }
    drop(listener);
    let now = *shared.stopping.get_or_init(Instant::now);
    tasks.close();

    let bound = now + shutdown.config().linger + shutdown.config().in_flight;
    let cut = tokio::select! {
        biased;
        () = shutdown.reached(Phase::Aborted) => return Ended::Aborted,
        () = tasks.wait() => 0,
        () = tokio::time::sleep_until(bound) => tasks.len(),
    };
    if cut > 0 {
        tracing::warn!(listener = name, cut, "requests were still running when the time to end was over");
    }
    Ended::Drained { cut }
}

/// Accepts for ever.
async fn accept_all(listener: &TcpListener, shared: &Arc<Shared>, places: &Arc<Semaphore>, tasks: &TaskTracker) {
    let mut errors = Backoff::default();
    loop {
        // no place: leave the rest in the kernel's backlog, where waiting costs us nothing
        let Ok(place) = Arc::clone(places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                errors = Backoff::default();
                let Some(seat) = Seat::take(shared, peer) else {
                    continue;
                };
                let shared = Arc::clone(shared);
                tasks.spawn(async move {
                    let end = connection::serve(stream, peer, &shared).await;
                    seat.leave(end);
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // most likely EMFILE or ENFILE: trying at once would only burn the processor
                let pause = errors.next();
                tracing::error!(
                    listener = shared.name,
                    %error,
                    retry_seconds = pause.as_secs_f64(),
                    "connections cannot be accepted; if files ran out, raise the limit (ulimit -n)"
                );
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Errors that say something about the connection that came, not about the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// 10 ms, doubled up to 1 s.
#[derive(Debug, Default)]
struct Backoff(u32);

impl Backoff {
    fn next(&mut self) -> Duration {
        let pause = Duration::from_millis(10).saturating_mul(1 << self.0.min(7));
        self.0 = self.0.saturating_add(1);
        pause.min(Duration::from_secs(1))
    }
}

/// A connection in the count, by listener and by peer.
struct Seat {
    shared: Arc<Shared>,
    peer: IpAddr,
    end: ConnectionEnd,
}

impl Seat {
    /// `None` when this peer has all the connections that it may have.
    fn take(shared: &Arc<Shared>, peer: SocketAddr) -> Option<Self> {
        let address = peer.ip().to_canonical();
        let mut peers = shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.entry(address).or_insert(0);
        shared.metrics.connection_opened(shared.name);
        if *count >= shared.limits.connections_per_peer {
            shared.metrics.connection_closed(shared.name, ConnectionEnd::PeerLimit);
            tracing::debug!(listener = shared.name, peer = %address, "peer has too many connections");
            return None;
        }
        *count += 1;
        // `Error` stays only if the task dies before it can say better
        Some(Self { shared: Arc::clone(shared), peer: address, end: ConnectionEnd::Error })
    }

    fn leave(mut self, end: ConnectionEnd) {
        self.end = end;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut peers = self.shared.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
        self.shared.metrics.connection_closed(self.shared.name, self.end);
    }
}

/// Small answers must not wait for more bytes (Nagle); the error is of no use to anybody.
pub(super) fn no_delay(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_ends_at_one_second() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..10).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]);
    }

    #[test]
    fn running_out_of_files_is_not_the_fault_of_one_connection() {
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
        // EMFILE and ENFILE, errno 24 and 23 on Linux
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(24)));
        assert!(!is_of_one_connection(&io::Error::from_raw_os_error(23)));
    }
}
