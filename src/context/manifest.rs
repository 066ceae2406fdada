//! Facts from manifests: what `check` knows of the cluster is what its input, snapshots and the cluster itself say.
//!
//! Without a look at a cluster, a kind of which the input has no object is not synced: its absence says nothing of the
//! cluster. A kind of which it has one counts as complete. With one (a [`Header`], from a file or just made), the kinds that it
//! covers are synced and no others, whatever the input has of them: the cluster may hold more.

use super::coverage::{Coverage, Header};
use super::facts::{Facts, Stock};
use serde_json::Value;
use std::collections::BTreeSet;

/// What is known besides the objects that are judged.
#[derive(Debug, Clone, Default)]
pub struct Known {
    stock: Stock,
    coverage: Option<Coverage>,
}

impl Known {
    /// Adds an object that is known but not judged, by its [`super::kinds::Resource::fact_name`].
    pub fn add(&mut self, resource: &str, object: &Value) {
        self.stock.add(resource, object);
    }

    /// Adds what a look at a cluster covers.
    pub fn cover(&mut self, header: &Header) {
        self.coverage.get_or_insert_default().add(header);
        for row in &header.kinds {
            self.stock.sync(&row.resource);
        }
    }

    /// Counts a kind as complete with the objects that are known.
    pub fn sync(&mut self, resource: &str) {
        self.stock.sync(resource);
    }

    /// What the looks at clusters cover; none when there was none.
    #[must_use]
    pub const fn coverage(&self) -> Option<&Coverage> {
        self.coverage.as_ref()
    }

    /// Of the kinds that policies need, those of which not enough is known to judge an object in this namespace.
    #[must_use]
    pub fn gaps<'k>(&self, needed: impl IntoIterator<Item = &'k str>, namespace: Option<&str>) -> BTreeSet<String> {
        let Some(coverage) = &self.coverage else { return BTreeSet::new() };
        needed.into_iter().filter(|kind| !coverage.covers(kind, namespace)).map(str::to_owned).collect()
    }

    /// The facts of this and of the objects that are judged, which win over what is known of the same name. Unless `labels` is
    /// true the labels of namespaces decide nothing: a mode given by hand is not overruled by a Namespace in the input.
    #[must_use]
    pub fn facts<'o>(&self, objects: impl IntoIterator<Item = (&'o str, &'o Value)>, labels: bool) -> Facts {
        let mut stock = self.stock.clone();
        for (resource, object) in objects {
            stock.add(resource, object);
        }
        let mut facts = Facts::from_stock(&stock);
        if !labels {
            facts.forget_namespace_labels();
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::coverage::KindRow;
    use crate::engine::value::to_json;
    use serde_json::json;

    fn class(provisioner: &str) -> Value {
        json!({"metadata": {"name": "a"}, "provisioner": provisioner})
    }

    #[test]
    fn what_the_input_has_is_synced() {
        let class = class("p");
        let namespace = json!({"metadata": {"name": "n", "labels": {"seawall.dev/mode": "audit"}}});
        let objects = [("storageclasses", &class), ("namespaces", &namespace)];
        let by_hand = Known::default().facts(objects, false);
        assert!(by_hand.is_synced("storageclasses") && by_hand.is_synced("namespaces"));
        assert!(!by_hand.is_synced("services"));
        assert!(by_hand.namespace_labels("n").is_none());
        let from_labels = Known::default().facts(objects, true);
        assert_eq!(from_labels.namespace_labels("n").unwrap()["seawall.dev/mode"], "audit");
        assert!(Known::default().gaps(["services"], None).is_empty(), "the input decides, kind by kind");
    }

    #[test]
    fn what_is_judged_wins_over_what_is_known() {
        let mut known = Known::default();
        known.add("storageclasses", &class("old"));
        let data = to_json(&known.facts([("storageclasses", &class("new"))], true).data()).unwrap();
        assert_eq!(data["storageclasses"]["a"]["provisioner"], "new");
        assert_eq!(data["index"]["classes_by_provisioner"], json!({"new": ["a"]}));
    }

    #[test]
    fn a_look_at_a_cluster_says_what_is_known() {
        let row = |resource: &str, namespaces: Option<BTreeSet<String>>| KindRow {
            resource: resource.to_owned(),
            api_version: None,
            kind: None,
            namespaced: true,
            objects: 0,
            namespaces,
        };
        let mut header = Header::new(jiff::Timestamp::UNIX_EPOCH, "v1".to_owned());
        header.kinds = vec![row("services", None), row("statefulsets", Some(BTreeSet::from(["a".to_owned()])))];
        let mut known = Known::default();
        known.cover(&header);
        let facts = known.facts([("nodes", &json!({"metadata": {"name": "n"}}))], true);
        assert!(facts.is_synced("services"), "empty, and known to be");
        let needed = ["nodes", "services", "statefulsets"];
        assert_eq!(known.gaps(needed, Some("a")), BTreeSet::from(["nodes".to_owned()]));
        assert_eq!(known.gaps(needed, Some("b")).len(), 2);
        assert_eq!(known.gaps(needed, None).len(), 2);
    }
}
