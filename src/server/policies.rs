//! Reloading the policies of a server: compile, run their own cases, then swap. A bad set never replaces a good one.

pub use crate::policysource::PolicySource;

use crate::policy::store::PolicyError;
use crate::policysource::SourceError;
use std::time::Duration;

/// Why a changed set was not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
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
}
