//! Metrics of the continuous audit. Of several replicas the one that audits has them; the others show zero, so that sums and
//! maxima over all replicas are right. No names of objects or namespaces: per workload there are the reports.

use super::families::{Families, LabelSet, label_set};
use super::labels::{AuditEvent, AuditPass, ReportWrite};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

label_set! {
    struct ViolationLabels {
        policy: String,
        mode: &'static str,
        tier: &'static str,
    }
}

label_set! {
    struct PassLabels {
        result: AuditPass,
    }
}

label_set! {
    struct WriteLabels {
        verb: ReportWrite,
    }
}

label_set! {
    struct EventLabels {
        result: AuditEvent,
    }
}

/// The families.
#[derive(Debug, Default)]
pub struct AuditMetrics {
    auditing: Gauge,
    violations: Family<ViolationLabels, Gauge>,
    objects: Gauge,
    judged: Counter,
    calls: Counter,
    passes: Family<PassLabels, Counter>,
    last_complete: Gauge,
    duration: Gauge<f64, AtomicU64>,
    incomplete: Gauge,
    report_writes: Family<WriteLabels, Counter>,
    report_bytes: Counter,
    events: Family<EventLabels, Counter>,
}

/// Violations of one sort.
#[derive(Debug, Clone, Copy)]
pub struct AuditViolations<'a> {
    /// Policy id.
    pub policy: &'a str,
    /// Mode of the namespaces.
    pub mode: &'static str,
    /// Tier of the objects.
    pub tier: &'static str,
    /// How many.
    pub count: u64,
}

impl AuditMetrics {
    /// The families, registered.
    #[must_use]
    pub(super) fn register(registry: &mut Families) -> Self {
        let metrics = Self::default();
        registry.register("audit_auditing", "1 on the replica that audits", metrics.auditing.clone());
        registry.register(
            "audit_violations",
            "Violations of stored objects now, without those that are exempt",
            metrics.violations.clone(),
        );
        registry.register("audit_objects", "Stored objects that the audit knows", metrics.objects.clone());
        registry.register("audit_objects_judged", "Objects that the audit judged", metrics.judged.clone());
        registry.register("audit_list_calls", "Calls by which the audit listed the cluster", metrics.calls.clone());
        registry.register("audit_passes", "Passes over the whole cluster", metrics.passes.clone());
        registry.register(
            "audit_last_complete_pass_timestamp_seconds",
            "When a pass last saw everything; 0 before the first of this replica",
            metrics.last_complete.clone(),
        );
        registry.register("audit_pass_duration_seconds", "Time that the last pass took", metrics.duration.clone());
        registry.register(
            "audit_incomplete",
            "1 when the last pass could not see or judge everything; the log names what",
            metrics.incomplete.clone(),
        );
        registry.register("audit_report_writes", "Reports written to the cluster", metrics.report_writes.clone());
        registry.register(
            "audit_report_written_bytes",
            "Length of the reports that were created or changed, as JSON",
            metrics.report_bytes.clone(),
        );
        registry.register("audit_events", "Events about violations that came or went", metrics.events.clone());
        metrics
    }

    /// Whether this replica audits. One that does not has no violations to show.
    pub fn set_auditing(&self, auditing: bool) {
        self.auditing.set(i64::from(auditing));
        if !auditing {
            self.violations.clear();
            self.objects.set(0);
            self.incomplete.set(0);
            self.last_complete.set(0);
        }
    }

    /// What is known now.
    pub fn set_violations<'a>(&self, objects: usize, violations: impl IntoIterator<Item = AuditViolations<'a>>) {
        self.objects.set(i64::try_from(objects).unwrap_or(i64::MAX));
        self.violations.clear();
        for AuditViolations { policy, mode, tier, count } in violations {
            let labels = ViolationLabels { policy: policy.to_owned(), mode, tier };
            self.violations.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Objects were judged.
    pub fn record_judged(&self, objects: u64) {
        self.judged.inc_by(objects);
    }

    /// A pass ended. `at`: Unix seconds.
    pub fn record_pass(&self, result: AuditPass, took: Duration, calls: u64, at: i64) {
        self.passes.get_or_create(&PassLabels { result }).inc();
        self.calls.inc_by(calls);
        self.incomplete.set(i64::from(result != AuditPass::Complete));
        self.duration.set(took.as_secs_f64());
        if result == AuditPass::Complete {
            self.last_complete.set(at);
        }
    }

    /// A report was written, or could not be.
    pub fn record_report(&self, verb: ReportWrite, bytes: u64) {
        self.report_writes.get_or_create(&WriteLabels { verb }).inc();
        self.report_bytes.inc_by(bytes);
    }

    /// An Event was sent, or not.
    pub fn record_event(&self, result: AuditEvent) {
        self.events.get_or_create(&EventLabels { result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Metrics;
    use crate::telemetry::audit::AuditViolations;
    use crate::telemetry::labels::{AuditEvent, AuditPass, ReportWrite};
    use std::time::Duration;

    #[test]
    fn what_is_gone_is_not_shown_and_a_replica_that_does_not_audit_shows_nothing() {
        let metrics = Metrics::new();
        let of = |policy, count| AuditViolations { policy, mode: "warn", tier: "tier-1", count };
        metrics.audit.set_auditing(true);
        metrics.audit.set_violations(7, [of("a", 2), of("b", 1)]);
        metrics.audit.set_violations(6, [of("a", 3)]);
        metrics.audit.record_judged(5);
        metrics.audit.record_pass(AuditPass::Complete, Duration::from_secs(2), 9, 1_700_000_000);
        metrics.audit.record_pass(AuditPass::Incomplete, Duration::from_secs(3), 1, 1_700_000_100);
        metrics.audit.record_report(ReportWrite::Create, 10);
        metrics.audit.record_event(AuditEvent::Suppressed);
        let text = metrics.encode().unwrap();
        for line in [
            "seawall_audit_violations{policy=\"a\",mode=\"warn\",tier=\"tier-1\"} 3",
            "seawall_audit_objects 6",
            "seawall_audit_objects_judged_total 5",
            "seawall_audit_list_calls_total 10",
            "seawall_audit_passes_total{result=\"incomplete\"} 1",
            "seawall_audit_last_complete_pass_timestamp_seconds 1700000000",
            "seawall_audit_pass_duration_seconds 3.0",
            "seawall_audit_incomplete 1",
            "seawall_audit_report_writes_total{verb=\"create\"} 1",
            "seawall_audit_report_written_bytes_total 10",
            "seawall_audit_events_total{result=\"suppressed\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("policy=\"b\""), "{text}");
        metrics.audit.set_auditing(false);
        let text = metrics.encode().unwrap();
        assert!(!text.contains("policy=\"a\"") && text.contains("seawall_audit_auditing 0"), "{text}");
    }
}
