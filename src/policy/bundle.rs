//! The files of a policy set: Rego modules, knowledge data and cases, embedded in the binary or read from a folder.
//!
//! A folder is an OPA bundle, or flat (a mounted ConfigMap): a policy is known by its package, not by its place. In a flat one
//! `__` in a name stands for `/`, so that cases and knowledge have a place too.

use crate::engine::compile::Source;
use crate::yaml;
use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// Largest file of a bundle, as the engine has it.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Deepest folder of a bundle; also ends a loop of symbolic links.
const DEEPEST: usize = 16;

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
    #[error("{0} is not UTF-8 text")]
    NotText(PathBuf),
    /// Folders nest too deep, or a symbolic link leads back.
    #[error("{0}: folders nest deeper than {DEEPEST} levels, or a symbolic link leads back to a folder above")]
    TooDeep(PathBuf),
    /// A data file is not readable or in the wrong place.
    #[error("{file}: {problem}")]
    Data {
        /// The file.
        file: String,
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
        let mut files = BTreeMap::new();
        collect_embedded(&EMBEDDED, &mut files)?;
        Self::from_files(Path::new("policies"), files)
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// When something in it cannot be read, or nothing is in it.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        Self::from_files(folder, texts(folder)?)
    }

    /// The bundle of files by relative path.
    ///
    /// # Errors
    /// When there is no Rego file, or a data file is broken.
    pub fn from_files(root: &Path, files: BTreeMap<String, String>) -> Result<Self, BundleError> {
        let mut bundle = Self::default();
        let mut folders: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rego") && !file.ends_with("_test.rego")) {
            let package = package(text).unwrap_or_default();
            if file == "policy.rego" || file.ends_with("/policy.rego") {
                folders.insert(parent(file).to_owned(), package.clone());
            }
            bundle.modules.entry(package).or_default().push(Source { file: file.clone(), text: text.clone() });
        }
        if bundle.modules.is_empty() {
            return Err(BundleError::Empty(root.to_owned()));
        }
        for (file, text) in files.iter().filter(|(file, _)| is_data(file)) {
            bundle.add_data(file, text)?;
        }
        for (folder, package) in folders {
            let cases = if folder.is_empty() { "cases/".to_owned() } else { format!("{folder}/cases/") };
            let names = files.keys().filter_map(|file| file.strip_prefix(&cases)?.strip_suffix("/input.yaml"));
            for name in names {
                let text = |part: &str| files.get(&format!("{cases}{name}/{part}.yaml")).cloned();
                let expected = text("expected").ok_or_else(|| BundleError::Data {
                    file: format!("{cases}{name}"),
                    problem: "the case has input.yaml and no expected.yaml".to_owned(),
                })?;
                bundle.cases.entry(package.clone()).or_default().push(CaseFiles {
                    name: name.to_owned(),
                    folder: format!("{cases}{name}"),
                    input: text("input").unwrap_or_default(),
                    context: text("context"),
                    expected,
                });
            }
        }
        Ok(bundle)
    }

    fn add_data(&mut self, file: &str, text: &str) -> Result<(), BundleError> {
        let error = |problem: String| BundleError::Data { file: file.to_owned(), problem };
        let content: Value = serde_saphyr::from_str(text).map_err(|e| {
            let (line, column, problem) = yaml::problem(&e);
            error(format!("line {line}, column {column}: {problem}"))
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
            _ => Err(error("data belongs below seawall/knowledge/<topic>/".to_owned())),
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
fn is_data(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    matches!(name, "data.yaml" | "data.json") && !file.contains("/cases/")
}

/// The package of a module.
#[must_use]
pub fn package(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("package "))?;
    Some(line.split('#').next().unwrap_or(line).trim().to_owned())
}

/// Whether a file of this name is read: Rego, data and cases, but nothing hidden.
#[must_use]
pub fn is_part(name: &str) -> bool {
    !name.split('/').any(|part| part.starts_with('.'))
        && [".rego", ".yaml", ".json"].iter().any(|end| name.ends_with(end))
}

/// The name of a file in the set. A ConfigMap has no folders, so `__` at the top level of a set stands for `/`.
#[must_use]
pub fn unflatten(name: &str) -> String {
    if name.contains('/') { name.to_owned() } else { name.replace("__", "/") }
}

fn collect_embedded(folder: &Dir<'static>, files: &mut BTreeMap<String, String>) -> Result<(), BundleError> {
    for file in folder.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if is_part(&path) {
            let text = file.contents_utf8().ok_or_else(|| BundleError::NotText(file.path().to_owned()))?;
            files.insert(path, text.to_owned());
        }
    }
    folder.dirs().try_for_each(|folder| collect_embedded(folder, files))
}

/// Calls `visit` with each file below a folder and its name in the set. Hidden files and folders are left out, but for the
/// manifest and the signature of the set.
///
/// # Errors
/// When a folder cannot be read, and what `visit` answers.
pub fn walk(root: &Path, visit: &mut dyn FnMut(&Path, String) -> Result<(), BundleError>) -> Result<(), BundleError> {
    walk_below(root, root, 0, visit)
}

fn walk_below(
    root: &Path,
    folder: &Path,
    depth: usize,
    visit: &mut dyn FnMut(&Path, String) -> Result<(), BundleError>,
) -> Result<(), BundleError> {
    if depth > DEEPEST {
        return Err(BundleError::TooDeep(folder.to_owned()));
    }
    let read = |path: &Path, source: std::io::Error| BundleError::Read { path: path.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(|e| read(folder, e))? {
        let path = entry.map_err(|e| read(folder, e))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // a mounted ConfigMap keeps its versions in hidden folders, and links to them
        let about_the_set = depth == 0 && matches!(name.as_str(), ".manifest" | ".signatures.json");
        if name.starts_with('.') && !about_the_set {
            continue;
        }
        if std::fs::metadata(&path).map_err(|e| read(&path, e))?.is_dir() {
            walk_below(root, &path, depth + 1, visit)?;
        } else {
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            visit(&path, relative)?;
        }
    }
    Ok(())
}

/// The files of a folder that a set is made of, as text.
///
/// # Errors
/// When one cannot be read, is too large or no text.
pub fn texts(folder: &Path) -> Result<BTreeMap<String, String>, BundleError> {
    let mut files = BTreeMap::new();
    walk(folder, &mut |path, relative| {
        if !is_part(&relative) {
            return Ok(());
        }
        let read = |source| BundleError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(read)?.len();
        if size > LARGEST_FILE {
            return Err(BundleError::TooLarge { path: path.to_owned(), size });
        }
        let text = String::from_utf8(std::fs::read(path).map_err(read)?);
        let text = text.map_err(|_| BundleError::NotText(path.to_owned()))?;
        let name = unflatten(&relative);
        if files.insert(name.clone(), text).is_some() {
            let problem = format!("it is there twice, as {name} and with `__` for `/`; remove one");
            return Err(BundleError::Data { file: name, problem });
        }
        Ok(())
    })?;
    Ok(files)
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
    fn a_flat_folder_has_cases_too() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("x__policy.rego", "package seawall.policies.x\n"),
            ("x__cases__fires__input.yaml", "a: 1"),
            ("x__cases__fires__expected.yaml", "violations: []"),
            ("seawall__knowledge__engines__data.yaml", "redis: {port: 1}"),
            (".hidden.rego", "package hidden"),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let bundle = Bundle::read(folder.path()).unwrap();
        assert_eq!(bundle.modules.keys().collect::<Vec<_>>(), ["seawall.policies.x"]);
        assert_eq!(bundle.cases["seawall.policies.x"][0].folder, "x/cases/fires");
        assert_eq!(Value::Object(bundle.knowledge), json!({"engines": {"redis": {"port": 1}}}));
        std::fs::create_dir(folder.path().join("x")).unwrap();
        std::fs::write(folder.path().join("x/policy.rego"), "package seawall.policies.x\n").unwrap();
        assert!(Bundle::read(folder.path()).unwrap_err().to_string().contains("x/policy.rego: it is there twice"));
    }

    #[test]
    fn broken_folders_are_named() {
        assert!(matches!(bundle(&[("a.yaml", "")]), Err(BundleError::Empty(_))));
        let with =
            |file, text| bundle(&[("p.rego", "package seawall.policies.p"), (file, text)]).unwrap_err().to_string();
        assert!(with("data.yaml", "other: {}").contains("data belongs below"));
        assert!(with("seawall/knowledge/x/data.yaml", "a: [").starts_with("seawall/knowledge/x/data.yaml: line"));
    }

    #[test]
    fn a_symbolic_link_loop_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::TooDeep(_) | BundleError::Read { .. })));
    }

    #[test]
    fn files_that_are_not_text_or_too_large_are_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p.rego"), [0xff, 0xfe]).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::NotText(_))));
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
