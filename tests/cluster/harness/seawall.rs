//! Seawall as its users run it: the built binary as a process, `serve --register` against the test's API server.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::controlplane::ControlPlane;
use super::network::Node;
use super::objects::{self, Manifest as _};
use super::process::{Guarded, POLL, eventually};

/// How to start it; the default is one process on loopback, registered by URL, as `admin`, without a configuration file.
#[derive(Clone, Default)]
pub(crate) struct Options<'a> {
    /// Text of `seawall.yaml`.
    pub(crate) config: &'a str,
    /// Another kubeconfig than that of `admin`.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// `--webhook-service` instead of `--webhook-url`.
    pub(crate) service: Option<&'a str>,
    /// Run inside this network namespace, listening on its address.
    pub(crate) node: Option<&'a Node>,
    /// `HOST:PORT` to serve on, when neither the node's address nor loopback is right.
    pub(crate) listen: Option<String>,
    /// `--drain-seconds` and `--linger-seconds`; short unless said otherwise, so that tests end.
    pub(crate) farewell: Option<[u32; 2]>,
    /// Leave the webhook configurations to the test: no `--register`.
    pub(crate) unregistered: bool,
    /// Further flags.
    pub(crate) extra: &'a [&'a str],
}

/// A running `seawall serve`.
pub(crate) struct Seawall {
    pub(crate) process: Guarded,
    /// `https://ADDR` of `/validate/…` and `/mutate`.
    pub(crate) admission: String,
    /// `http://ADDR` of `/healthz`, `/readyz` and `/metrics`.
    pub(crate) metrics: String,
    /// The CA bundle that the admission address is verified with.
    pub(crate) ca: PathBuf,
}

impl Seawall {
    /// Starts and waits until it is ready (not until the API server calls it, see [`Seawall::in_force`]).
    pub(crate) fn start(plane: &ControlPlane, name: &str, options: &Options<'_>) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_seawall"));
        // the CA file goes away with the test
        let scratch = [("TMPDIR".to_owned(), plane.dir().display().to_string())];
        let process = match options.node {
            Some(node) => {
                let mut args = node.enter(program);
                let ip = args.remove(0);
                args.extend(arguments(plane, name, options));
                Guarded::spawn_with(name, plane.dir(), Path::new(&ip), &args, &scratch)
            }
            None => Guarded::spawn_with(name, plane.dir(), program, &arguments(plane, name, options), &scratch),
        };
        let mut process = process.unwrap_or_else(|e| panic!("cannot start seawall: {e}"));
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = process.exited() {
                panic!("seawall ended with {status} before it was ready\n{}", process.log_tail(30));
            }
            if let Some(started) = addresses(&process)
                && http_get(&format!("{}/readyz", started.1)).is_some_and(|(status, _)| status == 200)
            {
                let (admission, metrics, ca) = started;
                return Self { process, admission, metrics, ca };
            }
            assert!(Instant::now() < deadline, "seawall is not ready within a minute\n{}", process.log_tail(30));
            std::thread::sleep(POLL);
        }
    }

    /// Waits until the API server sends both kinds of webhook calls here and they do what they should.
    pub(crate) fn in_force(self, plane: &ControlPlane) -> Self {
        await_enforcement(plane, || self.process.log_tail(30));
        self
    }

    /// One of `/healthz`, `/readyz`, `/metrics`: status and body, nothing when it cannot be reached.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        http_get(&format!("{}{path}", self.metrics))
    }

    /// The sum of a metric over the label sets that contain all of `labels` (written `key="value"`).
    pub(crate) fn metric(&self, family: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").map(|(_, body)| body).unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with(family) && line[family.len()..].starts_with(['{', ' ']))
            .filter(|line| labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

/// Fails the test with `logs` unless a violation is denied and a default is patched within half a minute.
pub(crate) fn await_enforcement(plane: &ControlPlane, logs: impl Fn() -> String) {
    // an earlier registration may still fail closed on enforced namespaces
    let namespace = eventually("a namespace can be made", Duration::from_secs(30), || {
        let labels =
            [("seawall.dev/mode", "enforce"), ("seawall.dev/tier", "tier-2"), ("seawall.dev/patch", "enabled")];
        plane.try_namespace("probe", &labels).ok()
    });
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
    let api = plane.api("developer");
    let denied = objects::database_without_volume("probe");
    let patched =
        objects::stateful_set("probe").with("/spec/persistentVolumeClaimRetentionPolicy/whenDeleted", "Delete");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let no = api.post(&path, &denied).unwrap();
        let yes = api.post(&path, &patched).unwrap();
        if no.0 == 403 && yes.1["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain" {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "seawall is not in force within half a minute; a database without a volume: {} {}\n\
             a claim retention of Delete: {} {}\n{}",
            no.0,
            no.1["message"],
            yes.0,
            yes.1["spec"]["persistentVolumeClaimRetentionPolicy"],
            logs()
        );
        std::thread::sleep(POLL);
    }
}

/// Waits until nothing is denied any more, for example after the configurations were deleted.
pub(crate) fn await_absence(plane: &ControlPlane) {
    let namespace = plane.namespace("probe", &[("seawall.dev/mode", "enforce")]);
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
    let api = plane.api("developer");
    let denied = objects::database_without_volume("probe");
    eventually("nothing is denied", Duration::from_secs(30), || {
        api.post(&path, &denied).is_ok_and(|(status, _)| status == 201).then_some(())
    });
}

fn arguments(plane: &ControlPlane, name: &str, options: &Options<'_>) -> Vec<String> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "seawall-system"}});
    // CA and Lease live there; it may exist already
    let _ = plane.api("admin").post("/api/v1/namespaces", &namespace);
    let config = plane.dir().join(format!("{name}.yaml"));
    fs::write(&config, options.config).unwrap();
    let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| plane.kubeconfig("admin"));
    let (listen, metrics) = match options.node {
        Some(node) => (format!("{}:8443", node.address), format!("{}:9443", node.address)),
        None => ("127.0.0.1:0".to_owned(), "127.0.0.1:0".to_owned()),
    };
    let mut args: Vec<String> = ["serve", "--namespace=seawall-system", "--config"].map(str::to_owned).into();
    args.push(config.display().to_string());
    if !options.unregistered {
        args.push("--register".to_owned());
    }
    args.push(format!("--kubeconfig={}", kubeconfig.display()));
    args.push(format!("--listen={}", options.listen.clone().unwrap_or(listen)));
    args.push(format!("--metrics-listen={metrics}"));
    match options.service {
        Some(service) => args.push(format!("--webhook-service={service}")),
        None => args.push("--webhook-url=auto".to_owned()),
    }
    let [drain, linger] = options.farewell.unwrap_or([1, 2]);
    args.push(format!("--drain-seconds={drain}"));
    args.push(format!("--linger-seconds={linger}"));
    args.extend(options.extra.iter().map(|arg| (*arg).to_owned()));
    args
}

/// The three lines that `serve` prints: `admission: https://ADDR`, `metrics: http://ADDR`, `CA: PATH`.
fn addresses(process: &Guarded) -> Option<(String, String, PathBuf)> {
    let text = process.stdout();
    let value = |key: &str| text.lines().find_map(|line| line.trim().strip_prefix(key)).map(|v| v.trim().to_owned());
    Some((value("admission:")?, value("metrics:")?, value("CA:")?.into()))
}

fn http_get(url: &str) -> Option<(u16, String)> {
    super::api::install_crypto_provider();
    let client = reqwest::blocking::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    let response = client.get(url).send().ok()?;
    Some((response.status().as_u16(), response.text().ok()?))
}

/// A `seawall.yaml` in which what carries no label is judged in `mode`.
pub(crate) fn default_mode(mode: &str) -> String {
    json!({"defaults": {"tier": "tier-2", "mode": mode}}).to_string()
}

/// A loopback port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// The names of Seawall's webhook configurations that the API server holds.
pub(crate) fn configurations(plane: &ControlPlane) -> Vec<String> {
    let api = plane.api("admin");
    ["validating", "mutating"]
        .iter()
        .flat_map(|kind| {
            let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations");
            let (_, list) = api.get(&path).unwrap();
            list["items"].as_array().cloned().unwrap_or_default()
        })
        .filter_map(|item: Value| item["metadata"]["name"].as_str().map(str::to_owned))
        .filter(|name| name.starts_with("seawall"))
        .collect()
}
