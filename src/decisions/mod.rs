//! What would have been decided: denials and patches that only the mode of a namespace stood in the way of, counted per
//! namespace and policy.
//!
//! A replica counts in memory ([`Recorder`]) and keeps the counts in a ConfigMap of its own ([`store`]), so replicas never
//! write the same object and a restart loses at most what came since the last write. Who reads adds all of them up
//! ([`Record::add_up`]). Only counts, names and times: never an object.

pub mod bodies;
pub mod redact;
pub mod secrets;
pub mod store;

use crate::review::Outcome;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most rows of one replica: about half a MiB, of the 1 MiB that a ConfigMap may have.
pub const MOST_ROWS: usize = 2_000;

/// How long a row is kept after its last decision.
pub const KEPT: SignedDuration = SignedDuration::from_hours(31 * 24);

/// The longest break in a record: a replica that counts nothing writes once a day.
pub const BREAK: SignedDuration = SignedDuration::from_hours(25);

/// Namespace (empty: none) and policy.
pub type Key = (String, String);

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Violations that would have been rejected.
    pub denials: u64,
    /// Safe defaults that would have been written.
    pub patches: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last.
    pub last: Timestamp,
    /// The last denial. A patch alone does not hinder a stricter mode.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_denial: Option<Timestamp>,
}

impl Count {
    fn add(&mut self, other: &Self) {
        self.denials = self.denials.saturating_add(other.denials);
        self.patches = self.patches.saturating_add(other.patches);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.last_denial = self.last_denial.max(other.last_denial);
    }
}

/// What one replica recorded, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When it began, without a break until now. Rows may be older.
    pub since: Timestamp,
    /// Up to when it is complete.
    pub until: Timestamp,
    /// Decisions that found no room.
    pub dropped: u64,
    /// The last of those.
    pub last_dropped: Option<Timestamp>,
    /// The counts.
    pub rows: BTreeMap<Key, Count>,
}

impl Record {
    /// Nothing yet.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let now = whole_second(now);
        Self { since: now, until: now, dropped: 0, last_dropped: None, rows: BTreeMap::new() }
    }

    /// All records as one; `None` when there are none.
    #[must_use]
    pub fn add_up(records: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut records: Vec<Self> = records.into_iter().collect();
        // from the end, so that it shows where the next earlier one leaves a gap
        records.sort_by_key(|record| std::cmp::Reverse(record.until));
        records.into_iter().reduce(|mut sum, record| {
            sum.since = sum.begun(&record);
            sum.dropped = sum.dropped.saturating_add(record.dropped);
            sum.last_dropped = sum.last_dropped.max(record.last_dropped);
            for (key, count) in record.rows {
                sum.rows.entry(key).and_modify(|sum| sum.add(&count)).or_insert(count);
            }
            sum
        })
    }

    /// When recording began, with an earlier record before it.
    fn begun(&self, earlier: &Self) -> Timestamp {
        if self.since.duration_since(earlier.until) > BREAK { self.since } else { self.since.min(earlier.since) }
    }

    fn count(&mut self, key: Key, one: Count) {
        if let Some(count) = self.rows.get_mut(&key) {
            count.add(&one);
        } else if self.rows.len() < MOST_ROWS {
            self.rows.insert(key, one);
        } else {
            self.dropped = self.dropped.saturating_add(one.denials.saturating_add(one.patches));
            self.last_dropped = self.last_dropped.max(Some(one.last));
        }
    }

    /// Forgets rows, and what found no room, whose last decision is long ago. Returns whether there were any.
    fn forget(&mut self, now: Timestamp) -> bool {
        let before = self.rows.len();
        self.rows.retain(|_, count| now.duration_since(count.last) <= KEPT);
        let dropped = self.last_dropped.take_if(|last| now.duration_since(*last) > KEPT);
        if dropped.is_some() {
            self.dropped = 0;
        }
        self.rows.len() != before || dropped.is_some()
    }
}

/// Nobody needs more, and it is a third of the text.
fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// Counts on one replica. Shared by all requests; adding takes a short lock only when there is something to count.
#[derive(Debug)]
pub struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    record: Record,
    /// Counted since the last write.
    changed: bool,
}

impl Recorder {
    /// Starts empty.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(State { record: Record::new(now), changed: false }) }
    }

    /// Counts what an outcome would have been. `namespace`: the one whose labels decided.
    pub fn add(&self, namespace: Option<&str>, outcome: &Outcome, now: Timestamp) {
        let now = whole_second(now);
        let mut ones: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for finding in outcome.findings.iter().filter(|finding| finding.would_deny()) {
            // several violations of one policy are one rejection
            ones.entry(&finding.policy).or_default().0 = 1;
        }
        for change in &outcome.patch.proposed {
            ones.entry(&change.policy).or_default().1 = 1;
        }
        if ones.is_empty() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for (policy, (denials, patches)) in ones {
            let key = (namespace.unwrap_or_default().to_owned(), policy.to_owned());
            let last_denial = (denials > 0).then_some(now);
            state.record.count(key, Count { denials, patches, first: now, last: now, last_denial });
        }
        state.changed = true;
    }

    /// Adds what an earlier process of this replica recorded.
    fn resume(&self, earlier: Record) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.record.since = state.record.begun(&earlier);
        state.record.dropped = state.record.dropped.saturating_add(earlier.dropped);
        state.record.last_dropped = state.record.last_dropped.max(earlier.last_dropped);
        for (key, count) in earlier.rows {
            state.record.count(key, count);
        }
        state.changed = true;
    }

    /// What is to be written now; `None` when nothing changed. It counts as written until [`Recorder::not_written`].
    fn take(&self, now: Timestamp, anyway: bool) -> Option<Record> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = state.record.forget(now);
        if !(state.changed || forgotten || anyway) {
            return None;
        }
        state.changed = false;
        state.record.until = whole_second(now);
        Some(state.record.clone())
    }

    /// The last [`Recorder::take`] was in vain.
    fn not_written(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).changed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn one(second: i64) -> Count {
        Count { denials: 1, patches: 0, first: at(second), last: at(second), last_denial: Some(at(second)) }
    }

    fn key(name: &str) -> Key {
        (name.to_owned(), "p".to_owned())
    }

    #[test]
    fn records_add_up_whatever_their_order() {
        let mut a = Record::new(at(0));
        a.count(key("x"), one(5));
        a.count(key("x"), one(9));
        let mut b = Record { until: at(50), dropped: 3, ..Record::new(at(-10)) };
        b.count(key("x"), one(1));
        b.count(key("y"), Count { denials: 0, patches: 2, last_denial: None, ..one(7) });
        let sum = Record::add_up([a.clone(), b.clone()]).unwrap();
        assert_eq!(Some(&sum), Record::add_up([b, a]).as_ref());
        assert_eq!((sum.since, sum.until, sum.dropped), (at(-10), at(50), 3));
        let x = Count { denials: 3, patches: 0, first: at(1), last: at(9), last_denial: Some(at(9)) };
        assert_eq!(sum.rows[&key("x")], x);
        assert_eq!(sum.rows[&key("y")].last_denial, None);
        assert_eq!(Record::add_up([]), None);
    }

    #[test]
    fn a_day_without_a_record_is_a_break() {
        let hours = |number: i64| number * 60 * 60;
        let of = |since: i64, until: i64| Record { until: at(hours(until)), ..Record::new(at(hours(since))) };
        let sum = |records: &[Record]| Record::add_up(records.to_vec()).unwrap().since;
        assert_eq!(sum(&[of(100, 200), of(0, 80)]), at(0));
        assert_eq!(sum(&[of(0, 70), of(100, 200)]), at(hours(100)));
        assert_eq!(sum(&[of(0, 70), of(100, 200), of(60, 90)]), at(0));
        let recorder = Recorder::new(at(hours(100)));
        recorder.resume(of(0, 70));
        assert_eq!(recorder.take(at(hours(100)), false).unwrap().since, at(hours(100)));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let mut record = Record::new(at(0));
        for number in 0..MOST_ROWS + 3 {
            record.count(key(&number.to_string()), one(0));
        }
        record.count(key("0"), one(1));
        assert_eq!((record.rows.len(), record.dropped, record.rows[&key("0")].denials), (MOST_ROWS, 3, 2));
        assert_eq!(record.last_dropped, Some(at(0)));
        assert!(record.forget(at(2 + KEPT.as_secs())));
        assert_eq!((record.dropped, record.last_dropped), (0, None));
    }

    #[test]
    fn old_rows_are_forgotten() {
        let mut record = Record::new(at(0));
        record.count(key("old"), one(0));
        record.count(key("new"), one(5));
        assert!(!record.forget(at(0)));
        assert!(record.forget(at(1 + KEPT.as_secs())));
        assert_eq!(record.rows.keys().collect::<Vec<_>>(), [&key("new")]);
    }

    #[test]
    fn only_changes_are_written_and_what_failed_is_written_again() {
        let recorder = Recorder::new(at(0));
        assert_eq!(recorder.take(at(1), false), None);
        assert!(recorder.take(at(1), true).is_some());
        let mut earlier = Record::new(at(-100));
        earlier.count(key("x"), one(-50));
        recorder.resume(earlier);
        let record = recorder.take(at(2), false).unwrap();
        assert_eq!((record.since, record.until, record.rows.len()), (at(-100), at(2), 1));
        assert_eq!(recorder.take(at(3), false), None);
        recorder.not_written();
        assert!(recorder.take(at(4), false).is_some());
    }
}
