//! `seawall policy new`: a folder with a policy that works, to be changed into the one that is wanted.

use crate::authoring::ask::Talk;
use crate::authoring::plan::{Given, Plan};
use crate::authoring::write::{Written, write};
use crate::policy::bundle::Bundle;
use anyhow::Context as _;
use clap::Args;
use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `policy new`. What is left out is asked on a terminal, and defaulted elsewhere.
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Id of the policy: kebab-case, as owner-label
    #[arg(value_name = "ID")]
    id: String,
    /// Folder of your policies, as check and serve take it with --policies; made where there is none
    #[arg(long, value_name = "FOLDER", default_value = "policies")]
    folder: PathBuf,
    /// Title, one line
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What it is about: statefulsets, storageclasses, …; custom kinds as backups.velero.io/v1; may be repeated
    #[arg(long, value_name = "RESOURCE")]
    resource: Vec<String>,
    /// On which operations: CREATE,UPDATE,DELETE
    #[arg(long, value_name = "LIST")]
    operations: Option<String>,
    /// The checklist item that it serves
    #[arg(long, value_name = "ITEM")]
    checklist: Option<String>,
    /// How bad a violation is: critical, high, medium, low
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    /// Actions for tier-0 to tier-3, for example Deny,Warn,Warn,Audit; one for all
    #[arg(long, value_name = "LIST")]
    actions: Option<String>,
    /// Also make a rule that writes a safe default
    #[arg(long)]
    patch: bool,
    /// Ask nothing, also on a terminal
    #[arg(long)]
    no_input: bool,
}

/// Makes it. Exit codes: 0 made, 2 when it cannot be.
pub(super) fn run(args: NewArgs) -> anyhow::Result<ExitCode> {
    let embedded = Bundle::embedded().context("the embedded policies cannot be read")?;
    let ids = embedded.modules.keys().filter_map(|package| package.strip_prefix("seawall.policies."));
    let ids: BTreeSet<String> = ids.map(|id| id.replace('_', "-")).collect();
    let given = Given {
        id: args.id,
        title: args.title,
        resources: args.resource,
        operations: args.operations,
        checklist: args.checklist,
        severity: args.severity,
        actions: args.actions,
        patch: args.patch,
    };
    let (mut answers, mut questions) = (io::stdin().lock(), io::stderr());
    let asks = !args.no_input && answers.is_terminal() && questions.is_terminal();
    let terminal = asks.then_some((&mut answers as &mut dyn BufRead, &mut questions as &mut dyn Write));
    let mut talk = Talk { terminal, assumed: Vec::new() };
    let plan = Plan::settle(&given, &ids, &mut talk)?;
    let assumed = std::mem::take(&mut talk.assumed);
    let written = write(&args.folder, &plan)?;
    if !assumed.is_empty() {
        writeln!(io::stderr(), "not given, so taken: {}", assumed.join(" "))?;
    }
    tell(&args.folder, &written, &plan, &mut io::stdout().lock())?;
    Ok(ExitCode::SUCCESS)
}

/// What was made and what comes next.
fn tell(root: &std::path::Path, written: &Written, plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let (root, folder) = (root.display(), written.folder.display());
    writeln!(out, "{folder}")?;
    for (file, about) in [
        ("policy.rego", "METADATA and the rules: change these"),
        ("policy_test.rego", "tests of the rules"),
        ("README.md", "the page for the person whose object is rejected"),
    ] {
        writeln!(out, "  {file:<18} {about}")?;
    }
    writeln!(out, "  {:<18} {} objects with the verdicts expected", "cases/", written.cases)?;
    let first = "cases/without_owner/input.yaml";
    writeln!(out, "\nIt works as it is. Next:")?;
    writeln!(out, "  seawall test {root} --run {}", plan.id)?;
    writeln!(out, "  seawall check --policies {root} --policies-only {folder}/{first}")?;
    writeln!(out, "  opa test -b {root}")
}
