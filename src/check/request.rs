//! The admission request that the API server would make of a manifest: CREATE, by a person, as a dry run.

use super::manifest::Manifest;
use crate::admission::request::{Request, RequestError};
use serde_json::{Value, json};

/// Who creates. No account of the cluster, so nothing is excused by it.
const USER: &str = "seawall:check";

/// The request for a manifest.
///
/// # Errors
/// Never for a manifest that was read; the type says so because requests of API servers can be wrong.
pub fn create(manifest: &Manifest) -> Result<Request, RequestError> {
    let (kind, resource) = (&manifest.resource.kind, &manifest.resource.resource);
    let (group, version) = manifest.id.api_version.split_once('/').unwrap_or(("", &manifest.id.api_version));
    let request_kind = json!({"group": group, "version": version, "kind": manifest.id.kind});
    let request_resource = json!({"group": group, "version": version, "resource": resource.resource});
    let kind = json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let resource = json!({"group": resource.group, "version": resource.version, "resource": resource.resource});
    let name = manifest.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let body = json!({
        "uid": "check",
        "kind": kind,
        "resource": resource,
        "requestKind": request_kind,
        "requestResource": request_resource,
        "name": name,
        "namespace": manifest.namespace().unwrap_or_default(),
        "operation": "CREATE",
        "userInfo": {"username": USER, "groups": ["system:authenticated"]},
        "object": manifest.object,
        "oldObject": null,
        "dryRun": true,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    });
    match body {
        Value::Object(body) => Request::from_body(body),
        _ => Request::from_review(b"{}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::request::Operation;
    use crate::check::input::Input;
    use crate::check::manifest::Manifests;
    use crate::check::testing::kinds;
    use crate::check::yaml::Budget;

    fn request(text: &str) -> Request {
        let input = Input::read(&["-".into()], &mut text.as_bytes(), Budget::default());
        create(&Manifests::read(input, &kinds(), "shop").objects[0]).unwrap()
    }

    #[test]
    fn a_manifest_becomes_a_create_request() {
        let request = request("apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}\n");
        assert_eq!(request.operation, Operation::Create);
        assert_eq!(
            (request.kind.api_version().as_str(), request.resource.resource.as_str()),
            ("apps/v1", "deployments")
        );
        assert_eq!((request.name.as_str(), request.namespace.as_deref()), ("a", Some("shop")));
        assert!(request.dry_run);
        assert_eq!(request.object().unwrap()["apiVersion"], "apps/v1");
        let written = request.as_requested().unwrap();
        assert_eq!(written.kind.api_version(), "extensions/v1beta1");
        assert_eq!(written.object().unwrap()["apiVersion"], "extensions/v1beta1");
        assert!(written.as_requested().is_none());
    }

    #[test]
    fn namespaces_are_their_own_namespace_and_generated_names_are_empty() {
        let namespace = request("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
        assert_eq!(namespace.namespace.as_deref(), Some("a"));
        let generated = request("apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n");
        assert_eq!((generated.name.as_str(), generated.object_name()), ("", "a-"));
        let class = request("apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: a}\n");
        assert_eq!(class.namespace, None);
    }
}
