//! `seawall policy catalogue`: the table that self-service needs.

use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Context, Knowledge};
use crate::cli::cluster::{ClusterArgs, block_on};
use crate::cli::policies::PolicyArgs;
use crate::context::manifest::Known;
use crate::context::read::{Wanted, read};
use crate::engine::evaluate::Worker;
use crate::engine::value;
use crate::policy::store::PolicySet;
use crate::report::catalogue::{Catalogue, RULE};
use crate::review::Snapshot;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Longest time for it.
const LIMIT: Duration = Duration::from_secs(60);

/// Flags of `policy catalogue`.
#[derive(Debug, Args)]
pub(super) struct CatalogueArgs {
    /// Files or folders with the StorageClasses, instead of a cluster; - for standard input
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// A file of `seawall snapshot`, instead of a cluster; may be repeated
    #[arg(long, value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// Read a cluster besides the files
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Namespace of the ConfigMap
    #[arg(long, short, value_name = "NAME", default_value = "seawall-system")]
    namespace: String,
    /// Name of the ConfigMap
    #[arg(long, value_name = "NAME", default_value = "seawall-catalogue")]
    name: String,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// A ConfigMap with both, for kubectl apply and portals
    Configmap,
}

/// Prints. Exit codes: 0 printed, 2 when not enough is known.
pub(super) fn run(args: CatalogueArgs) -> anyhow::Result<ExitCode> {
    let (settings, set) = args.policies.load()?;
    let Some(kinds) = set.library_context(RULE) else {
        bail!("the loaded policies have no {}; leave --policies-only out", RULE.trim_start_matches("data."));
    };
    let mut paths = args.paths.clone();
    paths.extend(args.snapshot.iter().cloned());
    let mut context = Context { files: Input::read(&paths, &mut io::stdin().lock(), Budget::default()), cluster: None };
    let now = jiff::Timestamp::now();
    if paths.is_empty() || args.live || args.cluster.given() {
        let wanted = Wanted { kinds: kinds.clone(), ..Wanted::default() };
        context.cluster = Some(block_on(async { Ok(read(&args.cluster.client().await?, &wanted, now).await?) })?);
    }
    let mut knowledge = check::knowledge(context, &set, &args.namespace);
    let version = knowledge.server_version.take();
    let facts = usable(knowledge, &kinds)?.facts([], true);
    let catalogue = Catalogue::new(matrix(set, settings, facts, now)?, version)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => catalogue.text(&mut out)?,
        Format::Json => catalogue.json(&mut out)?,
        Format::Configmap => catalogue.config_map(&args.namespace, &args.name, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The value of the rule.
fn matrix(
    set: PolicySet,
    settings: crate::config::Settings,
    facts: crate::context::facts::Facts,
    now: jiff::Timestamp,
) -> anyhow::Result<serde_json::Value> {
    let set = Arc::new(set);
    let snapshot = Snapshot::new(set.clone(), Arc::new(settings), Arc::new(facts), now);
    let found = set.library_value(RULE, snapshot.data(), &mut Worker::new(), LIMIT);
    let found = found.context("the catalogue cannot be computed")?;
    value::to_json(&found).context("the catalogue has no value")
}

/// A catalogue of half a cluster would call classes absent that are there.
fn usable(knowledge: Knowledge, kinds: &BTreeSet<String>) -> anyhow::Result<Known> {
    let Knowledge { known, errors, notes, .. } = knowledge;
    let mut stderr = io::stderr().lock();
    for note in notes {
        writeln!(stderr, "note: {note}")?;
    }
    for error in &errors {
        let at = error.source.as_ref().map(|s| format!("{}:{}:{}: ", s.file, s.line, s.column)).unwrap_or_default();
        writeln!(stderr, "{at}error: {}", error.message)?;
    }
    if !errors.is_empty() {
        bail!("not everything can be read, so there is no catalogue");
    }
    let facts = known.facts([], true);
    for kind in kinds {
        match known.coverage() {
            Some(coverage) if !coverage.covers(kind, None) => {
                bail!("no catalogue without {kind}: {}", coverage.gap(kind).unwrap_or_default())
            }
            None if !facts.is_synced(kind) => bail!("no catalogue without {kind}: the input has none"),
            _ => {}
        }
    }
    Ok(known)
}
