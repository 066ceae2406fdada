//! `seawall docs …`: what the code knows of itself, written down.

use crate::docs::schema::Document;
use crate::docs::{Documented, Page, documented, pages, shell};
use crate::server::policies::PolicySource;
use anyhow::{Context as _, bail};
use clap::builder::PossibleValue;
use clap::{Args, Command as Clap, Subcommand, ValueEnum};
use clap_complete::Shell;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Subcommands of `docs`.
#[derive(Debug, Args)]
pub(super) struct DocsCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the reference pages and the JSON Schemas into a folder
    Build(BuildArgs),
    /// Print the JSON Schema of a file that people write, for editors
    Schema(SchemaArgs),
    /// Print the script that makes a shell complete commands and flags
    Completions(CompletionsArgs),
    /// Print the man page of a command, or write all of them into a folder
    Man(ManArgs),
}

#[derive(Debug, Args)]
struct BuildArgs {
    /// Folder to write into: reference/*.md and schemas/*.json; other files stay
    #[arg(long, short, value_name = "FOLDER")]
    output: PathBuf,
    #[command(flatten)]
    policies: PolicyFolder,
}

#[derive(Debug, Args)]
struct SchemaArgs {
    /// Which file
    #[arg(value_name = "FILE")]
    document: Document,
    #[command(flatten)]
    policies: PolicyFolder,
}

/// The policies whose names and parameters are told.
#[derive(Debug, Args)]
struct PolicyFolder {
    /// Folder of policies that extend the embedded ones
    #[arg(long, value_name = "FOLDER", env = "SEAWALL_POLICIES")]
    policies: Option<PathBuf>,
    /// The folder of --policies replaces the embedded ones
    #[arg(long, requires = "policies")]
    policies_only: bool,
}

impl PolicyFolder {
    /// Reads the METADATA and compiles nothing.
    fn documented(&self) -> anyhow::Result<Vec<Documented>> {
        let source = PolicySource::of(self.policies.clone(), self.policies_only);
        let bundle = source.read().context("the policies cannot be read")?;
        documented(&bundle).context("the policies cannot be read")
    }
}

#[derive(Debug, Args)]
struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

#[derive(Debug, Args)]
struct ManArgs {
    /// Whose page, for example "rollout plan" [default: that of seawall itself]
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Vec<String>,
    /// Write all pages into this folder instead
    #[arg(long, short, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

impl ValueEnum for Document {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.what()))
    }
}

/// Runs one; `seawall` is the whole command line.
pub(super) fn run(command: DocsCommand, seawall: &Clap) -> anyhow::Result<ExitCode> {
    match command.command {
        Command::Build(args) => {
            let pages = pages(seawall, &args.policies.documented()?);
            let written = write_all(&args.output, &pages)?;
            writeln!(io::stdout().lock(), "{written} files in {}", args.output.display())?;
        }
        Command::Schema(args) => {
            let text = args.document.text(&args.policies.documented()?);
            io::stdout().lock().write_all(text.as_bytes())?;
        }
        Command::Completions(args) => io::stdout().lock().write_all(&shell::completions(args.shell, seawall))?,
        Command::Man(args) => man(&args, seawall)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn man(args: &ManArgs, seawall: &Clap) -> anyhow::Result<()> {
    let pages = shell::man_pages(seawall)?;
    if let Some(folder) = &args.output {
        let written = write_all(folder, &pages)?;
        writeln!(io::stdout().lock(), "{written} pages in {}", folder.display())?;
        return Ok(());
    }
    let words: Vec<&str> = args.command.iter().flat_map(|words| words.split_whitespace()).collect();
    let words = words.strip_prefix(&["seawall"]).unwrap_or(&words);
    let name = [&["seawall"], words].concat().join("-");
    let Some(page) = pages.iter().find(|page| page.path == format!("{name}.1")) else {
        let known: Vec<&str> = pages.iter().map(|page| page.path.trim_end_matches(".1")).collect();
        bail!("there is no page {name}; there are: {}", known.join(", "));
    };
    io::stdout().lock().write_all(page.text.as_bytes())?;
    Ok(())
}

/// Writes pages below a folder, which is made where it is not there. Returns how many.
fn write_all(folder: &Path, pages: &[Page]) -> anyhow::Result<usize> {
    for page in pages {
        let path = folder.join(&page.path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make the folder {}", parent.display()))?;
        fs::write(&path, &page.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(pages.len())
}
