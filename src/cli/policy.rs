//! `seawall policy …`: what policies are and what they make of a cluster.

mod bundle;
mod catalogue;
mod diff;
mod import;
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
    /// Make a bundle of a folder of policies: a tarball for OPA and Seawall, a ConfigMap, or an OCI image layout
    Bundle(Box<bundle::BundleArgs>),
    /// Push a folder of policies to an OCI registry
    Push(Box<bundle::PushArgs>),
    /// Make a new policy with its tests, to be changed into the one that is wanted
    New(Box<new::NewArgs>),
    /// Show which verdicts and patches change from one policy set to another, for whom: the blast radius
    Diff(Box<diff::DiffArgs>),
    /// Make policies of Gatekeeper's ConstraintTemplates and of conftest's policies
    Import(Box<import::ImportArgs>),
}

/// Runs one.
pub(super) fn run(command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command.command {
        Command::Catalogue(args) => catalogue::run(*args),
        Command::Bundle(args) => bundle::bundle(&args),
        Command::Push(args) => bundle::push(&args),
        Command::New(args) => new::run(*args),
        Command::Diff(args) => diff::run(&args),
        Command::Import(args) => import::run(*args),
    }
}
