//! What differs between two outcomes of one request.

use crate::decision::{Finding, PolicyFailure, Unknown, field_path, inline};
use crate::patch::plan::Change as Write;
use crate::policy::mode::Action;
use crate::review::Outcome;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What became of one violation, patch or answer of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// A violation that rejects now, and did not before.
    NewlyDenied,
    /// The policy has no answer any more: an error, a time-out, a result of the wrong shape, a patch that is dropped.
    NewlyFailing,
    /// A violation that rejected before.
    NoLongerDenied,
    /// A violation of which the user is told now.
    NewlyWarned,
    /// A violation of which the user was told before.
    NoLongerWarned,
    /// A violation that is recorded now.
    NewlyRecorded,
    /// A violation that was recorded before.
    NoLongerRecorded,
    /// A safe default that was not there.
    PatchAdded,
    /// A safe default that is no more.
    PatchRemoved,
    /// A safe default with another value, or permitted where it was not.
    PatchChanged,
    /// The policy has too few facts for an answer.
    NewlyUnknown,
    /// The policy has the facts that it needs.
    NoLongerUnknown,
    /// The policy has an answer again.
    NoLongerFailing,
    /// The same violation with the same action in other words.
    Message,
}

impl Change {
    /// As labels and JSON have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NewlyDenied => "newly-denied",
            Self::NewlyFailing => "newly-failing",
            Self::NoLongerDenied => "no-longer-denied",
            Self::NewlyWarned => "newly-warned",
            Self::NoLongerWarned => "no-longer-warned",
            Self::NewlyRecorded => "newly-recorded",
            Self::NoLongerRecorded => "no-longer-recorded",
            Self::PatchAdded => "patch-added",
            Self::PatchRemoved => "patch-removed",
            Self::PatchChanged => "patch-changed",
            Self::NewlyUnknown => "newly-unknown",
            Self::NoLongerUnknown => "no-longer-unknown",
            Self::NoLongerFailing => "no-longer-failing",
            Self::Message => "message",
        }
    }

    /// For a person.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Message => "message only".to_owned(),
            other => other.as_str().replace('-', " "),
        }
    }

    /// Whether it is about a safe default.
    #[must_use]
    pub const fn is_patch(self) -> bool {
        matches!(self, Self::PatchAdded | Self::PatchRemoved | Self::PatchChanged)
    }

    const fn newly(action: Action) -> Self {
        match action {
            Action::Deny => Self::NewlyDenied,
            Action::Warn => Self::NewlyWarned,
            Action::Audit | Action::Off => Self::NewlyRecorded,
        }
    }

    const fn no_longer(action: Action) -> Self {
        match action {
            Action::Deny => Self::NoLongerDenied,
            Action::Warn => Self::NoLongerWarned,
            Action::Audit | Action::Off => Self::NoLongerRecorded,
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Policy id.
    pub policy: String,
    /// What changed.
    pub change: Change,
    /// Field of the object as users write it; empty where no field is meant.
    pub field: String,
    /// The action before, where there was a violation or failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_action: Option<Action>,
    /// The action after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_action: Option<Action>,
    /// Words of before: message, value of the patch, reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// Words of after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// What the request as a whole comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Nothing is said.
    Allowed,
    /// The user is warned.
    Warned,
    /// It is rejected.
    Denied,
}

impl Decision {
    /// Of an outcome; of none at all (nobody judges) it is allowed.
    #[must_use]
    pub fn of(outcome: Option<&Outcome>) -> Self {
        let Some(outcome) = outcome else { return Self::Allowed };
        let warns = outcome.findings.iter().any(|f| f.effective == Action::Warn)
            || outcome.failures.iter().any(|f| f.effective == Action::Warn);
        match (outcome.denies(), warns) {
            (true, _) => Self::Denied,
            (false, true) => Self::Warned,
            (false, false) => Self::Allowed,
        }
    }
}

/// Which parts of the outcomes are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Violations, failures and unknown answers.
    Verdicts,
    /// Safe defaults.
    Patches,
    /// Both.
    All,
}

/// What came of comparing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// The differences, by policy.
    pub differences: Vec<Difference>,
    /// The decision before and after.
    pub decisions: (Decision, Decision),
    /// Policies that failed both times, with the reason of now: nothing can be said of them.
    pub failed_both: Vec<(String, String)>,
    /// Policies that had too few facts both times, with the kind that is missing.
    pub unknown_both: Vec<(String, String)>,
}

/// Compares two outcomes of one request. `None`: this side does not judge it.
#[must_use]
pub fn compare(old: Option<&Outcome>, new: Option<&Outcome>, parts: Parts) -> Compared {
    let mut compared = Compared {
        differences: Vec::new(),
        decisions: (Decision::of(old), Decision::of(new)),
        failed_both: Vec::new(),
        unknown_both: Vec::new(),
    };
    let silent = if parts == Parts::Patches { BTreeSet::new() } else { unanswered(old, new, &mut compared) };
    if parts != Parts::Patches {
        findings(old, new, &silent, &mut compared.differences);
    }
    if parts != Parts::Verdicts {
        patches(old, new, &silent, &mut compared.differences);
        dropped(old, new, &mut compared.differences);
    }
    let by = |d: &Difference| (d.policy.clone(), d.change, d.field.clone());
    compared.differences.sort_by(|a, b| by(a).cmp(&by(b)).then_with(|| (&a.old, &a.new).cmp(&(&b.old, &b.new))));
    compared
}

/// Failures and unknown answers. Returns the policies that have no answer on a side: what else they say there means nothing.
fn unanswered(old: Option<&Outcome>, new: Option<&Outcome>, compared: &mut Compared) -> BTreeSet<String> {
    let failures = |outcome: Option<&'_ Outcome>| -> BTreeMap<String, PolicyFailure> {
        outcome.into_iter().flat_map(|o| &o.failures).map(|f| (f.policy.clone(), f.clone())).collect()
    };
    let unknown = |outcome: Option<&'_ Outcome>| -> BTreeMap<String, Unknown> {
        outcome.into_iter().flat_map(|o| &o.unknown).map(|u| (u.policy.clone(), u.clone())).collect()
    };
    let (failing, failing_now) = (failures(old), failures(new));
    let (waiting, waiting_now) = (unknown(old), unknown(new));
    for (policy, failure) in &failing {
        if let Some(now) = failing_now.get(policy) {
            compared.failed_both.push((policy.clone(), now.reason.clone()));
        } else {
            compared.differences.push(Difference {
                old_action: Some(failure.effective),
                old: Some(failure.reason.clone()),
                ..Difference::new(policy, Change::NoLongerFailing)
            });
        }
    }
    for (policy, failure) in failing_now.iter().filter(|(policy, _)| !failing.contains_key(*policy)) {
        compared.differences.push(Difference {
            new_action: Some(failure.effective),
            new: Some(failure.reason.clone()),
            ..Difference::new(policy, Change::NewlyFailing)
        });
    }
    let missing = |u: &Unknown| format!("too little is known of {}", u.missing);
    for (policy, answer) in &waiting {
        if let Some(now) = waiting_now.get(policy) {
            compared.unknown_both.push((policy.clone(), now.missing.clone()));
        } else {
            let difference = Difference::new(policy, Change::NoLongerUnknown);
            compared.differences.push(Difference { old: Some(missing(answer)), ..difference });
        }
    }
    for (policy, answer) in waiting_now.iter().filter(|(policy, _)| !waiting.contains_key(*policy)) {
        let difference = Difference::new(policy, Change::NewlyUnknown);
        compared.differences.push(Difference { new: Some(missing(answer)), ..difference });
    }
    [failing, failing_now]
        .into_iter()
        .flat_map(BTreeMap::into_keys)
        .chain([waiting, waiting_now].into_iter().flat_map(BTreeMap::into_keys))
        .collect()
}

/// What both sides have, by policy and by key or pointer.
type Sides<'o, T> = BTreeMap<(&'o str, &'o str), (Vec<T>, Vec<T>)>;

/// What is left of two lists when equal members are paired off: the rest in pairs, in order.
fn unequal<T>(old: Vec<T>, mut new: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<(Option<T>, Option<T>)> {
    let mut left = Vec::new();
    for one in old {
        match new.iter().position(|other| same(&one, other)) {
            Some(position) => _ = new.remove(position),
            None => left.push(one),
        }
    }
    let length = left.len().max(new.len());
    let (mut left, mut new) = (left.into_iter(), new.into_iter());
    (0..length).map(|_| (left.next(), new.next())).collect()
}

fn findings(old: Option<&Outcome>, new: Option<&Outcome>, silent: &BTreeSet<String>, found: &mut Vec<Difference>) {
    // the same violation: same policy and same key, as for ratcheting
    let mut by_key: Sides<'_, &Finding> = BTreeMap::new();
    for finding in old.into_iter().flat_map(|o| &o.findings) {
        by_key.entry((&finding.policy, &finding.key)).or_default().0.push(finding);
    }
    for finding in new.into_iter().flat_map(|o| &o.findings) {
        by_key.entry((&finding.policy, &finding.key)).or_default().1.push(finding);
    }
    for ((policy, _), (old, new)) in by_key {
        if silent.contains(policy) {
            continue;
        }
        let same = |a: &&Finding, b: &&Finding| a.effective == b.effective && a.line() == b.line();
        for pair in unequal(old, new, same) {
            found.push(finding(policy, pair));
        }
    }
}

fn finding(policy: &str, (old, new): (Option<&Finding>, Option<&Finding>)) -> Difference {
    let field = new.or(old).map(|f| field_path(&f.path)).unwrap_or_default();
    let change = match (old.map(|f| f.effective), new.map(|f| f.effective)) {
        (Some(old), Some(new)) if old == new => Change::Message,
        (Some(old), Some(new)) if old > new => Change::no_longer(old),
        (_, Some(new)) => Change::newly(new),
        (Some(old), None) => Change::no_longer(old),
        (None, None) => Change::Message,
    };
    // where the action changes the message alone is enough; where only words change, all of them may be what changed
    let words = |f: &Finding| match change {
        Change::Message => f.line().trim_start_matches(&format!("[{policy}] ")).to_owned(),
        _ => f.message.trim().to_owned(),
    };
    Difference {
        field,
        old_action: old.map(|f| f.effective),
        new_action: new.map(|f| f.effective),
        old: old.map(words),
        new: new.map(words),
        ..Difference::new(policy, change)
    }
}

/// What a policy writes at a pointer.
#[derive(PartialEq)]
struct Patched<'o> {
    /// None: it is removed.
    to: Option<&'o Value>,
    permitted: bool,
}

impl Patched<'_> {
    fn words(&self) -> String {
        let value = self.to.map_or_else(|| "removed".to_owned(), inline);
        if self.permitted { value } else { format!("{value} (only proposed here)") }
    }
}

fn patches(old: Option<&Outcome>, new: Option<&Outcome>, silent: &BTreeSet<String>, found: &mut Vec<Difference>) {
    let writes = |outcome: Option<&'_ Outcome>| -> Vec<(Write, bool)> {
        let of =
            |list: &[Write], permitted: bool| list.iter().cloned().map(move |w| (w, permitted)).collect::<Vec<_>>();
        outcome
            .into_iter()
            .flat_map(|o| of(&o.patch.applied, true).into_iter().chain(of(&o.patch.proposed, false)))
            .collect()
    };
    let (before, after) = (writes(old), writes(new));
    let mut by_pointer: Sides<'_, Patched<'_>> = BTreeMap::new();
    for (write, permitted) in &before {
        let patched = Patched { to: write.to.as_ref(), permitted: *permitted };
        by_pointer.entry((&write.policy, &write.pointer)).or_default().0.push(patched);
    }
    for (write, permitted) in &after {
        let patched = Patched { to: write.to.as_ref(), permitted: *permitted };
        by_pointer.entry((&write.policy, &write.pointer)).or_default().1.push(patched);
    }
    for ((policy, pointer), (old, new)) in by_pointer {
        if silent.contains(policy) {
            continue;
        }
        for (old, new) in unequal(old, new, PartialEq::eq) {
            let change = match (&old, &new) {
                (None, _) => Change::PatchAdded,
                (_, None) => Change::PatchRemoved,
                _ => Change::PatchChanged,
            };
            found.push(Difference {
                field: pointer.to_owned(),
                old: old.map(|p| p.words()),
                new: new.map(|p| p.words()),
                ..Difference::new(policy, change)
            });
        }
    }
}

/// Patches that could not be merged or applied on one side only.
fn dropped(old: Option<&Outcome>, new: Option<&Outcome>, found: &mut Vec<Difference>) {
    let of = |outcome: Option<&'_ Outcome>| -> BTreeMap<String, String> {
        let dropped = outcome.into_iter().flat_map(|o| &o.patch.dropped);
        dropped.flat_map(|d| d.policies.iter().map(|p| (p.clone(), format!("no patch: {}", d.reason)))).collect()
    };
    let (before, after) = (of(old), of(new));
    for (policy, reason) in before.iter().filter(|(policy, _)| !after.contains_key(*policy)) {
        found.push(Difference { old: Some(reason.clone()), ..Difference::new(policy, Change::NoLongerFailing) });
    }
    for (policy, reason) in after.iter().filter(|(policy, _)| !before.contains_key(*policy)) {
        found.push(Difference { new: Some(reason.clone()), ..Difference::new(policy, Change::NewlyFailing) });
    }
}

impl Difference {
    /// Whether more is said than before.
    #[must_use]
    pub const fn is_newly(&self) -> bool {
        matches!(self.change, Change::NewlyDenied | Change::NewlyWarned | Change::NewlyRecorded)
    }

    fn new(policy: &str, change: Change) -> Self {
        let (field, old, new) = (String::new(), None, None);
        Self { policy: policy.to_owned(), change, field, old_action: None, new_action: None, old, new }
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
