//! The audit that never ends: one replica walks the whole cluster at an interval, as the one-shot audit does, and in between
//! judges what changes. Nothing is judged again that cannot have another verdict ([`digest`], [`memory`]).
//!
//! ```text
//! Lease ─► pass ─ walk ─► judge ─┬─► memory ─► orders ─► reports, Events, metrics
//!          watches ─► changes ───┘
//! ```

mod digest;
mod follow;
mod memory;
mod pass;
mod reports;

use crate::config::Settings;
use crate::context::cluster::ClusterContext;
use crate::kubeapi::lease::{self, Election};
use crate::kubeapi::{Reason, jitter};
use crate::policy::store::PolicySet;
use crate::report::policyreport::Flavour;
use crate::telemetry::Metrics;
use crate::webhookconfig::apply::Identity;
use follow::Changes;
use kube::Client;
use memory::Memory;
use reports::Writer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the Lease is renewed, or looked at.
const RENEW: Duration = Duration::from_secs(3);
/// Least time between the starts of two passes, when one is brought forward or repeated.
pub const SPACING: Duration = Duration::from_secs(60);
/// How often the policies are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long changes are gathered before they are judged.
const GATHER: Duration = Duration::from_secs(1);

/// What the policies and the configuration are now.
pub type Current = Box<dyn Fn() -> (Arc<PolicySet>, Arc<Settings>) + Send + Sync>;

/// How to audit.
pub struct Setup {
    /// The API server.
    pub client: Client,
    /// Who we are: the Lease is in our namespace.
    pub identity: Identity,
    /// From the start of one pass to that of the next.
    pub interval: Duration,
    /// Least time between two lists, and between two writes.
    pub pause: Duration,
    /// Reports of which group; none: no reports.
    pub reports: Option<Flavour>,
    /// Whether Events are sent.
    pub events: bool,
    /// Policies and configuration.
    pub current: Current,
    /// Facts between passes.
    pub cluster: ClusterContext,
    /// Where it is told.
    pub metrics: Arc<Metrics>,
}

/// Until when this replica is the one that audits.
#[derive(Clone)]
struct Tenure(watch::Receiver<Option<Instant>>);

impl Tenure {
    fn holds(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until this replica audits.
    async fn begins(&mut self) {
        while !self.holds() {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until it does not any more.
    async fn ends(&mut self) {
        loop {
            let until = *self.0.borrow_and_update();
            let Some(until) = until.filter(|until| Instant::now() < *until) else { return };
            tokio::select! {
                () = tokio::time::sleep_until(until.into()) => {}
                changed = self.0.changed() => if changed.is_err() {
                    return;
                }
            }
        }
    }
}

/// Audits until shutdown, whenever this replica has the Lease.
pub async fn run(setup: Setup, shutdown: CancellationToken) {
    let (sender, receiver) = watch::channel(None);
    let election = Election::new(setup.client.clone(), lease::AUDIT, &setup.identity.namespace, &setup.identity.pod);
    let keeping = tokio::spawn(keep_lease(election, sender, shutdown.clone()));
    let mut tenure = Tenure(receiver);
    let mut auditor = Auditor::new(setup, tenure.clone());
    let auditing = async {
        loop {
            tenure.begins().await;
            tracing::info!("this replica audits");
            auditor.setup.metrics.audit.set_auditing(true);
            tokio::select! {
                () = tenure.ends() => tracing::info!("this replica does not audit any more"),
                () = auditor.term() => {}
            }
            auditor.followers.clear();
            auditor.setup.metrics.audit.set_auditing(false);
        }
    };
    shutdown.run_until_cancelled(auditing).await;
    let _ = keeping.await;
}

async fn keep_lease(mut election: Election, tenure: watch::Sender<Option<Instant>>, shutdown: CancellationToken) {
    let mut problem = None;
    let rounds = async {
        loop {
            let now = match election.round().await {
                Ok(_) => None,
                Err(error) => Some(Reason(&error).to_string()),
            };
            if let Some(now) = now.as_ref().filter(|now| problem.as_ref() != Some(*now)) {
                tracing::warn!(lease = lease::AUDIT, problem = now, "the Lease of the audit");
            }
            problem = now;
            tenure.send_replace(election.until());
            tokio::time::sleep(RENEW).await;
        }
    };
    shutdown.run_until_cancelled(rounds).await;
    tenure.send_replace(None);
    election.release().await;
}

/// The audit of this replica. What it remembers outlives the Lease: hashes tell what is still true.
struct Auditor {
    setup: Setup,
    memory: Arc<Mutex<Memory>>,
    writer: Arc<Writer>,
    changes: Arc<Changes>,
    /// The watches, by kind; dropped, they end.
    followers: BTreeMap<String, Follower>,
    /// When the last pass began, and whether it saw everything.
    last: Option<(Instant, bool)>,
    /// Passes in a row that did not.
    failures: u32,
    /// The policies of the last pass.
    digest: String,
    /// Something asks for a pass before its time.
    forward: bool,
}

struct Follower {
    source: super::stream::Source,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Auditor {
    fn new(setup: Setup, tenure: Tenure) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let writer = Writer {
            client: setup.client.clone(),
            flavour: setup.reports,
            events: setup.events,
            pod: setup.identity.pod.clone(),
            budget: super::Budget::new(setup.pause),
            tenure,
            memory: memory.clone(),
            metrics: setup.metrics.clone(),
            sent: Mutex::default(),
            problem: Mutex::default(),
        };
        Self {
            setup,
            memory,
            writer: Arc::new(writer),
            changes: Arc::default(),
            followers: BTreeMap::new(),
            last: None,
            failures: 0,
            digest: String::new(),
            forward: false,
        }
    }

    /// While this replica audits. Passes and changes are judged in turn, so that the later word is the newer one.
    async fn term(&mut self) {
        // another replica may have audited meanwhile
        self.forward = true;
        loop {
            if self.due() <= Instant::now() {
                self.pass().await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep_until(self.due().into()) => {}
                () = tokio::time::sleep(LOOK) => {
                    let (policies, _) = (self.setup.current)();
                    self.forward |= policies.digest() != self.digest;
                }
                () = self.changes.news.notified() => {
                    tokio::time::sleep(GATHER).await;
                    self.changed().await;
                }
            }
        }
    }

    /// When the next pass begins.
    fn due(&self) -> Instant {
        let Some((began, complete)) = self.last else { return Instant::now() };
        let spacing = SPACING.min(self.setup.interval);
        let wait = if !complete {
            // again soon, then less and less often: what stays refused must not be asked for all the time
            (spacing * 2_u32.saturating_pow(self.failures.min(6).saturating_sub(1))).min(self.setup.interval)
        } else if self.forward {
            spacing
        } else {
            self.setup.interval
        };
        began + wait
    }

    /// The time of the next pass differs a little between clusters and days.
    fn began() -> Instant {
        Instant::now() + jitter(Duration::from_secs(1))
    }
}
