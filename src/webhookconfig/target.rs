//! Where the API server finds Seawall: a Service or a URL.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{ServiceReference, WebhookClientConfig};
use std::str::FromStr;

/// Where the API server sends reviews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookTarget {
    /// A Service of the cluster.
    Service {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Its port.
        port: u16,
    },
    /// `https://host[:port][/path]`, without a slash at the end.
    Url(String),
}

/// Why a target was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not `NAMESPACE/NAME[:PORT]`.
    #[error("{0:?} is no Service; wanted NAMESPACE/NAME or NAMESPACE/NAME:PORT, for example seawall-system/seawall")]
    Service(String),
    /// Not a URL that the API server takes.
    #[error(
        "{0:?} is no URL that the API server takes; wanted https://HOST[:PORT][/PATH] without user, query and fragment"
    )]
    Url(String),
}

impl WebhookTarget {
    /// Reads `NAMESPACE/NAME[:PORT]`; the port is 443 when left out.
    ///
    /// # Errors
    /// When it is not of that form.
    pub fn service(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError::Service(text.to_owned());
        let (namespace, rest) = text.split_once('/').ok_or_else(error)?;
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (name, u16::from_str(port).ok().filter(|p| *p > 0).ok_or_else(error)?),
            None => (rest, 443),
        };
        let label = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !label(namespace) || !label(name) {
            return Err(error());
        }
        Ok(Self::Service { namespace: namespace.to_owned(), name: name.to_owned(), port })
    }

    /// Reads an https URL; paths of webhooks are put below it.
    ///
    /// # Errors
    /// When the API server would not take it.
    pub fn url(text: &str) -> Result<Self, TargetError> {
        let error = || TargetError::Url(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(error)?;
        let host = rest.split('/').next().unwrap_or_default();
        let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b"?#@\\'\"".contains(&b));
        if host.is_empty() || host.starts_with(':') || !plain {
            return Err(error());
        }
        Ok(Self::Url(text.trim_end_matches('/').to_owned()))
    }

    /// The client configuration of a webhook at `path`.
    pub(super) fn client_config(&self, path: &str, ca_bundle: Option<ByteString>) -> WebhookClientConfig {
        match self {
            Self::Service { namespace, name, port } => WebhookClientConfig {
                ca_bundle,
                service: Some(ServiceReference {
                    name: name.clone(),
                    namespace: namespace.clone(),
                    path: Some(path.to_owned()),
                    port: Some(i32::from(*port)),
                }),
                url: None,
            },
            Self::Url(base) => WebhookClientConfig { ca_bundle, service: None, url: Some(format!("{base}{path}")) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read() {
        let service = |namespace: &str, name: &str, port| WebhookTarget::Service {
            namespace: namespace.into(),
            name: name.into(),
            port,
        };
        assert_eq!(WebhookTarget::service("a/b").unwrap(), service("a", "b", 443));
        assert_eq!(WebhookTarget::service("a/b:8443").unwrap(), service("a", "b", 8443));
        for bad in ["a", "/b", "a/", "a/b:", "a/b:0", "a/b:x", "a/b/c", "A/b"] {
            assert!(WebhookTarget::service(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_read_as_the_api_server_would() {
        let target = WebhookTarget::url("https://[::1]:8443/").unwrap();
        let config = target.client_config("/mutate", None);
        assert_eq!(config.url.unwrap(), "https://[::1]:8443/mutate");
        for bad in ["http://a", "https://", "https://:1", "https://u@h", "https://h?x", "https://h#x", "https://h x"] {
            assert!(WebhookTarget::url(bad).is_err(), "{bad}");
        }
    }
}
