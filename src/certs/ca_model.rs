//! Several replicas, one stored state, one webhook configuration, and everything that can come between.
//!
//! The invariant: **a leaf that is being served verifies against every bundle that an API server may be using**. It is
//! checked after each operation of random sequences of: time passing, reading (also old versions), acting on what was
//! read (so writes conflict), crashing before and after a write, deleting the stored state, writing the configuration late
//! and from an old read. Two ways of running are tested: with the live configuration read back, and by time alone.
//!
//! What the model takes for granted: an old read is at most ten minutes old; replicas get to act every hour; the
//! configuration is written within 500 s of a change (by time alone) or every 4 hours (when read back); API servers
//! follow it within 55 s; clocks of replicas are right to half an hour. A replica whose first leaf was signed by a CA
//! that was never published is not ready and is not counted until it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::tests::fake;
use super::*;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const T0: i64 = 1_700_000_000;
const PODS: usize = 3;
const PROPAGATION: i64 = 55;

fn timing() -> Timing {
    Timing {
        ca_life: Duration::from_secs(30 * 86_400),
        leaf_life: Duration::from_secs(2 * 86_400),
        publish: Duration::from_secs(600),
        settle: Duration::from_secs(60),
    }
}

#[derive(Debug, Clone)]
enum Operation {
    Pass(i64),
    Read(usize),
    ReadOld(usize, usize),
    Act(usize),
    CrashAfterWrite(usize),
    Crash(usize),
    WriterRead,
    WriterWrite,
    WriterCrash,
    Delete,
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let pod = 0..PODS;
    let operation = prop_oneof![
        6 => (1..120_i64).prop_map(Operation::Pass),
        8 => (1..2 * DAY).prop_map(Operation::Pass),
        8 => pod.clone().prop_map(Operation::Read),
        2 => (pod.clone(), 1..4_usize).prop_map(|(pod, back)| Operation::ReadOld(pod, back)),
        12 => pod.clone().prop_map(Operation::Act),
        2 => pod.clone().prop_map(Operation::CrashAfterWrite),
        1 => pod.prop_map(Operation::Crash),
        3 => Just(Operation::WriterRead),
        3 => Just(Operation::WriterWrite),
        1 => Just(Operation::WriterCrash),
        1 => Just(Operation::Delete),
    ];
    prop::collection::vec(operation, 1..160)
}

#[derive(Debug, Default)]
struct Pod {
    skew: i64,
    started: i64,
    acted: i64,
    sightings: Sightings,
    known: Option<CaState>,
    leaf: Option<LeafInfo>,
    counted: bool,
    /// A read that was not acted on yet: version and content.
    read: Option<(usize, Option<CaState>)>,
}

#[derive(Debug, Default)]
struct Writer {
    held: BTreeMap<CaId, i64>,
    read: Option<(usize, BTreeSet<CaId>)>,
    wrote_at: i64,
}

#[derive(Debug)]
struct World {
    reads_back: bool,
    now: i64,
    /// Every state that was ever stored, with the time it came; the last is the current one.
    stored: Vec<(i64, Option<CaState>)>,
    synced: usize,
    deleted_at: Option<i64>,
    /// Every bundle that was ever live, with the time it came.
    live: Vec<(i64, BTreeSet<CaId>)>,
    pods: Vec<Pod>,
    writer: Writer,
    made: BTreeMap<CaId, CaInfo>,
    promotions: usize,
}

impl World {
    fn new(reads_back: bool, skews: [i64; PODS]) -> Self {
        let pods = skews.map(|skew| Pod { skew, started: T0, acted: T0, ..Pod::default() }).into();
        Self {
            reads_back,
            now: T0,
            stored: vec![(T0, None)],
            synced: 0,
            deleted_at: None,
            live: vec![(T0, BTreeSet::new())],
            pods,
            writer: Writer { wrote_at: T0, ..Writer::default() },
            made: BTreeMap::new(),
            promotions: 0,
        }
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Pass(seconds) => self.pass(seconds),
            Operation::Read(pod) => self.read(pod, 0),
            Operation::ReadOld(pod, back) => self.read(pod, back),
            Operation::Act(pod) => self.act(pod, false),
            Operation::CrashAfterWrite(pod) => self.act(pod, true),
            Operation::Crash(pod) => self.crash(pod),
            Operation::WriterRead => self.writer_read(),
            Operation::WriterWrite => self.writer_write(),
            Operation::WriterCrash => {
                // right after a deletion its memory is what carries the trust over
                if self.deleted_at.is_none_or(|at| self.now > at + 2 * DAY) {
                    self.writer = Writer { wrote_at: self.writer.wrote_at, ..Writer::default() };
                    // a new holder of the lease has read the state before it can write
                    self.writer_see();
                }
            }
            Operation::Delete => {
                self.stored.push((self.now, None));
                self.deleted_at = Some(self.now);
            }
        }
        self.check();
    }

    /// Time passes, interrupted by what must happen at the latest.
    fn pass(&mut self, seconds: i64) {
        let end = self.now + seconds;
        while self.now < end {
            let write_by = if self.reads_back {
                self.writer.wrote_at + 4 * HOUR
            } else if self.synced + 1 < self.stored.len() {
                self.stored[self.stored.len() - 1].0 + 500
            } else {
                i64::MAX
            };
            let slowest = (0..PODS).min_by_key(|pod| self.pods[*pod].acted).unwrap();
            let act_by = self.pods[slowest].acted + HOUR;
            self.now = end.min(write_by).min(act_by).max(self.now);
            if self.now >= write_by {
                self.writer_read();
                self.writer_write();
            }
            if self.now >= act_by {
                self.read(slowest, 0);
                self.act(slowest, false);
                self.writer_see();
            }
            self.check();
        }
    }

    fn read(&mut self, pod: usize, back: usize) {
        let last = self.stored.len() - 1;
        let mut version = last;
        while version > 0 && last - version < back && self.stored[version].0 > self.now - 600 {
            version -= 1;
        }
        self.pods[pod].read = Some((version, self.stored[version].1.clone()));
    }

    fn crash(&mut self, pod: usize) {
        let skew = self.pods[pod].skew;
        self.pods[pod] = Pod { skew, started: self.now, acted: self.now, ..Pod::default() };
    }

    /// What `Manager::round` does with one read.
    fn act(&mut self, pod: usize, crash_after_write: bool) {
        let (now, timing) = (self.now, timing());
        let last = self.stored.len() - 1;
        let number = self.made.len();
        let actor = &mut self.pods[pod];
        let Some((version, state)) = actor.read.take() else {
            return;
        };
        let (wall, clock) = (now + actor.skew, Duration::from_secs((now - actor.started).unsigned_abs()));
        if let Some(state) = &state {
            actor.sightings.see_stored(clock, state);
            if self.reads_back {
                actor.sightings.see_live(clock, self.live.last().unwrap().1.clone());
            }
        }
        let step = step(wall, clock, state.as_ref(), &actor.sightings, &timing);
        let mut fresh = None;
        let next = CaState::apply(step, state.as_ref(), actor.known.as_ref(), || {
            let life = i64::try_from(timing.ca_life.as_secs()).unwrap();
            fresh = Some(fake(&format!("ca-{number}"), wall - HOUR, wall + life));
            fresh.clone()
        });
        if state.is_some() {
            actor.known.clone_from(&state);
        }
        if let Some(fresh) = fresh {
            let info = fresh.certificate.info;
            self.made.insert(info.id.clone(), info);
        }
        if let Some(next) = next
            && (version == last || (state.is_none() && self.stored[last].1.is_none()))
        {
            self.promotions += usize::from(step == Step::Promote);
            actor.known = Some(next.clone());
            self.stored.push((now, Some(next)));
            if crash_after_write {
                return self.crash(pod);
            }
        }
        self.sign(pod, wall, clock);
    }

    fn sign(&mut self, pod: usize, wall: i64, clock: Duration) {
        let timing = timing();
        let pod = &mut self.pods[pod];
        pod.acted = self.now;
        let Some(state) = &pod.known else { return };
        if wants_leaf(wall, clock, pod.leaf.as_ref(), state, &pod.sightings, &timing) {
            let issuer = &state.current.certificate.info;
            let life = i64::try_from(timing.leaf_life.as_secs()).unwrap();
            let not_after = (wall + life).min(issuer.not_after);
            pod.leaf = Some(LeafInfo {
                issuer: issuer.id.clone(),
                not_before: (wall - HOUR).max(issuer.not_before),
                renew_at: wall + (not_after - wall) * 2 / 3,
                not_after,
            });
        }
    }

    /// The writer is a replica and does rounds like all, whether it has something to write or not.
    fn writer_see(&mut self) {
        if let Some((_, Some(state))) = self.stored.last() {
            for certificate in state.certificates() {
                self.writer.held.insert(certificate.info.id.clone(), self.now);
            }
        }
    }

    fn writer_read(&mut self) {
        self.writer_see();
        let version = self.stored.len() - 1;
        let Some(state) = &self.stored[version].1 else {
            // nothing to publish until a replica puts the state back
            self.synced = version;
            return;
        };
        let made = &self.made;
        self.writer.held.retain(|id, seen| self.now < made[id].not_after && self.now - *seen < 2 * DAY);
        // what is in the state is published even on its last day
        let mut ids: BTreeSet<CaId> = self.writer.held.keys().cloned().collect();
        ids.extend(state.certificates().map(|certificate| certificate.info.id.clone()));
        self.writer.read = Some((version, ids));
    }

    fn writer_write(&mut self) {
        self.writer.wrote_at = self.now;
        if let Some((version, ids)) = self.writer.read.take() {
            self.live.push((self.now, ids));
            self.synced = version;
        }
    }

    fn check(&mut self) {
        // the bundles that some API server may still be using: the last, and those replaced a moment ago
        let mut in_use = Vec::new();
        let mut replaced_at = i64::MAX;
        for (since, ids) in self.live.iter().rev() {
            if replaced_at < self.now - PROPAGATION {
                break;
            }
            in_use.push(ids);
            replaced_at = *since;
        }
        for (number, pod) in self.pods.iter_mut().enumerate() {
            let Some(leaf) = &pod.leaf else { continue };
            let trusted = in_use.iter().all(|ids| ids.contains(&leaf.issuer));
            pod.counted |= trusted;
            if !pod.counted {
                continue;
            }
            assert!(trusted, "pod {number} serves a leaf of {} that no bundle in use has", leaf.issuer);
            assert!(self.now >= leaf.not_before && self.now < leaf.not_after, "pod {number} serves an invalid leaf");
            let issuer = &self.made[&leaf.issuer];
            assert!(self.now >= issuer.not_before && self.now < issuer.not_after, "pod {number}: its CA is over");
        }
    }
}

/// 64 of each by default, for the time it takes; always the same ones, so that a build does not fail by luck; `PROPTEST_CASES` asks for
/// as many others. 20,000 were run when this was written.
fn cases() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        default
    } else {
        ProptestConfig { cases: 64, rng_seed: RngSeed::Fixed(0x5ea_3a11), ..default }
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_served_leaf_verifies_in_every_interleaving_when_bundles_are_read_back(
        operations in operations(),
        skews in prop::array::uniform3(-1800..1800_i64),
    ) {
        let mut world = World::new(true, skews);
        operations.into_iter().for_each(|operation| world.run(operation));
    }

    #[test]
    fn a_served_leaf_verifies_in_every_interleaving_by_time_alone(
        operations in operations(),
        skews in prop::array::uniform3(-1800..1800_i64),
    ) {
        let mut world = World::new(false, skews);
        operations.into_iter().for_each(|operation| world.run(operation));
    }
}

/// A model in which nothing happens would pass as well: three years of ordinary life bring all phases, and every
/// replica is counted.
#[test]
fn the_model_lives() {
    for reads_back in [true, false] {
        let mut world = World::new(reads_back, [0, 60, -60]);
        for _ in 0..365 * 3 {
            world.run(Operation::Pass(DAY));
        }
        assert!(world.promotions > 40, "{} promotions in three years of 30 day CAs", world.promotions);
        assert!(world.pods.iter().all(|pod| pod.counted));
    }
}
