//! The exemptions in manifests.

use super::input::Input;
use super::manifest::Manifests;
use super::request;
use crate::config::Settings;
use crate::context::kinds::Kinds;
use crate::context::manifest::Known;
use crate::policy::mode::Tier;
use crate::policy::store::PolicySet;
use crate::report::Failure;
use crate::report::exemptions::Listing;
use crate::review::Snapshot;
use std::sync::Arc;

/// Lists the exemptions of an input, and what a person should know. Namespaces in the input tell the tier, else `tier` does, else
/// the configuration.
#[must_use]
pub fn list(
    input: Input,
    policies: &Arc<PolicySet>,
    settings: &Settings,
    tier: Option<Tier>,
    namespace: &str,
    now: jiff::Timestamp,
) -> (Listing, Vec<String>) {
    let mut kinds = Kinds::new(policies.api_versions().clone());
    Manifests::learn(&mut kinds, &input);
    let manifests = Manifests::read(input, &kinds, namespace);
    let mut settings = settings.clone();
    settings.defaults.tier = tier.unwrap_or(settings.defaults.tier);
    let mut listing = Listing::new(&settings, now);
    let names: Vec<String> = manifests.objects.iter().map(|manifest| manifest.resource.fact_name()).collect();
    let own = names.iter().map(String::as_str).zip(manifests.objects.iter().map(|manifest| &manifest.object));
    let facts = Known::default().facts(own, true);
    let snapshot = Snapshot::new(policies.clone(), Arc::new(settings), Arc::new(facts), now);
    listing.errors = manifests.errors;
    for manifest in &manifests.objects {
        let source = manifest.source([]);
        match request::create(manifest) {
            Ok(request) => listing.see(&request, &snapshot, &manifest.id, Some(source)),
            Err(error) => {
                listing.errors.push(Failure { source: Some(source), policy: None, message: error.to_string() });
            }
        }
    }
    listing.sort();
    (listing, manifests.notes)
}
