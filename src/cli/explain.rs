//! `seawall explain`: flags, and putting the parts together.

use super::check::{ModeChoice, read_context};
use super::cluster::ClusterArgs;
use super::policies::PolicyArgs;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{Context, Options, observed};
use crate::engine::evaluate::Worker;
use crate::engine::trace::Limits;
use crate::explain::input::{self, Keeper, Surroundings};
use crate::explain::page::{self, Page};
use crate::explain::scope::Given;
use crate::explain::text::Detail;
use crate::explain::{Explainer, Explanation, syntax, text};
use crate::policy::mode::Tier;
use crate::report::text::{Style, errors};
use crate::report::{Failure, Report};
use anyhow::bail;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Time for the rules of one policy and one object.
const PER_POLICY: Duration = Duration::from_secs(20);

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Policies: their pages, or with -f these alone and in full [default: a list of all, with -f all]
    #[arg(value_name = "POLICY_ID")]
    ids: Vec<String>,
    /// Why policies did or did not fire: manifests, a captured AdmissionReview, a folder of serve --record-bodies or a case of
    /// a policy, or - for standard input; may be repeated
    #[arg(long = "filename", short = 'f', value_name = "PATH")]
    files: Vec<PathBuf>,
    /// enforce, warn, audit or off for every object, or from-labels: that of the namespaces in the input, the snapshot or the cluster
    #[arg(long, value_name = "MODE", default_value = "enforce")]
    mode: ModeChoice,
    /// tier-0 to tier-3 for every object that raises it no higher [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label)]
    tier: Option<Tier>,
    /// What is known of the cluster: a file of `seawall snapshot`, or manifests; may be repeated
    #[arg(long, value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// Read what policies need from the cluster of the current kubeconfig; --kubeconfig and --context mean it as well
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace of objects that name none [default: default, with a cluster that of the context]
    #[arg(long, short, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Levels of helper functions and rules that are followed
    #[arg(long, value_name = "LEVELS", default_value = "3", value_parser = clap::value_parser!(u8).range(0..=20))]
    depth: u8,
    /// Everything of every policy, those that found nothing and those that are not asked too
    #[arg(long, short)]
    verbose: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// The page of a policy as Markdown
    Markdown,
}

/// Explains. Exit codes: 0, or 2 when anything could not be read.
pub(super) fn run(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    if args.files.is_empty() { pages(&args) } else { objects(args) }
}

fn style() -> Style {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style { colour }
}

fn json(value: &impl serde::Serialize, out: &mut dyn Write) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(out, "{text}")?)
}

/// Pages, or the list of all policies.
fn pages(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let (settings, set, bundle) = args.policies.load_with_files()?;
    let found = args.ids.iter().map(|id| page::find(&set, id)).collect::<Result<Vec<_>, _>>()?;
    let pages: Vec<Page<'_>> = found.into_iter().map(|policy| Page::new(policy, &bundle, &settings)).collect();
    let mut out = BufWriter::new(io::stdout().lock());
    match (args.format, pages.as_slice()) {
        (Format::Text, []) => page::list(&set, style(), &mut out)?,
        (Format::Json, []) => json(&page::list_json(&set), &mut out)?,
        (Format::Markdown, []) => page::list_markdown(&set, &mut out)?,
        (Format::Json, [page]) => json(&page.json(), &mut out)?,
        (Format::Json, pages) => json(&pages.iter().map(Page::json).collect::<Vec<_>>(), &mut out)?,
        (format, pages) => {
            for (number, page) in pages.iter().enumerate() {
                if number > 0 {
                    writeln!(out)?;
                }
                if format == Format::Text { page.text(style(), &mut out)? } else { page.markdown(&mut out)? }
            }
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Why policies did or did not fire.
fn objects(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    if args.format == Format::Markdown {
        bail!("--format markdown is for the page of a policy; use text or json with -f");
    }
    let (settings, set, bundle) = args.policies.load_with_files()?;
    for id in &args.ids {
        page::find(&set, id)?;
    }
    let set = Arc::new(set);
    let now = jiff::Timestamp::now();
    let mut options = Options { mode: args.mode.0, tier: args.tier, namespace: "default".to_owned() };
    let mut stdin = io::stdin().lock();
    let inputs = input::read(&args.files, &mut stdin);
    let cluster = (args.live || args.cluster.given()).then_some(&args.cluster);
    let (snapshot, namespace) = (&args.snapshot, args.namespace.as_ref());
    let context = read_context(snapshot, &mut stdin, cluster, namespace, &set, &inputs.manifests, &mut options, now)?;
    let mut report = Report { errors: inputs.errors, ..Report::default() };
    let mut kept = Keeper::default();
    let manifests = inputs.manifests;
    let has_manifests = !(manifests.documents.is_empty() && manifests.errors.is_empty());
    let mut worker = Worker::new();
    if !inputs.captured.is_empty() {
        let files = Input::read(snapshot, &mut io::empty(), Budget::default());
        let around = Context { files, cluster: context.cluster.clone() };
        let around = Surroundings::new(around, &set, &settings, &options, now);
        if !has_manifests {
            report.errors.extend(around.errors().iter().cloned());
        }
        for captured in inputs.captured {
            report.notes.extend(captured.note());
            match around.review(captured, &mut worker) {
                Ok(reviewed) => kept.0.push(reviewed),
                Err(message) => report.errors.push(Failure { source: None, policy: None, message }),
            }
        }
    }
    if has_manifests {
        let found = observed(manifests, context, &set, &settings, &options, now, &mut kept)?;
        // a policy that failed is explained
        report.errors.extend(found.errors.into_iter().filter(|error| error.policy.is_none()));
        report.notes.extend(found.notes);
    }
    let given = Given { mode: options.mode, tier: options.tier };
    let syntax = syntax(&bundle)?;
    let limits = Limits { depth: args.depth.into(), time: PER_POLICY };
    let mut explainer = Explainer::new(&syntax, limits, given, args.ids.iter().cloned().collect());
    let mut explanations: Vec<Explanation> = Vec::new();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut stderr = io::stderr().lock();
    for note in &report.notes {
        writeln!(stderr, "note: {note}")?;
    }
    errors(&report, &mut stderr)?;
    let detail = Detail { full: args.verbose || !args.ids.is_empty() };
    for reviewed in &kept.0 {
        let explanation = explainer.explain(reviewed)?;
        match args.format {
            Format::Text => text::write(&explanation, detail, style(), &mut out)?,
            _ => explanations.push(explanation),
        }
    }
    if args.format == Format::Json {
        json(&serde_json::json!({"schemaVersion": 1, "explanations": explanations}), &mut out)?;
    }
    out.flush()?;
    Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}
