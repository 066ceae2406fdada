//! Walks the kinds side by side and hands over one namespace at a time, with all that a judge must know of it.

use super::plan::Plan;
use super::stream::{Budget, Source, Stream, by_namespace};
use super::volumes::{Collecting, Volumes};
use super::{AuditError, Options};
use crate::report::coverage::{Listed, Missing};
use kube::Client;
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::sync::mpsc::Sender;

/// The objects of one kind in a batch.
pub(super) struct Part {
    pub(super) source: Source,
    pub(super) objects: Vec<Value>,
}

/// One namespace, or, first and last of all, what has none.
pub(super) struct Batch {
    /// Empty for what has no namespace.
    pub(super) namespace: String,
    pub(super) parts: Vec<Part>,
    /// Facts that stay known for all batches that follow.
    pub(super) lasting: bool,
    /// Kinds of which the objects of this namespace are not all there.
    pub(super) unknown: BTreeSet<String>,
}

/// What was walked.
pub(super) struct Walked {
    pub(super) listed: Vec<Listed>,
    pub(super) missing: Vec<Missing>,
    pub(super) not_served: Vec<String>,
}

/// Lists everything of a plan and sends the batches.
pub(super) async fn walk(
    client: &Client,
    plan: Plan,
    options: &Options,
    budget: &Budget,
    batches: &Sender<Batch>,
) -> Result<Walked, AuditError> {
    let mut walked = Walked { listed: vec![], missing: plan.missing, not_served: plan.not_served };
    let open = |source| Stream::new(client, source, options.page, options.attempts, budget);
    let mut unknown: BTreeSet<String> = walked.missing.iter().map(|m| m.resource.clone()).collect();

    let mut first = Batch { namespace: String::new(), parts: vec![], lasting: true, unknown: BTreeSet::new() };
    for source in plan.cluster {
        let mut stream = open(source);
        let mut objects = Vec::new();
        while let Some(object) = stream.next().await {
            objects.push(object);
        }
        walked.note(&stream, &mut unknown);
        first.parts.push(Part { source: stream.source, objects });
    }
    first.unknown.clone_from(&unknown);
    if batches.send(first).await.is_err() {
        return Ok(walked);
    }

    let mut volumes = None;
    if let Some(source) = plan.volumes {
        let mut stream = open(source);
        let mut collecting = Collecting::new()?;
        while let Some(volume) = stream.next().await {
            collecting.add(&volume)?;
        }
        walked.note(&stream, &mut unknown);
        let collected = collecting.finish()?;
        // facts for every namespace: a claim may name a volume that is not bound yet
        let source = Source { judged: false, ..stream.source.clone() };
        let parts = vec![Part { source, objects: collected.unclaimed()? }];
        let batch = Batch { namespace: String::new(), parts, lasting: true, unknown: unknown.clone() };
        if batches.send(batch).await.is_err() {
            return Ok(walked);
        }
        volumes = Some((stream.source, collected));
    }
    let mut streams: Vec<Stream<'_>> = plan.namespaced.into_iter().map(open).collect();
    loop {
        let mut next: Option<String> = None;
        for stream in &mut streams {
            if let Some(namespace) = stream.namespace().await
                && next.as_ref().is_none_or(|least| by_namespace(&namespace, least).is_lt())
            {
                next = Some(namespace);
            }
        }
        let Some(namespace) = next else { break };
        let mut batch = Batch { namespace, parts: vec![], lasting: false, unknown: BTreeSet::new() };
        for stream in &mut streams {
            let objects = stream.of_namespace(&batch.namespace).await;
            if stream.failed.is_some() {
                unknown.insert(stream.source.resource.clone());
            }
            batch.parts.push(Part { source: stream.source.clone(), objects });
        }
        batch.parts.extend(of_namespace(volumes.as_mut(), &batch.namespace)?);
        batch.unknown.clone_from(&unknown);
        if batches.send(batch).await.is_err() {
            return Ok(walked);
        }
    }
    for stream in &streams {
        walked.note(stream, &mut unknown);
    }
    // volumes whose namespace is gone, and last of all those without a claim, with the Namespaces in which there is nothing
    let mut left = volumes.as_ref().map(|(_, volumes)| volumes.left()).unwrap_or_default();
    left.retain(|namespace| !namespace.is_empty());
    for namespace in left.into_iter().chain([String::new()]) {
        let parts = streams.iter().map(|s| Part { source: s.source.clone(), objects: vec![] });
        let parts = parts.chain(of_namespace(volumes.as_mut(), &namespace)?).collect();
        let batch = Batch { namespace, parts, lasting: false, unknown: unknown.clone() };
        if batches.send(batch).await.is_err() {
            break;
        }
    }
    Ok(walked)
}

fn of_namespace(volumes: Option<&mut (Source, Volumes)>, namespace: &str) -> Result<Option<Part>, AuditError> {
    let Some((source, volumes)) = volumes else { return Ok(None) };
    Ok(Some(Part { source: source.clone(), objects: volumes.of_namespace(namespace)? }))
}

impl Walked {
    fn note(&mut self, stream: &Stream<'_>, unknown: &mut BTreeSet<String>) {
        let resource = stream.source.resource.clone();
        if let Some(reason) = &stream.failed {
            unknown.insert(resource.clone());
            self.missing.push(Missing { resource: resource.clone(), reason: reason.clone() });
        }
        self.listed.push(Listed { resource, objects: stream.count });
    }
}
