//! `--format` of `check` and `audit`: one list of words, and who writes what.

use crate::report::page::Page;
use crate::report::policyreport::{self, Flavour};
use crate::report::{github, html, junit, markdown, sarif};
use clap::ValueEnum;
use std::io::{self, Write};

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for what shows test results
    Junit,
    /// Annotations of GitHub Actions
    Github,
    /// A comment on a merge request
    Markdown,
    /// One page for a browser
    Html,
    /// PolicyReport manifests, wgpolicyk8s.io/v1alpha2
    Policyreport,
    /// The same as openreports.io/v1alpha1
    Openreports,
}

impl Format {
    /// Whether the command's own words for what could not be read or judged go to standard error: a file in a format of
    /// somebody else's may have no place for them, or nobody may look there.
    pub(super) const fn tells_apart(self) -> bool {
        !matches!(self, Self::Text | Self::Json)
    }
}

/// Writes the formats that are the same for every front end; text and JSON are not.
pub(super) fn write(format: Format, page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text | Format::Json => Ok(()),
        Format::Sarif => {
            let summary = page.results.summary();
            if summary.deny + summary.warn + summary.audit > sarif::GITHUB_TAKES {
                let most = sarif::GITHUB_TAKES;
                writeln!(
                    io::stderr(),
                    "note: more than {most} results; GitHub refuses such a file: narrow it down with --policy or --namespace"
                )?;
            }
            sarif::write(page, out)
        }
        Format::Junit => junit::write(page, out),
        Format::Github => github::write(page, out),
        Format::Markdown => markdown::write(page, out),
        Format::Html => html::write(page, out),
        Format::Policyreport => policyreport::write(page.results, Flavour::WgPolicy, out),
        Format::Openreports => policyreport::write(page.results, Flavour::OpenReports, out),
    }
}
