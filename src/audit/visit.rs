//! The walk of an audit for those who judge by themselves: every object that an audit would judge, as a request, with the facts
//! that an audit would have.

use super::judge::{Lasting, groups, is_made};
use super::stream::Source;
use super::walk::Batch;
use super::{AuditError, Budget, Options, Progress, plan, walk};
use crate::admission::request::{Gvk, Request};
use crate::config::SYSTEM_NAMESPACES;
use crate::context::facts::Facts;
use crate::policy::store::PolicySet;
use crate::report::Failure;
use crate::report::coverage::Coverage;
use kube::Client;
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

/// Who is shown the objects.
pub trait Visitor: Send + 'static {
    /// An object, and when it is a StatefulSet the claims that its controller made. `facts` are the same value for all
    /// objects of a namespace.
    fn visit(&mut self, first: &Request, claims: &[Request], facts: &Arc<Facts>);

    /// An object that cannot be shown.
    fn failed(&mut self, failure: Failure);
}

/// Walks what any of these sets match, with the facts that any of them needs. Of `options` the namespaces, the selector, the
/// page and the calls count. Namespaces that a configuration excludes are shown.
///
/// # Errors
/// When nothing can be read. A kind that cannot be listed is no error but named in the coverage.
pub async fn visit<V: Visitor>(
    client: &Client,
    sets: &[&PolicySet],
    options: &Options,
    progress: impl FnMut(&Progress) + Send + 'static,
    visitor: V,
) -> Result<(Coverage, V), AuditError> {
    let budget = Budget::new(options.pause);
    let plan = plan::Plan::of_sets(client, sets, &budget).await.map_err(|e| AuditError::Cluster(Box::new(e)))?;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let showing = Showing { options: options.clone(), visitor, coverage: Coverage::default() };
    let shown = tokio::task::spawn_blocking(move || showing.run(receiver, progress));
    let walked = walk::walk(client, plan, options, &budget, &sender).await;
    drop(sender);
    let Showing { visitor, mut coverage, .. } = shown.await.map_err(|error| AuditError::Stopped(error.to_string()))?;
    let walked = walked?;
    coverage.listed = walked.listed;
    coverage.missing = walked.missing;
    coverage.not_served = walked.not_served;
    coverage.calls = budget.calls();
    Ok((coverage, visitor))
}

struct Showing<V> {
    options: Options,
    visitor: V,
    coverage: Coverage,
}

impl<V: Visitor> Showing<V> {
    fn run(mut self, mut batches: Receiver<Batch>, mut progress: impl FnMut(&Progress)) -> Self {
        let mut so_far = Progress::default();
        let mut lasting = Lasting::default();
        while let Some(batch) = batches.blocking_recv() {
            so_far.listed += batch.parts.iter().map(|part| part.objects.len() as u64).sum::<u64>();
            so_far.namespace.clone_from(&batch.namespace);
            progress(&so_far);
            let facts = Arc::new(lasting.facts(&batch));
            for group in groups(super::judge::items(&batch, &self.options.selector)) {
                let mut requests = Vec::with_capacity(group.claims.len() + 1);
                for item in group.items() {
                    requests.extend(self.request(item.source, item.object));
                }
                if let Some((first, claims)) = requests.split_first() {
                    so_far.judged += 1;
                    self.visitor.visit(first, claims, &facts);
                }
            }
            progress(&so_far);
        }
        self
    }

    /// `None`: nobody judges it, or it was told why it cannot be.
    fn request(&mut self, source: &Source, object: &Value) -> Option<Request> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let of_namespace =
            if source.resource == "namespaces" { text("/metadata/name") } else { text("/metadata/namespace") };
        if !self.options.namespaces.is_empty() && !self.options.namespaces.contains(of_namespace) {
            return None;
        }
        let leaving = object.pointer("/metadata/deletionTimestamp").is_some_and(|t| !t.is_null());
        if leaving || SYSTEM_NAMESPACES.contains(&of_namespace) {
            self.coverage.passed_over += 1;
            return None;
        }
        if is_made(&source.resource, object) {
            self.coverage.children += 1;
            return None;
        }
        let kind = Gvk { kind: text("/kind").to_owned(), ..source.gvk.clone() };
        match Request::of_stored(&kind, &source.gvr, object.clone()) {
            Ok(request) => Some(request),
            Err(error) => {
                let message = format!("{} {}: {error}", text("/kind"), text("/metadata/name"));
                self.visitor.failed(Failure { source: None, policy: None, message });
                None
            }
        }
    }
}
