//! `seawall policy …`: what policies are and what they make of a cluster.

mod catalogue;
mod import;

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
    /// Make policies of Gatekeeper's ConstraintTemplates and of conftest's policies
    Import(Box<import::ImportArgs>),
}

/// Runs one.
pub(super) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command.command {
        Command::Catalogue(args) => catalogue::run(*args),
        Command::Import(args) => import::run(*args),
    }
}
