//! `seawall audit`: flags, and putting the parts together.

use super::cluster::{ClusterArgs, block_on};
use super::format::{self, Format};
use super::policies::PolicyArgs;
use crate::audit::selector::Selector;
use crate::audit::{self, Audit, Options, Progress};
use crate::policy::mode::{Mode, Tier};
use crate::policy::store::PolicySet;
use crate::report::baseline::{Baseline, Comparison, Open};
use crate::report::coverage::Coverage;
use crate::report::page::{Page, View};
use crate::report::{Results as _, json, overview, text};
use crate::review::Forced;
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Flags of `audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Only this namespace; may be repeated
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    /// Only objects with these labels, as for kubectl
    #[arg(long, short = 'l', value_name = "SELECTOR", default_value = "")]
    selector: Selector,
    /// Only this policy; may be repeated
    #[arg(long, value_name = "ID")]
    policy: Vec<String>,
    /// Only objects in this tier
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label)]
    tier: Option<Tier>,
    /// enforce, warn or audit for every object, whatever the labels say: what if
    #[arg(long, value_name = "MODE", value_parser = forced)]
    mode: Option<Mode>,
    /// What makes the exit code 1
    #[arg(long, value_name = "ACTION", value_enum, default_value = "deny")]
    fail_on: FailOn,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Only the tables, not every object
    #[arg(long)]
    summary: bool,
    /// Write what is open to a file, for --compare
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Show what is new and what is fixed since an audit that was saved
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Objects in one page of a list
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = clap::value_parser!(u32).range(1..=5000))]
    page_size: u32,
    /// Calls of the API server in one second, at most
    #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_second: u32,
}

fn forced(word: &str) -> Result<Mode, String> {
    match word.parse::<Mode>().map_err(|e| e.to_string())? {
        Mode::Off => Err("off judges nothing".to_owned()),
        mode => Ok(mode),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// A violation that is rejected by the labels (or --mode) as they are
    Deny,
    /// A violation that warns or is rejected
    Warn,
    /// No violation
    Never,
}

/// Runs it: 0 clean, 1 violations, 2 incomplete or impossible.
pub(super) fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let (settings, policies) = args.policies.clone().load()?;
    let policies = if args.policy.is_empty() {
        policies
    } else {
        policies.some(&args.policy).with_context(|| format!("--policy {}: no such policy", args.policy.join(", ")))?
    };
    let earlier = args.compare.as_deref().map(Baseline::load).transpose()?;
    let options = Options {
        namespaces: args.namespace.iter().cloned().collect(),
        selector: args.selector.clone(),
        tier: args.tier,
        forced: Forced { mode: args.mode, ..Forced::default() },
        page: args.page_size,
        pause: Duration::from_secs(1) / args.requests_per_second,
        ..Options::default()
    };
    let (policies, settings) = (Arc::new(policies), Arc::new(settings));
    let started = Instant::now();
    let now = jiff::Timestamp::now();
    let done = block_on(async {
        let client = args.cluster.client().await?;
        Ok(audit::run(&client, &policies, &settings, &options, now, progress()).await?)
    })?;
    let took = started.elapsed();
    clear();
    let complete = done.coverage.is_complete() && done.errors().is_empty();
    let baseline =
        (args.save.is_some() || earlier.is_some()).then(|| Baseline::of(&done, complete, now)).transpose()?;
    let comparison = baseline.as_ref().zip(earlier.as_ref()).map(|(now, then)| now.since(then));
    print(args, &policies, &done, comparison.as_ref(), took)?;
    if let (Some(path), Some(baseline)) = (&args.save, &baseline) {
        baseline.save(path)?;
    }
    let summary = done.summary();
    let failed = match args.fail_on {
        FailOn::Deny => summary.deny > 0,
        FailOn::Warn => summary.deny + summary.warn > 0,
        FailOn::Never => false,
    };
    Ok(ExitCode::from(match (complete, failed) {
        (false, _) => 2,
        (true, true) => 1,
        (true, false) => 0,
    }))
}

fn print(
    args: &AuditArgs,
    policies: &PolicySet,
    done: &Audit,
    comparison: Option<&Comparison>,
    took: Duration,
) -> anyhow::Result<()> {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let style = text::Style { colour };
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Json => json::write_audit(done, &done.coverage, comparison, &mut out)?,
        Format::Text => {
            overview::write(done, !args.summary, style, &mut out)?;
            for error in done.errors() {
                let policy = error.policy.as_ref().map(|p| format!("[{p}] ")).unwrap_or_default();
                writeln!(out, "error: {policy}{}", error.message)?;
            }
            if let Some(comparison) = comparison {
                compared(comparison, &mut out)?;
            }
            coverage(&done.coverage, done.summary().resources, took, &mut out)?;
        }
        other => {
            let mut stderr = io::stderr().lock();
            text::errors(done, &mut stderr)?;
            coverage(&done.coverage, done.summary().resources, took, &mut stderr)?;
            let page = Page { results: done, policies, view: View::AsEnforced, coverage: Some(&done.coverage) };
            format::write(other, &page, &mut out)?;
        }
    }
    out.flush()?;
    Ok(())
}

fn compared(comparison: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let Comparison { since, new, fixed, still_open, uncertain } = comparison;
    writeln!(out, "since {since}: {} new, {} fixed, {still_open} still open", new.len(), fixed.len())?;
    for (word, list) in [("new  ", new), ("fixed", fixed)] {
        for (Open { kind, namespace, name, policy, .. }, message) in list {
            let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
            writeln!(out, "  {word} {kind} {namespace}{name} [{policy}] {message}")?;
        }
    }
    if *uncertain {
        writeln!(out, "  one of the two audits is incomplete: what is missing may only not have been seen")?;
    }
    writeln!(out)
}

fn coverage(coverage: &Coverage, judged: usize, took: Duration, out: &mut dyn Write) -> io::Result<()> {
    let listed: u64 = coverage.listed.iter().map(|l| l.objects).sum();
    writeln!(
        out,
        "{judged} objects judged, {} counted at their workload, {} passed over; {listed} listed with {} calls in {:.1} s",
        coverage.children,
        coverage.passed_over,
        coverage.calls,
        took.as_secs_f64()
    )?;
    if !coverage.is_complete() {
        writeln!(out, "INCOMPLETE: this was not seen, and policies that need it have no answer:")?;
        for missing in &coverage.missing {
            writeln!(out, "  {}: {}", missing.resource, missing.reason)?;
        }
    }
    Ok(())
}

/// One line on standard error that is written again and again, on a terminal only.
fn progress() -> impl FnMut(&Progress) + Send + 'static {
    let shown = io::stderr().is_terminal();
    let mut last = Instant::now();
    move |progress| {
        if shown && last.elapsed() > Duration::from_millis(100) {
            last = Instant::now();
            let Progress { listed, judged, namespace } = progress;
            let _ = write!(io::stderr(), "\r\u{1b}[K{listed} listed, {judged} judged, in {namespace}");
        }
    }
}

fn clear() {
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\u{1b}[K");
    }
}
