//! One set over recorded reviews: what it decides, and where that differs from what was answered when they were recorded.

use super::change::Decision;
use super::replay::subject;
use super::reviews::{Recorded, Recording};
use super::tally::Subject;
use crate::admission::pointer::to_pointer;
use crate::admission::request::Request;
use crate::policy::mode::Action;
use crate::report::Failure;
use crate::review::{Outcome, Phase};
use crate::server::answer;
use base64::Engine as _;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Errors that are kept word by word.
const ERRORS: usize = 50;

/// Beginnings of what only the mutating webhook says.
const MUTATING: [&str; 3] = ["seawall set ", "seawall put back ", "seawall did not set "];

/// What one policy says to all reviews.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Violations that reject.
    pub deny: u64,
    /// Violations that warn.
    pub warn: u64,
    /// Violations that are recorded.
    pub audit: u64,
    /// Safe defaults that are written.
    pub patched: u64,
    /// Reviews for which it had too few facts.
    pub unknown: u64,
    /// Reviews on which it failed.
    pub failed: u64,
}

/// A part of an answer that is not as it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// Which part: `allowed`, `status.message`, `warnings`, `patch`, `violations`.
    pub part: String,
    /// What was recorded, a line each.
    pub recorded: Vec<String>,
    /// What it is now.
    pub now: Vec<String>,
}

/// A review with another answer than was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Different {
    /// The review.
    #[serde(flatten)]
    pub subject: Subject,
    /// What differs.
    pub deviations: Vec<Deviation>,
}

/// All reviews.
#[derive(Debug, Clone, Default)]
pub struct Replayed {
    /// Reviews that were judged.
    pub reviews: u64,
    /// Of them, rejected.
    pub denied: u64,
    /// Allowed with a warning.
    pub warned: u64,
    /// Allowed without.
    pub allowed: u64,
    /// With safe defaults written.
    pub patched: u64,
    /// By policy.
    pub policies: BTreeMap<String, Counts>,
    /// With a recorded answer.
    pub compared: u64,
    /// With another answer than was recorded.
    pub different: u64,
    /// The first of them.
    pub differences: Vec<Different>,
    /// What could not be read, the first ones.
    pub errors: Vec<Failure>,
    /// All of them.
    pub error_count: u64,
    /// What a person should know, a line each.
    pub notes: Vec<String>,
    examples: usize,
}

impl Replayed {
    /// Nothing yet; so many differences are kept.
    #[must_use]
    pub fn new(examples: usize) -> Self {
        Self { examples, ..Self::default() }
    }

    /// Keeps what could not be read.
    pub fn fail(&mut self, failure: Failure) {
        self.error_count += 1;
        if self.errors.len() < ERRORS {
            self.errors.push(failure);
        }
    }

    /// Whether everything was read and every policy answered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.error_count == 0 && self.policies.values().all(|counts| counts.failed == 0)
    }

    /// Judges a recording and counts it.
    pub(super) fn add(&mut self, recording: &Recording, judge: &mut dyn FnMut(Phase) -> Outcome) {
        let outcome = judge(Phase::Full);
        self.count(&outcome);
        let Some(recorded) = &recording.recorded else { return };
        let deviations = match recorded {
            Recorded::Response(response) => of_response(response, &recording.request, judge),
            Recorded::Violations { policy, paths, all } => {
                violations(policy, paths, *all, &judge(Phase::Validate)).into_iter().collect()
            }
        };
        self.compared += 1;
        if !deviations.is_empty() {
            self.different += 1;
            if self.differences.len() < self.examples {
                self.differences.push(Different { subject: subject(recording), deviations });
            }
        }
    }

    fn count(&mut self, outcome: &Outcome) {
        self.reviews += 1;
        match Decision::of(Some(outcome)) {
            Decision::Denied => self.denied += 1,
            Decision::Warned => self.warned += 1,
            Decision::Allowed => self.allowed += 1,
        }
        self.patched += u64::from(!outcome.patch.applied.is_empty());
        let mut of = |policy: &str, add: &dyn Fn(&mut Counts)| add(self.policies.entry(policy.to_owned()).or_default());
        for finding in &outcome.findings {
            of(&finding.policy, &|counts| match finding.effective {
                Action::Deny => counts.deny += 1,
                Action::Warn => counts.warn += 1,
                Action::Audit | Action::Off => counts.audit += 1,
            });
        }
        outcome.patch.applied.iter().for_each(|change| of(&change.policy, &|counts| counts.patched += 1));
        outcome.unknown.iter().for_each(|unknown| of(&unknown.policy, &|counts| counts.unknown += 1));
        outcome.failures.iter().for_each(|failure| of(&failure.policy, &|counts| counts.failed += 1));
    }
}

/// What one policy found, against what it had found.
fn violations(policy: &str, paths: &BTreeSet<String>, all: bool, outcome: &Outcome) -> Option<Deviation> {
    let own = outcome.findings.iter().filter(|f| f.policy == policy && (all || f.in_enforce == Action::Deny));
    let now: BTreeSet<String> = own.map(|f| to_pointer(&f.path)).collect();
    let unknown = outcome.unknown.iter().any(|u| u.policy == policy);
    if now == *paths || unknown {
        // what was known of the cluster is not recorded, so no answer is no other answer
        return None;
    }
    let sorted = |paths: &BTreeSet<String>| paths.iter().cloned().collect();
    Some(Deviation { part: format!("violations of {policy}"), recorded: sorted(paths), now: sorted(&now) })
}

/// The answer of the webhook that answered, against what it had answered.
fn of_response(recorded: &Value, request: &Request, judge: &mut dyn FnMut(Phase) -> Outcome) -> Vec<Deviation> {
    let warnings = warnings(recorded);
    // a validating webhook never patches, a mutating one says what it did
    let mutating = recorded.get("patch").is_some_and(|patch| !patch.is_null())
        || warnings.iter().any(|warning| MUTATING.iter().any(|start| warning.starts_with(start)));
    let response = if mutating {
        answer::mutating(request, &judge(Phase::Mutate))
    } else {
        answer::validating(request, &judge(Phase::Validate))
    };
    // what serde makes of our own type is always a value
    let now = serde_json::to_value(response).unwrap_or_default();
    let mut deviations = Vec::new();
    let mut part = |name: &str, of: &dyn Fn(&Value) -> Vec<String>| {
        let (recorded, now) = (of(recorded), of(&now));
        if recorded != now {
            deviations.push(Deviation { part: name.to_owned(), recorded, now });
        }
    };
    part("allowed", &|response| vec![response.get("allowed").unwrap_or(&Value::Bool(false)).to_string()]);
    part("status.code", &|response| response.pointer("/status/code").map(Value::to_string).into_iter().collect());
    part("status.message", &|response| {
        let message = response.pointer("/status/message").and_then(Value::as_str).unwrap_or_default();
        message.lines().map(str::to_owned).collect()
    });
    part("warnings", &self::warnings);
    part("patch", &patch);
    deviations
}

fn warnings(response: &Value) -> Vec<String> {
    let warnings = response.get("warnings").and_then(Value::as_array).into_iter().flatten();
    let warnings: BTreeSet<&str> = warnings.filter_map(Value::as_str).collect();
    warnings.into_iter().map(str::to_owned).collect()
}

/// The operations, a line each; what cannot be read stands as it is.
fn patch(response: &Value) -> Vec<String> {
    let Some(text) = response.get("patch").and_then(Value::as_str) else { return Vec::new() };
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok();
    let operations = bytes.and_then(|bytes| serde_json::from_slice::<Vec<Value>>(&bytes).ok());
    operations.map_or_else(|| vec![text.to_owned()], |operations| operations.iter().map(line).collect())
}

/// Keys in one order, whoever wrote them.
fn line(operation: &Value) -> String {
    let of = |key: &str| operation.get(key).and_then(Value::as_str).unwrap_or_default();
    let value = operation.get("value").map(|value| format!(" {value}")).unwrap_or_default();
    format!("{} {}{value}", of("op"), of("path"))
}
