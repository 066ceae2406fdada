//! Flags of commands that load policies.

use crate::config::Settings;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use crate::policydiff::sets::EMBEDDED;
use crate::policysource::keys::VerificationKey;
use crate::policysource::oci;
use crate::policysource::{Location, PolicySource};
use anyhow::Context as _;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which policies, and how to trust them.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SourceArgs {
    /// Policies that extend the embedded ones: a folder, a bundle.tar.gz, or oci://HOST[:PORT]/REPOSITORY[:TAG|@DIGEST]
    #[arg(long, value_name = "LOCATION", env = "SEAWALL_POLICIES")]
    policies: Option<Location>,
    /// The policies of --policies replace the embedded ones
    #[arg(long, requires = "policies")]
    pub(super) policies_only: bool,
    /// Refuse --policies that the private half of this PEM key or certificate did not sign
    #[arg(long, value_name = "FILE", requires = "policies", env = "SEAWALL_VERIFICATION_KEY")]
    verification_key: Option<PathBuf>,
    /// Name that the signature must give its key
    #[arg(long, value_name = "ID", requires = "verification_key")]
    verification_key_id: Option<String>,
    /// Scope that the signature must have [default: none]
    #[arg(long, value_name = "SCOPE", requires = "verification_key")]
    verification_scope: Option<String>,
    #[command(flatten)]
    registry: RegistryArgs,
}

impl SourceArgs {
    /// The source; keys are read.
    pub(super) fn source(&self) -> anyhow::Result<PolicySource> {
        let key = self
            .verification_key
            .as_deref()
            .map(|path| VerificationKey::load(path, self.verification_key_id.clone(), self.verification_scope.clone()));
        Ok(PolicySource {
            location: self.policies.clone(),
            only: self.policies_only,
            verification: key.transpose()?.map(Arc::new),
            registry: self.registry.options(),
            cache: None,
        })
    }
}

/// How to reach a registry. User and password come from the docker configuration.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct RegistryArgs {
    /// Speak HTTP, not HTTPS, with the registry of oci://; loopback needs no flag
    #[arg(long, env = "SEAWALL_PLAIN_HTTP")]
    plain_http: bool,
    /// CA certificates in PEM of the registry of oci://, besides those of this machine
    #[arg(long, value_name = "FILE", env = "SEAWALL_REGISTRY_CA")]
    registry_ca: Option<PathBuf>,
}

impl RegistryArgs {
    /// The same.
    pub(super) fn options(&self) -> oci::Options {
        oci::Options { plain_http: self.plain_http, ca: self.registry_ca.clone(), docker_config: None }
    }
}

/// Which configuration and which policies.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PolicyArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "SEAWALL_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    source: SourceArgs,
}

impl PolicyArgs {
    /// Where the policies are.
    pub(super) fn source(&self) -> anyhow::Result<PolicySource> {
        self.source.source()
    }

    /// Whether those of --policies replace the embedded ones.
    pub(super) const fn only(&self) -> bool {
        self.source.policies_only
    }

    /// The folder or file of --policies.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match &self.source.policies {
            Some(Location::Path(path)) => Some(path.clone()),
            _ => None,
        }
    }

    /// What to call the set.
    pub(super) fn name(&self) -> String {
        self.source.policies.as_ref().map_or_else(|| EMBEDDED.to_owned(), ToString::to_string)
    }

    /// Reads both.
    pub(super) fn load(&self) -> anyhow::Result<(Settings, PolicySet)> {
        let (settings, _, set) = self.load_with_files()?;
        Ok((settings, set))
    }

    /// Reads both, and gives the files with them: cases are in there.
    pub(super) fn load_with_files(&self) -> anyhow::Result<(Settings, Bundle, PolicySet)> {
        let settings = self.settings()?;
        let source = self.source.source()?;
        let bundle = source.read().context("the policies cannot be read")?;
        let set = source.build(&bundle, &settings).context("the policies cannot be used")?;
        Ok((settings, bundle, set))
    }

    /// Reads the configuration alone.
    pub(super) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(self.config.as_deref().map_or_else(|| Ok(Settings::default()), Settings::load)?)
    }

    /// The folder of --policies, and whether it replaces the embedded policies.
    pub(super) fn folder(&self) -> anyhow::Result<(Option<&Path>, bool)> {
        match &self.source.policies {
            None => Ok((None, self.source.policies_only)),
            Some(Location::Path(path)) if path.is_dir() => Ok((Some(path), self.source.policies_only)),
            Some(other) => {
                anyhow::bail!("{other} is no folder; here --policies is the folder in which the policies are written")
            }
        }
    }
}
