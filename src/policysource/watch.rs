//! Notices when a policy set changes: a path is read again and compared, a registry is asked for the digest of the tag.
//!
//! Never on the path of a request. A registry is asked with jitter, and less often while it does not answer.

use super::{Loaded, Location, PolicySource, SourceError};
use crate::kubeapi::jitter;
use crate::policy::bundle::Bundle;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// How often a path is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Longest pause while a registry does not answer.
const LONGEST: Duration = Duration::from_secs(600);

/// What one look found.
#[derive(Debug)]
pub enum Change {
    /// Nothing new.
    Unchanged,
    /// Another set, read and verified, not yet compiled.
    Set(Box<Loaded>),
    /// Another set that cannot be read or was not signed right. It is not looked at again until it changes.
    Refused(SourceError),
    /// The registry cannot say; it is asked again.
    Unreachable(SourceError),
}

/// What was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Content(u64),
    Digest(Option<String>),
}

/// Looks at one source.
#[derive(Debug)]
pub struct Watcher {
    source: PolicySource,
    every: Duration,
    seen: Seen,
    failures: u32,
}

fn fingerprint(bundle: &Result<&Bundle, &SourceError>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match bundle {
        Ok(bundle) => format!("{bundle:?}").hash(&mut hasher),
        Err(error) => error.to_string().hash(&mut hasher),
    }
    hasher.finish()
}

impl Watcher {
    /// Watches a source of which `first` is in use; a registry is asked at this interval.
    #[must_use]
    pub fn new(source: PolicySource, first: &Loaded, every: Duration) -> Self {
        let seen = match source.location {
            Some(Location::Registry(_)) => Seen::Digest(first.origin.digest.clone()),
            _ => Seen::Content(fingerprint(&Ok(&first.bundle))),
        };
        Self { source, every, seen, failures: 0 }
    }

    /// Whether the source is a registry.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self.source.location, Some(Location::Registry(_)))
    }

    /// Waits, then looks.
    pub async fn next(&mut self) -> Change {
        tokio::time::sleep(self.pause()).await;
        let (source, seen) = (self.source.clone(), self.seen.clone());
        // reading and hashing are for a thread that may block
        let Ok((seen, change)) = tokio::task::spawn_blocking(move || look(&source, seen)).await else {
            return Change::Unchanged;
        };
        self.seen = seen;
        self.failures = if matches!(change, Change::Unreachable(_)) { self.failures.saturating_add(1) } else { 0 };
        change
    }

    fn pause(&self) -> Duration {
        if !self.is_remote() {
            return LOOK;
        }
        let doubled = self.every.saturating_mul(1 << self.failures.min(16)).min(LONGEST.max(self.every));
        doubled + jitter(doubled / 5)
    }
}

fn look(source: &PolicySource, seen: Seen) -> (Seen, Change) {
    match &source.location {
        Some(Location::Registry(reference)) => {
            let digest = match source.resolve(reference) {
                Ok(digest) => digest,
                Err(error) => return (seen, Change::Unreachable(error)),
            };
            let now = Seen::Digest(Some(digest.clone()));
            if now == seen {
                return (seen, Change::Unchanged);
            }
            match source.pull(reference, &digest) {
                Ok(loaded) => (now, Change::Set(Box::new(loaded))),
                Err(error) if error.is_passing() => (seen, Change::Unreachable(error)),
                Err(error) => (now, Change::Refused(error)),
            }
        }
        _ => {
            let loaded = source.load();
            let now = Seen::Content(fingerprint(&loaded.as_ref().map(|loaded| &loaded.bundle)));
            if now == seen {
                return (seen, Change::Unchanged);
            }
            // kept whatever comes of it: a set that hangs or panics the compiler is not tried again and again
            (now, loaded.map_or_else(Change::Refused, |loaded| Change::Set(Box::new(loaded))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_registry_is_asked_less_and_less() {
        let location = Some("oci://r.example/a".parse().unwrap());
        let source = PolicySource { location, ..PolicySource::default() };
        let first = Loaded { bundle: Bundle::default(), origin: super::super::Origin::default(), artifact: None };
        let mut watcher = Watcher::new(source, &first, Duration::from_secs(60));
        let mut pauses = Vec::new();
        for failures in [0, 1, 2, 3, 4, 50] {
            watcher.failures = failures;
            let pause = watcher.pause();
            pauses.push((pause.as_secs() / 60, pause <= Duration::from_secs(720)));
        }
        let wanted = [1, 2, 4, 8, 10, 10];
        for ((minutes, bounded), wanted) in pauses.into_iter().zip(wanted) {
            assert!((wanted..=wanted + wanted / 5 + 1).contains(&minutes) && bounded, "{minutes} {wanted}");
        }
        watcher.source = PolicySource::of(None, false);
        assert_eq!(watcher.pause(), LOOK);
    }
}
