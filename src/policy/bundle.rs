//! The files of a policy set: Rego modules, knowledge data and cases, embedded in the binary or read from a folder.
//!
//! A folder is an OPA bundle, or flat (a mounted ConfigMap): a policy is known by its package, not by its place.

use crate::engine::compile::Source;
use crate::yaml;
use include_dir::{Dir, include_dir};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

static EMBEDDED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/policies");

/// The list of changes that nothing can notice, beside a policy.
const SURVIVORS: &str = "mutants.yaml";

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
    /// Test modules (`_test.rego`), by their own package (`seawall.policies.x_test`). Nothing but `seawall test` reads them.
    pub tests: BTreeMap<String, Vec<Source>>,
    /// `mutants.yaml` beside policies, by package: changes that nothing can notice. Only `seawall test --mutate` reads them.
    pub survivors: BTreeMap<String, Source>,
    /// Where this is a part of a larger set: the rows of the others in `knowledge.policies`.
    pub beside: Map<String, Value>,
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
        let (bundle, problems) = Self::gather(folder);
        problems.into_iter().next().map_or(Ok(bundle), Err)
    }

    /// Reads a folder, leaving out what cannot be read. Returns all that is wrong with it.
    #[must_use]
    pub fn gather(folder: &Path) -> (Self, Vec<BundleError>) {
        let (mut files, mut problems) = (BTreeMap::new(), Vec::new());
        collect(folder, folder, 0, &mut files, &mut problems);
        let bundle = Self::of_files(folder, &files, &mut problems);
        (bundle, problems)
    }

    /// The bundle of files by relative path.
    ///
    /// # Errors
    /// When there is no Rego file, or a data file is broken.
    pub fn from_files(root: &Path, files: BTreeMap<String, String>) -> Result<Self, BundleError> {
        let mut problems = Vec::new();
        let bundle = Self::of_files(root, &files, &mut problems);
        problems.into_iter().next().map_or(Ok(bundle), Err)
    }

    fn of_files(root: &Path, files: &BTreeMap<String, String>, problems: &mut Vec<BundleError>) -> Self {
        let mut bundle = Self::default();
        let mut folders: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rego")) {
            let package = package(text).unwrap_or_default();
            let source = Source { file: file.clone(), text: text.clone() };
            if file.ends_with("_test.rego") {
                bundle.tests.entry(package).or_default().push(source);
                continue;
            }
            if file == "policy.rego" || file.ends_with("/policy.rego") {
                folders.insert(parent(file).to_owned(), package.clone());
            }
            bundle.modules.entry(package).or_default().push(source);
        }
        if bundle.modules.is_empty() {
            problems.push(BundleError::Empty(root.to_owned()));
        }
        for (file, text) in files.iter().filter(|(file, _)| is_data(file)) {
            problems.extend(bundle.add_data(file, text).err());
        }
        for (folder, package) in folders {
            let file = if folder.is_empty() { SURVIVORS.to_owned() } else { format!("{folder}/{SURVIVORS}") };
            if let Some(text) = files.get(&file) {
                bundle.survivors.insert(package.clone(), Source { file, text: text.clone() });
            }
            let cases = if folder.is_empty() { "cases/".to_owned() } else { format!("{folder}/cases/") };
            let names: BTreeSet<&str> = files.keys().filter_map(|file| case_of(file.strip_prefix(&cases)?)).collect();
            for name in names {
                let text = |part: &str| files.get(&format!("{cases}{name}/{part}.yaml")).cloned();
                let (input, expected) = (text("input"), text("expected"));
                let missing = [("input", &input), ("expected", &expected)].map(|(part, text)| (part, text.is_none()));
                problems.extend(missing.into_iter().filter(|(_, missing)| *missing).map(|(part, _)| {
                    let problem = format!("the case has no {part}.yaml; add it, or remove the folder");
                    BundleError::Data { file: format!("{cases}{name}"), problem }
                }));
                let (Some(input), Some(expected)) = (input, expected) else { continue };
                bundle.cases.entry(package.clone()).or_default().push(CaseFiles {
                    name: name.to_owned(),
                    folder: format!("{cases}{name}"),
                    input,
                    context: text("context"),
                    expected,
                });
            }
        }
        bundle
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

    /// The same bundle with the folder that it was read from before the names of its files, for messages.
    #[must_use]
    pub fn named(mut self, folder: &str) -> Self {
        let named = |file: &mut String| *file = format!("{}/{file}", folder.trim_end_matches('/'));
        let (modules, tests) = (self.modules.values_mut(), self.tests.values_mut());
        modules.chain(tests).flatten().chain(self.survivors.values_mut()).for_each(|source| named(&mut source.file));
        self.cases.values_mut().flatten().for_each(|case| named(&mut case.folder));
        self
    }

    /// What a text needs: the modules of the packages that it mentions (`data.seawall.…`), and those that they mention. All
    /// knowledge, no cases and no tests. A package that is named in another way than by its path brings all.
    #[must_use]
    pub fn mentioned_by<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut part = Self { knowledge: self.knowledge.clone(), beside: self.beside.clone(), ..Self::default() };
        let mut todo: Vec<String> = texts.into_iter().map(str::to_owned).collect();
        while let Some(text) = todo.pop() {
            let paths = data_paths(&text);
            for package in self.modules.keys().filter(|package| paths.iter().any(|path| mentions(path, package))) {
                if !part.modules.contains_key(package) {
                    let modules = self.modules.get(package).cloned().unwrap_or_default();
                    todo.extend(modules.iter().map(|source| source.text.clone()));
                    part.modules.insert(package.clone(), modules);
                }
            }
        }
        part
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
            self.survivors.remove(&package);
            self.tests.remove(&format!("{package}_test"));
            self.modules.insert(package, modules);
        }
        self.cases.extend(other.cases);
        self.survivors.extend(other.survivors);
        self.tests.extend(other.tests);
        merge(&mut self.knowledge, &other.knowledge);
        Ok(self)
    }
}

/// The case that a file below `cases/` belongs to.
fn case_of(file: &str) -> Option<&str> {
    let (name, file) = file.rsplit_once('/')?;
    matches!(file, "input.yaml" | "expected.yaml" | "context.yaml" | "cluster.yaml").then_some(name)
}

/// The paths below `data` that a text mentions, each with whether a bracket follows.
fn data_paths(text: &str) -> BTreeSet<(&str, bool)> {
    let path = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
    let of = |rest| {
        let (path, rest) = str::split_at(rest, path(rest));
        (path.trim_start_matches('.'), rest.starts_with('['))
    };
    text.split("data").skip(1).map(of).filter(|(path, bracket)| *bracket || !path.is_empty()).collect()
}

/// Whether a path leads into a package, or to what lies above it.
fn mentions((path, _): &(&str, bool), package: &str) -> bool {
    let within = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with('.'))
    };
    within(package, path) || within(path, package)
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

fn package(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("package "))?;
    Some(line.split('#').next().unwrap_or(line).trim().to_owned())
}

fn wanted(name: &str) -> bool {
    [".rego", ".yaml", ".json"].iter().any(|end| name.ends_with(end))
}

fn collect_embedded(folder: &Dir<'static>, files: &mut BTreeMap<String, String>) -> Result<(), BundleError> {
    for file in folder.files() {
        let path = file.path().to_string_lossy().replace('\\', "/");
        if wanted(&path) {
            let text = file.contents_utf8().ok_or_else(|| BundleError::NotText(file.path().to_owned()))?;
            files.insert(path, text.to_owned());
        }
    }
    folder.dirs().try_for_each(|folder| collect_embedded(folder, files))
}

fn collect(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut BTreeMap<String, String>,
    problems: &mut Vec<BundleError>,
) {
    if depth > DEEPEST {
        return problems.push(BundleError::TooDeep(folder.to_owned()));
    }
    let unreadable = |path: &Path, source: std::io::Error| BundleError::Read { path: path.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return problems.push(unreadable(folder, error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(error) => return problems.push(unreadable(folder, error)),
        }
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        // a mounted ConfigMap keeps its versions in hidden folders, and links to them
        if name.starts_with('.') {
            continue;
        }
        match std::fs::metadata(&path) {
            Err(error) => problems.push(unreadable(&path, error)),
            Ok(info) if info.is_dir() => {
                let before = problems.len();
                collect(root, &path, depth + 1, files, problems);
                // a loop of links is told once, and not followed along every other way
                if depth > 0 && problems.iter().skip(before).any(|p| matches!(p, BundleError::TooDeep(_))) {
                    return;
                }
            }
            Ok(info) if wanted(&name) => match text(&path, info.len()) {
                Ok(text) => {
                    let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
                    files.insert(relative, text);
                }
                Err(error) => problems.push(error),
            },
            Ok(_) => {}
        }
    }
}

fn text(path: &Path, size: u64) -> Result<String, BundleError> {
    if size > LARGEST_FILE {
        return Err(BundleError::TooLarge { path: path.to_owned(), size });
    }
    let bytes = std::fs::read(path).map_err(|source| BundleError::Read { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|_| BundleError::NotText(path.to_owned()))
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
