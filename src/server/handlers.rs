//! `/validate/enforce`, `/validate/observe` and `/mutate`: from an HTTP body to an AdmissionReview, within the deadline.
//!
//! Nothing here lets a request pass silently: what cannot be read is denied with its uid, what has no answer in time is
//! answered by the policies' own actions.

use super::answer;
use super::shadow::Shadow;
use crate::admission::request::{self, Request, RequestError};
use crate::admission::response::Response as Answer;
use crate::context::cluster::ClusterContext;
use crate::context::scope;
use crate::decisions::Recorder;
use crate::decisions::bodies::Bodies;
use crate::engine::pool::{Pool, PoolError};
use crate::patch::plan::DropKind;
use crate::policy::exemption::Source;
use crate::policy::mode::Action;
use crate::review::{self, Outcome, Phase, Snapshot};
use crate::telemetry::Metrics;
use crate::telemetry::labels::{
    DropReason, ExemptionSource, FailureReason, Operation, Outcome as Word, ViolationAction, Webhook,
};
use crate::telemetry::metrics::ReviewSample;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http_body_util::BodyExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Kept back from the API server's timeout, for the way there and back.
const MARGIN: Duration = Duration::from_millis(500);

/// Shortest time that a review gets.
const SHORTEST: Duration = Duration::from_millis(250);

/// Bodies over this are decoded off the async threads.
const LARGE: usize = 256 * 1024;

/// How much of a body that is too large is still taken and thrown away: an HTTP/1.1 client that is answered while it
/// writes may meet a closed connection, and never see the denial. More than the API server can send.
const DISCARDED: usize = 64 * 1024 * 1024;

/// The beginning of a body, in which the uid stands.
const START: usize = 4096;

/// Longest wait for a namespace that the cache does not have.
const LIVE_NAMESPACE: Duration = Duration::from_secs(1);

/// What all requests share.
pub struct App {
    /// Policies, settings and the facts as of the last request.
    pub snapshot: ArcSwap<Snapshot>,
    /// The watch caches; none without a cluster.
    pub cluster: Option<ClusterContext>,
    /// Workers.
    pub pool: Pool,
    /// Compares the engines, apart from the workers: a comparison may take seconds and must keep no review waiting.
    pub sampler: Pool,
    /// Whether a comparison is under way; another one is left out meanwhile.
    pub sampling: AtomicBool,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// What would have been decided; none without a cluster to keep it in.
    pub decisions: Option<Arc<Recorder>>,
    /// Keeps requests that would have been rejected; none unless it was asked for.
    pub bodies: Option<Bodies>,
    /// Counts validated requests, to sample some.
    pub sampled: AtomicU32,
    /// Compares with a candidate set; none unless it was asked for.
    pub shadow: Option<Arc<Shadow>>,
}

/// The admission port's routes.
pub fn admission(app: Arc<App>) -> Router {
    let route = |webhook| {
        post(move |State(app): State<Arc<App>>, RawQuery(query): RawQuery, body: Body| async move {
            app.answer(webhook, query.as_deref().unwrap_or_default(), body).await
        })
    };
    Router::new()
        .route("/validate/enforce", route(Webhook::Enforce))
        .route("/validate/observe", route(Webhook::Observe))
        .route("/mutate", route(Webhook::Mutate))
        .with_state(app)
}

/// The API server's `?timeout=5s` (whole seconds; k8s.io/apiserver `webhook/*/dispatcher.go`).
fn timeout(query: &str) -> Option<Duration> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("timeout="))?;
    let (number, unit) = value.split_at(value.find(|c: char| !c.is_ascii_digit())?);
    let number: u32 = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number.into())),
        "ms" => Some(Duration::from_millis(number.into())),
        "m" => Some(Duration::from_secs(u64::from(number) * 60)),
        _ => None,
    }
}

/// A body, or as much of it as was read before the limit.
enum Read {
    Whole(Vec<u8>),
    TooLarge(Vec<u8>),
    Broken(String),
}

async fn read(mut body: Body, limit: usize) -> Read {
    let mut bytes = Vec::new();
    let mut over = 0;
    while let Some(frame) = body.frame().await {
        let data = match frame.map(|frame| frame.into_data().unwrap_or_default()) {
            Ok(data) => data,
            Err(error) if over == 0 => return Read::Broken(error.to_string()),
            Err(_) => break,
        };
        if over == 0 && bytes.len() + data.len() <= limit {
            bytes.extend_from_slice(&data);
            continue;
        }
        if over == 0 {
            // the beginning is enough to find the uid
            bytes.extend_from_slice(data.get(..data.len().min(START)).unwrap_or_default());
            bytes.truncate(START);
            bytes.shrink_to_fit();
        }
        over += data.len();
        if over > DISCARDED {
            break;
        }
    }
    if over == 0 { Read::Whole(bytes) } else { Read::TooLarge(bytes) }
}

/// The uid in an unreadable body: the API server writes it among the first fields of the request.
fn find_uid(body: &[u8]) -> Option<String> {
    let start = String::from_utf8_lossy(body.get(..body.len().min(START))?).into_owned();
    let after = start.split_once("\"uid\"")?.1.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let uid = after.split_once('"')?.0;
    let plain = uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain && !uid.is_empty()).then(|| uid.to_owned())
}

fn json(answer: &Answer) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], answer.to_review()).into_response()
}

impl App {
    /// The snapshot with the facts as of now.
    fn current(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.load_full();
        let now = jiff::Timestamp::now();
        match self.cluster.as_ref().map(ClusterContext::facts) {
            Some(facts) if !Arc::ptr_eq(&facts, &snapshot.facts) => {
                let next = Arc::new(Snapshot::new(snapshot.policies.clone(), snapshot.settings.clone(), facts, now));
                // a reload of policies that came first is kept; the next request sees its facts
                self.snapshot.compare_and_swap(&snapshot, next.clone());
                next
            }
            _ => Arc::new(snapshot.at(now)),
        }
    }

    async fn answer(self: Arc<Self>, webhook: Webhook, query: &str, body: Body) -> Response {
        let started = Instant::now();
        let limits = self.snapshot.load().settings.limits;
        let allowed = timeout(query).map_or(Duration::MAX, |t| t.saturating_sub(MARGIN));
        let budget = allowed.min(Duration::from_millis(limits.review_milliseconds)).max(SHORTEST);
        let reading =
            tokio::time::timeout(allowed.clamp(SHORTEST, Duration::from_secs(30)), read(body, limits.max_body_bytes));
        let refuse = |uid: Option<String>, code: u16, problem: &str| self.refuse(webhook, started, uid, code, problem);
        let bytes = match reading.await {
            Ok(Read::Whole(bytes)) => bytes,
            Ok(Read::TooLarge(start)) => {
                let problem = format!("it is larger than {} bytes (limits.maxBodyBytes)", limits.max_body_bytes);
                return refuse(find_uid(&start), 413, &problem);
            }
            Ok(Read::Broken(problem)) => return refuse(None, 400, &problem),
            Err(_) => return refuse(None, 408, "the body did not arrive in time"),
        };
        let (uid, length) = (find_uid(&bytes), bytes.len());
        let decoded = if bytes.len() > LARGE {
            tokio::task::spawn_blocking(move || Request::from_review(&bytes)).await.map_err(|e| e.to_string())
        } else {
            Ok(Request::from_review(&bytes))
        };
        let request = match decoded {
            Ok(Ok(request)) => Arc::new(request),
            // what was parsed knows its uid; the text alone could offer that of the object or the user
            Ok(Err(RequestError::Json(error))) => {
                return refuse(uid, 400, &RequestError::Json(error).to_string());
            }
            Ok(Err(error)) => {
                let uid = error.uid().filter(|uid| !uid.is_empty()).map(str::to_owned);
                return refuse(uid, 400, &error.to_string());
            }
            Err(problem) => return refuse(uid, 400, &problem),
        };
        // reading a slow body does not shorten the review below its own budget, but the API server's timeout holds
        let deadline = (Instant::now() + budget).min(started + allowed.clamp(SHORTEST, Duration::from_secs(60)));
        let snapshot = self.with_namespace(&request).await;
        let phase = if webhook == Webhook::Mutate { Phase::Mutate } else { Phase::Validate };
        let (outcome, is_judged) = match self.review(&request, &snapshot, phase, deadline).await {
            Ok(outcome) => (outcome, true),
            Err(PoolError::Full) => return self.shed(webhook, &request, started),
            Err(error) => {
                let kind = if error == PoolError::Panicked { "panic" } else { "timeout" };
                (review::unanswered(&request, &snapshot, &error.to_string(), kind), false)
            }
        };
        let answer = if webhook == Webhook::Mutate {
            answer::mutating(&request, &outcome)
        } else {
            answer::validating(&request, &outcome)
        };
        self.record(webhook, &request, &outcome, &answer, started);
        if phase == Phase::Validate {
            self.sample(&request, &snapshot);
        }
        if let Some(shadow) = self.shadow.as_ref().filter(|_| is_judged) {
            shadow.offer(&request, &snapshot, outcome, phase, length);
        }
        json(&answer)
    }

    /// The snapshot in which the labels of the request's namespace are known: from the cache, else by one live GET.
    async fn with_namespace(&self, request: &Request) -> Arc<Snapshot> {
        let snapshot = self.current();
        let (Some(cluster), Some(name)) = (&self.cluster, scope::namespace_of(request)) else { return snapshot };
        if snapshot.facts.namespace_labels(&name).is_some() {
            return snapshot;
        }
        match tokio::time::timeout(LIVE_NAMESPACE, cluster.namespace_live(&name)).await {
            Ok(Ok(Some(labels))) => Arc::new(snapshot.with_namespace(&name, labels)),
            Ok(Ok(None)) => snapshot,
            Ok(Err(error)) => {
                tracing::warn!(namespace = name, %error, "the labels of a namespace are not known; the defaults hold");
                snapshot
            }
            Err(_) => {
                tracing::warn!(namespace = name, "the labels of a namespace did not arrive in time; the defaults hold");
                snapshot
            }
        }
    }

    async fn review(
        &self,
        request: &Arc<Request>,
        snapshot: &Arc<Snapshot>,
        phase: Phase,
        deadline: Instant,
    ) -> Result<Outcome, PoolError> {
        let (request, snapshot) = (request.clone(), snapshot.clone());
        let queued = Instant::now();
        let job = move |worker: &mut crate::engine::evaluate::Worker| {
            let waited = queued.elapsed();
            let _ = worker.take_times();
            let outcome = review::review(&request, &snapshot, phase, deadline, worker);
            (outcome, waited, worker.take_times())
        };
        let (outcome, waited, times) = self.pool.run(deadline, job).await?;
        self.metrics.record_queue(waited);
        for (package, took) in times {
            let policy = package.rsplit('.').next().unwrap_or(&package).replace('_', "-");
            self.metrics.record_evaluation(&policy, took);
        }
        Ok(outcome)
    }

    /// Too many reviews wait: the API server tries again (429 or 5xx with Retry-After, client-go `rest/with_retry.go`).
    fn shed(&self, webhook: Webhook, request: &Request, started: Instant) -> Response {
        self.count(webhook, request, Word::Error, started);
        let headers = [(header::RETRY_AFTER, HeaderValue::from_static("1"))];
        (StatusCode::SERVICE_UNAVAILABLE, headers, "seawall: too many reviews are waiting; try again\n").into_response()
    }

    /// Answers what cannot be read. Without a uid no AdmissionReview can be answered, so the call as a whole fails.
    fn refuse(&self, webhook: Webhook, started: Instant, uid: Option<String>, code: u16, problem: &str) -> Response {
        tracing::warn!(code, problem, "an unreadable review was refused");
        self.metrics.record_review(&ReviewSample {
            webhook,
            operation: Operation::Unknown,
            resource: "",
            outcome: Word::Unreadable,
            duration: started.elapsed(),
        });
        match uid {
            Some(uid) => json(&answer::unreadable(&uid, code, problem)),
            None => {
                let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_REQUEST);
                (code, format!("seawall could not read the request: {problem}\n")).into_response()
            }
        }
    }

    fn count(&self, webhook: Webhook, request: &Request, outcome: Word, started: Instant) {
        let operation = match request.operation {
            request::Operation::Create => Operation::Create,
            request::Operation::Update => Operation::Update,
            request::Operation::Delete => Operation::Delete,
            request::Operation::Connect => Operation::Connect,
        };
        let resource = match request.sub_resource.as_str() {
            "" => request.resource.resource.clone(),
            sub => format!("{}/{sub}", request.resource.resource),
        };
        self.metrics.record_review(&ReviewSample {
            webhook,
            operation,
            resource: &resource,
            outcome,
            duration: started.elapsed(),
        });
    }

    fn record(&self, webhook: Webhook, request: &Request, outcome: &Outcome, answer: &Answer, started: Instant) {
        let word = match (answer.allowed, outcome.patch.operations.0.is_empty(), answer.warnings().is_empty()) {
            (false, _, _) => Word::Deny,
            (true, false, _) => Word::Patch,
            (true, true, false) => Word::Warn,
            (true, true, true) => Word::Allow,
        };
        self.count(webhook, request, word, started);
        // GitOps tools call with dryRun all the time; what nobody did is not counted
        if request.dry_run {
            return;
        }
        for finding in &outcome.findings {
            let action = match finding.effective {
                Action::Deny => ViolationAction::Deny,
                Action::Warn => ViolationAction::Warn,
                Action::Audit | Action::Off => ViolationAction::Audit,
            };
            self.metrics.record_violation(&finding.policy, action);
            if finding.would_deny() {
                self.metrics.record_would_deny(&finding.policy);
            }
        }
        for change in &outcome.patch.proposed {
            self.metrics.record_would_patch(&change.policy);
        }
        if let Some(decisions) = &self.decisions {
            decisions.add(scope::deciding_namespace(request).as_deref(), outcome, jiff::Timestamp::now());
        }
        if let Some(bodies) = &self.bodies {
            bodies.add(request, outcome);
        }
        for used in &outcome.exemptions {
            let source = match used.exemption.source {
                Source::Annotation => ExemptionSource::Annotation,
                Source::Configuration => ExemptionSource::Configuration,
            };
            used.policies.iter().for_each(|policy| self.metrics.record_exemption(policy, source));
        }
        for policy in &outcome.break_glass {
            tracing::warn!(policy, user = request.username, "a break-glass group was let through");
            self.metrics.record_break_glass(policy);
        }
        for failure in &outcome.failures {
            let reason = match failure.kind {
                "timeout" => FailureReason::Timeout,
                "skipped" => FailureReason::NotRun,
                "panic" => FailureReason::Panic,
                "result" => FailureReason::Unreadable,
                _ => FailureReason::Error,
            };
            self.metrics.record_policy_failure(&failure.policy, reason);
            tracing::error!(policy = failure.policy, reason = failure.reason, action = %failure.effective, "a policy could not judge a request");
        }
        for unknown in &outcome.unknown {
            self.metrics.record_policy_failure(&unknown.policy, FailureReason::Context);
        }
        for change in &outcome.patch.applied {
            self.metrics.record_patch(&change.policy);
        }
        for dropped in &outcome.patch.dropped {
            for policy in &dropped.policies {
                let reason = match dropped.kind {
                    DropKind::Conflict => DropReason::Conflict,
                    DropKind::NoFixpoint => DropReason::NoFixpoint,
                    DropKind::NotApplicable => DropReason::NotApplicable,
                };
                self.metrics.record_dropped_patch(policy, reason);
            }
            tracing::error!(policies = dropped.policies.join(","), reason = dropped.reason, "patches were dropped");
        }
        if !answer.allowed {
            let policies: Vec<&str> =
                outcome.findings.iter().filter(|f| f.effective == Action::Deny).map(|f| f.policy.as_str()).collect();
            tracing::info!(
                kind = request.kind.kind,
                namespace = request.namespace,
                name = request.object_name(),
                operation = %request.operation,
                policies = policies.join(","),
                "denied"
            );
        }
    }

    /// Evaluates one in many requests on both engines, after the answer is given.
    fn sample(self: &Arc<Self>, request: &Arc<Request>, snapshot: &Arc<Snapshot>) {
        let one_in = snapshot.settings.limits.sample_one_in;
        if one_in == 0 || !self.sampled.fetch_add(1, Ordering::Relaxed).is_multiple_of(one_in) {
            return;
        }
        if self.sampling.swap(true, Ordering::AcqRel) {
            return;
        }
        let (app, request, snapshot) = (self.clone(), request.clone(), snapshot.clone());
        tokio::spawn(async move {
            let job = move |worker: &mut crate::engine::evaluate::Worker| review::sample(&request, &snapshot, worker);
            let disagree = app.sampler.run(Instant::now() + Duration::from_secs(60), job).await;
            app.sampling.store(false, Ordering::Release);
            for policy in disagree.unwrap_or_default() {
                app.metrics.record_disagreement(&policy);
                tracing::error!(
                    policy,
                    "the engines disagree on a live request; the interpreter answers for this policy from now on"
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_servers_timeout_is_read() {
        assert_eq!(timeout("timeout=5s"), Some(Duration::from_secs(5)));
        assert_eq!(timeout("a=b&timeout=500ms"), Some(Duration::from_millis(500)));
        assert_eq!(timeout("timeout=x"), None);
        assert_eq!(timeout(""), None);
    }

    #[test]
    fn a_uid_is_found_in_the_beginning_of_a_body() {
        assert_eq!(find_uid(br#"{"kind":"AdmissionReview","request":{"uid":"ab-1","#).as_deref(), Some("ab-1"));
        assert_eq!(find_uid(br#"{"request":{"uid":"<script>"}}"#), None);
        assert_eq!(find_uid(b""), None);
    }
}
