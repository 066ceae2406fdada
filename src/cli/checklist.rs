//! `seawall checklist`: flags, and putting the parts together.

use super::audit::progress;
use super::check::{ModeChoice, read_context};
use super::cluster::{ClusterArgs, block_on};
use super::policies::PolicyArgs;
use crate::audit;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Options};
use crate::checklist::collect::Collector;
use crate::checklist::{About, Scorecard, html, json, markdown, text};
use crate::config::Settings;
use crate::policy::mode::{Mode, Tier};
use crate::policy::store::PolicySet;
use crate::report::Results as _;
use crate::report::text::Style;
use crate::review::Forced;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Flags of `checklist`.
#[derive(Debug, Args)]
pub(super) struct ChecklistArgs {
    /// Files or folders of manifests, or - for standard input [default: everything that the cluster of your kubeconfig has]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// enforce, warn or audit for every object, or from-labels [default: enforce for manifests, from-labels for a cluster]
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeChoice>,
    /// Manifests: the tier of every object that raises it no higher [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label, requires = "paths")]
    tier: Option<Tier>,
    /// Manifests: what is known of the cluster but not judged: a file of `seawall snapshot`, or manifests; may be repeated
    #[arg(long, value_name = "FILE", requires = "paths")]
    snapshot: Vec<PathBuf>,
    /// Manifests: read what policies need from the cluster; --kubeconfig and --context mean it as well
    #[arg(long, requires = "paths")]
    live: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// A cluster: only this namespace; may be repeated. Manifests: the namespace of objects that name none
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// What makes the exit code 1
    #[arg(long, value_name = "WHAT", value_enum, default_value = "deny")]
    fail_on: FailOn,
    /// A cluster: objects in one page of a list
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = clap::value_parser!(u32).range(1..=5000))]
    page_size: u32,
    /// A cluster: calls of the API server in one second, at most
    #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_second: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal, 80 columns
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// For a wiki or a pull request
    Markdown,
    /// One page that needs nothing else
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// An open violation that is rejected by the labels (or --mode) as they are
    Deny,
    /// Any open item
    Open,
    /// Nothing that is open
    Never,
}

/// Runs it: 0 clean, 1 violations, 2 incomplete or impossible.
pub(super) fn run(args: &ChecklistArgs) -> anyhow::Result<ExitCode> {
    let (settings, policies) = args.policies.clone().load()?;
    let policies = Arc::new(policies);
    let now = jiff::Timestamp::now();
    let mut about = About { judged_at: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), ..About::default() };
    let card = if args.paths.is_empty() {
        of_cluster(args, settings, &policies, now, &mut about)?
    } else {
        of_manifests(args, &settings, &policies, now, &mut about)?
    };
    print(args.format, &card, &about)?;
    let failed = match args.fail_on {
        FailOn::Deny => card.deny > 0,
        FailOn::Open => card.open() > 0,
        FailOn::Never => false,
    };
    Ok(ExitCode::from(match (about.is_complete(), failed) {
        (false, _) => 2,
        (true, true) => 1,
        (true, false) => 0,
    }))
}

fn of_cluster(
    args: &ChecklistArgs,
    settings: Settings,
    policies: &Arc<PolicySet>,
    now: jiff::Timestamp,
    about: &mut About,
) -> anyhow::Result<Scorecard> {
    let mode = args.mode.and_then(|ModeChoice(mode)| mode);
    anyhow::ensure!(mode != Some(Mode::Off), "--mode off judges nothing; use enforce, warn, audit or from-labels");
    let options = audit::Options {
        namespaces: args.namespace.iter().cloned().collect(),
        // classes, volumes and the Namespace count for workloads
        with_shared: true,
        forced: Forced { mode, ..Forced::default() },
        page: args.page_size,
        pause: Duration::from_secs(1) / args.requests_per_second,
        ..audit::Options::default()
    };
    let settings = Arc::new(settings);
    let collector = Collector::new(policies.clone())?;
    let (done, collector) = block_on(async {
        let client = args.cluster.client().await?;
        Ok(audit::observed(&client, policies, &settings, &options, now, progress(), collector).await?)
    })?;
    super::audit::clear();
    about.of = "the cluster".to_owned();
    about.errors = done.errors().to_vec();
    about.coverage = Some(done.coverage.clone());
    Ok(collector.finish()?)
}

fn of_manifests(
    args: &ChecklistArgs,
    settings: &Settings,
    policies: &Arc<PolicySet>,
    now: jiff::Timestamp,
    about: &mut About,
) -> anyhow::Result<Scorecard> {
    anyhow::ensure!(
        args.namespace.len() < 2,
        "--namespace can be given once with manifests: it is that of objects that name none"
    );
    let ModeChoice(mode) = args.mode.unwrap_or(ModeChoice(Some(Mode::Enforce)));
    let mut stdin = io::stdin().lock();
    let input = Input::read(&args.paths, &mut stdin, Budget::default());
    let mut options = Options { mode, tier: args.tier, namespace: "default".to_owned() };
    let live = args.live || args.cluster.given();
    let live = live.then_some(&args.cluster);
    let context =
        read_context(&args.snapshot, &mut stdin, live, args.namespace.first(), policies, &input, &mut options, now)?;
    let mut collector = Collector::new(policies.clone())?;
    let report = check::observed(input, context, policies, settings, &options, now, &mut collector)
        .context("the temporary file for the results cannot be used")?;
    let mut stderr = io::stderr().lock();
    for note in &report.notes {
        writeln!(stderr, "note: {note}")?;
    }
    let shown = |path: &PathBuf| {
        if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
    };
    about.of = args.paths.iter().map(shown).collect::<Vec<_>>().join(", ");
    about.errors = report.errors;
    Ok(collector.finish()?)
}

fn print(format: Format, card: &Scorecard, about: &About) -> anyhow::Result<()> {
    let stdout = io::stdout();
    let terminal = stdout.is_terminal();
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Text => {
            let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
            let look = text::Look { style: Style { colour }, unicode: terminal && is_utf8() };
            text::write(card, about, look, &mut out)?;
        }
        Format::Json => json::write(card, about, &mut out)?,
        Format::Markdown => markdown::write(card, about, &mut out)?,
        Format::Html => html::write(card, about, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// Whether the locale shows more than ASCII (POSIX: the first of these that is set and not empty counts).
fn is_utf8() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}
