//! Small hashes of what a verdict depends on, so that an object whose verdict cannot have changed is not judged again.
//!
//! A verdict depends on the object, on its namespace, on the facts that the policies of its kind declare, on the policies and
//! the configuration, and on the day: exemptions end on a day. The hashes are compared within one process only.

use crate::admission::expand;
use crate::admission::request::Gvr;
use crate::audit::judge::Group;
use crate::audit::walk::Batch;
use crate::config::Settings;
use crate::policy::matcher::{same_resource, via};
use crate::policy::metadata::Via;
use crate::policy::store::PolicySet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher};

/// The kind of which only the object's own namespace counts.
const NAMESPACES: &str = "namespaces";
/// What the API server and controllers change all the time, and no verdict hangs on.
const BOOKKEEPING: &[&str] = &["managedFields", "resourceVersion", "generation"];

/// The hash of an object without its bookkeeping.
pub(super) fn of_object(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash(object, Place::Object { status: true }, &mut hasher);
    hasher.finish()
}

/// The hash of what owners write of an object: without its status, which controllers write all the time.
pub(super) fn of_written(object: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash(object, Place::Object { status: false }, &mut hasher);
    hasher.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The object itself, with its status or without.
    Object {
        status: bool,
    },
    Metadata,
    Below,
}

fn hash(value: &Value, place: Place, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0_u8.hash(hasher),
        Value::Bool(value) => (1_u8, value).hash(hasher),
        Value::Number(number) => (2_u8, number.to_string()).hash(hasher),
        Value::String(text) => (3_u8, text).hash(hasher),
        Value::Array(items) => {
            (4_u8, items.len()).hash(hasher);
            items.iter().for_each(|item| hash(item, Place::Below, hasher));
        }
        Value::Object(fields) => {
            5_u8.hash(hasher);
            for (key, value) in fields {
                // the last: of the conditions of a node
                let of_metadata = place == Place::Metadata && BOOKKEEPING.contains(&key.as_str());
                let of_controllers = place == Place::Object { status: false } && key == "status";
                if of_metadata || of_controllers || key == "lastHeartbeatTime" {
                    continue;
                }
                key.hash(hasher);
                let root = matches!(place, Place::Object { .. });
                let below = if root && key == "metadata" { Place::Metadata } else { Place::Below };
                hash(value, below, hasher);
            }
            6_u8.hash(hasher);
        }
    }
}

/// What verdicts depend on besides the object.
pub(super) struct Inputs {
    /// Policies, configuration, day.
    standing: u64,
    /// The kinds that the policies of a kind read, by group and plural.
    reads: BTreeMap<(String, String), BTreeSet<String>>,
    /// Facts without a namespace.
    lasting: BTreeMap<String, u64>,
    /// Each namespace.
    namespaces: BTreeMap<String, u64>,
    /// Facts of the namespace under way.
    here: BTreeMap<String, u64>,
    namespace: String,
}

impl Inputs {
    pub(super) fn new(policies: &PolicySet, settings: &Settings, now: jiff::Timestamp) -> Self {
        let mut hasher = DefaultHasher::new();
        let day = now.to_zoned(jiff::tz::TimeZone::UTC).date().to_string();
        (policies.digest(), format!("{settings:?}"), day).hash(&mut hasher);
        Self {
            standing: hasher.finish(),
            reads: reads(policies),
            lasting: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            here: BTreeMap::new(),
            namespace: String::new(),
        }
    }

    /// From now on groups are of this batch.
    pub(super) fn begin(&mut self, batch: &Batch) {
        self.namespace.clone_from(&batch.namespace);
        self.here.clear();
        for part in batch.parts.iter().filter(|part| part.source.fact) {
            let mut hasher = DefaultHasher::new();
            batch.unknown.contains(&part.source.resource).hash(&mut hasher);
            for object in &part.objects {
                let digest = of_object(object);
                digest.hash(&mut hasher);
                if part.source.resource == NAMESPACES {
                    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                    self.namespaces.insert(name.to_owned(), digest);
                }
            }
            self.here.insert(part.source.resource.clone(), hasher.finish());
        }
        if batch.lasting {
            self.lasting.clone_from(&self.here);
        }
    }

    /// The hash of all that the verdicts of a group depend on; `objects` are the hashes of its objects.
    pub(super) fn of_group(&self, group: &Group<'_>, objects: &[u64]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.standing, objects).hash(&mut hasher);
        for item in group.items() {
            let own = match item.source.resource.as_str() {
                NAMESPACES => item.object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default(),
                _ => &self.namespace,
            };
            self.namespaces.get(own).hash(&mut hasher);
            let kind = (item.source.gvr.group.clone(), item.source.gvr.resource.clone());
            for fact in self.reads.get(&kind).into_iter().flatten().filter(|fact| *fact != NAMESPACES) {
                self.here.get(fact).or_else(|| self.lasting.get(fact)).hash(&mut hasher);
            }
        }
        // zero means: to be judged again
        hasher.finish().max(1)
    }
}

/// The kinds that the policies of each kind read, those of its templates among them.
fn reads(policies: &PolicySet) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut reads: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for policy in policies.policies() {
        let context = || policy.metadata.context.iter().map(|need| need.resource.clone());
        for rule in &policy.metadata.rules {
            for (group, resource) in rule.api_groups.iter().flat_map(|g| rule.resources.iter().map(move |r| (g, r))) {
                let part = Gvr { group: group.clone(), version: String::new(), resource: resource.clone() };
                reads.entry((part.group.clone(), part.resource.clone())).or_default().extend(context());
                let template = same_resource(rule, resource) && via(rule, resource) != Via::Direct;
                for (group, _, workload) in expand::workloads_with(&part).iter().filter(|_| template) {
                    let kind = ((*group).to_owned(), (*workload).to_owned());
                    reads.entry(kind).or_default().extend(context());
                }
            }
        }
    }
    reads
}

#[cfg(test)]
#[path = "digest_tests.rs"]
mod tests;
