//! What makes an object be judged again, and what does not.

use super::*;
use crate::admission::request::{Gvk, Gvr};
use crate::audit::judge::Item;
use crate::audit::stream::Source;
use crate::audit::walk::Part;
use serde_json::json;
use std::sync::LazyLock;

fn source(group: &str, resource: &str) -> Source {
    let (group, version) = (group.to_owned(), "v1".to_owned());
    let gvk = Gvk { group: group.clone(), version: version.clone(), kind: String::new() };
    let gvr = Gvr { group, version, resource: resource.to_owned() };
    Source { resource: resource.to_owned(), path: String::new(), gvk, gvr, judged: true, fact: true }
}

fn batch(namespace: &str, parts: Vec<Part>) -> Batch {
    Batch { namespace: namespace.to_owned(), parts, lasting: namespace.is_empty(), unknown: BTreeSet::new() }
}

fn part(group: &str, resource: &str, objects: &[Value]) -> Part {
    Part { source: source(group, resource), objects: objects.to_vec() }
}

/// A cluster with one thing in it that may differ.
struct Cluster {
    class: Value,
    shop: Value,
    other: Value,
    claim: Value,
    quota: Value,
    set: Value,
    day: &'static str,
    unknown: Option<&'static str>,
    settings: Settings,
}

impl Cluster {
    fn new() -> Self {
        Self {
            class: json!({"metadata": {"name": "standard"}, "reclaimPolicy": "Retain"}),
            shop: json!({"metadata": {"name": "shop", "labels": {"seawall.dev/mode": "warn"}}}),
            other: json!({"metadata": {"name": "other"}}),
            claim: json!({"metadata": {"name": "by-hand", "namespace": "shop"}}),
            quota: json!({"metadata": {"name": "q", "namespace": "shop"}}),
            set: json!({"metadata": {"name": "db", "namespace": "shop", "resourceVersion": "1"}}),
            day: "2026-01-02T03:04:05Z",
            unknown: None,
            settings: Settings::default(),
        }
    }

    /// What the verdict about the StatefulSet, or about the namespace, depends on.
    fn input(&self, of_namespace: bool) -> u64 {
        static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::embedded(&Settings::default()).unwrap());
        let mut inputs = Inputs::new(&POLICIES, &self.settings, self.day.parse().unwrap());
        let namespaces = [self.shop.clone(), self.other.clone()];
        let class = std::slice::from_ref(&self.class);
        inputs.begin(&batch(
            "",
            vec![part("storage.k8s.io", "storageclasses", class), part("", "namespaces", &namespaces)],
        ));
        let mut here = batch(
            "shop",
            vec![
                part("", "persistentvolumeclaims", std::slice::from_ref(&self.claim)),
                part("", "resourcequotas", std::slice::from_ref(&self.quota)),
            ],
        );
        here.unknown.extend(self.unknown.map(str::to_owned));
        inputs.begin(&here);
        let (set, namespace) = (source("apps", "statefulsets"), source("", "namespaces"));
        let first = if of_namespace {
            Item { source: &namespace, object: &self.shop }
        } else {
            Item { source: &set, object: &self.set }
        };
        inputs.of_group(&Group { first, claims: vec![] }, &[of_object(first.object)])
    }
}

#[test]
fn what_a_verdict_depends_on_makes_an_object_be_judged_again() {
    let change = |change: &dyn Fn(&mut Cluster)| {
        let (before, mut cluster) = (Cluster::new(), Cluster::new());
        change(&mut cluster);
        [false, true].map(|of_namespace| before.input(of_namespace) != cluster.input(of_namespace))
    };
    let both = [true, true];
    let set = [true, false];
    assert_eq!(change(&|_| {}), [false, false]);
    assert_eq!(change(&|c| c.set["spec"] = json!({"replicas": 2})), set);
    assert_eq!(change(&|c| c.class["reclaimPolicy"] = json!("Delete")), both);
    assert_eq!(change(&|c| c.shop["metadata"]["labels"] = json!({})), both);
    assert_eq!(change(&|c| c.day = "2026-01-03T00:00:00Z"), both);
    assert_eq!(change(&|c| c.settings.excluded_namespaces.push("x".to_owned())), both);
    // claims are read for sets and for namespaces, quotas for namespaces only
    assert_eq!(change(&|c| c.claim["spec"] = json!({"storageClassName": "x"})), both);
    assert_eq!(change(&|c| c.quota["spec"] = json!({"hard": {}})), [false, true]);
    assert_eq!(change(&|c| c.unknown = Some("persistentvolumeclaims")), both);
    // and what it does not depend on
    let none = [false, false];
    assert_eq!(change(&|c| c.other["metadata"]["labels"] = json!({"a": "b"})), none);
    assert_eq!(change(&|c| c.day = "2026-01-02T23:59:59Z"), none);
    assert_eq!(change(&|c| c.set["metadata"]["resourceVersion"] = json!("2")), none);
    assert_eq!(change(&|c| c.set["metadata"]["managedFields"] = json!([{}])), none);
}

#[test]
fn only_bookkeeping_is_left_out() {
    let base = json!({"metadata": {"name": "a", "annotations": {}}, "spec": {"generation": 1, "list": [1, [2]]}});
    let with = |pointer: &str, value: Value| {
        let mut object = base.clone();
        *object.pointer_mut(pointer).unwrap() = value;
        of_object(&object)
    };
    for (pointer, value) in [
        ("/metadata/name", json!("b")),
        ("/metadata/annotations", json!({"generation": "1"})),
        // a field of that name elsewhere is the owner's
        ("/spec/generation", json!(2)),
        ("/spec/list", json!([1, 2])),
        ("/spec/list", json!([[1], 2])),
        ("/spec", json!(null)),
    ] {
        assert_ne!(with(pointer, value.clone()), of_object(&base), "{pointer} {value}");
    }
    let mut later = base.clone();
    later["status"] = json!({"replicas": 1});
    assert_ne!(of_object(&later), of_object(&base));
    assert_eq!(of_written(&later), of_written(&base));
    later["spec"]["status"] = json!("x");
    assert_ne!(of_written(&later), of_written(&base));
}
