//! Why each policy did or did not fire for an object, and what a policy is: the front end behind `seawall explain`.
//!
//! [`input`] finds captured requests among manifests, [`scope`] tells where tier and mode come from, [`concern`] why a policy has
//! nothing to do with an object, [`text`] prints it; [`page`] and [`markdown`] show the page of a policy. Verdicts are those
//! of [`crate::review`]; what the rules did is told by [`crate::engine::trace`]. Secrets are replaced before anything is shown.

pub mod concern;
pub mod input;
pub mod markdown;
pub mod page;
pub mod scope;
pub mod text;

use crate::admission::pointer::to_pointer;
use crate::admission::request::{Operation, Request};
use crate::decision::{Cap, Finding, field_path};
use crate::decisions::secrets::Secrets;
use crate::engine::compile::{CompileError, Entry};
use crate::engine::trace::{DefinitionTrace, Follow, Limits, RuleTrace, Seen, Stop, Syntax, Tracer};
use crate::engine::value::to_json;
use crate::patch::plan::Change;
use crate::policy::bundle::Bundle;
use crate::policy::mode::{Action, Mode, Tier};
use crate::policy::store::Policy;
use crate::report::text::weaker;
use crate::review::{Judge, Outcome, Snapshot, is_ending, judging, passes};
use concern::Unconcerned;
use scope::{Given, Scope};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One object and why each policy did what it did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Where it stands: `file:line:column`, or the file.
    pub source: String,
    /// What it is: `StatefulSet shop/db`.
    pub object: String,
    /// What is asked.
    pub operation: Operation,
    /// Tier, mode and patch setting, and where they come from.
    pub scope: Scope,
    /// Why no policy judges it at all, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed: Option<String>,
    /// The policies that concern it; those that found something come first.
    pub policies: Vec<Row>,
    /// The others.
    pub unconcerned: Vec<Unconcerned>,
}

/// What a policy made of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It rejects.
    Deny,
    /// It warns.
    Warn,
    /// It is recorded.
    Audit,
    /// An exemption spares what it found.
    Exempt,
    /// It failed.
    Failed,
    /// What it asks for is not known.
    Unknown,
    /// What it found is gone once the safe defaults are written.
    Patched,
    /// The mode is off: it is not asked.
    Off,
    /// It found nothing.
    Quiet,
}

/// One policy and one object, or a part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Id.
    pub policy: String,
    /// Title.
    pub title: String,
    /// `volumeClaimTemplates[data]` or `template` for a part of a workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// What came of it.
    pub verdict: Verdict,
    /// The action, and what picked and weakened it.
    pub action: String,
    /// Why there is no verdict: what failed, what is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it found.
    pub violations: Vec<ViolationRow>,
    /// Its parameters in this tier.
    pub parameters: Value,
    /// Facts of the cluster that it asked for.
    pub facts: Vec<FactRow>,
    /// Safe defaults of it: what was done, or why not. Left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The definitions of `violation`.
    pub violation: Vec<DefinitionTrace>,
    /// The definitions of `patch`, where safe defaults could be written.
    pub patches: Vec<DefinitionTrace>,
    /// The rules were run on the object with safe defaults written, not as it was received.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_patched: bool,
}

/// A violation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViolationRow {
    /// The field.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What is done about it.
    pub effective: Action,
    /// Why it is less than the action of the policy: mode, exemption, ratcheting, caps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactRow {
    /// Its path, or the kind.
    pub path: String,
    /// `there`, `not there`, `known` or `not known`.
    pub state: &'static str,
}

/// An object that was reviewed.
#[derive(Debug, Clone)]
pub struct Reviewed {
    /// Where it stands.
    pub source: String,
    /// The request.
    pub request: Request,
    /// What the review knew.
    pub snapshot: Snapshot,
    /// What it found.
    pub outcome: Outcome,
}

/// Explains objects with one policy set.
#[derive(Debug)]
pub struct Explainer<'e> {
    syntax: &'e Syntax,
    /// Made when a policy is first traced.
    tracers: BTreeMap<String, Tracer<'e>>,
    limits: Limits,
    given: Given,
    /// These policies alone; empty: all.
    only: BTreeSet<String>,
}

/// The syntax trees that an [`Explainer`] works on.
///
/// # Errors
/// When a module does not parse.
pub fn syntax(bundle: &Bundle) -> Result<Syntax, CompileError> {
    Syntax::read(bundle.modules.values().flatten())
}

impl<'e> Explainer<'e> {
    /// An explainer. `only`: ids of policies, none for all.
    #[must_use]
    pub const fn new(syntax: &'e Syntax, limits: Limits, given: Given, only: BTreeSet<String>) -> Self {
        Self { syntax, tracers: BTreeMap::new(), limits, given, only }
    }

    /// Explains one object.
    ///
    /// # Errors
    /// When the engine does not take the modules of a policy.
    pub fn explain(&mut self, seen: &Reviewed) -> Result<Explanation, CompileError> {
        let Reviewed { request, snapshot, outcome, .. } = seen;
        let mut secrets = Secrets::default();
        request.object().into_iter().chain(request.old_object()).for_each(|object| secrets.learn(object));
        let passed = passes(request)
            .then(|| "requests of this kind, or of this user, are let through without asking any policy".to_owned());
        let judges = if passed.is_some() { Vec::new() } else { judging(request, snapshot) };
        let patched = outcome.patch.object.as_ref().map(|object| request.with_object(object.clone()));
        let mut policies = Vec::new();
        let mut concerned = BTreeSet::new();
        for judge in &judges {
            concerned.insert(judge.policy.id().to_owned());
            if self.is_wanted(judge.policy.id()) {
                policies.push(self.row(judge, seen, patched.as_ref(), &secrets)?);
            }
        }
        policies.sort_by(|a, b| (a.verdict, &a.policy, &a.part).cmp(&(b.verdict, &b.policy, &b.part)));
        let others = snapshot.policies.policies().iter().filter(|policy| !concerned.contains(policy.id()));
        let unconcerned = others
            .filter(|policy| self.is_wanted(policy.id()) && passed.is_none())
            .map(|policy| concern::unconcerned(&policy.metadata, request, outcome.scope.tier, is_ending(request)))
            .collect();
        let namespace = request.namespace.as_deref().filter(|_| request.kind.kind != "Namespace");
        let name = namespace.map(|n| format!("{n}/{}", request.object_name()));
        let name = name.unwrap_or_else(|| request.object_name().to_owned());
        let sub = if request.sub_resource.is_empty() { String::new() } else { format!("/{}", request.sub_resource) };
        Ok(Explanation {
            source: seen.source.clone(),
            object: format!("{}{sub} {name}", request.kind.kind),
            operation: request.operation,
            scope: scope::of(request, snapshot, self.given),
            passed,
            policies,
            unconcerned,
        })
    }

    fn is_wanted(&self, id: &str) -> bool {
        self.only.is_empty() || self.only.contains(id)
    }

    fn row(
        &mut self,
        judge: &Judge<'_>,
        seen: &Reviewed,
        patched: Option<&Request>,
        secrets: &Secrets,
    ) -> Result<Row, CompileError> {
        let Reviewed { snapshot, outcome, .. } = seen;
        let policy = judge.policy;
        let id = policy.id();
        let tier = outcome.scope.tier;
        let found: Vec<&Finding> =
            outcome.findings.iter().filter(|f| f.policy == id && f.expanded_from == judge.part).collect();
        let missing = outcome.unknown.iter().find(|unknown| unknown.policy == id);
        let failure = outcome.failures.iter().find(|failure| failure.policy == id);
        let mut violation = RuleTrace::default();
        let mut patches = RuleTrace::default();
        let mut on_patched = false;
        if missing.is_none() && outcome.scope.mode != Mode::Off {
            violation = self.trace(policy, Entry::Violation, judge, snapshot)?;
            if let Some(request) = patched.filter(|_| !found.is_empty() && !fires(&violation)) {
                let again = judging(request, snapshot);
                if let Some(judge) = again.iter().find(|j| j.policy.id() == id && j.part == judge.part) {
                    violation = self.trace(policy, Entry::Violation, judge, snapshot)?;
                    on_patched = true;
                }
            }
            if seen.request.operation == Operation::Create && policy.metadata.patch.contains(&tier) {
                patches = self.trace(policy, Entry::Patch, judge, snapshot)?;
            }
        }
        let worst = found.iter().map(|f| f.effective).max();
        let verdict = match worst {
            _ if failure.is_some() => Verdict::Failed,
            _ if missing.is_some() => Verdict::Unknown,
            Some(_) if found.iter().all(|f| f.capped_by == Some(Cap::Exemption)) => Verdict::Exempt,
            Some(Action::Deny) => Verdict::Deny,
            Some(Action::Warn) => Verdict::Warn,
            Some(Action::Audit | Action::Off) => Verdict::Audit,
            None if outcome.scope.mode == Mode::Off => Verdict::Off,
            None if fires(&violation) => Verdict::Patched,
            None => Verdict::Quiet,
        };
        let reason = failure.map(|failure| failure.reason.clone()).or_else(|| {
            let missing = &missing?.missing;
            Some(format!("too little is known of {missing}; give them with --snapshot or --live"))
        });
        let mut facts: Vec<FactRow> =
            policy.metadata.context.iter().map(|need| kind_row(&need.resource, snapshot)).collect();
        let read = violation.facts.iter().chain(&patches.facts);
        let read: BTreeMap<&String, bool> = read.map(|(path, there)| (path, *there)).collect();
        facts.extend(
            read.into_iter()
                .map(|(path, there)| FactRow { path: path.clone(), state: if there { "there" } else { "not there" } }),
        );
        let mut parameters = to_json(&policy.parameters(tier)).unwrap_or_default();
        secrets.clean(&mut parameters);
        for definition in violation.definitions.iter_mut().chain(&mut patches.definitions) {
            clean(definition, secrets);
        }
        Ok(Row {
            policy: id.to_owned(),
            title: policy.metadata.title.trim().to_owned(),
            part: judge.part.clone(),
            verdict,
            action: action(judge, tier, outcome.scope.mode, snapshot),
            reason: reason.map(|reason| secrets.text(&reason)),
            violations: found.iter().map(|finding| violation_row(finding, secrets)).collect(),
            parameters,
            facts,
            patch: self.patched(policy, seen).map(|text| secrets.text(&text)),
            violation: violation.definitions,
            patches: patches.definitions,
            on_patched,
        })
    }

    fn trace(
        &mut self,
        policy: &Policy,
        entry: Entry,
        judge: &Judge<'_>,
        snapshot: &Snapshot,
    ) -> Result<RuleTrace, CompileError> {
        let name = |entry: Entry| format!("{}.{}", policy.unit.package, entry.rule());
        if !policy.unit.has(entry) {
            return Ok(RuleTrace::default());
        }
        if !self.tracers.contains_key(policy.id()) {
            let rules: Vec<String> =
                [Entry::Violation, Entry::Patch].into_iter().filter(|e| policy.unit.has(*e)).map(name).collect();
            self.tracers.insert(policy.id().to_owned(), Tracer::new(self.syntax, &rules)?);
        }
        let tracer = self.tracers.get_mut(policy.id());
        Ok(tracer.map(|t| t.rule(&name(entry), &judge.input, snapshot.data(), self.limits)).unwrap_or_default())
    }

    /// What became of the safe defaults of a policy.
    fn patched(&self, policy: &Policy, seen: &Reviewed) -> Option<String> {
        let Reviewed { request, outcome, .. } = seen;
        let patch = &outcome.patch;
        let own = |changes: &[Change]| {
            let own = changes.iter().filter(|change| change.policy == policy.id());
            let words = own.map(|change| match &change.to {
                Some(value) => format!("{} = {}", change.pointer, crate::decision::inline(value)),
                None => format!("{} removed", change.pointer),
            });
            let words: Vec<String> = words.collect();
            (!words.is_empty()).then(|| words.join(", "))
        };
        if let Some(words) = own(&patch.applied) {
            return Some(format!("written: {words}"));
        }
        if let Some(words) = own(&patch.restored) {
            return Some(format!("written earlier, put back: {words}"));
        }
        if let Some(words) = own(&patch.proposed) {
            return Some(format!("not written, because patch is disabled here: {words}"));
        }
        if let Some(dropped) = patch.dropped.iter().find(|d| d.policies.iter().any(|id| id == policy.id())) {
            return Some(format!("not written: {}", dropped.reason));
        }
        if !policy.unit.has(Entry::Patch) {
            return None;
        }
        let tiers = &policy.metadata.patch;
        let wanted: Vec<&str> =
            Tier::ALL.iter().filter(|tier| tiers.contains(tier)).map(|tier| tier.as_str()).collect();
        Some(if !tiers.contains(&outcome.scope.tier) && wanted.is_empty() {
            "not wanted: only where the configuration asks for them".to_owned()
        } else if !tiers.contains(&outcome.scope.tier) {
            format!("not wanted in {}, only in {}", outcome.scope.tier, wanted.join(", "))
        } else if request.operation != Operation::Create {
            "safe defaults are written on CREATE only".to_owned()
        } else if !request.sub_resource.is_empty() {
            "none for a subresource".to_owned()
        } else if outcome.scope.mode == Mode::Off {
            "none in mode off".to_owned()
        } else if outcome.exemptions.iter().any(|used| used.policies.contains(policy.id())) {
            "none for an object that is exempt".to_owned()
        } else {
            "none proposed".to_owned()
        })
    }
}

fn fires(trace: &RuleTrace) -> bool {
    trace.definitions.iter().any(|definition| !definition.members.is_empty())
}

fn kind_row(resource: &str, snapshot: &Snapshot) -> FactRow {
    let state = if snapshot.facts.is_synced(resource) { "known" } else { "not known" };
    FactRow { path: resource.to_owned(), state }
}

/// `Deny in tier-1, at most Warn in mode warn`.
fn action(judge: &Judge<'_>, tier: Tier, mode: Mode, snapshot: &Snapshot) -> String {
    let configured =
        snapshot.settings.policies.get(judge.policy.id()).is_some_and(|over| over.actions.contains_key(&tier));
    let by = if configured { " by the configuration" } else { "" };
    let mut text = format!("{} in {tier}{by}", judge.action);
    if judge.action.at_most(mode.cap()) != judge.action {
        text.push_str(&format!(", at most {} in mode {mode}", mode.cap()));
    }
    match judge.capped_by {
        Some(Cap::SystemUser) => text.push_str(", Audit because a controller of the cluster asks"),
        Some(Cap::Operator) => text.push_str(", Audit because an operator's resource owns the object"),
        _ => {}
    }
    text
}

fn violation_row(finding: &Finding, secrets: &Secrets) -> ViolationRow {
    let path = if finding.path.is_empty() { to_pointer(&finding.path) } else { field_path(&finding.path) };
    ViolationRow {
        path: if path.is_empty() { "(object)".to_owned() } else { path },
        message: secrets.text(finding.message.trim()),
        effective: finding.effective,
        because: weaker(finding).or_else(|| finding.note.clone()).map(|text| secrets.text(&text)),
    }
}

/// Replaces secrets in all values of a trace.
fn clean(definition: &mut DefinitionTrace, secrets: &Secrets) {
    definition.members.iter_mut().for_each(|member| secrets.clean(member));
    let follow = |follow: &mut Follow| {
        follow.value.iter_mut().for_each(|value| secrets.clean(value));
        follow.definitions.iter_mut().for_each(|definition| clean(definition, secrets));
    };
    for body in &mut definition.bodies {
        body.value.iter_mut().for_each(|value| secrets.clean(value));
        body.because.iter_mut().for_each(follow);
        for Stop { seen, because, .. } in &mut body.stops {
            for Seen { value, .. } in seen.iter_mut().flatten() {
                value.iter_mut().for_each(|value| secrets.clean(value));
            }
            because.iter_mut().for_each(follow);
        }
    }
}
