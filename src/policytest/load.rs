//! What `seawall test` tests: the embedded policies, those that a server would load, or those of a folder.

use super::subject::Subject;
use crate::config::Settings;
use crate::policy::bundle::{Bundle, BundleError};
use crate::server::policies::PolicySource;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// Why nothing can be tested.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The path is not there, or is no folder.
    #[error("{path}: {problem}; wanted a folder with .rego files")]
    Path {
        /// As it was given.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// The embedded policies cannot be read, or two folders do not go together.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

/// What is tested.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Policies and packages of the library.
    pub subjects: Vec<Subject>,
    /// Files that cannot be read, and cases that are not whole.
    pub problems: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Folders that were read.
    pub folders: Vec<PathBuf>,
}

/// Reads what is to be tested. `path` extends what `base` names, as `serve --policies` would, and only what lies in it is tested;
/// without it all of `base` is.
///
/// # Errors
/// When there is nothing that could be tested.
pub fn load(path: Option<&Path>, base: &PolicySource, settings: &Settings) -> Result<Loaded, LoadError> {
    let mut loaded = Loaded::default();
    let mut bundle = match (&base.folder, base.only) {
        (None, _) => Bundle::embedded()?.named("policies"),
        (Some(folder), true) => loaded.read(folder)?,
        (Some(folder), false) => Bundle::embedded()?.named("policies").extend(loaded.read(folder)?)?,
    };
    if let Some(path) = path {
        let root = bundle_of(path);
        let own = loaded.read(&root)?;
        // a folder that brings the library along is a set of its own: it could not be loaded beside the other
        let whole = own.modules.keys().any(|p| !p.starts_with("seawall.policies.") && bundle.modules.contains_key(p));
        if whole {
            loaded.notes.push(format!(
                "{} brings the library along, so it stands for itself, as with --policies-only",
                root.display()
            ));
        }
        bundle = if whole { own } else { bundle.extend(own)? };
        loaded.problems.extend(cases_without_policy(path));
    }
    let inside = |file: &str| path.is_none_or(|path| path == Path::new(".") || Path::new(file).starts_with(path));
    loaded.subjects = Subject::chosen(&bundle, settings, &inside);
    Ok(loaded)
}

impl Loaded {
    fn read(&mut self, folder: &Path) -> Result<Bundle, LoadError> {
        let problem = |problem| LoadError::Path { path: folder.to_owned(), problem };
        let info = std::fs::metadata(folder).map_err(|_| problem("no such folder"))?;
        if !info.is_dir() {
            return Err(problem("it is no folder"));
        }
        let (bundle, problems) = Bundle::gather(folder);
        let shown = folder.to_string_lossy();
        let words = |problem: BundleError| match problem {
            BundleError::Data { file, problem } if *shown != *"." => {
                format!("{}/{file}: {problem}", shown.trim_end_matches('/'))
            }
            other => other.to_string(),
        };
        self.problems.extend(problems.into_iter().map(words));
        self.folders.push(folder.to_owned());
        Ok(if *shown == *"." { bundle } else { bundle.named(&shown) })
    }

    /// What the folders hold, in one number: another number, another content.
    #[must_use]
    pub fn fingerprint(folders: &[PathBuf]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for folder in folders {
            hash(folder, 0, &mut hasher);
        }
        hasher.finish()
    }
}

/// Deepest folder that is watched.
const DEEPEST: usize = 16;

fn hash(folder: &Path, depth: usize, hasher: &mut DefaultHasher) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && depth < DEEPEST {
            hash(&path, depth + 1, hasher);
        } else if [".rego", ".yaml", ".json"].iter().any(|end| name.ends_with(end)) {
            path.hash(hasher);
            std::fs::read(&path).unwrap_or_default().hash(hasher);
        }
    }
}

/// The bundle that a folder belongs to: itself, or the folder above it with OPA's `.manifest`.
fn bundle_of(path: &Path) -> PathBuf {
    let is_root = |folder: &&Path| folder.join(".manifest").is_file();
    let above = path.ancestors().filter(|folder| *folder != Path::new("")).find(is_root);
    above.unwrap_or(path).to_owned()
}

/// Folders of cases beside no `policy.rego`: nothing would run them.
fn cases_without_policy(path: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let files = ignore::WalkBuilder::new(path).standard_filters(false).max_depth(Some(DEEPEST)).build();
    for entry in files.flatten().filter(|entry| entry.file_name() == "input.yaml") {
        let cases = entry.path().ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "cases"));
        if let Some(cases) = cases.filter(|cases| !cases.with_file_name("policy.rego").is_file()) {
            found.insert(format!(
                "{}: its cases are not run: there is no policy.rego beside it; a policy with cases is a file of that name",
                cases.display()
            ));
        }
    }
    found
}
