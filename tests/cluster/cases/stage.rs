//! What stands in the cluster before a case begins, exactly as the case says it, and goes when it ends.
//!
//! `admin` builds it: the webhooks of these tests do not ask about that user, so no class is patched and no claim refused. No
//! controllers run, so a status stays as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde_json::{Map, Value, json};

use ::seawall::context::kinds::{Kinds, Resource};

use super::case::Case;
use crate::coverage::policies;
use crate::harness::api::Api;
use crate::harness::controlplane::ControlPlane;
use crate::harness::process::eventually;

/// The user that builds and clears the stage.
pub(super) const USER: &str = "admin";

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Path of a kind's collection, in a namespace where it has one.
fn collection(resource: &Resource, api_version: &str, namespace: &str) -> String {
    let root = if api_version.contains('/') { "/apis" } else { "/api" };
    let plural = &resource.resource.resource;
    if resource.namespaced {
        format!("{root}/{api_version}/namespaces/{namespace}/{plural}")
    } else {
        format!("{root}/{api_version}/{plural}")
    }
}

fn text<'v>(object: &'v Value, pointer: &str) -> &'v str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The namespaces that the case has, is in or speaks of, by name. `own` and that of the input have the labels of the case.
fn namespaces(case: &Case, own: &str) -> BTreeMap<String, Value> {
    let is_namespace = |object: &Value| object["kind"] == "Namespace";
    let name_of = |object: &Value| text(object, "/metadata/name").to_owned();
    let mut all: BTreeMap<String, Value> = case
        .context
        .iter()
        .filter(|object| is_namespace(object))
        .map(|object| (name_of(object), object.clone()))
        .collect();
    let plain = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let mentioned = case.context.iter().map(|object| text(object, "/metadata/namespace"));
    for name in mentioned.filter(|name| !matches!(*name, "" | "default")) {
        all.entry(name.to_owned()).or_insert_with(|| plain(name));
    }
    if is_namespace(&case.input) {
        // when something is in it, it is there: applying it is an UPDATE
        all.entry(name_of(&case.input)).and_modify(|object| *object = case.input.clone());
        return all;
    }
    let within = text(&case.input, "/metadata/namespace");
    for name in [own, within].into_iter().filter(|name| !name.is_empty()) {
        let object = all.entry(name.to_owned()).or_insert_with(|| plain(name));
        object["metadata"]["labels"]["seawall.dev/mode"] = json!("enforce");
        object["metadata"]["labels"]["seawall.dev/tier"] = json!(case.tier);
        object["metadata"]["labels"]["seawall.dev/patch"] = json!(case.patch());
    }
    all
}

/// The objects of one case; taken away when dropped.
pub(super) struct Stage<'p> {
    api: Api,
    kinds: &'p Kinds,
    /// Paths of what was made, the oldest first.
    made: Vec<String>,
}

impl<'p> Stage<'p> {
    /// Makes the namespace and everything in the case's context.
    pub(super) fn set(plane: &ControlPlane, kinds: &'p Kinds, case: &Case, namespace: &str) -> Result<Self, String> {
        let mut stage = Self { api: plane.api(USER), kinds, made: Vec::new() };
        for object in namespaces(case, namespace).values() {
            stage.put(object)?;
        }
        for object in case.context.iter().filter(|object| object["kind"] != "Namespace") {
            stage.put(object)?;
        }
        Ok(stage)
    }

    /// Path of an object of the case.
    pub(super) fn path(&self, object: &Value) -> String {
        let api_version = text(object, "/apiVersion");
        let resource = self.kinds.resolve(api_version, text(object, "/kind"));
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
        format!("{}/{}", collection(&resource, api_version, namespace), text(object, "/metadata/name"))
    }

    /// Makes an object with its status, and looks whether the API server kept it as it is.
    fn put(&mut self, object: &Value) -> Result<(), String> {
        let path = self.path(object);
        let (collection, _) = path.rsplit_once('/').unwrap_or_default();
        let refused = |(status, answer): (u16, Value)| format!("context: {path}: {status} {}", answer["message"]);
        let (status, answer) = self.api.post(&format!("{collection}?fieldValidation=Strict"), object).unwrap();
        if status != 201 {
            return Err(refused((status, answer)));
        }
        self.made.push(path.clone());
        if object["kind"] == "Node" {
            // a new Node is tainted until a kubelet calls it ready
            let taints = json!({"spec": {"taints": object["spec"]["taints"]}});
            self.api.merge(&path, &taints).unwrap();
        }
        if object.get("status").is_some() {
            // 404: a custom kind without the subresource, whose status was stored with the rest
            let status = self.api.merge(&format!("{path}/status"), &json!({"status": object["status"]})).unwrap();
            if !matches!(status.0, 200 | 404) {
                return Err(refused(status));
            }
        }
        let (_, stored) = self.api.get(&path).unwrap();
        super::differences(object, &stored)
            .map_or(Ok(()), |difference| Err(format!("context: {path} is stored differently: {difference}")))
    }

    /// Takes away what the case itself made, too.
    pub(super) fn clear(mut self, input: &Value) {
        self.made.push(self.path(input));
    }

    fn remove(&self, path: &str) {
        let (status, _) = self.api.delete(&format!("{path}?gracePeriodSeconds=0")).unwrap();
        if status == 404 {
            return;
        }
        // nobody works off the finalizers
        let _ = self.api.merge(path, &json!({"metadata": {"finalizers": null}}));
        if let Some(name) = path.strip_prefix("/api/v1/namespaces/").filter(|rest| !rest.contains('/')) {
            let done = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
                              "spec": {"finalizers": []}});
            let _ = self.api.put(&format!("{path}/finalize"), &done);
        }
        eventually(path, Duration::from_secs(10), || (self.api.get(path).unwrap().0 == 404).then_some(()));
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // the namespace last, or the others could not be changed any more
        for path in self.made.iter().rev() {
            self.remove(path);
        }
    }
}

/// Makes the CustomResourceDefinitions of all custom kinds that the cases and their policies speak of. Seawall then sees what
/// the case runner sees: kinds that are served, with these objects and no others.
pub(super) fn define_kinds(plane: &ControlPlane, cases: &[Case]) -> Kinds {
    let mut kinds = Kinds::default();
    let real = real_definitions(cases);
    real.values().for_each(|definition| kinds.learn(definition));
    let definitions = wanted(cases, &kinds, &real);
    let api = plane.api(USER);
    for definition in definitions.values() {
        let (status, answer) = api.post(DEFINITIONS, definition).unwrap();
        assert_eq!(status, 201, "{answer}");
    }
    for (name, definition) in &definitions {
        let version = definition["spec"]["versions"][0]["name"].as_str().unwrap();
        let group = definition["spec"]["group"].as_str().unwrap();
        let plural = definition["spec"]["names"]["plural"].as_str().unwrap();
        let path = format!("/apis/{group}/{version}/{plural}");
        eventually(name, Duration::from_secs(30), || (api.get(&path).unwrap().0 == 200).then_some(()));
        kinds.learn(definition);
    }
    kinds
}

/// The definitions of the vendors by group and kind, where `SEAWALL_CRDS` names a folder of them: with these the API server
/// also says whether a case's input is an object that it would take.
fn real_definitions(cases: &[Case]) -> BTreeMap<(String, String), Value> {
    let Some(folder) = std::env::var_os("SEAWALL_CRDS") else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        files.insert(path.file_name().unwrap().to_string_lossy().into_owned());
        let content: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let key = (text(&content, "/spec/group").to_owned(), text(&content, "/spec/names/kind").to_owned());
        found.insert(key, content);
    }
    for case in cases {
        if let Some(file) = case.crd.as_ref().filter(|file| !files.contains(*file)) {
            panic!("{}: {file} is not in {}", case.folder, folder.display());
        }
    }
    found
}

/// Definitions by name, `PLURAL.GROUP`.
fn wanted(cases: &[Case], kinds: &Kinds, real: &BTreeMap<(String, String), Value>) -> BTreeMap<String, Value> {
    let mut definitions: BTreeMap<String, Value> = BTreeMap::new();
    for object in cases.iter().flat_map(|case| case.context.iter().chain([&case.input])) {
        let (api_version, kind) = (text(object, "/apiVersion"), text(object, "/kind"));
        let resource = kinds.resolve(api_version, kind);
        let name = resource.fact_name();
        if !name.contains('.') {
            continue;
        }
        let (group, version) = api_version.split_once('/').unwrap_or_default();
        if let Some(definition) = real.get(&(group.to_owned(), kind.to_owned())) {
            definitions.insert(name, definition.clone());
        } else if let Some(definition) = definitions.get_mut(&name) {
            add_version(definition, version);
        } else {
            let plural = &resource.resource.resource;
            definitions.insert(name, definition(group, kind, plural, resource.namespaced, version));
        }
    }
    // kinds that policies read and no case has: served, and empty
    let of: BTreeSet<&str> = cases.iter().map(|case| case.policy.as_str()).collect();
    let read = policies().policies().iter().filter(|p| of.contains(p.id())).flat_map(|p| &p.metadata.context);
    for need in read {
        if let Some((plural, group)) =
            need.resource.split_once('.').filter(|_| !definitions.contains_key(&need.resource))
        {
            let known =
                real.values().find(|d| text(d, "/spec/group") == group && text(d, "/spec/names/plural") == plural);
            let made = || definition(group, &format!("Made{plural}"), plural, true, "v1");
            definitions.insert(need.resource.clone(), known.cloned().unwrap_or_else(made));
        }
    }
    definitions
}

/// A definition that takes everything.
fn definition(group: &str, kind: &str, plural: &str, namespaced: bool, version: &str) -> Value {
    let name = format!("{plural}.{group}");
    let mut metadata = json!({"name": name});
    if group.ends_with(".k8s.io") {
        // such groups are only for those whom the API's reviewers let in
        metadata["annotations"] = json!({"api-approved.kubernetes.io": "unapproved, for a test"});
    }
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": metadata,
        "spec": {
            "group": group, "scope": if namespaced { "Namespaced" } else { "Cluster" }, "versions": [],
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
        },
    });
    add_version(&mut definition, version);
    definition
}

fn add_version(definition: &mut Value, version: &str) {
    let Some(versions) = definition.pointer_mut("/spec/versions").and_then(Value::as_array_mut) else { return };
    if versions.iter().any(|known| known["name"] == version) {
        return;
    }
    let open = Value::Object(Map::from_iter([
        ("type".to_owned(), json!("object")),
        ("x-kubernetes-preserve-unknown-fields".to_owned(), json!(true)),
    ]));
    versions.push(json!({"name": version, "served": true, "storage": versions.is_empty(),
                         "schema": {"openAPIV3Schema": open}}));
}
