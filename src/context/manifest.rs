//! Facts from manifests: what `check` knows of the cluster is what its input says.
//!
//! A kind of which the input has no object is not synced: its absence says nothing of the cluster. A kind of which it has one
//! counts as complete.

use super::facts::Facts;
use serde_json::Value;
use std::collections::BTreeSet;

/// The facts of objects, given with their [`super::kinds::Resource::fact_name`]. Namespaces are left out unless `namespaces`
/// says that their labels decide; a mode given by hand is not overruled by a Namespace in the input.
#[must_use]
pub fn facts<'o>(objects: impl IntoIterator<Item = (&'o str, &'o Value)>, namespaces: bool) -> Facts {
    let wanted = objects.into_iter().filter(|(resource, _)| namespaces || *resource != "namespaces");
    Facts::from_objects(wanted.map(|(resource, object)| (resource.to_owned(), object)), &BTreeSet::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_input_has_is_synced() {
        let class = json!({"metadata": {"name": "a"}, "provisioner": "p"});
        let namespace = json!({"metadata": {"name": "n", "labels": {"seawall.dev/mode": "audit"}}});
        let objects = [("storageclasses", &class), ("namespaces", &namespace)];
        let by_hand = facts(objects, false);
        assert!(by_hand.is_synced("storageclasses"));
        assert!(!by_hand.is_synced("services"));
        assert!(!by_hand.is_synced("namespaces"));
        assert!(by_hand.namespace_labels("n").is_none());
        let from_labels = facts(objects, true);
        assert_eq!(from_labels.namespace_labels("n").unwrap()["seawall.dev/mode"], "audit");
    }
}
