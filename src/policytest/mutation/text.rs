//! What mutation found, for a person.

use super::{Mutated, Mutation, Survivor};
use std::io::{self, Write};

/// Longest text of a change that is shown.
const SHOWN: usize = 160;

/// Writes the survivors, and the score. Those with a reason are counted only.
///
/// # Errors
/// When it cannot be written.
pub fn write(mutation: &Mutation, out: &mut dyn Write) -> io::Result<()> {
    for policy in &mutation.policies {
        for Survivor { mutant, .. } in policy.survivors.iter().filter(|survivor| survivor.reason.is_none()) {
            writeln!(
                out,
                "{}:{}: {}: nothing notices this change of {}",
                policy.file, mutant.line, policy.name, mutant.rule
            )?;
            writeln!(out, "  was:     {}", cut(&mutant.was))?;
            writeln!(out, "  becomes: {}", cut(&mutant.becomes))?;
        }
    }
    let open: Vec<&Mutated> =
        mutation.policies.iter().filter(|policy| policy.survivors.iter().any(|s| s.reason.is_none())).collect();
    if !open.is_empty() {
        writeln!(
            out,
            "\nA case or test for each of them would fail with the change. What nothing can notice belongs into mutants.yaml"
        )?;
        writeln!(out, "beside the policy, with a reason (docs/mutation.md).\n")?;
    }
    let (all, killed) = mutation.counted();
    let invalid: usize = mutation.policies.iter().map(|policy| policy.invalid).sum();
    let open = mutation.unexplained();
    let explained = all - killed - open;
    writeln!(
        out,
        "{all} changes of {} policies: {killed} noticed ({}), {explained} not, with a reason, {open} not, without one; {invalid} more do not load",
        mutation.policies.len(),
        percent(killed, all),
    )
}

/// One digit, rounded down: 89.99 is not 90.
fn percent(part: usize, all: usize) -> String {
    let tenths = (part * 1000).checked_div(all).unwrap_or(1000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN { text.to_owned() } else { text.chars().take(SHOWN).collect::<String>() + " ..." }
}
