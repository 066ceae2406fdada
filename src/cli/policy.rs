//! `seawall policy …`: what policies are and what they make of a cluster.

mod catalogue;
mod new;

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
    /// Make a new policy with its tests, to be changed into the one that is wanted
    New(Box<new::NewArgs>),
}

/// Runs one.
pub(super) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command.command {
        Command::Catalogue(args) => catalogue::run(*args),
        Command::New(args) => new::run(*args),
    }
}
