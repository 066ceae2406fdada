//! Requests made of the policies' own cases: first every policy's case as it stands, so that each of them is tried, then the
//! same with parts of other objects, with the facts of others, and in other tiers.

use crate::embedded::{bundle, set};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use seawall::engine::compile::Entry;
use seawall::policy::bundle::CaseFiles;
use seawall::policy::mode::{Action, Tier};
use seawall::policy::store::Policy;
use seawall::policytest::case::Case;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A case in which a policy finds something.
#[derive(Debug, Clone)]
pub(super) struct Seed {
    pub(super) operation: String,
    pub(super) object: Value,
    pub(super) old: Value,
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    pub(super) tier: Tier,
    pub(super) facts: Vec<Value>,
    /// The policy patches only where a configuration says so.
    pub(super) strict: bool,
    /// As it stands.
    pub(super) untouched: bool,
}

impl Seed {
    fn kind(&self) -> &str {
        let subject = if self.object.is_object() { &self.object } else { &self.old };
        subject.get("kind").and_then(Value::as_str).unwrap_or_default()
    }
}

/// How many cases of a policy are used.
const CASES: usize = 8;

/// By policy, and once more by policy that patches: its cases.
static SEEDS: LazyLock<Vec<Vec<Seed>>> = LazyLock::new(|| {
    let seeds = set().policies().iter().flat_map(|policy| {
        let violations = seeds_of(policy, |case| !case.expected.contains("patched:"));
        let patches = seeds_of(policy, |case| case.expected.contains("patched:"));
        [violations, patches]
    });
    seeds.filter(|seeds| !seeds.is_empty()).collect()
});

/// Objects of the cases by kind.
static OBJECTS: LazyLock<BTreeMap<String, Vec<Value>>> = LazyLock::new(|| {
    let mut objects: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for seed in SEEDS.iter().flatten().filter(|seed| seed.object.is_object()) {
        objects.entry(seed.kind().to_owned()).or_default().push(seed.object.clone());
    }
    objects
});

fn seeds_of(policy: &Policy, wanted: impl Fn(&CaseFiles) -> bool) -> Vec<Seed> {
    let package = policy.unit.package.trim_start_matches("data.");
    let cases = bundle().cases.get(package).map(Vec::as_slice).unwrap_or_default();
    let fires = cases.iter().filter(|case| case.expected.contains("- path:") && wanted(case));
    fires.filter_map(|case| seed(policy, case)).take(CASES).collect()
}

/// The seed of a case, where the case means the policy as it is loaded: the same parameters, facts and time.
fn seed(policy: &Policy, files: &CaseFiles) -> Option<Seed> {
    let text = files.context.as_deref().unwrap_or("{}");
    let context: BTreeMap<String, Value> = serde_saphyr::from_str(text).unwrap_or_default();
    if ["parameters", "unsynced", "now"].iter().any(|key| context.contains_key(*key)) {
        return None;
    }
    let case = Case::parse(files).ok()?;
    let request = case.request();
    let patches = files.expected.contains("patched:");
    let metadata = &policy.metadata;
    let acts = |tier: &Tier| {
        let wanted = metadata.patch.is_empty() || !patches || metadata.patch.contains(tier);
        wanted && metadata.actions.get(*tier) != Action::Off
    };
    let written = context.get("tier").and_then(|tier| serde_json::from_value(tier.clone()).ok());
    let tier = written.into_iter().chain([Tier::Tier2]).chain(Tier::ALL.iter().copied()).find(acts)?;
    Some(Seed {
        operation: request.body().get("operation").and_then(Value::as_str).unwrap_or_default().to_owned(),
        object: request.object().cloned().unwrap_or_default(),
        old: request.old_object().cloned().unwrap_or_default(),
        user: request.username.clone(),
        groups: request.groups.clone(),
        tier,
        facts: context.get("objects").and_then(Value::as_array).cloned().unwrap_or_default(),
        strict: metadata.patch.is_empty() && policy.unit.has(Entry::Patch),
        untouched: true,
    })
}

/// Counts the samples of one run.
#[derive(Debug, Default)]
struct InTurn(AtomicUsize);

/// A number that stays while a sample is made smaller.
#[derive(Debug, Clone)]
struct Fixed(usize);

impl ValueTree for Fixed {
    type Value = usize;
    fn current(&self) -> usize {
        self.0
    }
    fn simplify(&mut self) -> bool {
        false
    }
    fn complicate(&mut self) -> bool {
        false
    }
}

impl Strategy for InTurn {
    type Tree = Fixed;
    type Value = usize;
    fn new_tree(&self, _: &mut TestRunner) -> NewTree<Self> {
        Ok(Fixed(self.0.fetch_add(1, Ordering::Relaxed)))
    }
}

/// The policies' cases in turn.
pub(super) fn seed_in_turn() -> BoxedStrategy<Seed> {
    let tiers = prop::option::weighted(0.5, prop::sample::select(Tier::ALL.to_vec()));
    let changes = (0..3_u8, any::<Index>(), any::<Index>(), prop::collection::vec(any::<Index>(), 1..6), tiers);
    (InTurn::default(), changes)
        .prop_map(|(turn, (dice, other, facts, parts, tier))| {
            let seeds = &SEEDS[turn % SEEDS.len()];
            let round = turn / SEEDS.len();
            let mut seed = seeds[round % seeds.len()].clone();
            if round == 0 {
                return seed;
            }
            seed.untouched = false;
            seed.tier = tier.unwrap_or(seed.tier);
            let of_kind = OBJECTS.get(seed.kind()).map(Vec::as_slice).unwrap_or_default();
            if dice > 0 && !of_kind.is_empty() {
                seed.object = super::objects::edited(seed.object, other.get(of_kind), &parts);
            }
            let others: Vec<&Seed> = SEEDS.iter().flatten().collect();
            if dice > 1 {
                seed.facts.extend(facts.get(&others).facts.iter().cloned());
            }
            seed
        })
        .boxed()
}
