//! Looks on while `check` or `audit` judge, and keeps what the rows are made of: workloads with their claims and volumes until
//! their namespace is done, classes to the end.

use super::links::Links;
use super::{Counts, Item, Place, Row, Scorecard, build};
use crate::audit::spool::{Filling, SpoolError};
use crate::decision::{Finding, PolicyFailure, Unknown};
use crate::engine::evaluate::Worker;
use crate::policy::metadata::CHECKLIST;
use crate::policy::mode::{Action, Mode, Tier};
use crate::policy::store::PolicySet;
use crate::report::observer::{Observer, Reviewed};
use crate::report::{ResourceId, Source};
use crate::review;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// An object that was judged, as far as rows need it.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) id: ResourceId,
    pub(super) source: Option<Source>,
    pub(super) tier: Tier,
    pub(super) mode: Mode,
    /// Ids of the policies that judged it.
    pub(super) judged_by: BTreeSet<String>,
    pub(super) findings: Vec<Finding>,
    /// Last day of the exemption from a policy.
    pub(super) until: BTreeMap<String, String>,
    pub(super) unknown: Vec<Unknown>,
    pub(super) failures: Vec<PolicyFailure>,
    /// Policies whose safe defaults are written.
    pub(super) writes: BTreeSet<String>,
    pub(super) links: Links,
    /// It is a workload, and its engines.
    pub(super) workload: Option<Vec<String>>,
}

/// Objects of one namespace that are being collected.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) workloads: Vec<Part>,
    /// By namespace and name.
    pub(super) claims: BTreeMap<(String, String), Part>,
    /// By name.
    pub(super) volumes: BTreeMap<String, Part>,
    /// By name.
    pub(super) namespaces: BTreeMap<String, Part>,
}

/// StorageClasses by name: they outlive a namespace.
pub(super) type Classes = BTreeMap<String, Part>;

/// Makes the scorecard of what is judged.
#[derive(Debug)]
pub struct Collector {
    policies: Arc<PolicySet>,
    rows: Filling<Row>,
    places: Vec<Place>,
    parts: Parts,
    classes: Classes,
    counts: Vec<Counts>,
    namespaces: BTreeSet<String>,
    tiers: BTreeMap<Tier, usize>,
    gaps: BTreeMap<super::Gap, usize>,
    deny: usize,
    passed_over: usize,
}

impl Collector {
    /// One for a run with these policies.
    ///
    /// # Errors
    /// When there is no place for the rows.
    pub fn new(policies: Arc<PolicySet>) -> Result<Self, SpoolError> {
        Ok(Self {
            policies,
            rows: Filling::new()?,
            places: Vec::new(),
            parts: Parts::default(),
            classes: Classes::new(),
            counts: vec![Counts::default(); CHECKLIST.len()],
            namespaces: BTreeSet::new(),
            tiers: BTreeMap::new(),
            gaps: BTreeMap::new(),
            deny: 0,
            passed_over: 0,
        })
    }

    /// The scorecard, once everything was judged.
    ///
    /// # Errors
    /// When the rows cannot be kept.
    pub fn finish(mut self) -> Result<Scorecard, SpoolError> {
        // as seen within a tier: sorted by place, which grows
        self.places.sort_unstable_by_key(|place| (place.tier, place.at));
        let policies = |id: &str| {
            let own = self.policies.policies().iter().filter(|p| p.metadata.checklist == id);
            own.map(|p| p.id().to_owned()).collect()
        };
        let item = |(position, (id, counts)): (usize, (&&'static str, &Counts))| Item {
            id,
            required: position < super::ITEMS,
            policies: policies(id),
            counts: *counts,
        };
        Ok(Scorecard {
            items: CHECKLIST.iter().zip(&self.counts).enumerate().map(item).collect(),
            rows: self.rows.finish()?,
            places: self.places,
            namespaces: self.namespaces,
            tiers: self.tiers,
            gaps: self.gaps,
            deny: self.deny,
            passed_over: self.passed_over,
        })
    }

    fn add(&mut self, row: &Row) -> Result<(), SpoolError> {
        let at = self.rows.add(row)?;
        let first = row.cells.iter().position(|cell| cell.worst().is_some()).unwrap_or(CHECKLIST.len());
        self.places.push(Place { tier: row.tier, item: u8::try_from(first).unwrap_or(u8::MAX), at });
        self.namespaces.insert(row.resource.namespace.clone().unwrap_or_default());
        *self.tiers.entry(row.tier).or_default() += 1;
        for (counts, cell) in self.counts.iter_mut().zip(&row.cells) {
            counts.add(cell.state);
            for gap in &cell.unknown {
                *self.gaps.entry(gap.clone()).or_default() += 1;
            }
            self.deny += cell.found.iter().filter(|f| f.effective_action == Action::Deny).count();
        }
        Ok(())
    }

    /// What kind of part an object is, where it is one: its engines for a workload.
    fn workload(&self, reviewed: &Reviewed<'_>, links: &Links, worker: &mut Worker) -> Option<Vec<String>> {
        let request = reviewed.request;
        let engines = |worker| review::engines(request, reviewed.snapshot, worker);
        let resource = &request.resource;
        match (resource.group.as_str(), resource.resource.as_str()) {
            ("apps", "statefulsets") => Some(engines(worker)),
            ("apps", "deployments") => {
                let engines = engines(worker);
                (links.mounts_claims() || !engines.is_empty()).then_some(engines)
            }
            (group, _) if self.policies.operator_groups().contains(group) => Some(Vec::new()),
            _ => None,
        }
    }
}

impl Observer for Collector {
    fn reviewed(&mut self, reviewed: &Reviewed<'_>, worker: &mut Worker) {
        let Reviewed { request, snapshot, outcome, source } = reviewed;
        let Some(object) = request.object() else { return };
        let kind = request.as_requested().map_or_else(|| request.kind.clone(), |requested| requested.kind);
        let links = Links::of(&request.kind.kind, object);
        let workload = self.workload(reviewed, &links, worker);
        let core = request.resource.group.is_empty();
        let storage = request.resource.group == "storage.k8s.io";
        let name = request.object_name().to_owned();
        let is_part = match request.resource.resource.as_str() {
            "persistentvolumeclaims" | "persistentvolumes" | "namespaces" => core,
            "storageclasses" => storage,
            _ => false,
        };
        if workload.is_none() && !is_part {
            return;
        }
        if outcome.scope.mode == Mode::Off {
            self.passed_over += usize::from(workload.is_some());
            return;
        }
        let namespaced = request.namespace.clone().filter(|_| request.kind.kind != "Namespace");
        let judged_by = review::judges(request, snapshot);
        // a policy without any exemption that was used has none of its findings spared
        let until = outcome
            .exemptions
            .iter()
            .flat_map(|used| used.policies.iter().map(|policy| (policy.clone(), used.exemption.until.to_string())));
        let part = Part {
            id: ResourceId {
                api_version: kind.api_version(),
                kind: kind.kind,
                namespace: namespaced.clone(),
                name: name.clone(),
            },
            source: source.cloned(),
            tier: outcome.scope.tier,
            mode: outcome.scope.mode,
            judged_by: judged_by.into_iter().map(str::to_owned).collect(),
            findings: outcome.findings.clone(),
            until: until.collect(),
            unknown: outcome.unknown.clone(),
            failures: outcome.failures.clone(),
            writes: outcome.patch.applied.iter().map(|change| change.policy.clone()).collect(),
            links,
            workload,
        };
        match request.resource.resource.as_str() {
            _ if part.workload.is_some() => self.parts.workloads.push(part),
            "persistentvolumeclaims" => {
                self.parts.claims.insert((namespaced.unwrap_or_default(), name), part);
            }
            "persistentvolumes" => _ = self.parts.volumes.insert(name, part),
            "namespaces" => _ = self.parts.namespaces.insert(name, part),
            _ => _ = self.classes.insert(name, part),
        }
    }

    fn namespace_done(&mut self, not_listed: &BTreeSet<String>) -> io::Result<()> {
        let parts = std::mem::take(&mut self.parts);
        for row in build::rows(&self.policies, &parts, &self.classes, not_listed) {
            self.add(&row).map_err(|SpoolError(error)| error)?;
        }
        Ok(())
    }
}
