//! `serve --policies`: where the policies come from, and taking another set while the server runs.

use super::{POLICIES, needed, register};
use crate::certs;
use crate::cli::policies::SourceArgs;
use crate::config::Settings;
use crate::context::cluster::ClusterContext;
use crate::policy::store::PolicySet;
use crate::policysource::watch::{Change, Watcher};
use crate::policysource::{Loaded, Location, PolicySource};
use crate::review::Snapshot;
use crate::server::handlers::App;
use crate::server::policies;
use crate::server::{Condition, Readiness};
use crate::telemetry::metrics::Metrics;
use anyhow::{Context as _, bail};
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Longest compiling and testing of a changed set.
pub(super) const BUILD: Duration = Duration::from_secs(120);

/// Shortest interval at which a registry is asked.
const SHORTEST: Duration = Duration::from_secs(1);

/// Flags of the policies that a server loads.
#[derive(Debug, Clone, Args)]
pub(super) struct PoliciesArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Keep the last good set of oci:// in this folder, so that a restart can do without the registry
    #[arg(long, value_name = "FOLDER", requires = "policies", env = "SEAWALL_POLICIES_CACHE")]
    policies_cache: Option<PathBuf>,
    /// How often the registry of oci:// is asked whether the tag has moved; less often while it does not answer
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = interval, env = "SEAWALL_POLICIES_POLL")]
    policies_poll: Duration,
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || format!("wanted a time such as 60s or 5m, at least {} s", SHORTEST.as_secs());
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).ok().filter(|duration| *duration >= SHORTEST).ok_or_else(wrong)
}

impl PoliciesArgs {
    /// Whether those of --policies replace the embedded ones.
    pub(super) const fn only(&self) -> bool {
        self.source.policies_only
    }

    /// The policies to start with, and what takes others later: nothing where only the embedded ones are used.
    pub(super) async fn start(
        &self,
        settings: Arc<Settings>,
        metrics: &Metrics,
        readiness: &Readiness,
    ) -> anyhow::Result<(Option<Reload>, Arc<PolicySet>)> {
        let mut source = self.source.source()?;
        if let (Some(cache), Some(Location::Path(path))) = (&self.policies_cache, &source.location) {
            bail!(
                "--policies-cache {} is for oci://…; {} is here already: leave the flag out",
                cache.display(),
                path.display()
            );
        }
        source.cache.clone_from(&self.policies_cache);
        let starting = source.clone();
        let started = tokio::task::spawn_blocking(move || starting.start(&settings)).await;
        let started = started.context("loading the policies made the engine panic")??;
        readiness.set(POLICIES, started.stale.as_deref().map_or(Condition::Ok, stale));
        let policies = Arc::new(started.set);
        told(&started.loaded, &policies, metrics);
        if let Some(Location::Registry(_)) = &source.location {
            metrics.record_policy_pull(started.stale.is_none());
        }
        match &started.stale {
            Some(problem) => tracing::error!(problem, "the last good copy of the policies is used"),
            None => keep(&source, started.loaded.clone()).await,
        }
        let watched = source.can_change();
        let watcher = Watcher::new(source.clone(), &started.loaded, self.policies_poll);
        let reload = Reload { source, watcher, trouble: started.stale.is_some(), refused: None };
        Ok((watched.then_some(reload), policies))
    }
}

/// The condition of a server that cannot have what the registry has.
fn stale(problem: &str) -> Condition {
    Condition::Degraded(format!("the last good policies serve: {problem}"))
}

fn told(loaded: &Loaded, set: &PolicySet, metrics: &Metrics) {
    let digest = loaded.origin.digest.as_deref().unwrap_or_else(|| set.digest());
    let revision = loaded.origin.revision.as_deref().unwrap_or_default();
    tracing::info!(policies = set.policies().len(), digest, revision, "policies loaded");
    metrics.record_policies_loaded(set.policies().len(), certs::now());
    metrics.set_policy_set(digest, revision);
}

/// Keeps a good set for the next start; that it cannot be kept is no reason not to use it.
async fn keep(source: &PolicySource, loaded: Loaded) {
    let source = source.clone();
    if let Ok(Err(error)) = tokio::task::spawn_blocking(move || source.keep(&loaded)).await {
        tracing::warn!(%error, "the policies cannot be kept for a start without the registry; look at --policies-cache");
    }
}

/// Takes changed policies.
pub(super) struct Reload {
    source: PolicySource,
    watcher: Watcher,
    /// The registry did not answer last time.
    trouble: bool,
    /// Why the last changed set was refused.
    refused: Option<String>,
}

impl Reload {
    /// Loads policies again when they change, as long as the server runs. A bad set leaves the last good one serving.
    pub(super) async fn run(
        mut self,
        app: Arc<App>,
        readiness: Readiness,
        wanted: Option<register::Wanted>,
        audits: bool,
    ) {
        loop {
            let change = self.watcher.next().await;
            if self.watcher.is_remote() {
                app.metrics.record_policy_pull(!matches!(change, Change::Unreachable(_)));
            }
            match change {
                Change::Unchanged if self.trouble => {
                    self.trouble = false;
                    tracing::info!("the registry of the policies answers again");
                    readiness.set(POLICIES, self.refused.clone().map_or(Condition::Ok, Condition::Degraded));
                }
                Change::Unchanged => {}
                Change::Unreachable(error) => {
                    self.trouble = true;
                    let problem = error.to_string();
                    tracing::warn!(problem, "the policies cannot be looked at; the last good ones go on serving");
                    readiness.set(POLICIES, stale(&problem));
                }
                Change::Refused(error) => self.refuse(&app, &readiness, &error.to_string()),
                Change::Set(loaded) => self.take(*loaded, &app, &readiness, wanted.as_ref(), audits).await,
            }
        }
    }

    async fn take(
        &mut self,
        loaded: Loaded,
        app: &App,
        readiness: &Readiness,
        wanted: Option<&register::Wanted>,
        audits: bool,
    ) {
        self.trouble = false;
        let (building, settings, bundle) =
            (self.source.clone(), app.snapshot.load().settings.clone(), loaded.bundle.clone());
        let set = match policies::within(BUILD, move || building.build(&bundle, &settings)).await {
            Ok(set) => Arc::new(set),
            Err(error) => return self.refuse(app, readiness, &error.to_string()),
        };
        if let Some(cluster) = &app.cluster {
            cluster.set_needed(needed(&set, audits, app.shadow.as_ref()));
        }
        let before = app.snapshot.load_full();
        let facts = app.cluster.as_ref().map_or_else(|| before.facts.clone(), ClusterContext::facts);
        if let Some(Err(error)) = wanted.map(|wanted| wanted.set(&set, &before.settings)) {
            return self.refuse(app, readiness, &error.to_string());
        }
        told(&loaded, &set, &app.metrics);
        app.snapshot.store(Arc::new(Snapshot::new(set, before.settings.clone(), facts, jiff::Timestamp::now())));
        self.refused = None;
        readiness.set(POLICIES, Condition::Ok);
        keep(&self.source, loaded).await;
    }

    fn refuse(&mut self, app: &App, readiness: &Readiness, problem: &str) {
        self.trouble = false;
        tracing::error!(problem, "the changed policies were refused; the last good ones go on serving");
        app.metrics.record_policies_refused();
        let detail = format!("the changed policies were refused, the last good ones serve: {problem}");
        self.refused = Some(detail.clone());
        readiness.set(POLICIES, Condition::Degraded(detail));
    }
}
