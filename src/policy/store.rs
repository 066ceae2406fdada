//! A compiled policy set: immutable, swapped as a whole.

use super::api_versions::{ApiVersions, ApiVersionsError};
use super::bundle::{self, Bundle, BundleError};
use super::matcher::Matcher;
use super::metadata::{Metadata, MetadataError};
use super::mode::{Action, Tier};
use crate::config::{ConfigError, Settings};
use crate::context::facts::INDEXES;
use crate::engine::analysis;
use crate::engine::compile::{CompileError, EngineKind, Modules, Unit};
use crate::engine::evaluate::{Data, EvaluationError, Worker};
use crate::engine::value::{self, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// The package of the library whose rules are computed once for each object under review.
const SHARED: &str = "data.seawall.lib.subject";

/// Why a policy set was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The files.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A METADATA block.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The Rego.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The configuration does not fit the policies.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is known of old versions cannot be read.
    #[error(transparent)]
    ApiVersions(#[from] ApiVersionsError),
    /// A package that is neither a policy nor a library.
    #[error("{file}: package {package:?} is neither seawall.policies.<id> nor seawall.lib.<name>")]
    Package {
        /// The file.
        file: String,
        /// Its package.
        package: String,
    },
    /// Two policies of one package.
    #[error("{first} and {second} are both package {package}; a policy is one file")]
    Duplicate {
        /// One file.
        first: String,
        /// The other file.
        second: String,
        /// Their package.
        package: String,
    },
    /// What a policy declares and what it reads differ.
    #[error("{file}: {problem}")]
    Declaration {
        /// The file.
        file: String,
        /// What is missing or too much.
        problem: String,
    },
    /// A case of a policy fails.
    #[error("{0}")]
    Case(String),
}

/// One policy, ready to be evaluated.
#[derive(Debug)]
pub struct Policy {
    /// Its METADATA, with the configuration's overrides.
    pub metadata: Metadata,
    /// Its file.
    pub file: String,
    /// Its programs.
    pub unit: Arc<Unit>,
    /// `input.seawall.parameters` by tier.
    parameters: BTreeMap<Tier, Value>,
}

impl Policy {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.metadata.id
    }

    /// `input.seawall.parameters` in a tier.
    #[must_use]
    pub fn parameters(&self, tier: Tier) -> Value {
        self.parameters.get(&tier).cloned().unwrap_or_else(Value::new_object)
    }

    /// Which engine answers now.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        self.unit.engine()
    }
}

/// A compiled policy set.
#[derive(Debug)]
pub struct PolicySet {
    policies: Vec<Policy>,
    modules: Arc<Modules>,
    matcher: Matcher,
    knowledge: Value,
    operator_groups: BTreeSet<String>,
    digest: String,
    api_versions: Arc<ApiVersions>,
    needed: BTreeMap<String, bool>,
    watched: BTreeMap<String, bool>,
}

impl PolicySet {
    /// Compiles a bundle with the configuration's overrides. Cases are not run here (see `policytest`).
    ///
    /// # Errors
    /// When anything in it cannot be trusted; nothing of it is used then.
    pub fn build(bundle: &Bundle, settings: &Settings) -> Result<Self, PolicyError> {
        let mut metadata = Vec::new();
        for (package, sources) in &bundle.modules {
            let Some(source) = sources.first() else { continue };
            if package.starts_with("seawall.policies.") {
                if let Some(second) = sources.get(1) {
                    let (first, second) = (source.file.clone(), second.file.clone());
                    return Err(PolicyError::Duplicate { first, second, package: package.clone() });
                }
                metadata.push((Metadata::parse(&source.file, &source.text)?, source.file.clone()));
            } else if !package.starts_with("seawall.lib.") {
                return Err(PolicyError::Package { file: source.file.clone(), package: package.clone() });
            }
        }
        metadata.sort_by(|a, b| a.0.id.cmp(&b.0.id));
        let own: Vec<Metadata> = metadata.iter().map(|(m, _)| m.clone()).collect();
        settings.validate(&own)?;
        let modules = Arc::new(Modules::parse(bundle.modules.values().flatten(), SHARED)?);
        let mut policies = Vec::new();
        for (metadata, file) in metadata {
            declared(&metadata, &file, &modules)?;
            let package = format!("seawall.policies.{}", metadata.id.replace('-', "_"));
            let no_cases =
                (!bundle.cases.contains_key(&package)).then(|| "it has no cases to compare the engines on".to_owned());
            let unit = Unit::compile(&modules, &format!("data.{package}"), no_cases)?;
            let metadata = settings.apply(&metadata);
            policies.push(Policy { parameters: parameters_of(&metadata), metadata, file, unit: Arc::new(unit) });
        }
        let mut knowledge = bundle.knowledge.clone();
        bundle::merge(&mut knowledge, &settings.knowledge);
        let mut rows = bundle.beside.clone();
        bundle::merge(&mut rows, &loaded(policies.iter().map(|p| &p.metadata)));
        knowledge.insert("policies".to_owned(), rows.into());
        let mut operator_groups: BTreeSet<String> = settings.operator_groups.iter().cloned().collect();
        operator_groups.extend(groups_of_operators(&knowledge));
        let api_versions = Arc::new(ApiVersions::of_knowledge(&knowledge)?);
        let mut hasher = DefaultHasher::new();
        for source in bundle.modules.values().flatten() {
            (&source.file, &source.text).hash(&mut hasher);
        }
        format!("{knowledge:?}{settings:?}").hash(&mut hasher);
        Ok(Self {
            matcher: Matcher::new(policies.iter().map(|p| &p.metadata)),
            needed: needs(policies.iter().map(|p| &p.metadata)),
            watched: needs(policies.iter().map(|p| &p.metadata).filter(|m| m.is_registered())),
            policies,
            modules,
            knowledge: value::from_map(&knowledge),
            operator_groups,
            digest: format!("{:016x}", hasher.finish()),
            api_versions,
        })
    }

    /// The policies in the binary.
    ///
    /// # Errors
    /// As [`PolicySet::build`].
    pub fn embedded(settings: &Settings) -> Result<Self, PolicyError> {
        Self::build(&Bundle::embedded()?, settings)
    }

    /// All policies, by id.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// The policy with an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|p| p.id() == id)
    }

    /// A set with only one policy, whose every violation denies, and with these parameters over its own. Used to run cases.
    #[must_use]
    pub fn only(&self, id: &str, parameters: &serde_json::Map<String, serde_json::Value>) -> Option<Self> {
        let policy = self.get(id)?;
        let mut metadata = policy.metadata.clone();
        for tier in Tier::ALL {
            metadata.actions.set(*tier, Action::Deny);
        }
        metadata.parameters.extend(parameters.clone());
        for of_tier in metadata.tier_parameters.values_mut() {
            of_tier.retain(|key, _| !parameters.contains_key(key));
        }
        if metadata.patch.is_empty() {
            // patches that only a configuration asks for are shown in every tier
            metadata.patch = Tier::ALL.iter().copied().collect();
        }
        let parameters = parameters_of(&metadata);
        let policy = Policy { metadata, file: policy.file.clone(), unit: policy.unit.clone(), parameters };
        Some(Self {
            matcher: Matcher::new([&policy.metadata]),
            needed: needs([&policy.metadata]),
            watched: needs([&policy.metadata].into_iter().filter(|m| m.is_registered())),
            policies: vec![policy],
            modules: self.modules.clone(),
            knowledge: self.knowledge.clone(),
            operator_groups: self.operator_groups.clone(),
            digest: self.digest.clone(),
            api_versions: self.api_versions.clone(),
        })
    }

    /// A set with only these policies as they are. `None` where one is not there.
    #[must_use]
    pub fn some(&self, ids: &[String]) -> Option<Self> {
        let found = |id: &String| {
            let Policy { metadata, file, unit, parameters } = self.get(id)?;
            let (metadata, file, unit) = (metadata.clone(), file.clone(), unit.clone());
            Some(Policy { metadata, file, unit, parameters: parameters.clone() })
        };
        let mut policies = ids.iter().map(found).collect::<Option<Vec<Policy>>>()?;
        policies.sort_by(|a, b| a.id().cmp(b.id()));
        policies.dedup_by(|a, b| a.id() == b.id());
        Some(Self {
            matcher: Matcher::new(policies.iter().map(|p| &p.metadata)),
            needed: needs(policies.iter().map(|p| &p.metadata)),
            watched: needs(policies.iter().map(|p| &p.metadata).filter(|m| m.is_registered())),
            policies,
            knowledge: self.knowledge.clone(),
            operator_groups: self.operator_groups.clone(),
            api_versions: self.api_versions.clone(),
            modules: self.modules.clone(),
            digest: self.digest.clone(),
        })
    }

    /// All modules, parsed.
    #[must_use]
    pub const fn modules(&self) -> &Arc<Modules> {
        &self.modules
    }

    /// Which policies concern which requests.
    #[must_use]
    pub const fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// `data.seawall.knowledge`.
    #[must_use]
    pub fn knowledge(&self) -> Value {
        self.knowledge.clone()
    }

    /// What is known of old versions of kinds.
    #[must_use]
    pub const fn api_versions(&self) -> &Arc<ApiVersions> {
        &self.api_versions
    }

    /// API groups whose resources own what they create.
    #[must_use]
    pub const fn operator_groups(&self) -> &BTreeSet<String> {
        &self.operator_groups
    }

    /// The kinds that policies read, and whether all of them can do without.
    #[must_use]
    pub const fn needed_context(&self) -> &BTreeMap<String, bool> {
        &self.needed
    }

    /// Of [`Self::needed_context`], what policies read that judge requests of the API server: the server watches no more.
    #[must_use]
    pub const fn watched_context(&self) -> &BTreeMap<String, bool> {
        &self.watched
    }

    /// The kinds that a rule of the library reads, directly or through others. `None` where there is no such rule.
    #[must_use]
    pub fn library_context(&self, rule: &str) -> Option<BTreeSet<String>> {
        if !self.modules.rules.contains_key(rule) {
            return None;
        }
        let read = analysis::closure(&self.modules.rules, &[rule]);
        Some(read.facts.iter().filter_map(|fact| kind_of(fact)).map(str::to_owned).collect())
    }

    /// The value of a rule of the library (`data.seawall.lib.x.y`), which is given no input.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn library_value(
        &self,
        rule: &str,
        data: &Data,
        worker: &mut Worker,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        worker.query(&self.modules, rule, data, limit)
    }

    /// What the library says of the object of a review: a rule of `data.seawall.lib.subject` by its name, as policies read it.
    /// Undefined where it has none.
    ///
    /// # Errors
    /// When there is no answer that can be trusted.
    pub fn subject_value(
        &self,
        name: &str,
        input: &Value,
        data: &Data,
        worker: &mut Worker,
        limit: Duration,
    ) -> Result<Value, EvaluationError> {
        worker.shared(&self.modules, &format!("{SHARED}.{name}"), input, data, limit)
    }

    /// Identifies files and overrides together.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The kinds that policies read, and whether all of them can do without.
fn needs<'m>(policies: impl IntoIterator<Item = &'m Metadata>) -> BTreeMap<String, bool> {
    let mut needed: BTreeMap<String, bool> = BTreeMap::new();
    for need in policies.into_iter().flat_map(|metadata| &metadata.context) {
        let optional = needed.entry(need.resource.clone()).or_insert(true);
        *optional &= need.optional;
    }
    needed
}

/// `input.seawall.parameters` by tier.
fn parameters_of(metadata: &Metadata) -> BTreeMap<Tier, Value> {
    Tier::ALL.iter().map(|tier| (*tier, value::from_map(&metadata.parameters_in(*tier)))).collect()
}

/// The kind of a fact that a rule reads: itself, or the one that an index is made of. `None` for an unknown index.
fn kind_of(fact: &str) -> Option<&str> {
    match fact.strip_prefix("index.") {
        Some(index) => INDEXES.iter().find(|(name, _)| *name == index).map(|(_, kind)| *kind),
        None => Some(fact),
    }
}

/// What the policy declares must be what it reads, directly or through the library.
fn declared(metadata: &Metadata, file: &str, modules: &Modules) -> Result<(), PolicyError> {
    let error = |problem: String| PolicyError::Declaration { file: file.to_owned(), problem };
    let package = format!("data.seawall.policies.{}", metadata.id.replace('-', "_"));
    let roots = [format!("{package}.violation"), format!("{package}.patch")];
    let reads = analysis::closure(&modules.rules, &[roots[0].as_str(), roots[1].as_str()]);
    let mut kinds = BTreeSet::new();
    for fact in &reads.facts {
        kinds.insert(kind_of(fact).ok_or_else(|| error(format!("data.cluster.{fact} does not exist")))?);
    }
    let declared: BTreeSet<&str> = metadata.context.iter().map(|need| need.resource.as_str()).collect();
    if let Some(missing) = kinds.difference(&declared).next() {
        return Err(error(format!(
            "reads data.cluster of {missing}, which `context` does not declare; add {{resource: {missing}, optional: false}}"
        )));
    }
    if let Some(unused) = declared.difference(&kinds).next() {
        return Err(error(format!("`context` declares {unused}, which nothing reads; remove it")));
    }
    let parameters: BTreeSet<&str> = metadata.parameters.keys().map(String::as_str).collect();
    let read: BTreeSet<&str> = reads.parameters.iter().map(String::as_str).collect();
    if let Some(missing) = read.difference(&parameters).find(|key| **key != "*") {
        return Err(error(format!(
            "reads input.seawall.parameters.{missing}, which `parameters` does not declare; give it a default there"
        )));
    }
    if let Some(unused) = parameters.difference(&read).next().filter(|_| !read.contains("*")) {
        return Err(error(format!("`parameters` declares {unused}, which nothing reads; remove it")));
    }
    Ok(())
}

/// `knowledge.policies`: what policies may know of each other.
pub fn loaded<'m>(policies: impl Iterator<Item = &'m Metadata>) -> serde_json::Map<String, serde_json::Value> {
    let row = |m: &Metadata| (m.id.clone(), serde_json::json!({"checklist": m.checklist, "exemptible": m.exemptible}));
    policies.map(row).collect()
}

/// The keys of `knowledge.operators.groups` that are not switched off: the API groups of operators' resources.
fn groups_of_operators(knowledge: &serde_json::Map<String, serde_json::Value>) -> impl Iterator<Item = String> + '_ {
    let groups = knowledge.get("operators").and_then(|operators| operators.get("groups")?.as_object());
    groups.into_iter().flatten().filter(|(_, row)| row.is_object()).map(|(group, _)| group.clone())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn operators_of_the_knowledge_own_what_their_resources_make() {
        let embedded = PolicySet::embedded(&Settings::default()).unwrap();
        assert!(embedded.operator_groups().contains("postgresql.cnpg.io"));
        assert!(embedded.operator_groups().contains("monitoring.coreos.com"));
        let text = r#"{"operators": {"groups": {"a.example.com": {"operator": "A"}, "b.example.com": false}}}"#;
        let knowledge: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        assert_eq!(groups_of_operators(&knowledge).collect::<Vec<_>>(), ["a.example.com"]);
    }
}
