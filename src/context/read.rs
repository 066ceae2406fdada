//! A cluster read once: the kinds that are asked for, listed in pages, and nothing written. For front ends that live as long
//! as one command; a server follows the cluster by watches (see [`super::cluster`]).

use super::cluster::NAMESPACES;
use super::coverage::{Header, KindRow, MissingRow};
use super::facts::prune;
use super::list::Pages;
use super::resources::{self, Endpoint, ResolveError};
use crate::kubeapi::{Reason, is_status, within};
use kube::Client;
use kube::core::Request;
use kube::core::params::GetParams;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest time for an answer that is no list.
const REQUEST: Duration = Duration::from_secs(30);
/// Longest time for one kind.
const PER_KIND: Duration = Duration::from_secs(180);

/// The API server cannot be used at all.
#[derive(Debug, thiserror::Error)]
#[error("the cluster cannot be read: {}; is it the right one (--kubeconfig, --context)?", Reason(.source))]
pub struct ReadError {
    /// Why.
    #[source]
    source: Box<kube::Error>,
}

/// What is to be read.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Kinds as policies name them.
    pub kinds: BTreeSet<String>,
    /// Only these namespaces; empty: all. Kinds without a namespace are read whole, but for the Namespaces themselves.
    pub namespaces: BTreeSet<String>,
    /// Where a kind may not be listed in all namespaces, these are tried.
    pub fallback: BTreeSet<String>,
    /// How much may be kept.
    pub bounds: Bounds,
}

/// How much is read at most; what has more counts as not read.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Objects of one kind.
    pub objects: usize,
    /// Bytes of all answers together, as they come from the API server.
    pub bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { objects: 200_000, bytes: 512 * 1024 * 1024 }
    }
}

/// What was read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What is in it and what is not.
    pub header: Header,
    /// The objects, pruned, with their kind as policies name it; by kind, namespace and name.
    pub objects: Vec<(String, Json)>,
}

/// Why one kind was not read.
enum Failure {
    NotServed,
    Reason(String),
    Api(kube::Error),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

/// Reads a cluster. A kind that cannot be read is named in the header, and the others are read all the same.
///
/// # Errors
/// When the API server cannot be reached or knows no such user.
pub async fn read(client: &Client, wanted: &Wanted, now: jiff::Timestamp) -> Result<Reading, ReadError> {
    let version = within(REQUEST, client.apiserver_version()).await;
    let version = version.map_err(|source| ReadError { source: Box::new(source) })?;
    let mut reading = Reading { header: Header::new(now, version.git_version), objects: Vec::new() };
    let mut reader = Reader { client, wanted, bytes: 0 };
    for resource in &wanted.kinds {
        let read = tokio::time::timeout(PER_KIND, reader.kind(resource)).await;
        let read = read.unwrap_or_else(|_| Err(Failure::Reason(format!("not within {} s", PER_KIND.as_secs()))));
        let missing = |reason: String| MissingRow { resource: resource.clone(), reason };
        match read {
            Ok(kind) => reading.add(resource, kind),
            Err(Failure::NotServed) => reading.header.not_served.push(resource.clone()),
            Err(Failure::Reason(reason)) => reading.header.missing.push(missing(reason)),
            Err(Failure::Api(error)) => reading.header.missing.push(missing(Reason(&error).to_string())),
        }
    }
    Ok(reading)
}

/// One kind that was read.
struct Kind {
    endpoint: Endpoint,
    objects: Vec<Json>,
    namespaces: Option<BTreeSet<String>>,
}

impl Reading {
    fn add(&mut self, resource: &str, kind: Kind) {
        let Kind { endpoint, mut objects, namespaces } = kind;
        let text = |object: &Json, pointer: &str| {
            object.pointer(pointer).and_then(Json::as_str).unwrap_or_default().to_owned()
        };
        objects.sort_by_cached_key(|o| (text(o, "/metadata/namespace"), text(o, "/metadata/name")));
        let of_first = |pointer: &str| objects.first().map(|first| text(first, pointer));
        self.header.kinds.push(KindRow {
            resource: resource.to_owned(),
            api_version: of_first("/apiVersion"),
            kind: of_first("/kind"),
            namespaced: endpoint.namespaced,
            objects: objects.len(),
            namespaces,
        });
        self.objects.extend(objects.into_iter().map(|object| (resource.to_owned(), object)));
    }
}

/// A reading under way.
struct Reader<'r> {
    client: &'r Client,
    wanted: &'r Wanted,
    bytes: usize,
}

impl Reader<'_> {
    async fn kind(&mut self, resource: &str) -> Result<Kind, Failure> {
        let endpoint = resources::resolve(self.client, resource).await.map_err(|error| match error {
            ResolveError::Absent { .. } => Failure::NotServed,
            other => Failure::Reason(other.to_string()),
        })?;
        let parted = endpoint.namespaced || resource == NAMESPACES;
        let (only, fallback) = (self.wanted.namespaces.clone(), self.wanted.fallback.clone());
        if parted && !only.is_empty() {
            let objects = self.in_namespaces(resource, &endpoint, &only).await?;
            return Ok(Kind { endpoint, objects, namespaces: Some(only) });
        }
        match self.list(resource, &endpoint.path).await {
            Ok(objects) => Ok(Kind { endpoint, objects, namespaces: None }),
            // served a moment ago
            Err(Failure::Api(error)) if endpoint.custom && is_status(&error, 404) => Err(Failure::NotServed),
            Err(Failure::Api(error)) if parted && is_status(&error, 403) && !fallback.is_empty() => {
                match self.in_namespaces(resource, &endpoint, &fallback).await {
                    Ok(objects) => Ok(Kind { endpoint, objects, namespaces: Some(fallback) }),
                    // the wider right is the one to ask for
                    Err(_) => Err(Failure::Api(error)),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    async fn in_namespaces(
        &mut self,
        resource: &str,
        endpoint: &Endpoint,
        namespaces: &BTreeSet<String>,
    ) -> Result<Vec<Json>, Failure> {
        let mut objects = Vec::new();
        for namespace in namespaces {
            if resource == NAMESPACES {
                objects.extend(self.get(resource, &endpoint.path, namespace).await?);
            } else {
                objects.append(&mut self.list(resource, &endpoint.in_namespace(namespace)).await?);
            }
        }
        Ok(objects)
    }

    /// All objects of a collection. A list that outlives the versions that etcd keeps begins again, once.
    async fn list(&mut self, resource: &str, path: &str) -> Result<Vec<Json>, Failure> {
        match self.list_once(resource, path).await {
            Err(Failure::Api(error)) if is_status(&error, 410) => self.list_once(resource, path).await,
            other => other,
        }
    }

    async fn list_once(&mut self, resource: &str, path: &str) -> Result<Vec<Json>, Failure> {
        let mut objects = Vec::new();
        let mut pages = Pages::new(self.client, path);
        let Bounds { objects: most, bytes } = self.wanted.bounds;
        loop {
            let kind = resource.to_owned();
            let Some(page) = pages.next(move |object| Some(pruned(&kind, object))).await? else { return Ok(objects) };
            self.bytes += page.bytes;
            objects.extend(page.items);
            if objects.len() > most {
                return Err(Failure::Reason(format!("more than {most} objects; narrow it with --namespace")));
            }
            if self.bytes > bytes {
                let mib = bytes / 1024 / 1024;
                return Err(Failure::Reason(format!("more than {mib} MiB in all; narrow it with --namespace")));
            }
        }
    }

    /// One object; `None` when it is not there.
    async fn get(&self, resource: &str, path: &str, name: &str) -> Result<Option<Json>, Failure> {
        let request = Request::new(path).get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        match within(REQUEST, self.client.request::<Json>(request)).await {
            Ok(object) => Ok(Some(pruned(resource, object))),
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn pruned(resource: &str, mut object: Json) -> Json {
    prune(resource, &mut object);
    // differs between two looks at the same cluster (a heartbeat), and no policy can mean it
    if let Some(metadata) = object.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    object
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
