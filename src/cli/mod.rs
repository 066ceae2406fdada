//! The command line: one file per subcommand, flags only.

mod audit;
mod bench;
mod check;
mod checklist;
mod cluster;
mod comparing;
mod decisions;
mod docs;
mod exemptions;
mod explain;
mod format;
mod lint;
mod mutate;
mod policies;
mod policy;
mod replay;
mod rollout;
mod serve;
mod snapshot;
mod test;
mod webhook_config;

use clap::{CommandFactory as _, Parser, Subcommand};
use std::io::Write as _;
use std::process::ExitCode;

/// Admission webhook policy enforcer for stateful workloads on Kubernetes
#[derive(Debug, Parser)]
#[command(name = "seawall", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer the API server's admission webhooks
    Serve(Box<serve::ServeArgs>),
    /// Print the webhook configurations, or remove them from a cluster
    WebhookConfig(Box<webhook_config::WebhookConfigArgs>),
    /// Judge manifests as the API server would have them judged
    Check(Box<check::CheckArgs>),
    /// Judge everything that a cluster has, without changing anything
    Audit(Box<audit::AuditArgs>),
    /// Show what would have been denied and patched, by namespace and policy
    Decisions(decisions::DecisionsArgs),
    /// Show for every workload which items of the checklist are met, open or exempt, and what to do next
    Checklist(Box<checklist::ChecklistArgs>),
    /// Tell who is exempt from what until when, in a cluster or in manifests
    Exemptions(Box<exemptions::ExemptionsArgs>),
    /// Show the page of a policy, or with -f why each policy did or did not fire
    Explain(Box<explain::ExplainArgs>),
    /// Go from audit to warn to enforce
    Rollout(rollout::RolloutCommand),
    /// Look at policies and at what they make of a cluster
    Policy(policy::PolicyCommand),
    /// Find what is wrong with policies before they are loaded
    Lint(Box<lint::LintArgs>),
    /// Measure what policies cost: instructions, time, allocations
    Bench(Box<bench::BenchArgs>),
    /// Judge recorded reviews again, and compare with what was answered or with another policy set
    Replay(Box<replay::ReplayArgs>),
    /// Run the cases and tests of policies
    Test(Box<test::TestArgs>),
    /// Write down what policies ask of a cluster, for check --snapshot
    Snapshot(Box<snapshot::SnapshotArgs>),
    /// Write what the code knows of itself: reference pages, JSON Schemas, completions, man pages
    Docs(docs::DocsCommand),
}

/// Runs the command line. Exit codes: 0 clean, 1 violations, 2 could not run; a broken pipe is 0.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Serve(args) => serve::run(*args),
        Command::WebhookConfig(args) => webhook_config::run(*args),
        Command::Check(args) => check::run(*args),
        Command::Audit(args) => audit::run(&args),
        Command::Decisions(args) => decisions::run(&args),
        Command::Checklist(args) => checklist::run(&args),
        Command::Exemptions(args) => exemptions::run(&args),
        Command::Explain(args) => explain::run(*args),
        Command::Rollout(command) => rollout::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Lint(args) => lint::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Snapshot(args) => snapshot::run(*args),
        Command::Docs(command) => docs::run(command, &Cli::command()),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "seawall: {}", in_words(&error));
            ExitCode::from(2)
        }
    }
}

/// An error with its causes; one that the text above it tells already is not told twice.
fn in_words(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) { text } else { format!("{text}: {cause}") }
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(broken))
}
