//! Talking to the API server: the client, time-outs, and errors in words.
//!
//! Only `context::cluster`, `certs`, `webhookconfig::apply` and the front ends that list the cluster use it; nothing on
//! the path of a request does. [`lease`] finds the one replica that does what only one should.

pub mod lease;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig {path} cannot be used: {source}; give another with --kubeconfig")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// The service account of the Pod cannot be used.
    #[error("the service account of this Pod cannot be used ({source}); run in a Pod or give --kubeconfig FILE")]
    InCluster {
        /// Why not.
        #[source]
        source: Box<kube::config::InClusterError>,
    },
    /// The user's kubeconfig cannot be used.
    #[error("no cluster: {source}; give --kubeconfig FILE, or set KUBECONFIG, and check --context")]
    User {
        /// Why not.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// TLS or the proxy are not set up right.
    #[error("no client for the API server: {}", Reason(.source))]
    Client {
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// A client with this kubeconfig (its current context), or with the service account of the Pod.
///
/// # Errors
/// When neither can be used. Nothing is sent yet, so a server out of reach is no error here.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    connect(match kubeconfig {
        Some(path) => from_file(path, &KubeConfigOptions::default()).await?,
        None => Config::incluster().map_err(|source| ClientError::InCluster { source: Box::new(source) })?,
    })
}

/// A client as `kubectl` finds it: this kubeconfig, else those of `KUBECONFIG`, else `~/.kube/config`, else the service
/// account of the Pod; with this context, else the current one.
///
/// # Errors
/// When none can be used. Nothing is sent yet.
pub async fn user_client(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, ClientError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    if let Some(path) = kubeconfig {
        return connect(from_file(path, &options).await?);
    }
    let failed = |source| ClientError::User { source: Box::new(source) };
    match Config::from_kubeconfig(&options).await {
        Ok(config) => connect(config),
        // as kubectl does: a Pod has no kubeconfig, and a context asks for one
        Err(error) => match Config::incluster() {
            Ok(config) if context.is_none() && is_absent(&error) => connect(config),
            _ => Err(failed(error)),
        },
    }
}

/// Whether there is no kubeconfig, and not one that is wrong.
fn is_absent(error: &KubeconfigError) -> bool {
    match error {
        KubeconfigError::FindPath => true,
        KubeconfigError::ReadConfig(source, _) => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

async fn from_file(path: &Path, options: &KubeConfigOptions) -> Result<Config, ClientError> {
    let failed = |source| ClientError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
    let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(kubeconfig, options).await.map_err(failed)
}

fn connect(mut config: Config) -> Result<Client, ClientError> {
    config.connect_timeout = Some(CONNECT);
    Client::try_from(config).map_err(|source| ClientError::Client { source: Box::new(source) })
}

/// An error of the API server in its own words, without the debug form that kube's text repeats.
pub struct Reason<'e>(pub &'e kube::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            kube::Error::Api(status) if !status.message.is_empty() => f.write_str(&status.message),
            kube::Error::Api(status) => write!(f, "status {} {}", status.code, status.reason),
            kube::Error::Service(source) if source.is::<tokio::time::error::Elapsed>() => {
                f.write_str("the API server did not answer in time")
            }
            kube::Error::Service(source) => {
                // "client error (Connect)" is true of any of a dozen faults; the cause at the bottom says which
                let mut deepest: &(dyn std::error::Error + 'static) = source.as_ref();
                while let Some(source) = deepest.source() {
                    deepest = source;
                }
                write!(f, "the API server cannot be reached: {deepest}")
            }
            other => other.fmt(f),
        }
    }
}

/// Whether the API server answered with this status.
#[must_use]
pub fn is_status(error: &kube::Error, code: u16) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == code)
}

/// A call that ends in time; kube sets no limit to the time of an answer.
///
/// # Errors
/// Those of the call, and a service error when the time is over.
pub async fn within<T>(limit: Duration, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|elapsed| Err(kube::Error::Service(Box::new(elapsed))))
}

/// A random duration below `limit`. The standard library seeds its hashers randomly, which is random enough to spread.
#[must_use]
pub fn jitter(limit: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) >> 32;
    let nanoseconds = (limit.as_nanos() * u128::from(random)) >> 32;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    #[test]
    fn reasons_are_what_the_server_said() {
        let error = kube::Error::Api(Box::new(Status::failure("nodes is forbidden", "Forbidden").with_code(403)));
        assert_eq!(Reason(&error).to_string(), "nodes is forbidden");
        assert!(is_status(&error, 403) && !is_status(&error, 404));
        let silent = kube::Error::Api(Box::new(Status::failure("", "NotFound").with_code(404)));
        assert_eq!(Reason(&silent).to_string(), "status 404 NotFound");
    }

    #[tokio::test]
    async fn calls_end_in_time() {
        let never = std::future::pending::<Result<(), kube::Error>>();
        let error = within(Duration::from_millis(5), never).await.unwrap_err();
        assert_eq!(Reason(&error).to_string(), "the API server did not answer in time");
    }

    #[tokio::test]
    async fn what_stands_in_the_way_is_named() {
        let config = Config::new("http://127.0.0.1:1".parse().unwrap());
        let error = Client::try_from(config).unwrap().apiserver_version().await.unwrap_err();
        let reason = Reason(&error).to_string();
        assert!(reason.starts_with("the API server cannot be reached: Connection refused"), "{reason}");
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named() {
        let error = client(Some(Path::new("/nonexistent/config"))).await.err().unwrap().to_string();
        assert!(error.starts_with("the kubeconfig /nonexistent/config cannot be used: "), "{error}");
    }
}
