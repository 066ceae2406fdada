//! The way down: from a signal to the last connection.
//!
//! kube-apiserver does not retry a POST whose kept-alive connection was closed under it (net/http retries only when
//! nothing was written; kubernetes#127335), so each connection that we close at the wrong moment is a failed
//! `kubectl apply`. The steps are therefore:
//!
//! 1. **Draining**: not ready any more, but everything still works and new connections are still accepted, because
//!    endpoints propagate late. HTTP/1.1 answers carry `Connection: close`, so that the next request goes elsewhere.
//! 2. **Stopping**: no new connections. HTTP/2 gets its GOAWAY. An HTTP/1.1 connection that has been idle all the time
//!    stays open for one last request; the API server drops idle ones after 90 s by itself, and then we do.
//! 3. **Ended**, with the last connection or at the bound.
//!
//! A second signal at any point aborts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::health::{Condition, Readiness, SHUTDOWN};

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainConfig {
    /// Step 1: how long to go on accepting. Covers the propagation of endpoints.
    pub drain: Duration,
    /// Step 2: how long an idle HTTP/1.1 connection may wait for its last request. `drain + linger` above the API
    /// server's 90 s means that no idle connection is ever closed by us.
    pub linger: Duration,
    /// How long requests that are running at the end of `linger` may take.
    pub in_flight: Duration,
}

impl Default for DrainConfig {
    fn default() -> Self {
        Self { drain: Duration::from_secs(15), linger: Duration::from_secs(80), in_flight: Duration::from_secs(30) }
    }
}

impl DrainConfig {
    /// The longest way down; `terminationGracePeriodSeconds` must be more than this.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.drain + self.linger + self.in_flight
    }
}

/// How far down we are. Only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Serving.
    Running,
    /// Step 1.
    Draining,
    /// Step 2.
    Stopping,
    /// A second signal came: drop everything.
    Aborted,
}

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// In order; exit code 0.
    Drained {
        /// Connections that still had a request when the bound was reached.
        cut: usize,
    },
    /// By a second signal. The caller must leave with a non-zero code, without waiting for worker threads.
    Aborted,
}

/// The handle that signals, tests, the server and every connection share. All clones are one.
#[derive(Debug, Clone)]
pub struct Shutdown {
    phase: Arc<watch::Sender<Phase>>,
    config: DrainConfig,
}

impl Shutdown {
    /// A handle in [`Phase::Running`].
    #[must_use]
    pub fn new(config: DrainConfig) -> Self {
        Self { phase: Arc::new(watch::Sender::new(Phase::Running)), config }
    }

    /// The times it works with.
    #[must_use]
    pub fn config(&self) -> &DrainConfig {
        &self.config
    }

    /// Where we are.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// What a termination signal does: the first starts the way down, any further one aborts.
    pub fn signal(&self) {
        let aborts = self.phase() >= Phase::Draining;
        self.advance(if aborts { Phase::Aborted } else { Phase::Draining });
    }

    /// Waits until at least this phase is reached.
    pub async fn reached(&self, phase: Phase) {
        // the sender lives as long as `self`, so an error cannot come
        let _ = self.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = to > *now;
            if forward {
                *now = to;
            }
            forward
        });
    }

    /// Takes SIGTERM and SIGINT for as long as the returned future is polled.
    ///
    /// The handlers are installed by this call, not by the first poll, so that a signal in between is not lost to the
    /// default action.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub fn take_signals(&self) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        Ok(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                shutdown.signal();
                match shutdown.phase() {
                    Phase::Aborted => {
                        tracing::error!(signal = name, "second signal: ending at once")
                    }
                    _ => tracing::info!(
                        signal = name,
                        drain_seconds = shutdown.config.drain.as_secs_f64(),
                        "ending in order; a second signal ends at once"
                    ),
                }
            }
        })
    }

    /// Walks through the steps once the first signal came; part of the server's own run.
    pub(super) async fn walk(&self, readiness: &Readiness) {
        self.reached(Phase::Draining).await;
        readiness.set(SHUTDOWN, Condition::Failed("terminating".to_owned()));
        tokio::select! {
            () = tokio::time::sleep(self.config.drain) => {}
            () = self.reached(Phase::Aborted) => {}
        }
        self.advance(Phase::Stopping);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick() -> DrainConfig {
        DrainConfig { drain: Duration::from_millis(30), linger: Duration::ZERO, in_flight: Duration::ZERO }
    }

    #[tokio::test]
    async fn the_first_signal_drains_then_stops() {
        let (shutdown, readiness) = (Shutdown::new(quick()), Readiness::default());
        let walker = tokio::spawn({
            let (shutdown, readiness) = (shutdown.clone(), readiness.clone());
            async move { shutdown.walk(&readiness).await }
        });
        assert!(readiness.is_ready());
        shutdown.signal();
        shutdown.reached(Phase::Draining).await;
        assert_eq!(shutdown.phase(), Phase::Draining);
        walker.await.unwrap();
        assert_eq!(shutdown.phase(), Phase::Stopping);
        assert!(!readiness.is_ready());
    }

    #[tokio::test]
    async fn the_second_signal_aborts_and_nothing_goes_back() {
        let shutdown = Shutdown::new(DrainConfig { drain: Duration::from_secs(60), ..quick() });
        shutdown.signal();
        shutdown.signal();
        assert_eq!(shutdown.phase(), Phase::Aborted);
        // walking on an aborted handle returns at once and does not return to an earlier phase
        tokio::time::timeout(Duration::from_secs(5), shutdown.walk(&Readiness::default())).await.unwrap();
        shutdown.signal();
        assert_eq!(shutdown.phase(), Phase::Aborted);
    }

    #[test]
    fn by_default_idle_connections_outlive_the_api_servers_90_seconds() {
        let config = DrainConfig::default();
        assert!(config.drain + config.linger > Duration::from_secs(90));
        assert_eq!(config.total(), Duration::from_secs(125));
    }
}
