//! Where the policies of a server come from, and reloading them: compile, run their own cases, then swap. A bad set never
//! replaces a good one.

use crate::config::Settings;
use crate::engine::shape;
use crate::policy::bundle::{Bundle, BundleError};
use crate::policy::store::{PolicyError, PolicySet};
use crate::policytest::{self, probe};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// Embedded policies, a folder, or both.
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    /// Folder that extends the embedded policies.
    pub folder: Option<PathBuf>,
    /// The folder replaces them.
    pub only: bool,
}

/// Why a changed folder was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The policies are not good.
    #[error(transparent)]
    Policies(#[from] PolicyError),
    /// Loading them panicked.
    #[error("loading them made the engine panic; undo the last change, and report it with the files")]
    Panicked,
    /// Loading them does not end.
    #[error(
        "they were not compiled and tested within {} s; undo the last change, and restart Seawall if it stays busy",
        .0.as_secs()
    )]
    Endless(Duration),
}

/// Loads policies off the async threads. What panics or does not end is an error; its thread is left behind.
///
/// # Errors
/// When there are no policies at the end of the time.
pub async fn within<T: Send + 'static>(
    limit: Duration,
    load: impl FnOnce() -> Result<T, PolicyError> + Send + 'static,
) -> Result<T, ReloadError> {
    match tokio::time::timeout(limit, tokio::task::spawn_blocking(load)).await {
        Ok(Ok(loaded)) => Ok(loaded?),
        Ok(Err(_)) => Err(ReloadError::Panicked),
        Err(_) => Err(ReloadError::Endless(limit)),
    }
}

/// Refuses modules that would overflow the stack of the engine.
fn shallow(bundle: Bundle) -> Result<Bundle, BundleError> {
    for source in bundle.modules.values().flatten() {
        if let Some((line, problem)) = shape::too_deep(&source.text) {
            return Err(BundleError::Data { file: format!("{}:{line}", source.file), problem });
        }
    }
    Ok(bundle)
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
            (Some(folder), true) => shallow(Bundle::read(folder)?),
            (Some(folder), false) => Bundle::embedded()?.extend(shallow(Bundle::read(folder)?)?),
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
                // a case may fail on both engines
                let failing: BTreeSet<&str> = failures.iter().map(|f| f.folder.as_str()).collect();
                let told: Vec<String> = failures.iter().take(TOLD).map(ToString::to_string).collect();
                let more = failures.len().saturating_sub(TOLD);
                let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
                return Err(PolicyError::Case(format!(
                    "{} of {count} cases fail; change the policy, or what the case expects:\n{}{more}",
                    failing.len(),
                    told.join("\n")
                )));
            }
            let unproven = probe::problems(bundle, &written);
            if !unproven.is_empty() {
                return Err(PolicyError::Case(unproven.join("\n")));
            }
            for warning in probe::warnings(bundle, &set) {
                tracing::warn!(warning, "a policy without cases is loaded");
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_panics_or_does_not_end_while_it_loads_is_an_error() {
        let long = Duration::from_secs(60);
        assert_eq!(within(long, || Ok(7)).await.unwrap(), 7);
        let panicked = within::<()>(long, || panic!("on purpose")).await;
        assert!(matches!(panicked, Err(ReloadError::Panicked)));
        let endless = within(Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_millis(300));
            Ok(())
        });
        assert!(matches!(endless.await, Err(ReloadError::Endless(_))));
    }

    #[test]
    fn the_embedded_policies_are_shallow() {
        shallow(Bundle::embedded().unwrap()).unwrap();
    }
}
