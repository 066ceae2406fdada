//! Reads the files that a policy set is made of: from the binary, or from a folder with bounds on what it may hold.

use super::bundle::BundleError;
use include_dir::{Dir, include_dir};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// Largest file of a bundle, as the engine has it.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// Deepest folder of a bundle.
pub const DEEPEST: usize = 16;

/// Most files of a bundle.
pub const MOST_FILES: usize = 100_000;

/// The name that OPA loads data from (`opa -b`), outside cases.
#[must_use]
pub fn is_data(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    matches!(name, "data.yaml" | "data.json") && !file.contains("/cases/")
}

/// The package of a module, read from its text.
#[must_use]
pub fn package(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("package "))?;
    Some(line.split('#').next().unwrap_or(line).trim().to_owned())
}

/// The page of a policy.
pub const PAGE: &str = "README.md";

/// Whether a file of this name is read: Rego, data, cases and pages, but nothing hidden.
#[must_use]
pub fn is_part(name: &str) -> bool {
    !name.split('/').any(|part| part.starts_with('.'))
        && ([".rego", ".yaml", ".json"].iter().any(|end| name.ends_with(end)) || is_page(name))
}

fn is_page(name: &str) -> bool {
    name.rsplit('/').next() == Some(PAGE)
}

/// The name of a file in the set. A ConfigMap has no folders, so `__` at the top level of a set stands for `/`.
#[must_use]
pub fn unflatten(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { name.replace("__", "/") }
}

/// The files in the binary that are asked for, by relative path.
#[must_use]
pub fn embedded_files(wanted: fn(&str) -> bool) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect_embedded(&EMBEDDED, wanted, &mut files);
    files
}

fn collect_embedded(folder: &Dir<'static>, wanted: fn(&str) -> bool, files: &mut BTreeMap<String, String>) {
    for file in folder.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if let Some(text) = file.contents_utf8().filter(|_| wanted(&path)) {
            files.insert(path, text.to_owned());
        }
    }
    folder.dirs().for_each(|folder| collect_embedded(folder, wanted, files));
}

/// What is done with a file: its path, and its name relative to the folder.
type Visit<'v> = &'v mut dyn FnMut(&Path, String) -> Result<(), BundleError>;

/// Calls `visit` with each file below a folder and its name relative to it, in the order of names. Hidden files and folders are
/// left out, but for the manifest and the signature of the set.
///
/// # Errors
/// The first problem: a folder that cannot be read, and what `visit` answers.
pub fn walk(root: &Path, visit: Visit<'_>) -> Result<(), BundleError> {
    walk_all(root, visit).into_iter().next().map_or(Ok(()), Err)
}

/// As [`walk`], and goes on after a problem. Returns all of them.
fn walk_all(root: &Path, visit: Visit<'_>) -> Vec<BundleError> {
    let mut walk = Walk { root, visit, seen: 0, problems: Vec::new() };
    walk.folder(root, &mut Vec::new());
    walk.problems
}

struct Walk<'w> {
    root: &'w Path,
    visit: Visit<'w>,
    /// Files so far.
    seen: usize,
    problems: Vec<BundleError>,
}

impl Walk<'_> {
    /// Walks a folder. `above`: where the folders above really are.
    fn folder(&mut self, folder: &Path, above: &mut Vec<PathBuf>) {
        let read = |path: &Path, source: std::io::Error| BundleError::Read { path: path.to_owned(), source };
        if above.len() > DEEPEST {
            return self.problems.push(BundleError::TooDeep(folder.to_owned()));
        }
        let (real, entries) =
            match std::fs::canonicalize(folder).and_then(|real| Ok((real, std::fs::read_dir(folder)?))) {
                Ok(found) => found,
                Err(error) => return self.problems.push(read(folder, error)),
            };
        if above.contains(&real) {
            return self.problems.push(BundleError::Loop(folder.to_owned()));
        }
        let top = above.is_empty();
        above.push(real);
        let mut paths = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => self.problems.push(read(folder, error)),
            }
        }
        // problems in an order that does not depend on the file system
        paths.sort();
        for path in paths {
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            // a mounted ConfigMap keeps its versions in hidden folders, and links to them
            let about_the_set = top && matches!(name.as_str(), ".manifest" | ".signatures.json");
            if name.starts_with('.') && !about_the_set {
                continue;
            }
            match std::fs::metadata(&path) {
                Ok(info) if info.is_dir() => self.folder(&path, above),
                Ok(_) if self.seen >= MOST_FILES => {
                    if !matches!(self.problems.last(), Some(BundleError::TooMany(_))) {
                        self.problems.push(BundleError::TooMany(self.root.to_owned()));
                    }
                    break;
                }
                Ok(_) => {
                    self.seen += 1;
                    let relative = path.strip_prefix(self.root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    if let Err(error) = (self.visit)(&path, relative) {
                        self.problems.push(error);
                    }
                }
                Err(error) => self.problems.push(read(&path, error)),
            }
        }
        above.pop();
    }
}

/// The files of a folder that are asked for, as text by their name in the set, and what could not be read.
#[must_use]
pub fn read_files(root: &Path, wanted: fn(&str) -> bool) -> (BTreeMap<String, String>, Vec<BundleError>) {
    let mut files = BTreeMap::new();
    let problems = walk_all(root, &mut |path, relative| {
        if wanted(&relative) {
            match text(path) {
                // only read by people: no reason to refuse the policy
                Err(BundleError::TooLarge { .. } | BundleError::NotText { .. }) if is_page(&relative) => {}
                text => {
                    let name = unflatten(&relative);
                    if files.insert(name.clone(), text?).is_some() {
                        return Err(twice(name));
                    }
                }
            }
        }
        Ok(())
    });
    (files, problems)
}

/// A name that two files have.
#[must_use]
pub fn twice(name: String) -> BundleError {
    let problem = format!("it is there twice, as {name} and with `__` for `/`; remove one");
    BundleError::Data { file: name, at: None, problem }
}

/// The files of a folder that a set is made of, as text.
///
/// # Errors
/// When one cannot be read, is too large or no text.
pub fn texts(folder: &Path) -> Result<BTreeMap<String, String>, BundleError> {
    let (files, problems) = read_files(folder, is_part);
    problems.into_iter().next().map_or(Ok(files), Err)
}

fn text(path: &Path) -> Result<String, BundleError> {
    let read = |source| BundleError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > LARGEST_FILE {
        return Err(BundleError::TooLarge { path: path.to_owned(), size });
    }
    utf8(path, std::fs::read(path).map_err(read)?)
}

/// The text of a file.
///
/// # Errors
/// When it is not UTF-8, with the place of the first byte that is none.
pub fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, BundleError> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let count = |n: usize| u64::try_from(n + 1).unwrap_or(1);
        let line = count(good.iter().filter(|b| **b == b'\n').count());
        let column = count(good.rsplit(|b| *b == b'\n').next().unwrap_or_default().len());
        BundleError::NotText { path: path.to_owned(), line, column }
    })
}
