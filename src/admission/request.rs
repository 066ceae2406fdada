//! Reads an AdmissionReview (`admission.k8s.io/v1`) and answers questions about the request in it.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt;

/// Why a body could not be read as an AdmissionReview.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// Not JSON, or nested deeper than 128 levels.
    #[error("the body is not readable JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind or version.
    #[error("wanted admission.k8s.io/v1 AdmissionReview, found {found}")]
    Version {
        /// `apiVersion kind` of the body.
        found: String,
        /// The uid, where there is one, so that the answer can carry it.
        uid: Option<String>,
    },
    /// A field of the request is missing or of a wrong type.
    #[error("request.{field} {problem}")]
    Field {
        /// Field path below `request`.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
        /// The uid, where there is one.
        uid: Option<String>,
    },
}

impl RequestError {
    /// The uid of the unreadable request, where there is one.
    #[must_use]
    pub fn uid(&self) -> Option<&str> {
        match self {
            Self::Json(_) => None,
            Self::Version { uid, .. } | Self::Field { uid, .. } => uid.as_deref(),
        }
    }
}

/// What the user asks the API server to do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A change; `oldObject` is what is stored.
    Update,
    /// A removal; only `oldObject` is there.
    Delete,
    /// `exec`, `attach` and their like; never ours.
    Connect,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        })
    }
}

/// Group, version and resource (plural, lower case).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize, schemars::JsonSchema)]
pub struct Gvr {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Version, for example `v1`.
    pub version: String,
    /// Plural resource, for example `statefulsets`.
    pub resource: String,
}

/// Group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize, schemars::JsonSchema)]
pub struct Gvk {
    /// API group; empty for the core group.
    #[serde(default)]
    pub group: String,
    /// Version, for example `v1`.
    pub version: String,
    /// Kind, for example `StatefulSet`.
    pub kind: String,
}

impl Gvk {
    /// `apiVersion` as manifests write it.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// One admission request. The typed fields are copies of what [`Request::body`] says; policies see the body.
#[derive(Debug, Clone)]
pub struct Request {
    /// New for each call of the API server.
    pub uid: String,
    /// Kind after matchPolicy conversion.
    pub kind: Gvk,
    /// Resource after matchPolicy conversion.
    pub resource: Gvr,
    /// Subresource, empty where there is none.
    pub sub_resource: String,
    /// Name of the object; empty with generateName and on collection deletes.
    pub name: String,
    /// Namespace; for a Namespace object its own name.
    pub namespace: Option<String>,
    /// What is asked.
    pub operation: Operation,
    /// Who asks.
    pub username: String,
    /// The groups of who asks.
    pub groups: Vec<String>,
    /// True for `--dry-run=server`.
    pub dry_run: bool,
    /// The `request` as received.
    body: Map<String, Value>,
}

impl Request {
    /// Reads an AdmissionReview body.
    ///
    /// # Errors
    /// When it is not JSON, of another kind or version, or lacks a field that every request has; an object missing
    /// where the operation needs one is such a field.
    pub fn from_review(body: &[u8]) -> Result<Self, RequestError> {
        let mut review: Map<String, Value> = serde_json::from_slice(body)?;
        let request = match review.remove("request") {
            Some(Value::Object(request)) => Some(request),
            _ => None,
        };
        let uid = request.as_ref().and_then(|r| r.get("uid")).and_then(Value::as_str).map(str::to_owned);
        let word = |key: &str| review.get(key).and_then(Value::as_str).unwrap_or("(none)");
        if word("apiVersion") != "admission.k8s.io/v1" || word("kind") != "AdmissionReview" {
            return Err(RequestError::Version { found: format!("{} {}", word("apiVersion"), word("kind")), uid });
        }
        let Some(request) = request else {
            return Err(RequestError::Field {
                field: "uid",
                problem: "is missing: the review has no request".into(),
                uid,
            });
        };
        Self::from_body(request)
    }

    /// The request that would create a stored object as it is: by nobody of the cluster, as a dry run.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn of_stored(kind: &Gvk, resource: &Gvr, object: Value) -> Result<Self, RequestError> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = text("/metadata/name");
        let is_namespace = resource.group.is_empty() && resource.resource == "namespaces";
        let namespace = if is_namespace { name.clone() } else { text("/metadata/namespace") };
        let body = serde_json::json!({
            "uid": "stored",
            "kind": kind,
            "resource": resource,
            "name": name,
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "seawall:audit", "groups": ["system:authenticated"]},
            "object": object,
            "oldObject": null,
            "dryRun": true,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        });
        match body {
            Value::Object(body) => Self::from_body(body),
            _ => Self::from_review(b"{}"),
        }
    }

    /// Reads the `request` part of a review.
    ///
    /// # Errors
    /// As [`Request::from_review`].
    pub fn from_body(body: Map<String, Value>) -> Result<Self, RequestError> {
        let uid = body.get("uid").and_then(Value::as_str).map(str::to_owned);
        let problem = |field: &'static str, problem: &str| RequestError::Field {
            field,
            problem: problem.to_owned(),
            uid: uid.clone(),
        };
        let typed = |field: &'static str| body.get(field).ok_or_else(|| problem(field, "is missing"));
        let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let id = uid.clone().filter(|uid| !uid.is_empty()).ok_or_else(|| problem("uid", "is missing"))?;
        let kind = Gvk::deserialize(typed("kind")?).map_err(|e| problem("kind", &e.to_string()))?;
        let resource = Gvr::deserialize(typed("resource")?).map_err(|e| problem("resource", &e.to_string()))?;
        let operation =
            Operation::deserialize(typed("operation")?).map_err(|e| problem("operation", &e.to_string()))?;
        let user = body.get("userInfo").and_then(Value::as_object);
        let groups = user.and_then(|u| u.get("groups")).and_then(Value::as_array);
        let request = Self {
            uid: id,
            kind,
            resource,
            sub_resource: text("subResource"),
            name: text("name"),
            namespace: Some(text("namespace")).filter(|n| !n.is_empty()),
            operation,
            username: user.and_then(|u| u.get("username")).and_then(Value::as_str).unwrap_or_default().to_owned(),
            groups: groups.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            dry_run: body.get("dryRun").and_then(Value::as_bool).unwrap_or_default(),
            body: Map::new(),
        };
        let is_object = |field: &str| body.get(field).is_some_and(Value::is_object);
        let (wants_object, wants_old) = match operation {
            Operation::Create => (true, false),
            Operation::Update => (true, true),
            Operation::Delete => (false, true),
            Operation::Connect => (false, false),
        };
        if wants_object && !is_object("object") {
            return Err(problem("object", &format!("is missing or no JSON object, {operation} needs it")));
        }
        if wants_old && !is_object("oldObject") {
            return Err(problem("oldObject", &format!("is missing or no JSON object, {operation} needs it")));
        }
        Ok(Self { body, ..request })
    }

    /// The `request` part of the review, as received.
    #[must_use]
    pub const fn body(&self) -> &Map<String, Value> {
        &self.body
    }

    /// The new object; none on DELETE.
    #[must_use]
    pub fn object(&self) -> Option<&Value> {
        self.body.get("object").filter(|o| o.is_object())
    }

    /// The stored object; none on CREATE.
    #[must_use]
    pub fn old_object(&self) -> Option<&Value> {
        self.body.get("oldObject").filter(|o| o.is_object())
    }

    /// The object that the request is about: the new one, on DELETE the old one.
    #[must_use]
    pub fn subject(&self) -> Option<&Value> {
        self.object().or_else(|| self.old_object())
    }

    /// The same request about another new object.
    #[must_use]
    pub fn with_object(&self, object: Value) -> Self {
        let mut request = self.clone();
        request.body.insert("object".to_owned(), object);
        request
    }

    /// The request in the version that was asked for, where it was converted (`requestKind` differs from `kind`): the same
    /// objects, which then say that version.
    #[must_use]
    pub fn as_requested(&self) -> Option<Self> {
        let part = |field: &str| self.body.get(field).filter(|value| value.is_object());
        let kind = Gvk::deserialize(part("requestKind")?).ok()?;
        let resource = Gvr::deserialize(part("requestResource")?).ok()?;
        if kind == self.kind && resource == self.resource {
            return None;
        }
        let mut body = self.body.clone();
        for (to, from) in [("kind", "requestKind"), ("resource", "requestResource")] {
            body.insert(to.to_owned(), part(from)?.clone());
        }
        for field in ["object", "oldObject"] {
            if let Some(object) = body.get_mut(field).and_then(Value::as_object_mut) {
                object.insert("apiVersion".to_owned(), Value::from(kind.api_version()));
            }
        }
        Some(Self { kind, resource, body, ..self.clone() })
    }

    /// A request about a part of this one's object, by the same user with the same operation.
    #[must_use]
    pub fn derived(&self, kind: &Gvk, resource: &Gvr, object: Value, old_object: Option<Value>) -> Self {
        let mut body = self.body.clone();
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        body.insert(
            "kind".to_owned(),
            serde_json::json!({"group": kind.group, "version": kind.version, "kind": kind.kind}),
        );
        body.insert(
            "resource".to_owned(),
            serde_json::json!({"group": resource.group, "version": resource.version, "resource": resource.resource}),
        );
        body.insert("name".to_owned(), Value::from(name.clone()));
        body.insert("object".to_owned(), object);
        body.insert("oldObject".to_owned(), old_object.unwrap_or(Value::Null));
        Self { kind: kind.clone(), resource: resource.clone(), name, body, ..self.clone() }
    }

    /// This request as if the stored object had been sent again: what it violates, it violated before.
    #[must_use]
    pub fn of_old_object(&self) -> Option<Self> {
        let old = self.old_object()?.clone();
        Some(self.with_object(old))
    }

    /// The name of the object, from the object itself where the request leaves it out.
    #[must_use]
    pub fn object_name(&self) -> &str {
        let metadata = self.subject().and_then(|o| o.get("metadata"));
        let of_object = || {
            let field = |key: &str| metadata?.get(key)?.as_str().filter(|n| !n.is_empty());
            field("name").or_else(|| field("generateName"))
        };
        if self.name.is_empty() { of_object().unwrap_or_default() } else { &self.name }
    }
}

/// A label of an object.
#[must_use]
pub fn label<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// An annotation of an object.
#[must_use]
pub fn annotation<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}
