//! The JSON Schemas of the files of a case, from the types that read them.

use super::case::{Context, Manifest, Short};
use super::cluster::ClusterFile;
use super::expected::File as Expected;
use crate::admission::request::{Gvk, Gvr, Operation};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A file of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseFile {
    /// `input.yaml`
    Input,
    /// `context.yaml`
    Context,
    /// `expected.yaml`
    Expected,
    /// `cluster.yaml`
    Cluster,
}

impl CaseFile {
    /// Its schema.
    #[must_use]
    pub fn schema(self, generator: SchemaGenerator) -> Schema {
        match self {
            Self::Input => input(generator),
            Self::Context => generator.into_root_schema_for::<Context>(),
            Self::Expected => generator.into_root_schema_for::<Expected>(),
            Self::Cluster => generator.into_root_schema_for::<ClusterFile>(),
        }
    }
}

/// `input.yaml` in one of its three forms. Which one decides as the reader does, so that an editor names what is wrong with
/// that form and not with all three.
fn input(generator: SchemaGenerator) -> Schema {
    generator.into_root_schema_for::<Input>()
}

/// Stands for the three forms.
struct Input;

impl JsonSchema for Input {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Input".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let review = review(generator);
        let short = short(generator);
        let manifest = generator.subschema_for::<Manifest>();
        let is_review = json_schema!({"properties": {"kind": {"const": "AdmissionReview"}}, "required": ["kind"]});
        let is_short = json_schema!({"required": ["operation"], "not": {"required": ["apiVersion"]}});
        json_schema!({
            "description": "The request of a case, `input.yaml`: a manifest (CREATE of that object), or an operation and its \
                            objects, or a complete AdmissionReview.",
            "type": "object",
            // offered where nothing stands yet; the forms say what it may be
            "properties": {"operation": {"description": "CREATE, UPDATE or DELETE of what stands under object and oldObject."}},
            "if": is_review,
            "then": review,
            "else": {"if": is_short, "then": short, "else": manifest},
        })
    }
}

/// The short form, with the objects that its operation needs.
fn short(generator: &mut SchemaGenerator) -> Schema {
    let form = generator.subschema_for::<Short>();
    json_schema!({"allOf": [form, objects_of_operation("CREATE", &["object"]), objects_of_operation("UPDATE", &["object", "oldObject"]),
        objects_of_operation("DELETE", &["oldObject"]), {"anyOf": [needs(&["object"]), needs(&["oldObject"])]}]})
}

/// These keys are there and are objects.
fn needs(keys: &[&str]) -> Schema {
    let objects: serde_json::Map<String, serde_json::Value> =
        keys.iter().map(|key| ((*key).to_owned(), serde_json::json!({"type": "object"}))).collect();
    json_schema!({"required": keys, "properties": objects})
}

/// An operation and the objects that it needs, as in `Request::from_body`.
fn objects_of_operation(operation: &str, keys: &[&str]) -> Schema {
    let condition = json_schema!({"properties": {"operation": {"const": operation}}, "required": ["operation"]});
    json_schema!({"if": condition, "then": needs(keys)})
}

/// A complete AdmissionReview: what `Request::from_body` asks for, and nothing is forbidden.
fn review(generator: &mut SchemaGenerator) -> Schema {
    let kind = generator.subschema_for::<Gvk>();
    let resource = generator.subschema_for::<Gvr>();
    let operation = generator.subschema_for::<Operation>();
    json_schema!({
        "type": "object",
        "required": ["request"],
        "properties": {
            "apiVersion": {"type": "string", "description": "`admission.k8s.io/v1`"},
            "kind": {"type": "string", "description": "`AdmissionReview`"},
            "request": {
                "description": "The request as the API server sends it.",
                "type": "object",
                "required": ["uid", "kind", "resource", "operation"],
                "properties": {
                    "uid": {"type": "string", "minLength": 1, "description": "Any text."},
                    "kind": kind,
                    "resource": resource,
                    "operation": operation,
                },
                "allOf": [objects_of_operation("CREATE", &["object"]), objects_of_operation("UPDATE", &["object", "oldObject"]),
                    objects_of_operation("DELETE", &["oldObject"])],
            },
        },
    })
}
