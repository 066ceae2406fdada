//! What a format is given, and what the formats share: the weight of a violation, worst first, places, names, plain text.

use super::coverage::Coverage;
use super::{Failure, Judged, ResourceId, Results, Source, Violation};
use crate::decision::{Cap, Finding};
use crate::policy::mode::{Action, Severity};
use crate::policy::store::PolicySet;
use std::io;

/// A run to be written.
#[derive(Clone, Copy)]
pub struct Page<'r> {
    /// What was found.
    pub results: &'r dyn Results,
    /// The policies that judged.
    pub policies: &'r PolicySet,
    /// What counts.
    pub view: View,
    /// Of an audit: what it saw.
    pub coverage: Option<&'r Coverage>,
}

impl Page<'_> {
    /// Whether everything was read and judged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.results.errors().is_empty() && self.coverage.is_none_or(Coverage::is_complete)
    }

    /// What was not read or not judged, a line each.
    #[must_use]
    pub fn gaps(&self) -> Vec<String> {
        let failure = |Failure { source, policy, message }: &Failure| {
            let at = source.as_ref().map(|s| format!("{}: ", place(s))).unwrap_or_default();
            let policy = policy.as_ref().map(|policy| format!("[{policy}] ")).unwrap_or_default();
            format!("{at}{policy}{message}")
        };
        let missing = self.coverage.into_iter().flat_map(|coverage| &coverage.missing);
        let missing = missing.map(|missing| format!("{} was not seen: {}", missing.resource, missing.reason));
        self.results.errors().iter().map(failure).chain(missing).collect()
    }

    /// Every violation of one weight; formats that show the worst first and not everything ask once for each weight.
    ///
    /// # Errors
    /// Those of `visit`, and when the results cannot be read.
    pub fn of_weight(
        &self,
        verdict: Verdict,
        visit: &mut dyn FnMut(&Judged, &[&Violation]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.results.each(&mut |judged| {
            let fits = |violation: &&Violation| self.view.of(&violation.finding) == verdict;
            let violations: Vec<&Violation> = judged.violations.iter().filter(fits).collect();
            if violations.is_empty() { Ok(()) } else { visit(judged, &violations) }
        })
    }
}

/// What a violation counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// What is done about it in the mode that holds: for manifests.
    AsIs,
    /// What would be done about it in mode enforce: for what is stored, where the mode may still be audit and everything would
    /// look harmless. What an operator owns is recorded in every mode: it is judged at the operator's resource.
    AsEnforced,
}

/// The weight of a violation, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Rejects.
    Deny,
    /// Warns.
    Warn,
    /// Is recorded.
    Audit,
    /// An exemption spares it.
    Exempt,
}

impl Verdict {
    /// All, worst first.
    pub const ALL: [Self; 4] = [Self::Deny, Self::Warn, Self::Audit, Self::Exempt];

    /// One word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Warn => "warn",
            Self::Audit => "audit",
            Self::Exempt => "exempt",
        }
    }
}

impl View {
    /// The weight of a violation.
    #[must_use]
    pub fn of(self, finding: &Finding) -> Verdict {
        if finding.capped_by == Some(Cap::Exemption) {
            return Verdict::Exempt;
        }
        let action = match self {
            Self::AsIs => finding.effective,
            Self::AsEnforced => finding.in_enforce,
        };
        match action {
            Action::Deny => Verdict::Deny,
            Action::Warn => Verdict::Warn,
            Action::Audit | Action::Off => Verdict::Audit,
        }
    }

    /// The word for it: what is found in stored objects is not rejected any more.
    #[must_use]
    pub const fn word(self, verdict: Verdict) -> &'static str {
        match (self, verdict) {
            (Self::AsEnforced, Verdict::Deny) => "would deny",
            (Self::AsEnforced, Verdict::Warn) => "would warn",
            _ => verdict.as_str(),
        }
    }
}

/// How bad, 0 worst.
#[must_use]
pub const fn rank(severity: Severity) -> u8 {
    match severity {
        Severity::Critical => 0,
        Severity::High => 1,
        Severity::Medium => 2,
        Severity::Low => 3,
    }
}

/// `Kind namespace/name`.
#[must_use]
pub fn name(resource: &ResourceId) -> String {
    match &resource.namespace {
        Some(namespace) => format!("{} {namespace}/{}", resource.kind, resource.name),
        None => format!("{} {}", resource.kind, resource.name),
    }
}

/// `file:line:column`; the file alone where there is no line.
#[must_use]
pub fn place(source: &Source) -> String {
    match source.line {
        0 => source.file.clone(),
        line => format!("{}:{line}:{}", source.file, source.column),
    }
}

/// What came from a manifest must neither break lines nor drive what shows it: control characters, and those that turn the
/// direction of text around (Unicode 16 section 23.2), become U+FFFD; so do those that XML has no place for.
#[must_use]
pub fn plain(text: &str) -> String {
    let hostile = |c: char| {
        c.is_control() || matches!(u32::from(c), 0x202A..=0x202E | 0x2066..=0x2069 | 0x2028 | 0x2029 | 0xFFFE | 0xFFFF)
    };
    text.chars().map(|c| if hostile(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `1 denial`, `2 denials`.
#[must_use]
pub fn plural(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
