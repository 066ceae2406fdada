//! Patches an object: restores on UPDATE, safe defaults on CREATE, to a fixpoint.

use super::PatchOutcome;
use super::select::{Prepared, Run, is_ending, targets};
use crate::admission::pointer;
use crate::admission::request::{Operation, Request};
use crate::engine::compile::Entry;
use crate::engine::violation::{self, PatchOp};
use crate::patch::json::Editor;
use crate::patch::plan::{self, Change, DropKind, DroppedPatch, Proposal};
use crate::patch::record::{self, Record};
use crate::policy::mode::{Mode, PatchSetting};
use serde_json::Value;
use std::collections::BTreeSet;

/// Rounds until nothing more may be proposed.
const ROUNDS: usize = 3;

impl Run<'_> {
    /// What is patched in the request's object.
    pub(super) fn mutate(&mut self, request: &Request) -> PatchOutcome {
        let Some(object) = request.object() else { return PatchOutcome::default() };
        // an object on its way out gets nothing back, and a Scale or status has no defaults
        if is_ending(request) || !request.sub_resource.is_empty() {
            return PatchOutcome::default();
        }
        let mut outcome = PatchOutcome::default();
        let editor = match (request.operation, request.old_object()) {
            (Operation::Update, Some(old)) => self.restored(object, old, &mut outcome),
            (Operation::Create, _) => self.defaulted(request, object, &mut outcome),
            _ => return outcome,
        };
        // applied to the received object before it is answered
        match editor.finish(object) {
            Ok((operations, patched)) => {
                outcome.object = (!operations.0.is_empty()).then_some(patched);
                outcome.operations = operations;
                outcome
            }
            Err(error) => {
                let policies = outcome.applied.iter().chain(&outcome.restored).map(|c| c.policy.clone()).collect();
                PatchOutcome {
                    dropped: vec![DroppedPatch { policies, kind: DropKind::NotApplicable, reason: error.to_string() }],
                    ..PatchOutcome::default()
                }
            }
        }
    }

    /// On UPDATE, whatever mode and policies say now.
    fn restored(&self, object: &Value, old: &Value, outcome: &mut PatchOutcome) -> Editor {
        let mut editor = Editor::new(object.clone());
        match record::restore(&mut editor, old) {
            Ok(restored) => {
                outcome.restored = restored;
                editor
            }
            Err(error) => {
                outcome.dropped.push(DroppedPatch {
                    policies: vec![],
                    kind: DropKind::NotApplicable,
                    reason: format!("earlier patches could not be put back: {error}"),
                });
                Editor::new(object.clone())
            }
        }
    }

    /// On CREATE, where the mode and the patch label permit; else what would be done is only told.
    fn defaulted(&mut self, request: &Request, object: &Value, outcome: &mut PatchOutcome) -> Editor {
        let mut editor = Editor::new(object.clone());
        let wanted = self.scope.mode != Mode::Off && self.may_patch(request);
        let (patched, changes) =
            if wanted { self.fixpoint(request, &editor, &mut outcome.dropped) } else { (editor.clone(), Vec::new()) };
        let permitted = self.scope.patch == PatchSetting::Enabled;
        let mut record = Record::default();
        if permitted {
            if wanted {
                record = self.own_record(request, object);
            }
            editor = patched;
            record.add(editor.object(), &changes);
            outcome.applied = changes;
        } else {
            outcome.proposed = changes;
        }
        // also takes away a record that the user made up
        if let Err(error) = record.write(&mut editor) {
            let policies = outcome.applied.drain(..).map(|c| c.policy).collect();
            outcome.dropped.push(DroppedPatch {
                policies,
                kind: DropKind::NotApplicable,
                reason: format!("the record cannot be written: {error}"),
            });
            return Editor::new(object.clone());
        }
        editor
    }

    /// The part of the record of a new object that patching it would give: the API server asks again when another webhook has
    /// changed the object (reinvocation), and what was patched the first time must stay recorded. What a user made up does not
    /// come out of it.
    fn own_record(&mut self, request: &Request, object: &Value) -> Record {
        let Some(claimed) = Record::of(object) else { return Record::default() };
        let mut before = Editor::new(object.clone());
        let mut claimed = claimed.undo(&mut before);
        let request = request.with_object(before.object().clone());
        let (anew, changes) = self.fixpoint(&request, &before, &mut Vec::new());
        let mut confirmed = Record::default();
        confirmed.add(anew.object(), &changes);
        claimed.keep_shared(object, &confirmed, anew.object());
        claimed
    }

    /// Rounds until nothing more is proposed. Policies that conflict, do not apply or do not come to an end are left out,
    /// and the rounds begin again without them.
    fn fixpoint(
        &mut self,
        request: &Request,
        start: &Editor,
        dropped: &mut Vec<DroppedPatch>,
    ) -> (Editor, Vec<Change>) {
        let mut banned: BTreeSet<String> = BTreeSet::new();
        loop {
            let mut editor = start.clone();
            let mut changes: Vec<Change> = Vec::new();
            let mut found = Vec::new();
            for round in 0..=ROUNDS {
                let now = if round == 0 { request.clone() } else { request.with_object(editor.object().clone()) };
                let proposals = self.proposals(&now, &editor, &banned);
                if proposals.is_empty() {
                    break;
                }
                if round == ROUNDS {
                    let policies = proposals.into_iter().map(|p| p.policy).collect();
                    found.push(DroppedPatch {
                        policies,
                        kind: DropKind::NoFixpoint,
                        reason: format!("they still change the object after {ROUNDS} rounds"),
                    });
                    break;
                }
                found.extend(plan::conflicts(&proposals));
                if !found.is_empty() {
                    break;
                }
                for proposal in &proposals {
                    match plan::apply(&mut editor, proposal) {
                        Ok(made) => changes.extend(made),
                        Err(error) => found.push(DroppedPatch {
                            policies: vec![proposal.policy.clone()],
                            kind: DropKind::NotApplicable,
                            reason: error.to_string(),
                        }),
                    }
                }
                if !found.is_empty() {
                    break;
                }
            }
            if found.is_empty() {
                return (editor, changes);
            }
            banned.extend(found.iter().flat_map(|d| d.policies.iter().cloned()));
            dropped.append(&mut found);
        }
    }

    /// What policies propose for the object as it is, in id order; what changes nothing is left out.
    fn proposals(&mut self, request: &Request, editor: &Editor, banned: &BTreeSet<String>) -> Vec<Proposal> {
        let mut proposals: Vec<Proposal> = Vec::new();
        for (target, policies) in targets(self.snapshot, self.scope, request) {
            let prepared = Prepared::new(target);
            let prefix = pointer::to_pointer(&prepared.target.prefix);
            for chosen in &policies {
                let metadata = &chosen.policy.metadata;
                if !metadata.patch.contains(&self.scope.tier)
                    || banned.contains(&metadata.id)
                    || !chosen.policy.unit.has(Entry::Patch)
                    || self.exemptions.of_policy(&metadata.id).is_some()
                {
                    continue;
                }
                let Some(result) = self.evaluate(chosen, Entry::Patch, &prepared) else { continue };
                let operations = match violation::patches(&result) {
                    Ok(operations) => operations,
                    Err(error) => {
                        self.fail(chosen, "result", error);
                        continue;
                    }
                };
                let operations: Vec<PatchOp> = operations.into_iter().map(|o| prefixed(o, &prefix)).collect();
                let changes = |o: &PatchOp| {
                    !matches!(o, PatchOp::Add { path, value } if editor.object().pointer(path) == Some(value))
                        && !matches!(o, PatchOp::Test { .. })
                };
                if operations.iter().any(changes) {
                    match proposals.iter_mut().find(|p| p.policy == metadata.id) {
                        Some(proposal) => proposal.operations.extend(operations),
                        None => proposals.push(Proposal { policy: metadata.id.clone(), operations }),
                    }
                }
            }
        }
        proposals.sort_by(|a, b| a.policy.cmp(&b.policy));
        proposals
    }
}

fn prefixed(operation: PatchOp, prefix: &str) -> PatchOp {
    let at = |path: String| format!("{prefix}{path}");
    match operation {
        PatchOp::Add { path, value } => PatchOp::Add { path: at(path), value },
        PatchOp::Remove { path } => PatchOp::Remove { path: at(path) },
        PatchOp::Test { path, value } => PatchOp::Test { path: at(path), value },
    }
}
