//! `seawall decisions`: what all replicas recorded of would-be denials and patches, added up.

use super::cluster::{ClusterArgs, block_on};
use crate::decisions::store::{self, Recorded};
use crate::decisions::{Count, Record};
use crate::report::decisions;
use anyhow::bail;
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

/// Flags of `decisions`.
#[derive(Debug, Args)]
pub(super) struct DecisionsArgs {
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Namespace that Seawall runs in
    #[arg(long, value_name = "NAME", default_value = "seawall-system")]
    seawall_namespace: String,
    /// Only this namespace; may be repeated; "-" for what has none
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    /// Only this policy; may be repeated
    #[arg(long, value_name = "ID")]
    policy: Vec<String>,
    /// Only what was last seen since then: 30m, 24h, 7d, or a time such as 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
}

/// A point in time, or how long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Ago(SignedDuration),
    At(Timestamp),
}

impl Since {
    fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.checked_sub(duration).unwrap_or(Timestamp::MIN),
            Self::At(time) => time,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    duration(text)
        .map(Since::Ago)
        .or_else(|| text.parse().ok().map(Since::At))
        .ok_or_else(|| format!("{text:?} is no time; wanted 30m, 24h, 7d or 2026-11-20T08:00:00Z"))
}

/// `90s`, `30m`, `24h`, `7d`; days have 24 hours.
pub(super) fn duration(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number = number.parse::<i64>().ok().filter(|number| *number <= 10_000_000)?;
    Some(SignedDuration::from_secs(number * seconds))
}

/// Runs it: 0, or 2 when nothing or not all can be read.
pub(super) fn run(args: &DecisionsArgs) -> anyhow::Result<ExitCode> {
    let recorded = block_on(async {
        let client = args.cluster.client().await?;
        Ok(store::read(client, &args.seawall_namespace).await?)
    })?;
    let Recorded { record, maps, unreadable } = recorded;
    for (name, why) in &unreadable {
        writeln!(io::stderr(), "seawall: ConfigMap {name} cannot be read, its counts are missing: {why}")?;
    }
    let Some(record) = record else {
        let namespace = &args.seawall_namespace;
        bail!(
            "nothing is recorded in namespace {namespace}; is that where Seawall runs (--seawall-namespace), and does `seawall serve` have its rights on ConfigMaps?"
        );
    };
    let record = filtered(record, args, Timestamp::now());
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Format::Text => decisions::text(&record, maps, &mut out)?,
        Format::Json => decisions::json(&record, maps, &mut out)?,
    }
    out.flush()?;
    Ok(if unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn filtered(mut record: Record, args: &DecisionsArgs, now: Timestamp) -> Record {
    let namespaces: BTreeSet<&str> =
        args.namespace.iter().map(|name| if name == "-" { "" } else { name.as_str() }).collect();
    let policies: BTreeSet<&str> = args.policy.iter().map(String::as_str).collect();
    let since = args.since.map(|since| since.time(now));
    record.rows.retain(|(namespace, policy), Count { last, .. }| {
        (namespaces.is_empty() || namespaces.contains(namespace.as_str()))
            && (policies.is_empty() || policies.contains(policy.as_str()))
            && since.is_none_or(|since| *last >= since)
    });
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let minutes = |text: &str| duration(text).map(|duration| duration.as_secs() / 60);
        assert_eq!([minutes("30m"), minutes("24h"), minutes("7d")], [Some(30), Some(1440), Some(10_080)]);
        assert_eq!([minutes("7"), minutes("d"), minutes("1w"), minutes("99999999999d")], [None; 4]);
        assert_eq!(since("2026-11-20T08:00:00Z").unwrap(), Since::At("2026-11-20T08:00:00Z".parse().unwrap()));
        assert!(since("yesterday").unwrap_err().contains("wanted 30m"));
    }
}
