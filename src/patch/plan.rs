//! Merges what policies propose in one round: in id order, conflicts found before anything is applied.

use super::json::{ApplyError, Editor};
use crate::engine::violation::PatchOp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What one policy proposes; pointers are those of the whole object.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Policy id.
    pub policy: String,
    /// Its operations.
    pub operations: Vec<PatchOp>,
}

/// One change that was made (or would be).
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Policy id.
    pub policy: String,
    /// JSON Pointer as the policy wrote it (`-` at the end for an appended element).
    pub pointer: String,
    /// The value before; none where there was none, and for appended elements.
    pub from: Option<Value>,
    /// The value after; none where it was removed.
    pub to: Option<Value>,
}

/// Patches that were not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedPatch {
    /// Policy ids.
    pub policies: Vec<String>,
    /// Why, in a bounded word.
    pub kind: DropKind,
    /// Why.
    pub reason: String,
}

/// Why patches were not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropKind {
    /// Policies contradict each other.
    Conflict,
    /// The policies still change the object after the last round.
    NoFixpoint,
    /// An operation does not apply to the object.
    NotApplicable,
}

/// What a policy does at a pointer.
#[derive(PartialEq)]
enum Write<'p> {
    Set(&'p Value),
    Remove,
}

/// Policies whose operations contradict those of others, with the pointer where they do. Appending to one list is none;
/// neither is setting one value twice to the same.
#[must_use]
pub fn conflicts(proposals: &[Proposal]) -> Vec<DroppedPatch> {
    let mut writes: BTreeMap<&str, (Write<'_>, BTreeSet<&str>)> = BTreeMap::new();
    let mut found: BTreeMap<BTreeSet<&str>, &str> = BTreeMap::new();
    for proposal in proposals {
        for operation in &proposal.operations {
            let (path, write) = match operation {
                PatchOp::Add { path, value } if !path.ends_with("/-") => (path.as_str(), Write::Set(value)),
                PatchOp::Remove { path } => (path.as_str(), Write::Remove),
                PatchOp::Add { .. } | PatchOp::Test { .. } => continue,
            };
            match writes.get_mut(path) {
                Some((other, policies)) if *other == write => {
                    policies.insert(&proposal.policy);
                }
                Some((_, policies)) => {
                    policies.insert(&proposal.policy);
                    found.insert(policies.clone(), path);
                }
                None => {
                    writes.insert(path, (write, BTreeSet::from([proposal.policy.as_str()])));
                }
            }
        }
    }
    // a value that one policy sets or removes, and another one writes below
    let paths: Vec<(&str, &BTreeSet<&str>)> = writes.iter().map(|(path, (_, policies))| (*path, policies)).collect();
    for (above, policies) in &paths {
        for (below, others) in &paths {
            if below.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')) && policies != others {
                found.insert(policies.union(others).copied().collect(), above);
            }
        }
    }
    let dropped = |(policies, path): (BTreeSet<&str>, &str)| DroppedPatch {
        policies: policies.into_iter().map(str::to_owned).collect(),
        kind: DropKind::Conflict,
        reason: format!("they write different values at {path}"),
    };
    found.into_iter().map(dropped).collect()
}

/// Applies one policy's operations, all or none. Returns the changes it made.
///
/// # Errors
/// When one of them does not apply; the editor is as before then.
pub fn apply(editor: &mut Editor, proposal: &Proposal) -> Result<Vec<Change>, ApplyError> {
    let mut trial = editor.clone();
    let mut changes = Vec::new();
    for operation in ordered(&proposal.operations) {
        let change =
            |pointer: &str, from, to| Change { policy: proposal.policy.clone(), pointer: pointer.to_owned(), from, to };
        match operation {
            PatchOp::Test { path, value } => trial.test(path, value)?,
            PatchOp::Add { path, value } => {
                let from = trial.add(path, value)?;
                if from.as_ref() != Some(value) {
                    changes.push(change(path, from, Some(value.clone())));
                }
            }
            PatchOp::Remove { path } => {
                let from = trial.remove(path)?;
                changes.push(change(path, Some(from), None));
            }
        }
    }
    *editor = trial;
    Ok(changes)
}

/// A set has no order: tests first, then additions from the root down, then removals from the end.
fn ordered(operations: &[PatchOp]) -> Vec<&PatchOp> {
    let rank = |operation: &PatchOp| match operation {
        PatchOp::Test { .. } => 0,
        PatchOp::Add { .. } => 1,
        PatchOp::Remove { .. } => 2,
    };
    let mut ordered: Vec<&PatchOp> = operations.iter().collect();
    ordered.sort_by(|a, b| {
        let by_path = a.path().cmp(b.path());
        rank(a).cmp(&rank(b)).then(if rank(a) == 2 { by_path.reverse() } else { by_path })
    });
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proposal(policy: &str, operations: Value) -> Proposal {
        Proposal { policy: policy.to_owned(), operations: serde_json::from_value(operations).unwrap() }
    }

    #[test]
    fn contradictions_are_found() {
        let a = proposal("a", json!([{"op": "add", "path": "/x", "value": 1}]));
        let same = proposal("b", json!([{"op": "add", "path": "/x", "value": 1}]));
        let other = proposal("c", json!([{"op": "add", "path": "/x", "value": 2}]));
        let below = proposal("d", json!([{"op": "add", "path": "/x/y", "value": 2}]));
        let beside = proposal("e", json!([{"op": "add", "path": "/xy", "value": 2}]));
        assert_eq!(conflicts(&[a.clone(), same.clone(), beside]), []);
        assert_eq!(conflicts(&[a.clone(), other])[0].policies, ["a", "c"]);
        assert_eq!(conflicts(&[a, below])[0].policies, ["a", "d"]);
        let append = |p| proposal(p, json!([{"op": "add", "path": "/l/-", "value": p}]));
        assert_eq!(conflicts(&[append("a"), append("b")]), []);
    }

    #[test]
    fn a_policy_applies_whole_or_not_at_all() {
        let mut editor = Editor::new(json!({"a": 1}));
        let broken = proposal("p", json!([{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/zz"}]));
        assert!(apply(&mut editor, &broken).is_err());
        assert_eq!(editor.object(), &json!({"a": 1}));
        let good =
            proposal("p", json!([{"op": "test", "path": "/a", "value": 1}, {"op": "add", "path": "/b/c", "value": 1}]));
        let changes = apply(&mut editor, &good).unwrap();
        assert_eq!(changes, [Change { policy: "p".into(), pointer: "/b/c".into(), from: None, to: Some(json!(1)) }]);
    }
}
