//! `seawall policy new`: a policy that works from the first minute, to be changed into the one that is wanted.
//!
//! [`plan`] settles what the policy is about ([`ask`] asks what the flags leave open), [`kinds`] knows kinds by their plural and
//! has an object of each, [`template`] writes the files, [`write`] tries them and puts them in place.

pub mod ask;
pub mod kinds;
pub mod plan;
pub mod template;
pub mod write;

use std::io;
use std::path::PathBuf;

/// Why there is no new policy.
#[derive(Debug, thiserror::Error)]
pub enum AuthoringError {
    /// Flags that cannot be used, all of them.
    #[error("{}", .0.join("\n"))]
    Flags(Vec<String>),
    /// The terminal was closed in the middle.
    #[error("the input ended at the question about --{0}; nothing was written")]
    Ended(&'static str),
    /// The terminal cannot be read or written.
    #[error("the terminal: {0}")]
    Terminal(#[source] io::Error),
    /// There is something already.
    #[error("{path} is there already, and nothing is overwritten; choose another id, or remove it first")]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The folder has a policy of this id in another place.
    #[error("{file} is the policy {id} already; choose another id")]
    Taken {
        /// Its file.
        file: PathBuf,
        /// The id.
        id: String,
    },
    /// The folder cannot be read as policies.
    #[error("{folder} has files that are no policies: {problem}\nmend them first, or choose another --folder")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What was made of the answers does not work; a fault of Seawall's.
    #[error("the new policy does not pass its own tests, which is a fault of Seawall; nothing was written:\n{0}")]
    Broken(String),
}
