//! `cluster.yaml` of a case: that it is also run on a real API server, and what must be seen there (format: `docs/testing.md`).

use crate::policy::metadata::Metadata;
use crate::policy::mode::{Action, Tier};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a policy does to a request, as the person at `kubectl` sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
pub enum Act {
    /// Rejected.
    Deny,
    /// A `Warning:` line.
    Warn,
    /// A safe default is written and announced.
    Patch,
    /// Nothing is seen; the API server's audit log has it.
    Audit,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Deny, Self::Warn, Self::Patch, Self::Audit];

    /// The tiers in which a policy acts so.
    #[must_use]
    pub fn tiers(self, policy: &Metadata) -> Vec<Tier> {
        let action = match self {
            Self::Deny => Action::Deny,
            Self::Warn => Action::Warn,
            Self::Audit => Action::Audit,
            Self::Patch => return policy.patch.iter().copied().collect(),
        };
        Tier::ALL.iter().copied().filter(|tier| policy.actions.get(*tier) == action).collect()
    }
}

/// One run of the case on a real API server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterRun {
    /// What must be seen.
    pub act: Act,
    /// Tier of the namespace; for a kind without namespace the default tier.
    pub tier: Tier,
    /// True where the input's kind comes with a CustomResourceDefinition.
    #[serde(default)]
    pub custom: bool,
    /// The file that holds it, in the folder that `SEAWALL_CRDS` names.
    #[serde(default)]
    pub crd: Option<String>,
}

/// `cluster.yaml`: one run, or a list of them for several tiers.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used; the file is read as a value first, for better messages")]
pub(super) enum ClusterFile {
    /// In one tier.
    One(ClusterRun),
    /// In several tiers.
    Several(Vec<ClusterRun>),
}
