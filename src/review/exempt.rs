//! Spares what is exempt: findings, failures and patches of exempted policies, and every denial of a break-glass request.
//! Each use is part of the outcome, so that every front end can tell it.

use super::{Outcome, Snapshot};
use crate::admission::request::Request;
use crate::decision::{Cap, Scope};
use crate::policy::exemption::{self, Bounds, Declared, Exemption};
use crate::policy::mode::{Action, Tier};
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeSet;

/// An exemption that made a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Used {
    /// The policies that were spared.
    pub policies: BTreeSet<String>,
    /// The exemption.
    #[serde(flatten)]
    pub exemption: Exemption,
}

/// The exemptions of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Exemptions {
    valid: Vec<Exemption>,
    /// Policies named by an annotation that does not count, and why it does not.
    invalid: Option<(BTreeSet<String>, String)>,
}

impl Exemptions {
    /// Those of the configuration and of the object's annotations (of the stored object on DELETE).
    pub(super) fn of(request: &Request, snapshot: &Snapshot, scope: Scope) -> Self {
        let today = snapshot.now.to_zoned(TimeZone::UTC).date();
        let rows = snapshot.settings.exemptions.iter();
        let mut valid: Vec<Exemption> = rows
            .filter(|row| covers(row, request))
            .filter_map(exemption::Row::exemption)
            .filter(|e| e.until >= today)
            .collect();
        let mut invalid = None;
        match declared(request, snapshot, scope.tier) {
            Declared::None => {}
            Declared::Valid(exemption) => valid.push(exemption),
            Declared::Invalid { policies, problems } => invalid = Some((policies, problems.join("; "))),
        }
        Self { valid, invalid }
    }

    /// The exemption from a policy; of several the one that lasts longest.
    pub(super) fn of_policy(&self, id: &str) -> Option<&Exemption> {
        self.valid.iter().filter(|e| e.policies.contains(id)).max_by_key(|e| e.until)
    }

    /// Weakens what is exempt, and what a break-glass request may not be denied.
    pub(super) fn spare(&self, request: &Request, snapshot: &Snapshot, outcome: &mut Outcome) {
        let mut used: Vec<Used> = Vec::new();
        let mut spared = |id: &str| {
            let exemption = self.of_policy(id)?;
            match used.iter_mut().find(|u| u.exemption == *exemption) {
                Some(same) => _ = same.policies.insert(id.to_owned()),
                None => {
                    used.push(Used { policies: BTreeSet::from([id.to_owned()]), exemption: exemption.clone() });
                }
            }
            Some(exemption.to_string())
        };
        let glass = &snapshot.settings.break_glass_groups;
        let breaks_glass = request.groups.iter().any(|group| glass.contains(group));
        let mut broken = BTreeSet::new();
        for finding in &mut outcome.findings {
            if let Some(note) = spared(&finding.policy) {
                finding.effective = finding.effective.at_most(Action::Audit);
                finding.in_enforce = finding.in_enforce.at_most(Action::Audit);
                finding.capped_by = Some(Cap::Exemption);
                finding.note = Some(note);
                continue;
            }
            if let Some((_, why)) = self.invalid.as_ref().filter(|(ids, _)| ids.contains(&finding.policy)) {
                finding.note = Some(format!("the exemption on the object does not count: {why}"));
            }
            if breaks_glass {
                finding.in_enforce = finding.in_enforce.at_most(Action::Warn);
            }
            if breaks_glass && finding.effective == Action::Deny {
                finding.effective = Action::Warn;
                finding.capped_by = Some(Cap::BreakGlass);
                broken.insert(finding.policy.clone());
            }
        }
        for failure in &mut outcome.failures {
            if spared(&failure.policy).is_some() {
                failure.effective = failure.effective.at_most(Action::Audit);
            } else if breaks_glass && failure.effective == Action::Deny {
                failure.effective = Action::Warn;
                broken.insert(failure.policy.clone());
            }
        }
        outcome.findings.sort_by_key(|f| std::cmp::Reverse(f.effective));
        outcome.exemptions = used;
        outcome.break_glass = broken;
    }
}

/// Whether a row of the configuration speaks of the object of a request.
#[must_use]
pub fn covers(row: &exemption::Row, request: &Request) -> bool {
    let namespace = request.namespace.as_deref().filter(|_| request.kind.kind != "Namespace").unwrap_or_default();
    row.covers(&request.resource.resource, namespace, request.object_name())
}

/// What the annotations of the object of a request say, within the bounds of a tier.
#[must_use]
pub fn declared(request: &Request, snapshot: &Snapshot, tier: Tier) -> Declared {
    let today = snapshot.now.to_zoned(TimeZone::UTC).date();
    let exemptible = |id: &str| snapshot.policies.get(id).map(|p| p.metadata.exemptible);
    let subject = request.subject();
    subject.map_or(Declared::None, |object| exemption::declared(object, today, bounds(snapshot, tier), exemptible))
}

/// Parameters of the policy that judges annotations, so that both say the same.
fn bounds(snapshot: &Snapshot, tier: Tier) -> Bounds {
    let usual = Bounds::of_tier(tier);
    let Some(policy) = snapshot.policies.get(exemption::POLICY) else { return usual };
    let parameters = policy.parameters(tier);
    Bounds {
        max_days: parameters["maxDays"].as_i64().unwrap_or(usual.max_days),
        approver: parameters["approver"].as_bool().copied().unwrap_or(usual.approver),
    }
}
