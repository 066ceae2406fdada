//! `seawall webhook-config`: prints the webhook configurations of the loaded policies, or removes them from a cluster.

use super::cluster::block_on;
use super::policies::SourceArgs;
use crate::config::Settings;
use crate::kubeapi;
use crate::webhookconfig::{self, Configurations, Options, WebhookTarget, apply, bundle};
use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Keys of the CA's Secret that hold what clients must trust, best first; the second is also cert-manager's.
const BUNDLE_KEYS: &[&str] = &["ca-bundle.crt", "ca.crt"];
/// Longest wait for the API server.
const REQUEST: Duration = Duration::from_secs(10);

/// Flags of `webhook-config`.
#[derive(Debug, Args)]
pub(super) struct WebhookConfigArgs {
    /// Service by which the API server reaches Seawall
    #[arg(
        long,
        value_name = "NAMESPACE/NAME[:PORT]",
        default_value = "seawall-system/seawall",
        conflicts_with = "url"
    )]
    service: String,
    /// URL by which the API server reaches Seawall, https and without query
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Namespace that Seawall runs in, which is never judged [default: that of the Service, else seawall-system]
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Service account that Seawall runs as, which is never judged; empty: none
    #[arg(long, value_name = "NAME", default_value = "seawall")]
    service_account: String,
    /// CA certificates in PEM by which the API server knows Seawall; left out: `caBundle` is left out
    #[arg(long, value_name = "FILE", conflicts_with = "ca_secret")]
    ca_file: Option<PathBuf>,
    /// Secret of the cluster with the CA certificates, for example seawall-system/seawall-ca
    #[arg(long, value_name = "NAMESPACE/NAME")]
    ca_secret: Option<String>,
    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: Format,
    /// Remove both configurations from the cluster instead: Seawall is out of the way at once
    #[arg(long, conflicts_with_all = ["url", "ca_file", "ca_secret"])]
    delete: bool,
    /// Cluster for --delete and --ca-secret; left out: the one this Pod is in
    #[arg(long, value_name = "FILE", env = "SEAWALL_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Two documents.
    Yaml,
    /// One `kind: List`.
    Json,
}

/// Prints, or removes.
pub(super) fn run(args: WebhookConfigArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if args.delete {
        let removed = block_on(async {
            let client = kubeapi::client(args.kubeconfig.as_deref()).await?;
            Ok(apply::delete(&client).await?)
        })?;
        if removed.is_empty() {
            writeln!(out, "nothing to delete: no webhook configuration {} is there", webhookconfig::NAME)?;
        }
        for kind in removed {
            writeln!(out, "{kind} {} deleted", webhookconfig::NAME)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let target = match &args.url {
        Some(url) => WebhookTarget::url(url)?,
        None => WebhookTarget::service(&args.service)?,
    };
    let ca_bundle = ca_bundle(&args)?;
    if ca_bundle.is_none() && args.url.is_none() {
        let mut err = std::io::stderr().lock();
        writeln!(
            err,
            "seawall: no caBundle is written, so the API server cannot call a Service yet; give --ca-file or --ca-secret, \
             or let `serve --register` write the configurations"
        )?;
    }
    let namespace = args.namespace.clone().unwrap_or_else(|| match &target {
        WebhookTarget::Service { namespace, .. } => namespace.clone(),
        WebhookTarget::Url(_) => "seawall-system".to_owned(),
    });
    let options = Options {
        target,
        ca_bundle,
        own_user: own_user(&namespace, &args.service_account),
        own_namespace: Some(namespace),
    };
    let settings = args.config.as_deref().map_or_else(|| Ok(Settings::default()), Settings::load)?;
    let source = args.source.source()?;
    let policies = source.build(&source.read()?, &settings)?;
    let made = webhookconfig::generate(policies.policies().iter().map(|p| &p.metadata), &settings, &options)?;
    out.write_all(print(&made, args.format)?.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The user name of a service account; none when there is none.
fn own_user(namespace: &str, service_account: &str) -> Option<String> {
    (!service_account.is_empty()).then(|| format!("system:serviceaccount:{namespace}:{service_account}"))
}

/// YAML as two documents, JSON as one list; `kubectl apply -f -` takes both.
fn print(made: &Configurations, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Yaml => {
            // long CEL stays on one line: folding it is right YAML, but hard to search
            let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
            let mut text = serde_saphyr::to_string_with_options(&made.mutating, options.clone())?;
            text.push_str("---\n");
            text.push_str(&serde_saphyr::to_string_with_options(&made.validating, options)?);
            text
        }
        Format::Json => {
            let list = json!({"apiVersion": "v1", "kind": "List", "items": [made.mutating, made.validating]});
            let mut text = serde_json::to_string_pretty(&list)?;
            text.push('\n');
            text
        }
    })
}

/// The CA bundle of the flags, checked.
fn ca_bundle(args: &WebhookConfigArgs) -> anyhow::Result<Option<String>> {
    let (from, pem) = if let Some(file) = &args.ca_file {
        let from = file.display().to_string();
        let pem = std::fs::read_to_string(file).with_context(|| format!("cannot read --ca-file {from}"))?;
        (from, pem)
    } else if let Some(secret) = &args.ca_secret {
        (format!("Secret {secret}"), block_on(from_secret(args.kubeconfig.as_deref(), secret))?)
    } else {
        return Ok(None);
    };
    bundle::check(&pem).with_context(|| from)?;
    Ok(Some(pem))
}

/// The certificates in a Secret, as Seawall and cert-manager keep them.
async fn from_secret(kubeconfig: Option<&Path>, secret: &str) -> anyhow::Result<String> {
    let (namespace, name) =
        secret.split_once('/').with_context(|| format!("--ca-secret {secret}: wanted NAMESPACE/NAME"))?;
    let api: Api<Secret> = Api::namespaced(kubeapi::client(kubeconfig).await?, namespace);
    let found = kubeapi::within(REQUEST, api.get(name)).await;
    let data = found.map_err(|error| anyhow!("Secret {secret}: {}", kubeapi::Reason(&error)))?.data.unwrap_or_default();
    let value = BUNDLE_KEYS.iter().find_map(|key| data.get(*key)).with_context(|| {
        format!("Secret {secret} has neither {}; is Seawall running yet?", BUNDLE_KEYS.join(" nor "))
    })?;
    String::from_utf8(value.0.clone()).with_context(|| format!("Secret {secret} holds no text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::metadata::Metadata;
    use serde_json::Value;

    fn made() -> Configurations {
        let text = "# METADATA\n# title: T\n# description: D\n# custom:\n#   id: a\n#   checklist: probes\n#   severity: high\n\
            #   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}\n#   match:\n\
            #   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}\n\
            package seawall.policies.a\n";
        let policy = Metadata::parse("p.rego", text).unwrap();
        let options = Options {
            target: WebhookTarget::url("https://127.0.0.1:8443").unwrap(),
            ca_bundle: Some("A".into()),
            own_namespace: Some("seawall-system".into()),
            own_user: Some("system:serviceaccount:seawall-system:seawall".into()),
        };
        webhookconfig::generate([&policy], &Settings::default(), &options).unwrap()
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let made = made();
        let yaml = print(&made, Format::Yaml).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&yaml).unwrap();
        let list: Value = serde_json::from_str(&print(&made, Format::Json).unwrap()).unwrap();
        assert_eq!(&Value::from(documents), &list["items"]);
        assert!(yaml.lines().any(|line| line.contains("expression:") && line.len() > 200), "CEL is folded");
        assert_eq!(list["items"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: WebhookConfigArgs,
        }
        let parse = |line: &str| <Cli as clap::Parser>::try_parse_from(line.split(' ')).map(|cli| cli.args);
        assert!(parse("x --service a/b --url https://h").is_err());
        assert!(parse("x --url https://h --ca-file f --ca-secret a/b").is_err());
        assert!(parse("x --delete --ca-file f").is_err());
        assert!(parse("x --policies-only").is_err());
        assert!(parse("x --url https://h").unwrap().ca_file.is_none());
    }

    #[test]
    fn a_bad_bundle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        let args = WebhookConfigArgs {
            service: String::new(),
            url: None,
            namespace: None,
            service_account: String::new(),
            ca_file: Some(file.clone()),
            ca_secret: None,
            format: Format::Yaml,
            delete: false,
            kubeconfig: None,
            config: None,
            source: SourceArgs::default(),
        };
        let error = format!("{:#}", ca_bundle(&args).unwrap_err());
        assert_eq!(error, format!("{}: {}", file.display(), bundle::BundleError::Empty));
    }
}
