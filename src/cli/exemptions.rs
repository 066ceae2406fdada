//! `seawall exemptions`: who is exempt from what until when.

use super::cluster::{ClusterArgs, block_on};
use super::policies::PolicyArgs;
use crate::audit::{self, Options};
use crate::check::input::Input;
use crate::check::{self, yaml::Budget};
use crate::policy::mode::Tier;
use crate::report::exemptions::Listing;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Flags of `exemptions`.
#[derive(Debug, Args)]
pub(super) struct ExemptionsArgs {
    /// Files or folders of manifests, or - for standard input; left out: the cluster of the current kubeconfig
    #[arg(value_name = "PATH", conflicts_with_all = ["kubeconfig", "context"])]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Only this namespace of the cluster; of manifests, the namespace of objects that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Tier of manifests whose namespace is not among them [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label, requires = "paths")]
    tier: Option<Tier>,
    /// Only what ends within so many days, or does not count
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(0..=3660))]
    within: Option<i64>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
}

/// Lists them. Exit codes: 0, or 2 when something could not be read.
pub(super) fn run(args: &ExemptionsArgs) -> anyhow::Result<ExitCode> {
    let (settings, policies) = args.policies.load()?;
    let (settings, policies) = (Arc::new(settings), Arc::new(policies));
    let now = jiff::Timestamp::now();
    let mut listing: Listing = if args.paths.is_empty() {
        let options = Options { namespaces: args.namespace.iter().cloned().collect(), ..Options::default() };
        block_on(async {
            let client = args.cluster.client().await?;
            Ok(audit::exemptions::list(&client, &policies, &settings, &options, now).await?)
        })?
    } else {
        let input = Input::read(&args.paths, &mut io::stdin().lock(), Budget::default());
        let namespace = args.namespace.as_deref().unwrap_or("default");
        let (listing, notes) = check::exemptions::list(input, &policies, &settings, args.tier, namespace, now);
        let mut stderr = io::stderr().lock();
        notes.iter().try_for_each(|note| writeln!(stderr, "note: {note}"))?;
        listing
    };
    if let Some(days) = args.within {
        listing.ending_within(days);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => listing.text(&mut out)?,
        Format::Json => listing.json(&mut out)?,
    }
    out.flush()?;
    Ok(if listing.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
