//! Which claims, volumes and classes an object uses, as far as the object itself says.

use serde_json::Value;

/// What an object points at, and what points at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Links {
    /// Claims by name, in the same namespace.
    pub(super) claims: Vec<String>,
    /// Claim templates of a StatefulSet: its claims are `<template>-<set>-<ordinal>`.
    pub(super) templates: Vec<String>,
    /// Classes by name; empty: the default one.
    pub(super) classes: Vec<String>,
    /// The volume of a claim.
    pub(super) volume: Option<String>,
    /// The claim of a volume: namespace and name.
    pub(super) claim: Option<(String, String)>,
    /// The controller that owns it: API group, kind, name.
    pub(super) owner: Option<(String, String, String)>,
    /// A class that claims get which name none.
    pub(super) is_default_class: bool,
}

impl Links {
    /// Reads them.
    pub(super) fn of(kind: &str, object: &Value) -> Self {
        let mut links = Self { owner: owner(object), ..Self::default() };
        match kind {
            "PersistentVolumeClaim" => {
                links.classes.push(class_of(object));
                links.volume = text(object, "/spec/volumeName").map(str::to_owned);
            }
            "PersistentVolume" => {
                links.classes.extend(text(object, "/spec/storageClassName").map(str::to_owned));
                let claim = |key: &str| text(object, &format!("/spec/claimRef/{key}")).map(str::to_owned);
                links.claim = claim("namespace").zip(claim("name"));
            }
            "StorageClass" => {
                let annotation = |key: &str| text(object, &format!("/metadata/annotations/{key}")) == Some("true");
                links.is_default_class = annotation("storageclass.kubernetes.io~1is-default-class")
                    || annotation("storageclass.beta.kubernetes.io~1is-default-class");
            }
            _ => links.pods(object),
        }
        links
    }

    fn pods(&mut self, object: &Value) {
        for template in list(object, "/spec/volumeClaimTemplates") {
            self.templates.extend(text(template, "/metadata/name").map(str::to_owned));
            self.classes.push(class_of(template));
        }
        for volume in list(object, "/spec/template/spec/volumes") {
            self.claims.extend(text(volume, "/persistentVolumeClaim/claimName").map(str::to_owned));
            self.classes.extend(volume.pointer("/ephemeral/volumeClaimTemplate").map(class_of));
        }
    }

    /// Whether it mounts durable storage.
    pub(super) fn mounts_claims(&self) -> bool {
        !self.claims.is_empty() || !self.templates.is_empty()
    }
}

/// Whether a StatefulSet's controller made a claim of one of its templates
/// (k8s.io/kubernetes `pkg/controller/statefulset/stateful_set_utils.go`).
pub(super) fn is_of_template(claim: &str, template: &str, set: &str) -> bool {
    let ordinal =
        claim.strip_prefix(template).and_then(|rest| rest.strip_prefix('-')?.strip_prefix(set)?.strip_prefix('-'));
    ordinal.is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|b| b.is_ascii_digit()))
}

/// The class that a claim names, the old annotation first, as the API server reads it; empty where it names none.
fn class_of(claim: &Value) -> String {
    text(claim, "/metadata/annotations/volume.beta.kubernetes.io~1storage-class")
        .or_else(|| text(claim, "/spec/storageClassName"))
        .unwrap_or_default()
        .to_owned()
}

fn owner(object: &Value) -> Option<(String, String, String)> {
    let owner = list(object, "/metadata/ownerReferences")
        .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))?;
    let group = text(owner, "/apiVersion")?.split_once('/').map_or("", |(group, _)| group);
    Some((group.to_owned(), text(owner, "/kind")?.to_owned(), text(owner, "/name")?.to_owned()))
}

fn list<'v>(object: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(object: &'v Value, pointer: &str) -> Option<&'v str> {
    object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_stateful_set_names_templates_claims_and_classes() {
        let set = json!({"metadata": {"name": "db"}, "spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}, {"metadata": {"name": "log"}}],
            "template": {"spec": {"volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "shared"}},
                {"name": "b", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "tmp"}}}}, {"name": "c", "emptyDir": {}}]}}}});
        let links = Links::of("StatefulSet", &set);
        assert_eq!(
            (links.claims.clone(), links.templates.clone()),
            (vec!["shared".into()], vec!["data".into(), "log".into()])
        );
        assert_eq!(links.classes, ["fast", "", "tmp"]);
        assert!(links.mounts_claims());
    }

    #[test]
    fn claims_volumes_and_owners() {
        let owner = json!([{"kind": "X", "name": "x"}, {"controller": true, "apiVersion": "a.example.com/v1", "kind": "Db", "name": "o"}]);
        let claim = json!({"metadata": {"ownerReferences": owner, "annotations": {"volume.beta.kubernetes.io/storage-class": "old"}},
            "spec": {"storageClassName": "new", "volumeName": "pv"}});
        let links = Links::of("PersistentVolumeClaim", &claim);
        assert_eq!((links.classes, links.volume), (vec!["old".to_owned()], Some("pv".to_owned())));
        assert_eq!(links.owner, Some(("a.example.com".into(), "Db".into(), "o".into())));
        let volume = json!({"spec": {"claimRef": {"namespace": "n", "name": "c"}}});
        assert_eq!(Links::of("PersistentVolume", &volume).claim, Some(("n".into(), "c".into())));
        assert_eq!(
            Links::of("StatefulSet", &json!({"spec": {"volumeClaimTemplates": "x", "template": []}})),
            Links::default()
        );
    }

    #[test]
    fn claims_of_templates_end_in_an_ordinal() {
        assert!(is_of_template("data-db-0", "data", "db") && is_of_template("data-a-b-12", "data", "a-b"));
        for other in ["data-db", "data-db-", "data-db-x", "data-db-1-2", "xdata-db-0", "data-dbx-0"] {
            assert!(!is_of_template(other, "data", "db"), "{other}");
        }
    }
}
