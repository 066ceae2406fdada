//! The configuration file `seawall.yaml`: read, validated, with defaults.
//!
//! Unknown keys and wrong values are errors with their line. Flags override the environment, which overrides the file;
//! the flags live in `cli/`.

use crate::policy::exemption::Row;
use crate::policy::matcher::same_resource;
use crate::policy::metadata::{MatchRule, Metadata};
use crate::policy::mode::{Action, Actions, Mode, PatchSetting, Tier, by_tier};
use crate::words::closest;
use crate::yaml;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Namespaces of Kubernetes itself, never judged: a webhook that stands in their way can keep a cluster from starting.
pub const SYSTEM_NAMESPACES: &[&str] = &["kube-node-lease", "kube-public", "kube-system"];

/// Smaller bodies would refuse ordinary objects.
const LEAST_BODY_BYTES: u64 = 64 * 1024;

/// In less no policy can be evaluated.
const LEAST_REVIEW_MILLISECONDS: u64 = 50;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}; give another with --config")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not of the expected shape.
    #[error("{path}:{line}:{column}: {problem}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// A limit that would stop everything.
    #[error("{path}: limits.{key}: {found} is too small; at least {least}")]
    Limit {
        /// The file.
        path: PathBuf,
        /// Which limit.
        key: &'static str,
        /// The value.
        found: u64,
        /// The smallest that works.
        least: u64,
    },
    /// Readable, but does not fit the policies that are loaded.
    #[error("configuration: policies.{policy}{key}: {problem}")]
    Policy {
        /// Policy id.
        policy: String,
        /// Key below it, with a leading dot.
        key: String,
        /// What is wrong and what is wanted.
        problem: String,
    },
    /// An exemption that is not complete.
    #[error("configuration: exemptions[{index}].{key}: {problem}")]
    Exemption {
        /// Position in the list, from 0.
        index: usize,
        /// Key of the row.
        key: String,
        /// What is wrong and what is wanted.
        problem: String,
    },
}

/// The configuration of Seawall, `seawall.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// What holds where no label says otherwise.
    pub defaults: Defaults,
    /// Overrides by policy id.
    pub policies: BTreeMap<String, PolicyOverride>,
    /// Namespaces that are never judged, besides `kube-system`, `kube-public`, `kube-node-lease` and Seawall's own.
    pub excluded_namespaces: Vec<String>,
    /// API groups whose resources own what they create (operators), besides those of the knowledge data.
    pub operator_groups: Vec<String>,
    /// Rows that extend or replace `data.seawall.knowledge`, merged key by key.
    pub knowledge: Map<String, Value>,
    /// Who is spared from which policies.
    pub exemptions: Vec<Row>,
    /// Groups whose requests are never denied; every use is announced.
    pub break_glass_groups: Vec<String>,
    /// Bounds of one request.
    pub limits: Limits,
}

/// What holds where no label says otherwise. Out of the box nothing is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Defaults {
    /// Tier of unlabelled namespaces and cluster-scoped objects.
    pub tier: Tier,
    /// Mode of unlabelled namespaces and cluster-scoped objects.
    pub mode: Mode,
    /// Whether safe defaults are written; left out: exactly where the mode is enforce.
    pub patch: Option<PatchSetting>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { tier: Tier::Tier2, mode: Mode::Warn, patch: None }
    }
}

/// Overrides of one policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PolicyOverride {
    /// Actions by tier; a tier left out keeps the policy's own.
    #[schemars(schema_with = "by_tier::<Action>")]
    pub actions: BTreeMap<Tier, Action>,
    /// Parameters, over those of the policy and its tiers.
    pub parameters: Map<String, Value>,
    /// Replaces the policy's match.
    #[serde(rename = "match")]
    pub rules: Option<Vec<MatchRule>>,
    /// Tiers in which the patches are wanted, instead of the policy's own.
    pub patch: Option<Vec<Tier>>,
}

/// Bounds of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Largest AdmissionReview in bytes. The API server's own limits allow about 27 MiB.
    #[schemars(range(min = LEAST_BODY_BYTES))]
    pub max_body_bytes: usize,
    /// Longest review in milliseconds, all passes and the queue included.
    #[schemars(range(min = LEAST_REVIEW_MILLISECONDS))]
    pub review_milliseconds: u64,
    /// Worker threads that evaluate; 0: one for each core.
    pub workers: usize,
    /// One live request in this many is also evaluated by the interpreter; 0: none.
    pub sample_one_in: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_body_bytes: 32 * 1024 * 1024, review_milliseconds: 1000, workers: 0, sample_one_in: 100 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: Defaults::default(),
            policies: BTreeMap::new(),
            excluded_namespaces: Vec::new(),
            operator_groups: Vec::new(),
            knowledge: Map::new(),
            exemptions: Vec::new(),
            break_glass_groups: Vec::new(),
            limits: Limits::default(),
        }
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or has an unknown key or a wrong value.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    /// Reads the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// When it has an unknown key or a wrong value.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
            return Ok(Self::default());
        }
        let settings: Self = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column, problem) = yaml::problem(&error);
            ConfigError::Parse { path: path.to_owned(), line, column, problem }
        })?;
        let limits = settings.limits;
        let least = [
            ("maxBodyBytes", limits.max_body_bytes as u64, LEAST_BODY_BYTES),
            ("reviewMilliseconds", limits.review_milliseconds, LEAST_REVIEW_MILLISECONDS),
        ];
        match least.into_iter().find(|(_, found, least)| found < least) {
            Some((key, found, least)) => Err(ConfigError::Limit { path: path.to_owned(), key, found, least }),
            None => Ok(settings),
        }
    }

    /// The exemptions that no longer count at a time.
    pub fn expired(&self, now: jiff::Timestamp) -> impl Iterator<Item = &Row> {
        let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
        self.exemptions.iter().filter(move |row| row.validate().is_ok_and(|until| until < today))
    }

    /// Applies the overrides to a policy's metadata.
    #[must_use]
    pub fn apply(&self, metadata: &Metadata) -> Metadata {
        let mut metadata = metadata.clone();
        // a policy that asks for the defaults under these names gets them
        let defaults = [("defaultTier", self.defaults.tier.as_str()), ("defaultMode", self.defaults.mode.as_str())];
        for (key, word) in defaults {
            if let Some(value) = metadata.parameters.get_mut(key) {
                *value = Value::from(word);
            }
        }
        let Some(over) = self.policies.get(&metadata.id) else { return metadata };
        let mut actions: Actions = metadata.actions;
        for (tier, action) in &over.actions {
            actions.set(*tier, *action);
        }
        metadata.actions = actions;
        metadata.parameters.extend(over.parameters.clone());
        for parameters in metadata.tier_parameters.values_mut() {
            parameters.retain(|key, _| !over.parameters.contains_key(key));
        }
        if let Some(rules) = &over.rules {
            metadata.rules.clone_from(rules);
        }
        if let Some(patch) = &over.patch {
            metadata.patch = patch.iter().copied().collect();
        }
        metadata
    }

    /// Forgets what is said of these policies: where one configuration serves two sets, of which only one has them.
    pub fn forget_policies(&mut self, ids: &BTreeSet<String>) {
        self.policies.retain(|id, _| !ids.contains(id));
        // a row that names nothing is a mistake, one of which nothing is left is none
        self.exemptions.retain(|row| row.policies.is_empty() || !row.policies.iter().all(|id| ids.contains(id)));
        for row in &mut self.exemptions {
            row.policies.retain(|id| !ids.contains(id));
        }
    }

    /// Checks the overrides against the policies that are loaded.
    ///
    /// # Errors
    /// When one names a policy or a parameter that does not exist, or a resource that the policy was not written for.
    pub fn validate(&self, policies: &[Metadata]) -> Result<(), ConfigError> {
        for (id, over) in &self.policies {
            let error =
                |key: &str, problem: String| ConfigError::Policy { policy: id.clone(), key: key.to_owned(), problem };
            let Some(metadata) = policies.iter().find(|m| m.id == *id) else {
                let near = closest(id, policies.iter().map(|m| m.id.as_str()));
                return Err(error("", format!("no such policy is loaded{near}")));
            };
            if let Some(unknown) = over.parameters.keys().find(|k| !metadata.parameters.contains_key(*k)) {
                let near = closest(unknown, metadata.parameters.keys().map(String::as_str));
                return Err(error(".parameters", format!("{id} has no parameter {unknown:?}{near}")));
            }
            for rule in over.rules.iter().flatten() {
                if let Some(foreign) =
                    rule.resources.iter().find(|r| !metadata.rules.iter().any(|own| same_resource(own, r)))
                {
                    return Err(error(
                        ".match",
                        format!("{id} is not written for {foreign:?}; it can only be narrowed to its own resources"),
                    ));
                }
            }
        }
        for (index, row) in self.exemptions.iter().enumerate() {
            let error = |key: &str, problem: String| ConfigError::Exemption { index, key: key.to_owned(), problem };
            row.validate().map_err(|(key, problem)| error(key, problem))?;
            let known = |id: &String| policies.iter().any(|m| m.id == **id);
            if let Some(unknown) = row.policies.iter().find(|id| !known(id)) {
                let near = closest(unknown, policies.iter().map(|m| m.id.as_str()));
                return Err(error("policies", format!("no policy {unknown:?} is loaded{near}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, ConfigError> {
        Settings::parse(Path::new("seawall.yaml"), text)
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        assert_eq!(parse("# nothing\n").unwrap(), Settings::default());
        assert_eq!(parse("defaults: {mode: enforce}").unwrap().defaults.mode, Mode::Enforce);
    }

    #[test]
    fn errors_have_their_line() {
        let error = parse("defaults:\n  tier: tier-1\n  mod: warn\n").unwrap_err().to_string();
        assert!(error.starts_with("seawall.yaml:3:3: ") && error.contains("mod"), "{error}");
        let error = parse("limits: {reviewMilliseconds: 0}").unwrap_err().to_string();
        assert_eq!(error, "seawall.yaml: limits.reviewMilliseconds: 0 is too small; at least 50");
        let error = parse("defaults:\n  mode: enforced\n").unwrap_err().to_string();
        assert!(error.starts_with("seawall.yaml:2:") && error.contains("enforced"), "{error}");
    }
}
