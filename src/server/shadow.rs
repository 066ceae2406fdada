//! `serve --shadow`: live reviews are judged once more by a candidate set, and what differs is counted and logged.
//!
//! Nothing of it can be felt in an answer: a review is offered after its answer is made, without waiting. It has a bounded
//! queue, in reviews and in bytes; what finds no room is dropped and counted. One thread of its own judges, and rests three
//! times as long as it worked, so that it takes a quarter of one core at most. Its panics and time-outs are its own, and a
//! candidate that does not come back is left alone until it changes.

use crate::admission::request::Request;
use crate::config::Settings;
use crate::context::facts::Facts;
use crate::context::scope::deciding_namespace;
use crate::engine::evaluate::Worker;
use crate::engine::pool::{Pool, PoolError};
use crate::policy::store::PolicySet;
use crate::policydiff::change::{Change, Compared, Difference, Parts, compare};
use crate::review::{self, Outcome, Phase, Snapshot};
use crate::telemetry::Metrics;
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Reviews that may wait.
const QUEUE: usize = 256;

/// Bytes of their bodies, as they came.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Rest after each review, as a multiple of the time it took.
const REST: u32 = 3;

/// Longest rest.
const LONGEST_REST: Duration = Duration::from_secs(3);

/// Reviews from which a candidate may not come back before it is left alone. Each holds a thread.
const MOST_STUCK: usize = 3;

/// Log lines in one minute.
const LINES: u32 = 30;

/// Differences that are remembered as logged.
const REMEMBERED: usize = 10_000;

/// What judges: [`review::review`], but for tests.
pub type Judge = fn(&Request, &Snapshot, Phase, Instant, &mut Worker) -> Outcome;

/// The candidate set.
#[derive(Debug)]
pub struct Candidate {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// Their configuration.
    pub settings: Arc<Settings>,
    /// With the facts of the last review.
    snapshot: Mutex<Option<(Arc<Facts>, Snapshot)>>,
    /// Reviews from which it did not come back.
    stuck: AtomicUsize,
}

impl Candidate {
    /// A candidate with its configuration.
    #[must_use]
    pub fn new(policies: Arc<PolicySet>, settings: Arc<Settings>) -> Self {
        Self { policies, settings, snapshot: Mutex::default(), stuck: AtomicUsize::new(0) }
    }

    /// What it judges with: the facts and the clock that the active set had.
    fn snapshot(&self, active: &Snapshot) -> Snapshot {
        let mut kept = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref().filter(|(facts, _)| Arc::ptr_eq(facts, &active.facts)) {
            Some((_, snapshot)) => snapshot.at(active.now),
            None => {
                let (policies, settings) = (self.policies.clone(), self.settings.clone());
                let snapshot = Snapshot::new(policies, settings, active.facts.clone(), active.now);
                *kept = Some((active.facts.clone(), snapshot.clone()));
                snapshot
            }
        }
    }
}

/// A review that was answered.
struct Job {
    request: Arc<Request>,
    active: Arc<Snapshot>,
    outcome: Outcome,
    phase: Phase,
    bytes: usize,
}

/// Compares live reviews. Shared by all handlers.
pub struct Shadow {
    candidate: ArcSwap<Candidate>,
    queue: Sender<Job>,
    bytes: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Shadow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shadow").field("waiting_bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Shadow {
    /// Starts the thread. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(candidate: Candidate, metrics: Arc<Metrics>) -> Result<Arc<Self>, PoolError> {
        Self::start_with(candidate, metrics, review::review)
    }

    fn start_with(candidate: Candidate, metrics: Arc<Metrics>, judge: Judge) -> Result<Arc<Self>, PoolError> {
        let pool = Pool::new(1)?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        metrics.shadow.loaded(candidate.policies.policies().len());
        let candidate = ArcSwap::from_pointee(candidate);
        let shadow = Arc::new(Self { candidate, queue, bytes: AtomicUsize::new(0), metrics });
        tokio::spawn(shadow.clone().run(jobs, pool, judge));
        Ok(shadow)
    }

    /// Takes another candidate.
    pub fn replace(&self, candidate: Candidate) {
        self.metrics.shadow.loaded(candidate.policies.policies().len());
        self.candidate.store(Arc::new(candidate));
    }

    /// The candidate as of now.
    #[must_use]
    pub fn candidate(&self) -> Arc<Candidate> {
        self.candidate.load_full()
    }

    /// The kinds that the candidate reads.
    #[must_use]
    pub fn needed(&self) -> BTreeSet<String> {
        self.candidate.load().policies.watched_context().keys().cloned().collect()
    }

    /// Offers a review that was answered. Never waits. `bytes`: length of its body.
    pub fn offer(&self, request: &Arc<Request>, active: &Arc<Snapshot>, outcome: Outcome, phase: Phase, bytes: usize) {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let job = Job { request: request.clone(), active: active.clone(), outcome, phase, bytes };
        if waiting > MOST_BYTES || self.queue.try_send(job).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.metrics.shadow.dropped();
        }
    }

    async fn run(self: Arc<Self>, mut jobs: Receiver<Job>, pool: Pool, judge: Judge) {
        let mut told = Told::new(Instant::now());
        while let Some(job) = jobs.recv().await {
            let (bytes, started) = (job.bytes, Instant::now());
            let candidate = self.candidate();
            if candidate.stuck.load(Ordering::Relaxed) < MOST_STUCK {
                self.one(job, &candidate, &pool, judge, &mut told).await;
            } else {
                self.metrics.shadow.dropped();
            }
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            tokio::time::sleep((started.elapsed() * REST).min(LONGEST_REST)).await;
        }
    }

    async fn one(&self, job: Job, candidate: &Arc<Candidate>, pool: &Pool, judge: Judge, told: &mut Told) {
        let request = job.request.clone();
        let active = job.active.policies.digest().to_owned();
        let deadline = Instant::now() + Duration::from_millis(candidate.settings.limits.review_milliseconds);
        let with = candidate.clone();
        let work = move |worker: &mut Worker| {
            let snapshot = with.snapshot(&job.active);
            // what the active set wrote is in the object that is validated; what the candidate would write is not
            let (phase, parts) = match job.phase {
                Phase::Mutate => (Phase::Mutate, Parts::Patches),
                Phase::Validate | Phase::Full => (Phase::Full, Parts::Verdicts),
            };
            let outcome = judge(&job.request, &snapshot, phase, deadline, worker);
            let _ = worker.take_times();
            compare(Some(&job.outcome), Some(&outcome), parts)
        };
        match pool.run(deadline, work).await {
            Ok(compared) => self.report(&request, &compared, (&active, candidate.policies.digest()), told),
            Err(error) => self.failed(error, candidate),
        }
    }

    fn report(&self, request: &Request, compared: &Compared, sets: (&str, &str), told: &mut Told) {
        self.metrics.shadow.compared();
        let namespace = deciding_namespace(request).unwrap_or_default();
        for difference in &compared.differences {
            self.metrics.shadow.difference(&difference.policy, difference.change.as_str());
            if difference.change != Change::Message && told.tells(difference, &namespace, sets, Instant::now()) {
                // names and fields only: what a message quotes can be part of the object
                tracing::info!(
                    policy = difference.policy,
                    change = difference.change.as_str(),
                    namespace,
                    kind = request.kind.kind,
                    name = request.object_name(),
                    operation = %request.operation,
                    field = difference.field,
                    "shadow: the candidate policies would answer differently"
                );
            }
        }
    }

    fn failed(&self, error: PoolError, candidate: &Candidate) {
        self.metrics.shadow.failed(if error == PoolError::Panicked { "panic" } else { "timeout" });
        if error != PoolError::Stuck {
            tracing::warn!(%error, "shadow: the candidate policies gave no answer to a review");
            return;
        }
        let stuck = candidate.stuck.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(%error, stuck, "shadow: the candidate policies did not come back from a review");
        if stuck == MOST_STUCK {
            tracing::error!(
                "shadow: the candidate policies did not come back from {MOST_STUCK} reviews; nothing is compared until they change"
            );
        }
    }
}

/// What was logged already.
#[derive(Debug)]
struct Told {
    seen: BTreeSet<(String, String, Change)>,
    /// The sets that were compared: with others, everything is new.
    sets: (String, String),
    /// The minute under way.
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Told {
    fn new(now: Instant) -> Self {
        Self { seen: BTreeSet::new(), sets: Default::default(), since: now, lines: 0, left_out: 0 }
    }

    /// Whether a difference is to be logged: it is new for its policy, namespace and change, and there is room.
    fn tells(&mut self, difference: &Difference, namespace: &str, sets: (&str, &str), now: Instant) -> bool {
        if (self.sets.0.as_str(), self.sets.1.as_str()) != sets {
            self.sets = (sets.0.to_owned(), sets.1.to_owned());
            self.seen.clear();
        }
        if now.duration_since(self.since) >= Duration::from_secs(60) {
            if self.left_out > 0 {
                let left_out = self.left_out;
                tracing::info!(
                    left_out,
                    "shadow: differences were not logged, there were too many; the metrics count them"
                );
            }
            (self.since, self.lines, self.left_out) = (now, 0, 0);
        }
        let key = (difference.policy.clone(), namespace.to_owned(), difference.change);
        if self.seen.contains(&key) {
            return false;
        }
        if self.lines >= LINES || self.seen.len() >= REMEMBERED {
            self.left_out += 1;
            return false;
        }
        self.lines += 1;
        self.seen.insert(key)
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
