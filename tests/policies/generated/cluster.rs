//! What a cluster holds besides the object under review, and the objects that make up a namespace.

use super::fields::Share::{Half, Often, Rarely, Seldom};
use super::fields::{Maker, flag, just, metadata, none, object, one_of, quantity, with};
use super::storage::{CLASSES, claim, class, class_named, driver_object, volume_object, whole};
use super::workloads::{budget, deployment, stateful_set};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

fn usual() -> Maker {
    metadata(none(), none())
}

pub(super) fn namespace() -> Maker {
    let own = object(vec![
        ("seawall.dev/tier", Half, one_of(&["tier-0", "tier-1", "tier-2", "tier-3", "dev", "tier-9"])),
        ("seawall.dev/mode", Seldom, one_of(&["enforce", "enforce", "warn", "audit", "off", "of"])),
        ("seawall.dev/patch", Seldom, one_of(&["enabled", "disabled", "on"])),
    ]);
    let spec = vec![("spec", Rarely, just(json!({"finalizers": ["kubernetes"]})))];
    let made = whole(("v1", "Namespace"), metadata(own, none()), spec);
    let name = one_of(&["shop", "shop", "default", "other"]);
    (made, name).prop_map(|(made, name)| with(made, &["metadata", "name"], name)).boxed()
}

/// The namespace of most objects: what it says of tier and mode is seldom said, or nothing else would be tried.
fn quiet_namespace(name: &'static str) -> Maker {
    let labels = object(vec![
        ("seawall.dev/tier", Rarely, one_of(&["tier-0", "tier-1", "tier-2", "tier-3"])),
        (
            "seawall.dev/storage-approach",
            Seldom,
            one_of(&["managed", "operator", "csi-statefulset", "distributed", "x"]),
        ),
        ("seawall.dev/owner", Seldom, one_of(&["team-a"])),
    ]);
    labels
        .prop_map(move |labels| {
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        })
        .boxed()
}

fn quota() -> Maker {
    let hard = object(vec![
        ("requests.storage", Seldom, quantity()),
        ("fast.storageclass.storage.k8s.io/requests.storage", Rarely, quantity()),
        ("pods", Often, quantity()),
    ]);
    whole(("v1", "ResourceQuota"), usual(), vec![("spec", Often, object(vec![("hard", Often, hard)]))])
}

fn service() -> Maker {
    let spec = object(vec![
        ("clusterIP", Often, one_of(&["None", "None", "10.0.0.1"])),
        ("selector", Often, just(json!({"app": "db"}))),
        ("type", Rarely, one_of(&["LoadBalancer", "NodePort"])),
        ("publishNotReadyAddresses", Seldom, flag()),
    ]);
    whole(("v1", "Service"), usual(), vec![("spec", Often, spec)])
}

fn node() -> Maker {
    let taint = just(json!([{"key": "dedicated", "effect": "NoSchedule"}]));
    let spec = object(vec![("unschedulable", Rarely, flag()), ("taints", Rarely, taint)]);
    let made = whole(("v1", "Node"), usual(), vec![("spec", Often, spec)]);
    (made, select(vec!["n1", "n2", "n3"]), select(vec!["a", "b"]))
        .prop_map(|(node, name, zone)| {
            let labels =
                json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone, "disktype": "ssd"});
            with(with(node, &["metadata", "labels"], labels), &["metadata", "name"], json!(name))
        })
        .boxed()
}

fn priority() -> Maker {
    just(
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1}),
    )
}

/// Any object that a policy may look up.
fn fact() -> Maker {
    prop_oneof![
        3 => class(),
        3 => claim(),
        2 => volume_object(),
        1 => namespace(),
        1 => quota(),
        2 => service(),
        2 => node(),
        1 => driver_object(),
        2 => stateful_set(),
        1 => deployment(),
        1 => budget(),
        1 => priority(),
    ]
    .boxed()
}

/// The classes, claims and namespaces that most generated objects name, most of them there.
fn usual_facts() -> BoxedStrategy<Vec<Value>> {
    let claims = ["shop", "default"].into_iter().flat_map(|namespace| {
        ["data", "db"].map(|name| {
            let named = claim().prop_map(move |c| with(c, &["metadata", "name"], json!(name)));
            named.prop_map(move |c| with(c, &["metadata", "namespace"], json!(namespace))).boxed()
        })
    });
    let classes = CLASSES.iter().map(|(name, fits)| class_named(name, *fits));
    let most = claims.chain(classes).chain([quiet_namespace("shop")]).map(|make| prop::option::weighted(0.8, make));
    let some =
        [quota(), node(), node(), driver_object(), volume_object()].map(|make| prop::option::weighted(0.4, make));
    let all: Vec<_> = most.chain(some).map(Strategy::boxed).collect();
    all.prop_map(|facts| facts.into_iter().flatten().collect()).boxed()
}

/// What the cluster holds: the usual, anything, or nothing.
pub(super) fn facts() -> BoxedStrategy<Vec<Value>> {
    let others = |most: usize| prop::collection::vec(fact(), 0..most);
    prop_oneof![
        6 => (usual_facts(), others(3)).prop_map(|(usual, others)| [usual, others].concat()),
        2 => others(7),
        1 => Just(vec![]),
    ]
    .boxed()
}
