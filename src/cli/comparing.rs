//! Flags that `policy diff` and `replay` share, and what both do with a comparison.

use super::cluster::{ClusterArgs, block_on};
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{self, Context};
use crate::context::cluster::NAMESPACES;
use crate::context::manifest::Known;
use crate::context::read::{Wanted, read};
use crate::policy::mode::Tier;
use crate::policy::store::PolicySet;
use crate::policydiff::sets::{SetChanges, Side};
use crate::policydiff::tally::Tally;
use crate::policydiff::{Report, json, markdown, text};
use crate::report::Failure;
use crate::report::text::Style;
use anyhow::bail;
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, IsTerminal as _, Read, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// What is known besides what is judged, and what holds instead of labels.
#[derive(Debug, Args)]
pub(super) struct ContextArgs {
    /// What is known of the cluster but not judged: a file of `seawall snapshot`, or manifests; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    /// tier-0 to tier-3 where nothing raises it [default: that of the configuration, tier-2]
    #[arg(long, value_name = "TIER", value_parser = Tier::from_label)]
    pub(super) tier: Option<Tier>,
}

/// How to print.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// Objects that are named for each policy, change and namespace; all are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub(super) examples: usize,
    /// Also show where only the words of a message change
    #[arg(long, short)]
    pub(super) verbose: bool,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// A comment on a pull request
    Markdown,
}

/// What makes the exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Any change, as of `diff`
    Any,
    /// A violation that rejects now and did not
    NewlyDenied,
    /// Nothing
    Never,
}

impl ContextArgs {
    /// Reads what is known. `live`: also the cluster that was named; what may not be listed as a whole is looked for in the
    /// namespaces of `fallback`.
    pub(super) fn read(
        &self,
        live: bool,
        sets: &[&PolicySet],
        fallback: BTreeSet<String>,
        stdin: &mut dyn Read,
        now: jiff::Timestamp,
    ) -> anyhow::Result<Context> {
        let mut context = Context { files: Input::read(&self.snapshot, stdin, Budget::default()), cluster: None };
        if live {
            let mut kinds: BTreeSet<String> =
                sets.iter().flat_map(|set| set.needed_context().keys().cloned()).collect();
            kinds.insert(NAMESPACES.to_owned());
            let wanted = Wanted { kinds, fallback, ..Wanted::default() };
            context.cluster = Some(block_on(async {
                let client = self.cluster.client().await?;
                Ok(read(&client, &wanted, now).await?)
            })?);
        }
        Ok(context)
    }

    /// The same for what is judged without other manifests: facts, what could not be read, notes.
    pub(super) fn known(
        &self,
        live: bool,
        sets: &[&PolicySet],
        stdin: &mut dyn Read,
        now: jiff::Timestamp,
    ) -> anyhow::Result<(Arc<Known>, Vec<Failure>, Vec<String>)> {
        let context = self.read(live, sets, BTreeSet::new(), stdin, now)?;
        let Some(set) = sets.last() else { bail!("no policies") };
        let check::Knowledge { known, errors, mut notes, .. } = check::knowledge(context, set, "default");
        for kind in sets.iter().flat_map(|set| set.needed_context().keys()).collect::<BTreeSet<_>>() {
            if let Some(reason) = known.coverage().and_then(|coverage| coverage.gap(kind)) {
                notes.push(format!("{kind}: {reason}; policies that need it answer unknown"));
            }
        }
        Ok((Arc::new(known), errors, notes))
    }
}

/// Colours on a terminal only.
pub(super) fn style() -> Style {
    let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style { colour }
}

/// Prints a comparison and says what it makes of the exit code: 0 no change, 1 change, 2 incomplete.
pub(super) fn finish(
    (old, new): (&Side, &Side),
    objects: Option<&Tally>,
    output: &OutputArgs,
    fail_on: FailOn,
) -> anyhow::Result<ExitCode> {
    let sets = SetChanges::of(old, new);
    let report = Report { old, new, sets: &sets, objects, verbose: output.verbose };
    let mut stderr = io::stderr().lock();
    for note in objects.into_iter().flat_map(|tally| &tally.notes) {
        writeln!(stderr, "note: {note}")?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    match output.format {
        Format::Text => text::write(&report, style(), &mut out)?,
        Format::Json => json::write(&report, &mut out)?,
        Format::Markdown => markdown::write(&report, &mut out)?,
    }
    out.flush()?;
    let complete = objects.is_none_or(Tally::is_complete);
    let fails = match (fail_on, objects) {
        (FailOn::Never, _) => false,
        (FailOn::NewlyDenied, tally) => tally.is_some_and(Tally::newly_denies),
        (FailOn::Any, Some(tally)) => tally.has_changes(),
        (FailOn::Any, None) => !sets.is_empty(),
    };
    Ok(ExitCode::from(match (complete, fails) {
        (false, _) => 2,
        (true, true) => 1,
        (true, false) => 0,
    }))
}
