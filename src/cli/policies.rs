//! Flags of commands that load policies.

use crate::config::Settings;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use crate::server::policies::PolicySource;
use anyhow::Context as _;
use clap::Args;
use std::path::PathBuf;

/// Which configuration and which policies.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PolicyArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    /// Folder of policies that extend the embedded ones
    #[arg(long, value_name = "FOLDER", env = "SEAWALL_POLICIES")]
    policies: Option<PathBuf>,
    /// The folder of --policies replaces the embedded ones
    #[arg(long, requires = "policies")]
    policies_only: bool,
}

impl PolicyArgs {
    /// The configuration alone.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(self.config.as_deref().map_or_else(|| Ok(Settings::default()), Settings::load)?)
    }

    /// Where the policies come from.
    pub(super) fn source(&self) -> PolicySource {
        PolicySource { folder: self.policies.clone(), only: self.policies_only }
    }

    /// Reads both.
    pub(super) fn load(&self) -> anyhow::Result<(Settings, PolicySet)> {
        let (settings, _, set) = self.load_with_files()?;
        Ok((settings, set))
    }

    /// Reads both, and gives the files with them: cases are in there.
    pub(super) fn load_with_files(&self) -> anyhow::Result<(Settings, Bundle, PolicySet)> {
        let settings = self.settings()?;
        let source = self.source();
        let bundle = source.read().context("the policies cannot be read")?;
        let set = source.build(&bundle, &settings).context("the policies cannot be used")?;
        Ok((settings, bundle, set))
    }
}
