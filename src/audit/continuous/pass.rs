//! A pass over the whole cluster, and the judging of what changed since.

use super::digest::{self, Inputs};
use super::follow::{self, Change, Waiting};
use super::memory::{Key, Memory, Order, key};
use super::{Auditor, Follower};
use crate::audit::judge::{Desk, Group, Item, Keeper, Verdict, groups, is_claim_of, name_of};
use crate::audit::stream::{Source, Stream};
use crate::audit::walk::Batch;
use crate::audit::{AuditError, Budget, Options, Seen, see};
use crate::context::facts::Facts;
use crate::kubeapi::Reason;
use crate::telemetry::Metrics;
use crate::telemetry::audit::AuditViolations;
use crate::telemetry::labels::AuditPass;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::mpsc;

/// Orders that may wait for being written.
const WAITING: usize = 64;

/// Keeps what came of a pass in the memory, and orders what follows from it.
struct Remembering {
    memory: Arc<Mutex<Memory>>,
    inputs: Inputs,
    orders: mpsc::Sender<Order>,
    metrics: Arc<Metrics>,
    /// Of the group that was asked about last: the hash of what it depends on, and those of what was written of its objects.
    asked: (u64, Vec<u64>),
    judged: u64,
}

fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Objects of a group on which policies were run.
fn judged(verdicts: &[Verdict]) -> u64 {
    let first = matches!(verdicts.first(), Some(Verdict::Row { .. }));
    let is_judged = |(at, verdict): &(usize, &Verdict)| match verdict {
        Verdict::Row { .. } => true,
        Verdict::Counted => *at > 0 && first,
        Verdict::PassedOver | Verdict::Failed => false,
    };
    verdicts.iter().enumerate().filter(is_judged).count() as u64
}

impl Keeper for Remembering {
    fn begin(&mut self, batch: &Batch) {
        self.inputs.begin(batch);
    }

    fn wants(&mut self, group: &Group<'_>) -> bool {
        let objects: Vec<u64> = group.items().map(|item| digest::of_object(item.object)).collect();
        let written = group.items().map(|item| digest::of_written(item.object)).collect();
        self.asked = (self.inputs.of_group(group, &objects), written);
        !lock(&self.memory).knows(group, self.asked.0)
    }

    fn keep(
        &mut self,
        group: &Group<'_>,
        verdicts: Vec<Verdict>,
        unknown: &BTreeSet<String>,
    ) -> Result<(), AuditError> {
        let count = judged(&verdicts);
        self.judged += count;
        self.metrics.audit.record_judged(count);
        let orders = lock(&self.memory).learn(group, &verdicts, (self.asked.0, &self.asked.1), unknown);
        for order in orders {
            // nobody writes any more: another replica audits
            self.orders.blocking_send(order).map_err(|_| AuditError::Stopped("another replica audits".to_owned()))?;
        }
        Ok(())
    }

    fn judged(&self) -> u64 {
        self.judged
    }
}

impl Auditor {
    fn options(&self) -> Options {
        Options { pause: self.setup.pause, ..Options::default() }
    }

    /// Walks the cluster, judges what may have another verdict, and follows the kinds from where they were listed.
    pub(super) async fn pass(&mut self) {
        let (began, now) = (Instant::now(), jiff::Timestamp::now());
        self.forward = false;
        self.last = Some((Self::began(), false));
        let (policies, settings) = (self.setup.current)();
        policies.digest().clone_into(&mut self.digest);
        // what waits is in the lists that come
        let _ = self.changes.take();
        let reports = match self.writer.existing().await {
            Ok(reports) => reports,
            Err(error) => {
                self.writer.tell(&format!("the reports cannot be listed: {}", Reason(&error)));
                None
            }
        };
        let flavour = self.setup.reports.filter(|_| reports.is_some());
        lock(&self.memory).begin(flavour, reports.unwrap_or_default());
        let (orders, mut ordered) = mpsc::channel(WAITING);
        let keeper = Remembering {
            memory: self.memory.clone(),
            inputs: Inputs::new(&policies, &settings, now),
            orders,
            metrics: self.setup.metrics.clone(),
            asked: (0, Vec::new()),
            judged: 0,
        };
        let desk = Desk::new(policies.clone(), settings, self.options(), now);
        let seeing = async {
            let seen = see(&self.setup.client, &policies, desk, keeper, |_| {}).await;
            // the sender of orders ends with the keeper
            seen.map(|Seen { desk, walked, calls, .. }| (desk, walked, calls))
        };
        let writing = async {
            while let Some(order) = ordered.recv().await {
                self.writer.execute(order).await;
            }
        };
        let (seen, ()) = tokio::join!(seeing, writing);
        let (result, calls) = match seen {
            Ok((desk, walked, calls)) => {
                for missing in &walked.missing {
                    tracing::warn!(resource = missing.resource, reason = missing.reason, "the audit is incomplete");
                }
                for error in desk.errors.iter().take(5) {
                    let (policy, problem) = (error.policy.as_deref(), &error.message);
                    tracing::warn!(policy, problem, "the audit is incomplete");
                }
                let complete = walked.missing.is_empty() && desk.errors.is_empty();
                let mut listed: BTreeSet<String> = walked.versions.iter().map(|(s, _)| s.resource.clone()).collect();
                // a kind that is not served has no objects
                listed.extend(walked.not_served);
                let stale = lock(&self.memory).end(&listed, complete);
                for order in stale {
                    self.writer.execute(order).await;
                }
                self.follow(walked.versions);
                (if complete { AuditPass::Complete } else { AuditPass::Incomplete }, calls)
            }
            Err(error) => {
                tracing::warn!(%error, "the audit could not be made");
                (AuditPass::Failed, 0)
            }
        };
        let complete = result == AuditPass::Complete;
        self.failures = if complete { 0 } else { self.failures.saturating_add(1) };
        self.last = self.last.map(|(at, _)| (at, complete));
        self.setup.metrics.audit.record_pass(result, began.elapsed(), calls, jiff::Timestamp::now().as_second());
        self.tell();
        let (objects, seconds) = (lock(&self.memory).len(), began.elapsed().as_secs_f64());
        tracing::info!(result = result.as_str(), objects, calls, seconds, "audit");
    }

    /// Watches exactly the kinds that are judged and were listed.
    fn follow(&mut self, versions: Vec<(Source, String)>) {
        let judged: BTreeMap<String, (Source, String)> = versions
            .into_iter()
            .filter(|(source, version)| source.judged && !version.is_empty())
            .map(|(source, version)| (source.resource.clone(), (source, version)))
            .collect();
        self.followers.retain(|resource, follower| {
            judged.get(resource).is_some_and(|(source, _)| source.path == follower.source.path)
        });
        for (resource, (source, version)) in judged {
            let (client, changes) = (self.setup.client.clone(), self.changes.clone());
            self.followers.entry(resource).or_insert_with(|| Follower {
                source: source.clone(),
                task: tokio::spawn(follow::follow(client, source, version, changes)),
            });
        }
    }

    /// Judges what changed since the last pass, with the facts of now.
    pub(super) async fn changed(&mut self) {
        let Waiting { objects, missed } = self.changes.take();
        self.forward |= missed;
        // namespaces of which sets and claims have to be looked at together, with the names that changed
        let mut together: BTreeMap<String, BTreeSet<Key>> = BTreeMap::new();
        let mut alone: Vec<(Source, Vec<Value>)> = Vec::new();
        for (key, change) in objects {
            let of_set = ["statefulsets", "persistentvolumeclaims"].contains(&key.0.as_str());
            match change {
                Change::Applied(applied) => {
                    let (source, object) = *applied;
                    if lock(&self.memory).is_same(&key, digest::of_written(&object)) {
                        continue;
                    }
                    // on these hang the verdicts of many objects, which a pass finds
                    self.forward |= ["namespaces", "storageclasses"].contains(&key.0.as_str());
                    if of_set {
                        together.entry(key.1.clone()).or_default().insert(key);
                    } else {
                        alone.push((source, vec![object]));
                    }
                }
                Change::Deleted => {
                    lock(&self.memory).forget(&key);
                    if of_set {
                        together.entry(key.1.clone()).or_default().insert(key);
                    }
                }
            }
        }
        if !alone.is_empty() {
            self.judge(alone, None).await;
        }
        for (namespace, keys) in together {
            match self.sets_and_claims(&namespace).await {
                Some(parts) => self.judge(parts, Some(keys)).await,
                None => self.forward = true,
            }
        }
        self.tell();
    }

    /// The StatefulSets and claims of a namespace; `None` when they cannot be listed.
    async fn sets_and_claims(&self, namespace: &str) -> Option<Vec<(Source, Vec<Value>)>> {
        let sources = ["statefulsets", "persistentvolumeclaims"];
        let sources: Vec<Source> =
            sources.iter().filter_map(|resource| Some(self.followers.get(*resource)?.source.clone())).collect();
        let budget = Budget::new(self.setup.pause);
        let options = self.options();
        let mut parts = Vec::new();
        for source in sources {
            let (head, plural) = source.path.rsplit_once('/')?;
            let path = format!("{head}/namespaces/{namespace}/{plural}");
            let here = Source { path, ..source.clone() };
            let mut stream = Stream::new(&self.setup.client, here, options.page, options.attempts, &budget);
            let mut objects = Vec::new();
            while let Some(object) = stream.next().await {
                objects.push(object);
            }
            if stream.failed.is_some() {
                return None;
            }
            parts.push((source, objects));
        }
        Some(parts)
    }

    /// Judges objects of one namespace: all of them, or the groups in which one of these is.
    async fn judge(&self, parts: Vec<(Source, Vec<Value>)>, changed: Option<BTreeSet<Key>>) {
        let (policies, settings) = (self.setup.current)();
        let facts = self.setup.cluster.facts();
        let unknown: BTreeSet<String> = self
            .setup
            .cluster
            .status()
            .into_iter()
            .filter(|kind| kind.served && !kind.synced)
            .map(|kind| kind.resource)
            .collect();
        let mut desk = Desk::new(policies, settings, self.options(), jiff::Timestamp::now());
        let memory = self.memory.clone();
        let metrics = self.setup.metrics.clone();
        let judging = tokio::task::spawn_blocking(move || {
            judge_now(&mut desk, facts, &parts, changed.as_ref(), (&memory, &unknown, &metrics))
        });
        for order in judging.await.unwrap_or_default() {
            self.writer.execute(order).await;
        }
    }

    /// Tells what is known now.
    fn tell(&self) {
        let (counts, objects) = {
            let memory = lock(&self.memory);
            (memory.counts(), memory.len())
        };
        let rows = counts.iter().map(|(counted, count)| AuditViolations {
            policy: &counted.policy,
            mode: counted.mode.as_str(),
            tier: counted.tier.as_str(),
            count: *count,
        });
        self.setup.metrics.audit.set_violations(objects, rows);
    }
}

fn judge_now(
    desk: &mut Desk,
    facts: Arc<Facts>,
    parts: &[(Source, Vec<Value>)],
    changed: Option<&BTreeSet<Key>>,
    (memory, unknown, metrics): (&Mutex<Memory>, &BTreeSet<String>, &Metrics),
) -> Vec<Order> {
    let snapshot = desk.snapshot(facts);
    let items = parts.iter().flat_map(|(source, objects)| objects.iter().map(move |object| Item { source, object }));
    let mut orders = Vec::new();
    for group in groups(items.collect()) {
        let digests: Vec<u64> = group.items().map(|item| digest::of_written(item.object)).collect();
        let touched = |(item, digest): (Item<'_>, &u64)| {
            let key = key(&item.source.resource, item.object);
            changed.is_none_or(|changed| changed.contains(&key)) && !lock(memory).is_same(&key, *digest)
        };
        // a set that lost a claim, a claim that lost its set
        let name = name_of(group.first.object);
        let related = |(resource, _, other): &Key| match resource.as_str() {
            "statefulsets" => is_claim_of(name, other),
            _ => is_claim_of(other, name),
        };
        let lost = |key: &&Key| related(key) && !lock(memory).remembers(key);
        let lost = changed.is_some_and(|changed| changed.iter().any(|key| lost(&key)));
        if !lost && !group.items().zip(&digests).any(touched) {
            continue;
        }
        let verdicts = desk.group(&group, &snapshot);
        metrics.audit.record_judged(judged(&verdicts));
        // zero: facts may have been a moment behind, so the next pass judges once more
        orders.extend(lock(memory).learn(&group, &verdicts, (0, &digests), unknown));
    }
    orders
}
