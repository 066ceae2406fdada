//! `seawall check`: flags, and putting the parts together.

use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Options};
use crate::config::Settings;
use crate::policy::mode::{Mode, Tier, UnknownWord};
use crate::report::{Report, Results as _, json, text};
use crate::server::policies::PolicySource;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
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
    /// enforce, warn, audit or off for every object, or from-labels: that of the namespaces in the input or the snapshot
    #[arg(long, value_name = "MODE", default_value = "enforce")]
    mode: ModeChoice,
    /// tier-0 to tier-3 for every object that raises it no higher [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label)]
    tier: Option<Tier>,
    /// What makes the exit code 1
    #[arg(long, value_name = "ACTION", value_enum, default_value = "deny")]
    fail_on: FailOn,
    /// Manifests of the cluster (kubectl get … -o yaml) that are known but not judged; may be repeated
    #[arg(long, value_name = "FILE")]
    snapshot: Vec<PathBuf>,
    /// Namespace of objects that name none
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of policies that extend the embedded ones
    #[arg(long, value_name = "FOLDER", env = "SEAWALL_POLICIES")]
    policies: Option<PathBuf>,
    /// The folder of --policies replaces the embedded ones
    #[arg(long, requires = "policies")]
    policies_only: bool,
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

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
}

/// Judges manifests. Exit codes: 0 clean, 1 violations, 2 when anything could not be read or evaluated.
pub(super) fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    let CheckArgs { paths, mode, tier, fail_on, snapshot, namespace, config, policies, policies_only, format } = args;
    let settings = config.map_or_else(|| Ok(Settings::default()), |path| Settings::load(&path))?;
    let source = PolicySource { folder: policies, only: policies_only };
    let bundle = source.read().context("the policies cannot be read")?;
    let set = Arc::new(source.build(&bundle, &settings).context("the policies cannot be used")?);
    let budget = Budget::default();
    let mut stdin = io::stdin().lock();
    let input = Input::read(&paths, &mut stdin, budget);
    let known = Input::read(&snapshot, &mut stdin, budget);
    let options = Options { mode: mode.0, tier, namespace };
    let report = check::check(input, known, &set, &settings, &options, jiff::Timestamp::now());
    print(&report, format)?;
    Ok(exit_code(&report, fail_on))
}

fn print(report: &Report, format: Format) -> anyhow::Result<()> {
    let mut stderr = io::stderr().lock();
    for note in &report.notes {
        writeln!(stderr, "note: {note}")?;
    }
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    match format {
        Format::Text => text::write(report, text::Style { colour }, &mut out)?,
        Format::Json => json::write(report, &mut out)?,
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
