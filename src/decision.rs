//! Violations and actions become findings: what was found, and what is done about it here.

use crate::admission::pointer::{self, Path};
use crate::policy::mode::{Action, Mode, PatchSetting, Severity, Tier};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the labels (and the configuration's defaults) say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// How much the data matters.
    pub tier: Tier,
    /// Caps every action.
    pub mode: Mode,
    /// Whether safe defaults are written.
    pub patch: PatchSetting,
}

/// One violation with all that is needed to report it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Policy id.
    pub policy: String,
    /// Checklist item of the policy.
    pub checklist: String,
    /// Severity of the policy.
    pub severity: Severity,
    /// Action of the policy in this tier.
    pub action: Action,
    /// Action after the mode and every other cap.
    pub effective: Action,
    /// What the action would be, were the mode enforce and nothing else different.
    pub in_enforce: Action,
    /// Tier that picked the action.
    pub tier: Tier,
    /// Mode that capped it.
    pub mode: Mode,
    /// Path into the object of the request.
    pub path: Path,
    /// What is wrong and why it matters.
    pub message: String,
    /// What was found, where the policy says.
    pub found: Option<Value>,
    /// What is wanted.
    pub wanted: Value,
    /// The smallest change that fixes it.
    pub fix: String,
    /// Identity for ratcheting.
    pub key: String,
    /// The object already was like this before the request.
    pub ratcheted: bool,
    /// Why the action is weaker than the mode alone would have it.
    pub capped_by: Option<Cap>,
    /// More about it: the exemption that spares it, or why one does not count.
    pub note: Option<String>,
    /// `volumeClaimTemplates[data]` or `template` when the policy judged a part of a workload.
    pub expanded_from: Option<String>,
}

/// Why an action was weakened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cap {
    /// The stored object already had the violation.
    Ratchet,
    /// A controller of the cluster asks; its own objects are judged where a person made them.
    SystemUser,
    /// An operator's resource owns the object.
    Operator,
    /// An exemption.
    Exemption,
    /// A request by a break-glass group.
    BreakGlass,
}

impl Finding {
    /// Whether only the mode stands between this violation and a rejection.
    #[must_use]
    pub fn would_deny(&self) -> bool {
        self.in_enforce == Action::Deny && self.effective != Action::Deny
    }

    /// One line for a person: policy, field, what was found, what is wanted, the fix.
    #[must_use]
    pub fn line(&self) -> String {
        let field = field_path(&self.path);
        let found = self.found.as_ref().map(|f| format!(" found {};", inline(f))).unwrap_or_default();
        let note = self.note.as_ref().map(|n| format!("; note: {n}")).unwrap_or_default();
        format!(
            "[{}] {field}: {}{found} wanted {}; fix: {}{note}",
            self.policy,
            sentence(&self.message),
            inline(&self.wanted),
            self.fix
        )
    }
}

/// A policy that could not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyFailure {
    /// Policy id.
    pub policy: String,
    /// Its own effective action, by which the failure is answered.
    pub effective: Action,
    /// What went wrong, in one line.
    pub reason: String,
    /// Bounded word for metrics: `error`, `timeout`, `panic`, `result`, `skipped`.
    pub kind: &'static str,
}

/// A policy whose facts are not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// Policy id.
    pub policy: String,
    /// The resource that is not synced.
    pub missing: String,
}

/// A path as users write it: `spec.template.spec.containers[0].image`.
#[must_use]
pub fn field_path(path: &[pointer::Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            pointer::Step::Index(index) => text.push_str(&format!("[{index}]")),
            pointer::Step::Key(key) if key.contains(['.', '/']) => text.push_str(&format!("[{key:?}]")),
            pointer::Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(key);
            }
        }
    }
    if text.is_empty() { "(object)".to_owned() } else { text }
}

/// A value in one line: text as it is, anything else as JSON, cut after 200 characters.
#[must_use]
pub fn inline(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() > 200 { text.chars().take(199).chain(['…']).collect() } else { text }
}

/// The message with a full stop, so that what follows reads as the next sentence.
fn sentence(message: &str) -> String {
    let message = message.trim();
    if message.ends_with(['.', '!', '?']) { message.to_owned() } else { format!("{message}.") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::pointer::Step;

    #[test]
    fn fields_read_as_written_in_manifests() {
        let key = |k: &str| Step::Key(k.into());
        assert_eq!(
            field_path(&[key("spec"), key("containers"), Step::Index(0), key("image")]),
            "spec.containers[0].image"
        );
        assert_eq!(
            field_path(&[key("metadata"), key("labels"), key("seawall.dev/mode")]),
            r#"metadata.labels["seawall.dev/mode"]"#
        );
        assert_eq!(field_path(&[]), "(object)");
    }
}
