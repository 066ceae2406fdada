//! What a review knows besides the request.

use crate::admission::request::Request;
use crate::config::Settings;
use crate::context::facts::Facts;
use crate::context::scope;
use crate::decision::Scope;
use crate::engine::evaluate::Data;
use crate::engine::value;
use crate::policy::matcher::Rows;
use crate::policy::mode::{Mode, PatchSetting, Tier};
use crate::policy::store::PolicySet;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that a review depends on besides the request. Immutable; requests share it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The policies.
    pub policies: Arc<PolicySet>,
    /// The configuration.
    pub settings: Arc<Settings>,
    /// The facts.
    pub facts: Arc<Facts>,
    /// The clock.
    pub now: jiff::Timestamp,
    /// Which rows of the policies' match count.
    pub(super) rows: Rows,
    /// What holds instead of the labels.
    forced: Forced,
    data: Data,
}

/// What holds instead of labels and defaults: "what if everything were enforced".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forced {
    /// For every object.
    pub mode: Option<Mode>,
    /// For every object that does not ask for more itself.
    pub tier: Option<Tier>,
    /// For every object.
    pub patch: Option<PatchSetting>,
}

impl Snapshot {
    /// A snapshot of these parts.
    #[must_use]
    pub fn new(policies: Arc<PolicySet>, settings: Arc<Settings>, facts: Arc<Facts>, now: jiff::Timestamp) -> Self {
        let seawall = value::object([("knowledge", policies.knowledge())]);
        let data = Data::new(value::object([("cluster", facts.data()), ("seawall", seawall)]));
        Self { policies, settings, facts, now, rows: Rows::Registered, forced: Forced::default(), data }
    }

    /// The same snapshot for manifests and stored objects: what is never registered is judged as well.
    #[must_use]
    pub fn with_unregistered(self) -> Self {
        Self { rows: Rows::All, ..self }
    }

    /// The same snapshot with something that holds instead of the labels.
    #[must_use]
    pub fn forcing(self, forced: Forced) -> Self {
        Self { forced, ..self }
    }

    /// What the labels say about a request, or what holds instead.
    #[must_use]
    pub fn scope(&self, request: &Request) -> Scope {
        let found = scope::scope(request, &self.facts, self.settings.defaults);
        let raised = scope::raised(request);
        let tier = self.forced.tier.map_or(found.tier, |tier| raised.map_or(tier, |raised| tier.min(raised)));
        let mode = self.forced.mode.unwrap_or(found.mode);
        Scope { tier, mode, patch: self.forced.patch.unwrap_or(found.patch) }
    }

    /// The same snapshot at another time.
    #[must_use]
    pub fn at(&self, now: jiff::Timestamp) -> Self {
        Self { now, ..self.clone() }
    }

    /// The same snapshot with one more namespace known (answered by a live GET). Policies' facts stay as they are.
    #[must_use]
    pub fn with_namespace(&self, name: &str, labels: BTreeMap<String, String>) -> Self {
        Self { facts: Arc::new(self.facts.with_namespace(name, labels)), ..self.clone() }
    }

    /// The document that policies see as `data`.
    #[must_use]
    pub const fn data(&self) -> &Data {
        &self.data
    }
}
