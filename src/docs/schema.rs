//! JSON Schemas of what people write: configuration, METADATA, case files. They are derived from the types that read these
//! files, so that an editor and the program cannot disagree; `tests/cli/schemas.rs` tries that on good and bad documents.
//!
//! Draft 7: what the YAML language server of editors knows best.

use super::Documented;
use crate::config::Settings;
use crate::policy::metadata::Metadata;
use crate::policytest::schema::CaseFile;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// A file that people write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// `seawall.yaml`
    Configuration,
    /// The METADATA block of a policy.
    Metadata,
    /// A file of a case.
    Case(CaseFile),
}

impl Document {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Configuration,
        Self::Metadata,
        Self::Case(CaseFile::Input),
        Self::Case(CaseFile::Context),
        Self::Case(CaseFile::Expected),
        Self::Case(CaseFile::Cluster),
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "config",
            Self::Metadata => "metadata",
            Self::Case(CaseFile::Input) => "case-input",
            Self::Case(CaseFile::Context) => "case-context",
            Self::Case(CaseFile::Expected) => "case-expected",
            Self::Case(CaseFile::Cluster) => "case-cluster",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Configuration => "the configuration `seawall.yaml`",
            Self::Metadata => "the METADATA block of a policy",
            Self::Case(CaseFile::Input) => "`input.yaml` of a case",
            Self::Case(CaseFile::Context) => "`context.yaml` of a case",
            Self::Case(CaseFile::Expected) => "`expected.yaml` of a case",
            Self::Case(CaseFile::Cluster) => "`cluster.yaml` of a case",
        }
    }

    /// Name of the schema's file.
    #[must_use]
    pub fn file_name(self) -> String {
        format!("{}.json", self.name())
    }

    /// The schema, without what depends on policies.
    #[must_use]
    pub fn schema(self) -> Value {
        let generator = generator();
        let mut schema = match self {
            Self::Configuration => generator.into_root_schema_for::<Settings>(),
            Self::Metadata => generator.into_root_schema_for::<Metadata>(),
            Self::Case(file) => file.schema(generator),
        };
        schema.insert("title".to_owned(), Value::from(format!("Seawall: {}", self.what().replace('`', ""))));
        schema.to_value()
    }

    /// The schema as a file; that of the configuration knows the policies by name, and their parameters.
    #[must_use]
    pub fn text(self, policies: &[Documented]) -> String {
        let mut schema = self.schema();
        if self == Self::Configuration {
            name_policies(&mut schema, policies);
        }
        format!("{schema:#}\n")
    }
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft07().with_transform(RecursiveTransform(tidy)).into_generator()
}

/// Makes a schema what editors show best.
fn tidy(schema: &mut Schema) {
    // words with a description each: one list, which a message can name in full
    let words = schema.get("oneOf").and_then(Value::as_array).and_then(|words| {
        let part = |word: &Value, key: &str| word.get(key).and_then(Value::as_str).map(one_line);
        let listed = |word: &Value| Some((part(word, "const")?, part(word, "description").unwrap_or_default()));
        words.iter().map(listed).collect::<Option<Vec<_>>>()
    });
    if let Some(words) = words {
        schema.remove("oneOf");
        let (words, descriptions): (Vec<String>, Vec<String>) = words.into_iter().unzip();
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), json!(words));
        schema.insert("markdownEnumDescriptions".to_owned(), json!(descriptions));
    }
    // Rust's kinds of numbers are no formats of JSON Schema
    if schema.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint") || f.starts_with("int")) {
        schema.remove("format");
    }
    if let Some(text) = schema.get("description").and_then(Value::as_str).map(one_line) {
        schema.insert("description".to_owned(), Value::from(text));
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Offers the ids of policies, and for each its parameters. Ids that are not listed stay allowed: who has policies of their
/// own need not print a schema of their own.
fn name_policies(schema: &mut Value, policies: &[Documented]) {
    let overrides = json!({"$ref": "#/definitions/PolicyOverride"});
    let of_policy = |Documented { metadata, .. }: &Documented| {
        let parameters: Map<String, Value> = metadata
            .parameters
            .iter()
            .map(|(name, value)| (name.clone(), json!({"description": format!("default: {value}"), "default": value})))
            .collect();
        let parameters =
            json!({"properties": {"parameters": {"properties": parameters, "additionalProperties": false}}});
        let rule = json!({"description": one_line(&metadata.title), "allOf": [overrides, parameters]});
        (metadata.id.clone(), rule)
    };
    let named: Map<String, Value> = policies.iter().map(of_policy).collect();
    if let Some(Value::Object(of_policies)) = schema.pointer_mut("/properties/policies") {
        of_policies.insert("properties".to_owned(), Value::Object(named));
    }
    let ids: Vec<&str> = policies.iter().map(|p| p.metadata.id.as_str()).collect();
    if let Some(items) = schema.pointer_mut("/definitions/ExemptionRow/properties/policies/items") {
        *items = json!({"anyOf": [{"type": "string", "enum": ids}, {"type": "string"}]});
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_listed_and_unknown_keys_are_refused() {
        let schema = Document::Configuration.schema();
        assert_eq!(schema["definitions"]["Mode"]["enum"], json!(["off", "audit", "warn", "enforce"]));
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["definitions"]["Limits"]["properties"]["maxBodyBytes"]["minimum"], 65_536);
        let text = schema.to_string();
        assert!(!text.contains("\"uint") && !text.contains("\\n"), "{text}");
    }

    #[test]
    fn the_configuration_knows_the_policies_it_is_given() {
        let policies = crate::docs::documented(&crate::policy::bundle::Bundle::embedded().unwrap()).unwrap();
        let text = Document::Configuration.text(&policies);
        let schema: Value = serde_json::from_str(&text).unwrap();
        let groups = "/properties/policies/properties/mode-not-lowered/allOf/1/properties/parameters/properties/groups";
        assert!(schema.pointer(groups).is_some(), "{text}");
        let ids = &schema["definitions"]["ExemptionRow"]["properties"]["policies"]["items"]["anyOf"][0]["enum"];
        assert_eq!(ids.as_array().map(Vec::len), Some(policies.len()));
    }
}
