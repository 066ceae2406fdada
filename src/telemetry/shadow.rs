//! Metrics of `serve --shadow`: live reviews compared with a candidate set. Policies and changes are bounded by the loaded sets;
//! no names of objects or namespaces.

use super::families::{Families, LabelSet, label_set};
use super::labels::{ReloadLabels, ReloadResult};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

label_set! {
    struct DifferenceLabels {
        policy: String,
        change: &'static str,
    }
}

label_set! {
    struct FailureLabels {
        reason: &'static str,
    }
}

/// The families.
#[derive(Debug, Default)]
pub struct ShadowMetrics {
    policies: Gauge,
    compared: Counter,
    differences: Family<DifferenceLabels, Counter>,
    dropped: Counter,
    failures: Family<FailureLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
}

impl ShadowMetrics {
    /// All families, registered.
    pub(super) fn register(registry: &mut Families) -> Self {
        let metrics = Self::default();
        registry.register(
            "shadow_policies_loaded",
            "Policies in the candidate set of --shadow; 0 without one",
            metrics.policies.clone(),
        );
        registry.register(
            "shadow_compared",
            "Reviews that were also judged by the candidate set",
            metrics.compared.clone(),
        );
        registry.register(
            "shadow_differences",
            "Changes that the candidate set would make to answers",
            metrics.differences.clone(),
        );
        registry.register(
            "shadow_dropped",
            "Reviews that were not compared because too many were waiting",
            metrics.dropped.clone(),
        );
        registry.register(
            "shadow_failures",
            "Reviews to which the candidate set as a whole gave no answer",
            metrics.failures.clone(),
        );
        registry.register("shadow_policy_reloads", "Attempts to load the candidate set", metrics.reloads.clone());
        metrics
    }

    /// A candidate set is compared from now on.
    pub fn loaded(&self, policies: usize) {
        self.policies.set(i64::try_from(policies).unwrap_or(i64::MAX));
        self.reloads.get_or_create(&ReloadLabels { result: ReloadResult::Success }).inc();
    }

    /// A changed candidate set was refused; the last good one is compared.
    pub fn refused(&self) {
        self.reloads.get_or_create(&ReloadLabels { result: ReloadResult::Failure }).inc();
    }

    /// A review was compared.
    pub fn compared(&self) {
        self.compared.inc();
    }

    /// One difference was found.
    pub fn difference(&self, policy: &str, change: &'static str) {
        self.differences.get_or_create(&DifferenceLabels { policy: policy.to_owned(), change }).inc();
    }

    /// A review was not compared.
    pub fn dropped(&self) {
        self.dropped.inc();
    }

    /// The candidate gave no answer: `panic`, `timeout`.
    pub fn failed(&self, reason: &'static str) {
        self.failures.get_or_create(&FailureLabels { reason }).inc();
    }
}
