//! One replica among several: a `coordination.k8s.io/v1` Lease, as client-go's leader election keeps it. Who registers the
//! webhooks and who audits are two elections, each with a Lease of its own.
//!
//! Whether a holder is gone is judged by our own clock, from when we last saw the Lease change; the times in it are for
//! people. A replica that cannot renew stops writing before another may take over.

use super::{Reason, is_status, within};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use std::time::{Duration, Instant};

/// Lease, in Seawall's own namespace, of the replica that writes the webhook configurations.
pub const WEBHOOKS: &str = "seawall-webhooks";
/// Lease, in Seawall's own namespace, of the replica that audits.
pub const AUDIT: &str = "seawall-audit";
/// How long a Lease that does not change is respected.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long we believe in our own Lease without a renewal.
const BELIEF: Duration = Duration::from_secs(10);
/// Longest wait for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(4);

/// Our part in the election.
pub struct Election {
    api: Api<Lease>,
    lease: &'static str,
    namespace: String,
    identity: String,
    /// How long a Lease that does not change is respected.
    patience: Duration,
    /// What was last seen, and when it was first seen like that.
    seen: Option<(Option<String>, Instant)>,
    renewed: Option<Instant>,
}

impl Election {
    /// A candidate named `identity` (the Pod's name) for a Lease ([`WEBHOOKS`], [`AUDIT`]).
    #[must_use]
    pub fn new(client: Client, lease: &'static str, namespace: &str, identity: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            lease,
            namespace: namespace.to_owned(),
            identity: identity.to_owned(),
            patience: DURATION,
            seen: None,
            renewed: None,
        }
    }

    /// Whether we may write now.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.renewed.is_some_and(|at| at.elapsed() < BELIEF)
    }

    /// Until when we may write, if nothing renews it.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.renewed.and_then(|at| at.checked_add(BELIEF))
    }

    /// One round: renews our Lease, or takes it when it is free or its holder is gone.
    ///
    /// # Errors
    /// When the API server does not answer or refuses. A lost race is no error.
    pub async fn round(&mut self) -> Result<bool, kube::Error> {
        let asked = Instant::now();
        let won = within(REQUEST, self.attempt()).await?;
        self.renewed = won.then_some(asked);
        Ok(self.holds())
    }

    async fn attempt(&mut self) -> Result<bool, kube::Error> {
        let Some(mut lease) = self.api.get_opt(self.lease).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.lease.to_owned()),
                    namespace: Some(self.namespace.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(0, None)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let version = lease.metadata.resource_version.clone();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.seen = Some((version, Instant::now()));
        }
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let gone = self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() >= self.patience);
        let (transitions, since) = match holder {
            _ if holder == self.identity => (spec.lease_transitions.unwrap_or(0), spec.acquire_time),
            _ if holder.is_empty() || gone => (spec.lease_transitions.unwrap_or(0) + 1, None),
            _ => return Ok(false),
        };
        // the resourceVersion in the metadata makes this a compare-and-swap
        lease.spec = Some(self.spec(transitions, since));
        won(self.api.replace(self.lease, &PostParams::default(), &lease).await)
    }

    /// Gives the Lease back, so that the next holder need not wait.
    pub async fn release(&mut self) {
        if !self.holds() {
            return;
        }
        self.renewed = None;
        let release = async {
            let mut lease = self.api.get(self.lease).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.identity) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                spec.renew_time = Some(now());
                self.api.replace(self.lease, &PostParams::default(), &lease).await?;
            }
            Ok::<(), kube::Error>(())
        };
        // best effort: without it the Lease runs out by itself
        if let Err(error) = within(REQUEST, release).await {
            tracing::debug!(error = %Reason(&error), "lease not released");
        }
    }

    fn spec(&self, transitions: i32, since: Option<MicroTime>) -> LeaseSpec {
        LeaseSpec {
            acquire_time: since.or_else(|| Some(now())),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions),
            renew_time: Some(now()),
            ..LeaseSpec::default()
        }
    }
}

fn now() -> MicroTime {
    MicroTime(jiff::Timestamp::now())
}

/// 409 means that another replica was quicker.
fn won(result: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if is_status(&error, 409) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
