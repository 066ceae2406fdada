//! `--format` of `check` and `audit`: one list of words, and who writes what.

use crate::report::Results;
use crate::report::policyreport::{self, Flavour};
use clap::ValueEnum;
use std::io::{self, Write};

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For a person
    Text,
    /// For a program, schemaVersion 1
    Json,
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
pub(super) fn write(format: Format, results: &dyn Results, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text | Format::Json => Ok(()),
        Format::Policyreport => policyreport::write(results, Flavour::WgPolicy, out),
        Format::Openreports => policyreport::write(results, Flavour::OpenReports, out),
    }
}
