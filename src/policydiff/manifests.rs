//! Manifests, judged by each set as `check` judges them: each set's safe defaults count for the objects beside them.

use super::change::{Decision, Parts, compare};
use super::sets::Side;
use super::tally::{Subject, Tally};
use crate::check::input::Input;
use crate::check::{Context, Options, observed};
use crate::context::scope::deciding_namespace;
use crate::engine::evaluate::Worker;
use crate::report::Failure;
use crate::report::observer::{Observer, Reviewed};
use crate::review::Outcome;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Where an object stands: file, line, column, which together name it for both runs.
type Key = (String, usize, usize);

/// Keeps what came of every object.
#[derive(Default)]
struct Keeping {
    seen: Vec<(Key, Subject, Outcome)>,
}

impl Observer for Keeping {
    fn reviewed(&mut self, reviewed: &Reviewed<'_>, _: &mut Worker) {
        let (key, subject) = (key(reviewed), subject(reviewed));
        let mut outcome = reviewed.outcome.clone();
        // what the policies said is all that is compared
        outcome.patch.object = None;
        outcome.patch.operations = json_patch::Patch(Vec::new());
        self.seen.push((key, subject, outcome));
    }
}

fn key(reviewed: &Reviewed<'_>) -> Key {
    reviewed.source.map(|s| (s.file.clone(), s.line, s.column)).unwrap_or_default()
}

fn subject(reviewed: &Reviewed<'_>) -> Subject {
    let request = reviewed.request;
    let own =
        |pointer: &str| request.object().and_then(|o| o.pointer(pointer)?.as_str()).unwrap_or_default().to_owned();
    Subject {
        kind: request.kind.kind.clone(),
        namespace: own("/metadata/namespace"),
        name: request.object_name().to_owned(),
        operation: None,
        source: reviewed.source.map(|s| format!("{}:{}", s.file, s.line)).unwrap_or_default(),
        judged_in: deciding_namespace(request).unwrap_or_default(),
    }
}

/// Compares over an input; objects of `context` are only known.
///
/// # Errors
/// Never here; the type is that of who looks on.
pub fn compare_manifests(
    input: Input,
    context: Context,
    (old, new): (&Side, &Side),
    options: &Options,
    now: jiff::Timestamp,
    tally: &mut Tally,
) -> io::Result<()> {
    let (mut before, mut after) = (Keeping::default(), Keeping::default());
    let (again, known) = (input.clone(), context.clone());
    let first = observed(again, known, &old.set, &old.settings, options, now, &mut before)?;
    let second = observed(input, context, &new.set, &new.settings, options, now, &mut after)?;
    let mut notes = BTreeSet::new();
    for note in first.notes.into_iter().chain(second.notes) {
        if notes.insert(note.clone()) {
            tally.notes.push(note);
        }
    }
    // what cannot be read is told once; policies that fail are compared
    let mut unread: Vec<Failure> = Vec::new();
    for error in first.errors.into_iter().chain(second.errors).filter(|error| error.policy.is_none()) {
        if !unread.contains(&error) {
            unread.push(error);
        }
    }
    unread.into_iter().for_each(|error| tally.fail(error));
    let mut before: BTreeMap<Key, (Subject, Outcome)> =
        before.seen.into_iter().map(|(key, subject, outcome)| (key, (subject, outcome))).collect();
    for (key, subject, outcome) in after.seen {
        let old = before.remove(&key).map(|(_, outcome)| outcome);
        tally.add(&subject, compare(old.as_ref(), Some(&outcome), Parts::All));
    }
    for (subject, outcome) in before.into_values() {
        let compared = compare(Some(&outcome), None, Parts::All);
        debug_assert_eq!(compared.decisions.1, Decision::Allowed);
        tally.add(&subject, compared);
    }
    Ok(())
}
