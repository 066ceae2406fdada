//! Claims and Pods inside workloads, as requests of their own.
//!
//! A rule about claims is decided on the StatefulSet: denying the claims that its controller makes later would leave an
//! admitted StatefulSet hanging.

use super::pointer::{self, Path, Step};
use super::request::{Gvk, Gvr, Operation, Request, label};
use serde_json::{Map, Value};

/// Label that says what kind of data a workload or claim holds.
const DATA: &str = "seawall.dev/data";
/// Label that says what a workload asks of its storage.
const PROFILE: &str = "seawall.dev/workload-profile";

/// What is judged: the request itself or a part of its object.
#[derive(Debug, Clone)]
pub struct Target {
    /// The request as policies see it.
    pub request: Request,
    /// Where the part stands in the object; empty for the object itself.
    pub prefix: Path,
    /// The part in words, for reports; none for the object itself.
    pub part: Option<String>,
}

impl Target {
    /// The request itself.
    #[must_use]
    pub const fn whole(request: Request) -> Self {
        Self { request, prefix: Path::new(), part: None }
    }
}

/// Where a workload keeps its Pod template.
fn template_path(gvr: &Gvr) -> Option<&'static [&'static str]> {
    match (gvr.group.as_str(), gvr.resource.as_str()) {
        ("apps", "statefulsets" | "deployments" | "replicasets" | "daemonsets")
        | ("", "replicationcontrollers")
        | ("batch", "jobs") => Some(&["spec", "template"]),
        ("batch", "cronjobs") => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// The resource of claims.
#[must_use]
pub fn claims() -> Gvr {
    Gvr { group: String::new(), version: "v1".to_owned(), resource: "persistentvolumeclaims".to_owned() }
}

/// The resource of Pods.
#[must_use]
pub fn pods() -> Gvr {
    Gvr { group: String::new(), version: "v1".to_owned(), resource: "pods".to_owned() }
}

/// The resources (group, version, resource) that have parts of a kind: what a webhook for that kind must also match.
#[must_use]
pub fn workloads_with(part: &Gvr) -> &'static [(&'static str, &'static str, &'static str)] {
    match part.resource.as_str() {
        "persistentvolumeclaims" => &[("apps", "v1", "statefulsets")],
        "pods" => &[
            ("apps", "v1", "statefulsets"),
            ("apps", "v1", "deployments"),
            ("apps", "v1", "replicasets"),
            ("apps", "v1", "daemonsets"),
            ("", "v1", "replicationcontrollers"),
            ("batch", "v1", "jobs"),
            ("batch", "v1", "cronjobs"),
        ],
        _ => &[],
    }
}

/// The claim templates of a workload (CREATE, and UPDATE where one changed).
#[must_use]
pub fn claim_templates(request: &Request) -> Vec<Target> {
    if request.resource.group != "apps" || request.resource.resource != "statefulsets" {
        return Vec::new();
    }
    let templates = |object: Option<&Value>| {
        object.and_then(|o| o.pointer("/spec/volumeClaimTemplates")?.as_array()).cloned().unwrap_or_default()
    };
    let old = templates(request.old_object());
    let name =
        |template: &Value| template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = Gvk { group: String::new(), version: "v1".to_owned(), kind: "PersistentVolumeClaim".to_owned() };
    let target = |(index, template): (usize, Value)| {
        let before = old.iter().find(|o| name(o) == name(&template)).cloned();
        let prefix =
            vec![Step::Key("spec".to_owned()), Step::Key("volumeClaimTemplates".to_owned()), Step::Index(index)];
        let part = format!("volumeClaimTemplates[{}]", name(&template));
        derive(request, &kind, &claims(), template, before, prefix, part)
    };
    templates(request.object()).into_iter().enumerate().filter_map(target).collect()
}

/// The Pod template of a workload (CREATE, and UPDATE where it changed).
#[must_use]
pub fn pod_template(request: &Request) -> Option<Target> {
    let keys = template_path(&request.resource)?;
    let prefix: Path = keys.iter().map(|key| Step::Key((*key).to_owned())).collect();
    let of = |object: Option<&Value>| object.and_then(|o| pointer::get(o, &prefix)).cloned();
    let kind = Gvk { group: String::new(), version: "v1".to_owned(), kind: "Pod".to_owned() };
    derive(
        request,
        &kind,
        &pods(),
        of(request.object())?,
        of(request.old_object()),
        prefix.clone(),
        "template".to_owned(),
    )
}

/// A request about a part, or none when the part did not change or is no object.
fn derive(
    request: &Request,
    kind: &Gvk,
    resource: &Gvr,
    part: Value,
    before: Option<Value>,
    prefix: Path,
    name: String,
) -> Option<Target> {
    if !matches!(request.operation, Operation::Create | Operation::Update) || before.as_ref() == Some(&part) {
        return None;
    }
    // what the workload says of its data and its storage holds for its parts
    let said = |key: &'static str| Some((key, request.subject().and_then(|o| label(o, key))?.to_owned()));
    let said: Vec<(&str, String)> = [DATA, PROFILE].into_iter().filter_map(said).collect();
    let complete = |part: Value| match part {
        Value::Object(fields) => {
            let mut object = fields;
            object.insert("apiVersion".to_owned(), Value::from(kind.version.clone()));
            object.insert("kind".to_owned(), Value::from(kind.kind.clone()));
            let metadata = inner(&mut object, "metadata");
            if let (Some(namespace), Some(metadata)) = (&request.namespace, metadata) {
                or_insert(metadata, "namespace", namespace);
            }
            if !said.is_empty()
                && let Some(metadata) = inner(&mut object, "metadata")
                && let Some(labels) = inner(metadata, "labels")
            {
                said.iter().for_each(|(key, text)| or_insert(labels, key, text));
            }
            Some(Value::Object(object))
        }
        _ => None,
    };
    let object = complete(part)?;
    let request = request.derived(kind, resource, object, before.and_then(complete));
    Some(Target { request, prefix, part: Some(name) })
}

/// A part that is an object, made where there is none: null is absent.
fn inner<'o>(object: &'o mut Map<String, Value>, key: &str) -> Option<&'o mut Map<String, Value>> {
    let part = object.entry(key).or_insert(Value::Null);
    if part.is_null() {
        *part = Value::Object(Map::new());
    }
    part.as_object_mut()
}

fn or_insert(object: &mut Map<String, Value>, key: &str, text: &str) {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = Value::from(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(object: Value, old: Value) -> Request {
        let operation = if old.is_null() { "CREATE" } else { "UPDATE" };
        let body = json!({
            "uid": "u", "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"}, "namespace": "n", "name": "db",
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"}, "operation": operation, "object": object, "oldObject": old,
        });
        Request::from_body(body.as_object().unwrap().clone()).unwrap()
    }

    #[test]
    fn parts_become_requests() {
        let object = json!({"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}});
        let request = request(object, Value::Null);
        let claims = claim_templates(&request);
        assert_eq!(claims[0].request.object().unwrap()["metadata"], json!({"name": "data", "namespace": "n"}));
        assert_eq!(claims[0].request.kind.kind, "PersistentVolumeClaim");
        assert_eq!(pointer::to_pointer(&claims[0].prefix), "/spec/volumeClaimTemplates/0");
        assert_eq!(claims[0].part.as_deref(), Some("volumeClaimTemplates[data]"));
        assert_eq!(pod_template(&request).unwrap().request.object().unwrap()["kind"], "Pod");
    }

    #[test]
    fn what_the_workload_says_of_its_data_holds_for_its_claims() {
        let object = json!({"metadata": {"labels": {DATA: "cache", PROFILE: "queue"}}, "spec": {"volumeClaimTemplates": [
            {"metadata": {"name": "a"}}, {"metadata": {"name": "b", "labels": {DATA: "durable"}}},
            {"metadata": null}, {"metadata": {"labels": null}}, {"kind": "Other"},
        ]}});
        let claims = claim_templates(&request(object, Value::Null));
        let of = |claim: &Target| label(claim.request.object().unwrap(), DATA).unwrap().to_owned();
        assert_eq!(claims.iter().map(of).collect::<Vec<_>>(), ["cache", "durable", "cache", "cache", "cache"]);
        assert!(claims.iter().all(|c| label(c.request.object().unwrap(), PROFILE) == Some("queue")));
        // what the part says of itself does not make it another kind
        assert_eq!(claims[4].request.object().unwrap()["kind"], "PersistentVolumeClaim");
    }

    #[test]
    fn unchanged_parts_are_left_alone() {
        let old = json!({"spec": {"template": {"spec": {}}, "volumeClaimTemplates": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}});
        let mut new = old.clone();
        new["metadata"] = json!({"labels": {"x": "y"}});
        assert!(claim_templates(&request(new.clone(), old.clone())).is_empty());
        assert!(pod_template(&request(new.clone(), old.clone())).is_none());
        new["spec"]["volumeClaimTemplates"][1]["spec"] = json!({});
        let changed = claim_templates(&request(new, old));
        assert_eq!((changed.len(), changed[0].part.as_deref()), (1, Some("volumeClaimTemplates[b]")));
        assert!(changed[0].request.old_object().is_some());
    }

    #[test]
    fn strange_shapes_have_no_parts() {
        assert!(claim_templates(&request(json!({"spec": {"volumeClaimTemplates": {"a": 1}}}), Value::Null)).is_empty());
        assert!(
            claim_templates(&request(json!({"spec": {"volumeClaimTemplates": [1, null]}}), Value::Null)).is_empty()
        );
        assert!(pod_template(&request(json!({"spec": {"template": "x"}}), Value::Null)).is_none());
    }
}
