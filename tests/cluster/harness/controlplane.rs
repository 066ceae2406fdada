//! A real etcd, kube-apiserver and (on request) kube-controller-manager on free loopback ports in a directory of their own.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::Api;
use super::binaries::{Binaries, binaries};
use super::kubectl::Kubectl;
use super::pki::{Authority, ec_key};
use super::process::{Guarded, POLL, ScratchDir};

/// Users of the token file: token, name, group. `admin` passes every authorizer as a member of `system:masters`; `developer`
/// and `platform` may do everything through RBAC and are nobody that a webhook would spare; `nobody` has no rights at all;
/// `scheduler` has what Kubernetes gives the real one.
const USERS: [(&str, &str, &str); 5] = [
    ("admin", "admin", "system:masters"),
    ("developer", "developer", "developers"),
    ("platform", "platform", "platform-engineers"),
    ("nobody", "nobody", "nobodies"),
    ("scheduler", "system:kube-scheduler", "system:schedulers"),
];

/// Controllers that the tests need; the rest would only burn the two cores.
const CONTROLLERS: &str = "statefulset-controller,deployment-controller,replicaset-controller,serviceaccount-controller,\
                           namespace-controller,persistentvolume-binder-controller,disruption-controller,\
                           persistentvolumeclaim-protection-controller,persistentvolume-protection-controller,\
                           garbage-collector-controller,endpointslice-controller,resourcequota-controller";

/// What to start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Also kube-controller-manager, each controller with its own service account.
    pub(crate) controllers: bool,
    /// `--enable-aggregator-routing=true`: the API server itself picks an endpoint of a webhook's Service.
    pub(crate) aggregator_routing: bool,
    /// An audit log at level Metadata, see [`ControlPlane::audit_events`].
    pub(crate) audit: bool,
    /// Addresses other than loopback under which network namespaces of the test reach the API server.
    pub(crate) extra_addresses: Vec<Ipv4Addr>,
    /// Further flags of kube-apiserver.
    pub(crate) flags: Vec<&'static str>,
}

/// A running control plane. Dropping it kills it.
pub(crate) struct ControlPlane {
    // the order of the fields is the order of dying: clients of a server before it, the directory last
    controller_manager: Option<Guarded>,
    apiserver: Guarded,
    etcd: Guarded,
    authority: Authority,
    port: u16,
    etcd_port: u16,
    options: Options,
    binaries: Binaries,
    scratch: ScratchDir,
}

impl ControlPlane {
    /// Starts and waits for `/readyz`; the error is for a person and holds the end of the logs.
    pub(crate) fn start(options: &Options) -> Result<Self, String> {
        let binaries = binaries().map_err(str::to_owned)?.clone();
        // another process may take a port between our look and the server's bind
        let mut last = String::new();
        for _ in 0..3 {
            match Self::try_start(options, &binaries) {
                Ok(started) => return Ok(started),
                Err(why) => last = why,
            }
        }
        Err(format!("the control plane did not start: {last}"))
    }

    fn try_start(options: &Options, binaries: &Binaries) -> Result<Self, String> {
        let scratch = ScratchDir::new("seawall-cluster-").map_err(|e| format!("temporary directory: {e}"))?;
        let dir = scratch.path();
        let [client_port, peer_port, port] = free_ports();
        let etcd = start_etcd(binaries, dir, client_port, peer_port)?;
        let authority = write_keys(dir, &options.extra_addresses);
        let apiserver = start_apiserver(binaries, dir, options, client_port, port)?;
        let mut plane = Self {
            controller_manager: None,
            apiserver,
            etcd,
            authority,
            port,
            etcd_port: client_port,
            options: options.clone(),
            binaries: binaries.clone(),
            scratch,
        };
        for (user, _, _) in USERS {
            let text = plane.kubeconfig_text(&plane.server(), user, None);
            fs::write(plane.kubeconfig(user), text).map_err(|e| format!("kubeconfig: {e}"))?;
        }
        plane.wait_ready()?;
        plane.bind_users()?;
        if options.controllers {
            plane.controller_manager = Some(plane.start_controllers()?);
            plane.wait_controllers()?;
        }
        Ok(plane)
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let api = self.api("admin");
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            for process in [&mut self.etcd, &mut self.apiserver] {
                if let Some(status) = process.exited() {
                    return Err(format!("ended with {status}\n{}", process.log_tail(15)));
                }
            }
            if api.get("/readyz").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("not ready within 2 minutes\n{}", self.apiserver.log_tail(15)));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Kills the API server and starts it again, on the same port and data, when `meanwhile` is done.
    pub(crate) fn restart_apiserver(&mut self, meanwhile: impl FnOnce(&Self)) {
        self.apiserver.kill();
        meanwhile(self);
        self.apiserver =
            start_apiserver(&self.binaries, self.scratch.path(), &self.options, self.etcd_port, self.port).unwrap();
        self.wait_ready().unwrap();
    }

    /// Makes etcd forget all versions before now: tokens of lists under way and watches from before are 410 Gone.
    pub(crate) fn forget_history(&self) {
        let etcd = |path: &str, body: &Value| {
            let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
            let url = format!("http://127.0.0.1:{}/v3/kv/{path}", self.etcd_port);
            let text =
                client.post(url).body(body.to_string()).send().unwrap().error_for_status().unwrap().text().unwrap();
            serde_json::from_str::<Value>(&text).unwrap()
        };
        // "/" and the key after it, in base64: any read tells the revision
        let now = etcd("range", &json!({"key": "Lw==", "limit": "1"}))["header"]["revision"].clone();
        etcd("compaction", &json!({"revision": now, "physical": true}));
    }

    /// Gives `developer` and `platform` all rights by RBAC, as a person with `cluster-admin` has them.
    fn bind_users(&self) -> Result<(), String> {
        let subject = |name: &str| json!({"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "test-users"},
            "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [subject("developer"), subject("platform")],
        });
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        match self.api("admin").post(path, &binding) {
            Ok((201, _)) => Ok(()),
            other => Err(format!("binding the test users: {other:?}")),
        }
    }

    fn start_controllers(&self) -> Result<Guarded, String> {
        let dir = self.scratch.path();
        let args = [
            format!("--kubeconfig={}", self.kubeconfig("admin").display()),
            format!("--service-account-private-key-file={}", dir.join("sa.key").display()),
            format!("--root-ca-file={}", dir.join("pki/ca.crt").display()),
            format!("--controllers={CONTROLLERS}"),
            "--use-service-account-credentials=true".to_owned(),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
        ];
        let program = self.binaries.path("kube-controller-manager");
        Guarded::spawn("kube-controller-manager", dir, &program, &args)
            .map_err(|e| format!("kube-controller-manager: {e}"))
    }

    /// The service account of namespace `default` is the controllers' first visible work.
    fn wait_controllers(&mut self) -> Result<(), String> {
        let api = self.api("admin");
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if api.get("/api/v1/namespaces/default/serviceaccounts/default").is_ok_and(|(status, _)| status == 200) {
                return Ok(());
            }
            if let Some(status) = self.controller_manager.as_mut().and_then(Guarded::exited) {
                return Err(format!("kube-controller-manager ended with {status}\n{}", self.logs()));
            }
            std::thread::sleep(POLL);
        }
        Err(format!("the controllers did nothing within a minute\n{}", self.logs()))
    }

    /// The URL of the API server on loopback.
    pub(crate) fn server(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The port of the API server, for an address other than loopback.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The directory of this control plane: logs, keys, kubeconfigs; tests may put files there.
    pub(crate) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// A kubeconfig file of one of the token file's users.
    pub(crate) fn kubeconfig(&self, user: &str) -> PathBuf {
        self.scratch.path().join(format!("{user}.kubeconfig"))
    }

    /// Writes a kubeconfig for any bearer token, for an API server reached under `server`.
    pub(crate) fn kubeconfig_for(&self, name: &str, server: &str, token: &str) -> PathBuf {
        let path = self.scratch.path().join(format!("{name}.kubeconfig"));
        fs::write(&path, self.kubeconfig_text(server, token, None)).unwrap();
        path
    }

    fn kubeconfig_text(&self, server: &str, token: &str, namespace: Option<&str>) -> String {
        let ca = self.scratch.path().join("pki/ca.crt");
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": ca}}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {
                "cluster": "test", "user": "test", "namespace": namespace.unwrap_or("default"),
            }}],
        })
        .to_string()
    }

    /// Raw HTTP as one of the token file's users.
    pub(crate) fn api(&self, user: &str) -> Api {
        Api::new(self.server(), self.authority.pem(), user)
    }

    /// Raw HTTP with any bearer token.
    pub(crate) fn api_with_token(&self, token: &str) -> Api {
        Api::new(self.server(), self.authority.pem(), token)
    }

    /// `kubectl` as `developer`, the person of most tests.
    pub(crate) fn kubectl(&self) -> Kubectl {
        self.kubectl_as("developer")
    }

    /// `kubectl` as one of the token file's users.
    pub(crate) fn kubectl_as(&self, user: &str) -> Kubectl {
        Kubectl::new(self.binaries.path("kubectl"), self.kubeconfig(user), self.scratch.path().join("home"))
    }

    /// Makes a namespace with labels; the name is unique in this test process.
    #[track_caller]
    pub(crate) fn namespace(&self, stem: &str, labels: &[(&str, &str)]) -> String {
        self.try_namespace(stem, labels).unwrap_or_else(|answer| panic!("no namespace {stem}: {answer}"))
    }

    /// As [`ControlPlane::namespace`], giving the API server's answer when it refuses.
    pub(crate) fn try_namespace(&self, stem: &str, labels: &[(&str, &str)]) -> Result<String, Value> {
        let name = format!("{stem}-{}", next_number());
        let labels: serde_json::Map<String, Value> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        let (status, answer) = self.api("platform").post("/api/v1/namespaces", &body).unwrap();
        if status == 201 { Ok(name) } else { Err(answer) }
    }

    /// The audit events so far (level Metadata, stage ResponseComplete), oldest first.
    pub(crate) fn audit_events(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.scratch.path().join("audit.log")).unwrap_or_default();
        // the last line may be half written
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What Seawall's webhooks found in requests to write an object, as the audit log has it: in those of which `also` holds.
    pub(crate) fn audited(&self, resource: &str, name: &str, also: impl Fn(&Value) -> bool) -> Findings {
        let of = |event: &Value| {
            let object = &event["objectRef"];
            object["resource"] == resource && object["name"] == name && also(event)
        };
        let findings = |event: Value| {
            let annotations = event["annotations"].as_object().cloned().unwrap_or_default();
            let lists = annotations.into_iter().filter(|(key, _)| key.ends_with("/violations"));
            lists
                .filter_map(|(_, text)| serde_json::from_str::<Vec<Value>>(text.as_str()?).ok())
                .flatten()
                .collect::<Vec<_>>()
        };
        Findings(self.audit_events().into_iter().filter(of).flat_map(findings).collect())
    }

    /// A bearer token of a service account, as `kubectl create token` gets it.
    pub(crate) fn service_account_token(&self, namespace: &str, name: &str) -> String {
        self.kubectl_as("admin").run(&["create", "token", "-n", namespace, name], "").ok().stdout.trim().to_owned()
    }

    /// The end of the logs, for failure messages.
    pub(crate) fn logs(&self) -> String {
        let mut text = self.apiserver.log_tail(25);
        if let Some(controllers) = &self.controller_manager {
            let _ = write!(text, "\n{}", controllers.log_tail(25));
        }
        text
    }
}

/// Findings of the audit log; each has `policy`, `field`, `action` and `effective`.
#[derive(Debug)]
pub(crate) struct Findings(Vec<Value>);

impl Findings {
    /// Whether `policy` found something that is recorded and nothing else.
    pub(crate) fn names(&self, policy: &str) -> bool {
        self.0.iter().any(|finding| finding["policy"] == policy && finding["effective"] == "Audit")
    }

    /// Fails the test unless `policy` found something that is recorded and nothing else; counts for `docs/coverage.md` as
    /// [`Output::denied_by`](super::kubectl::Output::denied_by) does.
    #[track_caller]
    pub(crate) fn audited_by(self, policy: &str) -> Self {
        assert!(self.names(policy), "{policy} is not audited: {self:?}");
        self
    }
}

/// A number that this test process has not used in a name.
pub(crate) fn next_number() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn start_etcd(binaries: &Binaries, dir: &Path, client: u16, peer: u16) -> Result<Guarded, String> {
    let args = [
        format!("--data-dir={}", dir.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        // the data lives as long as the test
        "--unsafe-no-fsync=true".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Guarded::spawn("etcd", dir, &binaries.path("etcd"), &args).map_err(|e| format!("etcd: {e}"))
}

/// Serving certificate into the API server's `--cert-dir` under the names that it looks for, service account keys, tokens.
fn write_keys(dir: &Path, extra: &[Ipv4Addr]) -> Authority {
    let pki = dir.join("pki");
    fs::create_dir_all(&pki).unwrap();
    let authority = Authority::new("seawall test control plane");
    let mut names: Vec<String> =
        ["127.0.0.1", "localhost", "kubernetes.default.svc", "kubernetes.default"].map(str::to_owned).into();
    names.extend(extra.iter().map(Ipv4Addr::to_string));
    let leaf = authority.leaf(&names);
    fs::write(pki.join("apiserver.crt"), leaf.certificate).unwrap();
    fs::write(pki.join("apiserver.key"), leaf.key).unwrap();
    fs::write(pki.join("ca.crt"), authority.pem()).unwrap();
    let service_accounts = ec_key();
    fs::write(dir.join("sa.key"), service_accounts.serialize_pem()).unwrap();
    fs::write(dir.join("sa.pub"), service_accounts.public_key_pem()).unwrap();
    let tokens: String =
        USERS.iter().map(|(token, user, group)| format!("{token},{user},{user},\"{group}\"\n")).collect();
    fs::write(dir.join("tokens.csv"), tokens).unwrap();
    authority
}

fn start_apiserver(
    binaries: &Binaries,
    dir: &Path,
    options: &Options,
    etcd: u16,
    port: u16,
) -> Result<Guarded, String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let bind = if options.extra_addresses.is_empty() {
        IpAddr::from(Ipv4Addr::LOCALHOST)
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--bind-address={bind}"),
        "--advertise-address=127.0.0.1".to_owned(),
        // loopback is no valid endpoint address, and nobody uses the `kubernetes` Service here
        "--endpoint-reconciler-type=none".to_owned(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", file("pki")),
        format!("--token-auth-file={}", file("tokens.csv")),
        "--authorization-mode=RBAC".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
        format!("--enable-aggregator-routing={}", options.aggregator_routing),
    ];
    args.extend(options.flags.iter().map(|flag| (*flag).to_owned()));
    if options.audit {
        let policy = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "rules": [{"level": "Metadata"}],
        });
        fs::write(dir.join("audit-policy.json"), policy.to_string()).unwrap();
        args.push(format!("--audit-policy-file={}", file("audit-policy.json")));
        args.push(format!("--audit-log-path={}", file("audit.log")));
        args.push("--audit-log-mode=blocking".to_owned());
    }
    Guarded::spawn("kube-apiserver", dir, &binaries.path("kube-apiserver"), &args)
        .map_err(|e| format!("kube-apiserver: {e}"))
}

/// Three different ports that were free a moment ago.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
