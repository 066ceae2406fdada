//! PolicyReports and Events in the cluster: what has to be written is written, at a bounded rate, while this replica is the one
//! that audits.

use super::Tenure;
use super::memory::{Announcement, Memory, Order, ReportKey};
use crate::audit::stream::Budget;
use crate::kubeapi::{Reason, is_status, within};
use crate::report::policyreport::{self, Flavour};
use crate::telemetry::Metrics;
use crate::telemetry::labels::{AuditEvent, ReportWrite};
use kube::Client;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::core::params::ListParams;
use kube::core::{ApiResource, DynamicObject, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(30);
/// Events in [`EVENTS_WITHIN`], at most.
const EVENTS: usize = 100;
/// See [`EVENTS`].
const EVENTS_WITHIN: Duration = Duration::from_secs(300);
/// Bytes of the note of an Event, at most (k8s.io/kubernetes `pkg/apis/core/validation/events.go`: 1 kB).
const NOTE: usize = 1000;
/// Who reports, in Events.
const CONTROLLER: &str = "seawall.dev/audit";

/// Writes what the audit orders.
pub(super) struct Writer {
    pub(super) client: Client,
    /// Reports of which group; none when they are not wanted.
    pub(super) flavour: Option<Flavour>,
    /// Whether Events are wanted.
    pub(super) events: bool,
    /// The name of this replica.
    pub(super) pod: String,
    pub(super) budget: Budget,
    pub(super) tenure: Tenure,
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) metrics: Arc<Metrics>,
    /// When Events were sent.
    pub(super) sent: Mutex<VecDeque<Instant>>,
    /// What was wrong last, so that it is logged once.
    pub(super) problem: Mutex<Option<String>>,
}

/// The reports that are there, as far as a list of metadata tells.
#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    /// `null` when there are none.
    items: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Item {
    metadata: ItemMeta,
}

#[derive(Deserialize)]
struct ItemMeta {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

impl Writer {
    /// The reports that the cluster has from us; `None` when it has no such kind, or none are wanted.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(super) async fn existing(&self) -> Result<Option<BTreeMap<ReportKey, String>>, kube::Error> {
        let Some(flavour) = self.flavour else { return Ok(None) };
        let mut reports = BTreeMap::new();
        let selector = format!("{}={}", policyreport::MANAGED_BY.0, policyreport::MANAGED_BY.1);
        for namespaced in [true, false] {
            let path = format!("/apis/{}/{}/{}", flavour.group(), flavour.version(), flavour.plural(namespaced));
            let first = ListParams::default().labels(&selector).limit(crate::context::list::PAGE);
            let mut params = first.clone();
            loop {
                self.budget.call().await;
                // hashes are labels, so that reports need not be read
                let request = Request::new(&path).list_metadata(&params).map_err(kube::Error::BuildRequest)?;
                // as text: kube logs what it cannot read
                let text = match within(REQUEST, self.client.request_text(request)).await {
                    Err(error) if is_status(&error, 404) => return Ok(None),
                    answer => answer?,
                };
                let page: Page = serde_json::from_str(&text).map_err(kube::Error::SerdeError)?;
                for Item { metadata: ItemMeta { namespace, name, mut labels } } in page.items.unwrap_or_default() {
                    let hash = labels.remove(policyreport::HASH).unwrap_or_default();
                    reports.insert((namespace, name), hash);
                }
                if page.metadata.next.is_empty() {
                    break;
                }
                params = first.clone().continue_token(&page.metadata.next);
            }
        }
        Ok(Some(reports))
    }

    /// Does what is ordered. What fails is told, and ordered again by the next pass.
    pub(super) async fn execute(&self, order: Order) {
        if !self.tenure.holds() {
            return;
        }
        match order {
            Order::Report { key, hash, body } => self.report(key, hash, &body).await,
            Order::Remove(key) => self.remove(key).await,
            Order::Announce(announcement) => self.announce(&announcement).await,
        }
    }

    fn api(&self, namespace: &str) -> Option<Api<DynamicObject>> {
        let flavour = self.flavour?;
        let namespaced = !namespace.is_empty();
        let resource = ApiResource {
            group: flavour.group().to_owned(),
            version: flavour.version().to_owned(),
            api_version: format!("{}/{}", flavour.group(), flavour.version()),
            kind: flavour.kind(namespaced).to_owned(),
            plural: flavour.plural(namespaced).to_owned(),
        };
        Some(if namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        } else {
            Api::all_with(self.client.clone(), &resource)
        })
    }

    async fn report(&self, key: ReportKey, hash: String, body: &Value) {
        let (Some(api), (namespace, name)) = (self.api(&key.0), &key) else { return };
        let there = self.memory().has_report(&key);
        let create = async || {
            let object: DynamicObject = serde_json::from_value(body.clone()).map_err(kube::Error::SerdeError)?;
            self.budget.call().await;
            within(REQUEST, api.create(&PostParams::default(), &object)).await.map(|_| ReportWrite::Create)
        };
        let change = async || {
            let mut body = body.clone();
            if let Some(metadata) = body.pointer_mut("/metadata").and_then(Value::as_object_mut) {
                // a merge patch leaves what it does not name
                metadata.entry("annotations").or_insert_with(|| json!({ policyreport::LEFT_OUT: null }));
            }
            self.budget.call().await;
            let patch = Patch::Merge(&body);
            within(REQUEST, api.patch(name, &PatchParams::default(), &patch)).await.map(|_| ReportWrite::Update)
        };
        // the list of reports may be older than what others did to them since
        let written = if there {
            match change().await {
                Err(error) if is_status(&error, 404) => create().await,
                answer => answer,
            }
        } else {
            match create().await {
                Err(error) if is_status(&error, 409) => change().await,
                answer => answer,
            }
        };
        match written {
            Ok(verb) => {
                self.metrics.audit.record_report(verb, body.to_string().len() as u64);
                self.memory().wrote(key, Some(hash));
            }
            Err(error) => self.failed(namespace, &error),
        }
    }

    async fn remove(&self, key: ReportKey) {
        let Some(api) = self.api(&key.0) else { return };
        self.budget.call().await;
        match within(REQUEST, api.delete(&key.1, &DeleteParams::default())).await {
            Err(error) if !is_status(&error, 404) => self.failed(&key.0, &error),
            _ => {
                self.metrics.audit.record_report(ReportWrite::Delete, 0);
                self.memory().wrote(key, None);
            }
        }
    }

    fn failed(&self, namespace: &str, error: &kube::Error) {
        self.metrics.audit.record_report(ReportWrite::Failed, 0);
        self.tell(&format!("a report in namespace {namespace:?} is not written: {}", Reason(error)));
    }

    /// Logs a problem, once.
    pub(super) fn tell(&self, problem: &str) {
        let mut last = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() != Some(problem) {
            tracing::warn!(problem, "the results of the audit; it is tried again with the next pass");
        }
        *last = Some(problem.to_owned());
    }

    async fn announce(&self, announcement: &Announcement) {
        if !self.events {
            return;
        }
        if !self.may_send() {
            self.metrics.audit.record_event(AuditEvent::Suppressed);
            return;
        }
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", announcement.namespace);
        let event = event(announcement, &self.pod, jiff::Timestamp::now());
        let body = event.to_string().into_bytes();
        let result = match Request::new(path).create(&PostParams::default(), body).map_err(kube::Error::BuildRequest) {
            Ok(request) => {
                self.budget.call().await;
                within(REQUEST, self.client.request::<Value>(request)).await
            }
            Err(error) => Err(error),
        };
        self.metrics.audit.record_event(match result {
            Ok(_) => AuditEvent::Sent,
            Err(error) => {
                self.tell(&format!("an Event is not sent: {}", Reason(&error)));
                AuditEvent::Failed
            }
        });
    }

    fn may_send(&self) -> bool {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|at| at.elapsed() > EVENTS_WITHIN) {
            sent.pop_front();
        }
        let may = sent.len() < EVENTS;
        if may {
            sent.push_back(Instant::now());
        }
        may
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An `events.k8s.io/v1` Event.
fn event(announcement: &Announcement, pod: &str, now: jiff::Timestamp) -> Value {
    let Announcement { namespace, regarding, appeared, note, .. } = announcement;
    let (reason, kind) = if *appeared { ("PolicyViolation", "Warning") } else { ("PolicyViolationResolved", "Normal") };
    let mut note = note.clone();
    if note.len() > NOTE {
        let end = (0..NOTE).rev().find(|end| note.is_char_boundary(*end)).unwrap_or(0);
        note.truncate(end);
        note.push('…');
    }
    json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"generateName": "seawall-", "namespace": namespace},
        // MicroTime has six digits
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string(),
        "reportingController": CONTROLLER, "reportingInstance": pod,
        "action": "Audit", "reason": reason, "type": kind, "regarding": regarding, "note": note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_keep_to_the_limits_of_the_api() {
        let announcement = Announcement {
            namespace: "shop".to_owned(),
            regarding: json!({"kind": "StatefulSet", "name": "db"}),
            appeared: true,
            policies: vec!["a".to_owned()],
            note: "ü".repeat(2000),
        };
        let now = "2026-01-02T03:04:05.1234567Z".parse().unwrap();
        let event = event(&announcement, "pod", now);
        assert!(event["note"].as_str().unwrap().len() <= 1024);
        assert_eq!((&event["eventTime"], &event["type"]), (&json!("2026-01-02T03:04:05.123456Z"), &json!("Warning")));
    }
}
