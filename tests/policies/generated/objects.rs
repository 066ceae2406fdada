//! Generated requests: objects of the kinds that policies judge, the operation, the user, and what the cluster holds besides.

use super::fields::{
    Maker, Share, affinity, container, count, flag, junk, labels, list, metadata, name, object, one_of,
};
use super::fields::{own_selector, quantity, some, spread, volume};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use seawall::admission::request::Request;
use seawall::config::{Defaults, Settings};
use seawall::context::facts::Facts;
use seawall::context::kinds::Kinds;
use seawall::policy::mode::{Mode, PatchSetting, Tier};
use seawall::policy::store::PolicySet;
use seawall::review::Snapshot;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// One request with everything that its review depends on.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) operation: &'static str,
    pub(super) object: Value,
    pub(super) old: Value,
    user: &'static str,
    group: &'static str,
    tier: Tier,
    facts: Vec<Value>,
    /// Kinds without any object are synced, too.
    synced: bool,
    /// Has values of wrong types, which only a file can have.
    pub(super) wild: bool,
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, object, old, user, group, tier, facts, synced, wild } = self;
        let whole = json!({
            "operation": operation, "object": object, "oldObject": old, "user": user, "group": group, "tier": tier.as_str(),
            "facts": facts, "synced": synced, "wild": wild,
        });
        write!(f, "{whole:#}")
    }
}

impl Sample {
    /// A developer's request about one object in a cluster without any other.
    pub(super) fn new(operation: &'static str, object: Value, tier: Tier) -> Self {
        let (user, group, old) = ("developer", "devs", Value::Null);
        Self { operation, object, old, user, group, tier, facts: vec![], synced: true, wild: false }
    }

    /// The request, or that of another object in its place.
    pub(super) fn request(&self, operation: &str, object: &Value, old: &Value) -> Request {
        let subject = if object.is_object() { object } else { old };
        let text = |pointer: &str| subject.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let resource = Kinds::default().resolve(text("/apiVersion"), text("/kind"));
        let namespace = match text("/metadata/namespace") {
            _ if text("/kind") == "Namespace" => text("/metadata/name"),
            _ if !resource.namespaced => "",
            "" => "default",
            named => named,
        };
        let body = json!({
            "uid": "generated", "kind": resource.kind, "resource": resource.resource, "name": text("/metadata/name"),
            "namespace": namespace, "operation": operation, "object": object, "oldObject": old,
            "userInfo": {"username": self.user, "groups": [self.group]},
        });
        Request::from_body(body.as_object().cloned().unwrap()).unwrap()
    }

    /// The request as generated.
    pub(super) fn as_is(&self) -> Request {
        self.request(self.operation, &self.object, &self.old)
    }

    /// The cluster in mode enforce, with patches.
    pub(super) fn snapshot(&self, set: &Arc<PolicySet>) -> Snapshot {
        let kinds = Kinds::default();
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
        Snapshot::new(set.clone(), Arc::new(settings), Arc::new(facts), "2026-01-15T12:00:00Z".parse().unwrap())
    }
}

pub(super) fn class_name() -> Maker {
    one_of(&["fast", "fast", "slow", "local", "missing", ""])
}

pub(super) fn provisioner() -> Maker {
    one_of(&[
        "ebs.csi.aws.com",
        "pd.csi.storage.gke.io",
        "disk.csi.azure.com",
        "efs.csi.aws.com",
        "kubernetes.io/aws-ebs",
        "kubernetes.io/no-provisioner",
        "rook-ceph.rbd.csi.ceph.com",
        "rook-ceph.ceph.rook.io/bucket",
        "local.csi.openebs.io",
        "topolvm.io",
        "driver.longhorn.io",
        "rancher.io/local-path",
        "nfs.csi.k8s.io",
        "unheard.of/driver",
        "",
    ])
}

fn whole(api_version: &'static str, kind: &'static str, mut fields: Vec<(&'static str, Share, Maker)>) -> Maker {
    fields.push(("apiVersion", Share::Always, Just(json!(api_version)).boxed()));
    fields.push(("kind", Share::Always, Just(json!(kind)).boxed()));
    fields.push(("metadata", Share::Always, metadata()));
    fields.push(("unknownField", Share::Seldom, Just(json!({"kept": ["é", 1e9]})).boxed()));
    object(fields)
}

fn storage_class() -> Maker {
    let parameters = object(vec![
        ("type", Share::Seldom, one_of(&["gp3", "io2", "hyperdisk-balanced-high-availability"])),
        ("replication-type", Share::Seldom, one_of(&["regional-pd", "none"])),
        ("skuName", Share::Seldom, one_of(&["Premium_ZRS", "Premium_LRS"])),
    ]);
    let fields = vec![
        ("provisioner", Share::Often, provisioner()),
        ("reclaimPolicy", Share::Often, one_of(&["Delete", "Retain", "Recycle", "delete"])),
        ("volumeBindingMode", Share::Often, one_of(&["Immediate", "WaitForFirstConsumer"])),
        ("allowVolumeExpansion", Share::Seldom, flag()),
        ("parameters", Share::Seldom, parameters),
    ];
    let named = whole("storage.k8s.io/v1", "StorageClass", fields);
    // claims find them
    (named, class_name()).prop_map(|(class, name)| with(class, &["metadata", "name"], name)).boxed()
}

fn modes() -> Maker {
    list(one_of(&["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod", "rwo"]), 2)
}

fn claim_fields() -> Vec<(&'static str, Share, Maker)> {
    let request = object(vec![("requests", Share::Often, object(vec![("storage", Share::Often, quantity())]))]);
    let spec = object(vec![
        ("storageClassName", Share::Often, class_name()),
        ("accessModes", Share::Often, modes()),
        ("resources", Share::Often, request),
        ("volumeName", Share::Seldom, name()),
        ("volumeMode", Share::Seldom, one_of(&["Block", "Filesystem"])),
    ]);
    vec![
        ("spec", Share::Often, spec),
        ("status", Share::Seldom, object(vec![("phase", Share::Often, one_of(&["Bound", "Pending"]))])),
    ]
}

fn claim() -> Maker {
    whole("v1", "PersistentVolumeClaim", claim_fields())
}

fn volume_object() -> Maker {
    let reference =
        object(vec![("name", Share::Often, name()), ("namespace", Share::Often, one_of(&["shop", "default", ""]))]);
    let spec = object(vec![
        ("persistentVolumeReclaimPolicy", Share::Often, one_of(&["Delete", "Retain", "Recycle"])),
        ("claimRef", Share::Often, reference),
        ("storageClassName", Share::Often, class_name()),
        ("capacity", Share::Often, object(vec![("storage", Share::Often, quantity())])),
        ("accessModes", Share::Often, modes()),
        ("csi", Share::Often, object(vec![("driver", Share::Often, provisioner())])),
    ]);
    whole("v1", "PersistentVolume", vec![("spec", Share::Often, spec)])
}

fn pod_spec() -> Maker {
    object(vec![
        ("containers", Share::Often, some(container(), 3)),
        ("initContainers", Share::Seldom, list(container(), 2)),
        ("volumes", Share::Often, prop_oneof![1 => list(volume(), 1), 3 => some(volume(), 3)].boxed()),
        ("affinity", Share::Seldom, affinity()),
        ("topologySpreadConstraints", Share::Seldom, list(spread(), 2)),
        ("terminationGracePeriodSeconds", Share::Seldom, count()),
        ("unknownField", Share::Seldom, Just(json!([{}])).boxed()),
    ])
}

fn template() -> Maker {
    let with_label = prop_oneof![4 => Just(json!({"app": "db"})), 1 => labels()].boxed();
    object(vec![
        ("metadata", Share::Often, object(vec![("labels", Share::Often, with_label)])),
        ("spec", Share::Often, pod_spec()),
    ])
}

fn stateful_set() -> Maker {
    let moment = || one_of(&["Delete", "Retain", "delete"]);
    let retention = object(vec![("whenDeleted", Share::Often, moment()), ("whenScaled", Share::Often, moment())]);
    let mut claim = claim_fields();
    claim.push((
        "metadata",
        Share::Often,
        object(vec![("name", Share::Often, name()), ("labels", Share::Seldom, labels())]),
    ));
    let spec = object(vec![
        ("replicas", Share::Often, count()),
        ("serviceName", Share::Often, name()),
        ("selector", Share::Often, own_selector()),
        ("template", Share::Often, template()),
        (
            "volumeClaimTemplates",
            Share::Often,
            prop_oneof![1 => list(object(claim.clone()), 2), 3 => some(object(claim), 2)].boxed(),
        ),
        ("persistentVolumeClaimRetentionPolicy", Share::Often, retention),
        ("podManagementPolicy", Share::Seldom, one_of(&["Parallel", "OrderedReady"])),
        ("unknownField", Share::Seldom, Just(json!({"deep": {"er": true}})).boxed()),
    ]);
    whole("apps/v1", "StatefulSet", vec![("spec", Share::Often, spec)])
}

fn deployment(kind: &'static str) -> Maker {
    let spec = object(vec![
        ("replicas", Share::Often, count()),
        ("selector", Share::Often, own_selector()),
        ("template", Share::Often, template()),
        ("strategy", Share::Seldom, object(vec![("type", Share::Often, one_of(&["Recreate", "RollingUpdate"]))])),
    ]);
    whole("apps/v1", kind, vec![("spec", Share::Often, spec)])
}

fn pod() -> Maker {
    whole("v1", "Pod", vec![("spec", Share::Often, pod_spec())])
}

fn namespace() -> Maker {
    whole("v1", "Namespace", vec![("spec", Share::Seldom, Just(json!({"finalizers": ["kubernetes"]})).boxed())])
}

fn service() -> Maker {
    let spec = object(vec![
        ("clusterIP", Share::Often, one_of(&["None", "10.0.0.1"])),
        ("publishNotReadyAddresses", Share::Seldom, flag()),
    ]);
    whole("v1", "Service", vec![("spec", Share::Often, spec)])
}

fn node() -> Maker {
    let zone = select(vec!["a", "b"]).prop_map(|zone| json!({"topology.kubernetes.io/zone": zone})).boxed();
    let made =
        whole("v1", "Node", vec![("spec", Share::Seldom, object(vec![("unschedulable", Share::Often, flag())]))]);
    (made, zone).prop_map(|(node, zone)| with(node, &["metadata", "labels"], zone)).boxed()
}

/// An object and another one of its kind, which on UPDATE may be the stored one.
fn subject() -> BoxedStrategy<(Value, Value)> {
    let pair = |make: Maker| (make.clone(), make);
    prop_oneof![
        6 => pair(stateful_set()),
        3 => pair(deployment("Deployment")),
        1 => pair(deployment("ReplicaSet")),
        2 => pair(claim()),
        2 => pair(volume_object()),
        3 => pair(storage_class()),
        1 => pair(pod()),
        2 => pair(namespace()),
    ]
    .boxed()
}

fn fact() -> Maker {
    prop_oneof![storage_class(), storage_class(), claim(), claim(), volume_object(), service(), node(), stateful_set()]
        .boxed()
}

/// The class and the claims that most generated workloads name.
fn usual_facts() -> BoxedStrategy<Vec<Value>> {
    let claim = |name: &'static str, namespace: &'static str| {
        let named = claim().prop_map(move |c| with(c, &["metadata", "name"], json!(name)));
        named.prop_map(move |c| with(c, &["metadata", "namespace"], json!(namespace))).boxed()
    };
    let class = storage_class().prop_map(|c| with(c, &["metadata", "name"], json!("fast"))).boxed();
    vec![class, claim("data", "shop"), claim("db", "shop"), claim("data", "default"), claim("db", "default")].boxed()
}

/// Wrong values at these places.
type Damage = Vec<(Index, Value)>;

fn damage() -> BoxedStrategy<Damage> {
    prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec((any::<Index>(), junk()), 1..4)].boxed()
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

fn with(mut object: Value, path: &[&str], value: Value) -> Value {
    let last = path.iter().fold(&mut object, |at, key| &mut at[*key]);
    *last = value;
    object
}

/// A request.
pub(super) fn sample() -> BoxedStrategy<Sample> {
    let users = select(vec![
        ("developer", "devs"),
        ("developer", "devs"),
        ("admin", "system:masters"),
        ("system:serviceaccount:kube-system:statefulset-controller", "system:serviceaccounts"),
        ("system:serviceaccount:storage:csi", "system:serviceaccounts"),
        ("", ""),
    ]);
    let operation = prop_oneof![5 => Just("CREATE"), 3 => Just("UPDATE"), 1 => Just("DELETE")];
    let tiers = select(vec![Tier::Tier0, Tier::Tier1, Tier::Tier2, Tier::Tier3]);
    let usual = prop_oneof![Just(vec![]), usual_facts()];
    let others = prop::collection::vec(fact(), 0..6);
    let facts = (usual, others, prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(damage(), 1..6)]);
    (subject(), damage(), damage(), operation, users, tiers, facts, any::<[bool; 2]>())
        .prop_map(|((object, other), wrong, edit, operation, (user, group), tier, facts, [synced, same])| {
            let (mut facts, others, wrong_facts) = facts;
            facts.extend(others);
            let wild = !wrong.is_empty() || wrong_facts.iter().any(|damage| !damage.is_empty());
            for (fact, damage) in facts.iter_mut().zip(&wrong_facts) {
                *fact = damaged(fact.take(), damage);
            }
            let before = damaged(if same { object.clone() } else { other }, &edit);
            let object = damaged(object, &wrong);
            let (object, old) = match operation {
                "CREATE" => (object, Value::Null),
                "UPDATE" => (object, before),
                _ => (Value::Null, before),
            };
            Sample { operation, object, old, user, group, tier, facts, synced, wild }
        })
        .boxed()
}
