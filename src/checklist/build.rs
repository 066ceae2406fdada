//! Rows from what was judged: what was found on a workload and on what it uses, item by item.

use super::collect::{Classes, Part, Parts};
use super::links::is_of_template;
use super::{Cell, Found, Gap, Row, State};
use crate::admission::request::Operation;
use crate::decision::{Cap, Finding, field_path};
use crate::policy::metadata::{CHECKLIST, Metadata};
use crate::policy::mode::{Action, Tier};
use crate::policy::store::PolicySet;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Kinds beside the workload itself whose objects count for it.
const USED: &[&str] = &["persistentvolumeclaims", "persistentvolumes", "storageclasses", "namespaces"];

/// The rows of a namespace. `not_listed` are kinds of which not all objects are there.
pub(super) fn rows(policies: &PolicySet, parts: &Parts, classes: &Classes, not_listed: &BTreeSet<String>) -> Vec<Row> {
    let missing: Vec<&str> = USED.iter().copied().filter(|kind| not_listed.contains(*kind)).collect();
    let rows = parts.workloads.iter().filter(|workload| owner(workload, &parts.workloads).is_none());
    rows.map(|workload| row(policies, &members(workload, parts, classes), workload, &missing)).collect()
}

/// The workload that owns another one, as an operator's resource owns the StatefulSet that it makes: they share a row.
fn owner<'p>(workload: &Part, workloads: &'p [Part]) -> Option<&'p Part> {
    let (group, kind, name) = workload.links.owner.as_ref()?;
    workloads.iter().find(|other| {
        let of_group = other.id.api_version.split_once('/').map_or("", |(group, _)| group);
        (of_group, &other.id.kind, &other.id.name) == (group.as_str(), kind, name)
            && other.id.namespace == workload.id.namespace
            && other.id != workload.id
    })
}

/// A workload and everything that counts for it, each once.
fn members<'p>(workload: &'p Part, parts: &'p Parts, classes: &'p Classes) -> Vec<&'p Part> {
    let namespace = workload.id.namespace.clone().unwrap_or_default();
    let mut members: Vec<&Part> = vec![workload];
    let owned = |part: &Part, of: &Part| {
        part.id.namespace == of.id.namespace
            && part.links.owner.as_ref().is_some_and(|(group, kind, name)| {
                let of_group = of.id.api_version.split_once('/').map_or("", |(group, _)| group);
                (group.as_str(), kind, name) == (of_group, &of.id.kind, &of.id.name)
            })
    };
    members.extend(parts.workloads.iter().filter(|other| other.id != workload.id && owned(other, workload)));
    let claims = parts.claims.iter().filter(|((of, name), claim)| {
        *of == namespace
            && members.iter().any(|member| {
                member.links.claims.contains(name)
                    || member.links.templates.iter().any(|template| is_of_template(name, template, &member.id.name))
                    || owned(claim, member)
            })
    });
    let claims: Vec<&Part> = claims.map(|(_, claim)| claim).collect();
    let volumes = parts.volumes.iter().filter(|(name, volume)| {
        claims.iter().any(|claim| {
            let own =
                volume.links.claim.as_ref().is_some_and(|(of, claimed)| *of == namespace && *claimed == claim.id.name);
            own || claim.links.volume.as_ref() == Some(*name)
        })
    });
    members.extend(claims.iter().copied());
    members.extend(volumes.map(|(_, volume)| volume));
    let names: BTreeSet<&str> = members.iter().flat_map(|m| &m.links.classes).map(String::as_str).collect();
    members.extend(classes.iter().filter_map(|(name, class)| {
        let wanted = names.contains(name.as_str()) || names.contains("") && class.links.is_default_class;
        wanted.then_some(class)
    }));
    members.extend(parts.namespaces.get(&namespace));
    members
}

fn row(policies: &PolicySet, members: &[&Part], workload: &Part, missing: &[&str]) -> Row {
    let cell = |item: &&str| {
        let own: Vec<&Metadata> =
            policies.policies().iter().map(|p| &p.metadata).filter(|m| m.checklist == **item).collect();
        cell(&own, members, workload.tier, missing)
    };
    Row {
        resource: workload.id.clone(),
        tier: workload.tier,
        mode: workload.mode,
        engines: workload.workload.clone().unwrap_or_default(),
        source: workload.source.clone(),
        uses: members.iter().skip(1).map(|member| member.id.clone()).collect(),
        cells: CHECKLIST.iter().map(cell).collect(),
    }
}

fn cell(policies: &[&Metadata], members: &[&Part], tier: Tier, missing: &[&str]) -> Cell {
    let is_own = |id: &str| policies.iter().any(|p| p.id == id);
    let mut found: Vec<Found> = Vec::new();
    let mut unknown: BTreeSet<Gap> = BTreeSet::new();
    let mut judged_by: BTreeSet<String> = BTreeSet::new();
    let mut written_by: BTreeSet<String> = BTreeSet::new();
    for member in members {
        judged_by.extend(member.judged_by.iter().filter(|id| is_own(id)).cloned());
        written_by.extend(member.writes.iter().filter(|id| is_own(id)).cloned());
        member.findings.iter().filter(|f| is_own(&f.policy)).for_each(|finding| add(&mut found, finding, member));
        unknown.extend(
            member
                .unknown
                .iter()
                .filter(|u| is_own(&u.policy))
                .map(|u| Gap::MissingFacts { policy: u.policy.clone(), missing: u.missing.clone() }),
        );
        unknown.extend(
            member
                .failures
                .iter()
                .filter(|f| is_own(&f.policy))
                .map(|f| Gap::PolicyFailed { policy: f.policy.clone(), reason: f.reason.clone() }),
        );
    }
    for policy in policies.iter().filter(|p| p.actions.get(tier) != Action::Off) {
        let kinds =
            missing.iter().filter(|kind| policy.rules.iter().any(|rule| rule.resources.iter().any(|r| r == **kind)));
        unknown.extend(kinds.map(|kind| Gap::NotListed { policy: policy.id.clone(), missing: (*kind).to_owned() }));
    }
    if judged_by.is_empty() && unknown.is_empty() {
        unknown.insert(nobody(policies, tier));
    }
    found.sort_by(|a, b| key(a).cmp(&key(b)));
    let until = found.iter().filter_map(|f| f.exempt_until.clone()).min();
    let state = if found.iter().any(|f| f.exempt_until.is_none()) {
        State::Open
    } else if !unknown.is_empty() {
        State::Unknown
    } else if !found.is_empty() {
        State::Exempt
    } else {
        State::Met
    };
    let (unknown, judged_by) = (unknown.into_iter().collect(), judged_by.into_iter().collect());
    Cell { state, found, unknown, exempt_until: until, judged_by, written_by: written_by.into_iter().collect() }
}

/// Worst first: open before exempt, by action, severity, then as policies and fields sort.
fn key(found: &Found) -> impl Ord + '_ {
    (
        found.exempt_until.is_some(),
        Reverse(found.in_enforce),
        found.severity,
        &found.policy,
        &found.object.name,
        &found.field,
    )
}

/// Why no policy of an item judged anything.
fn nobody(policies: &[&Metadata], tier: Tier) -> Gap {
    if policies.is_empty() {
        return Gap::NoPolicy;
    }
    let active: Vec<&&Metadata> = policies.iter().filter(|policy| policy.actions.get(tier) != Action::Off).collect();
    if active.is_empty() {
        return Gap::SwitchedOff;
    }
    // a manifest and a stored object are judged as if they were made
    let rules = active.iter().flat_map(|policy| &policy.rules).filter(|r| r.operations.contains(&Operation::Create));
    let on: BTreeSet<&String> = rules.flat_map(|rule| &rule.resources).collect();
    if on.is_empty() { Gap::RequestsOnly } else { Gap::NothingJudged { on: on.into_iter().cloned().collect() } }
}

/// Adds a violation; the claims of a set that all have the same one count as one.
fn add(found: &mut Vec<Found>, finding: &Finding, member: &Part) {
    let exempt_until =
        (finding.capped_by == Some(Cap::Exemption)).then(|| member.until.get(&finding.policy).cloned()).flatten();
    let field = field_path(&finding.path);
    let same = found.iter_mut().find(|f| {
        f.policy == finding.policy
            && f.object.kind == member.id.kind
            && f.object != member.id
            && f.field == field
            && f.part == finding.expanded_from
            && f.exempt_until == exempt_until
            && f.wanted == finding.wanted
    });
    if let Some(same) = same {
        same.more_objects += 1;
        return;
    }
    found.push(Found {
        policy: finding.policy.clone(),
        severity: finding.severity,
        action: finding.action,
        effective_action: finding.effective,
        in_enforce: finding.in_enforce,
        object: member.id.clone(),
        part: finding.expanded_from.clone(),
        field,
        message: finding.message.clone(),
        wanted: finding.wanted.clone(),
        fix: finding.fix.clone(),
        more_objects: 0,
        exempt_until,
        note: finding.note.clone(),
    });
}
