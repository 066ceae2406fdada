//! `seawall test`: cases and `test_` rules of policies.

use super::policies::PolicyArgs;
use crate::policytest::load::{self, Loaded};
use crate::policytest::report::text::Style;
use crate::policytest::report::{json, junit, text};
use crate::policytest::subject::Options;
use crate::policytest::suite::{self, Plan, Report};
use crate::policytest::update::{self, Updated};
use anyhow::bail;
use clap::{Args, ValueEnum};
use regex::Regex;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time between two looks at the files.
const POLL: Duration = Duration::from_millis(300);

/// Flags of `test`.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// Folder of policies, or of one policy; without it what the server would load is tested
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Only cases and tests whose policy, name or path matches this regular expression
    #[arg(long, short, value_name = "PATTERN")]
    run: Option<Regex>,
    /// Also list what passes
    #[arg(long, short)]
    verbose: bool,
    /// Threads; as many as there are cores by default
    #[arg(long, short, value_name = "NUMBER")]
    jobs: Option<NonZeroUsize>,
    /// Tell which lines of Rego were evaluated
    #[arg(long)]
    coverage: bool,
    /// Fail where less than this part of the lines of a file was evaluated
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    coverage_threshold: Option<f64>,
    /// Rewrite expected.yaml of failing cases, after showing the difference
    #[arg(long)]
    update: bool,
    /// Run again whenever a file changes
    #[arg(long, conflicts_with_all = ["update", "format"])]
    watch: bool,
    #[command(flatten)]
    mutation: super::mutate::MutationArgs,
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
    /// JUnit XML, for what shows test results
    Junit,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches('%').trim().parse::<f64>().ok().filter(|n| (0.0..=100.0).contains(n));
    number.ok_or_else(|| format!("{text:?} is no part of the lines; wanted 0 to 100"))
}

/// Runs it: 0 when all is as it should be, 1 when something fails, 2 when something cannot be run.
pub(super) fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    if !args.watch {
        let loaded = load(args)?;
        return once(args, &loaded);
    }
    if args.path.is_none() && args.policies.path().is_none() {
        bail!("--watch needs a folder to watch: seawall test PATH --watch");
    }
    loop {
        let folders = [args.path.clone(), args.policies.path()];
        let folders: Vec<PathBuf> = folders.into_iter().flatten().collect();
        let mut before = Loaded::fingerprint(&folders);
        if io::stdout().is_terminal() {
            write!(io::stdout(), "\u{1b}[2J\u{1b}[H")?;
        }
        // a folder that cannot be read now may be whole after the next change
        if let Err(error) = load(args).and_then(|loaded| once(args, &loaded)) {
            if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some()) {
                return Err(error);
            }
            writeln!(io::stderr(), "seawall: {error:#}")?;
        }
        writeln!(io::stderr(), "waiting for a change; Ctrl-C ends")?;
        let mut changed = false;
        loop {
            std::thread::sleep(POLL);
            let now = Loaded::fingerprint(&folders);
            // editors write in several steps
            if changed && now == before {
                break;
            }
            changed |= now != before;
            before = now;
        }
    }
}

fn load(args: &TestArgs) -> anyhow::Result<Loaded> {
    let settings = args.policies.settings()?;
    Ok(load::load(args.path.as_deref(), &args.policies.source()?, &settings)?)
}

fn once(args: &TestArgs, loaded: &Loaded) -> anyhow::Result<ExitCode> {
    if args.update && args.path.is_none() && args.policies.path().is_none() {
        bail!(
            "--update rewrites files, and the embedded policies have none; name their folder: seawall test PATH --update"
        );
    }
    for note in &loaded.notes {
        writeln!(io::stderr(), "note: {note}")?;
    }
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    if args.mutation.mutate {
        return super::mutate::run(loaded, args.run.as_ref(), jobs.get(), &args.mutation);
    }
    let plan = Plan {
        jobs,
        only: args.run.clone(),
        coverage: args.coverage || args.coverage_threshold.is_some(),
        options: Options::default(),
    };
    let shown = io::stderr().is_terminal();
    let last = Mutex::new(Instant::now());
    let progress = |done: usize, all: usize| {
        if let Some(mut last) = last.try_lock().ok().filter(|last| shown && last.elapsed() > Duration::from_millis(100))
        {
            *last = Instant::now();
            let _ = write!(io::stderr(), "\r\u{1b}[K{done} of {all}");
        }
    };
    let mut report = suite::run(&loaded.subjects, &plan, &progress);
    report.errors.splice(0..0, loaded.problems.iter().cloned());
    if shown {
        write!(io::stderr(), "\r\u{1b}[K")?;
    }
    if report.rows.is_empty() && report.errors.is_empty() && report.untested.is_empty() {
        match &args.run {
            Some(pattern) => bail!("no case and no test matches {:?}; --verbose lists their names", pattern.as_str()),
            None => bail!("there is no policy, no case and no test in what was named"),
        }
    }
    let stdout = io::stdout().lock();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout);
    match args.format {
        Format::Text => {
            let style = Style { verbose: args.verbose, colour, threshold: args.coverage_threshold };
            text::write(&report, style, &mut out)?;
        }
        Format::Json => json::write(&report, args.coverage_threshold, &mut out)?,
        Format::Junit => junit::write(&report, args.coverage_threshold, &mut out)?,
    }
    let mut updated = None;
    if args.update {
        let mut told: Box<dyn io::Write> = match args.format {
            Format::Text => Box::new(&mut out),
            // the file in a format of its own has no place for it
            Format::Json | Format::Junit => Box::new(io::stderr()),
        };
        let done = update::update(&report, &mut told)?;
        writeln!(told, "{} rewritten; run the tests again", files(done.written))?;
        updated = Some(done);
    }
    out.flush()?;
    Ok(code(args, &report, updated))
}

fn files(number: usize) -> String {
    format!("{number} {}", if number == 1 { "file" } else { "files" })
}

fn code(args: &TestArgs, report: &Report, updated: Option<Updated>) -> ExitCode {
    let counts = report.counts();
    let failed = updated.map_or(counts.failed > 0, |updated| updated.left > 0);
    let below = args.coverage_threshold.is_some_and(|threshold| !report.below(threshold).is_empty());
    if counts.errors > 0 {
        ExitCode::from(2)
    } else if failed || below {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    }
}
