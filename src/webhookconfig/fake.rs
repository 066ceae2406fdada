//! An API server made of a map, for tests: get, list ConfigMaps, create, replace and delete with resourceVersion.

use axum::body::Body;
use axum::http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Objects by path, with every write as `METHOD path`.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Store>>);

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<String>,
    /// Answers everything with this status.
    broken: Option<u16>,
}

impl Fake {
    pub(crate) fn client(&self) -> Client {
        let fake = self.clone();
        Client::new(
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let fake = fake.clone();
                async move { Ok::<_, std::convert::Infallible>(fake.answer(request).await) }
            }),
            "default",
        )
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = parts.uri.path().to_owned();
        let (code, object) = self.0.lock().unwrap().answer(&parts.method, &path, &body);
        let reason = match (code, &parts.method) {
            (404, _) => "NotFound",
            (409, &Method::POST) => "AlreadyExists",
            (409, _) => "Conflict",
            _ => "InternalError",
        };
        let status = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason});
        let object = if code < 300 { object } else { status };
        Response::builder().status(code).body(Body::from(object.to_string())).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// Changes an object as somebody else would.
    pub(crate) fn edit(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut store = self.0.lock().unwrap();
        store.version += 1;
        let version = store.version.to_string();
        let object = store.objects.get_mut(path).unwrap();
        change(object);
        object["metadata"]["resourceVersion"] = Value::from(version);
    }

    pub(crate) fn remove(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    pub(crate) fn break_with(&self, code: Option<u16>) {
        self.0.lock().unwrap().broken = code;
    }

    /// The writes since the last call.
    pub(crate) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }
}

impl Store {
    fn answer(&mut self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        if let Some(code) = self.broken {
            return (code, Value::Null);
        }
        if *method == Method::GET && path.ends_with("/configmaps") {
            let inside = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
            let items: Vec<&Value> = self.objects.iter().filter(|(key, _)| inside(key)).map(|(_, map)| map).collect();
            return (200, json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": items}));
        }
        if *method == Method::GET {
            return self.objects.get(path).map_or((404, Value::Null), |object| (200, object.clone()));
        }
        self.writes.push(format!("{method} {path}"));
        if *method == Method::DELETE {
            let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
            let version = &wanted["preconditions"]["resourceVersion"];
            let stored = self.objects.get(path).map(|object| &object["metadata"]["resourceVersion"]);
            if !version.is_null() && stored.is_some_and(|stored| stored != version) {
                return (409, Value::Null);
            }
            return self.objects.remove(path).map_or((404, Value::Null), |object| (200, object));
        }
        let mut object: Value = serde_json::from_slice(body).unwrap();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let path = if *method == Method::POST { format!("{path}/{name}") } else { path.to_owned() };
        let stored = self.objects.get(&path).map(|o| o["metadata"]["resourceVersion"].clone());
        let fits = if *method == Method::POST {
            stored.is_none()
        } else {
            stored.as_ref() == Some(&object["metadata"]["resourceVersion"])
        };
        if !fits {
            return (409, Value::Null);
        }
        self.version += 1;
        object["metadata"]["resourceVersion"] = Value::from(self.version.to_string());
        self.objects.insert(path, object.clone());
        (200, object)
    }
}
