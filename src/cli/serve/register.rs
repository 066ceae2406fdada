//! `serve --register`: keeps the webhook configurations right while the server runs.

use crate::certs::Certificates;
use crate::config::Settings;
use crate::policy::store::PolicySet;
use crate::server::{Condition, Phase, Readiness, Shutdown};
use crate::webhookconfig::apply::{self, Bundle, Identity, Registration, RegistrationStatus};
use crate::webhookconfig::{self, Configurations, WebhookConfigError};
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Name of the readiness condition.
const REGISTRATION: &str = "registration";

/// How long a replica that ends waits until it has given back its Lease.
const RELEASE: Duration = Duration::from_secs(3);

/// Registration under way.
pub(super) struct Registered {
    /// What reloading policies tells it.
    pub(super) wanted: Wanted,
    keeper: JoinHandle<()>,
}

/// Generates configurations anew when the policies change.
pub(super) struct Wanted {
    sender: watch::Sender<Arc<Configurations>>,
    options: webhookconfig::Options,
}

impl Wanted {
    /// From now on the configurations of these policies are wanted.
    pub(super) fn set(&self, policies: &PolicySet, settings: &Settings) -> Result<(), WebhookConfigError> {
        let metadata = policies.policies().iter().map(|p| &p.metadata);
        let configurations = webhookconfig::generate(metadata, settings, &self.options)?;
        self.sender.send_replace(Arc::new(configurations));
        Ok(())
    }
}

impl Registered {
    /// Waits until the Lease is given back, so that another replica can write at once.
    pub(super) async fn release(keeper: JoinHandle<()>) {
        let _ = tokio::time::timeout(RELEASE, keeper).await;
    }

    /// The part that reloading needs and the part that the end needs.
    pub(super) fn split(self) -> (Wanted, JoinHandle<()>) {
        (self.wanted, self.keeper)
    }
}

/// Starts it; it ends when the server begins to drain.
pub(super) fn start(
    client: Client,
    identity: Identity,
    (policies, settings): (&PolicySet, &Settings),
    options: webhookconfig::Options,
    certificates: &Certificates,
    (shutdown, readiness): (&Shutdown, &Readiness),
) -> Result<Registered, WebhookConfigError> {
    let configurations = webhookconfig::generate(policies.policies().iter().map(|p| &p.metadata), settings, &options)?;
    let (sender, wanted) = watch::channel(Arc::new(configurations));
    let bundle = bundles(certificates);
    let live = certificates.clone();
    let registration = Registration::observed_by(move |bundles| live.observe_live(bundles));
    let stop = CancellationToken::new();
    let (draining, token) = (shutdown.clone(), stop.clone());
    tokio::spawn(async move {
        draining.reached(Phase::Draining).await;
        token.cancel();
    });
    tokio::spawn(watch_status(registration.clone(), readiness.clone(), stop.clone()));
    let keeper = tokio::spawn(apply::run(client, identity, wanted, bundle, registration, stop));
    Ok(Registered { wanted: Wanted { sender, options }, keeper })
}

/// The bundle as registration wants it, following the certificates.
fn bundles(certificates: &Certificates) -> watch::Receiver<Bundle> {
    let mut pem = certificates.bundle_pem();
    let as_bundle = |pem: &Option<Arc<str>>| pem.clone().map_or(Bundle::Leave, Bundle::Pem);
    let (sender, receiver) = watch::channel(as_bundle(&pem.borrow()));
    tokio::spawn(async move {
        while pem.changed().await.is_ok() {
            let next = as_bundle(&pem.borrow());
            if sender.send(next).is_err() {
                return;
            }
        }
        // the last bundle stays readable
        sender.closed().await;
    });
    receiver
}

async fn watch_status(registration: Registration, readiness: Readiness, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let RegistrationStatus { holder, in_place, problem, .. } = registration.get();
        readiness.set(
            REGISTRATION,
            match problem {
                Some(problem) => Condition::Degraded(problem),
                None if holder && !in_place => {
                    Condition::Degraded("the webhook configurations are not written yet".to_owned())
                }
                None => Condition::Ok,
            },
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
