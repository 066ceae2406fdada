//! `seawall check`: flags, and putting the parts together.

use super::cluster::{ClusterArgs, block_on};
use super::format::{self, Format};
use super::policies::PolicyArgs;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Context, Options, fix, manifest};
use crate::config::Settings;
use crate::context::cluster::NAMESPACES;
use crate::context::read::{Reading, Wanted, read};
use crate::policy::mode::{Mode, Tier, UnknownWord};
use crate::policy::store::PolicySet;
use crate::report::fixes::{FixedFile, Fixes, LeftAlone};
use crate::report::page::{Page, View, plain};
use crate::report::{Failure, Report, Results as _, json, text};
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
    /// Write the safe defaults into the files, comments and layout kept; then judge them again
    #[arg(long)]
    fix: bool,
    /// With --fix: print what would be written as a unified diff, and write nothing
    #[arg(long, requires = "fix")]
    diff: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// A mode, or that of the labels.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModeChoice(pub(super) Option<Mode>);

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
    let CheckArgs { paths, mode, tier, fail_on, snapshot, live, cluster, namespace, policies, fix, diff, format } =
        args;
    let (settings, set) = policies.load()?;
    let mut options = Options { mode: mode.0, tier, namespace: "default".to_owned() };
    let mut run = Run { settings, set: Arc::new(set), now: jiff::Timestamp::now(), cluster: None, paths, snapshot };
    let mut stdin = io::stdin().lock();
    let input = Input::read(&run.paths, &mut stdin, Budget::default());
    let cluster = (live || cluster.given()).then_some(&cluster);
    let Run { snapshot, set, now, .. } = &run;
    let context = read_context(snapshot, &mut stdin, cluster, namespace.as_ref(), set, &input, &mut options, *now)?;
    run.cluster.clone_from(&context.cluster);
    let mut report = run.judge(input, context.files, &options);
    if !fix {
        print(&report, &run.set, None, format)?;
        return Ok(exit_code(&report, fail_on, false));
    }
    let from_stdin = run.paths.iter().any(|path| path.as_os_str() == "-");
    let plan = fix::plan(&report, from_stdin);
    let unfinished = !plan.left_alone.is_empty();
    if diff {
        print_diff(&plan, &report.errors)?;
        return Ok(exit_code(&report, fail_on, unfinished || !plan.files.is_empty()));
    }
    for file in &plan.files {
        file.write()?;
    }
    // places and verdicts of what is in the files now; standard input cannot be read twice, and was not changed
    if !plan.files.is_empty() && !from_stdin {
        let (input, files) = run.read(&mut io::empty());
        report = run.judge(input, files, &options);
    }
    print(&report, &run.set, Some(&plan.summary()), format)?;
    Ok(exit_code(&report, fail_on, unfinished))
}

/// What is known beside an input: files, and a cluster where one is wanted, whose default namespace then holds unless one is
/// given.
#[allow(clippy::too_many_arguments, reason = "the flags of two commands, each a different thing")]
pub(super) fn read_context(
    snapshot: &[PathBuf],
    stdin: &mut dyn io::Read,
    cluster: Option<&ClusterArgs>,
    namespace: Option<&String>,
    set: &PolicySet,
    input: &Input,
    options: &mut Options,
    now: jiff::Timestamp,
) -> anyhow::Result<Context> {
    if let Some(namespace) = namespace {
        options.namespace.clone_from(namespace);
    }
    let mut context = Context { files: Input::read(snapshot, stdin, Budget::default()), cluster: None };
    if let Some(cluster) = cluster {
        context.cluster = Some(block_on(async {
            let client = cluster.client().await?;
            if namespace.is_none() {
                client.default_namespace().clone_into(&mut options.namespace);
            }
            Ok(read(&client, &wanted(set, input, options), now).await?)
        })?);
    }
    Ok(context)
}

/// What stays the same when the files are judged again.
struct Run {
    settings: Settings,
    set: Arc<PolicySet>,
    now: jiff::Timestamp,
    cluster: Option<Reading>,
    paths: Vec<PathBuf>,
    snapshot: Vec<PathBuf>,
}

impl Run {
    fn read(&self, stdin: &mut dyn io::Read) -> (Input, Input) {
        let budget = Budget::default();
        let input = Input::read(&self.paths, stdin, budget);
        (input, Input::read(&self.snapshot, stdin, budget))
    }

    fn judge(&self, input: Input, files: Input, options: &Options) -> Report {
        let context = Context { files, cluster: self.cluster.clone() };
        check::check(input, context, &self.set, &self.settings, options, self.now)
    }
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

fn print(report: &Report, policies: &PolicySet, fixes: Option<&Fixes>, format: Format) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    for note in &report.notes {
        writeln!(stderr, "note: {note}")?;
    }
    if format.tells_apart() {
        text::errors(report, &mut stderr)?;
    }
    if let Some(fixes) = fixes {
        for FixedFile { file, objects } in &fixes.files {
            writeln!(stderr, "fixed: {file}: {objects} object{}", if *objects == 1 { "" } else { "s" })?;
        }
        left_alone(&fixes.left_alone, &mut stderr)?;
    }
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    match (format, fixes) {
        (Format::Text, _) => text::write(report, text::Style { colour }, &mut out)?,
        (Format::Json, None) => json::write(report, &mut out)?,
        (Format::Json, Some(fixes)) => json::write_fixed(report, fixes, &mut out)?,
        (other, _) => {
            let page = Page { results: report, policies, view: View::AsIs, coverage: None };
            format::write(other, &page, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn left_alone(rows: &[LeftAlone], out: &mut dyn io::Write) -> io::Result<()> {
    for LeftAlone { resource, source, reason } in rows {
        let (kind, name) = (&resource.kind, &resource.name);
        let line = format!("left alone: {}:{}:{}: {kind} {name}: {reason}", source.file, source.line, source.column);
        writeln!(out, "{}", plain(&line))?;
    }
    Ok(())
}

/// The diff alone on standard output, so that it can go to a file or to `git apply`.
fn print_diff(plan: &fix::Plan, errors: &[Failure]) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    for error in errors {
        let at = error.source.as_ref().map(|at| format!("{}:{}:{}: ", at.file, at.line, at.column)).unwrap_or_default();
        writeln!(stderr, "error: {}", plain(&format!("{at}{}", error.message)))?;
    }
    left_alone(&plan.left_alone, &mut stderr)?;
    let mut out = BufWriter::new(io::stdout().lock());
    for file in &plan.files {
        out.write_all(file.diff().as_bytes())?;
    }
    out.flush()?;
    Ok(())
}

/// `unfinished`: safe defaults are wanted and not in the files.
fn exit_code(report: &Report, fail_on: FailOn, unfinished: bool) -> ExitCode {
    let summary = report.summary();
    if summary.errors > 0 {
        ExitCode::from(2)
    } else if summary.deny > 0 || fail_on == FailOn::Warn && summary.warn > 0 || unfinished {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}
