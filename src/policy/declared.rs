//! What a policy declares in METADATA must be what it reads, directly or through the library: facts and parameters. The
//! loader and `seawall lint` both ask here.

use super::annotation::{At, Node};
use super::metadata::Metadata;
use crate::context::facts::INDEXES;
use crate::engine::analysis::{self, Place, Rules};
use crate::words::closest;
use std::collections::{BTreeMap, BTreeSet};

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// A fact is read and not declared.
    ContextUndeclared,
    /// A kind is declared and not read.
    ContextUnused,
    /// An index that does not exist is read.
    ContextUnknown,
    /// A parameter is read and not declared.
    ParameterUndeclared,
    /// A parameter is declared and not read.
    ParameterUnused,
}

/// A difference between what is declared and what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which kind.
    pub difference: Difference,
    /// Where: the reading expression, or the METADATA key.
    pub place: Place,
    /// What is wrong.
    pub problem: String,
    /// What to write.
    pub fix: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.problem, self.fix)
    }
}

/// The kind of a fact that a rule reads: itself, or the one that an index is made of. `None` for an unknown index.
#[must_use]
pub fn kind_of(fact: &str) -> Option<&str> {
    match fact.strip_prefix("index.") {
        Some(index) => INDEXES.iter().find(|(name, _)| *name == index).map(|(_, kind)| *kind),
        None => Some(fact),
    }
}

/// All differences of a policy. `root` is its METADATA block with places.
#[must_use]
pub fn mismatches(metadata: &Metadata, root: Option<&Node>, file: &str, rules: &Rules) -> Vec<Mismatch> {
    let package = format!("data.seawall.policies.{}", metadata.id.replace('-', "_"));
    let roots = [format!("{package}.violation"), format!("{package}.patch")];
    let reads = analysis::closure(rules, &[roots[0].as_str(), roots[1].as_str()]);
    let mut compare = Compare { file, root, found: Vec::new() };
    let of = |name: String| reads.places.get(&name).cloned().unwrap_or_default();

    let mut kinds: BTreeMap<&str, Place> = BTreeMap::new();
    for fact in &reads.facts {
        let place = of(format!("data.cluster.{fact}"));
        match kind_of(fact) {
            Some(kind) => {
                // a read in the policy itself says more than one in the library
                let known = kinds.entry(kind).or_insert_with(|| place.clone());
                if known.file != file && place.file == file {
                    *known = place;
                }
            }
            None => {
                let name = fact.trim_start_matches("index.");
                let near = closest(name, INDEXES.iter().map(|(name, _)| *name));
                let indexes: Vec<&str> = INDEXES.iter().map(|(name, _)| *name).collect();
                let fix = format!("wanted one of {}", indexes.join(", "));
                let problem = format!("data.cluster.{fact} does not exist{near}");
                compare.read(Difference::ContextUnknown, "context", &place, problem, fix);
            }
        }
    }
    let declared: BTreeSet<&str> = metadata.context.iter().map(|need| need.resource.as_str()).collect();
    for (kind, place) in kinds.iter().filter(|(kind, _)| !declared.contains(*kind)) {
        let near = closest(kind, declared.iter().copied().filter(|kind| !kinds.contains_key(kind)));
        let problem = format!("reads data.cluster of {kind}, which `context` does not declare{near}");
        let fix = format!("add {{resource: {kind}, optional: false}} to `context`");
        compare.read(Difference::ContextUndeclared, "context", place, problem, fix);
    }
    for kind in declared.iter().filter(|kind| !kinds.contains_key(*kind)) {
        let problem = format!("`context` declares {kind}, which nothing reads");
        let at = compare.row("context", "resource", kind);
        compare.declared(Difference::ContextUnused, at, problem);
    }

    let parameters: BTreeSet<&str> = metadata.parameters.keys().map(String::as_str).collect();
    let read: BTreeSet<&str> = reads.parameters.iter().map(String::as_str).collect();
    for missing in read.difference(&parameters).filter(|key| **key != "*") {
        let near = closest(missing, parameters.difference(&read).copied());
        let problem = format!("reads input.seawall.parameters.{missing}, which `parameters` does not declare{near}");
        let place = of(format!("input.seawall.parameters.{missing}"));
        let fix = "give it a default there".to_owned();
        compare.read(Difference::ParameterUndeclared, "parameters", &place, problem, fix);
    }
    for unused in parameters.difference(&read).filter(|_| !read.contains("*")) {
        let problem = format!("`parameters` declares {unused}, which nothing reads");
        let at = compare.key(&["parameters", unused]);
        compare.declared(Difference::ParameterUnused, at, problem);
    }
    compare.found
}

struct Compare<'a> {
    file: &'a str,
    root: Option<&'a Node>,
    found: Vec<Mismatch>,
}

impl Compare<'_> {
    /// The place of a key below `custom`, as far as it is there.
    fn key(&self, path: &[&str]) -> At {
        let mut at = (1, 1);
        let mut node = self.root;
        for key in std::iter::once(&"custom").chain(path) {
            let Some(entry) = node.and_then(|node| node.entry(key)) else { break };
            at = entry.at;
            node = Some(&entry.value);
        }
        at
    }

    /// The place of the row of a list in which a key has this value.
    fn row(&self, list: &str, key: &str, value: &str) -> At {
        let custom = self.root.and_then(|root| root.entry("custom"));
        let rows = custom.and_then(|custom| custom.value.entry(list)).map(|e| e.value.items()).unwrap_or_default();
        let row = rows.iter().find_map(|row| row.entry(key).filter(|entry| entry.value.text() == Some(value)));
        row.map_or_else(|| self.key(&[list]), |entry| entry.value.at)
    }

    /// A read: told where it stands in the policy, or at the METADATA with the place in the library.
    fn read(&mut self, difference: Difference, key: &str, read: &Place, problem: String, fix: String) {
        let (line, column) = self.key(&[key]);
        let (place, problem) = if read.file == self.file {
            (read.clone(), format!("{problem} (line {line})"))
        } else {
            let place = Place { file: self.file.to_owned(), line, column };
            (place, format!("{problem}; it is read at {read}"))
        };
        self.found.push(Mismatch { difference, place, problem, fix });
    }

    fn declared(&mut self, difference: Difference, (line, column): At, problem: String) {
        let place = Place { file: self.file.to_owned(), line, column };
        self.found.push(Mismatch { difference, place, problem, fix: "remove it".to_owned() });
    }
}
