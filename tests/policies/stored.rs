//! An API server made of a list of objects: what an audit asks of a cluster, answered from a case.

use kube::Client;
use kube::client::Body;
use seawall::context::kinds::Kinds;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

/// What is stored.
pub(crate) struct Stored {
    /// Objects by (group, plural), whatever version is asked for.
    objects: BTreeMap<(String, String), Vec<Value>>,
    /// Custom kinds that are served: plural, group, version, kind, namespaced.
    custom: Vec<(String, String, String, String, bool)>,
    /// Kinds that may not be listed, as policies name them.
    forbidden: BTreeSet<String>,
}

impl Stored {
    /// These objects; `served` are kinds that are served although there may be no object of them.
    pub(crate) fn new<'k>(
        objects: &[Value],
        served: impl Iterator<Item = &'k String>,
        forbidden: &BTreeSet<String>,
        kinds: &Kinds,
    ) -> Self {
        let mut stored = Self { objects: BTreeMap::new(), custom: Vec::new(), forbidden: forbidden.clone() };
        for object in objects {
            let text = |key: &str| object[key].as_str().unwrap_or_default();
            let resource = kinds.resolve(text("apiVersion"), text("kind"));
            let (group, plural) = (resource.resource.group.clone(), resource.resource.resource.clone());
            if resource.fact_name().contains('.') {
                let version = resource.resource.version.clone();
                stored.serve(&plural, &group, &version, text("kind"), resource.namespaced);
            }
            let mut object = object.clone();
            if object["metadata"].is_null() {
                object["metadata"] = json!({});
            }
            if resource.namespaced && object["metadata"]["namespace"].is_null() {
                object["metadata"]["namespace"] = json!("default");
            }
            stored.objects.entry((group, plural)).or_default().push(object);
        }
        for kind in served {
            if let Some((plural, group)) = kind.split_once('.') {
                stored.serve(plural, group, "v1", "Custom", true);
            }
        }
        for list in stored.objects.values_mut() {
            let key = |o: &Value| {
                let text = |pointer: &str| o.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"))
            };
            list.sort_by_key(key);
        }
        stored
    }

    fn serve(&mut self, plural: &str, group: &str, version: &str, kind: &str, namespaced: bool) {
        if !self.custom.iter().any(|(p, g, ..)| (p.as_str(), g.as_str()) == (plural, group)) {
            self.custom.push((plural.into(), group.into(), version.into(), kind.into(), namespaced));
        }
    }

    /// A client of it.
    pub(crate) fn client(self) -> Client {
        let stored = Arc::new(self);
        let service = tower::service_fn(move |request: axum::http::Request<Body>| {
            let (code, answer) = stored.answer(request.uri().path());
            let body = axum::body::Body::from(answer.to_string());
            let answer = axum::http::Response::builder().status(code).body(body).unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    fn answer(&self, path: &str) -> (u16, Value) {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        match parts.as_slice() {
            ["version"] => {
                let of_build = ["gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"];
                let mut version = json!({"major": "1", "minor": "35", "gitVersion": "v1.35.4"});
                of_build.iter().for_each(|key| version[*key] = json!(""));
                (200, version)
            }
            ["apis"] => {
                let group = |group: &str| {
                    let versions: BTreeSet<&str> = self.of_group(group).map(|c| c.2.as_str()).collect();
                    let rows: Vec<Value> = versions
                        .iter()
                        .map(|v| json!({"groupVersion": format!("{group}/{v}"), "version": v}))
                        .collect();
                    json!({"name": group, "versions": rows, "preferredVersion": rows[0]})
                };
                let names: BTreeSet<&str> = self.custom.iter().map(|c| c.1.as_str()).collect();
                let groups: Vec<Value> = names.into_iter().map(group).collect();
                (200, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
            }
            ["apis", group, version] => {
                let of_version = self.of_group(group).filter(|c| c.2 == *version);
                let resource = |(plural, _, _, kind, namespaced): &(String, String, String, String, bool)| json!({"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["list"]});
                let rows: Vec<Value> = of_version.map(resource).collect();
                let group = format!("{group}/{version}");
                (200, json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": rows}))
            }
            ["api", version, plural] => self.list("", version, plural),
            ["apis", group, version, plural] => self.list(group, version, plural),
            _ => failure(404, "NotFound"),
        }
    }

    fn of_group(&self, group: &str) -> impl Iterator<Item = &(String, String, String, String, bool)> {
        self.custom.iter().filter(move |c| c.1 == group)
    }

    fn list(&self, group: &str, version: &str, plural: &str) -> (u16, Value) {
        let name = if self.of_group(group).next().is_some() { format!("{plural}.{group}") } else { plural.to_owned() };
        if self.forbidden.contains(&name) {
            return failure(403, "Forbidden");
        }
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let mut items = self.objects.get(&(group.to_owned(), plural.to_owned())).cloned().unwrap_or_default();
        let kind = items.first().and_then(|item| item["kind"].as_str()).unwrap_or_default().to_owned();
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            // items of a list do not say what they are
            item.shift_remove("apiVersion");
            item.shift_remove("kind");
        }
        let list = json!({"kind": format!("{kind}List"), "apiVersion": api_version, "metadata": {"resourceVersion": "1"}, "items": items});
        (200, list)
    }
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason}))
}
