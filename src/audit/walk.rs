//! Walks the kinds side by side and hands over one namespace at a time, with all that a judge must know of it.

use super::plan::Plan;
use super::stream::{Budget, Source, Stream, by_namespace};
use super::volumes::{Collecting, Volumes};
use super::{AuditError, Options};
use crate::report::coverage::{Listed, Missing};
use kube::Client;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc::Sender;

/// The objects of one kind in a batch.
pub(super) struct Part {
    pub(super) source: Source,
    pub(super) objects: Vec<Value>,
}

/// One namespace, or, first of all, what has none.
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
    /// The kinds that were listed to their end, each with the version of the collection from which its list began.
    pub(super) versions: Vec<(Source, String)>,
}

/// Lists everything of a plan and sends the batches.
pub(super) async fn walk(
    client: &Client,
    plan: Plan,
    options: &Options,
    budget: &Budget,
    batches: &Sender<Batch>,
) -> Result<Walked, AuditError> {
    let mut walked = Walked { listed: vec![], missing: plan.missing, not_served: plan.not_served, versions: vec![] };
    let open = |source| Stream::new(client, source, options.page, options.attempts, budget);
    let mut unknown: BTreeSet<String> = walked.missing.iter().map(|m| m.resource.clone()).collect();

    let mut first = Batch { namespace: String::new(), parts: vec![], lasting: true, unknown: BTreeSet::new() };
    // Namespace objects are judged with what is in them, but their labels decide for all batches
    let mut namespaces = None;
    for source in plan.cluster {
        let mut stream = open(source);
        let mut objects = Vec::new();
        while let Some(object) = stream.next().await {
            objects.push(object);
        }
        walked.note(&stream, &mut unknown);
        let mut source = stream.source;
        if source.resource == "namespaces" && source.judged {
            let by_name = objects.iter().map(|object| (super::stream::names(object).1, object.clone())).collect();
            namespaces = Some((Source { fact: false, ..source.clone() }, by_name));
            source.judged = false;
        }
        first.parts.push(Part { source, objects });
    }
    let mut of_namespaces = Namespaces(namespaces);
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
        volumes = Some((stream.source, collecting.finish()?));
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
        batch.parts.extend(of_namespaces.part(&batch.namespace));
        let own = of_namespace(volumes.as_mut(), &batch.namespace)?;
        batch.parts.extend(named(volumes.as_ref(), own, &batch.parts)?);
        batch.unknown.clone_from(&unknown);
        if batches.send(batch).await.is_err() {
            return Ok(walked);
        }
    }
    for stream in &streams {
        walked.note(stream, &mut unknown);
    }
    // volumes without a claim, those whose namespace is gone, and namespaces without anything
    let left = volumes.as_ref().map(|(_, volumes)| volumes.left()).unwrap_or_default();
    let left: BTreeSet<String> = left.into_iter().chain(of_namespaces.left()).collect();
    for namespace in left {
        let parts = streams.iter().map(|s| Part { source: s.source.clone(), objects: vec![] });
        let parts = parts.chain(of_namespaces.part(&namespace));
        let parts = parts.chain(of_namespace(volumes.as_mut(), &namespace)?).collect();
        let batch = Batch { namespace, parts, lasting: false, unknown: unknown.clone() };
        if batches.send(batch).await.is_err() {
            break;
        }
    }
    Ok(walked)
}

/// Namespace objects that were not judged yet, by name.
struct Namespaces(Option<(Source, BTreeMap<String, Value>)>);

impl Namespaces {
    fn part(&mut self, namespace: &str) -> Option<Part> {
        let (source, objects) = self.0.as_mut()?;
        Some(Part { source: source.clone(), objects: vec![objects.remove(namespace)?] })
    }

    fn left(&self) -> Vec<String> {
        self.0.as_ref().map(|(_, objects)| objects.keys().cloned().collect()).unwrap_or_default()
    }
}

fn of_namespace(volumes: Option<&mut (Source, Volumes)>, namespace: &str) -> Result<Option<Part>, AuditError> {
    let Some((source, volumes)) = volumes else { return Ok(None) };
    Ok(Some(Part { source: source.clone(), objects: volumes.of_namespace(namespace)? }))
}

/// The volumes of a namespace's claims, and as facts also those that its claims ask for by name and do not have: not bound yet,
/// or bound to a claim elsewhere.
fn named(
    volumes: Option<&(Source, Volumes)>,
    own: Option<Part>,
    parts: &[Part],
) -> Result<impl Iterator<Item = Part> + use<>, AuditError> {
    let Some(((_, volumes), mut own)) = volumes.zip(own) else { return Ok(None.into_iter().chain(None)) };
    let name = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let claims = parts.iter().filter(|part| part.source.resource == "persistentvolumeclaims").flat_map(|p| &p.objects);
    let mut wanted: BTreeSet<String> = claims.filter_map(|claim| name(claim, "/spec/volumeName")).collect();
    for volume in &own.objects {
        name(volume, "/metadata/name").map(|name| wanted.remove(&name));
    }
    let mut others = Vec::new();
    for name in wanted {
        others.extend(volumes.named(&name)?);
    }
    if others.is_empty() {
        return Ok(Some(own).into_iter().chain(None));
    }
    others.extend(own.objects.iter().cloned());
    let facts = Part { source: Source { judged: false, ..own.source.clone() }, objects: others };
    own.source.fact = false;
    Ok(Some(own).into_iter().chain(Some(facts)))
}

impl Walked {
    fn note(&mut self, stream: &Stream<'_>, unknown: &mut BTreeSet<String>) {
        let resource = stream.source.resource.clone();
        if let Some(reason) = &stream.failed {
            unknown.insert(resource.clone());
            self.missing.push(Missing { resource: resource.clone(), reason: reason.clone() });
        } else if let Some(version) = &stream.version {
            self.versions.push((stream.source.clone(), version.clone()));
        }
        self.listed.push(Listed { resource, objects: stream.count });
    }
}
