//! `seawall policy diff`: flags, and putting the parts together.

use crate::audit::{self, selector::Selector, visit::visit};
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, manifest};
use crate::cli::audit::{clear, progress};
use crate::cli::check::ModeChoice;
use crate::cli::cluster::block_on;
use crate::cli::comparing::{ContextArgs, FailOn, OutputArgs, finish};
use crate::config::Settings;
use crate::policy::mode::Mode;
use crate::policydiff::live::Desks;
use crate::policydiff::manifests::compare_manifests;
use crate::policydiff::replay::{self, compare_reviews};
use crate::policydiff::sets::{Side, Wanted, load};
use crate::policydiff::tally::Tally;
use crate::review::Forced;
use anyhow::bail;
use clap::Args;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Flags of `policy diff`.
#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The set of today: a folder, which extends the embedded policies, or the word "embedded"
    #[arg(value_name = "OLD")]
    old: String,
    /// The set that may follow
    #[arg(value_name = "NEW")]
    new: String,
    /// Files or folders of manifests, or - for standard input; left out without --live and --reviews: only the sets are compared
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Recorded reviews instead: AdmissionReviews (.json, .jsonl, .yaml), folders of `serve --record-bodies`, or -; may be repeated
    #[arg(long, value_name = "PATH", conflicts_with = "paths")]
    reviews: Vec<PathBuf>,
    /// The cluster of the current kubeconfig: all that it has, or, with PATH or --reviews, what is known beside them
    #[arg(long)]
    live: bool,
    /// The folders replace the embedded policies
    #[arg(long)]
    policies_only: bool,
    /// Configuration of both sets; what it says of a policy that only one set has is left out for the other
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    /// Configuration of OLD instead
    #[arg(long, value_name = "FILE")]
    old_config: Option<PathBuf>,
    /// Configuration of NEW instead
    #[arg(long, value_name = "FILE")]
    new_config: Option<PathBuf>,
    #[command(flatten)]
    context: ContextArgs,
    /// enforce, warn, audit for every object, or from-labels: that of the namespaces [default: enforce; of a cluster from-labels]
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeChoice>,
    /// Only this namespace of the cluster; of manifests, the namespace of objects that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    /// Of a cluster only objects with these labels, as for kubectl
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = "")]
    selector: Selector,
    /// What makes the exit code 1
    #[arg(long, value_name = "CHANGE", value_enum, default_value = "any")]
    fail_on: FailOn,
    #[command(flatten)]
    output: OutputArgs,
    /// Objects in one page of a list
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = clap::value_parser!(u32).range(1..=5000))]
    page_size: u32,
    /// Calls of the API server in one second, at most
    #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_second: u32,
}

/// Compares. Exit codes: 0 no change, 1 change, 2 when anything could not be read or compared.
pub(super) fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let ModeChoice(mode) = args.mode.unwrap_or(ModeChoice(Some(Mode::Enforce)));
    anyhow::ensure!(mode != Some(Mode::Off), "--mode off judges nothing; use enforce, warn, audit or from-labels");
    let (old, new) = sides(args)?;
    let sides = (&old, &new);
    let now = jiff::Timestamp::now();
    let live = args.live || args.context.cluster.given();
    let mut tally = Tally::new(args.output.examples);
    if !args.paths.is_empty() {
        manifests(args, sides, mode, live, now, &mut tally)?;
    } else if !args.reviews.is_empty() {
        let mut stdin = io::stdin().lock();
        let (known, errors, notes) = args.context.known(live, &[&old.set, &new.set], &mut stdin, now)?;
        errors.into_iter().for_each(|error| tally.fail(error));
        tally.notes.extend(notes);
        let options = replay::Options { mode, tier: args.context.tier };
        compare_reviews(&args.reviews, &mut stdin, sides, &known, &options, now, &mut tally)?;
    } else if live {
        tally = cluster(args, sides, now)?;
    } else {
        return finish(sides, None, &args.output, args.fail_on);
    }
    finish(sides, Some(&tally), &args.output, args.fail_on)
}

fn sides(args: &DiffArgs) -> anyhow::Result<(Side, Side)> {
    let shared = args.config.as_deref().map(Settings::load).transpose()?.unwrap_or_default();
    let wanted = |name: &str, own: Option<&Path>| -> anyhow::Result<Wanted> {
        let settings = own.map(Settings::load).transpose()?;
        let is_shared = settings.is_none();
        Ok(Wanted::named(name, args.policies_only, settings.unwrap_or_else(|| shared.clone()), is_shared))
    };
    Ok(load(wanted(&args.old, args.old_config.as_deref())?, wanted(&args.new, args.new_config.as_deref())?)?)
}

fn manifests(
    args: &DiffArgs,
    (old, new): (&Side, &Side),
    mode: Option<Mode>,
    live: bool,
    now: jiff::Timestamp,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let namespace = args.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let options = check::Options { mode, tier: args.context.tier, namespace };
    let mut stdin = io::stdin().lock();
    let input = Input::read(&args.paths, &mut stdin, Budget::default());
    let review = |value: &Value| value.get("kind").and_then(Value::as_str) == Some("AdmissionReview");
    if let Some(document) = input.documents.iter().find(|d| d.read.as_ref().is_ok_and(|node| review(&node.value))) {
        bail!("{}: is a recorded AdmissionReview, no manifest; give recorded reviews with --reviews", document.file);
    }
    let fallback = manifest::namespaces(&input, &options.namespace);
    let context = args.context.read(live, &[&old.set, &new.set], fallback, &mut stdin, now)?;
    Ok(compare_manifests(input, context, (old, new), &options, now, tally)?)
}

fn cluster(args: &DiffArgs, (old, new): (&Side, &Side), now: jiff::Timestamp) -> anyhow::Result<Tally> {
    let ModeChoice(mode) = args.mode.unwrap_or(ModeChoice(None));
    let forced = Forced { mode, tier: args.context.tier, ..Forced::default() };
    let options = audit::Options {
        namespaces: args.namespace.iter().cloned().collect(),
        selector: args.selector.clone(),
        page: args.page_size,
        pause: Duration::from_secs(1) / args.requests_per_second,
        ..audit::Options::default()
    };
    anyhow::ensure!(
        args.context.snapshot.is_empty(),
        "--snapshot is for manifests and recorded reviews: a cluster is read whole"
    );
    let desks = Desks::new((old, new), forced, now, args.output.examples);
    let sets = (old.set.clone(), new.set.clone());
    let (coverage, desks) = block_on(async {
        let client = args.context.cluster.client().await?;
        Ok(visit(&client, &[&sets.0, &sets.1], &options, progress(), desks).await?)
    })?;
    clear();
    let mut tally = desks.tally;
    tally.missing = coverage.missing;
    Ok(tally)
}
