//! The two sets: loaded with their configurations, and what differs in the sets themselves.
//!
//! Cases are not run: a set whose cases fail yet can be compared, `serve` refuses it all the same.

use crate::config::Settings;
use crate::policy::bundle::Bundle;
use crate::policy::metadata::Metadata;
use crate::policy::mode::{Severity, Tier};
use crate::policy::store::{PolicyError, PolicySet};
use crate::policysource::{Location, PolicySource, SourceError};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The word for the policies in the binary.
pub const EMBEDDED: &str = "embedded";

/// Why a set cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// Its files.
    #[error("the set {name} cannot be read: {source}")]
    Read {
        /// As it was named.
        name: String,
        /// Why.
        #[source]
        source: Box<SourceError>,
    },
    /// What is in them.
    #[error("the set {name} cannot be used: {source}")]
    Build {
        /// As it was named.
        name: String,
        /// Why.
        #[source]
        source: Box<PolicyError>,
    },
}

/// A set that is to be loaded.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// As a person named it.
    pub name: String,
    /// Where it is.
    pub source: PolicySource,
    /// Its configuration.
    pub settings: Settings,
    /// The configuration is that of the other set too, so what it says of policies that only the other set has is no mistake.
    pub is_shared: bool,
}

impl Wanted {
    /// A set by its name on the command line: `embedded`, or a place as for `--policies`, which extends the embedded policies
    /// unless `only`.
    #[must_use]
    pub fn named(name: &str, only: bool, settings: Settings, is_shared: bool) -> Self {
        // what is no location is told when it is read, by its name
        let location = || name.parse().unwrap_or_else(|_| Location::Path(PathBuf::from(name)));
        let location = (name != EMBEDDED).then(location);
        let only = only && location.is_some();
        Self {
            name: name.to_owned(),
            source: PolicySource { location, only, ..PolicySource::default() },
            settings,
            is_shared,
        }
    }
}

/// A set that is loaded.
#[derive(Debug)]
pub struct Side {
    /// As a person named it.
    pub name: String,
    /// The policies.
    pub set: Arc<PolicySet>,
    /// Their configuration.
    pub settings: Arc<Settings>,
    bundle: Bundle,
}

/// Loads two sets.
///
/// # Errors
/// When one cannot be read or used.
pub fn load(old: Wanted, new: Wanted) -> Result<(Side, Side), SetError> {
    let read = |wanted: &Wanted| {
        let bundle = wanted.source.read();
        bundle.map_err(|source| SetError::Read { name: wanted.name.clone(), source: Box::new(source) })
    };
    let (old_bundle, new_bundle) = (read(&old)?, read(&new)?);
    let (old_ids, new_ids) = (ids(&old_bundle), ids(&new_bundle));
    Ok((build(old, old_bundle, &(&new_ids - &old_ids))?, build(new, new_bundle, &(&old_ids - &new_ids))?))
}

/// Loads one set.
///
/// # Errors
/// When it cannot be read or used.
pub fn load_one(wanted: Wanted) -> Result<Side, SetError> {
    let bundle = wanted.source.read();
    let bundle = bundle.map_err(|source| SetError::Read { name: wanted.name.clone(), source: Box::new(source) })?;
    build(wanted, bundle, &BTreeSet::new())
}

/// The ids of a bundle's policies.
#[must_use]
pub fn ids(bundle: &Bundle) -> BTreeSet<String> {
    let policies = bundle.modules.keys().filter_map(|package| package.strip_prefix("seawall.policies."));
    policies.map(|name| name.replace('_', "-")).collect()
}

fn build(wanted: Wanted, bundle: Bundle, only_other: &BTreeSet<String>) -> Result<Side, SetError> {
    let Wanted { name, mut settings, is_shared, .. } = wanted;
    if is_shared {
        settings.forget_policies(only_other);
    }
    match PolicySet::build(&bundle, &settings) {
        Ok(set) => Ok(Side { name, set: Arc::new(set), settings: Arc::new(settings), bundle }),
        Err(source) => Err(SetError::Build { name, source: Box::new(source) }),
    }
}

/// A policy that only one set has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnlyHere {
    /// Its id.
    pub policy: String,
    /// How bad a violation is.
    pub severity: Severity,
    /// Its actions, tier-0 first.
    pub actions: Vec<&'static str>,
}

/// A policy that both sets have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Its id.
    pub policy: String,
    /// METADATA that differ, with the overrides of the configurations; keys of objects are joined by dots.
    pub metadata: Vec<KeyChange>,
    /// Its Rego differs, comments and METADATA left out.
    pub rules: bool,
}

/// A value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// As METADATA have it: `actions.tier-2`.
    pub key: String,
    /// Before; null where it was not.
    pub old: Value,
    /// After; null where it is no more.
    pub new: Value,
}

/// What differs in the sets themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SetChanges {
    /// Policies of the new set only.
    pub added: Vec<OnlyHere>,
    /// Policies of the old set only.
    pub removed: Vec<OnlyHere>,
    /// Policies that differ.
    pub changed: Vec<Changed>,
    /// Packages of the library that differ, as `seawall.lib.x`.
    pub libraries: Vec<String>,
    /// Topics of the knowledge data that differ.
    pub knowledge: Vec<String>,
    /// Keys of the configuration that differ, those by policy left out.
    pub configuration: Vec<&'static str>,
}

impl SetChanges {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Compares two sets.
    #[must_use]
    pub fn of(old: &Side, new: &Side) -> Self {
        let mut changes = Self {
            libraries: packages(old, new),
            knowledge: differing(&old.bundle.knowledge, &new.bundle.knowledge),
            configuration: configuration(&old.settings, &new.settings),
            ..Self::default()
        };
        for policy in old.set.policies() {
            let Some(now) = new.set.get(policy.id()) else {
                changes.removed.push(OnlyHere::of(&policy.metadata));
                continue;
            };
            let metadata = metadata(&policy.metadata, &now.metadata);
            let package = policy.unit.package.trim_start_matches("data.");
            let rules = old.rules(package) != new.rules(package);
            if rules || !metadata.is_empty() {
                changes.changed.push(Changed { policy: policy.id().to_owned(), metadata, rules });
            }
        }
        let added = new.set.policies().iter().filter(|policy| old.set.get(policy.id()).is_none());
        changes.added = added.map(|policy| OnlyHere::of(&policy.metadata)).collect();
        changes
    }
}

impl OnlyHere {
    fn of(metadata: &Metadata) -> Self {
        Self {
            policy: metadata.id.clone(),
            severity: metadata.severity,
            actions: Tier::ALL.iter().map(|tier| metadata.actions.get(*tier).as_str()).collect(),
        }
    }
}

impl Side {
    /// The lines of a package that mean something.
    fn rules(&self, package: &str) -> Vec<&str> {
        let sources = self.bundle.modules.get(package).into_iter().flatten();
        let lines = sources.flat_map(|source| source.text.lines().map(str::trim));
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }
}

fn packages(old: &Side, new: &Side) -> Vec<String> {
    let names = [old, new].into_iter().flat_map(|side| side.bundle.modules.keys());
    let names: BTreeSet<&String> = names.filter(|package| !package.starts_with("seawall.policies.")).collect();
    names.into_iter().filter(|package| old.rules(package) != new.rules(package)).cloned().collect()
}

fn differing(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    // the topic `policies` says which policies are loaded, which is told already
    keys.into_iter().filter(|key| *key != "policies" && old.get(*key) != new.get(*key)).cloned().collect()
}

fn configuration(old: &Settings, new: &Settings) -> Vec<&'static str> {
    [
        ("defaults", old.defaults == new.defaults),
        ("excludedNamespaces", old.excluded_namespaces == new.excluded_namespaces),
        ("operatorGroups", old.operator_groups == new.operator_groups),
        ("knowledge", old.knowledge == new.knowledge),
        ("exemptions", old.exemptions == new.exemptions),
        ("breakGlassGroups", old.break_glass_groups == new.break_glass_groups),
        ("limits", old.limits == new.limits),
    ]
    .into_iter()
    .filter_map(|(key, same)| (!same).then_some(key))
    .collect()
}

/// Fields of [`Metadata`] and how METADATA name them.
const KEYS: [(&str, &str); 5] = [
    ("rules", "match"),
    ("tier_parameters", "tierParameters"),
    ("guards_finalizers", "guardsFinalizers"),
    ("related_resources", "related_resources"),
    ("patch", "patch"),
];

fn metadata(old: &Metadata, new: &Metadata) -> Vec<KeyChange> {
    let flat = |metadata: &Metadata| {
        let mut flat = BTreeMap::new();
        for (key, value) in
            serde_json::to_value(metadata).ok().as_ref().and_then(Value::as_object).into_iter().flatten()
        {
            let key = KEYS.iter().find(|(field, _)| field == key).map_or(key.as_str(), |(_, name)| name);
            flatten(key, value, &mut flat);
        }
        flat
    };
    let (old, new) = (flat(old), flat(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |flat: &BTreeMap<String, Value>, key: &String| flat.get(key).cloned().unwrap_or_default();
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    changed.map(|key| KeyChange { key: key.clone(), old: of(&old, key), new: of(&new, key) }).collect()
}

fn flatten(key: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().for_each(|(field, value)| flatten(&format!("{key}.{field}"), value, into));
        }
        // nothing is the same as not there
        Value::Object(_) => {}
        other => _ = into.insert(key.to_owned(), other.clone()),
    }
}
