//! The serving certificate: where it comes from, how it is renewed, and which CA bundle clients need for it.
//!
//! | source | module | CA | leaf |
//! | --- | --- | --- | --- |
//! | files (`--tls-cert`, `--tls-key`) | [`files`] | the operator's | the operator's, read again when it changes |
//! | self-made, alone | [`manager`] over [`store::MemoryStore`] | in memory | in memory |
//! | self-made, in a cluster | [`manager`] over [`secret`] | one Secret for all replicas | in memory of each replica |
//!
//! [`ca`] decides, without I/O, when a CA is made, published, used and retired; [`issue`] makes certificates; [`pair`]
//! checks them; [`resolver`] serves them. Each source ends in one [`Certificates`].
//!
//! Decisions about expiry use the wall clock, because a monotonic clock stands still while a machine sleeps; waiting
//! times use the monotonic one, because the wall clock can jump.

pub mod ca;
pub mod files;
pub mod issue;
pub mod manager;
pub mod pair;
pub mod resolver;
pub mod secret;
pub mod store;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use pair::Pair;
pub use resolver::Resolver;
use rustls::crypto::CryptoProvider;
use tokio::sync::watch;

use crate::telemetry::Metrics;
use pair::timestamp;

/// What the rest of the program gets from a source of certificates. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Certificates {
    resolver: Arc<Resolver>,
    bundle: watch::Receiver<Option<Arc<str>>>,
    live: Arc<watch::Sender<Option<Vec<Vec<u8>>>>>,
}

impl Certificates {
    /// For the TLS server.
    #[must_use]
    pub fn resolver(&self) -> Arc<Resolver> {
        Arc::clone(&self.resolver)
    }

    /// The PEM bundle for `clientConfig.caBundle`, now and after each change.
    ///
    /// `None`: certificate and key come from files and no CA file was named, so this program does not know which CA
    /// signed them.
    #[must_use]
    pub fn bundle_pem(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.bundle.clone()
    }

    /// Tells what `caBundle` the webhooks in the cluster really have, one entry per webhook, as read back (PEM).
    ///
    /// From the first call on, a CA signs only after it has been seen in every one of them, and a replica whose
    /// certificate does not verify against them is not ready. Call it on every read, also when nothing changed; never
    /// call it where nobody keeps the webhook configurations right.
    pub fn observe_live(&self, bundles: Vec<Vec<u8>>) {
        self.live.send_if_modified(|live| {
            let changed = live.as_ref() != Some(&bundles);
            if changed {
                *live = Some(bundles);
            }
            changed
        });
    }
}

/// How the serving certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// Served and valid, but something needs an operator.
    Degraded(String),
    /// Clients cannot accept it.
    Failed(String),
}

/// Where the sources report to.
#[derive(Clone)]
pub struct Reports {
    /// Dates and counts.
    pub metrics: Arc<Metrics>,
    status: Arc<dyn Fn(Status) + Send + Sync>,
}

impl Reports {
    /// `status` is called after each look at the certificate, also when nothing changed. It must not block.
    pub fn new(metrics: Arc<Metrics>, status: impl Fn(Status) + Send + Sync + 'static) -> Self {
        Self { metrics, status: Arc::new(status) }
    }

    fn tell(&self, status: Status) {
        (self.status)(status);
    }
}

/// What clients would say to a certificate, at `now` and against the bundles that they really have.
fn judge(pair: &Pair, names: &[String], live: Option<&[Vec<u8>]>, now: i64, reports: &Reports) -> Status {
    if now >= pair.not_after {
        return Status::Failed(format!("the certificate ended on {}", timestamp(pair.not_after)));
    }
    if now < pair.not_before {
        return Status::Failed(format!("the certificate begins on {}: check the clock", timestamp(pair.not_before)));
    }
    if let (Some(live), Some(name)) = (live, names.first()) {
        let verifies = live.iter().all(|bundle| pair.verifies(bundle, name, now));
        reports.metrics.set_certificate_in_bundle(verifies);
        if !verifies {
            return Status::Failed(format!(
                "the certificate does not verify for {name} against the caBundle of the webhook configurations in the \
                 cluster; `seawall webhook-config` prints the right one"
            ));
        }
    }
    Status::Ok
}

/// The cryptography used everywhere in this program, named explicitly: the process default is global state that a
/// dependency could set otherwise.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The wall clock in Unix seconds.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
