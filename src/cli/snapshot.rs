//! `seawall snapshot`: what policies ask of a cluster, in a file.

use super::cluster::{ClusterArgs, block_on};
use super::policies::PolicyArgs;
use crate::context::cluster::NAMESPACES;
use crate::context::read::{Reading, Wanted, read};
use crate::report::{catalogue, snapshot};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `snapshot`.
#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    /// File to write; left out: standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Form of the file [default: json for an --output that ends so, else yaml]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Only this namespace; may be repeated. Kinds without a namespace are read whole
    #[arg(long, short, value_name = "NAME")]
    namespace: Vec<String>,
    /// Write the snapshot without the kinds that cannot be read; policies that need them answer unknown
    #[arg(long)]
    allow_incomplete: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    policies: PolicyArgs,
}

/// Form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Documents
    Yaml,
    /// An object a line
    Json,
}

/// Reads and writes. Exit codes: 0 done, 2 when nothing was written.
pub(super) fn run(args: SnapshotArgs) -> anyhow::Result<ExitCode> {
    let SnapshotArgs { output, format, namespace, allow_incomplete, cluster, policies } = args;
    let (_, set) = policies.load()?;
    // `policy catalogue` reads snapshots as well
    let catalogue = set.library_context(catalogue::RULE).unwrap_or_default();
    let kinds = set.needed_context().keys().cloned().chain(catalogue).chain([NAMESPACES.to_owned()]).collect();
    let wanted = Wanted { kinds, namespaces: namespace.into_iter().collect(), ..Wanted::default() };
    let reading = block_on(async { Ok(read(&cluster.client().await?, &wanted, jiff::Timestamp::now()).await?) })?;
    let mut stderr = io::stderr().lock();
    for row in &reading.header.missing {
        writeln!(stderr, "{}: not in the snapshot: {}", row.resource, row.reason)?;
    }
    if !reading.header.missing.is_empty() && !allow_incomplete {
        bail!(
            "nothing was written: {} of {} kinds cannot be read; get the right to list them, or give --allow-incomplete",
            reading.header.missing.len(),
            wanted.kinds.len()
        );
    }
    let is_json = output.as_ref().and_then(|path| path.extension()).is_some_and(|extension| extension == "json");
    let format = format.unwrap_or(if is_json { Format::Json } else { Format::Yaml });
    match &output {
        None => write(&reading, format, &mut BufWriter::new(io::stdout().lock()))?,
        Some(path) => {
            let name = path.display();
            let file = std::fs::File::create(path).with_context(|| format!("cannot write {name}"))?;
            write(&reading, format, &mut BufWriter::new(file)).with_context(|| format!("cannot write {name}"))?;
            let (objects, kinds) = (reading.objects.len(), reading.header.kinds.len());
            let version = &reading.header.server_version;
            writeln!(stderr, "{name}: {objects} objects of {kinds} kinds, from a cluster of version {version}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write(reading: &Reading, format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Yaml => snapshot::yaml(reading, out)?,
        Format::Json => snapshot::json(reading, out)?,
    }
    out.flush()
}
