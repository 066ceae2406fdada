//! The files of a policy set: Rego modules, knowledge data and cases, embedded in the binary or read from a folder.
//!
//! A folder is an OPA bundle, or flat (a mounted ConfigMap): a policy is known by its package, not by its place.

use crate::engine::compile::Source;
use crate::yaml;
use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// Largest file of a bundle, as the engine has it.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Deepest folder of a bundle.
const DEEPEST: usize = 16;

/// Most files of a bundle.
const MOST_FILES: usize = 100_000;

/// Why a policy folder was refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is larger than 1 MiB.
    #[error("{path} has {size} bytes; at most {LARGEST_FILE} are read: split it")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// A file is not UTF-8.
    #[error("{path}:{line}: byte {column} of the line is not UTF-8; save the file as UTF-8")]
    NotText {
        /// The file.
        path: PathBuf,
        /// Line of the first byte that is none, from 1.
        line: u64,
        /// Byte in the line, from 1.
        column: u64,
    },
    /// Folders nest too deep, or a symbolic link leads back.
    #[error("{0}: folders nest deeper than {DEEPEST} levels")]
    TooDeep(PathBuf),
    /// A symbolic link leads back.
    #[error("{0} is a symbolic link that leads back to a folder above; remove it")]
    Loop(PathBuf),
    /// More files than a bundle has.
    #[error("{0} has more than {MOST_FILES} files; give the folder of the policies alone")]
    TooMany(PathBuf),
    /// A data file is not readable or in the wrong place.
    #[error("{file}{}: {problem}", .at.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default())]
    Data {
        /// The file.
        file: String,
        /// Line and column, from 1, where the problem is at one.
        at: Option<(u64, u64)>,
        /// What is wrong.
        problem: String,
    },
    /// The folder has no Rego file.
    #[error("{0} has no .rego file; a policy is a file with `package seawall.policies.<id>` (docs/policy-format.md)")]
    Empty(PathBuf),
    /// A package of the extension is already there.
    #[error(
        "{file}: package {package} is embedded in Seawall; give yours another name, or load it alone with --policies-only"
    )]
    LibraryTaken {
        /// The file.
        file: String,
        /// The package.
        package: String,
    },
}

/// The three files of a case, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseFiles {
    /// Name of the case's folder.
    pub name: String,
    /// Path of the case's folder, for messages.
    pub folder: String,
    /// `input.yaml`
    pub input: String,
    /// `context.yaml`, where there is one.
    pub context: Option<String>,
    /// `expected.yaml`
    pub expected: String,
}

/// The files of a policy set.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    /// Rego modules without tests, by package (`seawall.policies.x`).
    pub modules: BTreeMap<String, Vec<Source>>,
    /// `data.seawall.knowledge`.
    pub knowledge: Map<String, Value>,
    /// Cases by package.
    pub cases: BTreeMap<String, Vec<CaseFiles>>,
}

impl Bundle {
    /// The policies in the binary.
    ///
    /// # Errors
    /// When they are broken, which a test rules out.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_files(Path::new("policies"), embedded_files(wanted))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// When something in it cannot be read, or nothing is in it.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        let (files, problems) = read_files(folder, wanted);
        problems.into_iter().next().map_or(Ok(()), Err)?;
        Self::from_files(folder, files)
    }

    /// The bundle of files by relative path.
    ///
    /// # Errors
    /// When there is no Rego file, or a data file is broken.
    pub fn from_files(root: &Path, files: BTreeMap<String, String>) -> Result<Self, BundleError> {
        let (bundle, problems) = Self::gather(&files);
        if bundle.modules.is_empty() {
            return Err(BundleError::Empty(root.to_owned()));
        }
        problems.into_iter().next().map_or(Ok(bundle), Err)
    }

    /// What the files make, as far as they can be used, and what is wrong with the others.
    #[must_use]
    pub fn gather(files: &BTreeMap<String, String>) -> (Self, Vec<BundleError>) {
        let mut problems = Vec::new();
        let mut bundle = Self::default();
        let mut folders: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rego") && !file.ends_with("_test.rego")) {
            let package = package(text).unwrap_or_default();
            if file == "policy.rego" || file.ends_with("/policy.rego") {
                folders.insert(parent(file).to_owned(), package.clone());
            }
            bundle.modules.entry(package).or_default().push(Source { file: file.clone(), text: text.clone() });
        }
        for (file, text) in files.iter().filter(|(file, _)| is_data(file)) {
            problems.extend(bundle.add_data(file, text).err());
        }
        for (folder, package) in folders {
            let cases = if folder.is_empty() { "cases/".to_owned() } else { format!("{folder}/cases/") };
            let names = files.keys().filter_map(|file| file.strip_prefix(&cases)?.strip_suffix("/input.yaml"));
            for name in names {
                let text = |part: &str| files.get(&format!("{cases}{name}/{part}.yaml")).cloned();
                let Some(expected) = text("expected") else {
                    let problem = "the case has input.yaml and no expected.yaml".to_owned();
                    problems.push(BundleError::Data { file: format!("{cases}{name}"), at: None, problem });
                    continue;
                };
                bundle.cases.entry(package.clone()).or_default().push(CaseFiles {
                    name: name.to_owned(),
                    folder: format!("{cases}{name}"),
                    input: text("input").unwrap_or_default(),
                    context: text("context"),
                    expected,
                });
            }
        }
        (bundle, problems)
    }

    fn add_data(&mut self, file: &str, text: &str) -> Result<(), BundleError> {
        let error = |at, problem: String| BundleError::Data { file: file.to_owned(), at, problem };
        let content: Value = serde_saphyr::from_str(text).map_err(|e| {
            let (line, column, problem) = yaml::problem(&e);
            error(Some((line, column)), problem)
        })?;
        let nested = parent(file)
            .split('/')
            .filter(|part| !part.is_empty())
            .rev()
            .fold(content, |value, part| Value::Object(Map::from_iter([(part.to_owned(), value)])));
        let knowledge = match nested {
            Value::Object(mut root) if root.keys().all(|key| key == "seawall") => match root.remove("seawall") {
                Some(Value::Object(mut seawall)) if seawall.keys().all(|key| key == "knowledge") => {
                    seawall.remove("knowledge")
                }
                _ => None,
            },
            _ => None,
        };
        match knowledge {
            Some(Value::Object(knowledge)) => {
                merge(&mut self.knowledge, &knowledge);
                Ok(())
            }
            _ => Err(error(None, "data belongs below seawall/knowledge/<topic>/".to_owned())),
        }
    }

    /// Adds another bundle: a policy of the same package is replaced, knowledge is merged.
    ///
    /// # Errors
    /// When it brings a library package that is already there.
    pub fn extend(mut self, other: Self) -> Result<Self, BundleError> {
        for (package, modules) in other.modules {
            let taken = self.modules.contains_key(&package) && !package.starts_with("seawall.policies.");
            if let Some(module) = modules.first().filter(|_| taken) {
                return Err(BundleError::LibraryTaken { file: module.file.clone(), package });
            }
            self.cases.remove(&package);
            self.modules.insert(package, modules);
        }
        self.cases.extend(other.cases);
        merge(&mut self.knowledge, &other.knowledge);
        Ok(self)
    }
}

/// Merges key by key; anything but objects is replaced.
pub fn merge(into: &mut Map<String, Value>, from: &Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Object(into)), Value::Object(from)) => merge(into, from),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

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

/// Whether a file belongs to a bundle, by its name.
#[must_use]
pub fn wanted(name: &str) -> bool {
    [".rego", ".yaml", ".json"].iter().any(|end| name.ends_with(end))
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

/// The files of a folder that are asked for, by relative path, and what could not be read.
#[must_use]
pub fn read_files(root: &Path, wanted: fn(&str) -> bool) -> (BTreeMap<String, String>, Vec<BundleError>) {
    let mut reader = Reader { root, wanted, files: BTreeMap::new(), problems: Vec::new() };
    reader.folder(root, &mut Vec::new());
    (reader.files, reader.problems)
}

struct Reader<'r> {
    root: &'r Path,
    wanted: fn(&str) -> bool,
    files: BTreeMap<String, String>,
    problems: Vec<BundleError>,
}

impl Reader<'_> {
    /// Reads a folder. `above`: where the folders above really are.
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
            if name.starts_with('.') {
                continue;
            }
            if self.files.len() >= MOST_FILES {
                if !matches!(self.problems.last(), Some(BundleError::TooMany(_))) {
                    self.problems.push(BundleError::TooMany(self.root.to_owned()));
                }
                break;
            }
            match std::fs::metadata(&path) {
                Ok(info) if info.is_dir() => self.folder(&path, above),
                Ok(info) if (self.wanted)(&name) => {
                    if let Err(error) = self.file(&path, info.len()) {
                        self.problems.push(error);
                    }
                }
                Ok(_) => {}
                Err(error) => self.problems.push(read(&path, error)),
            }
        }
        above.pop();
    }

    fn file(&mut self, path: &Path, size: u64) -> Result<(), BundleError> {
        let path = path.to_owned();
        if size > LARGEST_FILE {
            return Err(BundleError::TooLarge { path, size });
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(BundleError::Read { path, source }),
        };
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let count = |n: usize| u64::try_from(n + 1).unwrap_or(1);
                let line = count(good.iter().filter(|b| **b == b'\n').count());
                let column = count(good.rsplit(|b| *b == b'\n').next().unwrap_or_default().len());
                return Err(BundleError::NotText { path, line, column });
            }
        };
        let relative = path.strip_prefix(self.root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        self.files.insert(relative, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bundle(files: &[(&str, &str)]) -> Result<Bundle, BundleError> {
        Bundle::from_files(Path::new("dir"), files.iter().map(|(f, t)| ((*f).to_owned(), (*t).to_owned())).collect())
    }

    #[test]
    fn cases_and_knowledge_are_found() {
        let bundle = bundle(&[
            ("seawall/policies/x/policy.rego", "package seawall.policies.x\n"),
            ("seawall/policies/x/policy_test.rego", "package seawall.policies.x_test\n"),
            ("seawall/policies/x/cases/fires/input.yaml", "a: 1"),
            ("seawall/policies/x/cases/fires/expected.yaml", "violations: []"),
            ("seawall/knowledge/engines/data.yaml", "redis: {port: 1}"),
        ])
        .unwrap();
        assert_eq!(bundle.modules.keys().collect::<Vec<_>>(), ["seawall.policies.x"]);
        assert_eq!(bundle.cases["seawall.policies.x"][0].name, "fires");
        assert_eq!(Value::Object(bundle.knowledge), json!({"engines": {"redis": {"port": 1}}}));
    }

    #[test]
    fn broken_folders_are_named() {
        assert!(matches!(bundle(&[("a.yaml", "")]), Err(BundleError::Empty(_))));
        let with =
            |file, text| bundle(&[("p.rego", "package seawall.policies.p"), (file, text)]).unwrap_err().to_string();
        assert!(with("data.yaml", "other: {}").contains("data belongs below"));
        assert!(with("seawall/knowledge/x/data.yaml", "a: [").starts_with("seawall/knowledge/x/data.yaml:1:"));
    }

    #[test]
    fn a_symbolic_link_loop_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::Loop(_))));
        // several loops do not multiply
        std::os::unix::fs::symlink(folder.path(), folder.path().join("second")).unwrap();
        assert_eq!(read_files(folder.path(), wanted).1.len(), 2);
    }

    #[test]
    fn files_that_are_not_text_or_too_large_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.rego"), [0xff, 0xfe]).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::NotText { line: 1, column: 1, .. })));
        std::fs::write(folder.path().join("p.rego"), vec![b' '; 2 * 1024 * 1024]).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::TooLarge { .. })));
    }

    #[test]
    fn an_extension_replaces_policies_but_not_libraries() {
        let base = || bundle(&[("p.rego", "package seawall.policies.p"), ("l.rego", "package seawall.lib.l")]).unwrap();
        let same = bundle(&[("q.rego", "package seawall.policies.p")]).unwrap();
        assert_eq!(base().extend(same).unwrap().modules["seawall.policies.p"][0].file, "q.rego");
        let library = bundle(&[("m.rego", "package seawall.lib.l")]).unwrap();
        assert!(base().extend(library).unwrap_err().to_string().contains("is embedded"));
    }
}
