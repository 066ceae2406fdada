//! The METADATA block of a policy: OPA's annotations, with everything of ours below `custom`.
//!
//! Format: <https://www.openpolicyagent.org/docs/policy-language#metadata>. What is wrong with a
//! block is found by [`super::inspect`]: unknown keys are errors with their place.

use super::inspect::{Problem, inspect};
use super::mode::{Actions, Severity, Tier, by_tier};
use crate::admission::request::Operation;
use crate::yaml;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Why a METADATA block was refused: all that is wrong with it, each with file, line and column.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct MetadataError(pub Vec<Problem>);

/// How a policy reaches claims and Pods that stand inside workloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// Only inside `volumeClaimTemplates` and Pod templates.
    Template,
    /// Only objects of their own.
    Direct,
    /// Both.
    Both,
}

/// One row of `match`: requests to these resources with these operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchRule {
    /// API groups; `""` is the core group.
    pub api_groups: Vec<String>,
    /// Versions.
    pub api_versions: Vec<String>,
    /// Plural resources, `resource/subresource` for subresources.
    pub resources: Vec<String>,
    /// Operations.
    pub operations: Vec<Operation>,
    /// How claims and Pods inside workloads are reached; left out: `both` for claims, `template` for Pods, else `direct`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// False: for manifests and stored objects only. The row is in no webhook, and the server does not judge by it.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub registered: bool,
}

const fn yes() -> bool {
    true
}

// serde wants a reference
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
const fn is_true(value: &bool) -> bool {
    *value
}

/// A kind of `data.cluster` that a policy reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextNeed {
    /// Plural resource, custom kinds as `resource.group`.
    #[schemars(length(min = 1))]
    pub resource: String,
    /// False: without it the result is unknown. True: the policy runs without it.
    #[serde(default)]
    pub optional: bool,
}

/// A link of the METADATA block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RelatedResource {
    /// URL.
    #[serde(rename = "ref")]
    pub reference: String,
    /// What stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Everything that is known of a policy without evaluating it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metadata {
    /// Kebab-case, unique.
    pub id: String,
    /// One line.
    pub title: String,
    /// What the policy asks for and why.
    pub description: String,
    /// Links.
    pub related_resources: Vec<RelatedResource>,
    /// Id of the checklist item.
    pub checklist: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// Default action by tier.
    pub actions: Actions,
    /// Tiers in which the patches are wanted; empty: only where the configuration asks for them.
    pub patch: BTreeSet<Tier>,
    /// Which requests.
    pub rules: Vec<MatchRule>,
    /// Facts that it reads.
    pub context: Vec<ContextNeed>,
    /// Defaults of `input.seawall.parameters`.
    pub parameters: Map<String, Value>,
    /// Defaults that differ by tier.
    pub tier_parameters: BTreeMap<Tier, Map<String, Value>>,
    /// Also judged while the object is being deleted or only loses finalizers.
    pub guards_finalizers: bool,
    /// Whether an annotation on the object can exempt it.
    pub exemptible: bool,
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    /// The schema of what [`Metadata::parse`] reads, which is the block, not this struct.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Block::json_schema(generator)
    }
}

/// The METADATA block of a policy, as OPA defines it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Block {
    /// One line: what must hold.
    title: String,
    /// What the policy asks for and why.
    description: String,
    /// Links to read on.
    #[serde(default)]
    related_resources: Vec<RelatedResource>,
    /// OPA's key, not used by Seawall.
    #[serde(default)]
    #[expect(dead_code, reason = "OPA's key, allowed but not used")]
    scope: Option<String>,
    /// OPA's key, not used by Seawall.
    #[serde(default)]
    #[expect(dead_code, reason = "OPA's key, allowed but not used")]
    authors: Option<Value>,
    /// OPA's key, not used by Seawall.
    #[serde(default)]
    #[expect(dead_code, reason = "OPA's key, allowed but not used")]
    organizations: Option<Value>,
    /// OPA's key, not used by Seawall.
    #[serde(default)]
    #[expect(dead_code, reason = "OPA's key, allowed but not used")]
    schemas: Option<Value>,
    /// OPA's key, not used by Seawall.
    #[serde(default)]
    #[expect(dead_code, reason = "OPA's key, allowed but not used")]
    entrypoint: Option<bool>,
    /// What Seawall reads.
    custom: Custom,
}

/// Our part of the block. The schema says what [`Metadata::parse`] checks, as far as one file alone can tell.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(description = "What Seawall reads.")]
struct Custom {
    /// Kebab-case, unique, equal to the name of the folder and the package with `-` instead of `_`.
    #[schemars(regex(pattern = r"^[a-z0-9]+(-[a-z0-9]+)*$"))]
    id: String,
    /// The item of the checklist, or the further advice, that the policy belongs to.
    #[schemars(schema_with = "checklist_items")]
    checklist: String,
    /// How bad a violation is, whatever is done about it.
    severity: Severity,
    /// Default action in each tier; all four. The configuration overrides them.
    actions: Actions,
    /// Tiers in which the policy's patches are wanted. Empty: only where the configuration asks for them.
    #[serde(default)]
    patch: Vec<Tier>,
    /// Which requests the policy judges.
    #[serde(rename = "match")]
    #[schemars(schema_with = "narrow_rules")]
    rules: Vec<MatchRule>,
    /// The kinds of `data.cluster` that the policy reads, directly or through the library.
    #[serde(default)]
    context: Vec<ContextNeed>,
    /// Defaults of `input.seawall.parameters`.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Defaults that differ by tier; each key needs a default in `parameters`.
    #[serde(default)]
    #[schemars(schema_with = "by_tier::<Map<String, Value>>")]
    tier_parameters: BTreeMap<Tier, Map<String, Value>>,
    /// True: the policy also judges objects that are being deleted or that only lose finalizers.
    #[serde(default)]
    guards_finalizers: bool,
    /// False: an annotation on the object cannot exempt it.
    #[serde(default = "yes")]
    exemptible: bool,
}

/// One of [`CHECKLIST`].
fn checklist_items(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "enum": CHECKLIST})
}

/// Rows that match something and name what they match.
fn narrow_rules(generator: &mut SchemaGenerator) -> Schema {
    let rule = generator.subschema_for::<MatchRule>();
    let named = json_schema!({"minItems": 1, "items": {"pattern": "^[^*]*$"}});
    json_schema!({"type": "array", "minItems": 1, "items": {"allOf": [rule, {"properties": {
        "apiGroups": named, "apiVersions": named, "resources": named, "operations": {"minItems": 1},
    }}]}})
}

/// The checklist items and the further advice, in the order of the scorecard.
pub const CHECKLIST: &[&str] = &[
    "storage-approach",
    "storage-class",
    "access-mode",
    "statefulset",
    "reclaim-policy",
    "node-drain",
    "topology",
    "backup-type",
    "rpo-rto",
    "restore-drill",
    "capacity",
    "class-standard",
    "self-service",
    "probes",
    "headless-service",
    "namespace",
    "configuration",
    "scaling",
    "updates",
    "operators",
    "replication",
    "placement",
    "sizing",
    "deletion-protection",
    "governance",
];

impl Metadata {
    /// Reads the block above the package line of a policy file.
    ///
    /// # Errors
    /// When there is none, or it is unreadable, incomplete or contradicts the package.
    pub fn parse(file: &str, source: &str) -> Result<Self, MetadataError> {
        let inspected = inspect(file, source);
        inspected.metadata.ok_or(MetadataError(inspected.problems))
    }

    /// Reads the YAML of a block that was checked ([`inspect`]).
    ///
    /// # Errors
    /// Line and column in the block, and what is wrong.
    pub(super) fn of_block(source: &str) -> Result<Self, (u64, u64, String)> {
        let block: Block = serde_saphyr::from_str(source).map_err(|error| yaml::problem(&error))?;
        let custom = block.custom;
        Ok(Self {
            id: custom.id,
            title: block.title,
            description: block.description,
            related_resources: block.related_resources,
            checklist: custom.checklist,
            severity: custom.severity,
            actions: custom.actions,
            patch: custom.patch.into_iter().collect(),
            rules: custom.rules,
            context: custom.context,
            parameters: custom.parameters,
            tier_parameters: custom.tier_parameters,
            guards_finalizers: custom.guards_finalizers,
            exemptible: custom.exemptible,
        })
    }

    /// Whether some row of `match` is for requests of the API server.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.rules.iter().any(|rule| rule.registered)
    }

    /// The parameters in a tier, before the configuration's overrides.
    #[must_use]
    pub fn parameters_in(&self, tier: Tier) -> Map<String, Value> {
        let mut parameters = self.parameters.clone();
        if let Some(of_tier) = self.tier_parameters.get(&tier) {
            parameters.extend(of_tier.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r"# METADATA
# title: T
# description: D
# custom:
#   id: my-policy
#   checklist: probes
#   severity: high
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: Off}
#   patch: [tier-1]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   parameters: {strength: preferred}
#   tierParameters: {tier-0: {strength: required}}
package seawall.policies.my_policy
";

    #[test]
    fn a_complete_block_is_read() {
        let metadata = Metadata::parse("p.rego", GOOD).unwrap();
        assert_eq!(metadata.id, "my-policy");
        assert!(metadata.patch.contains(&Tier::Tier1));
        assert_eq!(metadata.parameters_in(Tier::Tier0)["strength"], "required");
        assert_eq!(metadata.parameters_in(Tier::Tier1)["strength"], "preferred");
    }

    #[test]
    fn a_row_is_registered_unless_it_says_otherwise() {
        let metadata = Metadata::parse("p.rego", GOOD).unwrap();
        assert!(metadata.is_registered());
        let offline = GOOD.replace("operations: [CREATE]}", "operations: [CREATE], registered: false}");
        let metadata = Metadata::parse("p.rego", &offline).unwrap();
        assert!(!metadata.is_registered());
        // what is printed can be read again
        let printed = serde_json::to_string(&metadata.rules).unwrap();
        assert!(printed.contains("\"registered\":false"), "{printed}");
        assert_eq!(serde_json::from_str::<Vec<MatchRule>>(&printed).unwrap(), metadata.rules);
    }

    #[test]
    fn errors_name_the_line_and_the_key() {
        let of = |from: &str, to: &str| Metadata::parse("p.rego", &GOOD.replace(from, to)).unwrap_err().to_string();
        assert!(
            of("#   severity: high", "#   severty: high").starts_with("p.rego:7:5: METADATA `severty`: no such key"),
            "{}",
            of("#   severity: high", "#   severty: high")
        );
        assert!(of("severity: high", "severity: bad").contains("p.rego:7"));
        assert!(of("checklist: probes", "checklist: prober").contains("no checklist item"));
        assert!(
            of("package seawall.policies.my_policy", "package seawall.policies.other").contains("belongs to package")
        );
        assert!(of("[statefulsets]", "['*']").contains("wildcards"));
        assert!(of("# METADATA", "# METADAT").contains("no `# METADATA` block"));
        assert!(of("{strength: required}", "{strenth: required}").contains("no default"));
    }
}
