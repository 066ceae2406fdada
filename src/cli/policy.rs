//! `seawall policy …`: what policies are and what they make of a cluster.

mod catalogue;
mod diff;

use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Subcommands of `policy`.
#[derive(Debug, Args)]
pub(super) struct PolicyCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print which storage classes may be used in each tier and for each profile
    Catalogue(Box<catalogue::CatalogueArgs>),
    /// Show which verdicts and patches change from one policy set to another, for whom: the blast radius
    Diff(Box<diff::DiffArgs>),
}

/// Runs one.
pub(super) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command.command {
        Command::Catalogue(args) => catalogue::run(*args),
        Command::Diff(args) => diff::run(&args),
    }
}
