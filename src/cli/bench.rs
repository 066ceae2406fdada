//! `seawall bench`: what policies cost, and whether they cost more than before.

use crate::benchmark::CountAllocations;
use crate::benchmark::compare::Comparison;
use crate::benchmark::measure::{self, How};
use crate::benchmark::table::Table;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::cli::policies::PolicyArgs;
use crate::policy::store::PolicySet;
use crate::words::closest;
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `bench`.
#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    #[command(flatten)]
    policies: PolicyArgs,
    /// Only this policy; may be repeated
    #[arg(long, value_name = "ID")]
    policy: Vec<String>,
    /// Measure on these manifests instead of the policies' own cases: a file, a folder, or -; may be repeated
    #[arg(long, short = 'f', value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Runs of which the median time counts
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,
    /// Leave the interpreter out, which takes most of the time
    #[arg(long)]
    no_interpreter: bool,
    /// Write what was measured to a file, for --compare
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Print what changed since a file of --save
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Exit code 1 where a rule takes more instructions than before by more than this
    #[arg(long, value_name = "PERCENT", requires = "compare")]
    fail_over: Option<u32>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1; the same as --save writes
    Json,
}

/// Measures. Exit codes: 0 measured, 1 more instructions than --fail-over permits, 2 when something cannot be measured.
pub(super) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let before = args.compare.as_ref().map(|file| {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        Table::read(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", file.display()))
    });
    let before = before.transpose()?;
    let (settings, bundle, set) = args.policies.load_with_files()?;
    known(&args.policy, &set)?;
    let how = How {
        runs: usize::from(args.count),
        interpreter: !args.no_interpreter,
        policies: args.policy.clone(),
        allocations: allocations(),
    };
    let table = if args.filename.is_empty() {
        measure::cases(&bundle, &set, &how)
    } else {
        let input = Input::read(&args.filename, &mut io::stdin().lock(), Budget::default());
        measure::manifests(input, set, &settings, &how)
    };
    if let Some(file) = &args.save {
        let mut text = Vec::new();
        table.json(&mut text)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let comparison = before.map(|before| Comparison::new(&before, &table));
    let mut out = BufWriter::new(io::stdout().lock());
    let percent = args.fail_over.map(u64::from);
    match (args.format, &comparison) {
        (Format::Text, Some(comparison)) => comparison.text(percent, &mut out)?,
        (Format::Text, None) => table.text(&mut out)?,
        (Format::Json, _) => table.json(&mut out)?,
    }
    out.flush()?;
    let mut stderr = io::stderr().lock();
    for problem in &table.problems {
        writeln!(stderr, "error: {problem}")?;
    }
    if !table.problems.is_empty() {
        return Ok(ExitCode::from(2));
    }
    if table.rules.is_empty() {
        bail!("nothing was measured: no policy is concerned, or it has no cases");
    }
    let grown: Vec<_> = comparison.iter().zip(percent).flat_map(|(c, percent)| c.grown(percent)).collect();
    if let (Some(worst), Some(percent)) = (grown.first(), percent) {
        let (rules, rule) = (grown.len(), &worst.rule);
        writeln!(stderr, "{rules} rules take over {percent} % more instructions than before, {rule} most of all")?;
        return Ok(ExitCode::from(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// Every id must be that of a policy.
fn known(ids: &[String], set: &PolicySet) -> anyhow::Result<()> {
    let unknown = ids.iter().filter(|id| set.get(id).is_none());
    let all = || set.policies().iter().map(|policy| policy.id());
    let lines: Vec<String> = unknown.map(|id| format!("no policy {id:?} is loaded{}", closest(id, all()))).collect();
    if lines.is_empty() { Ok(()) } else { bail!(lines.join("\n")) }
}

#[cfg(feature = "count-allocations")]
fn allocations() -> Option<CountAllocations> {
    Some(|run| allocation_counter::measure(run).count_total)
}

/// The allocator that counts makes the server slower, so the program has it only when built for measuring.
#[cfg(not(feature = "count-allocations"))]
const fn allocations() -> Option<CountAllocations> {
    None
}
