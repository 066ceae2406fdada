//! The exemptions of a cluster: the same walk as an audit, but nothing is judged, and only the kinds that policies match are listed,
//! with the Namespaces, whose labels bound what an annotation may say.

use super::walk::{Batch, Part};
use super::{AuditError, Budget, Options, plan, walk};
use crate::admission::request::{Gvk, Request};
use crate::config::Settings;
use crate::context::facts::{Fact, Facts};
use crate::policy::store::PolicySet;
use crate::report::exemptions::Listing;
use crate::report::{Failure, ResourceId};
use crate::review::Snapshot;
use kube::Client;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Lists the exemptions of a cluster; of `options` the namespaces, the page and the calls count.
///
/// # Errors
/// When nothing can be read. A kind that cannot be listed is no error but named.
pub async fn list(
    client: &Client,
    policies: &Arc<PolicySet>,
    settings: &Arc<Settings>,
    options: &Options,
    now: jiff::Timestamp,
) -> Result<Listing, AuditError> {
    let budget = Budget::new(options.pause);
    let plan = plan::Plan::judged(client, policies, &budget).await.map_err(|e| AuditError::Cluster(Box::new(e)))?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let (policies, settings, of) = (policies.clone(), settings.clone(), options.clone());
    let collecting = tokio::task::spawn_blocking(move || collect(receiver, &policies, &settings, &of, now));
    let walked = walk::walk(client, plan, options, &budget, &sender).await;
    drop(sender);
    let mut listing = collecting.await.map_err(|error| AuditError::Stopped(error.to_string()))?;
    listing.missing = walked?.missing;
    listing.sort();
    Ok(listing)
}

fn collect(
    mut batches: Receiver<Batch>,
    policies: &Arc<PolicySet>,
    settings: &Arc<Settings>,
    options: &Options,
    now: jiff::Timestamp,
) -> Listing {
    let mut listing = Listing::new(settings, now);
    let snapshot = |facts| Snapshot::new(policies.clone(), settings.clone(), Arc::new(facts), now);
    let mut known = snapshot(Facts::default());
    while let Some(batch) = batches.blocking_recv() {
        // all of them, in the first batch; each comes once more with what is in it
        if let Some(part) = batch.parts.iter().find(|part| part.source.resource == "namespaces" && part.source.fact) {
            let namespaces: Vec<Fact> = part.objects.iter().filter_map(|o| Fact::new("namespaces", o)).collect();
            let mut facts = Facts::default();
            facts.set_kind("namespaces", &namespaces);
            known = snapshot(facts);
        }
        for part in batch.parts.iter().filter(|part| part.source.judged) {
            part.objects.iter().for_each(|object| see(&mut listing, part, object, &known, options));
        }
    }
    listing
}

fn see(listing: &mut Listing, part: &Part, object: &Value, snapshot: &Snapshot, options: &Options) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let namespace = text("/metadata/namespace");
    let of_namespace = if part.source.resource == "namespaces" { text("/metadata/name") } else { namespace };
    if !options.namespaces.is_empty() && !options.namespaces.contains(of_namespace) {
        return;
    }
    let kind = Gvk { kind: text("/kind").to_owned(), ..part.source.gvk.clone() };
    let resource = ResourceId {
        api_version: kind.api_version(),
        kind: kind.kind.clone(),
        namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
        name: text("/metadata/name").to_owned(),
    };
    match Request::of_stored(&kind, &part.source.gvr, object.clone()) {
        Ok(request) => listing.see(&request, snapshot, &resource, None),
        Err(error) => {
            let message = format!("{}: {error}", crate::report::page::name(&resource));
            listing.errors.push(Failure { source: None, policy: None, message });
        }
    }
}
