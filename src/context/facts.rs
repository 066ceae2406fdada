//! The immutable snapshot of facts, `data.cluster`, with the indexes that rules need.
//!
//! Values are shared: a snapshot is cheap to clone, and replacing one kind copies only that kind's map. Nothing here
//! talks to a cluster.

use crate::engine::value::{self, Value};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Kinds without a namespace, among those that Seawall knows.
const CLUSTER_SCOPED: &[&str] = &[
    "csidrivers",
    "csinodes",
    "customresourcedefinitions",
    "namespaces",
    "nodes",
    "persistentvolumes",
    "priorityclasses",
    "storageclasses",
    "volumeattachments",
    "volumeattributesclasses",
];

/// One stored object, pruned by [`prune`].
#[derive(Debug, Clone)]
pub struct Fact {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// The object as the engine's value, made once.
    pub value: Value,
    /// What the indexes of the kind need of it.
    pub indexed: Indexed,
}

/// The parts of an object that indexes are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Indexed {
    /// Provisioner of a class, class of a claim, governing Service of a set, zone of a node.
    pub term: Option<String>,
    /// False for a node on which nothing is scheduled.
    pub schedulable: bool,
    /// A class that claims get which name none.
    pub default_class: bool,
    /// A class of the platform's catalogue, by its label.
    pub supported_class: bool,
    /// Labels of a Namespace.
    pub labels: Arc<BTreeMap<String, String>>,
}

impl Fact {
    /// Makes the fact of an object. `None` when it has no name.
    #[must_use]
    pub fn new(resource: &str, object: &Json) -> Option<Self> {
        let metadata = object.get("metadata")?;
        let name = metadata.get("name")?.as_str()?.to_owned();
        let namespace = metadata.get("namespace").and_then(Json::as_str).unwrap_or_default();
        let namespace = if CLUSTER_SCOPED.contains(&resource) { "" } else { namespace };
        let mut pruned = object.clone();
        prune(resource, &mut pruned);
        Some(Self {
            namespace: namespace.to_owned(),
            name,
            value: value::from_json(&pruned),
            indexed: Indexed::of(resource, object),
        })
    }
}

impl Indexed {
    fn of(resource: &str, object: &Json) -> Self {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Json::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let term = match resource {
            "storageclasses" => text("/provisioner"),
            // the annotation still wins over the field in the API server
            "persistentvolumeclaims" => text("/metadata/annotations/volume.beta.kubernetes.io~1storage-class")
                .or_else(|| text("/spec/storageClassName")),
            "statefulsets" => text("/spec/serviceName"),
            "nodes" => text("/metadata/labels/topology.kubernetes.io~1zone"),
            _ => None,
        };
        let labels = object.pointer("/metadata/labels").and_then(Json::as_object).filter(|_| resource == "namespaces");
        Self {
            term,
            default_class: resource == "storageclasses" && is_default_class(object),
            supported_class: resource == "storageclasses"
                && text("/metadata/labels/seawall.dev~1supported").as_deref() == Some("true"),
            schedulable: object.pointer("/spec/unschedulable").and_then(Json::as_bool) != Some(true),
            labels: Arc::new(
                labels.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect(),
            ),
        }
    }
}

/// The annotation that the DefaultStorageClass plugin reads, and its old name, which it still reads
/// (k8s.io/kubernetes `pkg/volume/util/storageclass.go`).
fn is_default_class(object: &Json) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
        .iter()
        .any(|key| annotations.and_then(|a| a.get(key)?.as_str()) == Some("true"))
}

/// Removes what no rule needs and what may hold secrets: `managedFields`, the last applied manifest, the content of
/// ConfigMaps, and the images on a Node, which are the largest part of one by far.
pub fn prune(resource: &str, object: &mut Json) {
    match (resource, object.as_object_mut()) {
        ("configmaps", Some(fields)) => {
            fields.shift_remove("data");
            fields.shift_remove("binaryData");
        }
        ("nodes", Some(fields)) => {
            if let Some(status) = fields.get_mut("status").and_then(Json::as_object_mut) {
                status.shift_remove("images");
            }
        }
        _ => {}
    }
    let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) else { return };
    metadata.shift_remove("managedFields");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Json::as_object_mut) {
        annotations.shift_remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// Facts by kind, namespace and name, before indexes are made of them. Of two facts of one name the later counts.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    kinds: BTreeMap<String, BTreeMap<(String, String), Fact>>,
    synced: BTreeSet<String>,
}

impl Stock {
    /// Adds the fact of an object, which makes its kind synced. What has no name is left out.
    pub fn add(&mut self, resource: &str, object: &Json) {
        if let Some(fact) = Fact::new(resource, object) {
            let key = (fact.namespace.clone(), fact.name.clone());
            self.kinds.entry(resource.to_owned()).or_default().insert(key, fact);
        }
    }

    /// Makes a kind synced of which there may be no object.
    pub fn sync(&mut self, resource: &str) {
        self.synced.insert(resource.to_owned());
    }
}

/// A snapshot of facts.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    kinds: BTreeMap<String, Value>,
    indexes: BTreeMap<&'static str, Value>,
    namespaces: Arc<BTreeMap<String, Arc<BTreeMap<String, String>>>>,
}

impl Facts {
    /// Facts made from objects of any kind, as `check` and cases do. `resource_of` names the plural resource of an
    /// object; objects without a name are left out. The kinds of `synced` count as synced even when empty.
    #[must_use]
    pub fn from_objects<'o>(objects: impl IntoIterator<Item = (String, &'o Json)>, synced: &BTreeSet<String>) -> Self {
        let mut stock = Stock::default();
        stock.synced.extend(synced.iter().cloned());
        for (resource, object) in objects {
            stock.add(&resource, object);
        }
        Self::from_stock(&stock)
    }

    /// The facts of a stock; its kinds are synced.
    #[must_use]
    pub fn from_stock(stock: &Stock) -> Self {
        let mut facts = Self::default();
        for resource in &stock.synced {
            facts.set_kind(resource, &[]);
        }
        for (resource, list) in &stock.kinds {
            facts.set_kind(resource, list.values());
        }
        facts
    }

    /// Forgets the labels of namespaces, as if none were known; the objects stay what they are to policies.
    pub fn forget_namespace_labels(&mut self) {
        self.namespaces = Arc::default();
    }

    /// Replaces all objects of a kind, which is synced from now on.
    pub fn set_kind<'f>(&mut self, resource: &str, facts: impl IntoIterator<Item = &'f Fact> + Clone) {
        let namespaced = !CLUSTER_SCOPED.contains(&resource);
        let content = if namespaced {
            let mut by_namespace: BTreeMap<&str, Vec<(&str, Value)>> = BTreeMap::new();
            for fact in facts.clone() {
                by_namespace.entry(&fact.namespace).or_default().push((&fact.name, fact.value.clone()));
            }
            value::object(by_namespace.into_iter().map(|(namespace, list)| (namespace, value::object(list))))
        } else {
            value::object(facts.clone().into_iter().map(|fact| (fact.name.as_str(), fact.value.clone())))
        };
        self.kinds.insert(resource.to_owned(), content);
        self.set_indexes(resource, facts);
    }

    /// Forgets a kind: it is no longer synced.
    pub fn unset_kind(&mut self, resource: &str) {
        self.kinds.remove(resource);
        self.set_indexes(resource, []);
    }

    fn set_indexes<'f>(&mut self, resource: &str, facts: impl IntoIterator<Item = &'f Fact> + Clone) {
        match resource {
            "storageclasses" => {
                let defaults = facts.clone().into_iter().filter(|fact| fact.indexed.default_class);
                self.indexes.insert("default_classes", names(defaults.map(|fact| fact.name.clone()).collect()));
                let supported = facts.clone().into_iter().filter(|fact| fact.indexed.supported_class);
                self.indexes.insert("supported_classes", names(supported.map(|fact| fact.name.clone()).collect()));
                self.indexes.insert("classes_by_provisioner", by_term(facts, |fact| fact.name.clone()));
            }
            "persistentvolumeclaims" => {
                self.indexes
                    .insert("claims_by_class", by_term(facts, |fact| format!("{}/{}", fact.namespace, fact.name)));
            }
            "statefulsets" => {
                let mut by_namespace: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
                for fact in facts {
                    by_namespace.entry(fact.namespace.clone()).or_default().push(fact);
                }
                let index = by_namespace
                    .into_iter()
                    .map(|(namespace, list)| (namespace, by_term(list, |fact| fact.name.clone())));
                self.indexes.insert("sets_by_service", value::object(index));
            }
            "nodes" => {
                let schedulable: Vec<&Fact> = facts.into_iter().filter(|fact| fact.indexed.schedulable).collect();
                let zones: BTreeSet<String> = schedulable.iter().filter_map(|fact| fact.indexed.term.clone()).collect();
                self.indexes.insert("zones", names(zones));
                self.indexes.insert("schedulable_nodes", Value::from(schedulable.len()));
            }
            "namespaces" => {
                let labels = facts.into_iter().map(|fact| (fact.name.clone(), fact.indexed.labels.clone()));
                self.namespaces = Arc::new(labels.collect());
            }
            _ => {}
        }
        if !self.kinds.contains_key(resource) {
            for index in INDEXES.iter().filter(|(_, of)| *of == resource) {
                self.indexes.remove(index.0);
            }
        }
    }

    /// Whether the objects of a kind are known.
    #[must_use]
    pub fn is_synced(&self, resource: &str) -> bool {
        self.kinds.contains_key(resource)
    }

    /// The labels of a namespace, where it is known.
    #[must_use]
    pub fn namespace_labels(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(name).map(AsRef::as_ref)
    }

    /// These facts with the labels of one more namespace (a cache miss answered by a live GET).
    #[must_use]
    pub fn with_namespace(&self, name: &str, labels: BTreeMap<String, String>) -> Self {
        let mut facts = self.clone();
        Arc::make_mut(&mut facts.namespaces).insert(name.to_owned(), Arc::new(labels));
        facts
    }

    /// The value of `data.cluster`.
    #[must_use]
    pub fn data(&self) -> Value {
        let index = value::object(self.indexes.iter().map(|(name, value)| (*name, value.clone())));
        let kinds = self.kinds.iter().map(|(name, value)| (name.as_str(), value.clone()));
        value::object(kinds.chain([("index", index)]))
    }
}

/// The indexes below `data.cluster.index` and the kind that each is made of: reading one needs the kind declared.
pub const INDEXES: &[(&str, &str)] = &[
    ("classes_by_provisioner", "storageclasses"),
    ("default_classes", "storageclasses"),
    ("supported_classes", "storageclasses"),
    ("claims_by_class", "persistentvolumeclaims"),
    ("sets_by_service", "statefulsets"),
    ("zones", "nodes"),
    ("schedulable_nodes", "nodes"),
];

fn by_term<'f>(facts: impl IntoIterator<Item = &'f Fact>, name: impl Fn(&Fact) -> String) -> Value {
    let mut index: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for fact in facts {
        if let Some(term) = &fact.indexed.term {
            index.entry(term.clone()).or_default().insert(name(fact));
        }
    }
    value::object(index.into_iter().map(|(term, list)| (term, names(list))))
}

fn names(list: BTreeSet<String>) -> Value {
    Value::from(list.into_iter().map(Value::from).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts() -> Facts {
        let objects = [
            (
                "storageclasses",
                json!({"metadata": {"name": "b", "labels": {"seawall.dev/supported": "true"}, "managedFields": [1]}, "provisioner": "p"}),
            ),
            (
                "storageclasses",
                json!({"metadata": {"name": "a", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"}),
            ),
            ("statefulsets", json!({"metadata": {"name": "db", "namespace": "n"}, "spec": {"serviceName": "db"}})),
            ("nodes", json!({"metadata": {"name": "1", "labels": {"topology.kubernetes.io/zone": "z1"}}})),
            (
                "nodes",
                json!({"metadata": {"name": "2", "labels": {"topology.kubernetes.io/zone": "z2"}}, "spec": {"unschedulable": true}}),
            ),
            ("namespaces", json!({"metadata": {"name": "n", "labels": {"a": "b"}}})),
        ];
        Facts::from_objects(objects.iter().map(|(r, o)| ((*r).to_owned(), o)), &BTreeSet::from(["services".to_owned()]))
    }

    #[test]
    fn objects_and_indexes_are_where_policies_look() {
        let data = value::to_json(&facts().data()).unwrap();
        let metadata = json!({"name": "b", "labels": {"seawall.dev/supported": "true"}});
        assert_eq!(data["storageclasses"]["b"], json!({"metadata": metadata, "provisioner": "p"}));
        assert_eq!(data["statefulsets"]["n"]["db"]["spec"]["serviceName"], "db");
        assert_eq!(data["services"], json!({}));
        assert_eq!(data["index"]["classes_by_provisioner"], json!({"p": ["a", "b"]}));
        assert_eq!(data["index"]["default_classes"], json!(["a"]));
        assert_eq!(data["index"]["supported_classes"], json!(["b"]));
        assert_eq!(data["index"]["sets_by_service"], json!({"n": {"db": ["db"]}}));
        assert_eq!(data["index"]["zones"], json!(["z1"]));
        assert_eq!(data["index"]["schedulable_nodes"], 1);
        assert_eq!(facts().namespace_labels("n").unwrap()["a"], "b");
    }

    #[test]
    fn what_no_rule_needs_is_pruned() {
        let pruned = |resource: &str, mut object: Json| {
            prune(resource, &mut object);
            object
        };
        let config =
            json!({"metadata": {"name": "a", "managedFields": [1]}, "data": {"k": "s"}, "binaryData": {"k": "s"}});
        assert_eq!(pruned("configmaps", config), json!({"metadata": {"name": "a"}}));
        let node = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "s"}},
            "status": {"images": [1], "x": 1}});
        assert_eq!(pruned("nodes", node), json!({"metadata": {"annotations": {}}, "status": {"x": 1}}));
        let other = json!({"data": {"k": "v"}, "status": {"images": [1]}});
        assert_eq!(pruned("services", other.clone()), other);
    }

    #[test]
    fn of_two_objects_of_one_name_the_later_counts_in_indexes_too() {
        let class = |provisioner: &str| json!({"metadata": {"name": "a"}, "provisioner": provisioner});
        let objects = [class("old"), class("new")];
        let list = objects.iter().map(|object| ("storageclasses".to_owned(), object));
        let data = value::to_json(&Facts::from_objects(list, &BTreeSet::new()).data()).unwrap();
        assert_eq!(data["index"]["classes_by_provisioner"], json!({"new": ["a"]}));
        assert_eq!(data["storageclasses"]["a"]["provisioner"], "new");
    }

    #[test]
    fn a_forgotten_kind_is_not_synced_and_has_no_index() {
        let mut facts = facts();
        facts.unset_kind("storageclasses");
        assert!(!facts.is_synced("storageclasses"));
        assert!(facts.is_synced("services"));
        let data = value::to_json(&facts.data()).unwrap();
        assert!(data["index"].get("classes_by_provisioner").is_none());
    }
}
