//! `seawall rollout plan`: an audit, what was recorded, and what follows from both.

use super::cluster::{ClusterArgs, block_on};
use super::decisions::duration;
use super::policies::PolicyArgs;
use crate::audit::{self, Audit, Options};
use crate::config::{SYSTEM_NAMESPACES, Settings};
use crate::context::scope;
use crate::decision::Scope;
use crate::decisions::store::{self, Recorded};
use crate::kubeapi::Reason;
use crate::policy::mode::PatchSetting;
use crate::report::{Results as _, rollout as report};
use crate::rollout::{Namespace, Plan, Stored, Window};
use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Namespace as Object;
use kube::api::ListParams;
use kube::{Api, Client};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for one page of namespaces.
const PAGE: Duration = Duration::from_secs(30);

/// Commands of `rollout`.
#[derive(Debug, Args)]
pub(super) struct RolloutCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Which namespaces can be enforced, which cannot and why, and the labels to apply; changes nothing
    Plan(Box<PlanArgs>),
}

/// Flags of `rollout plan`.
#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Namespace that Seawall runs in
    #[arg(long, value_name = "NAME", default_value = "seawall-system")]
    seawall_namespace: String,
    /// Only this namespace; may be repeated; "-" for what has none
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    /// How far back no request may have been one that would be denied
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = window)]
    window: SignedDuration,
    /// Take a window of less than 7 days
    #[arg(long)]
    allow_short_window: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Calls of the API server in one second, at most
    #[arg(long, value_name = "NUMBER", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1000))]
    requests_per_second: u32,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
}

fn window(text: &str) -> Result<SignedDuration, String> {
    duration(text).ok_or_else(|| format!("{text:?} is no length of time; wanted 7d, 240h or 30m"))
}

/// Runs it: 0 when every namespace is enforced or can be, 1 when not, 2 when that cannot be told.
pub(super) fn run(command: RolloutCommand) -> anyhow::Result<ExitCode> {
    let Command::Plan(args) = command.command;
    let (settings, policies) = args.policies.clone().load()?;
    let (settings, policies) = (Arc::new(settings), Arc::new(policies));
    let now = Timestamp::now();
    let options = Options { pause: Duration::from_secs(1) / args.requests_per_second, ..Options::default() };
    let (recorded, window, objects, audit) = block_on(async {
        let client = args.cluster.client().await?;
        let recorded = store::read(client.clone(), &args.seawall_namespace).await?;
        let window = recorded_window(&recorded, &args, now)?;
        let objects = namespaces(&client).await?;
        // all namespaces, whatever is asked for: PersistentVolumes have none, and belong to that of their claim
        let audit = audit::run(&client, &policies, &settings, &options, now, |_| {}).await?;
        Ok((recorded, window, objects, audit))
    })?;
    complete(&audit)?;
    let Some(record) = recorded.record else { bail!("nothing is recorded") };
    let mut stored = Stored::default();
    audit.each(&mut |row| {
        let findings = row.violations.iter().map(|violation| &violation.finding);
        let unknown = row.unknown.iter().map(|unknown| (unknown.policy.as_str(), unknown.missing.as_str()));
        stored.add(row.judged_in.as_deref(), findings, unknown);
        Ok(())
    })?;
    let plan = Plan::new(window, wanted(objects, &args, &settings)?, &stored, &record, &policies);
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => report::text(&plan, &mut out)?,
        Format::Json => report::json(&plan, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::from(u8::from(!plan.is_clear())))
}

/// The window, when all of it is recorded and can be read.
fn recorded_window(recorded: &Recorded, args: &PlanArgs, now: Timestamp) -> anyhow::Result<Window> {
    if let Some((name, why)) = recorded.unreadable.first() {
        bail!("ConfigMap {name} cannot be read, so denials may be missing: {why}; remove it or mend it");
    }
    let namespace = &args.seawall_namespace;
    let record = recorded.record.as_ref().ok_or_else(|| {
        anyhow!("nothing is recorded in namespace {namespace}; is that where Seawall runs (--seawall-namespace)?")
    })?;
    Ok(Window::new(record, args.window, args.allow_short_window, now)?)
}

/// An audit that did not see everything must not call anything clean.
fn complete(audit: &Audit) -> anyhow::Result<()> {
    let mut missing: Vec<String> =
        audit.coverage.missing.iter().map(|missing| format!("{}: {}", missing.resource, missing.reason)).collect();
    missing.extend(audit.errors().iter().map(|error| error.message.clone()));
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the audit is incomplete, so nothing can be planned; not seen: {}", missing.join("; "))
}

async fn namespaces(client: &Client) -> anyhow::Result<Vec<Object>> {
    let api: Api<Object> = Api::all(client.clone());
    let mut params = ListParams::default().limit(500);
    let mut all = Vec::new();
    loop {
        let page = crate::kubeapi::within(PAGE, api.list(&params))
            .await
            .map_err(|error| anyhow!("namespaces cannot be listed: {}", Reason(&error)))?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// The namespaces that are asked for and judged at all; what has no namespace is one of them, with an empty name.
fn wanted(objects: Vec<Object>, args: &PlanArgs, settings: &Settings) -> anyhow::Result<Vec<Namespace>> {
    let defaults = settings.defaults;
    let without = Namespace {
        name: String::new(),
        scope: Scope {
            tier: defaults.tier,
            mode: defaults.mode,
            patch: defaults.patch.unwrap_or(PatchSetting::Disabled),
        },
        by_default: true,
        created: None,
    };
    let mut all = vec![without];
    for object in objects.into_iter().filter(|object| object.metadata.deletion_timestamp.is_none()) {
        let labels = object.metadata.labels.unwrap_or_default();
        all.push(Namespace {
            name: object.metadata.name.unwrap_or_default(),
            scope: scope::of_labels(&labels, defaults),
            by_default: !labels.contains_key(scope::MODE),
            created: object.metadata.creation_timestamp.map(|time| time.0),
        });
    }
    let asked: BTreeSet<&str> =
        args.namespace.iter().map(|name| if name == "-" { "" } else { name.as_str() }).collect();
    if let Some(missing) = asked.iter().find(|asked| !all.iter().any(|namespace| namespace.name == **asked)) {
        bail!("there is no namespace {missing}");
    }
    all.retain(|namespace| {
        let name = namespace.name.as_str();
        let judged = !SYSTEM_NAMESPACES.contains(&name)
            && name != args.seawall_namespace
            && !settings.excluded_namespaces.iter().any(|excluded| excluded == name);
        judged && (asked.is_empty() || asked.contains(name))
    });
    Ok(all)
}
