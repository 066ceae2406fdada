//! Findings for the tests of the formats, hostile ones among them.

use super::{Judged, Report, ResourceId, Source, UnknownRow, Violation};
use crate::admission::pointer::Step;
use crate::decision::{Cap, Finding};
use crate::policy::mode::{Action, Mode, Severity, Tier};
use serde_json::json;

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
    Finding { action: Action::Warn, effective: Action::Warn, severity: Severity::Low, ..finding(policy) }
}

pub(super) fn exempt(policy: &str) -> Finding {
    Finding {
        effective: Action::Audit,
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
