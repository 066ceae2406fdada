//! `seawall lint`: flags, and which files.

use super::policies::PolicyArgs;
use crate::lint::codes;
use crate::lint::set::Set;
use crate::lint::{Level, Levels, UnknownCode, github, json, pages, sarif, text};
use crate::report::text::Style;
use clap::{Args, ValueEnum};
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of `lint`.
#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// Folder of policies, or of one policy [default: the embedded policies, and the folder of --policies]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    #[command(flatten)]
    policies: PolicyArgs,
    /// Make a code or a category of codes an error; may be repeated
    #[arg(long, value_name = "CODE")]
    deny: Vec<String>,
    /// Silence a code or a category of codes; may be repeated
    #[arg(long, value_name = "CODE")]
    allow: Vec<String>,
    /// Make nothing more than this
    #[arg(long, value_name = "LEVEL", value_enum)]
    max_level: Option<MaxLevel>,
    /// Exit with 1 for warnings too
    #[arg(long)]
    strict: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print the page of a code, or `all` of them in a line each
    #[arg(long, value_name = "CODE", conflicts_with = "path")]
    explain: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MaxLevel {
    Warning,
    Error,
}

/// Runs it: 0 clean, 1 findings, 2 it could not run.
pub(super) fn run(args: &LintArgs) -> anyhow::Result<ExitCode> {
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let mut out = BufWriter::new(stdout.lock());
    if let Some(code) = &args.explain {
        let page = match code.as_str() {
            "all" => pages::list(),
            name => match codes::get(name) {
                Some(code) => pages::page(code),
                None => return Err(UnknownCode(name.to_owned(), codes::closest_code(name)).into()),
            },
        };
        out.write_all(page.as_bytes())?;
        out.flush()?;
        return Ok(ExitCode::SUCCESS);
    }
    let most = args.max_level.map(|level| if level == MaxLevel::Warning { Level::Warning } else { Level::Error });
    let levels = Levels { deny: args.deny.clone(), allow: args.allow.clone(), most };
    levels.validate()?;
    let settings = args.policies.settings()?;
    let (folder, only) = args.policies.folder()?;
    let base = folder.map(|folder| Set::loaded(folder, only)).transpose()?;
    let set = match (&args.path, base) {
        (Some(path), base) => Set::path(path, base)?,
        (None, Some(loaded)) => loaded,
        (None, None) => Set::embedded(),
    };
    let report = crate::lint::lint(&set, &settings, &levels);
    match args.format {
        Format::Text => text::write(&report, Style { colour }, &mut out)?,
        Format::Json => json::write(&report, &mut out)?,
        Format::Sarif => sarif::write(&report, &mut out)?,
        Format::Github => github::write(&report, &mut out)?,
    }
    out.flush()?;
    let failed = report.count(Level::Error) > 0 || (args.strict && report.count(Level::Warning) > 0);
    Ok(ExitCode::from(u8::from(failed)))
}
