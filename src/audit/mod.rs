//! One look at a whole cluster: everything that policies match is listed in pages and judged as it is stored. Reads only.
//!
//! Memory does not grow with the cluster but with its largest namespace: lists arrive in the order of namespaces, so all kinds
//! are walked side by side ([`stream`], [`walk`]), one namespace is judged at a time ([`judge`]) with the facts of that
//! namespace, and what is found is kept in a file ([`spool`]) until it is reported. What could not be listed is named; the
//! audit is then incomplete and says so.

pub mod continuous;
pub mod exemptions;
pub mod judge;
mod plan;
pub mod selector;
pub mod spool;
mod stream;
pub mod visit;
mod volumes;
mod walk;

use crate::config::Settings;
use crate::kubeapi::Reason;
use crate::policy::store::PolicySet;
use crate::report::coverage::Coverage;
use crate::report::observer::Observer;
use crate::report::{Failure, Judged, Results, Summary};
use crate::review::Forced;
use kube::Client;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use plan::kinds;
pub use spool::SpoolError;
pub use stream::Budget;

/// Why an audit gave nothing at all.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The API server cannot be used.
    #[error("the cluster cannot be read: {}; is it the right one (--kubeconfig, --context)?", Reason(.0))]
    Cluster(#[source] Box<kube::Error>),
    /// The file for what was found.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The judging thread is gone.
    #[error("the audit stopped: {0}; please report this")]
    Stopped(String),
}

/// What is audited, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only these namespaces; empty: all, and what has no namespace.
    pub namespaces: BTreeSet<String>,
    /// Also what has no namespace, when only some namespaces are audited.
    pub with_shared: bool,
    /// Only objects with these labels; facts are read whole.
    pub selector: selector::Selector,
    /// Only findings in this tier.
    pub tier: Option<crate::policy::mode::Tier>,
    /// What holds instead of the labels.
    pub forced: Forced,
    /// Objects in one page.
    pub page: u32,
    /// Least time between two calls.
    pub pause: Duration,
    /// Attempts for one page.
    pub attempts: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespaces: BTreeSet::new(),
            with_shared: false,
            selector: selector::Selector::default(),
            tier: None,
            forced: Forced::default(),
            page: crate::context::list::PAGE,
            pause: Duration::from_millis(50),
            attempts: 5,
        }
    }
}

/// A finished audit.
#[derive(Debug)]
pub struct Audit {
    /// What was seen.
    pub coverage: Coverage,
    rows: spool::Spool<Judged>,
    errors: Vec<Failure>,
    summary: Summary,
}

impl Results for Audit {
    fn each(&self, visit: &mut dyn FnMut(&Judged) -> io::Result<()>) -> io::Result<()> {
        self.rows.each(visit)
    }

    fn errors(&self) -> &[Failure] {
        &self.errors
    }

    fn summary(&self) -> Summary {
        self.summary
    }
}

/// How far an audit is, for a person who waits.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Objects listed so far.
    pub listed: u64,
    /// Objects judged so far.
    pub judged: u64,
    /// Namespace under way.
    pub namespace: String,
}

/// Audits a cluster.
///
/// # Errors
/// When nothing can be read, or what was found cannot be kept. A kind that cannot be listed is no error but named in the
/// coverage.
pub async fn run(
    client: &Client,
    policies: &Arc<PolicySet>,
    settings: &Arc<Settings>,
    options: &Options,
    now: jiff::Timestamp,
    progress: impl FnMut(&Progress) + Send + 'static,
) -> Result<Audit, AuditError> {
    observed(client, policies, settings, options, now, progress, ()).await.map(|(audit, ())| audit)
}

/// Audits a cluster while somebody looks on.
///
/// # Errors
/// As [`run`]; also when the observer cannot keep what it saw.
pub async fn observed<O: Observer + Send + 'static>(
    client: &Client,
    policies: &Arc<PolicySet>,
    settings: &Arc<Settings>,
    options: &Options,
    now: jiff::Timestamp,
    progress: impl FnMut(&Progress) + Send + 'static,
    observer: O,
) -> Result<(Audit, O), AuditError> {
    let observer = Arc::new(Mutex::new(observer));
    let mut desk = judge::Desk::new(policies.clone(), settings.clone(), options.clone(), now);
    desk.observer = Some(observer.clone());
    let keeper = judge::InFile { rows: spool::Filling::new()?, summary: Summary::default() };
    let Seen { desk, keeper, walked, calls } = see(client, policies, desk, keeper, progress).await?;
    let judge::InFile { rows, mut summary } = keeper;
    let judge::Desk { mut coverage, errors, observer: other, .. } = desk;
    drop(other);
    summary.errors = errors.len();
    coverage.listed = walked.listed;
    coverage.missing = walked.missing;
    coverage.not_served = walked.not_served;
    coverage.calls = calls;
    // the desk had the other one
    let observer = Arc::into_inner(observer).and_then(|observer| observer.into_inner().ok());
    let observer = observer.ok_or_else(|| AuditError::Stopped("its observer is gone".to_owned()))?;
    Ok((Audit { coverage, rows: rows.finish()?, errors, summary }, observer))
}

/// A cluster that was walked once.
struct Seen<K> {
    desk: judge::Desk,
    keeper: K,
    walked: walk::Walked,
    calls: u64,
}

/// Lists everything and judges it, or what the keeper wants of it.
async fn see<K: judge::Keeper + Send + 'static>(
    client: &Client,
    policies: &PolicySet,
    desk: judge::Desk,
    keeper: K,
    progress: impl FnMut(&Progress) + Send + 'static,
) -> Result<Seen<K>, AuditError> {
    let options = desk.options.clone();
    let budget = Budget::new(options.pause);
    let plan = plan::Plan::new(client, policies, &budget).await.map_err(|e| AuditError::Cluster(Box::new(e)))?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let judge = judge::Judge::new(desk, keeper);
    // batches are judged while the next one is listed
    let judging = tokio::task::spawn_blocking(move || judge.run(receiver, progress));
    let walked = walk::walk(client, plan, &options, &budget, &sender).await;
    drop(sender);
    let judge::Judge { desk, keeper, .. } = judging.await.map_err(|error| AuditError::Stopped(error.to_string()))??;
    Ok(Seen { desk, keeper, walked: walked?, calls: budget.calls() })
}
