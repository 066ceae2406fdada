//! The state of the CA in one Secret that all replicas read.
//!
//! | key | holds |
//! | --- | --- |
//! | `ca.crt`, `ca.key` | the CA that signs |
//! | `next.crt`, `next.key` | its successor, published but not signing; absent most of the time |
//! | `previous.crt` | CAs that have signed and are not over yet |
//! | `incarnation` | tells a state that was deleted and made again from the one before |
//! | `ca-bundle.crt` | all of the above, what a client must trust; for people and tools, never read back |
//!
//! Leaf keys never get here. RBAC: `get` and `update` on this one name, `create` on Secrets (a `create` cannot be
//! limited to a name). An empty Secret of this name may be made beforehand; then `create` is not needed.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use super::ca::{Authority, CaCertificate, CaError, CaState, KeyPem};
use super::issue;
use super::store::{CaStore, StoreError, Stored};

/// The name of the Secret unless configured otherwise.
pub const DEFAULT_NAME: &str = "seawall-ca";

/// How long one call to the API server may take; the loop comes back anyway.
const CALL: Duration = Duration::from_secs(10);

const CURRENT: (&str, &str) = ("ca.crt", "ca.key");
const NEXT: (&str, &str) = ("next.crt", "next.key");
const PREVIOUS: &str = "previous.crt";
const INCARNATION: &str = "incarnation";
const BUNDLE: &str = "ca-bundle.crt";

/// The Secret of one namespace and name.
#[derive(Clone)]
pub struct SecretStore {
    api: Api<Secret>,
    namespace: String,
    name: String,
}

impl SecretStore {
    /// The Secret `name` in `namespace`; nothing is read or written yet.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    async fn call<T>(&self, verb: &'static str, call: impl Future<Output = kube::Result<T>>) -> Result<T, StoreError> {
        let name = self.full_name();
        let source = match tokio::time::timeout(CALL, call).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => Box::new(error),
            Err(_) => return Err(StoreError::Timeout(name)),
        };
        // 409 is AlreadyExists for a create and Conflict for an update; 404 on an update: it was deleted meanwhile
        Err(match &*source {
            kube::Error::Api(status) if status.code == 409 => StoreError::Conflict,
            kube::Error::Api(status) if status.code == 404 && verb == "update" => StoreError::Conflict,
            kube::Error::Api(status) if status.code == 403 => StoreError::Forbidden { verb, name, source },
            _ => StoreError::Unavailable { name, source },
        })
    }
}

impl CaStore for SecretStore {
    /// The whole object, so that labels, owners and foreign keys survive an update.
    type Version = Secret;

    async fn read(&self) -> Result<Option<Stored<Secret>>, StoreError> {
        let Some(secret) = self.call("get", self.api.get_opt(&self.name)).await? else {
            return Ok(None);
        };
        let state = parse(secret.data.as_ref())?;
        Ok(Some(Stored { state, version: secret }))
    }

    async fn write(&self, state: &CaState, over: Option<&Secret>) -> Result<(), StoreError> {
        let mut secret = over.cloned().unwrap_or_else(|| Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                labels: Some(BTreeMap::from([
                    ("app.kubernetes.io/name".to_owned(), "seawall".to_owned()),
                    ("app.kubernetes.io/managed-by".to_owned(), "seawall".to_owned()),
                ])),
                ..ObjectMeta::default()
            },
            ..Secret::default()
        });
        render(state, secret.data.get_or_insert_default());
        let parameters = PostParams { field_manager: Some("seawall".to_owned()), ..PostParams::default() };
        if over.is_some() {
            // the resourceVersion that was read goes with it, so a write in between is a conflict
            self.call("update", self.api.replace(&self.name, &parameters, &secret)).await?;
        } else {
            self.call("create", self.api.create(&parameters, &secret)).await?;
        }
        Ok(())
    }
}

type Data = BTreeMap<String, ByteString>;

/// The state in a Secret's data; `None` when none of our keys is there.
fn parse(data: Option<&Data>) -> Result<Option<CaState>, StoreError> {
    let text = |key: &str| {
        let bytes = data.and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice()).unwrap_or_default();
        String::from_utf8_lossy(bytes).trim().to_owned()
    };
    let authority = |part: &'static str, (certificate, key): (&str, &str)| {
        let (certificate, key) = (text(certificate), text(key));
        if certificate.is_empty() && key.is_empty() {
            return Ok(None);
        }
        Authority::from_pem(&certificate, KeyPem::new(key))
            .map(Some)
            .map_err(|source| StoreError::Corrupt { part, source })
    };
    let next = authority("next.crt and next.key", NEXT)?;
    let previous = CaCertificate::all_from_pem(&text(PREVIOUS))
        .map_err(|source| StoreError::Corrupt { part: PREVIOUS, source })?;
    match authority("ca.crt and ca.key", CURRENT)? {
        Some(current) => Ok(Some(CaState { current, next, previous, incarnation: text(INCARNATION).into() })),
        None if next.is_none() && previous.is_empty() => Ok(None),
        None => Err(StoreError::Corrupt { part: "ca.crt and ca.key", source: CaError::Count(0) }),
    }
}

/// Puts the state into a Secret's data; other keys stay.
fn render(state: &CaState, data: &mut Data) {
    let mut put = |key: &str, value: Option<String>| {
        match value.filter(|value| !value.is_empty()) {
            Some(value) => data.insert(key.to_owned(), ByteString(value.into_bytes())),
            None => data.remove(key),
        };
    };
    let pair = |authority: &Authority| (authority.certificate.pem.to_string(), authority.key.expose().to_owned());
    let (certificate, key) = pair(&state.current);
    put(CURRENT.0, Some(certificate));
    put(CURRENT.1, Some(key));
    let (certificate, key) = state.next.as_ref().map(pair).unzip();
    put(NEXT.0, certificate);
    put(NEXT.1, key);
    put(PREVIOUS, Some(issue::bundle(&state.previous).to_string()));
    put(INCARNATION, Some(state.incarnation.to_string()));
    put(BUNDLE, Some(issue::bundle(state.certificates()).to_string()));
}

#[cfg(test)]
#[path = "secret_tests.rs"]
mod tests;
