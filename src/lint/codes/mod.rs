//! The table of codes. Pages are made from it ([`super::pages`]), and a test runs both examples of each.

mod engine;
mod files;
mod metadata;
mod rego;
mod result;

use super::Level;
use crate::words::closest;
use std::sync::LazyLock;

/// What a finding is called, and what is said about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// `category/name`
    pub name: &'static str,
    /// How much it matters unless flags say otherwise.
    pub level: Level,
    /// Whether the loader refuses such a policy.
    pub refused: bool,
    /// What it is, in one line.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// An example in which it is found.
    pub bad: Example,
    /// The same done right.
    pub good: Example,
}

/// An example, as what differs from the standard policy.
#[derive(Debug, PartialEq, Eq)]
pub enum Example {
    /// Rules that are added.
    Rules(&'static str),
    /// Lines below `custom` in METADATA, and rules that are added.
    With(&'static str, &'static str),
    /// Lines below `custom`, and rules that replace those of the standard policy.
    Only(&'static str, &'static str),
    /// The line of METADATA that begins so, and what stands there instead.
    Instead(&'static str, &'static str),
    /// Lines below `custom`, rules that are added, and rules that are added to a second policy of the same kind, `other`.
    Second(&'static str, &'static str, &'static str),
    /// Files that are added or replaced, by path in the bundle; without text: there is none.
    Files(&'static [(&'static str, &'static str)]),
    /// What cannot be shown as text; a test makes it.
    Made(&'static str),
}

impl Code {
    /// The part before `/`.
    #[must_use]
    pub fn category(&self) -> &'static str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether a name of the command line means it: its own, or its category.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.category() == name
    }

    /// The path of its page.
    #[must_use]
    pub fn page(&self) -> String {
        format!("docs/lint/{}.md", self.name)
    }
}

/// The code with a name.
#[must_use]
pub fn get(name: &str) -> Option<&'static Code> {
    CODES.iter().copied().find(|code| code.name == name)
}

/// `; did you mean "x"?` where a code is near.
#[must_use]
pub fn closest_code(name: &str) -> String {
    let categories = CODES.iter().map(|code| code.category());
    closest(name, CODES.iter().map(|code| code.name).chain(categories))
}

const fn error(
    name: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    bad: Example,
    good: Example,
) -> Code {
    Code { name, level: Level::Error, refused: false, title, why, fix, bad, good }
}

/// An error that the loader refuses too.
const fn refused(
    name: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    bad: Example,
    good: Example,
) -> Code {
    Code { name, level: Level::Error, refused: true, title, why, fix, bad, good }
}

const fn warning(
    name: &'static str,
    title: &'static str,
    why: &'static str,
    fix: &'static str,
    bad: Example,
    good: Example,
) -> Code {
    Code { name, level: Level::Warning, refused: false, title, why, fix, bad, good }
}

/// The METADATA of the policy of the examples.
pub const STANDARD_BLOCK: &str = r#"# METADATA
# title: StatefulSets have two replicas
# description: With one replica every drain of a node is an outage.
# related_resources: [{ref: "https://kubernetes.io/docs/tasks/run-application/configure-pdb/"}]
# custom:
#   id: example
#   checklist: scaling
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Audit}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}
package seawall.policies.example
"#;

/// Its rules.
pub const STANDARD_RULES: &str = r#"violation contains problem(["spec", "replicas"]) if {
	input.request.object.spec.replicas == 1
}

problem(path) := {
	"msg": "one replica is an outage whenever its node is drained",
	"path": path,
	"wanted": "two or more",
	"fix": "replicas: 2",
}
"#;

/// All codes, by category.
pub static CODES: LazyLock<Vec<&'static Code>> =
    LazyLock::new(|| [files::ALL, metadata::ALL, rego::ALL, engine::ALL, result::ALL].into_iter().flatten().collect());
