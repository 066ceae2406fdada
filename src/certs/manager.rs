//! A self-made certificate: keeps the CA's state going and signs this replica's leaf.
//!
//! One round reads the state, takes at most one step of [`ca`] at a time, publishes the bundle, and only then looks
//! whether a new leaf is due. Rounds come by a ticker; what is due is decided by the wall clock in each. When the store
//! cannot be reached, the last state that was read goes on signing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::ca::{self, CaCertificate, CaId, CaState, LeafInfo, Sightings, Timing};
use super::issue::{self, IssueError};
use super::pair::timestamp;
use super::store::{CaStore, StoreError};
use super::{Certificates, Pair, Reports, Resolver, Status, provider};
use crate::telemetry::labels::CertificateKind;

/// How often one round may take a step or lose a race before it leaves the rest to the next.
const STEPS_PER_ROUND: usize = 6;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// The state cannot be read or written.
    #[error("the CA's state is not available")]
    Store(#[from] StoreError),
    /// Signing failed.
    #[error("a certificate could not be made")]
    Issue(#[from] IssueError),
    /// Other replicas were faster each time.
    #[error("the CA's state kept changing while it was read")]
    Busy,
}

/// Both clocks; tests have their own.
#[derive(Clone)]
pub struct Clocks {
    wall: Arc<dyn Fn() -> i64 + Send + Sync>,
    monotonic: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clocks {
    /// Clocks that are asked on each use: Unix seconds, and a time that only grows.
    pub fn new(
        wall: impl Fn() -> i64 + Send + Sync + 'static,
        monotonic: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { wall: Arc::new(wall), monotonic: Arc::new(monotonic) }
    }

    /// Those of the machine.
    #[must_use]
    pub fn system() -> Self {
        let start = Instant::now();
        Self::new(super::now, move || start.elapsed())
    }
}

/// What a self-made certificate is to be.
#[derive(Debug, Clone)]
pub struct SelfMade {
    /// DNS names and addresses of the leaf. The first is the one that the API server asks for.
    pub names: Vec<String>,
    /// Lives and waiting times.
    pub timing: Timing,
    /// Time between two rounds. One read of the store each.
    pub interval: Duration,
}

impl SelfMade {
    /// These names, default times.
    #[must_use]
    pub fn new(names: Vec<String>) -> Self {
        Self { names, timing: Timing::default(), interval: Duration::from_secs(20) }
    }

    /// Does rounds until there is a leaf, then gives it out. The returned future does the rounds from then on and never
    /// ends; spawn it.
    ///
    /// # Errors
    /// The last error, when `patience` is over and there is still no leaf.
    pub async fn start<S: CaStore>(
        self,
        store: S,
        clocks: Clocks,
        reports: Reports,
        patience: Duration,
    ) -> Result<(Certificates, impl Future<Output = ()> + Send + 'static), ManagerError> {
        let start = Instant::now();
        let mut manager = Manager::new(self, store, clocks, reports);
        let mut pause = Duration::from_millis(100);
        let resolver = loop {
            let error = match manager.round().await {
                Ok(()) => ManagerError::Busy,
                Err(error) => error,
            };
            if let Some(resolver) = &manager.resolver {
                break Arc::clone(resolver);
            }
            if start.elapsed() >= patience {
                return Err(error);
            }
            tracing::warn!(error = %chain(&error), "no certificate yet, trying again");
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(Duration::from_secs(5));
        };
        let certificates = Certificates { resolver, bundle: manager.bundle.subscribe(), live: manager.live.clone() };
        // before anybody can call `observe_live`, so that the first call wakes the loop
        let live = manager.live.subscribe();
        Ok((certificates, manager.run(live)))
    }
}

/// An error with all its sources in one line, for logs and readiness.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

pub(super) struct Manager<S> {
    config: SelfMade,
    store: S,
    clocks: Clocks,
    reports: Reports,
    sightings: Sightings,
    /// The state as it was last read.
    known: Option<CaState>,
    /// CAs that were in the state within the life of a leaf. They stay in the bundle, so that a Secret that was
    /// replaced by hand does not take the trust from leaves that are being served.
    held: BTreeMap<CaId, (CaCertificate, Duration)>,
    pub(super) leaf: Option<(Pair, LeafInfo)>,
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) bundle: watch::Sender<Option<Arc<str>>>,
    pub(super) live: Arc<watch::Sender<Option<Vec<Vec<u8>>>>>,
}

impl<S: CaStore> Manager<S> {
    pub(super) fn new(config: SelfMade, store: S, clocks: Clocks, reports: Reports) -> Self {
        Self {
            config,
            store,
            clocks,
            reports,
            sightings: Sightings::default(),
            known: None,
            held: BTreeMap::new(),
            leaf: None,
            resolver: None,
            bundle: watch::Sender::new(None),
            live: Arc::new(watch::Sender::new(None)),
        }
    }

    async fn run(mut self, mut live: watch::Receiver<Option<Vec<Vec<u8>>>>) {
        loop {
            let pause = self.config.interval.mul_f64(1.0 - random() / 5.0);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // what was read back decides on readiness, so it does not wait for the ticker; `self` holds the sender
                _ = live.changed() => {}
            }
            // the error is in the status already
            let _ = self.round().await;
        }
    }

    /// One round. An error of the store does not keep it from signing with what it knows.
    pub(super) async fn round(&mut self) -> Result<(), ManagerError> {
        let advanced = self.advance().await;
        let (now, clock) = ((self.clocks.wall)(), (self.clocks.monotonic)());
        let signed = match self.known.clone() {
            Some(state) => {
                self.publish(now, clock, &state);
                self.sign(now, clock, &state)
            }
            None => Ok(()),
        };
        self.report(now, advanced.as_ref().err(), signed.as_ref().err());
        advanced.and(signed)
    }

    /// Reads the state and takes the steps that are due.
    async fn advance(&mut self) -> Result<(), ManagerError> {
        for _ in 0..STEPS_PER_ROUND {
            let stored = self.store.read().await?;
            let (now, clock) = ((self.clocks.wall)(), (self.clocks.monotonic)());
            let (state, version) = match stored {
                Some(stored) => (stored.state, Some(stored.version)),
                None => (None, None),
            };
            if let Some(state) = &state {
                self.see(clock, state);
            }
            let step = ca::step(now, clock, state.as_ref(), &self.sightings, &self.config.timing);
            let mut failed = None;
            let next = CaState::apply(step, state.as_ref(), self.known.as_ref(), || {
                issue::authority(now, self.config.timing.ca_life).map_err(|error| failed = Some(error)).ok()
            });
            if let Some(error) = failed {
                return Err(error.into());
            }
            if state.is_some() {
                self.known = state;
            }
            let Some(next) = next else { return Ok(()) };
            match self.store.write(&next, version.as_ref()).await {
                Ok(()) => {
                    tracing::info!(
                        ?step,
                        current = %next.current.certificate.info.id,
                        next = next.next.as_ref().map(|next| next.certificate.info.id.to_string()),
                        "CA state written"
                    );
                    self.known = Some(next);
                }
                Err(StoreError::Conflict) => tracing::debug!(?step, "another replica was faster"),
                Err(error) => return Err(error.into()),
            }
        }
        if self.known.is_some() { Ok(()) } else { Err(ManagerError::Busy) }
    }

    fn see(&mut self, clock: Duration, state: &CaState) {
        self.sightings.see_stored(clock, state);
        let live = self.live.borrow();
        if let Some(bundles) = live.as_ref() {
            let mut in_all: Option<BTreeSet<CaId>> = None;
            for bundle in bundles {
                let ids = CaId::of_bundle(bundle);
                in_all = Some(match in_all {
                    Some(so_far) => so_far.intersection(&ids).cloned().collect(),
                    None => ids,
                });
            }
            self.sightings.see_live(clock, in_all.unwrap_or_default());
        }
    }

    /// Gives out the bundle: everything in the state, and what was in it not long ago.
    fn publish(&mut self, now: i64, clock: Duration, state: &CaState) {
        for certificate in state.certificates() {
            self.held.insert(certificate.info.id.clone(), (certificate.clone(), clock));
        }
        let hold = self.config.timing.leaf_life;
        self.held
            .retain(|_, (certificate, seen)| now < certificate.info.not_after && clock.saturating_sub(*seen) < hold);
        let bundle = issue::bundle(state.certificates().chain(self.held.values().map(|(certificate, _)| certificate)));
        self.bundle.send_if_modified(|published| {
            let changed = published.as_ref() != Some(&bundle);
            if changed {
                *published = Some(bundle);
            }
            changed
        });
    }

    /// Signs and serves a new leaf if one is due.
    fn sign(&mut self, now: i64, clock: Duration, state: &CaState) -> Result<(), ManagerError> {
        let serving = self.leaf.as_ref().map(|(_, info)| info);
        if !ca::wants_leaf(now, clock, serving, state, &self.sightings, &self.config.timing) {
            return Ok(());
        }
        let life = self.config.timing.leaf_life;
        let pair = issue::leaf(&state.current, &self.config.names, now, life)
            .inspect_err(|_| self.reports.metrics.record_certificate_refused())?;
        let left = pair.not_after.saturating_sub(now);
        // two thirds of its life, and up to a tenth earlier so that replicas do not all sign at once
        let renew_after = Duration::from_secs(left.unsigned_abs()).mul_f64(2.0 / 3.0 - random() / 10.0);
        let info = LeafInfo {
            issuer: state.current.certificate.info.id.clone(),
            not_before: pair.not_before,
            renew_at: now.saturating_add_unsigned(renew_after.as_secs()),
            not_after: pair.not_after,
        };
        match &self.resolver {
            Some(resolver) => resolver.swap(Arc::clone(&pair.key)),
            None => self.resolver = Some(Arc::new(Resolver::new(Arc::clone(&pair.key)))),
        }
        tracing::info!(issuer = %info.issuer, not_after = %timestamp(info.not_after), "serving a new certificate");
        self.reports.metrics.record_certificate(pair.not_after);
        self.leaf = Some((pair, info));
        Ok(())
    }

    fn report(&self, now: i64, store: Option<&ManagerError>, issue: Option<&ManagerError>) {
        if let Some(state) = &self.known {
            let end = state.current.certificate.info.not_after;
            self.reports.metrics.set_certificate_end(CertificateKind::Ca, end);
        }
        let trouble = issue.or(store).map(|error| chain(error));
        let Some((pair, _)) = &self.leaf else {
            let why = trouble.unwrap_or_else(|| "none was made yet".to_owned());
            return self.reports.tell(Status::Failed(format!("no certificate: {why}")));
        };
        let live = self.live.borrow();
        let status = super::judge(pair, &self.config.names, live.as_deref(), now, &self.reports);
        self.reports.tell(match (status, trouble) {
            (Status::Ok, Some(why)) => Status::Degraded(why),
            (status, _) => status,
        });
    }
}

/// Between 0 and 1.
fn random() -> f64 {
    let mut bytes = [0; 2];
    // without random numbers all replicas are equally early, which is no fault
    let _ = provider().secure_random.fill(&mut bytes);
    f64::from(u16::from_ne_bytes(bytes)) / f64::from(u16::MAX)
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
