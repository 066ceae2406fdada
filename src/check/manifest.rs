//! Documents become objects: lists unwrapped, kinds resolved, defaults filled in.

use super::defaults;
use super::input::Input;
use super::position::{Place, Spot};
use super::yaml::Node;
use crate::context::coverage::Header;
use crate::context::kinds::{Kinds, Resource};
use crate::report::{Failure, ResourceId, Source};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One object of the input.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Its file.
    pub file: Arc<str>,
    /// The file is JSON.
    pub is_json: bool,
    /// The object as written.
    pub written: Value,
    /// The object with the API's defaults.
    pub object: Value,
    /// Where its fields stand.
    pub spot: Arc<Spot>,
    /// What kind it is.
    pub resource: Resource,
    /// What to call it.
    pub id: ResourceId,
}

impl Manifest {
    /// Where a field stands, or its nearest parent.
    #[must_use]
    pub fn source<'t>(&self, tokens: impl IntoIterator<Item = &'t str>) -> Source {
        source(&self.file, self.spot.find(tokens))
    }

    /// The namespace whose labels decide: its own name for a Namespace, as in an admission request.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        let is_namespace = self.resource.resource.group.is_empty() && self.resource.resource.resource == "namespaces";
        if is_namespace { Some(&self.id.name) } else { self.id.namespace.as_deref() }
    }
}

/// The objects of an input, and what is wrong with the rest.
#[derive(Debug, Default)]
pub struct Manifests {
    /// The objects, in order.
    pub objects: Vec<Manifest>,
    /// What cannot be judged.
    pub errors: Vec<Failure>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// The headers of snapshots.
    pub headers: Vec<Header>,
}

impl Manifests {
    /// Learns custom kinds from the definitions in an input, so that objects are known whatever their order.
    pub fn learn(kinds: &mut Kinds, input: &Input) {
        for node in input.documents.iter().filter_map(|document| document.read.as_ref().ok()) {
            kinds.learn(&node.value);
            if let Some(Ok(header)) = Header::of_document(&node.value) {
                kinds.learn_header(&header);
            }
            for item in node.value.get("items").and_then(Value::as_array).into_iter().flatten() {
                kinds.learn(item);
            }
        }
    }

    /// Reads the objects of an input; `namespace` is that of objects that name none.
    #[must_use]
    pub fn read(input: Input, kinds: &Kinds, namespace: &str) -> Self {
        let mut manifests = Self { notes: input.notes, ..Self::default() };
        for (file, message) in input.errors {
            let source = file.map(|file| source(&file, Place::START));
            manifests.errors.push(Failure { source, policy: None, message });
        }
        let mut headers = Vec::new();
        for document in input.documents {
            let mut found = Vec::new();
            match document.read {
                Ok(node) => match Header::of_document(&node.value) {
                    Some(Ok(header)) => headers.push((document.file.clone(), node.spot.place, header)),
                    Some(Err(error)) => found.push(Err((node.spot.place, error.to_string()))),
                    None => unwrap(node, None, 0, &mut found),
                },
                Err(error) => found.push(Err((error.place, error.problem))),
            }
            for object in found {
                let object =
                    object.and_then(|node| Manifest::new(&document.file, document.is_json, node, kinds, namespace));
                match object {
                    Ok(manifest) => manifests.add(manifest),
                    Err((place, message)) => {
                        let source = Some(source(&document.file, place));
                        manifests.errors.push(Failure { source, policy: None, message });
                    }
                }
            }
        }
        for (file, place, header) in headers {
            manifests.complete(&file, place, header);
        }
        manifests
    }

    /// Takes the header of a snapshot when the file has all objects that it speaks of: half a file would say that the rest
    /// of the cluster is empty.
    fn complete(&mut self, file: &Arc<str>, place: Place, header: Header) {
        let short = header.kinds.iter().find_map(|row| {
            let objects = self.objects.iter().filter(|m| m.file == *file && m.resource.fact_name() == row.resource);
            let found = objects.count();
            (found < row.objects).then_some((&row.resource, row.objects, found))
        });
        if let Some((resource, wanted, found)) = short {
            let message = format!(
                "the snapshot speaks of {wanted} {resource} and has {found}, so it is cut off; make it again with `seawall snapshot`"
            );
            self.errors.push(Failure { source: Some(source(file, place)), policy: None, message });
        }
        // kept all the same: what it does not cover stays unknown
        self.headers.push(header);
    }

    fn add(&mut self, manifest: Manifest) {
        if manifest.resource.removed {
            let note = format!(
                "{}:{}: {} {} is no longer served; judged as {}",
                manifest.file,
                manifest.spot.place,
                manifest.id.api_version,
                manifest.id.kind,
                manifest.resource.kind.api_version()
            );
            self.notes.push(note);
        }
        self.objects.push(manifest);
    }
}

/// The namespaces of an input: where to look when a cluster as a whole may not be read.
#[must_use]
pub fn namespaces(input: &Input, default: &str) -> BTreeSet<String> {
    let kinds = Kinds::default();
    let of_object = |object: &Value| {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
        match (text("/apiVersion")?, text("/kind")?) {
            ("v1", "Namespace") => text("/metadata/name"),
            (version, kind) if kinds.resolve(version, kind).namespaced => {
                text("/metadata/namespace").or(Some(default).filter(|_| object.get("items").is_none()))
            }
            _ => None,
        }
        .map(str::to_owned)
    };
    let objects = input.documents.iter().filter_map(|document| document.read.as_ref().ok()).flat_map(|node| {
        let items = node.value.get("items").and_then(Value::as_array).into_iter().flatten();
        std::iter::once(&node.value).chain(items)
    });
    objects.filter_map(of_object).collect()
}

/// An object, or the place and the sentence of an error.
type Found<T> = Result<T, (Place, String)>;

/// Takes lists apart, as `kubectl` does: `kind: List` and typed lists such as `StatefulSetList`, whose items may leave out
/// what the list's kind says.
fn unwrap(mut node: Node, implied: Option<(&str, &str)>, depth: usize, found: &mut Vec<Found<Node>>) {
    if let (Some((api_version, kind)), Value::Object(map)) = (implied, &mut node.value) {
        map.entry("apiVersion").or_insert_with(|| Value::from(api_version));
        map.entry("kind").or_insert_with(|| Value::from(kind));
    }
    let text = |key: &str| node.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let item_kind = kind.strip_suffix("List");
    let Some((item_kind, items)) =
        item_kind.zip(node.value.get_mut("items").filter(|items| items.is_array() || items.is_null()))
    else {
        return found.push(Ok(node));
    };
    if depth > 8 {
        return found.push(Err((node.spot.place, "lists inside lists, more than 8 deep".to_owned())));
    }
    let Value::Array(items) = items.take() else { return };
    let spots = node.spot.part("items");
    let implied = (!item_kind.is_empty()).then_some((api_version.as_str(), item_kind));
    for (index, value) in items.into_iter().enumerate() {
        let spot = spots.and_then(|spots| spots.part(&index.to_string())).unwrap_or(&node.spot).clone();
        unwrap(Node { value, spot }, implied, depth + 1, found);
    }
}

impl Manifest {
    fn new(file: &Arc<str>, is_json: bool, node: Node, kinds: &Kinds, namespace: &str) -> Found<Self> {
        let error = |at: &[&str], problem: &str| Err((node.spot.find(at.iter().copied()), problem.to_owned()));
        let Some(map) = node.value.as_object() else {
            return error(&[], "is no Kubernetes object: wanted a mapping with apiVersion and kind");
        };
        let text = |key: &str| map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (api_version, kind) = match (text("apiVersion"), text("kind")) {
            (Some(api_version), Some(kind)) => (api_version.to_owned(), kind.to_owned()),
            (None, None) => {
                return error(
                    &[],
                    "is no Kubernetes object: it has neither apiVersion nor kind; add both or leave it out",
                );
            }
            (None, Some(_)) => return error(&["apiVersion"], "is no Kubernetes object: it has no apiVersion; add it"),
            (Some(_), None) => return error(&["kind"], "is no Kubernetes object: it has no kind; add it"),
        };
        if map.get("metadata").is_some_and(|metadata| !metadata.is_object() && !metadata.is_null()) {
            return error(&["metadata"], "metadata is no mapping; wanted name, namespace, labels");
        }
        let resource = kinds.resolve(&api_version, &kind);
        let mut object = node.value.clone();
        resource.convert(&mut object);
        defaults::apply(&resource, namespace, &mut object);
        let metadata = |key: &str| {
            let text = object.get("metadata").and_then(|m| m.get(key)).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let id = ResourceId {
            api_version,
            kind,
            namespace: metadata("namespace").filter(|_| resource.namespaced),
            name: metadata("name").or_else(|| metadata("generateName")).unwrap_or_default(),
        };
        Ok(Self { file: file.clone(), is_json, written: node.value, object, spot: node.spot, resource, id })
    }
}

fn source(file: &str, place: Place) -> Source {
    Source { file: file.to_owned(), line: place.line, column: place.column }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::kinds;
    use crate::check::yaml::Budget;
    use std::path::PathBuf;

    fn read(text: &str) -> Manifests {
        let input = Input::read(&[PathBuf::from("-")], &mut text.as_bytes(), Budget::default());
        let mut kinds = kinds();
        Manifests::learn(&mut kinds, &input);
        Manifests::read(input, &kinds, "shop")
    }

    fn names(manifests: &Manifests) -> Vec<String> {
        let name = |m: &Manifest| {
            let at = m.source([]);
            format!("{}:{} {} {:?} {}", at.line, at.column, m.resource.fact_name(), m.namespace(), m.id.name)
        };
        manifests.objects.iter().map(name).collect()
    }

    fn errors(manifests: &Manifests) -> Vec<String> {
        let line = |failure: &Failure| {
            let source = failure.source.as_ref().unwrap();
            format!("{}:{}:{} {}", source.file, source.line, source.column, failure.message)
        };
        manifests.errors.iter().map(line).collect()
    }

    #[test]
    fn lists_are_taken_apart() {
        let manifests = read(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: a, namespace: x}\n\
             - apiVersion: apps/v1\n  kind: StatefulSetList\n  items:\n  - metadata: {generateName: b-}\n\
             - apiVersion: v1\n  kind: Namespace\n  metadata: {name: c}\n---\n\
             apiVersion: v1\nkind: List\nitems: []\n---\napiVersion: v1\nkind: List\nitems: null\n---\n\
             apiVersion: example.com/v1\nkind: AllowList\nspec: {}\n",
        );
        assert_eq!(errors(&manifests), [] as [&str; 0]);
        assert_eq!(
            names(&manifests),
            [
                "4:3 services Some(\"x\") a",
                "10:5 statefulsets Some(\"shop\") b-",
                "11:3 namespaces Some(\"c\") c",
                "23:1 allowlists.example.com Some(\"shop\") ",
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_an_error_with_its_place() {
        let manifests = read(
            "a: 1\n---\nkind: Service\n---\napiVersion: v1\n---\n- a\n---\ntext\n---\napiVersion: v1\nkind: Pod\nmetadata: x\n---\n\
             apiVersion: v1\nkind: List\nitems:\n- 5\n- kind: Pod\n- {apiVersion: v1, kind: Pod, metadata: {name: ok}}\n",
        );
        assert_eq!(
            errors(&manifests),
            [
                "stdin:1:1 is no Kubernetes object: it has neither apiVersion nor kind; add both or leave it out",
                "stdin:3:1 is no Kubernetes object: it has no apiVersion; add it",
                "stdin:5:1 is no Kubernetes object: it has no kind; add it",
                "stdin:7:1 is no Kubernetes object: wanted a mapping with apiVersion and kind",
                "stdin:9:1 is no Kubernetes object: wanted a mapping with apiVersion and kind",
                "stdin:13:1 metadata is no mapping; wanted name, namespace, labels",
                "stdin:18:3 is no Kubernetes object: wanted a mapping with apiVersion and kind",
                "stdin:19:3 is no Kubernetes object: it has no apiVersion; add it",
            ]
        );
        assert_eq!(names(&manifests), ["20:3 pods Some(\"shop\") ok"]);
    }

    #[test]
    fn a_definition_counts_wherever_it_stands() {
        let manifests = read(
            "apiVersion: example.com/v1\nkind: Sheep\nmetadata: {name: a}\n---\n\
             apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: sheep.example.com}\n\
             spec: {group: example.com, scope: Cluster, names: {kind: Sheep, plural: sheep}}\n",
        );
        assert_eq!(names(&manifests)[0], "1:1 sheep.example.com None a");
    }

    #[test]
    fn the_namespaces_of_an_input() {
        let text = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {namespace: a}}\n\
                    - {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n---\n{apiVersion: v1, kind: Service}\n---\n\
                    {apiVersion: storage.k8s.io/v1, kind: StorageClass}\n";
        let input = Input::read(&[PathBuf::from("-")], &mut text.as_bytes(), Budget::default());
        assert_eq!(namespaces(&input, "c").into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn a_snapshot_that_is_cut_off_is_an_error() {
        let header = "apiVersion: seawall.dev/v1alpha1\nkind: Snapshot\ntakenAt: t\ntakenBy: s\nserverVersion: v\nkinds:\n\
                      - {resource: services, objects: 2, namespaced: true}\n";
        let service = |name: &str| format!("---\n{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}}}\n");
        let whole = read(&format!("{header}{}{}", service("a"), service("b")));
        assert!(whole.errors.is_empty(), "{:?}", whole.errors);
        assert_eq!((whole.objects.len(), whole.headers.len()), (2, 1));
        let half = read(&format!("{header}{}", service("a")));
        assert!(errors(&half)[0].starts_with("stdin:1:1 the snapshot speaks of 2 services and has 1"), "{half:?}");
    }

    #[test]
    fn old_versions_are_told() {
        let manifests = read("apiVersion: apps/v1beta1\nkind: StatefulSet\nmetadata: {name: a}\n");
        assert_eq!(manifests.notes, ["stdin:1:1: apps/v1beta1 StatefulSet is no longer served; judged as apps/v1"]);
        assert_eq!(manifests.objects[0].id.api_version, "apps/v1beta1");
    }
}
