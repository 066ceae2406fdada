//! What is remembered of each object between passes: a hash of what its verdict depends on, its violations in short, and its
//! report. From this follows what has to be judged, written, deleted and announced.

use crate::audit::judge::{Group, Item, Verdict};
use crate::decision::Cap;
use crate::policy::mode::{Mode, Tier};
use crate::report::policyreport::{self, Flavour};
use crate::report::{Judged, ResourceId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names an object: resource as policies name it, namespace, name.
pub(super) type Key = (String, String, String);

/// Names a report: namespace (empty for reports about objects without one) and name.
pub(super) type ReportKey = (String, String);

/// The key of an object.
pub(super) fn key(resource: &str, object: &Value) -> Key {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (resource.to_owned(), text("/metadata/namespace"), text("/metadata/name"))
}

/// A violation as metrics count it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counted {
    pub(super) policy: Arc<str>,
    pub(super) mode: Mode,
    pub(super) tier: Tier,
}

#[derive(Debug, Clone, Default)]
struct Memo {
    /// The pass that saw it last.
    pass: u64,
    /// Hash of what its owner wrote of it.
    object: u64,
    /// Hash of what the verdict depends on; zero: to be judged again.
    input: u64,
    violations: Vec<Counted>,
    /// There is something to report.
    found: bool,
    /// Name and hash of its report.
    report: Option<(String, String)>,
}

/// Something to be done in the cluster.
#[derive(Debug)]
pub(super) enum Order {
    /// Write a report.
    Report {
        /// Its place.
        key: ReportKey,
        /// Its [`policyreport::HASH`].
        hash: String,
        /// All of it.
        body: Value,
    },
    /// Delete a report.
    Remove(ReportKey),
    /// Tell of violations that came or went.
    Announce(Announcement),
}

/// Violations that came or went.
#[derive(Debug, PartialEq)]
pub(super) struct Announcement {
    /// Namespace of the Event.
    pub(super) namespace: String,
    /// The object that it is about, as an ObjectReference: the controller that owns it, or itself.
    pub(super) regarding: Value,
    /// They came; otherwise they went.
    pub(super) appeared: bool,
    /// Policies, sorted.
    pub(super) policies: Vec<String>,
    /// For a person.
    pub(super) note: String,
}

/// All that is remembered.
#[derive(Debug, Default)]
pub(super) struct Memory {
    objects: BTreeMap<Key, Memo>,
    /// The reports that are in the cluster, with their hashes.
    reports: BTreeMap<ReportKey, String>,
    /// How reports are written; `None`: they are not.
    flavour: Option<Flavour>,
    pass: u64,
    /// A pass saw everything, so that what is new since then is news.
    baseline: bool,
    names: BTreeSet<Arc<str>>,
}

impl Memory {
    /// A pass begins, with the reports that the cluster has.
    pub(super) fn begin(&mut self, flavour: Option<Flavour>, reports: BTreeMap<ReportKey, String>) {
        self.pass += 1;
        self.flavour = flavour;
        self.reports = reports;
    }

    /// Whether a group was judged on the same input before, and its report is there. Its objects count as seen.
    pub(super) fn knows(&mut self, group: &Group<'_>, input: u64) -> bool {
        let mut known = true;
        for item in group.items() {
            let Some(memo) = self.objects.get_mut(&key(&item.source.resource, item.object)) else {
                known = false;
                continue;
            };
            memo.pass = self.pass;
            let written = match (&memo.report, self.flavour) {
                (_, None) => true,
                // found before there were reports
                (None, Some(_)) => !memo.found,
                (Some((name, hash)), Some(_)) => {
                    self.reports.get(&(report_namespace(item.object), name.clone())) == Some(hash)
                }
            };
            known &= memo.input == input && written;
        }
        known
    }

    /// Whether a change of an object is none that its owner made: the same but for status and bookkeeping.
    pub(super) fn is_same(&self, key: &Key, object: u64) -> bool {
        self.objects.get(key).is_some_and(|memo| memo.object == object)
    }

    /// Whether anything is known of an object.
    pub(super) fn remembers(&self, key: &Key) -> bool {
        self.objects.contains_key(key)
    }

    /// Takes the verdicts of a group. `input` zero: to be judged again by the next pass. `unknown`: kinds of which not
    /// everything is known now; an object whose policies need them keeps what was known of it.
    pub(super) fn learn(
        &mut self,
        group: &Group<'_>,
        verdicts: &[Verdict],
        (input, digests): (u64, &[u64]),
        unknown: &BTreeSet<String>,
    ) -> Vec<Order> {
        let mut orders = Vec::new();
        let trusted = |verdict: &Verdict| match verdict {
            Verdict::Row { row, whole } => *whole && !row.unknown.iter().any(|u| unknown.contains(&u.missing)),
            Verdict::Failed => false,
            Verdict::Counted | Verdict::PassedOver => true,
        };
        // a claim that cannot be judged leaves a gap in the row of its set
        let whole = verdicts.iter().all(trusted);
        for ((item, verdict), digest) in group.items().zip(verdicts).zip(digests) {
            let key = key(&item.source.resource, item.object);
            if !whole {
                if let Some(memo) = self.objects.get_mut(&key) {
                    (memo.pass, memo.input) = (self.pass, 0);
                }
                continue;
            }
            let row = match verdict {
                Verdict::Row { row, .. } => Some(&**row),
                _ => None,
            };
            let before = self.objects.get(&key).cloned();
            let violations = row.map(|row| self.counted(row)).unwrap_or_default();
            if self.baseline {
                let then = before.as_ref().map(|memo| memo.violations.as_slice()).unwrap_or_default();
                orders.extend(announcements(item, row, then, &violations));
            }
            let report = self.report(item, row, &mut orders);
            let found = row.is_some_and(|row| !row.violations.is_empty() || !row.unknown.is_empty());
            let memo = Memo { pass: self.pass, object: *digest, input, violations, found, report };
            self.objects.insert(key, memo);
        }
        orders
    }

    /// An object is gone; the garbage collector removes its report.
    pub(super) fn forget(&mut self, key: &Key) {
        self.objects.remove(key);
    }

    /// A pass ended. What it did not meet of the kinds that it listed to their end is gone; of a pass that saw everything, reports
    /// about nothing are told.
    pub(super) fn end(&mut self, listed: &BTreeSet<String>, complete: bool) -> Vec<Order> {
        let pass = self.pass;
        self.objects.retain(|(resource, ..), memo| memo.pass == pass || !listed.contains(resource));
        self.baseline |= complete;
        if !complete || self.flavour.is_none() {
            return Vec::new();
        }
        let wanted: BTreeSet<&str> =
            self.objects.values().filter_map(|memo| Some(memo.report.as_ref()?.0.as_str())).collect();
        let stale = self.reports.keys().filter(|(_, name)| !wanted.contains(name.as_str()));
        stale.cloned().map(Order::Remove).collect()
    }

    /// A report was written, or removed.
    pub(super) fn wrote(&mut self, key: ReportKey, hash: Option<String>) {
        match hash {
            Some(hash) => self.reports.insert(key, hash),
            None => self.reports.remove(&key),
        };
    }

    /// Whether the cluster is known to have a report.
    pub(super) fn has_report(&self, key: &ReportKey) -> bool {
        self.reports.contains_key(key)
    }

    /// Objects that are remembered.
    pub(super) fn len(&self) -> usize {
        self.objects.len()
    }

    /// How many violations there are of each sort.
    pub(super) fn counts(&self) -> BTreeMap<Counted, u64> {
        let mut counts = BTreeMap::new();
        for violation in self.objects.values().flat_map(|memo| &memo.violations) {
            *counts.entry(violation.clone()).or_insert(0) += 1;
        }
        counts
    }

    fn counted(&mut self, row: &Judged) -> Vec<Counted> {
        let findings = row.violations.iter().map(|violation| &violation.finding);
        // what an exemption spares is open to nobody
        let open = findings.filter(|finding| finding.capped_by != Some(Cap::Exemption));
        let mut counted: Vec<Counted> = open
            .map(|finding| {
                let known = self.names.get(finding.policy.as_str()).cloned();
                let policy = known.unwrap_or_else(|| Arc::from(finding.policy.as_str()));
                self.names.insert(policy.clone());
                Counted { policy, mode: finding.mode, tier: finding.tier }
            })
            .collect();
        counted.sort();
        counted
    }

    /// The report that an object has from now on, and what is to be done about it.
    fn report(&self, item: Item<'_>, row: Option<&Judged>, orders: &mut Vec<Order>) -> Option<(String, String)> {
        let flavour = self.flavour?;
        let place = |name: &str| (report_namespace(item.object), name.to_owned());
        let body = row.and_then(|row| policyreport::build(row, flavour));
        let Some(body) = body else {
            let uid = item.object.pointer("/metadata/uid").and_then(Value::as_str)?;
            let key = place(&format!("{}-{uid}", policyreport::SOURCE));
            if self.reports.contains_key(&key) {
                orders.push(Order::Remove(key));
            }
            return None;
        };
        let name = row.map(policyreport::name)?;
        let hash = body.pointer("/metadata/labels")?.get(policyreport::HASH)?.as_str()?.to_owned();
        let key = place(&name);
        if self.reports.get(&key) != Some(&hash) {
            orders.push(Order::Report { key, hash: hash.clone(), body });
        }
        Some((name, hash))
    }
}

/// Where the report about an object is.
fn report_namespace(object: &Value) -> String {
    object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What to tell of an object whose violations changed.
fn announcements(item: Item<'_>, row: Option<&Judged>, then: &[Counted], now: &[Counted]) -> Vec<Order> {
    let ids = |list: &[Counted]| -> BTreeSet<String> { list.iter().map(|c| c.policy.to_string()).collect() };
    let (then, now) = (ids(then), ids(now));
    let mut orders = Vec::new();
    for (appeared, policies) in [(true, &now - &then), (false, &then - &now)] {
        // an object that is passed over, or counted elsewhere from now on, did not become better
        if policies.is_empty() || (!appeared && row.is_none()) {
            continue;
        }
        let note = match row.filter(|_| appeared) {
            Some(row) => lines(row, &policies),
            None => format!("no longer found: {}", policies.iter().cloned().collect::<Vec<_>>().join(", ")),
        };
        let namespace = item.object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
        orders.push(Order::Announce(Announcement {
            namespace: namespace.to_owned(),
            regarding: regarding(item, row.map(|row| &row.resource)),
            appeared,
            policies: policies.into_iter().collect(),
            note,
        }));
    }
    orders
}

fn lines(row: &Judged, policies: &BTreeSet<String>) -> String {
    let found = row.violations.iter().filter(|v| policies.contains(&v.finding.policy));
    let place = format!("{} {}: ", row.resource.kind, row.resource.name);
    place + &found.map(|v| v.finding.line()).collect::<Vec<_>>().join("\n")
}

/// The controller that owns an object, or the object itself.
fn regarding(item: Item<'_>, resource: Option<&ResourceId>) -> Value {
    let object = item.object;
    let namespace = object.pointer("/metadata/namespace");
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let owner = owners.into_iter().flatten().find(|owner| owner.get("controller") == Some(&json!(true)));
    let mut reference = match owner {
        Some(owner) => json!({"apiVersion": owner.get("apiVersion"), "kind": owner.get("kind"),
            "name": owner.get("name"), "uid": owner.get("uid")}),
        None => json!({"apiVersion": resource.map(|r| &r.api_version), "kind": resource.map(|r| &r.kind),
            "name": object.pointer("/metadata/name"), "uid": object.pointer("/metadata/uid")}),
    };
    if let (Some(fields), Some(namespace)) = (reference.as_object_mut(), namespace) {
        fields.insert("namespace".to_owned(), namespace.clone());
    }
    reference
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
