//! Keeps the webhook configurations in the cluster as they are generated: one replica writes, repairs what somebody
//! else changed, and never writes a bundle by which the API server could not call us.
//!
//! Whole `webhooks` lists are replaced under the resourceVersion that was read. Server-side apply would leave behind
//! what others add, and could not tell a repaired list from a changed one without reading it first anyway.

use super::bundle::{self, BundleError};
use super::{Configurations, NAME};
use crate::kubeapi::lease::{self, Election};
use crate::kubeapi::{Reason, is_status, within};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook, ValidatingWebhookConfiguration,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the configurations are compared: a change by somebody else is repaired well within 10 seconds.
const EVERY: Duration = Duration::from_secs(4);
/// Longest wait for one answer of the API server.
const REQUEST: Duration = Duration::from_secs(4);
/// Field manager under which we write.
const MANAGER: &str = "seawall";
/// Keys of selectors that managed platforms add to every webhook (AKS' admissions enforcer); taking them out again
/// would be a fight without end.
const TOLERATED: &[&str] = &["control-plane", "kubernetes.azure.com/managedby"];
/// Repairs at full speed before we assume that somebody works against us.
const PATIENCE: u32 = 3;
/// After this long without a foreign change the quarrel is forgotten.
const FORGET: Duration = Duration::from_secs(600);

/// By which certificates the API server knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bundle {
    /// Not known yet: nothing is written.
    Unknown,
    /// PEM certificates, old and new ones while they change.
    Pem(Arc<str>),
    /// Another program fills it in (cert-manager's CA injector), or the system's roots count: what is there stays.
    Leave,
}

/// Why a configuration was not written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API server refused or could not be reached.
    #[error("{verb} {kind} {NAME}: {}", Reason(.source))]
    Request {
        /// What was tried.
        verb: &'static str,
        /// Of what.
        kind: String,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// The bundle must not be written.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Somebody else undoes what we write; it is left alone for a while.
    #[error(
        "{by:?} keeps changing {kind} {NAME}; it is repaired less and less often until that ends. Find out who with \
         `kubectl get {kind} {NAME} -o yaml --show-managed-fields` and take the webhooks out of its care"
    )]
    Rival {
        /// Of what.
        kind: String,
        /// Field manager that wrote last.
        by: String,
    },
    /// Others wrote at the same time, again and again.
    #[error("{kind} {NAME} changes faster than it can be written")]
    Contended {
        /// Of what.
        kind: String,
    },
}

/// What writing a configuration came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It was right already.
    Unchanged,
    /// It was not there.
    Created,
    /// It was different.
    Replaced,
}

/// How registration stands; for readiness and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistrationStatus {
    /// We are the replica that writes.
    pub holder: bool,
    /// Both configurations were right when we last looked. Meaningful at the holder only.
    pub in_place: bool,
    /// Configurations created or replaced so far.
    pub writes: u64,
    /// Of these, those that undid a change by somebody else.
    pub repairs: u64,
    /// What is wrong now.
    pub problem: Option<String>,
}

/// Shared view of [`RegistrationStatus`]; clones are one.
#[derive(Clone, Default)]
pub struct Registration {
    status: Arc<Mutex<RegistrationStatus>>,
    observer: Option<Observer>,
}

/// Told the `caBundle` of each webhook as it is in the cluster.
type Observer = Arc<dyn Fn(Vec<Vec<u8>>) + Send + Sync>;

impl Registration {
    /// Every replica, not the writing one alone, tells `observer` the `caBundle` of each of our webhooks as read back,
    /// about every four seconds; see `certs::Certificates::observe_live`. It must not block.
    pub fn observed_by(observer: impl Fn(Vec<Vec<u8>>) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..Self::default() }
    }

    /// How it stands now.
    #[must_use]
    pub fn get(&self) -> RegistrationStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut RegistrationStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Who we are in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Our own namespace, where the Lease is.
    pub namespace: String,
    /// Our Pod's name; unique among the replicas.
    pub pod: String,
}

/// Keeps the configurations until shutdown. To be started when this replica can answer calls.
pub async fn run(
    client: Client,
    identity: Identity,
    mut wanted: watch::Receiver<Arc<Configurations>>,
    mut bundle: watch::Receiver<Bundle>,
    status: Registration,
    shutdown: CancellationToken,
) {
    let mut election = Election::new(client.clone(), lease::WEBHOOKS, &identity.namespace, &identity.pod);
    let mut keeper = Keeper { client, status, validating: Rivalry::default(), mutating: Rivalry::default() };
    loop {
        let (configurations, pem) = (wanted.borrow_and_update().clone(), bundle.borrow_and_update().clone());
        let round = keeper.round(&mut election, &configurations, &pem);
        if shutdown.run_until_cancelled(round).await.is_none() {
            break;
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            // a sender that is gone leaves the last word standing
            Ok(()) = wanted.changed() => {}
            Ok(()) = bundle.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    election.release().await;
}

struct Keeper {
    client: Client,
    status: Registration,
    validating: Rivalry<ValidatingWebhookConfiguration>,
    mutating: Rivalry<MutatingWebhookConfiguration>,
}

impl Keeper {
    async fn round(&mut self, election: &mut Election, wanted: &Configurations, bundle: &Bundle) {
        let result = election.round().await;
        let holder = matches!(result, Ok(true));
        let problem = match (result, bundle) {
            (Err(error), _) => Some(format!("lease of the webhook configurations: {}", Reason(&error))),
            (Ok(false), _) => None,
            (Ok(true), Bundle::Unknown) => Some("no CA bundle yet; the webhook configurations wait for it".to_owned()),
            (Ok(true), _) => self.write(wanted, bundle).await.err().map(|error| error.to_string()),
        };
        // where somebody else keeps the bundles right, they say nothing of ours
        if let (Some(observer), Bundle::Pem(_)) = (&self.status.observer, bundle) {
            match self.live_bundles(wanted).await {
                Ok(bundles) => observer(bundles),
                Err(error) => tracing::debug!(%error, "the bundles in the cluster cannot be read"),
            }
        }
        self.status.update(|status| {
            if let Some(problem) = problem.as_ref().filter(|p| status.problem.as_ref() != Some(p)) {
                tracing::warn!(problem, "registration of the webhooks");
            }
            if holder && !status.holder {
                tracing::info!("this replica keeps the webhook configurations");
            }
            status.holder = holder;
            status.in_place = holder && problem.is_none();
            status.problem = problem;
        });
    }

    /// The `caBundle` of each of our webhooks that is there; empty where it has none.
    async fn live_bundles(&self, wanted: &Configurations) -> Result<Vec<Vec<u8>>, ApplyError> {
        let mut bundles = live_bundles(&self.client, &wanted.validating).await?;
        bundles.extend(live_bundles(&self.client, &wanted.mutating).await?);
        Ok(bundles)
    }

    /// Mutating first: what a patch would mend must not be denied meanwhile.
    async fn write(&mut self, wanted: &Configurations, bundle: &Bundle) -> Result<(), ApplyError> {
        let mutating = keep(&self.client, &wanted.mutating, bundle, &mut self.mutating, &self.status).await;
        let validating = keep(&self.client, &wanted.validating, bundle, &mut self.validating, &self.status).await;
        mutating.and(validating).map(drop)
    }
}

/// What the two kinds have in common.
pub trait Configuration: Resource<DynamicType = ()> + Clone + Debug + PartialEq + Serialize + DeserializeOwned {
    /// Its webhooks.
    type Webhook: Webhook;
    /// The list.
    fn webhooks(&mut self) -> &mut Vec<Self::Webhook>;
}

/// The parts of a webhook that others may have a say in.
pub trait Webhook: Clone {
    /// Its name.
    fn name(&self) -> &str;
    /// How we are called.
    fn client(&mut self) -> &mut WebhookClientConfig;
    /// In which namespaces.
    fn namespaces(&mut self) -> &mut Option<LabelSelector>;
}

macro_rules! configuration {
    ($configuration:ty, $webhook:ty) => {
        impl Configuration for $configuration {
            type Webhook = $webhook;
            fn webhooks(&mut self) -> &mut Vec<$webhook> {
                self.webhooks.get_or_insert_default()
            }
        }

        impl Webhook for $webhook {
            fn name(&self) -> &str {
                &self.name
            }
            fn client(&mut self) -> &mut WebhookClientConfig {
                &mut self.client_config
            }
            fn namespaces(&mut self) -> &mut Option<LabelSelector> {
                &mut self.namespace_selector
            }
        }
    };
}
configuration!(ValidatingWebhookConfiguration, ValidatingWebhook);
configuration!(MutatingWebhookConfiguration, MutatingWebhook);

/// Puts a bundle into every webhook.
///
/// # Errors
/// When it must not be written.
pub fn with_bundle<K: Configuration>(mut configuration: K, bundle: &Bundle) -> Result<K, BundleError> {
    let ca_bundle = match bundle {
        Bundle::Pem(pem) => {
            bundle::check(pem)?;
            Some(ByteString(pem.as_bytes().to_vec()))
        }
        Bundle::Leave => None,
        Bundle::Unknown => return Err(BundleError::Empty),
    };
    for webhook in configuration.webhooks() {
        webhook.client().ca_bundle.clone_from(&ca_bundle);
    }
    Ok(configuration)
}

/// What is to be stored in place of `live`; equal to it when nothing has to be written.
fn merged<K: Configuration>(live: &K, wanted: &K, bundle: &Bundle) -> K {
    let mut next = live.clone();
    next.meta_mut().labels.get_or_insert_default().extend(wanted.labels().clone());
    let mut wanted = wanted.clone();
    let stored = std::mem::take(next.webhooks());
    for webhook in wanted.webhooks() {
        let Some(mut stored) = stored.iter().find(|stored| stored.name() == webhook.name()).cloned() else { continue };
        if *bundle == Bundle::Leave {
            webhook.client().ca_bundle = stored.client().ca_bundle.take();
        }
        let foreign = stored.namespaces().take().and_then(|selector| selector.match_expressions).unwrap_or_default();
        let tolerated = foreign.into_iter().filter(|row| TOLERATED.contains(&row.key.as_str()));
        if let Some(expressions) = webhook.namespaces().as_mut().and_then(|s| s.match_expressions.as_mut()) {
            expressions.extend(tolerated);
        }
    }
    next.webhooks().append(wanted.webhooks());
    next
}

/// Makes one configuration right.
///
/// # Errors
/// When the API server refuses, or the bundle must not be written.
pub async fn apply<K: Configuration>(client: &Client, wanted: &K, bundle: &Bundle) -> Result<Applied, ApplyError> {
    keep(client, wanted, bundle, &mut Rivalry::default(), &Registration::default()).await
}

async fn keep<K: Configuration>(
    client: &Client,
    wanted: &K,
    bundle: &Bundle,
    rivalry: &mut Rivalry<K>,
    status: &Registration,
) -> Result<Applied, ApplyError> {
    let wanted = with_bundle(wanted.clone(), bundle)?;
    let api: Api<K> = Api::all(client.clone());
    let kind = || K::kind(&()).into_owned();
    let failed = |verb| move |source| ApplyError::Request { verb, kind: kind(), source: Box::new(source) };
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    for _ in 0..3 {
        let live = within(REQUEST, api.get_opt(NAME)).await.map_err(failed("get"))?;
        let next = live.as_ref().map_or_else(|| wanted.clone(), |live| merged(live, &wanted, bundle));
        if live.as_ref() == Some(&next) {
            rivalry.written = Some(wanted);
            return Ok(Applied::Unchanged);
        }
        let foreign = rivalry.written.as_ref() == Some(&wanted);
        if foreign && !rivalry.may_repair() {
            return Err(ApplyError::Rival { kind: kind(), by: live.as_ref().map(last_writer).unwrap_or_default() });
        }
        let (verb, result) = match &live {
            None => ("create", within(REQUEST, api.create(&params, &next)).await),
            Some(_) => ("update", within(REQUEST, api.replace(NAME, &params, &next)).await),
        };
        match result {
            Ok(_) => {
                status.update(|status| {
                    status.writes += 1;
                    status.repairs += u64::from(foreign);
                });
                if foreign {
                    rivalry.repaired();
                    let by = live.as_ref().map(last_writer);
                    tracing::warn!(
                        kind = kind(),
                        by,
                        "somebody else changed or deleted this webhook configuration; repaired"
                    );
                } else {
                    tracing::info!(kind = kind(), verb, "webhook configuration written");
                }
                rivalry.written = Some(wanted);
                return Ok(if live.is_some() { Applied::Replaced } else { Applied::Created });
            }
            // somebody was quicker: look again
            Err(error) if is_status(&error, 409) => {}
            Err(error) => return Err(failed(verb)(error)),
        }
    }
    Err(ApplyError::Contended { kind: kind() })
}

async fn live_bundles<K: Configuration>(client: &Client, wanted: &K) -> Result<Vec<Vec<u8>>, ApplyError> {
    let found = within(REQUEST, Api::<K>::all(client.clone()).get_opt(NAME)).await;
    let failed =
        |source| ApplyError::Request { verb: "get", kind: K::kind(&()).into_owned(), source: Box::new(source) };
    let Some(mut live) = found.map_err(failed)? else { return Ok(Vec::new()) };
    let mut wanted = wanted.clone();
    let ours: Vec<String> = wanted.webhooks().iter().map(|webhook| webhook.name().to_owned()).collect();
    let live = live.webhooks().iter_mut().filter(|webhook| ours.iter().any(|name| name == webhook.name()));
    Ok(live.map(|webhook| webhook.client().ca_bundle.take().unwrap_or_default().0).collect())
}

/// The field manager that wrote last, other than us.
fn last_writer<K: Configuration>(live: &K) -> String {
    let others = live.managed_fields().iter().filter(|entry| entry.manager.as_deref() != Some(MANAGER));
    others.max_by_key(|entry| entry.time.clone()).and_then(|entry| entry.manager.clone()).unwrap_or_default()
}

/// Removes both configurations. Returns the kinds that were there.
///
/// # Errors
/// When the API server refuses.
pub async fn delete(client: &Client) -> Result<Vec<String>, ApplyError> {
    // validating first: nothing may be denied for lack of a patch
    let validating = delete_one::<ValidatingWebhookConfiguration>(client).await?;
    let mutating = delete_one::<MutatingWebhookConfiguration>(client).await?;
    Ok(validating.into_iter().chain(mutating).collect())
}

async fn delete_one<K: Configuration>(client: &Client) -> Result<Option<String>, ApplyError> {
    let kind = K::kind(&()).into_owned();
    match within(REQUEST, Api::<K>::all(client.clone()).delete(NAME, &DeleteParams::default())).await {
        Ok(_) => Ok(Some(kind)),
        Err(error) if is_status(&error, 404) => Ok(None),
        Err(source) => Err(ApplyError::Request { verb: "delete", kind, source: Box::new(source) }),
    }
}

/// Whether somebody keeps undoing what we write, and how long to leave it then.
struct Rivalry<K> {
    /// What we last wrote or found right.
    written: Option<K>,
    fights: u32,
    last: Option<Instant>,
}

impl<K> Default for Rivalry<K> {
    fn default() -> Self {
        Self { written: None, fights: 0, last: None }
    }
}

impl<K> Rivalry<K> {
    fn may_repair(&mut self) -> bool {
        let Some(last) = self.last else { return true };
        if last.elapsed() > FORGET {
            self.fights = 0;
        }
        last.elapsed() >= Self::pause(self.fights)
    }

    fn repaired(&mut self) {
        self.fights += 1;
        self.last = Some(Instant::now());
    }

    /// None at first, then doubling from 10 seconds to 5 minutes.
    fn pause(fights: u32) -> Duration {
        match fights.checked_sub(PATIENCE) {
            None => Duration::ZERO,
            Some(more) => Duration::from_secs(10 << more.min(5)).min(Duration::from_secs(300)),
        }
    }
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
