//! Every Prometheus metric of the program, registered in one place.
//!
//! Labels are enums, or strings from a bounded set: policy ids come from the loaded policies, resources only from the
//! list given to [`Metrics::set_known_resources`], because whoever reaches the port could otherwise make a new time
//! series with each request. No names of objects or namespaces, ever.
//!
//! Units: every duration is in seconds; a `_timestamp_seconds` is Unix time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;

use super::audit::AuditMetrics;
use super::families::{Described, Families};
use super::labels::{
    AdmissionLabels, CertificateKind, CertificateLabels, ConnectionEnd, ConnectionEndLabels, DropReason,
    DroppedPatchLabels, ExemptionLabels, ExemptionSource, FailureLabels, FailureReason, HandshakeFailure,
    HandshakeLabels, ListenerLabels, Operation, Outcome, PolicyLabels, PolicySetLabels, ReloadLabels, ReloadResult,
    ResourceLabels, ViolationAction, ViolationLabels, Webhook, WebhookLabels,
};
use super::shadow::ShadowMetrics;

/// The content type of [`Metrics::encode`]'s text.
/// Source: OpenMetrics 1.0, section "Negotiation".
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a resource outside the known list is called.
const OTHER: &str = "other";

/// Longest digest or revision in a label, in characters.
const LONGEST_LABEL: usize = 128;

/// Upper bounds, in seconds: the decision is expected near 1 ms, the API server waits 10 s by default, 30 s at most.
const SECONDS: [f64; 15] =
    [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Clone)]
struct SecondsHistogram;

impl MetricConstructor<Histogram> for SecondsHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

type HistogramFamily<L> = Family<L, Histogram, SecondsHistogram>;

/// One answered admission request.
#[derive(Debug, Clone, Copy)]
pub struct ReviewSample<'a> {
    /// The endpoint it came to.
    pub webhook: Webhook,
    /// What the user did.
    pub operation: Operation,
    /// Plural resource with its subresource (`statefulsets`, `statefulsets/scale`); unknown ones are counted as `other`.
    pub resource: &'a str,
    /// What we answered.
    pub outcome: Outcome,
    /// From the last byte of the request's header to the answer.
    pub duration: Duration,
}

/// The registry and all its families. Share it in an [`Arc`]; every method takes `&self` and is cheap.
#[derive(Debug)]
pub struct Metrics {
    registry: Families,
    known_resources: ArcSwap<BTreeSet<String>>,
    /// When a watch was last known to be good. `None`: expected, but never synced.
    context: Mutex<BTreeMap<String, Option<Instant>>>,

    admission_requests: Family<AdmissionLabels, Counter>,
    admission_duration: HistogramFamily<WebhookLabels>,
    queue: Histogram,
    evaluation: HistogramFamily<PolicyLabels>,
    failures: Family<FailureLabels, Counter>,
    violations: Family<ViolationLabels, Counter>,
    would_deny: Family<PolicyLabels, Counter>,
    would_patch: Family<PolicyLabels, Counter>,
    exemptions: Family<ExemptionLabels, Counter>,
    break_glass: Family<PolicyLabels, Counter>,
    patches: Family<PolicyLabels, Counter>,
    dropped_patches: Family<DroppedPatchLabels, Counter>,
    disagreements: Family<PolicyLabels, Counter>,
    policies_loaded: Gauge,
    policies_loaded_at: Gauge,
    policy_reloads: Family<ReloadLabels, Counter>,
    policy_pulls: Family<ReloadLabels, Counter>,
    policy_set: Family<PolicySetLabels, Gauge>,
    certificate_not_after: Family<CertificateLabels, Gauge>,
    certificate_reloads: Family<ReloadLabels, Counter>,
    certificate_in_bundle: Gauge,
    context_synced: Family<ResourceLabels, Gauge>,
    context_staleness: Family<ResourceLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    connections: Family<ListenerLabels, Gauge>,
    connection_ends: Family<ConnectionEndLabels, Counter>,
    handshake_failures: Family<HandshakeLabels, Counter>,
    panics: Counter,
    /// Those of the continuous audit.
    pub audit: AuditMetrics,
    /// Those of `--shadow`.
    pub shadow: ShadowMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All families, registered, with nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Families::new("seawall");
        let mut metrics = Self {
            registry: Families::new("seawall"),
            known_resources: ArcSwap::default(),
            context: Mutex::default(),
            admission_requests: Family::default(),
            admission_duration: Family::new_with_constructor(SecondsHistogram),
            queue: SecondsHistogram.new_metric(),
            evaluation: Family::new_with_constructor(SecondsHistogram),
            failures: Family::default(),
            violations: Family::default(),
            would_deny: Family::default(),
            would_patch: Family::default(),
            exemptions: Family::default(),
            break_glass: Family::default(),
            patches: Family::default(),
            dropped_patches: Family::default(),
            disagreements: Family::default(),
            policies_loaded: Gauge::default(),
            policies_loaded_at: Gauge::default(),
            policy_reloads: Family::default(),
            policy_pulls: Family::default(),
            policy_set: Family::default(),
            certificate_not_after: Family::default(),
            certificate_reloads: Family::default(),
            certificate_in_bundle: Gauge::default(),
            context_synced: Family::default(),
            context_staleness: Family::default(),
            connections: Family::default(),
            connection_ends: Family::default(),
            handshake_failures: Family::default(),
            panics: Counter::default(),
            audit: AuditMetrics::register(&mut registry),
            shadow: ShadowMetrics::register(&mut registry),
        };
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", version);
        registry.register("admission_requests", "Admission requests answered", metrics.admission_requests.clone());
        registry.register(
            "admission_duration_seconds",
            "Time from the header of an admission request to its answer",
            metrics.admission_duration.clone(),
        );
        registry.register("queue_seconds", "Time that a review waited for a worker thread", metrics.queue.clone());
        registry.register(
            "policy_evaluation_seconds",
            "Time that one policy took for one object",
            metrics.evaluation.clone(),
        );
        registry.register("policy_failures", "Policies that gave no usable result", metrics.failures.clone());
        registry.register("violations", "Violations by the action taken on them", metrics.violations.clone());
        registry.register(
            "would_deny",
            "Violations that only the mode of their namespace kept from being rejected",
            metrics.would_deny.clone(),
        );
        registry.register(
            "would_patch",
            "Safe defaults that mode or patch setting kept from being written",
            metrics.would_patch.clone(),
        );
        registry.register(
            "exemptions_used",
            "Policies that were not enforced because an exemption spared the object",
            metrics.exemptions.clone(),
        );
        registry.register(
            "break_glass",
            "Policies whose denial a break-glass group was let through",
            metrics.break_glass.clone(),
        );
        registry.register("patches", "Safe defaults written", metrics.patches.clone());
        registry.register(
            "dropped_patches",
            "Patches of a policy that were not written",
            metrics.dropped_patches.clone(),
        );
        registry.register(
            "engine_disagreements",
            "Live samples in which compiled and interpreted policy differed; the policy was moved to the interpreter",
            metrics.disagreements.clone(),
        );
        registry.register("policies_loaded", "Policies in the set that is serving", metrics.policies_loaded.clone());
        registry.register(
            "policies_loaded_timestamp_seconds",
            "When the policy set that is serving was loaded",
            metrics.policies_loaded_at.clone(),
        );
        registry.register("policy_reloads", "Attempts to load a policy set", metrics.policy_reloads.clone());
        registry.register(
            "policy_pulls",
            "Times that the registry was asked for the policy set",
            metrics.policy_pulls.clone(),
        );
        registry.register(
            "policy_set",
            "1 for the policy set that is serving: digest of its bundle, revision of its manifest",
            metrics.policy_set.clone(),
        );
        registry.register(
            "certificate_not_after_timestamp_seconds",
            "When the certificate ends",
            metrics.certificate_not_after.clone(),
        );
        registry.register(
            "certificate_reloads",
            "Attempts to take a new serving certificate",
            metrics.certificate_reloads.clone(),
        );
        registry.register(
            "certificate_in_bundle",
            "1 when the served certificate verifies against the caBundle that was last read back from the cluster",
            metrics.certificate_in_bundle.clone(),
        );
        registry.register(
            "context_synced",
            "1 when the watch of this kind has delivered its first full list",
            metrics.context_synced.clone(),
        );
        registry.register(
            "context_staleness_seconds",
            "Time since the watch of this kind was last known to be good",
            metrics.context_staleness.clone(),
        );
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("connections_closed", "Connections by what ended them", metrics.connection_ends.clone());
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed, by reason",
            metrics.handshake_failures.clone(),
        );
        registry.register(
            "handler_panics",
            "Requests answered with 500 because their handler panicked",
            metrics.panics.clone(),
        );
        metrics.registry = registry;
        metrics
    }

    /// Says which resources may appear as labels: those that the loaded policies match, with subresources.
    pub fn set_known_resources(&self, resources: impl IntoIterator<Item = String>) {
        self.known_resources.store(Arc::new(resources.into_iter().collect()));
    }

    /// Counts one answered request and its duration.
    pub fn record_review(&self, sample: &ReviewSample<'_>) {
        let known = self.known_resources.load();
        let resource = if known.contains(sample.resource) { sample.resource } else { OTHER };
        self.admission_requests
            .get_or_create(&AdmissionLabels {
                webhook: sample.webhook,
                operation: sample.operation,
                resource: resource.to_owned(),
                outcome: sample.outcome,
            })
            .inc();
        self.admission_duration
            .get_or_create(&WebhookLabels { webhook: sample.webhook })
            .observe(sample.duration.as_secs_f64());
    }

    /// Time that a review waited before a worker thread took it.
    pub fn record_queue(&self, waited: Duration) {
        self.queue.observe(waited.as_secs_f64());
    }

    /// Time that one policy took for one object.
    pub fn record_evaluation(&self, policy: &str, took: Duration) {
        self.evaluation.get_or_create(&PolicyLabels::new(policy)).observe(took.as_secs_f64());
    }

    /// A policy gave no usable result.
    pub fn record_policy_failure(&self, policy: &str, reason: FailureReason) {
        self.failures.get_or_create(&FailureLabels { policy: policy.to_owned(), reason }).inc();
    }

    /// A violation, with the action that mode, tier and ratcheting left of it.
    pub fn record_violation(&self, policy: &str, action: ViolationAction) {
        self.violations.get_or_create(&ViolationLabels { policy: policy.to_owned(), action }).inc();
    }

    /// A violation that would be rejected, were the mode enforce.
    pub fn record_would_deny(&self, policy: &str) {
        self.would_deny.get_or_create(&PolicyLabels::new(policy)).inc();
    }

    /// A safe default that was wanted and not permitted.
    pub fn record_would_patch(&self, policy: &str) {
        self.would_patch.get_or_create(&PolicyLabels::new(policy)).inc();
    }

    /// An exemption spared an object from a policy.
    pub fn record_exemption(&self, policy: &str, source: ExemptionSource) {
        self.exemptions.get_or_create(&ExemptionLabels { policy: policy.to_owned(), source }).inc();
    }

    /// A break-glass group was let through where a policy denies.
    pub fn record_break_glass(&self, policy: &str) {
        self.break_glass.get_or_create(&PolicyLabels::new(policy)).inc();
    }

    /// The patches of a policy were written into an object.
    pub fn record_patch(&self, policy: &str) {
        self.patches.get_or_create(&PolicyLabels::new(policy)).inc();
    }

    /// The patches of a policy were dropped; its violations stay.
    pub fn record_dropped_patch(&self, policy: &str, reason: DropReason) {
        self.dropped_patches.get_or_create(&DroppedPatchLabels { policy: policy.to_owned(), reason }).inc();
    }

    /// A live sample gave another result in the interpreter.
    pub fn record_disagreement(&self, policy: &str) {
        self.disagreements.get_or_create(&PolicyLabels::new(policy)).inc();
    }

    /// A policy set was loaded and is serving. `loaded_at`: Unix seconds.
    pub fn record_policies_loaded(&self, policies: usize, loaded_at: i64) {
        self.policies_loaded.set(i64::try_from(policies).unwrap_or(i64::MAX));
        self.policies_loaded_at.set(loaded_at);
        self.policy_reloads.get_or_create(&ReloadLabels { result: ReloadResult::Success }).inc();
    }

    /// A policy set was refused; the last good one goes on serving.
    pub fn record_policies_refused(&self) {
        self.policy_reloads.get_or_create(&ReloadLabels { result: ReloadResult::Failure }).inc();
    }

    /// The registry was asked for the policy set, and answered or not.
    pub fn record_policy_pull(&self, answered: bool) {
        let result = if answered { ReloadResult::Success } else { ReloadResult::Failure };
        self.policy_pulls.get_or_create(&ReloadLabels { result }).inc();
    }

    /// Which policy set is serving; there is never more than one series.
    pub fn set_policy_set(&self, digest: &str, revision: &str) {
        let short = |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST_LABEL).collect();
        self.policy_set.clear();
        self.policy_set.get_or_create(&PolicySetLabels { digest: short(digest), revision: short(revision) }).set(1);
    }

    /// A serving certificate was taken. `not_after`: Unix seconds.
    pub fn record_certificate(&self, not_after: i64) {
        self.set_certificate_end(CertificateKind::Leaf, not_after);
        self.certificate_reloads.get_or_create(&ReloadLabels { result: ReloadResult::Success }).inc();
    }

    /// A serving certificate was refused; the old one stays.
    pub fn record_certificate_refused(&self) {
        self.certificate_reloads.get_or_create(&ReloadLabels { result: ReloadResult::Failure }).inc();
    }

    /// When a certificate ends, in Unix seconds.
    pub fn set_certificate_end(&self, kind: CertificateKind, not_after: i64) {
        self.certificate_not_after.get_or_create(&CertificateLabels { certificate: kind }).set(not_after);
    }

    /// Whether the served certificate verifies against the `caBundle` read back from the cluster.
    pub fn set_certificate_in_bundle(&self, verifies: bool) {
        self.certificate_in_bundle.set(i64::from(verifies));
    }

    /// A kind (`storageclasses`, `services`, …) will be watched; it counts as not synced until [`Self::context_good`].
    pub fn expect_context(&self, kind: &str) {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        context.entry(kind.to_owned()).or_insert(None);
    }

    /// The watch of this kind is synced and was good just now: call it on each event, bookmark and finished list.
    pub fn context_good(&self, kind: &str) {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        context.insert(kind.to_owned(), Some(Instant::now()));
    }

    /// This kind is no longer watched.
    pub fn forget_context(&self, kind: &str) {
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        context.remove(kind);
        let labels = ResourceLabels { resource: kind.to_owned() };
        self.context_synced.remove(&labels);
        self.context_staleness.remove(&labels);
    }

    /// A connection was opened on this listener.
    pub fn connection_opened(&self, listener: &'static str) {
        self.connections.get_or_create(&ListenerLabels { listener }).inc();
    }

    /// A connection that was counted by [`Self::connection_opened`] is gone.
    pub fn connection_closed(&self, listener: &'static str, end: ConnectionEnd) {
        self.connections.get_or_create(&ListenerLabels { listener }).dec();
        self.connection_ends.get_or_create(&ConnectionEndLabels { listener, end }).inc();
    }

    /// A TLS handshake failed.
    pub fn record_handshake_failure(&self, reason: HandshakeFailure) {
        self.handshake_failures.get_or_create(&HandshakeLabels { reason }).inc();
    }

    /// A handler panicked and its request was answered with 500.
    pub fn record_panic(&self) {
        self.panics.inc();
    }

    /// The whole registry in OpenMetrics text, content type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Only if a metric cannot be formatted, which would be a fault of this module.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        self.refresh_context();
        let mut text = String::new();
        encode(&mut text, self.registry.registry())?;
        Ok(text)
    }

    /// What there is to see: every family with its labels, also those that have nothing to show yet.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        self.registry.described()
    }

    /// Staleness grows while nothing happens, so it is worked out when somebody looks.
    fn refresh_context(&self) {
        let context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, last_good) in context.iter() {
            let labels = ResourceLabels { resource: kind.clone() };
            self.context_synced.get_or_create(&labels).set(i64::from(last_good.is_some()));
            if let Some(at) = last_good {
                self.context_staleness.get_or_create(&labels).set(at.elapsed().as_secs_f64());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(resource: &str) -> ReviewSample<'_> {
        ReviewSample {
            webhook: Webhook::Enforce,
            operation: Operation::Create,
            resource,
            outcome: Outcome::Deny,
            duration: Duration::from_micros(300),
        }
    }

    #[test]
    fn a_review_is_counted_with_its_labels() {
        let metrics = Metrics::new();
        metrics.set_known_resources(["statefulsets".to_owned()]);
        metrics.record_review(&sample("statefulsets"));
        metrics.record_review(&sample("statefulsets"));
        let text = metrics.encode().unwrap();
        let line = "seawall_admission_requests_total{webhook=\"enforce\",operation=\"CREATE\",\
                    resource=\"statefulsets\",outcome=\"deny\"} 2";
        assert!(text.contains(line), "{text}");
        assert!(
            text.contains("seawall_admission_duration_seconds_bucket{le=\"0.00025\",webhook=\"enforce\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("seawall_admission_duration_seconds_bucket{le=\"0.0005\",webhook=\"enforce\"} 2"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn made_up_resources_cannot_make_new_series() {
        let metrics = Metrics::new();
        metrics.set_known_resources(["statefulsets".to_owned()]);
        for number in 0..1000 {
            metrics.record_review(&sample(&format!("made-up-{number}")));
        }
        let text = metrics.encode().unwrap();
        assert!(text.contains("resource=\"other\",outcome=\"deny\"} 1000"), "{text}");
        assert!(!text.contains("made-up"));
    }

    #[test]
    fn staleness_is_that_of_the_moment_and_unsynced_kinds_show() {
        let metrics = Metrics::new();
        metrics.expect_context("services");
        metrics.expect_context("nodes");
        metrics.context_good("nodes");
        // expecting it again (a reload of policies) does not undo the sync
        metrics.expect_context("nodes");
        std::thread::sleep(Duration::from_millis(20));
        let text = metrics.encode().unwrap();
        assert!(text.contains("seawall_context_synced{resource=\"services\"} 0"), "{text}");
        assert!(text.contains("seawall_context_synced{resource=\"nodes\"} 1"), "{text}");
        assert!(!text.contains("seawall_context_staleness_seconds{resource=\"services\"}"));
        let staleness: f64 = text
            .lines()
            .find_map(|line| line.strip_prefix("seawall_context_staleness_seconds{resource=\"nodes\"} "))
            .unwrap()
            .parse()
            .unwrap();
        assert!((0.02..5.0).contains(&staleness), "{staleness}");
        metrics.forget_context("nodes");
        assert!(!metrics.encode().unwrap().contains("nodes"));
    }

    #[test]
    fn every_recorder_reaches_its_own_family() {
        let metrics = Metrics::new();
        metrics.record_queue(Duration::from_millis(3));
        metrics.record_evaluation("p", Duration::from_millis(1));
        metrics.record_policy_failure("p", FailureReason::Timeout);
        metrics.record_violation("p", ViolationAction::Warn);
        metrics.record_patch("p");
        metrics.record_dropped_patch("p", DropReason::NoFixpoint);
        metrics.record_disagreement("p");
        metrics.record_policies_loaded(16, 1_700_000_000);
        metrics.record_policies_refused();
        metrics.record_certificate(1_800_000_000);
        metrics.record_certificate_refused();
        metrics.set_certificate_end(CertificateKind::Ca, 1_900_000_000);
        metrics.set_certificate_in_bundle(true);
        metrics.connection_opened("admission");
        metrics.connection_opened("admission");
        metrics.connection_closed("admission", ConnectionEnd::IdleTimeout);
        metrics.record_handshake_failure(HandshakeFailure::Timeout);
        metrics.record_panic();
        let text = metrics.encode().unwrap();
        for line in [
            "seawall_build_info{version=",
            "seawall_queue_seconds_bucket{le=\"0.0025\"} 0",
            "seawall_queue_seconds_bucket{le=\"0.005\"} 1",
            "seawall_policy_evaluation_seconds_count{policy=\"p\"} 1",
            "seawall_policy_failures_total{policy=\"p\",reason=\"timeout\"} 1",
            "seawall_violations_total{policy=\"p\",action=\"warn\"} 1",
            "seawall_patches_total{policy=\"p\"} 1",
            "seawall_dropped_patches_total{policy=\"p\",reason=\"no_fixpoint\"} 1",
            "seawall_engine_disagreements_total{policy=\"p\"} 1",
            "seawall_policies_loaded 16",
            "seawall_policies_loaded_timestamp_seconds 1700000000",
            "seawall_policy_reloads_total{result=\"success\"} 1",
            "seawall_policy_reloads_total{result=\"failure\"} 1",
            "seawall_certificate_not_after_timestamp_seconds{certificate=\"leaf\"} 1800000000",
            "seawall_certificate_not_after_timestamp_seconds{certificate=\"ca\"} 1900000000",
            "seawall_certificate_reloads_total{result=\"success\"} 1",
            "seawall_certificate_reloads_total{result=\"failure\"} 1",
            "seawall_certificate_in_bundle 1",
            "seawall_connections{listener=\"admission\"} 1",
            "seawall_connections_closed_total{listener=\"admission\",end=\"idle_timeout\"} 1",
            "seawall_tls_handshake_failures_total{reason=\"timeout\"} 1",
            "seawall_handler_panics_total 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
