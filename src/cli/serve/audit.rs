//! `serve --audit-interval`: audits the whole cluster while the server runs.

use crate::audit::continuous::{self, Setup};
use crate::context::cluster::ClusterContext;
use crate::report::policyreport::Flavour;
use crate::server::handlers::App;
use crate::server::{Phase, Shutdown};
use crate::webhookconfig::apply::Identity;
use clap::{Args, ValueEnum};
use kube::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Shortest interval: a pass lists everything.
const SHORTEST: Duration = Duration::from_secs(10);

/// Flags of the continuous audit.
#[derive(Debug, Clone, Args)]
pub(super) struct AuditArgs {
    /// Audit the whole cluster again and again, at this interval and what changes at once, on one replica; for example 1h
    /// [default: no audit]
    #[arg(long, value_name = "DURATION", value_parser = interval, env = "SEAWALL_AUDIT_INTERVAL")]
    pub(super) audit_interval: Option<Duration>,
    /// Group of the reports that the audit writes, where the cluster has their CustomResourceDefinitions
    #[arg(long, value_enum, default_value = "policyreport", requires = "audit_interval")]
    audit_reports: Reports,
    /// Send an Event when the audit finds a violation that is new, or finds one no longer
    #[arg(long, requires = "audit_interval")]
    audit_events: bool,
    /// Lists, and as many writes, of the audit in one second, at most
    #[arg(long, value_name = "NUMBER", default_value = "20", requires = "audit_interval",
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    audit_requests_per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reports {
    /// PolicyReport and ClusterPolicyReport of wgpolicyk8s.io/v1alpha2
    Policyreport,
    /// Report and ClusterReport of openreports.io/v1alpha1
    Openreports,
    /// No reports
    None,
}

fn interval(text: &str) -> Result<Duration, String> {
    let wrong = || format!("wanted a time such as 1h, 30m or 90s, at least {} s", SHORTEST.as_secs());
    let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).ok().filter(|duration| *duration >= SHORTEST).ok_or_else(wrong)
}

/// Starts it, where it is wanted; it ends when the server begins to drain.
pub(super) fn start(
    args: &AuditArgs,
    (client, cluster): (Client, ClusterContext),
    identity: Identity,
    app: Arc<App>,
    shutdown: &Shutdown,
) -> Option<JoinHandle<()>> {
    let interval = args.audit_interval?;
    let stop = CancellationToken::new();
    let (draining, token) = (shutdown.clone(), stop.clone());
    tokio::spawn(async move {
        draining.reached(Phase::Draining).await;
        token.cancel();
    });
    let metrics = app.metrics.clone();
    let setup = Setup {
        client,
        identity,
        interval,
        pause: Duration::from_secs(1) / args.audit_requests_per_second,
        reports: match args.audit_reports {
            Reports::Policyreport => Some(Flavour::WgPolicy),
            Reports::Openreports => Some(Flavour::OpenReports),
            Reports::None => None,
        },
        events: args.audit_events,
        current: Box::new(move || {
            let snapshot = app.snapshot.load();
            (snapshot.policies.clone(), snapshot.settings.clone())
        }),
        cluster,
        metrics,
    };
    Some(tokio::spawn(continuous::run(setup, stop)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_people_write_them() {
        for (text, seconds) in [("1h", 3600), ("30m", 1800), ("90s", 90), ("1h 30m", 5400), ("PT2H", 7200)] {
            assert_eq!(interval(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for wrong in ["", "1", "9s", "-1h", "often"] {
            assert!(interval(wrong).unwrap_err().contains("1h"), "{wrong}");
        }
    }
}
