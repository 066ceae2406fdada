//! Findings for the tests of the formats, hostile ones among them.

use super::page::{Page, View};
use super::{Failure, Judged, Report, ResourceId, Source, UnknownRow, Violation};
use crate::admission::pointer::Step;
use crate::config::Settings;
use crate::decision::{Cap, Finding};
use crate::policy::mode::{Action, Mode, Severity, Tier};
use crate::policy::store::PolicySet;
use serde_json::json;
use std::io;
use std::sync::OnceLock;

/// Text that tries to leave every format: HTML, YAML, workflow commands, Markdown tables, control characters.
pub(super) const HOSTILE: &str = "x</script><img src=x onerror=alert(1)>\n::error::pwned\r|`a` [b](javascript:c) <!-- \
                                  ]]>&amp;\"'%0A---\n\u{1b}[31m\u{0}\u{202e}\u{fffe}{{ .Values }} @team";

pub(super) fn finding(policy: &str) -> Finding {
    Finding {
        policy: policy.to_owned(),
        checklist: "reclaim-policy".to_owned(),
        severity: Severity::Critical,
        action: Action::Deny,
        effective: Action::Deny,
        in_enforce: Action::Deny,
        tier: Tier::Tier1,
        mode: Mode::Enforce,
        path: vec![Step::Key("spec".to_owned()), Step::Key("reclaimPolicy".to_owned())],
        message: "the class deletes volumes".to_owned(),
        found: Some(json!("Delete")),
        wanted: json!("Retain"),
        fix: "set reclaimPolicy: Retain".to_owned(),
        key: "reclaimPolicy".to_owned(),
        ratcheted: false,
        capped_by: None,
        note: None,
        expanded_from: None,
    }
}

pub(super) fn warning(policy: &str) -> Finding {
    Finding {
        action: Action::Warn,
        effective: Action::Warn,
        in_enforce: Action::Warn,
        severity: Severity::Low,
        ..finding(policy)
    }
}

pub(super) fn exempt(policy: &str) -> Finding {
    Finding {
        effective: Action::Audit,
        in_enforce: Action::Audit,
        capped_by: Some(Cap::Exemption),
        note: Some("exempt until 2026-12-31 by sre: moving".to_owned()),
        ..finding(policy)
    }
}

pub(super) fn judged(findings: Vec<Finding>) -> Judged {
    let source = |line| Source { file: "app/db.yaml".to_owned(), line, column: 3 };
    Judged {
        resource: ResourceId {
            api_version: "apps/v1".to_owned(),
            kind: "StatefulSet".to_owned(),
            namespace: Some("shop".to_owned()),
            name: "db".to_owned(),
        },
        uid: None,
        judged_in: None,
        source: source(1),
        violations: findings.into_iter().map(|finding| Violation { finding, source: source(7) }).collect(),
        patches: Vec::new(),
        unknown: Vec::new(),
    }
}

/// Everything that came from a user's object is hostile.
pub(super) fn hostile() -> Judged {
    let mut judged = judged(vec![Finding {
        path: vec![Step::Key(HOSTILE.to_owned())],
        message: HOSTILE.to_owned(),
        found: Some(json!({ HOSTILE: HOSTILE })),
        wanted: json!(HOSTILE),
        fix: HOSTILE.to_owned(),
        key: HOSTILE.to_owned(),
        note: Some(HOSTILE.to_owned()),
        expanded_from: Some(HOSTILE.to_owned()),
        ..finding("class-reclaim-retain")
    }]);
    let text = || HOSTILE.to_owned();
    judged.resource = ResourceId { api_version: text(), kind: text(), namespace: Some(text()), name: text() };
    judged.source.file = text();
    judged.violations.iter_mut().for_each(|violation| violation.source.file = text());
    judged.unknown = vec![UnknownRow { policy: "claim-class".to_owned(), missing: text() }];
    judged
}

pub(super) fn report(objects: Vec<Judged>) -> Report {
    Report { objects, ..Report::default() }
}

/// The policies as the formats see them.
pub(super) fn policies() -> &'static PolicySet {
    static POLICIES: OnceLock<PolicySet> = OnceLock::new();
    let one = || PolicySet::embedded(&Settings::default()).unwrap().some(&["class-reclaim-retain".to_owned()]).unwrap();
    POLICIES.get_or_init(one)
}

/// What a format writes of a run.
pub(super) fn written(
    write: fn(&Page<'_>, &mut dyn io::Write) -> io::Result<()>,
    view: View,
    report: &Report,
) -> String {
    let mut out = Vec::new();
    write(&Page { results: report, policies: policies(), view, coverage: None }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// One of everything: a denial, a warning, an exemption, a policy without an answer, an object in order, an error.
pub(super) fn mixed() -> Report {
    let mut object = judged(vec![finding("class-reclaim-retain"), warning("b"), exempt("c")]);
    object.unknown = vec![UnknownRow { policy: "d".to_owned(), missing: "services".to_owned() }];
    let mut fine = judged(vec![]);
    fine.resource.name = "fine".to_owned();
    let source = Some(Source { file: "app/db.yaml".to_owned(), line: 9, column: 1 });
    let error = Failure { source, policy: None, message: "a key twice".to_owned() };
    Report { objects: vec![object, fine], errors: vec![error], notes: Vec::new() }
}
