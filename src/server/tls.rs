//! The TLS side of the admission port.
//!
//! rustls with the ring provider, named explicitly: the process default is global state that a dependency could set
//! otherwise (kube and reqwest both may). TLS 1.2 stays because Go clients of old API servers may still ask for it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};

use crate::certs::provider;

/// Why a TLS configuration could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The provider does not offer the versions asked for.
    #[error("TLS 1.2 and 1.3 cannot both be offered")]
    Versions(#[source] rustls::Error),
}

/// TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN, no client certificates, no resumption.
///
/// The API server speaks HTTP/2 to loopback URLs and HTTP/1.1 to Services (`k8s.io/apiserver`
/// `pkg/util/webhook/client.go`). Go's client keeps no sessions there, so tickets would be work for nothing, and
/// without resumption every connection proves that the current certificate is the trusted one.
///
/// # Errors
/// [`TlsError::Versions`] when the provider lacks a version.
pub fn server_config(resolver: Arc<dyn ResolvesServerCert>) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Versions)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}
