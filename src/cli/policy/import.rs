//! `seawall policy import`: policies from Gatekeeper and conftest.

use crate::import::{self, Import, Input, Options};
use anyhow::{Context as _, bail};
use clap::Args;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Largest file that is read.
const LARGEST: u64 = 1024 * 1024;

/// Deepest folder; also ends a loop of symbolic links.
const DEEPEST: usize = 16;

/// Flags of `policy import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files or folders: ConstraintTemplates and Constraints (YAML), policies of conftest (.rego), samples
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Folder of policies to write to, made where it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Folder of more samples: manifests whose names say allowed or disallowed, good or bad
    #[arg(long, value_name = "FOLDER")]
    samples: Vec<PathBuf>,
    /// Checklist item of the policies
    #[arg(long, value_name = "ITEM", default_value = "governance")]
    checklist: String,
    /// Severity of the policies
    #[arg(long, value_name = "SEVERITY", default_value = "medium", value_parser = ["critical", "high", "medium", "low"])]
    severity: String,
    /// What policies of conftest are about, as apps/v1/StatefulSet; without it what their rules compare input.kind with
    #[arg(long, value_name = "VERSION/KIND")]
    kind: Vec<String>,
    /// Replace policies that are there already
    #[arg(long)]
    force: bool,
}

/// Runs it. 1 where something is left out.
pub(super) fn run(args: ImportArgs) -> anyhow::Result<ExitCode> {
    let mut kinds = Vec::new();
    for text in &args.kind {
        let Some((version, kind)) = text.rsplit_once('/') else {
            bail!("--kind {text:?} is no VERSION/KIND; write it as apps/v1/StatefulSet or v1/Pod");
        };
        kinds.push((kind.to_owned(), version.to_owned()));
    }
    let (mut inputs, mut samples) = (Vec::new(), Vec::new());
    for path in &args.paths {
        read(path, 0, &mut inputs)?;
    }
    for path in &args.samples {
        read(path, 0, &mut samples)?;
    }
    let options = Options { checklist: args.checklist, severity: args.severity, kinds };
    let import = import::import(&inputs, &samples, &options);
    write(&args.out, &import, args.force)?;
    tell(&mut io::stdout().lock(), &args.out, &import)?;
    if import.policies.is_empty() && import.problems.is_empty() {
        bail!("nothing to import: no ConstraintTemplate and no .rego file with deny, violation or warn rules");
    }
    Ok(if import.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn read(path: &Path, depth: usize, inputs: &mut Vec<Input>) -> anyhow::Result<()> {
    if depth > DEEPEST {
        bail!(
            "{}: folders nest deeper than {DEEPEST} levels, or a symbolic link leads back; remove it",
            path.display()
        );
    }
    let info = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if info.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.sort();
        return paths.iter().try_for_each(|path| read(path, depth + 1, inputs));
    }
    let wanted =
        path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yaml" | "yml" | "json" | "rego"));
    if !wanted && depth > 0 {
        return Ok(());
    }
    if info.len() > LARGEST {
        bail!("{} has {} bytes; at most {LARGEST} are read: split it", path.display(), info.len());
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    inputs.push(Input { file: path.to_string_lossy().replace('\\', "/"), text });
    Ok(())
}

fn write(out: &Path, import: &Import, force: bool) -> anyhow::Result<()> {
    if !force && let Some(file) = import.files.keys().find(|file| out.join(file).exists()) {
        bail!("{} is there already; choose another --out, or --force to replace it", out.join(file).display());
    }
    for (file, text) in &import.files {
        let path = out.join(file);
        let cannot = || format!("cannot write {}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(out)).with_context(cannot)?;
        std::fs::write(&path, text).with_context(cannot)?;
    }
    Ok(())
}

fn tell(out: &mut impl io::Write, folder: &Path, import: &Import) -> io::Result<()> {
    for policy in &import.policies {
        let (cases, fire) = policy.cases;
        writeln!(out, "imported {}: {cases} cases, {fire} of them rejected\n  from {}", policy.id, policy.from)?;
    }
    if !import.problems.is_empty() {
        writeln!(out, "\nnot carried over:")?;
        for problem in &import.problems {
            writeln!(out, "  {problem}")?;
        }
    }
    if !import.policies.is_empty() {
        writeln!(out, "\ntry it: seawall check --policies {} MANIFESTS", folder.display())?;
    }
    out.flush()
}
