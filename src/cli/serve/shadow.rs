//! `serve --shadow`: flags, loading the candidate set and loading it again.

use super::needed;
use crate::config::Settings;
use crate::context::cluster::ClusterContext;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use crate::policydiff::sets::{self, Wanted};
use crate::server::handlers::App;
use crate::server::policies::{PolicySource, Watching};
use crate::server::shadow::{Candidate, Shadow};
use crate::telemetry::Metrics;
use anyhow::Context as _;
use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a kind that only the candidate needs may take to be listed before that is told.
const PATIENCE: Duration = Duration::from_secs(30);

/// Flags of the shadow.
#[derive(Debug, Args)]
pub(super) struct ShadowArgs {
    /// Judge live reviews with a candidate set as well, off their path, and report what differs: a folder as for --policies, or "embedded"
    #[arg(long, value_name = "FOLDER", env = "SEAWALL_SHADOW")]
    shadow: Option<String>,
    /// Configuration of the candidate set [default: the configuration of the active one]
    #[arg(long, value_name = "FILE", requires = "shadow", env = "SEAWALL_SHADOW_CONFIG")]
    shadow_config: Option<PathBuf>,
}

/// A candidate set that is compared.
pub(super) struct Started {
    pub(super) shadow: Arc<Shadow>,
    source: PolicySource,
    bundle: Bundle,
    /// Before what it says of policies that only the active set has was left out.
    settings: Settings,
    is_shared: bool,
}

/// Loads the candidate set. One that cannot be used is an error here: it was asked for.
pub(super) fn start(
    args: &ShadowArgs,
    only: bool,
    (active, settings): (&PolicySet, &Settings),
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Option<Started>> {
    let Some(name) = &args.shadow else { return Ok(None) };
    let own = args.shadow_config.as_deref().map(Settings::load).transpose()?;
    let is_shared = own.is_none();
    let Wanted { source, settings, .. } = Wanted::named(name, only, own.unwrap_or_else(|| settings.clone()), is_shared);
    let bundle = source.read().with_context(|| format!("--shadow {name} cannot be read"))?;
    let fitting = fitting(&settings, is_shared, &bundle, &ids(active));
    let set = source.build(&bundle, &fitting).with_context(|| format!("--shadow {name} cannot be used"))?;
    let shadow = Shadow::start(Candidate::new(Arc::new(set), Arc::new(fitting)), metrics.clone());
    let shadow = shadow.context("no thread for --shadow")?;
    Ok(Some(Started { shadow, source, bundle, settings, is_shared }))
}

fn ids(set: &PolicySet) -> BTreeSet<String> {
    set.policies().iter().map(|policy| policy.id().to_owned()).collect()
}

/// The configuration without what it says of policies that only the active set has.
fn fitting(settings: &Settings, is_shared: bool, bundle: &Bundle, active: &BTreeSet<String>) -> Settings {
    let mut settings = settings.clone();
    if is_shared {
        settings.forget_policies(&(active - &sets::ids(bundle)));
    }
    settings
}

impl Started {
    /// Says what the comparison cannot see, and loads the folder again when it changes. A bad set leaves the last good one compared.
    pub(super) async fn keep(self, app: Arc<App>, audits: bool) {
        let Self { shadow, source, bundle, settings, is_shared } = self;
        let settings = Arc::new(settings);
        tell(&shadow, &app, audits);
        if source.folder.is_none() {
            return;
        }
        let mut watching = Watching::new(source, bundle);
        loop {
            // the active set of then, which may be another one than now
            let (written, app_then) = (settings.clone(), app.clone());
            let of =
                move |bundle: &Bundle| fitting(&written, is_shared, bundle, &ids(&app_then.snapshot.load().policies));
            match watching.changed(of).await {
                Ok((set, settings)) => {
                    let policies = set.policies().len();
                    tracing::info!(policies, digest = set.digest(), "shadow: candidate policies reloaded");
                    shadow.replace(Candidate::new(Arc::new(set), Arc::new(settings)));
                    tell(&shadow, &app, audits);
                }
                Err(error) => {
                    let problem = error.to_string();
                    tracing::error!(
                        problem,
                        "shadow: the changed candidate policies were refused; the last good ones are compared"
                    );
                    app.metrics.shadow.refused();
                }
            }
        }
    }
}

/// Watches what only the candidate needs, and says what it will not be asked or cannot know.
fn tell(shadow: &Arc<Shadow>, app: &Arc<App>, audits: bool) {
    let active = app.snapshot.load().policies.clone();
    let candidate = shadow.candidate();
    let policies = candidate.policies.policies().len();
    tracing::info!(
        policies,
        digest = candidate.policies.digest(),
        "shadow: live reviews are compared with a candidate set"
    );
    let unseen: Vec<String> = asked(&candidate.policies).difference(&asked(&active)).cloned().collect();
    if !unseen.is_empty() {
        let requests = unseen.join(", ");
        tracing::warn!(
            requests,
            "shadow: candidate policies match requests that the webhooks of the active set do not send; they are not compared"
        );
    }
    let Some(cluster) = &app.cluster else { return };
    let own = needed(&active, audits, None);
    let extra: BTreeSet<String> = shadow.needed().difference(&own).cloned().collect();
    cluster.set_needed(needed(&active, audits, Some(shadow)));
    if extra.is_empty() {
        return;
    }
    let kinds = extra.iter().cloned().collect::<Vec<_>>().join(", ");
    tracing::info!(kinds, "shadow: kinds that only candidate policies need are watched as well");
    tokio::spawn(not_known(cluster.clone(), shadow.clone(), candidate, extra));
}

/// Requests that registered rows match, as `statefulsets CREATE`.
fn asked(set: &PolicySet) -> BTreeSet<String> {
    let rows = set.policies().iter().flat_map(|policy| policy.metadata.rules.iter().filter(|row| row.registered));
    rows.flat_map(|row| {
        row.resources.iter().flat_map(|resource| row.operations.iter().map(move |o| format!("{resource} {o}")))
    })
    .collect()
}

/// After a while, names the kinds that could not be listed and the candidate policies that answer unknown for it.
async fn not_known(cluster: ClusterContext, shadow: Arc<Shadow>, candidate: Arc<Candidate>, kinds: BTreeSet<String>) {
    tokio::time::sleep(PATIENCE).await;
    if !Arc::ptr_eq(&shadow.candidate(), &candidate) {
        return;
    }
    for kind in cluster.status().into_iter().filter(|kind| kinds.contains(&kind.resource) && !kind.synced) {
        let waits = |policy: &&crate::policy::store::Policy| {
            policy.metadata.context.iter().any(|need| need.resource == kind.resource && !need.optional)
        };
        let policies: Vec<&str> =
            candidate.policies.policies().iter().filter(waits).map(|policy| policy.id()).collect();
        let problem = match (kind.served, kind.problem) {
            (false, _) => "the API server does not have the kind".to_owned(),
            (true, problem) => problem.unwrap_or_else(|| "it is not listed yet".to_owned()),
        };
        tracing::warn!(
            kind = kind.resource,
            problem,
            policies = policies.join(", "),
            "shadow: candidate policies answer unknown, a kind that only they need cannot be watched; grant Seawall list and watch on it"
        );
    }
}
