//! `seawall replay`: flags, and putting the parts together.

use super::check::ModeChoice;
use super::comparing::{ContextArgs, FailOn, Format, OutputArgs, finish, style};
use super::policies::PolicyArgs;
use crate::config::Settings;
use crate::policy::mode::Mode;
use crate::policydiff::recorded::Replayed;
use crate::policydiff::replay::{self, compare_reviews};
use crate::policydiff::sets::{Side, Wanted, load, load_one};
use crate::policydiff::tally::Tally;
use crate::policydiff::{json, text};
use anyhow::bail;
use clap::Args;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `replay`.
#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// AdmissionReviews (.json, .jsonl, .yaml), folders of them or of `serve --record-bodies`, or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Compare with this set: what changes when it is replaced by the one of --policies. A folder, or "embedded"
    #[arg(long, value_name = "SET")]
    against: Option<String>,
    /// Configuration of the set of --against [default: that of --config]
    #[arg(long, value_name = "FILE", requires = "against")]
    against_config: Option<PathBuf>,
    /// Read what policies need from the cluster of the current kubeconfig; --kubeconfig and --context mean it as well
    #[arg(long)]
    live: bool,
    #[command(flatten)]
    context: ContextArgs,
    /// enforce, warn, audit for every review, or from-labels: that of the namespaces, as far as they are known [default: from-labels; with --against enforce]
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeChoice>,
    /// What makes the exit code 1; without --against any is another answer than was recorded
    #[arg(long, value_name = "CHANGE", value_enum, default_value = "any")]
    fail_on: FailOn,
    #[command(flatten)]
    output: OutputArgs,
}

/// Replays. Exit codes: 0 as before, 1 something differs, 2 when anything could not be read or judged.
pub(super) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let default = ModeChoice(args.against.as_ref().map(|_| Mode::Enforce));
    let ModeChoice(mode) = args.mode.unwrap_or(default);
    anyhow::ensure!(mode != Some(Mode::Off), "--mode off judges nothing; use enforce, warn, audit or from-labels");
    let options = replay::Options { mode, tier: args.context.tier };
    let (settings, source) = (args.policies.settings()?, args.policies.source()?);
    let name = args.policies.name();
    let is_shared = args.against_config.is_none();
    let wanted = Wanted { name, source, settings: settings.clone(), is_shared };
    let Some(against) = &args.against else {
        return one(args, &load_one(wanted)?, &options);
    };
    let own = args.against_config.as_deref().map(Settings::load).transpose()?;
    let other = Wanted::named(against, args.policies.only(), own.clone().unwrap_or(settings), own.is_none());
    let (old, new) = load(other, wanted)?;
    let now = jiff::Timestamp::now();
    let live = args.live || args.context.cluster.given();
    let mut stdin = io::stdin().lock();
    let (known, errors, notes) = args.context.known(live, &[&old.set, &new.set], &mut stdin, now)?;
    let mut tally = Tally::new(args.output.examples);
    errors.into_iter().for_each(|error| tally.fail(error));
    tally.notes.extend(notes);
    compare_reviews(&args.paths, &mut stdin, (&old, &new), &known, &options, now, &mut tally)?;
    finish((&old, &new), Some(&tally), &args.output, args.fail_on)
}

fn one(args: &ReplayArgs, side: &Side, options: &replay::Options) -> anyhow::Result<ExitCode> {
    if args.fail_on == FailOn::NewlyDenied {
        bail!("--fail-on newly-denied needs two sets; add --against");
    }
    if args.output.format == Format::Markdown {
        bail!("--format markdown is for two sets; add --against, or use text or json");
    }
    let now = jiff::Timestamp::now();
    let live = args.live || args.context.cluster.given();
    let mut stdin = io::stdin().lock();
    let (known, errors, notes) = args.context.known(live, &[&side.set], &mut stdin, now)?;
    let mut replayed = Replayed::new(args.output.examples);
    errors.into_iter().for_each(|error| replayed.fail(error));
    replayed.notes.extend(notes);
    replay::replay(&args.paths, &mut stdin, side, &known, options, now, &mut replayed)?;
    let mut stderr = io::stderr().lock();
    replayed.notes.iter().try_for_each(|note| writeln!(stderr, "note: {note}"))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.output.format == Format::Json {
        json::replayed(side, &replayed, &mut out)?;
    } else {
        text::replayed(side, &replayed, style(), &mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::from(match (replayed.is_complete(), args.fail_on == FailOn::Any && replayed.different > 0) {
        (false, _) => 2,
        (true, true) => 1,
        (true, false) => 0,
    }))
}
