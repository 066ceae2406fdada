//! Is the process alive, may it get traffic, and why not.
//!
//! [`Readiness`] is a set of named conditions. Whoever owns a condition sets it, from any thread; the admin port only
//! reads. A condition can be *degraded*: the replica keeps its traffic (a last good policy set still decides), but the
//! detail says what is wrong, for the person who looks.
//!
//! Liveness knows nothing of this on purpose: a kubelet that restarts a process over a bad policy set makes two faults
//! out of one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::Serialize;

use crate::certs::{self, Reports};
use crate::telemetry::Metrics;

/// The policy set: failed until one is loaded, degraded while a newer one is refused.
pub const POLICIES: &str = "policies";
/// The serving certificate: failed without a valid one, degraded while a newer one is refused.
pub const CERTIFICATE: &str = "certificate";
/// The watch caches that loaded policies declare.
pub const CONTEXT: &str = "context";
/// Failed from the first termination signal on.
pub const SHUTDOWN: &str = "shutdown";

/// The state of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// As it should be.
    Ok,
    /// Still fit for traffic; the detail says what an operator should look at.
    Degraded(String),
    /// Not fit for traffic; the detail says why.
    Failed(String),
}

impl Condition {
    fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded(_) => "degraded",
            Self::Failed(_) => "failed",
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Self::Ok => None,
            Self::Degraded(detail) | Self::Failed(detail) => Some(detail),
        }
    }
}

/// The conditions of this replica; cheap to clone, all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    conditions: Arc<RwLock<BTreeMap<&'static str, (Condition, Timestamp)>>>,
}

impl Readiness {
    /// A set in which each of `expected` is failed until its owner says otherwise, so that a part that never starts
    /// cannot be forgotten.
    #[must_use]
    pub fn expecting(expected: &[&'static str]) -> Self {
        let readiness = Self::default();
        for name in expected {
            readiness.set(name, Condition::Failed("not there yet".to_owned()));
        }
        readiness
    }

    /// Sets a condition. A change between ok, degraded and failed is logged; a new detail alone is not.
    pub fn set(&self, name: &'static str, condition: Condition) {
        let mut conditions = self.conditions.write().unwrap_or_else(PoisonError::into_inner);
        let previous = conditions.get(name);
        if previous.is_some_and(|(old, _)| *old == condition) {
            return;
        }
        let same_word = previous.filter(|(old, _)| old.word() == condition.word());
        let since = same_word.map_or_else(Timestamp::now, |(_, since)| *since);
        if same_word.is_none() {
            let (state, detail) = (condition.word(), condition.detail());
            match condition {
                Condition::Ok => tracing::info!(condition = name, state, "readiness"),
                _ => tracing::warn!(condition = name, state, detail, "readiness"),
            }
        }
        conditions.insert(name, (condition, since));
    }

    /// Where a source of certificates reports to, so that [`CERTIFICATE`] follows it.
    #[must_use]
    pub fn certificate_reports(&self, metrics: Arc<Metrics>) -> Reports {
        let readiness = self.clone();
        Reports::new(metrics, move |status| {
            let condition = match status {
                certs::Status::Ok => Condition::Ok,
                certs::Status::Degraded(detail) => Condition::Degraded(detail),
                certs::Status::Failed(detail) => Condition::Failed(detail),
            };
            readiness.set(CERTIFICATE, condition);
        })
    }

    /// The state of one condition; `None` if nobody has ever set it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Condition> {
        let conditions = self.conditions.read().unwrap_or_else(PoisonError::into_inner);
        conditions.get(name).map(|(condition, _)| condition.clone())
    }

    /// Whether no condition is failed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let conditions = self.conditions.read().unwrap_or_else(PoisonError::into_inner);
        !conditions.values().any(|(condition, _)| matches!(condition, Condition::Failed(_)))
    }

    /// Everything, as `/readyz` shows it.
    #[must_use]
    pub fn report(&self) -> Report {
        let conditions = self.conditions.read().unwrap_or_else(PoisonError::into_inner);
        let checks: Vec<Check> = conditions
            .iter()
            .map(|(name, (condition, since))| Check {
                name,
                status: condition.word(),
                detail: condition.detail().map(str::to_owned),
                since: *since,
            })
            .collect();
        let status = ["failed", "degraded"]
            .into_iter()
            .find(|word| checks.iter().any(|check| check.status == *word))
            .unwrap_or("ok");
        Report { status, checks }
    }
}

/// The body of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The worst of the checks: `ok`, `degraded` or `failed`.
    pub status: &'static str,
    /// All conditions in alphabetical order.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether this replica should get traffic.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status != "failed"
    }
}

/// One condition in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// `ok`, `degraded` or `failed`.
    pub status: &'static str,
    /// What is wrong, when something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Since when it has this status (RFC 3339, UTC).
    #[serde(serialize_with = "as_text")]
    pub since: Timestamp,
}

fn as_text<S: serde::Serializer>(since: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_and_never_set_is_not_ready() {
        let readiness = Readiness::expecting(&[POLICIES, CERTIFICATE]);
        readiness.set(POLICIES, Condition::Ok);
        assert!(!readiness.is_ready());
        readiness.set(CERTIFICATE, Condition::Ok);
        assert!(readiness.is_ready());
        assert_eq!(readiness.report().status, "ok");
    }

    #[test]
    fn degraded_keeps_the_traffic_and_tells() {
        let readiness = Readiness::expecting(&[POLICIES]);
        readiness.set(POLICIES, Condition::Degraded("the set of 10:00 does not compile".to_owned()));
        let report = readiness.report();
        assert!(readiness.is_ready() && report.is_ready());
        assert_eq!(report.status, "degraded");
        assert_eq!(report.checks[0].detail.as_deref(), Some("the set of 10:00 does not compile"));
        readiness.set(SHUTDOWN, Condition::Failed("terminating".to_owned()));
        assert_eq!(readiness.report().status, "failed");
    }

    #[test]
    fn since_is_when_the_status_changed_not_the_detail() {
        let readiness = Readiness::default();
        readiness.set(CONTEXT, Condition::Failed("1 of 3 synced".to_owned()));
        let first = readiness.report().checks[0].since;
        std::thread::sleep(std::time::Duration::from_millis(5));
        readiness.set(CONTEXT, Condition::Failed("2 of 3 synced".to_owned()));
        assert_eq!(readiness.report().checks[0].since, first);
        assert_eq!(readiness.get(CONTEXT), Some(Condition::Failed("2 of 3 synced".to_owned())));
        readiness.set(CONTEXT, Condition::Ok);
        assert!(readiness.report().checks[0].since > first);
    }
}
