use super::*;
use crate::admission::pointer::Step;
use crate::decision::Scope;
use crate::patch::plan::{DropKind, DroppedPatch};
use crate::policy::mode::{Mode, PatchSetting, Severity, Tier};
use crate::review::PatchOutcome;
use serde_json::json;
use std::collections::BTreeSet;

fn outcome() -> Outcome {
    Outcome {
        scope: Scope { tier: Tier::Tier2, mode: Mode::Enforce, patch: PatchSetting::Enabled },
        findings: vec![],
        failures: vec![],
        unknown: vec![],
        patch: PatchOutcome::default(),
        exemptions: vec![],
        break_glass: BTreeSet::new(),
    }
}

fn found(policy: &str, key: &str, effective: Action, message: &str) -> Finding {
    Finding {
        policy: policy.to_owned(),
        checklist: "probes".to_owned(),
        severity: Severity::High,
        action: effective,
        effective,
        in_enforce: effective,
        tier: Tier::Tier2,
        mode: Mode::Enforce,
        path: vec![Step::Key(key.to_owned())],
        message: message.to_owned(),
        found: None,
        wanted: json!(1),
        fix: "do it".to_owned(),
        key: key.to_owned(),
        ratcheted: false,
        capped_by: None,
        note: None,
        expanded_from: None,
    }
}

fn with(findings: &[Finding]) -> Outcome {
    Outcome { findings: findings.to_vec(), ..outcome() }
}

fn changes(old: &Outcome, new: &Outcome) -> Vec<(Change, String)> {
    let compared = compare(Some(old), Some(new), Parts::All);
    compared.differences.into_iter().map(|d| (d.change, format!("{} {}", d.policy, d.field))).collect()
}

fn failure(policy: &str, effective: Action) -> PolicyFailure {
    PolicyFailure { policy: policy.to_owned(), effective, reason: "it broke".to_owned(), kind: "error" }
}

fn write(policy: &str, pointer: &str, to: Value) -> Write {
    Write { policy: policy.to_owned(), pointer: pointer.to_owned(), from: None, to: Some(to) }
}

#[test]
fn actions_come_and_go() {
    use Action::{Audit, Deny, Warn};
    let one = |action| with(&[found("p", "a", action, "m")]);
    for (old, new, wanted) in [
        (None, Some(Deny), Change::NewlyDenied),
        (Some(Warn), Some(Deny), Change::NewlyDenied),
        (Some(Deny), Some(Warn), Change::NoLongerDenied),
        (Some(Deny), None, Change::NoLongerDenied),
        (None, Some(Warn), Change::NewlyWarned),
        (Some(Audit), Some(Warn), Change::NewlyWarned),
        (Some(Warn), Some(Audit), Change::NoLongerWarned),
        (Some(Warn), None, Change::NoLongerWarned),
        (None, Some(Audit), Change::NewlyRecorded),
        (Some(Audit), None, Change::NoLongerRecorded),
    ] {
        let (old, new) = (old.map_or_else(outcome, one), new.map_or_else(outcome, one));
        assert_eq!(changes(&old, &new), [(wanted, "p a".to_owned())]);
        assert_eq!(changes(&old, &old), []);
    }
    let compared = compare(Some(&one(Warn)), Some(&one(Deny)), Parts::All);
    assert_eq!(compared.decisions, (Decision::Warned, Decision::Denied));
    // nobody judges it any more
    let compared = compare(Some(&one(Deny)), None, Parts::All);
    assert_eq!(compared.decisions, (Decision::Denied, Decision::Allowed));
    assert_eq!(compared.differences[0].change, Change::NoLongerDenied);
}

#[test]
fn violations_are_told_apart_by_their_key() {
    let old = with(&[found("p", "a", Action::Warn, "m"), found("p", "b", Action::Warn, "m")]);
    let new = with(&[found("p", "b", Action::Warn, "m"), found("p", "c", Action::Warn, "m")]);
    assert_eq!(
        changes(&old, &new),
        [(Change::NewlyWarned, "p c".to_owned()), (Change::NoLongerWarned, "p a".to_owned())]
    );
    // two at one place: the one that is the same is found whatever the order
    let old = with(&[found("p", "a", Action::Warn, "one"), found("p", "a", Action::Warn, "two")]);
    let new = with(&[found("p", "a", Action::Warn, "two"), found("p", "a", Action::Warn, "three")]);
    let compared = compare(Some(&old), Some(&new), Parts::All);
    assert_eq!(compared.differences.len(), 1);
    let difference = &compared.differences[0];
    assert_eq!(difference.change, Change::Message);
    assert_eq!(difference.old.as_deref(), Some("a: one. wanted 1; fix: do it"));
    assert_eq!(difference.new.as_deref(), Some("a: three. wanted 1; fix: do it"));
}

#[test]
fn a_policy_without_an_answer_says_nothing_about_its_violations() {
    let denies = with(&[found("p", "a", Action::Deny, "m")]);
    let fails = Outcome { failures: vec![failure("p", Action::Deny)], ..outcome() };
    assert_eq!(changes(&denies, &fails), [(Change::NewlyFailing, "p ".to_owned())]);
    assert_eq!(changes(&fails, &denies), [(Change::NoLongerFailing, "p ".to_owned())]);
    let compared = compare(Some(&fails), Some(&fails), Parts::All);
    assert_eq!(compared.differences, []);
    assert_eq!(compared.failed_both, [("p".to_owned(), "it broke".to_owned())]);
    let unknown = Unknown { policy: "p".to_owned(), missing: "services".to_owned() };
    let waits = Outcome { unknown: vec![unknown], ..outcome() };
    assert_eq!(changes(&denies, &waits), [(Change::NewlyUnknown, "p ".to_owned())]);
    assert_eq!(changes(&waits, &denies), [(Change::NoLongerUnknown, "p ".to_owned())]);
    let compared = compare(Some(&waits), Some(&waits), Parts::All);
    assert_eq!(compared.unknown_both, [("p".to_owned(), "services".to_owned())]);
    // a failure whose action is Deny rejects
    assert_eq!(compare(Some(&outcome()), Some(&fails), Parts::All).decisions.1, Decision::Denied);
}

#[test]
fn patches_are_compared_by_pointer_value_and_permission() {
    let applied = |writes: &[Write]| Outcome {
        patch: PatchOutcome { applied: writes.to_vec(), ..PatchOutcome::default() },
        ..outcome()
    };
    let proposed = |writes: &[Write]| Outcome {
        patch: PatchOutcome { proposed: writes.to_vec(), ..PatchOutcome::default() },
        ..outcome()
    };
    let (one, two) = (write("p", "/a", json!(1)), write("p", "/a", json!(2)));
    let at = |change| vec![(change, "p /a".to_owned())];
    let first = std::slice::from_ref(&one);
    assert_eq!(changes(&outcome(), &applied(first)), at(Change::PatchAdded));
    assert_eq!(changes(&applied(first), &outcome()), at(Change::PatchRemoved));
    assert_eq!(changes(&applied(first), &applied(&[two])), at(Change::PatchChanged));
    assert_eq!(changes(&proposed(first), &applied(first)), at(Change::PatchChanged));
    assert_eq!(changes(&applied(first), &applied(first)), []);
    // only the other part is asked for
    assert_eq!(compare(Some(&outcome()), Some(&applied(first)), Parts::Verdicts).differences, []);
    let dropped =
        DroppedPatch { policies: vec!["p".to_owned()], kind: DropKind::Conflict, reason: "they differ".to_owned() };
    let conflict = Outcome { patch: PatchOutcome { dropped: vec![dropped], ..PatchOutcome::default() }, ..outcome() };
    let compared = compare(Some(&outcome()), Some(&conflict), Parts::All);
    assert_eq!(compared.differences[0].new.as_deref(), Some("no patch: they differ"));
}
