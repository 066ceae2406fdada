//! Which namespaces can be enforced: no stored object violates a policy that would deny, and no request would have been
//! denied in the recorded window. Pure: what is stored and recorded comes from the caller.

use crate::decision::{Finding, Scope};
use crate::decisions::{BREAK, Count, Key, Record};
use crate::policy::mode::{Action, Mode, Tier};
use crate::policy::store::PolicySet;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The shortest window without a word: what runs once a week has run in it.
pub const SHORTEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Why no plan can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Asked for less than [`SHORTEST`].
    #[error(
        "a window of {0} hours is shorter than 7 days, so what runs once a week may not be in it; --allow-short-window takes it all the same"
    )]
    Short(i64),
    /// Recording began too late.
    #[error(
        "decisions are recorded since {since} only, or with a break of more than a day before, so there is no window from {from} on; plan again at {again}, or take a shorter one with --window and --allow-short-window"
    )]
    Young {
        /// The begin of the record.
        since: Timestamp,
        /// The begin of the window.
        from: Timestamp,
        /// When the record is old enough.
        again: Timestamp,
    },
    /// Nobody records any more.
    #[error("decisions are recorded up to {0} only; does `seawall serve` run, with its rights on ConfigMaps?")]
    Stopped(Timestamp),
    /// Some decisions are in no row.
    #[error(
        "{0} decisions found no room in the records, so a namespace could look better than it is; see `seawall decisions`"
    )]
    Dropped(u64),
}

/// The recorded window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Its begin.
    pub from: Timestamp,
    /// Its end: now.
    pub to: Timestamp,
    /// When recording began.
    pub recorded_since: Timestamp,
}

impl Window {
    /// The last `length` up to now, when all of it is recorded.
    ///
    /// # Errors
    /// When it is too short, or not all of it is recorded.
    pub fn new(
        record: &Record,
        length: SignedDuration,
        allow_short: bool,
        now: Timestamp,
    ) -> Result<Self, WindowError> {
        if length < SHORTEST && !allow_short {
            return Err(WindowError::Short(length.as_hours()));
        }
        let from = now.checked_sub(length).unwrap_or(Timestamp::MIN);
        if record.since > from {
            let again = record.since.checked_add(length).unwrap_or(Timestamp::MAX);
            return Err(WindowError::Young { since: record.since, from, again });
        }
        if now.duration_since(record.until) > BREAK {
            return Err(WindowError::Stopped(record.until));
        }
        if record.last_dropped.is_some_and(|last| last >= from) {
            return Err(WindowError::Dropped(record.dropped));
        }
        Ok(Self { from, to: now, recorded_since: record.since })
    }
}

/// A namespace to plan for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name; empty for what has no namespace.
    pub name: String,
    /// What its labels say.
    pub scope: Scope,
    /// Its mode is that of the configuration.
    pub by_default: bool,
    /// When it was made; none for what has no namespace.
    pub created: Option<Timestamp>,
}

/// What stored objects say, per namespace and policy.
#[derive(Debug, Clone, Default)]
pub struct Stored(BTreeMap<Key, Objects>);

#[derive(Debug, Clone, Default)]
struct Objects {
    violating: u64,
    unknown: u64,
    missing: BTreeSet<String>,
}

impl Stored {
    /// Adds one object. `unknown`: policies without an answer, and the kind that is missing.
    pub fn add<'r>(
        &mut self,
        namespace: Option<&str>,
        findings: impl IntoIterator<Item = &'r Finding>,
        unknown: impl IntoIterator<Item = (&'r str, &'r str)>,
    ) {
        let mut of = |policy: &str, add: &mut dyn FnMut(&mut Objects)| {
            add(self.0.entry((namespace.unwrap_or_default().to_owned(), policy.to_owned())).or_default());
        };
        let denied = findings.into_iter().filter(|finding| finding.in_enforce == Action::Deny);
        let policies: BTreeSet<&str> = denied.map(|finding| finding.policy.as_str()).collect();
        policies.into_iter().for_each(|policy| of(policy, &mut |objects| objects.violating += 1));
        for (policy, missing) in unknown {
            of(policy, &mut |objects| {
                objects.unknown += 1;
                objects.missing.insert(missing.to_owned());
            });
        }
    }
}

/// What comes next for a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// It is enforced.
    Done,
    /// Nothing stands in the way of enforcing.
    Enforce,
    /// Users can be told; enforcing would reject.
    Warn,
    /// It warns; enforcing would reject.
    Stay,
    /// It is switched off, so nothing is known.
    Audit,
}

/// Why a policy cannot be enforced in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Policy id.
    pub policy: String,
    /// Stored objects that violate it.
    pub violating: u64,
    /// Stored objects that it cannot judge.
    pub unknown: u64,
    /// What it needs to know for them.
    pub missing: BTreeSet<String>,
    /// Requests that would have been denied, in the whole record.
    pub denials: u64,
    /// The last of them, where it is in the window.
    pub last_denial: Option<Timestamp>,
}

/// The plan for one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacePlan {
    /// Its name; empty for what has no namespace.
    pub namespace: String,
    /// Its tier.
    pub tier: Tier,
    /// Its mode.
    pub mode: Mode,
    /// Its mode is that of the configuration.
    pub by_default: bool,
    /// What comes next.
    pub next: Next,
    /// When it was made, where that is inside the window.
    pub created: Option<Timestamp>,
    /// Policies that deny in its tier and have nothing against them.
    pub ready: Vec<String>,
    /// Those that have.
    pub blocked: Vec<Blocked>,
}

/// The plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The recorded window.
    pub window: Window,
    /// By name.
    pub namespaces: Vec<NamespacePlan>,
}

impl Plan {
    /// Works it out.
    #[must_use]
    pub fn new(
        window: Window,
        namespaces: impl IntoIterator<Item = Namespace>,
        stored: &Stored,
        record: &Record,
        policies: &PolicySet,
    ) -> Self {
        let plan = |namespace: Namespace| of_namespace(namespace, window, stored, record, policies);
        let mut namespaces: Vec<NamespacePlan> = namespaces.into_iter().map(plan).collect();
        namespaces.sort_by(|a, b| a.namespace.cmp(&b.namespace));
        Self { window, namespaces }
    }

    /// Whether every namespace is enforced or can be.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.namespaces.iter().all(|namespace| matches!(namespace.next, Next::Done | Next::Enforce))
    }

    /// The tiers in which each blocked policy would have to warn only, so that the rest can be enforced everywhere; not
    /// where a namespace is too young for a verdict.
    #[must_use]
    pub fn exceptions(&self) -> BTreeMap<&str, BTreeSet<Tier>> {
        let mut exceptions: BTreeMap<&str, BTreeSet<Tier>> = BTreeMap::new();
        for namespace in self.namespaces.iter().filter(|namespace| namespace.created.is_none()) {
            for blocked in &namespace.blocked {
                exceptions.entry(&blocked.policy).or_default().insert(namespace.tier);
            }
        }
        exceptions
    }

    /// Enforced namespaces in which such an exception would weaken a policy.
    #[must_use]
    pub fn weakened(&self) -> Vec<&NamespacePlan> {
        let tiers: BTreeSet<Tier> = self.exceptions().into_values().flatten().collect();
        self.namespaces.iter().filter(|n| n.next == Next::Done && tiers.contains(&n.tier)).collect()
    }
}

fn of_namespace(
    namespace: Namespace,
    window: Window,
    stored: &Stored,
    record: &Record,
    policies: &PolicySet,
) -> NamespacePlan {
    let Namespace { name, scope: Scope { tier, mode, .. }, by_default, created } = namespace;
    let created = created.filter(|created| *created > window.from);
    let (mut ready, mut blocked) = (Vec::new(), Vec::new());
    if !matches!(mode, Mode::Off | Mode::Enforce) {
        for policy in policies.policies() {
            let key = (name.clone(), policy.id().to_owned());
            let reason = reason(stored.0.get(&key), record.rows.get(&key), window);
            let denies = policy.metadata.actions.get(tier) == Action::Deny;
            match reason {
                // a workload may raise its tier: what violates or was recorded counts whatever the tier says
                Some(reason) if denies || reason.violating > 0 || reason.last_denial.is_some() => {
                    blocked.push(Blocked { policy: policy.id().to_owned(), ..reason });
                }
                _ if denies => ready.push(policy.id().to_owned()),
                _ => {}
            }
        }
    }
    let next = match mode {
        Mode::Enforce => Next::Done,
        Mode::Off => Next::Audit,
        _ if blocked.is_empty() && created.is_none() => Next::Enforce,
        Mode::Audit => Next::Warn,
        Mode::Warn => Next::Stay,
    };
    NamespacePlan { namespace: name, tier, mode, by_default, next, created, ready, blocked }
}

/// What stands against a policy in a namespace, if anything.
fn reason(objects: Option<&Objects>, count: Option<&Count>, window: Window) -> Option<Blocked> {
    let Objects { violating, unknown, missing } = objects.cloned().unwrap_or_default();
    let last_denial = count.and_then(|count| count.last_denial).filter(|last| *last >= window.from);
    let denials = count.map(|count| count.denials).unwrap_or_default();
    (violating > 0 || unknown > 0 || last_denial.is_some()).then(|| Blocked {
        policy: String::new(),
        violating,
        unknown,
        missing,
        denials,
        last_denial,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use crate::policy::mode::PatchSetting;

    fn now() -> Timestamp {
        "2026-11-21T08:00:00Z".parse().unwrap()
    }

    fn days_ago(days: i64) -> Timestamp {
        now().checked_sub(SignedDuration::from_hours(days * 24)).unwrap()
    }

    fn record() -> Record {
        Record { until: now(), ..Record::new(days_ago(10)) }
    }

    fn window() -> Window {
        Window::new(&record(), SHORTEST, false, now()).unwrap()
    }

    fn namespace(name: &str, mode: Mode) -> Namespace {
        let scope = Scope { tier: Tier::Tier0, mode, patch: PatchSetting::Disabled };
        Namespace { name: name.to_owned(), scope, by_default: false, created: Some(days_ago(100)) }
    }

    /// A policy that denies in tier-0, and the others.
    fn policies() -> (PolicySet, String) {
        let set = PolicySet::embedded(&Settings::default()).unwrap();
        let denies = set.policies().iter().find(|p| p.metadata.actions.get(Tier::Tier0) == Action::Deny).unwrap();
        let id = denies.id().to_owned();
        (set, id)
    }

    #[test]
    fn a_window_must_be_recorded_whole() {
        assert_eq!(window().from, days_ago(7));
        let of = |record: Record, days: i64, short| {
            Window::new(&record, SignedDuration::from_hours(days * 24), short, now())
        };
        assert_eq!(of(record(), 3, false), Err(WindowError::Short(72)));
        assert_eq!(of(record(), 3, true).unwrap().from, days_ago(3));
        assert!(matches!(of(record(), 11, true), Err(WindowError::Young { .. })));
        assert_eq!(of(Record { until: days_ago(2), ..record() }, 7, false), Err(WindowError::Stopped(days_ago(2))));
        let dropped = |days| Record { dropped: 1, last_dropped: Some(days_ago(days)), ..record() };
        assert_eq!(of(dropped(6), 7, false), Err(WindowError::Dropped(1)));
        assert!(of(dropped(8), 7, false).is_ok());
    }

    #[test]
    fn a_namespace_without_anything_against_it_can_be_enforced() {
        let (set, denies) = policies();
        let modes = [("a", Mode::Audit), ("b", Mode::Warn), ("c", Mode::Enforce), ("d", Mode::Off)];
        let plan =
            Plan::new(window(), modes.map(|(name, mode)| namespace(name, mode)), &Stored::default(), &record(), &set);
        let next: Vec<Next> = plan.namespaces.iter().map(|n| n.next).collect();
        assert_eq!(next, [Next::Enforce, Next::Enforce, Next::Done, Next::Audit]);
        assert!(plan.namespaces[0].ready.contains(&denies) && plan.namespaces[0].blocked.is_empty());
        assert!(!plan.is_clear(), "one is switched off");
    }

    #[test]
    fn denials_in_the_window_unknown_answers_and_young_namespaces_stand_in_the_way() {
        let (set, denies) = policies();
        let with_denial = |days: i64| {
            let last = days_ago(days);
            let count = Count { denials: 4, patches: 0, first: days_ago(9), last: now(), last_denial: Some(last) };
            let mut record = record();
            record.rows.insert(("a".to_owned(), denies.clone()), count);
            record
        };
        let of = |record: &Record, stored: &Stored, namespace: Namespace| {
            Plan::new(window(), [namespace], stored, record, &set).namespaces.remove(0)
        };
        let none = Stored::default();
        let plan = of(&with_denial(2), &none, namespace("a", Mode::Audit));
        assert_eq!((plan.next, plan.blocked.len(), plan.blocked[0].denials), (Next::Warn, 1, 4));
        // before the window: the last denial is over, a patch since then hinders nothing
        assert_eq!(of(&with_denial(8), &none, namespace("a", Mode::Warn)).next, Next::Enforce);
        let mut unknown = Stored::default();
        unknown.add(Some("a"), [], [(denies.as_str(), "services")]);
        let plan = of(&record(), &unknown, namespace("a", Mode::Warn));
        assert_eq!((plan.next, plan.blocked[0].unknown), (Next::Stay, 1));
        let young = Namespace { created: Some(days_ago(1)), ..namespace("a", Mode::Warn) };
        let plan = of(&record(), &none, young);
        assert_eq!((plan.next, plan.created), (Next::Stay, Some(days_ago(1))));
    }

    #[test]
    fn an_exception_says_whom_it_weakens() {
        let (set, denies) = policies();
        let mut unknown = Stored::default();
        unknown.add(Some("a"), [], [(denies.as_str(), "services")]);
        let namespaces = [namespace("a", Mode::Warn), namespace("b", Mode::Enforce)];
        let plan = Plan::new(window(), namespaces, &unknown, &record(), &set);
        assert_eq!(plan.exceptions(), BTreeMap::from([(denies.as_str(), BTreeSet::from([Tier::Tier0]))]));
        assert_eq!(plan.weakened().iter().map(|n| n.namespace.as_str()).collect::<Vec<_>>(), ["b"]);
    }
}
