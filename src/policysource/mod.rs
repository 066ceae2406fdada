//! Where a policy set comes from: embedded in the binary, a folder, a bundle tarball, or an OCI registry; and how one is made
//! to travel.
//!
//! ```text
//! folder ──────────────┐                                   ┌─ tarball
//! tarball ─────────────┼─► files ─► signature ─► Bundle    pack ─► files ─┼─ configmap
//! oci::client ─► layer ┘   (names, sizes, hashes)          └─ oci: layout, push
//! ```
//!
//! Nothing that comes from outside is written to the disk, but for the cache of artifacts ([`oci::layout`]).

pub mod configmap;
pub mod content;
pub mod files;
pub mod keys;
pub mod oci;
pub mod pack;
pub mod signature;
pub mod tarball;
pub mod watch;

use crate::config::Settings;
use crate::engine::shape;
use crate::policy::bundle::{Bundle, BundleError};
use crate::policy::store::{PolicyError, PolicySet};
use crate::policytest::{self, probe};
use files::Files;
use keys::VerificationKey;
use oci::layout::{self, LayoutError};
use oci::{Artifact, Client, OciError, Reference};
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// How many failing cases are told at once.
const TOLD: usize = 5;

/// Where a set is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder, or a bundle tarball: what it is is seen when it is read.
    Path(PathBuf),
    /// An artifact of a registry.
    Registry(Reference),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

impl From<PathBuf> for Location {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

/// A location in a scheme that is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The reference.
    #[error(transparent)]
    Reference(#[from] oci::reference::ReferenceError),
    /// Another scheme.
    #[error("{0:?} is not read; give a folder, a bundle.tar.gz, or oci://HOST[:PORT]/REPOSITORY[:TAG]")]
    Scheme(String),
}

impl FromStr for Location {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with(oci::reference::SCHEME) {
            return Ok(Self::Registry(text.parse()?));
        }
        if text.split_once("://").is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric())) {
            return Err(LocationError::Scheme(text.to_owned()));
        }
        Ok(Self::Path(text.into()))
    }
}

/// Why a set cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The files of a folder or of the binary.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The files inside a tarball or an artifact.
    #[error("{location}: {source}")]
    Files {
        /// Where they came from.
        location: String,
        /// What is wrong.
        #[source]
        source: BundleError,
    },
    /// The tarball.
    #[error(transparent)]
    Tarball(#[from] tarball::TarballError),
    /// The signature.
    #[error("{location}: {source}")]
    Signature {
        /// Where it came from.
        location: String,
        /// What is wrong.
        #[source]
        source: signature::SignatureError,
    },
    /// The registry.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The registry, and there is no copy.
    #[error("{source}; {hint}")]
    NoCopy {
        /// What the registry said.
        #[source]
        source: Box<SourceError>,
        /// What would have helped.
        hint: String,
    },
    /// No runtime for the calls.
    #[error("no thread for the calls to the registry: {0}")]
    Runtime(#[source] std::io::Error),
}

impl SourceError {
    /// Whether trying again may help: what is wrong is in the registry or on the way, not in a set that was read.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Oci(OciError::Client(_)) | Self::Runtime(_))
    }
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not good.
    #[error(transparent)]
    Policies(#[from] PolicyError),
}

/// What is in use: for logs and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Digest of the artifact's manifest, or of the tarball; none of a folder.
    pub digest: Option<String>,
    /// Revision of the set's manifest.
    pub revision: Option<String>,
}

/// A set that was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its files, with the embedded ones where they are wanted.
    pub bundle: Bundle,
    /// What it is.
    pub origin: Origin,
    artifact: Option<Arc<Artifact>>,
}

/// What a server starts with.
#[derive(Debug)]
pub struct Started {
    /// The files.
    pub loaded: Loaded,
    /// The same, compiled.
    pub set: PolicySet,
    /// Why it is the last good copy and not what the registry has now.
    pub stale: Option<String>,
}

/// Embedded policies, others, or both.
#[derive(Debug, Clone, Default)]
pub struct PolicySource {
    /// What extends the embedded policies.
    pub location: Option<Location>,
    /// It replaces them.
    pub only: bool,
    /// The key that must have signed it.
    pub verification: Option<Arc<VerificationKey>>,
    /// How to reach a registry.
    pub registry: oci::Options,
    /// Where the last good artifact is kept.
    pub cache: Option<PathBuf>,
}

/// Refuses modules that would overflow the stack of the engine.
fn shallow(bundle: Bundle) -> Result<Bundle, BundleError> {
    for source in bundle.modules.values().flatten() {
        if let Some((line, problem)) = shape::too_deep(&source.text) {
            return Err(BundleError::Data { file: source.file.clone(), at: Some((line, 1)), problem });
        }
    }
    Ok(bundle)
}

/// Runs calls to a registry; works inside and outside of async code, and blocks the thread.
fn block<T: Send>(work: impl Future<Output = T> + Send) -> Result<T, SourceError> {
    std::thread::scope(|scope| {
        let run =
            || tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(work));
        let joined = scope.spawn(run).join();
        joined.unwrap_or_else(|_| Err(std::io::Error::other("it panicked"))).map_err(SourceError::Runtime)
    })
}

impl PolicySource {
    /// A folder or tarball, or only the embedded policies.
    #[must_use]
    pub fn of(path: Option<PathBuf>, only: bool) -> Self {
        Self { location: path.map(Location::Path), only, ..Self::default() }
    }

    /// Whether it can change: embedded policies and a digest cannot.
    #[must_use]
    pub const fn can_change(&self) -> bool {
        match &self.location {
            None => false,
            Some(Location::Path(_)) => true,
            Some(Location::Registry(reference)) => reference.digest.is_none(),
        }
    }

    /// Reads the files.
    ///
    /// # Errors
    /// As [`PolicySource::load`].
    pub fn read(&self) -> Result<Bundle, SourceError> {
        Ok(self.load()?.bundle)
    }

    /// Reads the files, from a registry too, and checks their signature where a key is given. Blocks.
    ///
    /// # Errors
    /// When they cannot be read, or are not what was signed.
    pub fn load(&self) -> Result<Loaded, SourceError> {
        match &self.location {
            None => Ok(Loaded { bundle: Bundle::embedded()?, origin: Origin::default(), artifact: None }),
            Some(Location::Path(path)) => self.load_path(path),
            Some(Location::Registry(reference)) => {
                // what has the digest asked for is what the registry would give
                if let (Some(_), Ok(Some(kept))) = (&reference.digest, self.kept()) {
                    return Ok(kept);
                }
                let digest = self.resolve(reference)?;
                self.pull(reference, &digest)
            }
        }
    }

    fn load_path(&self, path: &Path) -> Result<Loaded, SourceError> {
        let info = std::fs::metadata(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })?;
        if !info.is_dir() {
            let name = path.display().to_string();
            if info.len() > tarball::MOST_COMPRESSED {
                return Err(tarball::TarballError::TooLargeCompressed { archive: name, size: info.len() }.into());
            }
            let bytes = std::fs::read(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })?;
            let files = tarball::read(&name, &bytes)?;
            return self.of_files(&name, &files, Some(content::sha256(&bytes)), None);
        }
        if self.verification.is_some() {
            return self.of_files(&path.display().to_string(), &files::read_folder(path)?, None, None);
        }
        let bundle = self.extended(shallow(Bundle::read(path)?)?)?;
        Ok(Loaded { bundle, origin: Origin::default(), artifact: None })
    }

    fn of_files(
        &self,
        location: &str,
        files: &Files,
        digest: Option<String>,
        artifact: Option<Artifact>,
    ) -> Result<Loaded, SourceError> {
        if let Some(key) = &self.verification {
            signature::verify(files, key)
                .map_err(|source| SourceError::Signature { location: location.to_owned(), source })?;
        }
        let wrong = |source| SourceError::Files { location: location.to_owned(), source };
        let bundle = files::to_bundle(Path::new(location), files).and_then(shallow);
        let bundle = bundle.and_then(|bundle| self.extended(bundle)).map_err(wrong)?;
        let origin = Origin { digest, revision: pack::revision(files) };
        Ok(Loaded { bundle, origin, artifact: artifact.map(Arc::new) })
    }

    fn extended(&self, bundle: Bundle) -> Result<Bundle, BundleError> {
        if self.only { Ok(bundle) } else { Bundle::embedded()?.extend(bundle) }
    }

    /// The digest that a reference stands for now. Blocks.
    fn resolve(&self, reference: &Reference) -> Result<String, SourceError> {
        let client = Client::new(reference, &self.registry).map_err(OciError::from)?;
        Ok(block(async move { client.resolve().await })?.map_err(OciError::from)?)
    }

    /// The artifact with a digest. Blocks.
    fn pull(&self, reference: &Reference, digest: &str) -> Result<Loaded, SourceError> {
        let client = Client::new(reference, &self.registry).map_err(OciError::from)?;
        let artifact = block(async move { client.pull(digest).await })?.map_err(OciError::from)?;
        self.of_artifact(reference, artifact)
    }

    fn of_artifact(&self, reference: &Reference, artifact: Artifact) -> Result<Loaded, SourceError> {
        let location = format!("{}@{}", reference.to_string().split('@').next().unwrap_or_default(), artifact.digest);
        let files = tarball::read(&location, &artifact.layer)?;
        self.of_files(&location, &files, Some(artifact.digest.clone()), Some(artifact))
    }

    /// The last good copy of a registry's set, if there is one; checked as if it had just come.
    fn kept(&self) -> Result<Option<Loaded>, SourceError> {
        let (Some(Location::Registry(reference)), Some(cache)) = (&self.location, &self.cache) else { return Ok(None) };
        let artifact = layout::read(cache, &reference.to_string()).map_err(OciError::from)?;
        let asked = |artifact: &Artifact| reference.digest.as_ref().is_none_or(|digest| *digest == artifact.digest);
        artifact.filter(asked).map(|artifact| self.of_artifact(reference, artifact)).transpose()
    }

    /// Keeps a set that is good, so that a start without the registry has it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn keep(&self, loaded: &Loaded) -> Result<(), LayoutError> {
        match (&self.location, &self.cache, &loaded.artifact) {
            (Some(Location::Registry(reference)), Some(cache), Some(artifact)) => {
                layout::write(cache, &reference.to_string(), artifact)
            }
            _ => Ok(()),
        }
    }

    /// What a server starts with: what is there now, else the last good copy. Blocks.
    ///
    /// # Errors
    /// When neither can be used.
    pub fn start(&self, settings: &Settings) -> Result<Started, LoadError> {
        let built = |loaded: Loaded| -> Result<(Loaded, PolicySet), LoadError> {
            let set = self.build(&loaded.bundle, settings)?;
            Ok((loaded, set))
        };
        let error = match self.load().map_err(LoadError::from).and_then(built) {
            Ok((loaded, set)) => return Ok(Started { loaded, set, stale: None }),
            Err(error) => error,
        };
        let hint = match (&self.location, &self.cache) {
            (Some(Location::Registry(_)), Some(cache)) => match self.kept() {
                Ok(Some(loaded)) => {
                    let (loaded, set) = built(loaded)?;
                    return Ok(Started { loaded, set, stale: Some(error.to_string()) });
                }
                Ok(None) => format!("--policies-cache {} has no copy of it yet", cache.display()),
                Err(kept) => format!("the copy in --policies-cache {} cannot be used either: {kept}", cache.display()),
            },
            (Some(Location::Registry(_)), None) => {
                "with --policies-cache FOLDER a start without the registry uses the last good copy".to_owned()
            }
            _ => return Err(error),
        };
        match error {
            LoadError::Source(source) => Err(SourceError::NoCopy { source: Box::new(source), hint }.into()),
            policies @ LoadError::Policies(_) => Err(policies),
        }
    }

    /// The bundle with the cases that have to be run. Those of the embedded policies were run before the binary was made; what
    /// extends them brings no library, so they mean something else only where it brings knowledge.
    fn to_be_tried(&self, bundle: &Bundle) -> Result<Bundle, BundleError> {
        let mut bundle = bundle.clone();
        if !self.only {
            let embedded = Bundle::embedded()?;
            if embedded.knowledge == bundle.knowledge {
                bundle.cases.retain(|package, _| embedded.modules.get(package) != bundle.modules.get(package));
            }
        }
        Ok(bundle)
    }

    /// Compiles a bundle and runs the cases of what is not embedded, or of all where its knowledge is another.
    ///
    /// # Errors
    /// When anything in it cannot be trusted.
    pub fn build(&self, bundle: &Bundle, settings: &Settings) -> Result<PolicySet, PolicyError> {
        let set = PolicySet::build(bundle, settings)?;
        if self.location.is_some() {
            // cases describe a policy as it was written, so the configuration's overrides do not belong to them
            let written =
                PolicySet::build(bundle, &Settings { knowledge: settings.knowledge.clone(), ..Settings::default() })?;
            let (count, failures) = policytest::run_all(&self.to_be_tried(bundle)?, &written);
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

    #[test]
    fn locations_are_told_apart() {
        assert_eq!("policies".parse(), Ok(Location::Path("policies".into())));
        assert_eq!("./a:b/c.tar.gz".parse(), Ok(Location::Path("./a:b/c.tar.gz".into())));
        assert!(matches!("oci://r.example/a:b".parse(), Ok(Location::Registry(_))));
        assert!(matches!("oci://r.example".parse::<Location>(), Err(LocationError::Reference(_))));
        let error = "https://r.example/a.tar.gz".parse::<Location>().unwrap_err();
        assert!(error.to_string().contains("is not read; give a folder"));
    }

    #[test]
    fn the_embedded_policies_are_shallow() {
        shallow(Bundle::embedded().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_bundle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.rego");
        std::fs::write(&path, "package seawall.policies.p\n").unwrap();
        let error = PolicySource::of(Some(path), true).load().unwrap_err().to_string();
        assert!(error.contains("p.rego is no gzip file"), "{error}");
        let none = PolicySource::of(Some(folder.path().join("none")), true).load().unwrap_err().to_string();
        assert!(none.contains("cannot read"), "{none}");
    }
}
