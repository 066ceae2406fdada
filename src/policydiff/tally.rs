//! Counts changes by policy and namespace. Memory grows with policies and namespaces, never with objects: of each group only
//! the first examples are kept.

use super::change::{Change, Compared, Decision, Difference};
use crate::report::Failure;
use crate::report::coverage::Missing;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Errors that are kept word by word.
const ERRORS: usize = 50;

/// Which object was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Kind.
    pub kind: String,
    /// Its namespace; empty for what has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What was asked; only for reviews, the rest is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// File and line; empty for a cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The namespace whose labels decide; empty: none does.
    #[serde(skip)]
    pub judged_in: String,
}

/// An object and what changed for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Example {
    /// The object.
    #[serde(flatten)]
    pub subject: Subject,
    /// What changed.
    #[serde(flatten)]
    pub difference: Difference,
}

/// One kind of change by one policy in one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Changes.
    pub changes: u64,
    /// Objects that have one.
    pub objects: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// What one namespace meets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Radius {
    /// Objects that were judged.
    pub judged: u64,
    /// Objects for which anything but words changes.
    pub changed: u64,
    /// Objects with another decision.
    pub decisions: u64,
    /// Objects that are rejected now.
    pub newly_denied: u64,
    /// Objects that were rejected before.
    pub no_longer_denied: u64,
    /// Objects that are allowed with a warning and were without.
    pub newly_warned: u64,
    /// Objects that are allowed without a warning and were with one.
    pub no_longer_warned: u64,
    /// Objects with other safe defaults.
    pub patches: u64,
}

impl Radius {
    fn add(&mut self, compared: &Compared) {
        let any = |wanted: fn(Change) -> bool| compared.differences.iter().any(|d| wanted(d.change));
        self.judged += 1;
        self.changed += u64::from(any(|change| change != Change::Message));
        self.patches += u64::from(any(Change::is_patch));
        let (old, new) = compared.decisions;
        self.decisions += u64::from(old != new);
        match (old, new) {
            (Decision::Denied, Decision::Denied) => {}
            (_, Decision::Denied) => self.newly_denied += 1,
            (Decision::Denied, _) => self.no_longer_denied += 1,
            (Decision::Allowed, Decision::Warned) => self.newly_warned += 1,
            (Decision::Warned, Decision::Allowed) => self.no_longer_warned += 1,
            (Decision::Allowed, Decision::Allowed) | (Decision::Warned, Decision::Warned) => {}
        }
    }
}

/// Something that is the same on both sides and hides what could change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Hidden {
    /// Objects.
    pub objects: u64,
    /// The reason for the first of them, or the kind that is missing.
    pub reason: String,
}

/// Key of a group: policy, change, namespace.
pub type Key = (String, Change, String);

/// All that was counted.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Groups by policy, then change, then namespace.
    pub groups: BTreeMap<Key, Group>,
    /// By the namespace whose labels decide; `""`: what has none.
    pub namespaces: BTreeMap<String, Radius>,
    /// Policies that failed on both sides.
    pub failed_both: BTreeMap<String, Hidden>,
    /// Policies without facts on both sides.
    pub unknown_both: BTreeMap<String, Hidden>,
    /// What could not be read, the first ones.
    pub errors: Vec<Failure>,
    /// All of them.
    pub error_count: u64,
    /// Parts of a cluster that were not seen.
    pub missing: Vec<Missing>,
    /// What a person should know, a line each.
    pub notes: Vec<String>,
    examples: usize,
}

impl Tally {
    /// Nothing counted yet; of each group so many examples are kept.
    #[must_use]
    pub fn new(examples: usize) -> Self {
        Self { examples, ..Self::default() }
    }

    /// Counts one object.
    pub fn add(&mut self, subject: &Subject, compared: Compared) {
        let namespace = &subject.judged_in;
        if let Some(radius) = self.namespaces.get_mut(namespace) {
            radius.add(&compared);
        } else {
            self.namespaces.entry(namespace.clone()).or_default().add(&compared);
        }
        for (policy, reason) in compared.failed_both {
            let hidden = self.failed_both.entry(policy).or_insert_with(|| Hidden { objects: 0, reason });
            hidden.objects += 1;
        }
        for (policy, reason) in compared.unknown_both {
            let hidden = self.unknown_both.entry(policy).or_insert_with(|| Hidden { objects: 0, reason });
            hidden.objects += 1;
        }
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        for difference in compared.differences {
            let key = (difference.policy.clone(), difference.change, namespace.clone());
            let group = self.groups.entry(key.clone()).or_default();
            group.changes += 1;
            group.objects += u64::from(seen.insert(key));
            if group.examples.len() < self.examples {
                group.examples.push(Example { subject: subject.clone(), difference });
            }
        }
    }

    /// Keeps what could not be read.
    pub fn fail(&mut self, failure: Failure) {
        self.error_count += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(failure);
        }
    }

    /// The numbers of all namespaces together.
    #[must_use]
    pub fn total(&self) -> Radius {
        self.namespaces.values().fold(Radius::default(), |sum, one| Radius {
            judged: sum.judged + one.judged,
            changed: sum.changed + one.changed,
            decisions: sum.decisions + one.decisions,
            newly_denied: sum.newly_denied + one.newly_denied,
            no_longer_denied: sum.no_longer_denied + one.no_longer_denied,
            newly_warned: sum.newly_warned + one.newly_warned,
            no_longer_warned: sum.no_longer_warned + one.no_longer_warned,
            patches: sum.patches + one.patches,
        })
    }

    /// Whether everything was read, and every policy answered on at least one side.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error_count == 0 && self.missing.is_empty() && self.failed_both.is_empty()
    }

    /// Whether anything changes, words included.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Whether a violation rejects that did not, or a policy fails whose failure rejects.
    #[must_use]
    pub fn newly_denies(&self) -> bool {
        self.total().newly_denied > 0 || self.groups.keys().any(|(_, change, _)| *change == Change::NewlyDenied)
    }
}
