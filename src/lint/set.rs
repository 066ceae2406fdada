//! Which files are linted, and which are only there so that they can be understood: a folder of policies is read together
//! with the embedded library, a folder of one policy together with the bundle around it.

use super::Found;
use crate::engine::analysis::Place;
use crate::engine::compile::Source;
use crate::policy::bundle::{self, Bundle, BundleError, CaseFiles};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

/// The files of a lint. Paths are those of messages: as they are given on the command line.
#[derive(Debug, Default)]
pub struct Set {
    /// Modules, knowledge and cases of everything.
    pub(super) bundle: Bundle,
    /// Every `.rego` file, tests included.
    rego: BTreeMap<String, String>,
    /// Every README.md.
    pages: BTreeSet<String>,
    /// What is linted: paths that begin so.
    linted: Vec<String>,
    /// What is only there to be understood, whatever its name begins with.
    around: BTreeSet<String>,
    /// What could not be read.
    problems: Vec<(&'static str, Place, String, &'static str)>,
}

/// Files of one folder.
struct Folder {
    files: BTreeMap<String, String>,
    problems: Vec<BundleError>,
    /// Before the names in messages, with `/` at the end; may be empty.
    shown: String,
}

/// Why there is nothing to lint.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// There is no such folder.
    #[error("cannot read {path}: {source}")]
    Read {
        /// As given.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No policy in it.
    #[error("{0} has no .rego file; give a folder of policies, or the folder of one (docs/policy-format.md)")]
    Empty(PathBuf),
}

impl Set {
    /// The embedded policies, all of them linted.
    #[must_use]
    pub fn embedded() -> Self {
        let mut set = Self::default();
        set.add(embedded(), None);
        set
    }

    /// What the server would load: the embedded policies and a folder, or the folder alone; all of it is linted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn loaded(folder: &Path, only: bool) -> Result<Self, SetError> {
        let mut set = if only { Self::default() } else { Self::embedded() };
        set.add(read(folder, shown(folder))?, None);
        Ok(set)
    }

    /// A folder of policies, of one policy, or one file. What is around it is there to be understood.
    ///
    /// # Errors
    /// When it cannot be read, or has no policies.
    pub fn path(path: &Path, base: Option<Self>) -> Result<Self, SetError> {
        let info = std::fs::metadata(path).map_err(|source| SetError::Read { path: path.to_owned(), source })?;
        let folder = if info.is_dir() { path.to_owned() } else { path.parent().unwrap_or(path).to_owned() };
        let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
        let (root, within) = root_of(&folder);
        let root_folder = read(&root, shown(&root))?;
        let linted = format!("{}{within}", root_folder.shown);
        let own = |file: &&String| format!("{}{file}", root_folder.shown).starts_with(&linted);
        if root_folder.problems.is_empty() && !root_folder.files.keys().any(|f| f.ends_with(".rego") && own(&f)) {
            return Err(SetError::Empty(path.to_owned()));
        }
        // a bundle with the library in it stands alone
        let library = |text: &String| bundle::package(text).is_some_and(|p| p.starts_with("seawall.lib."));
        let brings = |text: &String| library(text) && !bundle::package(text).is_some_and(|p| p.ends_with("_test"));
        let base = base.unwrap_or_else(Self::embedded);
        let taken = |text: &String| bundle::package(text).is_some_and(|p| base.bundle.modules.contains_key(&p));
        let alone = root_folder.files.iter().any(|(f, text)| f.ends_with(".rego") && brings(text) && taken(text));
        let mut set = if alone { Self::default() } else { base };
        set.linted.clear();
        set.around = set.rego.keys().cloned().collect();
        set.problems.clear();
        set.add(root_folder, Some(linted));
        Ok(set)
    }

    /// Files in memory, all of them linted; they stand alone.
    #[must_use]
    pub fn of_files(files: BTreeMap<String, String>) -> Self {
        let mut set = Self::default();
        set.add(Folder { files, problems: Vec::new(), shown: String::new() }, None);
        set
    }

    /// The `.rego` files, tests included.
    pub(super) fn rego(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rego.iter().map(|(file, text)| (file.as_str(), text.as_str()))
    }

    /// The text of a file.
    pub(super) fn text(&self, file: &str) -> Option<&str> {
        self.rego.get(file).map(String::as_str)
    }

    pub(super) fn has_page(&self, file: &str) -> bool {
        self.pages.contains(file)
    }

    pub(super) fn is_linted(&self, file: &str) -> bool {
        // the folder itself too, which is named where it cannot be read
        !self.around.contains(file)
            && self.linted.iter().any(|prefix| file.starts_with(prefix) || prefix.strip_suffix('/') == Some(file))
    }

    /// The packages of policies that are linted, and of those whose patches could contradict theirs.
    pub(super) fn needed(&self) -> impl Iterator<Item = &str> {
        let patches = |text: &str| text.contains("\npatch contains ");
        let policies = || self.bundle.modules.iter().filter(|(package, _)| package.starts_with("seawall.policies."));
        let linted = move |sources: &[Source]| sources.iter().any(|source| self.is_linted(&source.file));
        let any_patches =
            policies().any(|(_, sources)| linted(sources) && sources.iter().any(|source| patches(&source.text)));
        policies()
            .filter(move |(_, sources)| {
                linted(sources) || (any_patches && sources.iter().any(|source| patches(&source.text)))
            })
            .map(|(package, _)| package.as_str())
    }

    /// Whether a module has to be read: what is linted, and the library. Where a library is linted, every policy that may ask for it.
    pub(super) fn is_needed(&self, file: &str, text: &str) -> bool {
        let library = |text: &str| bundle::package(text).is_some_and(|package| package.starts_with("seawall.lib."));
        self.is_linted(file)
            || (library(text) && !file.ends_with("_test.rego"))
            || self.rego.iter().any(|(file, text)| self.is_linted(file) && library(text))
    }

    /// The cases of a package (`data.…`).
    pub(super) fn cases(&self, package: &str) -> &[CaseFiles] {
        self.bundle.cases.get(package.trim_start_matches("data.")).map(Vec::as_slice).unwrap_or_default()
    }

    /// What could not be read, as findings.
    pub(super) fn problems(&self, found: &mut Found) {
        for (code, place, problem, fix) in &self.problems {
            found.add(code, place.clone(), problem.clone(), *fix);
        }
    }

    fn add(&mut self, folder: Folder, linted: Option<String>) {
        let Folder { files, problems, shown } = folder;
        self.linted.push(linted.unwrap_or_else(|| shown.clone()));
        let (mut bundle, unusable) = Bundle::gather(&files);
        for problem in problems.into_iter().chain(unusable) {
            self.problems.push(told(problem, &shown));
        }
        for source in bundle.modules.values_mut().flatten() {
            source.file = format!("{shown}{}", source.file);
        }
        for case in bundle.cases.values_mut().flatten() {
            case.folder = format!("{shown}{}", case.folder);
        }
        for (package, modules) in bundle.modules {
            // a policy of the same package replaces one of the base
            for replaced in self.bundle.modules.insert(package.clone(), modules).unwrap_or_default() {
                self.rego.remove(&replaced.file);
                self.rego.remove(&replaced.file.replace(".rego", "_test.rego"));
            }
            self.bundle.cases.remove(&package);
        }
        self.bundle.cases.extend(bundle.cases);
        bundle::merge(&mut self.bundle.knowledge, &bundle.knowledge);
        for (file, text) in files {
            if file.ends_with(".rego") {
                self.around.remove(&format!("{shown}{file}"));
                self.rego.insert(format!("{shown}{file}"), text);
            } else if file.ends_with("README.md") {
                self.pages.insert(format!("{shown}{file}"));
            }
        }
    }
}

fn embedded() -> Folder {
    Folder { files: bundle::embedded_files(bundle::is_part), problems: Vec::new(), shown: "policies/".to_owned() }
}

fn read(folder: &Path, shown: String) -> Result<Folder, SetError> {
    std::fs::read_dir(folder).map_err(|source| SetError::Read { path: folder.to_owned(), source })?;
    let (files, problems) = bundle::read_files(folder, bundle::is_part);
    Ok(Folder { files, problems, shown })
}

fn shown(folder: &Path) -> String {
    let text = folder.to_string_lossy().replace('\\', "/");
    let text = text.strip_prefix("./").unwrap_or(&text).trim_end_matches('/');
    if matches!(text, "" | ".") { String::new() } else { format!("{text}/") }
}

/// The root of the bundle that a folder is part of, which has `seawall/policies/<id>`, and the folder below it.
fn root_of(folder: &Path) -> (PathBuf, String) {
    let itself = || (folder.to_owned(), String::new());
    if folder.join("seawall").is_dir() {
        return itself();
    }
    let below_seawall = folder.join("lib").is_dir() || folder.join("policies").is_dir();
    let split = |path: &Path| {
        let parts: Vec<Component<'_>> = path.components().collect();
        let name = |at: usize| parts.get(at).map(|part| part.as_os_str().to_string_lossy().into_owned());
        let known = |name: Option<String>| name.is_some_and(|n| ["policies", "lib", "knowledge"].contains(&n.as_str()));
        let at = (0..parts.len()).rev().find(|at| {
            let last = at + 1 == parts.len();
            name(*at).as_deref() == Some("seawall") && if last { below_seawall } else { known(name(at + 1)) }
        })?;
        let root: PathBuf = parts.get(..at)?.iter().collect();
        let below: PathBuf = parts.get(at..)?.iter().collect();
        let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
        // a repository that happens to be called so is no bundle
        let repository = root.join("seawall/.git").exists();
        (!repository).then(|| (root, format!("{}/", below.to_string_lossy().replace('\\', "/"))))
    };
    let real = || {
        let real = std::fs::canonicalize(folder).ok()?;
        let here = std::fs::canonicalize(".").ok()?;
        let (root, below) = split(&real)?;
        Some((root.strip_prefix(&here).map(Path::to_owned).unwrap_or(root), below))
    };
    split(folder).or_else(real).unwrap_or_else(itself)
}

/// A problem of reading as code, place, words and fix.
fn told(problem: BundleError, shown: &str) -> (&'static str, Place, String, &'static str) {
    let at = |path: &Path, line: u64, column: u64| Place { file: shown_file(path), line, column };
    match problem {
        BundleError::TooLarge { path, size } => {
            let problem = format!("the file has {size} bytes; at most 1 MiB is read");
            ("files/too-large", at(&path, 1, 1), problem, "split it")
        }
        BundleError::NotText { path, line, column } => {
            let problem = format!("byte {column} of the line is not UTF-8");
            ("files/unreadable", at(&path, line, column), problem, "save the file as UTF-8")
        }
        BundleError::Loop(path) => {
            let problem = "a symbolic link that leads back to a folder above".to_owned();
            ("files/unreadable", at(&path, 1, 1), problem, "remove it")
        }
        BundleError::TooDeep(path) => {
            ("files/unreadable", at(&path, 1, 1), "folders nest too deep".to_owned(), "move the policies up")
        }
        BundleError::Data { file, at, problem } => {
            let (line, column) = at.unwrap_or((1, 1));
            let place = Place { file: format!("{shown}{file}"), line, column };
            if file.contains("cases/") {
                ("cases/unreadable", place, problem, "see docs/policy-format.md, Cases")
            } else {
                ("files/data", place, problem, "see docs/policy-format.md")
            }
        }
        other => {
            let text = other.to_string();
            let path = match other {
                BundleError::Read { path, .. } | BundleError::TooMany(path) | BundleError::Empty(path) => path,
                _ => PathBuf::new(),
            };
            ("files/unreadable", at(&path, 1, 1), text, "make it readable, or remove it")
        }
    }
}

fn shown_file(path: &Path) -> String {
    shown(path).trim_end_matches('/').to_owned()
}
