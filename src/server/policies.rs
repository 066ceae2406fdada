//! Where the policies of a server come from, and reloading them: compile, run their own cases, then swap. A bad set never
//! replaces a good one.

use crate::config::Settings;
use crate::policy::bundle::{Bundle, BundleError};
use crate::policy::store::{PolicyError, PolicySet};
use crate::policytest;
use std::path::PathBuf;

/// Embedded policies, a folder, or both.
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    /// Folder that extends the embedded policies.
    pub folder: Option<PathBuf>,
    /// The folder replaces them.
    pub only: bool,
}

/// How many failing cases are told at once.
const TOLD: usize = 5;

impl PolicySource {
    /// Reads the files.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn read(&self) -> Result<Bundle, BundleError> {
        match (&self.folder, self.only) {
            (None, _) => Bundle::embedded(),
            (Some(folder), true) => Bundle::read(folder),
            (Some(folder), false) => Bundle::embedded()?.extend(Bundle::read(folder)?),
        }
    }

    /// Compiles a bundle and runs its cases. The embedded policies' cases were run before the binary was made, so they
    /// are run again only beside a folder that could change what they mean.
    ///
    /// # Errors
    /// When anything in it cannot be trusted.
    pub fn build(&self, bundle: &Bundle, settings: &Settings) -> Result<PolicySet, PolicyError> {
        let set = PolicySet::build(bundle, settings)?;
        if self.folder.is_some() {
            // cases describe a policy as it was written, so the configuration's overrides do not belong to them
            let written =
                PolicySet::build(bundle, &Settings { knowledge: settings.knowledge.clone(), ..Settings::default() })?;
            let (count, failures) = policytest::run_all(bundle, &written);
            if !failures.is_empty() {
                let told: Vec<String> = failures.iter().take(TOLD).map(ToString::to_string).collect();
                let more = failures.len().saturating_sub(TOLD);
                let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
                return Err(PolicyError::Case(format!(
                    "{} of {count} cases fail:\n{}{more}",
                    failures.len(),
                    told.join("\n")
                )));
            }
        }
        Ok(set)
    }
}
