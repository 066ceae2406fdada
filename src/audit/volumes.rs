//! PersistentVolumes by the namespace of their claim. They have no namespace, so they do not arrive in the order of the walk, and
//! there are as many as there are claims: kept in a file, with their places in memory.

use super::spool::{Filling, Spool, SpoolError};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// PersistentVolumes that are being collected.
pub(super) struct Collecting {
    filling: Filling<Value>,
    places: BTreeMap<String, Vec<u64>>,
    /// By hash of the name.
    names: HashMap<u64, u64>,
}

/// All PersistentVolumes, by the namespace of their claim.
pub(super) struct Volumes {
    spool: Spool<Value>,
    places: BTreeMap<String, Vec<u64>>,
    /// By hash of the name.
    names: HashMap<u64, u64>,
}

fn name(volume: &Value) -> &str {
    volume.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl Collecting {
    pub(super) fn new() -> Result<Self, SpoolError> {
        Ok(Self { filling: Filling::new()?, places: BTreeMap::new(), names: HashMap::new() })
    }

    pub(super) fn add(&mut self, volume: &Value) -> Result<(), SpoolError> {
        let namespace = volume.pointer("/spec/claimRef/namespace").and_then(Value::as_str).unwrap_or_default();
        let place = self.filling.add(volume)?;
        self.names.insert(hash(name(volume)), place);
        self.places.entry(namespace.to_owned()).or_default().push(place);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Volumes, SpoolError> {
        Ok(Volumes { spool: self.filling.finish()?, places: self.places, names: self.names })
    }
}

impl Volumes {
    /// The volumes of a namespace's claims; each is given once. `""`: those without a claim.
    pub(super) fn of_namespace(&mut self, namespace: &str) -> Result<Vec<Value>, SpoolError> {
        let places = self.places.remove(namespace).unwrap_or_default();
        places.into_iter().map(|place| self.spool.at(place)).collect()
    }

    /// A volume by its name, as claims name it, whoever has it.
    pub(super) fn named(&self, wanted: &str) -> Result<Option<Value>, SpoolError> {
        let Some(place) = self.names.get(&hash(wanted)) else { return Ok(None) };
        Ok(Some(self.spool.at(*place)?).filter(|volume: &Value| name(volume) == wanted))
    }

    /// Namespaces of which volumes are left: they have no object that the walk meets, as after their deletion.
    pub(super) fn left(&self) -> Vec<String> {
        self.places.keys().cloned().collect()
    }
}
