//! `seawall check`: flags, and putting the parts together.

use super::cluster::{ClusterArgs, block_on};
use super::format::{self, Format};
use super::policies::PolicyArgs;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Context, Options, manifest};
use crate::context::cluster::NAMESPACES;
use crate::context::read::{Wanted, read};
use crate::policy::mode::{Mode, Tier, UnknownWord};
use crate::policy::store::PolicySet;
use crate::report::page::{Page, View};
use crate::report::{Report, Results as _, json, text};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

/// Flags of `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Files or folders of manifests (YAML, JSON), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// enforce, warn, audit or off for every object, or from-labels: that of the namespaces in the input, the snapshot or the cluster
    #[arg(long, value_name = "MODE", default_value = "enforce")]
    mode: ModeChoice,
    /// tier-0 to tier-3 for every object that raises it no higher [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label)]
    tier: Option<Tier>,
    /// What makes the exit code 1
    #[arg(long, value_name = "ACTION", value_enum, default_value = "deny")]
    fail_on: FailOn,
    /// What is known of the cluster but not judged: a file of `seawall snapshot`, or manifests (kubectl get … -o yaml); may
    /// be repeated
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
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A mode, or that of the labels.
#[derive(Debug, Clone, Copy)]
struct ModeChoice(Option<Mode>);

impl FromStr for ModeChoice {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        if word == "from-labels" {
            return Ok(Self(None));
        }
        let wanted = "enforce, warn, audit, off, from-labels";
        word.parse().map(|mode| Self(Some(mode))).map_err(|unknown: UnknownWord| UnknownWord { wanted, ..unknown })
    }
}

/// What counts as a violation to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A violation that rejects
    Deny,
    /// Also one that only warns
    Warn,
}

/// Judges manifests. Exit codes: 0 clean, 1 violations, 2 when anything could not be read or evaluated.
pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let CheckArgs { paths, mode, tier, fail_on, snapshot, live, cluster, namespace, policies, format } = args;
    let (settings, set) = policies.load()?;
    let set = Arc::new(set);
    let now = jiff::Timestamp::now();
    let budget = Budget::default();
    let mut stdin = io::stdin().lock();
    let input = Input::read(&paths, &mut stdin, budget);
    let mut options =
        Options { mode: mode.0, tier, namespace: namespace.clone().unwrap_or_else(|| "default".to_owned()) };
    let mut context = Context { files: Input::read(&snapshot, &mut stdin, budget), cluster: None };
    if live || cluster.given() {
        context.cluster = Some(block_on(async {
            let client = cluster.client().await?;
            if namespace.is_none() {
                client.default_namespace().clone_into(&mut options.namespace);
            }
            let wanted = wanted(&set, &input, &options);
            Ok(read(&client, &wanted, now).await?)
        })?);
    }
    let report = check::check(input, context, &set, &settings, &options, now);
    print(&report, &set, format)?;
    Ok(exit_code(&report, fail_on))
}

/// What is read of a live cluster: the kinds that policies need, and the namespaces where their labels decide. Who may not
/// read the cluster as a whole reads the namespaces of the input.
fn wanted(set: &PolicySet, input: &Input, options: &Options) -> Wanted {
    let mut kinds: BTreeSet<String> = set.needed_context().keys().cloned().collect();
    if options.mode.is_none() {
        kinds.insert(NAMESPACES.to_owned());
    }
    Wanted { kinds, fallback: manifest::namespaces(input, &options.namespace), ..Wanted::default() }
}

fn print(report: &Report, policies: &PolicySet, format: Format) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    for note in &report.notes {
        writeln!(stderr, "note: {note}")?;
    }
    if format.tells_apart() {
        text::errors(report, &mut stderr)?;
    }
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Text => text::write(report, text::Style { colour }, &mut out)?,
        Format::Json => json::write(report, &mut out)?,
        other => {
            let page = Page { results: report, policies, view: View::AsIs, coverage: None };
            format::write(other, &page, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn exit_code(report: &Report, fail_on: FailOn) -> ExitCode {
    let summary = report.summary();
    if summary.errors > 0 {
        ExitCode::from(2)
    } else if summary.deny > 0 || fail_on == FailOn::Warn && summary.warn > 0 {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}
