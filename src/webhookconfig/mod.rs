//! ValidatingWebhookConfiguration and MutatingWebhookConfiguration made from the policies that are loaded.
//!
//! [`rules`] turns the policies' `match` into what is registered, this module decides which webhook asks for what, and
//! [`apply`] keeps the result in the cluster. Nothing here looks at requests.
//!
//! Which webhook sees what:
//!
//! | webhook | failure | objects |
//! | --- | --- | --- |
//! | `enforce` | Fail | in namespaces in mode enforce, of kinds for which some policy can deny |
//! | `advise` | Ignore | in namespaces in mode enforce, of kinds for which no policy can deny |
//! | `observe` | Ignore | in namespaces in mode warn or audit |
//! | `enforce-namespaces`, `observe-namespaces` | Fail, Ignore | Namespace objects, by their labels before *and* after |
//! | `mutate` | Ignore | CREATE of kinds that some policy patches, wherever the mode is not off |
//! | `restore` | Ignore | UPDATE of objects that carry the record of our patches, whatever the mode is now |
//!
//! Cluster-scoped kinds, which ignore a namespaceSelector, are in `enforce` when the default mode is enforce and else in
//! `observe`. Subresources have webhooks of their own (`enforce-scale`): a Scale has neither labels nor a template.
//!
//! Every field that the API server would default is written, so that what is stored equals what was generated.

pub mod apply;
pub mod bundle;
pub mod conditions;
#[cfg(test)]
pub(crate) mod fake;
pub mod rules;
pub mod target;

pub use target::WebhookTarget;

use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::scope::MODE;
use crate::policy::metadata::Metadata;
use crate::policy::mode::Mode;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhook,
    ValidatingWebhookConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement, ObjectMeta};
use rules::{Registered, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// Name of both configuration objects.
pub const NAME: &str = "seawall";
/// Suffix of the webhooks' names.
const DOMAIN: &str = "seawall.dev";
/// The label that every namespace has with its own name; the API server sets it and keeps it.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// Seconds that the API server waits. Short: the callers' own time-outs (5 to 10 s for controllers) must not run out.
const ENFORCE_SECONDS: i32 = 5;
const OBSERVE_SECONDS: i32 = 2;
const MUTATE_SECONDS: i32 = 3;

/// Why no configuration can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookConfigError {
    /// A policy asks for a `status` subresource.
    #[error(
        "policy {policy} matches {resource}: status is written by controllers all the time and is never sent to a \
         webhook; match the resource itself"
    )]
    Status {
        /// Policy id.
        policy: String,
        /// As matched.
        resource: String,
    },
}

/// Where the API server finds Seawall and what it is to leave alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Service or URL.
    pub target: WebhookTarget,
    /// PEM certificates by which the API server knows the server. `None`: left out, so that the API server's system
    /// roots count (URL with a public certificate) or another program (cert-manager's CA injector) fills it in.
    pub ca_bundle: Option<String>,
    /// Namespace in which Seawall runs; never judged, or it could lock itself out.
    pub own_namespace: Option<String>,
    /// User name of Seawall's own ServiceAccount, `system:serviceaccount:NS:NAME`.
    pub own_user: Option<String>,
}

/// Both configuration objects.
#[derive(Debug, Clone, PartialEq)]
pub struct Configurations {
    /// Deny, warn, audit.
    pub validating: ValidatingWebhookConfiguration,
    /// Patches.
    pub mutating: MutatingWebhookConfiguration,
}

/// Makes the configurations of a policy set; the metadata are those after the configuration's overrides.
///
/// # Errors
/// When a policy asks for what a webhook must not be registered for.
pub fn generate<'m>(
    policies: impl IntoIterator<Item = &'m Metadata>,
    settings: &Settings,
    options: &Options,
) -> Result<Configurations, WebhookConfigError> {
    let registered = rules::registered(policies)?;
    let plan = Plan { registered: &registered, settings, options };
    let metadata = || ObjectMeta {
        name: Some(NAME.to_owned()),
        labels: Some(BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), "seawall".to_owned()),
            ("app.kubernetes.io/name".to_owned(), "seawall".to_owned()),
        ])),
        ..ObjectMeta::default()
    };
    Ok(Configurations {
        validating: ValidatingWebhookConfiguration {
            metadata: metadata(),
            webhooks: Some(plan.validating().into_iter().map(|webhook| webhook.validating(options)).collect()),
        },
        mutating: MutatingWebhookConfiguration {
            metadata: metadata(),
            webhooks: Some(plan.mutating().into_iter().map(|webhook| webhook.mutating(options)).collect()),
        },
    })
}

/// What the two kinds of webhooks have in common.
struct Webhook {
    name: String,
    fails: bool,
    seconds: i32,
    path: &'static str,
    namespaces: Vec<LabelSelectorRequirement>,
    objects: Vec<LabelSelectorRequirement>,
    conditions: Vec<MatchCondition>,
    rules: Vec<RuleWithOperations>,
}

struct Plan<'p> {
    registered: &'p [Registered],
    settings: &'p Settings,
    options: &'p Options,
}

impl Plan<'_> {
    fn validating(&self) -> Vec<Webhook> {
        let mut webhooks = Vec::new();
        let subresources: BTreeSet<&str> = self.registered.iter().map(|row| row.subresource.as_str()).collect();
        for kind in [Kind::Enforce, Kind::Advise, Kind::Observe] {
            for subresource in &subresources {
                let rows: Vec<Registered> = self
                    .registered
                    .iter()
                    .filter(|row| row.subresource == *subresource && !row.is_namespace() && !row.validate.is_empty())
                    .flat_map(Registered::scoped)
                    .filter(|row| self.belongs(kind, row))
                    .collect();
                webhooks.extend(self.webhook(kind, kind.name(subresource), &rows, Vec::new()));
            }
            let namespaces: Vec<Registered> =
                self.registered.iter().filter(|row| row.is_namespace() && !row.validate.is_empty()).cloned().collect();
            // old and new labels are looked at, so lowering the mode is still seen by the webhook that fails closed
            if kind != Kind::Advise {
                webhooks.extend(self.webhook(
                    kind,
                    kind.name("namespaces"),
                    &namespaces,
                    kind.modes(self.default_mode()),
                ));
            }
        }
        webhooks
    }

    fn webhook(
        &self,
        kind: Kind,
        name: String,
        rows: &[Registered],
        objects: Vec<LabelSelectorRequirement>,
    ) -> Option<Webhook> {
        if rows.is_empty() {
            return None;
        }
        let mut namespaces = vec![self.included()];
        if objects.is_empty() {
            namespaces.extend(kind.modes(self.default_mode()));
        }
        let fails = kind == Kind::Enforce;
        Some(Webhook {
            name,
            fails,
            seconds: if fails { ENFORCE_SECONDS } else { OBSERVE_SECONDS },
            path: if fails { "/validate/enforce" } else { "/validate/observe" },
            namespaces,
            objects,
            conditions: conditions::validation(rows, self.options.own_user.as_deref()),
            rules: rules::compact(rows.iter().map(|row| (row, row.validate.clone()))),
        })
    }

    /// Whether a row is registered in a webhook.
    fn belongs(&self, kind: Kind, row: &Registered) -> bool {
        let default = self.default_mode();
        match (row.scope, kind) {
            (Scope::Cluster, _) => {
                let enforced = default == Mode::Enforce && row.can_deny;
                // a volume follows the namespace of its claim, whatever the default says
                let seen = default != Mode::Off || row.is_volume();
                match kind {
                    Kind::Enforce => enforced,
                    Kind::Advise => false,
                    Kind::Observe => seen && !enforced,
                }
            }
            (_, Kind::Enforce) => row.can_deny,
            (_, Kind::Advise) => !row.can_deny,
            (_, Kind::Observe) => true,
        }
    }

    fn mutating(&self) -> Vec<Webhook> {
        let default = self.default_mode();
        let created: Vec<Registered> = self
            .registered
            .iter()
            .filter(|row| row.patched && row.subresource.is_empty())
            .flat_map(Registered::scoped)
            .filter(|row| row.scope != Scope::Cluster || default != Mode::Off || row.is_volume())
            .collect();
        let stored: Vec<Registered> =
            self.registered.iter().filter(|row| row.subresource.is_empty()).flat_map(Registered::scoped).collect();
        let webhook =
            |name: &str, modes: Vec<LabelSelectorRequirement>, conditions, rows: &[Registered], operation: &str| {
                let mut namespaces = vec![self.included()];
                namespaces.extend(modes);
                let operations = BTreeSet::from([operation.to_owned()]);
                (!rows.is_empty()).then(|| Webhook {
                    name: format!("{name}.{DOMAIN}"),
                    fails: false,
                    seconds: MUTATE_SECONDS,
                    path: "/mutate",
                    namespaces,
                    objects: Vec::new(),
                    conditions,
                    rules: rules::compact(rows.iter().map(|row| (row, operations.clone()))),
                })
            };
        // no user is spared: the volumes that we patch are made by the CSI drivers' service accounts
        let on = if default == Mode::Off { within(MODE, true, LIVE) } else { within(MODE, false, &[Mode::Off]) };
        let mutate = webhook("mutate", vec![on], Vec::new(), &created, "CREATE");
        let restore = webhook("restore", Vec::new(), vec![conditions::has_record()], &stored, "UPDATE");
        mutate.into_iter().chain(restore).collect()
    }

    /// All namespaces but those that are left alone.
    fn included(&self) -> LabelSelectorRequirement {
        let mut names: BTreeSet<String> = SYSTEM_NAMESPACES.iter().map(|name| (*name).to_owned()).collect();
        names.extend(self.options.own_namespace.clone());
        names.extend(self.settings.excluded_namespaces.iter().cloned());
        LabelSelectorRequirement {
            key: NAMESPACE_NAME.to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(names.into_iter().collect()),
        }
    }

    const fn default_mode(&self) -> Mode {
        self.settings.defaults.mode
    }
}

/// The validating webhooks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enforce,
    Advise,
    Observe,
}

/// The modes in which something is evaluated.
const LIVE: &[Mode] = &[Mode::Enforce, Mode::Warn, Mode::Audit];

impl Kind {
    fn name(self, of: &str) -> String {
        let kind = match self {
            Self::Enforce => "enforce",
            Self::Advise => "advise",
            Self::Observe => "observe",
        };
        if of.is_empty() { format!("{kind}.{DOMAIN}") } else { format!("{kind}-{of}.{DOMAIN}") }
    }

    /// The selector on the mode label. Whatever is no mode, and no label at all, follows the default, as it does when a
    /// request is judged.
    fn modes(self, default: Mode) -> Vec<LabelSelectorRequirement> {
        vec![match (self, default) {
            (Self::Enforce | Self::Advise, Mode::Enforce) => within(MODE, false, &[Mode::Warn, Mode::Audit, Mode::Off]),
            (Self::Enforce | Self::Advise, _) => within(MODE, true, &[Mode::Enforce]),
            (Self::Observe, Mode::Warn | Mode::Audit) => within(MODE, false, &[Mode::Enforce, Mode::Off]),
            (Self::Observe, Mode::Enforce | Mode::Off) => within(MODE, true, &[Mode::Warn, Mode::Audit]),
        }]
    }
}

fn within(key: &str, inside: bool, modes: &[Mode]) -> LabelSelectorRequirement {
    LabelSelectorRequirement {
        key: key.to_owned(),
        operator: if inside { "In" } else { "NotIn" }.to_owned(),
        values: Some(modes.iter().map(ToString::to_string).collect()),
    }
}

fn selector(requirements: Vec<LabelSelectorRequirement>) -> Option<LabelSelector> {
    let match_expressions = Some(requirements).filter(|list| !list.is_empty());
    Some(LabelSelector { match_expressions, match_labels: None })
}

impl Webhook {
    fn validating(self, options: &Options) -> ValidatingWebhook {
        ValidatingWebhook {
            admission_review_versions: vec!["v1".to_owned()],
            client_config: options.target.client_config(self.path, options.ca_bundle.as_ref().map(bytes)),
            failure_policy: Some(failure_policy(self.fails)),
            match_conditions: Some(self.conditions).filter(|list| !list.is_empty()),
            match_policy: Some("Equivalent".to_owned()),
            name: self.name,
            namespace_selector: selector(self.namespaces),
            object_selector: selector(self.objects),
            rules: Some(self.rules),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(self.seconds),
        }
    }

    fn mutating(self, options: &Options) -> MutatingWebhook {
        MutatingWebhook {
            admission_review_versions: vec!["v1".to_owned()],
            client_config: options.target.client_config(self.path, options.ca_bundle.as_ref().map(bytes)),
            failure_policy: Some(failure_policy(self.fails)),
            match_conditions: Some(self.conditions).filter(|list| !list.is_empty()),
            match_policy: Some("Equivalent".to_owned()),
            name: self.name,
            namespace_selector: selector(self.namespaces),
            object_selector: selector(self.objects),
            reinvocation_policy: Some("IfNeeded".to_owned()),
            rules: Some(self.rules),
            side_effects: "None".to_owned(),
            timeout_seconds: Some(self.seconds),
        }
    }
}

fn failure_policy(fails: bool) -> String {
    if fails { "Fail" } else { "Ignore" }.to_owned()
}

fn bytes(pem: &String) -> ByteString {
    ByteString(pem.as_bytes().to_vec())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
