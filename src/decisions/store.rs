//! Records in ConfigMaps: one for each replica, named after its Pod, in Seawall's own namespace.
//!
//! | | |
//! | --- | --- |
//! | name | `seawall-decisions-POD` |
//! | label | `seawall.dev/record: decisions` |
//! | key | `decisions.json` |
//!
//! A replica writes only its own and reads it back when its process starts again. The maps of replicas that are gone stay
//! and are added up by who reads, until they are older than [`KEPT`]; then whoever sees them first removes them, with
//! the resourceVersion that was seen as precondition. A replica that lives writes at least once a day, so its map is
//! never that old; were it removed all the same, the next write makes it again from memory.

use super::{Count, KEPT, Record, Recorder};
use crate::kubeapi::{Reason, is_status, within};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::{Api, Client};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Label of the ConfigMaps.
pub const LABEL: (&str, &str) = ("seawall.dev/record", "decisions");

/// Key in the ConfigMaps.
const DATA: &str = "decisions.json";

/// What names begin with.
const PREFIX: &str = "seawall-decisions-";

/// Longest wait for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(10);

/// How often a record is written although nothing changed, and old ones are looked for.
const ANYWAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Objects in one page of a list.
const PAGE: u32 = 100;

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The API server refuses or does not answer.
    #[error("the decisions in namespace {namespace} cannot be read: {}; they are ConfigMaps, the verb is list", Reason(.source))]
    Unavailable {
        /// Where they are.
        namespace: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The format of a ConfigMap.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: String,
    since: Timestamp,
    until: Timestamp,
    dropped: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    last_dropped: Option<Timestamp>,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    namespace: String,
    policy: String,
    #[serde(flatten)]
    count: Count,
}

fn to_text(record: &Record) -> String {
    let row = |((namespace, policy), count): (&super::Key, &Count)| Row {
        namespace: namespace.clone(),
        policy: policy.clone(),
        count: *count,
    };
    let document = Document {
        schema_version: "1".to_owned(),
        since: record.since,
        until: record.until,
        dropped: record.dropped,
        last_dropped: record.last_dropped,
        rows: record.rows.iter().map(row).collect(),
    };
    // plain data always can be written
    serde_json::to_string(&document).unwrap_or_default()
}

fn of_text(text: &str) -> Result<Record, String> {
    let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if document.schema_version != "1" {
        return Err(format!("schemaVersion {:?}; this Seawall knows \"1\"", document.schema_version));
    }
    let rows = document.rows.into_iter().map(|row| ((row.namespace, row.policy), row.count)).collect();
    let Document { since, until, dropped, last_dropped, .. } = document;
    Ok(Record { since, until, dropped, last_dropped, rows })
}

fn record_of(map: &ConfigMap) -> Result<Record, String> {
    let text = map.data.as_ref().and_then(|data| data.get(DATA)).ok_or_else(|| format!("it has no key {DATA}"))?;
    of_text(text)
}

/// What all replicas recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// All records as one; none where nothing was recorded.
    pub record: Option<Record>,
    /// How many ConfigMaps there are.
    pub maps: usize,
    /// Those that cannot be read, with the reason. Their counts are missing.
    pub unreadable: Vec<(String, String)>,
}

/// Reads and adds up all records of a namespace.
///
/// # Errors
/// When they cannot be listed.
pub async fn read(client: Client, namespace: &str) -> Result<Recorded, StoreError> {
    let failed = |source| StoreError::Unavailable { namespace: namespace.to_owned(), source: Box::new(source) };
    let maps = list(&Api::namespaced(client, namespace)).await.map_err(failed)?;
    let mut recorded = Recorded { record: None, maps: maps.len(), unreadable: Vec::new() };
    let mut records = Vec::new();
    for map in &maps {
        match record_of(map) {
            Ok(record) => records.push(record),
            Err(why) => recorded.unreadable.push((map.metadata.name.clone().unwrap_or_default(), why)),
        }
    }
    recorded.record = Record::add_up(records);
    Ok(recorded)
}

async fn list(api: &Api<ConfigMap>) -> Result<Vec<ConfigMap>, kube::Error> {
    let (label, value) = LABEL;
    let mut maps = Vec::new();
    let mut params = ListParams::default().labels(&format!("{label}={value}")).limit(PAGE);
    loop {
        let page = within(REQUEST, api.list(&params)).await?;
        maps.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(maps),
        }
    }
}

/// Keeps a replica's record.
pub struct Keeper {
    api: Api<ConfigMap>,
    name: String,
    recorder: Arc<Recorder>,
    /// Our map as it was last seen; the next write must be over exactly this.
    seen: Option<ConfigMap>,
    /// What was there before was read.
    resumed: bool,
    written: Option<Instant>,
}

impl Keeper {
    /// Keeps `recorder` in the ConfigMap of the replica `pod`.
    #[must_use]
    pub fn new(client: Client, namespace: &str, pod: &str, recorder: Arc<Recorder>) -> Self {
        let name = name_of(pod);
        Self { api: Api::namespaced(client, namespace), name, recorder, seen: None, resumed: false, written: None }
    }

    /// Writes what changed, every `interval` and once more at the end. Errors are logged and tried again.
    pub async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut told = false;
        loop {
            match self.round(Timestamp::now()).await {
                Ok(()) => told = false,
                // once is enough until it works again
                Err(error) if !told => {
                    told = true;
                    tracing::warn!(error = %Reason(&error), configmap = self.name, "would-be decisions are counted but not kept; tried again");
                }
                Err(_) => {}
            }
            if stop.is_cancelled() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn round(&mut self, now: Timestamp) -> Result<(), kube::Error> {
        let anyway = self.written.is_none_or(|at| at.elapsed() >= ANYWAY);
        if !self.resumed || anyway {
            self.look(now).await?;
        }
        let Some(record) = self.recorder.take(now, anyway) else { return Ok(()) };
        let result = self.write(&record).await;
        match &result {
            Ok(()) => self.written = Some(Instant::now()),
            Err(_) => self.recorder.not_written(),
        }
        result
    }

    /// Takes what an earlier process of this replica left, and removes maps that are over.
    async fn look(&mut self, now: Timestamp) -> Result<(), kube::Error> {
        for map in list(&self.api).await? {
            let record = record_of(&map);
            if map.metadata.name.as_deref() == Some(&self.name) {
                if !self.resumed {
                    match record {
                        Ok(record) => self.recorder.resume(record),
                        Err(why) => {
                            tracing::error!(
                                configmap = self.name,
                                why,
                                "the earlier decisions of this replica cannot be read; they are lost"
                            );
                        }
                    }
                }
                self.seen = Some(map);
            } else if record.is_ok_and(|record| now.duration_since(record.until) > KEPT) {
                self.remove(&map).await;
            }
        }
        self.resumed = true;
        Ok(())
    }

    async fn remove(&self, map: &ConfigMap) {
        let Some(name) = &map.metadata.name else { return };
        let ObjectMeta { uid, resource_version, .. } = map.metadata.clone();
        let only =
            DeleteParams { preconditions: Some(Preconditions { uid, resource_version }), ..DeleteParams::default() };
        // somebody else removed or wrote it: as good
        match within(REQUEST, self.api.delete(name, &only)).await {
            Ok(_) => tracing::info!(configmap = name, "decisions of a replica that is long gone were removed"),
            Err(error) => tracing::debug!(configmap = name, error = %Reason(&error), "old decisions were not removed"),
        }
    }

    async fn write(&mut self, record: &Record) -> Result<(), kube::Error> {
        let data = Some(BTreeMap::from([(DATA.to_owned(), to_text(record))]));
        let parameters = PostParams { field_manager: Some("seawall".to_owned()), ..PostParams::default() };
        if let Some(seen) = self.seen.take() {
            let map = ConfigMap { data: data.clone(), ..seen };
            match within(REQUEST, self.api.replace(&self.name, &parameters, &map)).await {
                Ok(written) => {
                    self.seen = Some(written);
                    return Ok(());
                }
                // it was removed meanwhile: made again
                Err(error) if is_status(&error, 404) => {}
                // somebody wrote into it, or an answer was lost: it is ours alone, so what we have counted stands
                Err(error) if is_status(&error, 409) => {
                    self.seen = within(REQUEST, list(&self.api))
                        .await?
                        .into_iter()
                        .find(|map| map.metadata.name.as_deref() == Some(&self.name));
                    return Err(error);
                }
                Err(error) => {
                    self.seen = Some(map);
                    return Err(error);
                }
            }
        }
        let (label, value) = LABEL;
        let labels =
            [(label, value), ("app.kubernetes.io/name", "seawall"), ("app.kubernetes.io/managed-by", "seawall")];
        let map = ConfigMap {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
                ..ObjectMeta::default()
            },
            data,
            ..ConfigMap::default()
        };
        match within(REQUEST, self.api.create(&parameters, &map)).await {
            Ok(written) => {
                self.seen = Some(written);
                Ok(())
            }
            Err(error) => {
                // made by an answer that was lost: the next round finds it
                if is_status(&error, 409) {
                    self.seen =
                        list(&self.api).await?.into_iter().find(|map| map.metadata.name.as_deref() == Some(&self.name));
                }
                Err(error)
            }
        }
    }
}

/// A name that the API server takes, whatever a replica is called.
fn name_of(pod: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let name: String = pod.chars().map(safe).take(253 - PREFIX.len()).collect();
    format!("{PREFIX}{}", name.trim_matches('-'))
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
