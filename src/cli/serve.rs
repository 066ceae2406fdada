//! `seawall serve`: flags, and putting the parts together.

mod audit;
mod register;
mod reload;
mod sample;
mod shadow;

use crate::certs::files::CertificateFiles;
use crate::certs::manager::{Clocks, SelfMade};
use crate::certs::secret::SecretStore;
use crate::certs::store::MemoryStore;
use crate::certs::{self, Certificates, Reports, issue};
use crate::config::Settings;
use crate::context::cluster::ClusterContext;
use crate::decisions::Recorder;
use crate::decisions::bodies::Bodies;
use crate::decisions::store::Keeper;
use crate::engine::pool::Pool;
use crate::kubeapi;
use crate::policy::mode::Mode;
use crate::policy::store::PolicySet;
use crate::review::Snapshot;
use crate::server::handlers::{self, App};
use crate::server::shadow::Shadow;
use crate::server::{Condition, DrainConfig, Ended, Limits, Readiness, Server, ServerConfig, Shutdown, router};
use crate::telemetry::logging::{self, LogFormat};
use crate::telemetry::metrics::Metrics;
use crate::webhookconfig;
use crate::webhookconfig::apply::Identity;
use crate::webhookconfig::target::WebhookTarget;
use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use clap::Args;
use kube::Client;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long a start waits for the first lists of the cluster before it serves with what is there.
const FIRST_SYNC: Duration = Duration::from_secs(20);

/// How long the end waits for the last write of decisions.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Name of the Secret that holds the CA.
const CA_SECRET: &str = "seawall-ca";

/// Names of readiness conditions.
const POLICIES: &str = "policies";
const CERTIFICATE: &str = "certificate";
const CONTEXT: &str = "context";

/// Flags of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Address of the admission port [default: 127.0.0.1:8443; in a Pod 0.0.0.0:8443]
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEAWALL_LISTEN")]
    listen: Option<SocketAddr>,
    /// Address of health and metrics [default: 127.0.0.1:9443; in a Pod 0.0.0.0:9443]
    #[arg(long, value_name = "ADDRESS:PORT", env = "SEAWALL_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Cluster to take facts and labels from; without it a Pod uses its own account, and anything else no cluster
    #[arg(long, value_name = "FILE", env = "SEAWALL_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    policies: reload::PoliciesArgs,
    /// Certificate chain in PEM; read again when it changes [default: self-made]
    #[arg(long, value_name = "FILE", requires = "tls_key", env = "SEAWALL_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its key in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "SEAWALL_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// CA certificates in PEM that signed --tls-cert, for the webhook configurations
    #[arg(long, value_name = "FILE", requires = "tls_cert", env = "SEAWALL_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// Write the webhook configurations to the cluster and keep them right
    #[arg(long)]
    register: bool,
    /// Service by which the API server reaches Seawall [default: seawall in its own namespace]
    #[arg(long, value_name = "NAMESPACE/NAME[:PORT]", conflicts_with = "webhook_url")]
    webhook_service: Option<String>,
    /// URL by which the API server reaches Seawall; "auto" is the address listened on
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// Namespace that Seawall runs in [default: that of its Pod, else seawall-system]
    #[arg(long, env = "POD_NAMESPACE")]
    namespace: Option<String>,
    /// Name of this replica [default: its host's name and process]
    #[arg(long, env = "POD_NAME")]
    pod_name: Option<String>,
    #[command(flatten)]
    audit: audit::AuditArgs,
    #[command(flatten)]
    shadow: shadow::ShadowArgs,
    /// Seconds after SIGTERM during which calls are still accepted
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    drain_seconds: u64,
    /// Longest wait after that for idle connections to be used once more
    #[arg(long, value_name = "SECONDS", default_value_t = 80)]
    linger_seconds: u64,
    /// How often counts of would-be decisions are written to a ConfigMap, when there are new ones; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    decisions_seconds: u64,
    /// Keep requests that would have been rejected as cases for tests in this folder, at most 500, secrets replaced
    #[arg(long, value_name = "FOLDER")]
    record_bodies: Option<PathBuf>,
    /// text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", env = "SEAWALL_LOG_FORMAT")]
    log_format: LogFormat,
    /// Level or directives, for example "info,seawall=debug"
    #[arg(long, value_name = "FILTER", default_value = "info,kube_client::client::builder=off", env = "SEAWALL_LOG")]
    log: String,
}

/// Runs until the server has drained.
pub(super) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    logging::init(args.log_format, &args.log)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let ended = runtime.block_on(serve(args))?;
    // a worker that is stuck must not hold the process
    runtime.shutdown_background();
    Ok(match ended {
        Ended::Drained { .. } => ExitCode::SUCCESS,
        Ended::Aborted => ExitCode::from(2),
    })
}

/// Where the process runs.
fn in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
}

async fn client(args: &ServeArgs) -> anyhow::Result<Option<Client>> {
    if args.kubeconfig.is_none() && !in_pod() {
        return Ok(None);
    }
    Ok(Some(kubeapi::client(args.kubeconfig.as_deref()).await?))
}

async fn serve(args: ServeArgs) -> anyhow::Result<Ended> {
    let client = client(&args).await?;
    if args.register && client.is_none() {
        bail!("--register needs a cluster: give --kubeconfig, or run in a Pod");
    }
    let audits = args.audit.audit_interval.is_some();
    if audits && client.is_none() {
        bail!("--audit-interval needs a cluster: give --kubeconfig, or run in a Pod");
    }
    let mut settings = match &args.config {
        Some(path) => Settings::load(path)?,
        None => Settings::default(),
    };
    let alone = client.is_none();
    for row in settings.expired(jiff::Timestamp::now()) {
        let (namespace, name) = (row.namespace.as_deref().unwrap_or("-"), row.name.as_deref().unwrap_or("*"));
        let until = &row.until;
        tracing::warn!(policies = ?row.policies, namespace, name, until, "an exemption of the configuration has expired and does not count; remove it or agree on a new day");
    }
    if alone && args.config.is_none() {
        // nothing can break without a cluster, and a first look should see what Seawall does
        settings.defaults.mode = Mode::Enforce;
    }
    let settings = Arc::new(settings);
    let metrics = Arc::new(Metrics::new());
    let readiness = Readiness::expecting(&[POLICIES, CERTIFICATE]);
    let (reload, policies) = args.policies.start(settings.clone(), &metrics, &readiness).await?;
    metrics.set_known_resources(
        policies.policies().iter().flat_map(|p| p.metadata.rules.iter().flat_map(|r| r.resources.clone())),
    );

    let shadow = shadow::start(&args.shadow, args.policies.only(), (&policies, &settings), &metrics)?;

    let stop = CancellationToken::new();
    let cluster =
        client.clone().map(|client| ClusterContext::start(client, needed(&policies, audits, None), stop.clone()));
    if let Some(cluster) = &cluster {
        let missing = cluster.wait_synced(FIRST_SYNC).await;
        let condition = if missing.is_empty() {
            Condition::Ok
        } else {
            Condition::Degraded(format!("not synced: {}", missing.join(", ")))
        };
        readiness.set(CONTEXT, condition);
    }
    let facts = cluster.as_ref().map(ClusterContext::facts).unwrap_or_default();
    let snapshot = Snapshot::new(policies.clone(), settings.clone(), facts, jiff::Timestamp::now());
    let workers = match settings.limits.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        workers => workers,
    };
    let recorder =
        (client.is_some() && args.decisions_seconds > 0).then(|| Arc::new(Recorder::new(jiff::Timestamp::now())));
    let app = Arc::new(App {
        snapshot: ArcSwap::from_pointee(snapshot),
        cluster: cluster.clone(),
        pool: Pool::new(workers).context("no worker threads")?,
        sampler: Pool::new(1).context("no worker threads")?,
        sampling: AtomicBool::new(false),
        metrics: metrics.clone(),
        decisions: recorder.clone(),
        bodies: args.record_bodies.as_deref().map(Bodies::start).transpose()?,
        sampled: AtomicU32::new(0),
        shadow: shadow.as_ref().map(|started| started.shadow.clone()),
    });

    let everywhere =
        |port| SocketAddr::new(IpAddr::V4(if in_pod() { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST }), port);
    let config = ServerConfig {
        admission: args.listen.unwrap_or_else(|| everywhere(8443)),
        admin: args.metrics_listen.unwrap_or_else(|| everywhere(9443)),
        limits: Limits::default(),
    };
    let namespace = args.namespace.clone().unwrap_or_else(own_namespace);
    // it ends after the last answer, to write what came with it
    let last_answer = CancellationToken::new();
    let keeping = client.clone().zip(recorder).map(|(client, recorder)| {
        let keeper = Keeper::new(client, &namespace, &identity(&args, &namespace).pod, recorder);
        tokio::spawn(keeper.run(Duration::from_secs(args.decisions_seconds), last_answer.clone()))
    });
    let certificates = certificates(&args, client.clone(), &namespace, config.admission, &metrics, &readiness).await?;
    let server = Server::bind(config, certificates.resolver()).await?;
    let (admission, admin) = (server.admission_address(), server.admin_address());

    let drain = DrainConfig {
        drain: Duration::from_secs(args.drain_seconds),
        linger: Duration::from_secs(args.linger_seconds),
        ..DrainConfig::default()
    };
    let shutdown = Shutdown::new(drain);
    tokio::spawn(shutdown.take_signals().context("signals cannot be taken")?);
    let registered = match (&client, args.register) {
        (Some(client), true) => {
            let target = target(&args, &namespace, admission)?;
            let options = webhookconfig::Options {
                target,
                ca_bundle: None,
                own_namespace: Some(namespace.clone()),
                own_user: own_user(),
            };
            let policies = app.snapshot.load();
            let of = (policies.policies.as_ref(), policies.settings.as_ref());
            Some(register::start(
                client.clone(),
                identity(&args, &namespace),
                of,
                options,
                &certificates,
                (&shutdown, &readiness),
            )?)
        }
        _ => None,
    };
    let auditing = client
        .zip(cluster.clone())
        .and_then(|cluster| audit::start(&args.audit, cluster, identity(&args, &namespace), app.clone(), &shutdown));
    let (wanted, keeper) = registered.map(register::Registered::split).unzip();
    if let Some(shadow) = shadow {
        tokio::spawn(shadow.keep(app.clone(), audits));
    }
    if let Some(reload) = reload {
        tokio::spawn(reload.run(app.clone(), readiness.clone(), wanted, audits));
    }
    if let Some(cluster) = cluster {
        tokio::spawn(watch_context(cluster, readiness.clone(), metrics.clone()));
    }
    let bundle = certificates.bundle_pem().borrow().clone();
    let announced = sample::announce(admission, admin, bundle.as_deref(), &app.snapshot.load(), alone);
    if let Err(error) = &announced {
        tracing::warn!(%error, "the addresses could not be announced on standard output");
    }
    let ended = server
        .run(handlers::admission(app), router::admin(readiness.clone(), metrics.clone()), shutdown, readiness, metrics)
        .await;
    last_answer.cancel();
    if let Some(keeping) = keeping {
        let _ = tokio::time::timeout(LAST_WRITE, keeping).await;
    }
    for keeper in keeper.into_iter().chain(auditing) {
        register::Registered::release(keeper).await;
    }
    stop.cancel();
    drop(announced);
    Ok(ended)
}

/// The kinds to watch: an audit also asks policies that no webhook calls, and a candidate set may need others.
fn needed(policies: &PolicySet, audits: bool, shadow: Option<&Arc<Shadow>>) -> BTreeSet<String> {
    let kinds = if audits { policies.needed_context() } else { policies.watched_context() };
    kinds.keys().cloned().chain(shadow.into_iter().flat_map(|shadow| shadow.needed())).collect()
}

fn own_namespace() -> String {
    let mounted = std::fs::read_to_string("/var/run/secrets/kubernetes.io/serviceaccount/namespace");
    mounted.ok().map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).unwrap_or_else(|| "seawall-system".to_owned())
}

/// Who this replica is among the others.
fn identity(args: &ServeArgs, namespace: &str) -> Identity {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let pod = args.pod_name.clone().unwrap_or_else(|| format!("{}-{}", host.trim(), std::process::id()));
    Identity { namespace: namespace.to_owned(), pod }
}

/// The user name of this Pod's account, where the deployment tells it.
fn own_user() -> Option<String> {
    let namespace = std::env::var("POD_NAMESPACE").ok()?;
    let account = std::env::var("POD_SERVICE_ACCOUNT").ok()?;
    Some(format!("system:serviceaccount:{namespace}:{account}"))
}

/// The certificate: from files, from the CA that all replicas share, or self-made in memory.
async fn certificates(
    args: &ServeArgs,
    client: Option<Client>,
    namespace: &str,
    listen: SocketAddr,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
) -> anyhow::Result<Certificates> {
    let ready = readiness.clone();
    let reports = Reports::new(metrics.clone(), move |status| {
        ready.set(
            CERTIFICATE,
            match status {
                certs::Status::Ok => Condition::Ok,
                certs::Status::Degraded(detail) => Condition::Degraded(detail),
                certs::Status::Failed(detail) => Condition::Failed(detail),
            },
        );
    });
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        let mut files = CertificateFiles::new(certificate.clone(), key.clone());
        files.authority.clone_from(&args.tls_ca);
        let (certificates, look) = files.open(reports).await.context("the certificate given cannot be served")?;
        tokio::spawn(look);
        return Ok(certificates);
    }
    let mut names = issue::local_names();
    if !listen.ip().is_unspecified() && !listen.ip().is_loopback() {
        names.push(listen.ip().to_string());
    }
    let service = args
        .webhook_service
        .as_deref()
        .map_or("seawall", |s| s.rsplit('/').next().unwrap_or(s).split(':').next().unwrap_or(s));
    names.extend(issue::service_names(service, namespace));
    if let Some(host) = args.webhook_url.as_deref().and_then(host) {
        names.push(host);
    }
    let made = SelfMade::new(names);
    let patience = Duration::from_secs(60);
    match client.filter(|_| args.register || in_pod()) {
        Some(client) => {
            let store = SecretStore::new(client, namespace, CA_SECRET);
            let (certificates, rounds) = made
                .start(store, Clocks::system(), reports, patience)
                .await
                .with_context(|| format!("no certificate from the CA in Secret {namespace}/{CA_SECRET}"))?;
            tokio::spawn(rounds);
            Ok(certificates)
        }
        None => {
            let (certificates, rounds) = made
                .start(MemoryStore::default(), Clocks::system(), reports, patience)
                .await
                .context("no certificate could be made")?;
            tokio::spawn(rounds);
            Ok(certificates)
        }
    }
}

/// The host of an https URL.
fn host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://")?;
    let authority = rest.split('/').next()?;
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority.split(':').next()?,
    };
    Some(host.to_owned()).filter(|h| !h.is_empty())
}

/// How the API server reaches us.
fn target(args: &ServeArgs, namespace: &str, admission: SocketAddr) -> anyhow::Result<WebhookTarget> {
    Ok(match (&args.webhook_url, &args.webhook_service) {
        (Some(url), _) if url == "auto" => WebhookTarget::url(&format!("https://{admission}"))?,
        (Some(url), _) => WebhookTarget::url(url)?,
        (None, Some(service)) => WebhookTarget::service(service)?,
        (None, None) => WebhookTarget::service(&format!("{namespace}/seawall"))?,
    })
}

/// Tells how old the facts are.
async fn watch_context(cluster: ClusterContext, readiness: Readiness, metrics: Arc<Metrics>) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut problems = Vec::new();
        for kind in cluster.status() {
            metrics.expect_context(&kind.resource);
            if kind.synced && kind.stale.is_some_and(|age| age < Duration::from_secs(90)) {
                metrics.context_good(&kind.resource);
            } else if kind.served {
                let problem = kind.problem.unwrap_or_else(|| "no news from the API server".to_owned());
                problems.push(format!("{}: {problem}", kind.resource));
            }
        }
        let condition = match (problems.is_empty(), started.elapsed() < FIRST_SYNC) {
            (true, _) => Condition::Ok,
            (false, _) => Condition::Degraded(problems.join("; ")),
        };
        readiness.set(CONTEXT, condition);
    }
}
