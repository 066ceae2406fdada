//! Raw calls to the API server, for what `kubectl` would do too slowly or not at all: polling and many calls at once.

use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};
use serde_json::Value;

/// A client of one API server as one user; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    base: String,
    token: String,
    client: Client,
}

impl Api {
    /// Trusts `ca` only and speaks as the owner of `token`.
    pub(crate) fn new(base: String, ca: &str, token: &str) -> Self {
        install_crypto_provider();
        let client = Client::builder()
            .tls_built_in_root_certs(false)
            .add_root_certificate(reqwest::Certificate::from_pem(ca.as_bytes()).unwrap())
            .no_proxy()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self { base, token: token.to_owned(), client }
    }

    fn send(&self, request: RequestBuilder) -> Result<(u16, Value), reqwest::Error> {
        let response = request.bearer_auth(&self.token).send()?;
        let status = response.status().as_u16();
        let text = response.text()?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    /// GET; status and body.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, Value), reqwest::Error> {
        self.send(self.client.get(format!("{}{path}", self.base)))
    }

    /// POST of a JSON object.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        self.send(self.client.post(format!("{}{path}", self.base)).json(body))
    }

    /// PUT of a JSON object.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        self.send(self.client.put(format!("{}{path}", self.base)).json(body))
    }

    /// PATCH with a JSON merge patch.
    pub(crate) fn merge(&self, path: &str, body: &Value) -> Result<(u16, Value), reqwest::Error> {
        let request = self.client.patch(format!("{}{path}", self.base));
        self.send(request.header("Content-Type", "application/merge-patch+json").body(body.to_string()))
    }

    /// DELETE.
    pub(crate) fn delete(&self, path: &str) -> Result<(u16, Value), reqwest::Error> {
        self.send(self.client.delete(format!("{}{path}", self.base)))
    }
}

/// rustls wants one provider per process; the second caller finds it there.
pub(crate) fn install_crypto_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
