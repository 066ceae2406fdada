//! `seawall serve` as a process of its own, with the embedded policies or a folder of the test's, and no cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::{Http1, client, connect, roots};

/// The binary without variables of the caller; what it writes goes below `folder`.
pub(crate) fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
    command.env_clear().env("TMPDIR", folder).current_dir(folder);
    command.args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]).args(args);
    command
}

/// Runs a `serve` that must end by itself.
pub(crate) fn refused(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// A running `seawall serve`.
pub(crate) struct Serve {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// What it printed.
    pub(crate) printed: String,
    ca: String,
    folder: TempDir,
    http: reqwest::Client,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Answered {
    /// The AdmissionReview's `response`.
    pub(crate) fn response(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        let review: Value = serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text));
        assert_eq!(
            (&review["apiVersion"], &review["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        assert!(review.get("request").is_none(), "the request is not sent back");
        review["response"].clone()
    }

    /// Status and the message of a denial because the request could not be read, with this uid.
    pub(crate) fn unreadable(&self, uid: &str, code: u16) -> String {
        let response = self.response();
        assert_eq!((&response["allowed"], &response["uid"]), (&json!(false), &json!(uid)), "{}", self.text);
        assert_eq!(response["status"]["code"], json!(code), "{}", self.text);
        response["status"]["message"].as_str().unwrap().to_owned()
    }
}

/// The operations of a patch.
pub(crate) fn operations(response: &Value) -> Value {
    assert_eq!(response["patchType"], "JSONPatch");
    let bytes = base64::engine::general_purpose::STANDARD.decode(response["patch"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

impl Serve {
    /// The embedded policies; with no configuration and no cluster they are enforced.
    pub(crate) fn embedded(config: Option<&str>) -> Self {
        Self::start(tempfile::tempdir().unwrap(), config, &[])
    }

    /// Only these files as policies.
    pub(crate) fn with_policies(files: &[(&str, &str)], config: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("policies"), files);
        Self::start(folder, config, &["--policies", "policies", "--policies-only"])
    }

    pub(crate) fn start(folder: TempDir, config: Option<&str>, args: &[&str]) -> Self {
        let mut command = command(folder.path(), args);
        if let Some(config) = config {
            std::fs::write(folder.path().join("seawall.yaml"), config).unwrap();
            command.args(["--config", "seawall.yaml"]);
        }
        let open = |name: &str| std::fs::File::create(folder.path().join(name)).unwrap();
        let mut child = command.stdout(open("stdout")).stderr(open("stderr")).stdin(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        let printed = loop {
            let printed = std::fs::read_to_string(folder.path().join("stdout")).unwrap();
            if printed.contains("/mutate\n") {
                break printed;
            }
            let log = || std::fs::read_to_string(folder.path().join("stderr")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it ended: {}", log());
            assert!(started.elapsed() < Duration::from_secs(120), "it does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        };
        let line = |key: &str| printed.lines().find_map(|l| l.strip_prefix(key)).unwrap().to_owned();
        let address = line("admission: https://").parse().unwrap();
        let admin = line("metrics: http://").parse().unwrap();
        let ca = std::fs::read_to_string(line("CA: ")).unwrap();
        let tls = client(roots(&ca), rustls::ALL_VERSIONS, &["h2"]);
        let http = reqwest::Client::builder().use_preconfigured_tls(tls).no_proxy().build().unwrap();
        Self { child, address, admin, printed, ca, folder, http }
    }

    /// The folder that `--policies` names.
    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    /// A client that opens its own connections.
    pub(crate) fn client(&self) -> reqwest::Client {
        let tls = client(roots(&self.ca), rustls::ALL_VERSIONS, &["http/1.1"]);
        reqwest::Client::builder().use_preconfigured_tls(tls).no_proxy().build().unwrap()
    }

    /// A connection over which every byte is the test's own.
    pub(crate) async fn http1(&self) -> Http1 {
        let config = client(roots(&self.ca), rustls::ALL_VERSIONS, &["http/1.1"]);
        Http1 { stream: connect(self.address, config, "localhost").await.unwrap() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Sends a body as the API server does.
    pub(crate) async fn send(&self, path: &str, body: impl Into<reqwest::Body>) -> Answered {
        self.send_by(&self.http, path, body, "application/json").await
    }

    pub(crate) async fn send_by(
        &self,
        client: &reqwest::Client,
        path: &str,
        body: impl Into<reqwest::Body>,
        content_type: &str,
    ) -> Answered {
        let started = Instant::now();
        let request = client.post(self.url(path)).header("Content-Type", content_type).body(body);
        let response = request.send().await.unwrap_or_else(|e| panic!("{path}: {e:?}"));
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        Answered { status, text, took: started.elapsed() }
    }

    /// The `response` to a review on `/validate/enforce`.
    pub(crate) async fn validate(&self, review: &Value) -> Value {
        self.send("/validate/enforce", review.to_string()).await.response()
    }

    /// The `response` to a review on `/mutate`.
    pub(crate) async fn mutate(&self, review: &Value) -> Value {
        self.send("/mutate", review.to_string()).await.response()
    }

    /// A path of the admin port.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let response = self.client().get(format!("http://{}{path}", self.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of a metric line that begins like this; 0 where there is none.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let (_, text) = self.admin("/metrics").await;
        text.lines().find_map(|l| l.strip_prefix(line)).and_then(|rest| rest.trim().parse().ok()).unwrap_or(0.0)
    }

    /// Waits until a metric is larger than before.
    pub(crate) async fn metric_exceeds(&self, line: &str, before: f64) {
        let started = Instant::now();
        while self.metric(line).await <= before {
            assert!(started.elapsed() < Duration::from_secs(60), "{line} stays {before}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The readiness condition `policies`, with HTTP 200: the last good set serves.
    pub(crate) async fn policies_condition(&self) -> (String, String) {
        let (status, text) = self.admin("/readyz").await;
        assert_eq!(status, 200, "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        let check = report["checks"].as_array().unwrap().iter().find(|c| c["name"] == "policies").unwrap();
        let text = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        (text("status"), text("detail"))
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes files below a folder.
pub(crate) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // renamed, so that no look at the folder meets half a file
        let half = path.with_extension("half");
        std::fs::write(&half, text).unwrap();
        std::fs::rename(half, path).unwrap();
    }
}

/// A policy on StatefulSets that denies in all tiers.
pub(crate) fn policy(id: &str, rules: &str) -> String {
    policy_with(id, "Deny", rules)
}

/// A policy on StatefulSets with one action in all tiers.
pub(crate) fn policy_with(id: &str, action: &str, rules: &str) -> String {
    let package = id.replace('-', "_");
    format!(
        "# METADATA
# title: A policy of a test
# description: For a test.
# custom:
#   id: {id}
#   checklist: probes
#   severity: high
#   actions: {{tier-0: {action}, tier-1: {action}, tier-2: {action}, tier-3: {action}}}
#   match:
#   - {{apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}}
package seawall.policies.{package}

{rules}
"
    )
}

/// At least this many replicas.
pub(crate) fn replicas(at_least: u32) -> String {
    policy(
        "enough-replicas",
        &format!(
            "violation contains {{\"msg\": \"too few\", \"path\": [\"spec\", \"replicas\"], \"wanted\": {at_least}, \"fix\": \"scale up\"}} if {{\n\tinput.request.object.spec.replicas < {at_least}\n}}"
        ),
    )
}

/// A review that creates a StatefulSet with this spec.
pub(crate) fn review(uid: &str, spec: Value) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": uid,
            "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
            "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"},
            "name": "orders",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {"username": "developer", "uid": "of-the-user", "groups": ["system:authenticated"]},
            "object": {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": "orders", "namespace": "shop", "uid": "of-the-object"},
                "spec": spec,
            },
            "oldObject": null,
            "dryRun": false,
            "options": {"apiVersion": "meta.k8s.io/v1", "kind": "CreateOptions"},
        },
    })
}
