//! Generated requests: objects of the kinds that policies judge, the operation, the user, and what the cluster holds besides.

use super::cases::seed_in_turn;
use super::cluster::{facts, namespace};
use super::fields::{Maker, junk};
use super::knowledge::GONE;
use super::storage::{claim, class, pool, snapshot_class, volume_object};
use super::workloads::{custom, deployment, gone, other_workload, stateful_set};
use crate::embedded::set;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use seawall::admission::request::Request;
use seawall::config::{Defaults, PolicyOverride, Settings};
use seawall::context::facts::Facts;
use seawall::context::kinds::Kinds;
use seawall::engine::compile::Entry;
use seawall::policy::mode::{Mode, PatchSetting, Tier};
use seawall::policy::store::PolicySet;
use seawall::review::Snapshot;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

/// One request with everything that its review depends on.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) operation: String,
    pub(super) object: Value,
    pub(super) old: Value,
    user: String,
    groups: Vec<String>,
    tier: Tier,
    facts: Vec<Value>,
    /// Kinds without any object are synced, too.
    synced: bool,
    /// Seen by `check`: also in versions that no API server has.
    file: bool,
    /// Judged with what a platform team can switch on.
    strict: bool,
    /// Has values of wrong types, which only a file can have.
    pub(super) wild: bool,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, object, old, user, groups, tier, facts, synced, file, strict, wild } = self;
        let whole = json!({
            "operation": operation, "object": object, "oldObject": old, "user": user, "groups": groups, "tier": tier.as_str(),
            "facts": facts, "synced": synced, "file": file, "strict": strict, "wild": wild,
        });
        write!(f, "{whole:#}")
    }
}

/// The policies with what is off out of the box: patches that only a configuration asks for, and parameters.
static STRICT: LazyLock<Arc<PolicySet>> = LazyLock::new(|| {
    /// Kind, key and value.
    type Parameter = (&'static str, &'static str, fn() -> Value);
    const PARAMETERS: &[Parameter] =
        &[("class-exists", "strictReferences", || json!(true)), ("class-catalogue", "groups", || json!(["platform"]))];
    let mut settings = Settings::default();
    for policy in set().policies() {
        let mut over = PolicyOverride::default();
        if policy.metadata.patch.is_empty() && policy.unit.has(Entry::Patch) {
            over.patch = Some(Tier::ALL.to_vec());
        }
        let of_policy = PARAMETERS.iter().filter(|(id, _, _)| *id == policy.id());
        over.parameters = of_policy.map(|(_, name, value)| ((*name).to_owned(), value())).collect::<Map<_, _>>();
        settings.policies.insert(policy.id().to_owned(), over);
    }
    Arc::new(PolicySet::build(crate::embedded::bundle(), &settings).unwrap())
});

/// Kinds as the API server resolves them.
pub(super) fn kinds() -> Kinds {
    Kinds::new(set().api_versions().clone())
}

impl Sample {
    /// A developer's request about one object in a cluster without any other.
    pub(super) fn new(operation: &str, object: Value, tier: Tier) -> Self {
        Self {
            operation: operation.to_owned(),
            object,
            old: Value::Null,
            user: "developer".to_owned(),
            groups: vec!["devs".to_owned()],
            tier,
            facts: vec![],
            synced: true,
            file: false,
            strict: false,
            wild: false,
        }
    }

    /// The request, or that of another object in its place.
    pub(super) fn request(&self, operation: &str, object: &Value, old: &Value) -> Request {
        let subject = if object.is_object() { object } else { old };
        let text = |pointer: &str| subject.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("/apiVersion"), text("/kind"));
        let current = kinds().resolve(version, kind);
        let written = Kinds::default().resolve(version, kind);
        let namespace = match text("/metadata/namespace") {
            _ if kind == "Namespace" => text("/metadata/name"),
            _ if !current.namespaced => "",
            "" => "default",
            named => named,
        };
        let converted = |object: &Value| {
            let mut object = object.clone();
            current.convert(&mut object);
            object
        };
        let body = json!({
            "uid": "generated", "kind": current.kind, "resource": current.resource,
            "requestKind": written.kind, "requestResource": written.resource,
            "name": text("/metadata/name"), "namespace": namespace, "operation": operation,
            "object": converted(object), "oldObject": converted(old),
            "userInfo": {"username": self.user, "groups": self.groups},
        });
        Request::from_body(body.as_object().cloned().unwrap()).unwrap()
    }

    /// The request as generated.
    pub(super) fn as_is(&self) -> Request {
        self.request(&self.operation, &self.object, &self.old)
    }

    /// The cluster in mode enforce, with patches.
    pub(super) fn snapshot(&self) -> Snapshot {
        let (set, kinds) = (if self.strict { &*STRICT } else { set() }, kinds());
        let text = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let named = self
            .facts
            .iter()
            .map(|object| (kinds.resolve(&text(object, "apiVersion"), &text(object, "kind")).fact_name(), object));
        let needs = set.policies().iter().flat_map(|p| &p.metadata.context).map(|need| need.resource.clone());
        let synced: BTreeSet<String> = if self.synced { needs.collect() } else { BTreeSet::new() };
        let defaults = Defaults { tier: self.tier, mode: Mode::Enforce, patch: Some(PatchSetting::Enabled) };
        let settings = Settings { defaults, ..Settings::default() };
        let facts = Facts::from_objects(named, &synced);
        let now = "2026-01-15T12:00:00Z".parse().unwrap();
        let snapshot = Snapshot::new(set.clone(), Arc::new(settings), Arc::new(facts), now);
        if self.file { snapshot.with_unregistered() } else { snapshot }
    }
}

/// An object and another one of its kind, which on UPDATE may be the stored one. Kinds count by how many policies judge them.
fn subject() -> BoxedStrategy<(Value, Value)> {
    let pair = |make: Maker| (make.clone(), make);
    prop_oneof![
        12 => pair(stateful_set()),
        5 => pair(deployment()),
        4 => pair(other_workload()),
        5 => pair(claim()),
        4 => pair(volume_object()),
        7 => pair(class()),
        4 => pair(namespace()),
        2 => pair(snapshot_class()),
        1 => pair(pool()),
        2 => pair(custom()),
        1 => pair(gone()),
    ]
    .boxed()
}

/// Wrong values at these places.
type Damage = Vec<(Index, Value)>;

fn damage() -> BoxedStrategy<Damage> {
    prop_oneof![5 => Just(vec![]), 1 => prop::collection::vec((any::<Index>(), junk()), 1..4)].boxed()
}

fn damaged(mut object: Value, damage: &Damage) -> Value {
    for (index, value) in damage {
        let mut places = Vec::new();
        pointers(&object, "", &mut places);
        // the API server knows which kind it talks about
        places.retain(|p| !matches!(p.as_str(), "/apiVersion" | "/kind"));
        if !places.is_empty()
            && let Some(place) = object.pointer_mut(index.get(places.as_slice()).as_str())
        {
            *place = value.clone();
        }
    }
    object
}

/// An object as it may have been before: some of its parts are those of another one.
pub(super) fn edited(mut object: Value, other: &Value, parts: &[Index]) -> Value {
    let mut places = Vec::new();
    pointers(&object, "", &mut places);
    places.retain(|p| !p.starts_with("/metadata/name") && !matches!(p.as_str(), "/apiVersion" | "/kind"));
    for part in parts.iter().filter(|_| !places.is_empty()) {
        let place = part.get(&places);
        if let (Some(here), Some(there)) = (object.pointer_mut(place), other.pointer(place)) {
            *here = there.clone();
        }
    }
    object
}

/// Pointers of everything below a value.
pub(super) fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut step = |key: &str, child: &Value| {
        let pointer = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(pointer.clone());
        pointers(child, &pointer, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, child)| step(key, child)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, child)| step(&index.to_string(), child)),
        _ => {}
    }
}

/// A request about any object.
fn any_request() -> BoxedStrategy<Sample> {
    let users = select(vec![
        ("developer", "devs"),
        ("developer", "devs"),
        ("developer", "platform"),
        ("admin", "system:masters"),
        ("system:serviceaccount:kube-system:statefulset-controller", "system:serviceaccounts"),
        ("system:serviceaccount:storage:csi", "system:serviceaccounts"),
        ("", ""),
    ]);
    let operation = prop::sample::select((0..16).collect::<Vec<u8>>());
    let tiers = select(vec![Tier::Tier0, Tier::Tier1, Tier::Tier2, Tier::Tier3, Tier::Tier0, Tier::Tier1]);
    let wrong_facts = prop_oneof![5 => Just(vec![]), 1 => prop::collection::vec(damage(), 1..6)];
    let stored = (0..4_u8, prop::collection::vec(any::<Index>(), 1..8));
    let how = (prop::bool::weighted(0.85), prop::bool::weighted(0.2), prop::bool::weighted(0.4));
    (subject(), (damage(), damage()), operation, users, tiers, facts(), wrong_facts, stored, how)
        .prop_map(|(pair, (wrong, edit), operation, (user, group), tier, mut facts, wrong_facts, stored, how)| {
            let ((object, other), (synced, file, strict)) = (pair, how);
            let wild = !wrong.is_empty() || wrong_facts.iter().any(|damage| !damage.is_empty());
            for (fact, damage) in facts.iter_mut().zip(&wrong_facts) {
                *fact = damaged(fact.take(), damage);
            }
            let before = match stored {
                (0, _) => object.clone(),
                (1 | 2, parts) => edited(object.clone(), &other, &parts),
                _ => other,
            };
            let (object, before) = (damaged(object, &wrong), damaged(before, &edit));
            let file = file || is_gone(&object);
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            let operation = match operation {
                _ if file => "CREATE",
                15 => "DELETE",
                13..15 if kind == "PersistentVolumeClaim" => "DELETE",
                6..10 if kind == "Namespace" => "UPDATE",
                10..15 => "UPDATE",
                _ => "CREATE",
            };
            let (object, old) = match operation {
                "CREATE" => (object, Value::Null),
                "UPDATE" => (object, before),
                _ => (Value::Null, before),
            };
            let (operation, user, groups) = (operation.to_owned(), user.to_owned(), vec![group.to_owned()]);
            Sample { operation, object, old, user, groups, tier, facts, synced, file, strict, wild }
        })
        .boxed()
}

/// A request made of a case of a policy.
fn of_a_case() -> BoxedStrategy<Sample> {
    (seed_in_turn(), damage(), damage(), prop::bool::weighted(0.3))
        .prop_map(|(seed, wrong, edit, file)| {
            let nothing = (Damage::new(), Damage::new());
            let (wrong, edit) = if seed.untouched { nothing } else { (wrong, edit) };
            Sample {
                file: is_gone(&seed.object) || seed.operation == "CREATE" && file && !seed.untouched,
                object: damaged(seed.object, &wrong),
                old: damaged(seed.old, &edit),
                wild: !wrong.is_empty() || !edit.is_empty(),
                operation: seed.operation,
                user: seed.user,
                groups: seed.groups,
                tier: seed.tier,
                facts: seed.facts,
                synced: true,
                strict: seed.strict,
            }
        })
        .boxed()
}

/// A request.
pub(super) fn sample() -> BoxedStrategy<Sample> {
    prop_oneof![3 => any_request(), 2 => of_a_case()].boxed()
}

/// The API server reads all its versions, and answers only for those that it has.
fn is_gone(object: &Value) -> bool {
    GONE.iter().any(|(version, kind)| object["apiVersion"] == **version && object["kind"] == **kind)
}
