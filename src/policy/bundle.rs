//! The files of a policy set: Rego modules, knowledge data and cases, embedded in the binary or read from a folder.
//!
//! A folder is an OPA bundle, or flat (a mounted ConfigMap): a policy is known by its package, not by its place. In a flat one
//! `__` in a name stands for `/`, so that cases and knowledge have a place too.

use crate::engine::compile::Source;
use crate::yaml;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::files::{DEEPEST, LARGEST_FILE, MOST_FILES, PAGE};
pub use super::files::{embedded_files, is_data, is_part, package, read_files, texts, unflatten, walk};

/// The list of changes that nothing can notice, beside a policy.
const SURVIVORS: &str = "mutants.yaml";

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
    /// Test modules (`_test.rego`), by their own package (`seawall.policies.x_test`). Nothing but `seawall test` reads them.
    pub tests: BTreeMap<String, Vec<Source>>,
    /// `mutants.yaml` beside policies, by package: changes that nothing can notice. Only `seawall test --mutate` reads them.
    pub survivors: BTreeMap<String, Source>,
    /// Where this is a part of a larger set: the rows of the others in `knowledge.policies`.
    pub beside: Map<String, Value>,
    /// The page of a policy (`README.md` beside its `policy.rego`), by package.
    pub pages: BTreeMap<String, String>,
}

impl Bundle {
    /// The policies in the binary.
    ///
    /// # Errors
    /// When they are broken, which a test rules out.
    pub fn embedded() -> Result<Self, BundleError> {
        Self::from_files(Path::new("policies"), embedded_files(is_part))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// When something in it cannot be read, or nothing is in it.
    pub fn read(folder: &Path) -> Result<Self, BundleError> {
        Self::from_files(folder, texts(folder)?)
    }

    /// Reads a folder, leaving out what cannot be read. Returns all that is wrong with it.
    #[must_use]
    pub fn read_all(folder: &Path) -> (Self, Vec<BundleError>) {
        let (files, mut problems) = read_files(folder, is_part);
        let (bundle, more) = Self::gather(&files);
        problems.extend(more);
        if bundle.modules.is_empty() {
            problems.push(BundleError::Empty(folder.to_owned()));
        }
        (bundle, problems)
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
        for (file, text) in files.iter().filter(|(file, _)| is_data(file)) {
            problems.extend(bundle.add_data(file, text).err());
        }
        for (folder, package) in folders {
            let page = if folder.is_empty() { PAGE.to_owned() } else { format!("{folder}/{PAGE}") };
            bundle.pages.extend(files.get(&page).map(|text| (package.clone(), text.clone())));
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
                    BundleError::Data { file: format!("{cases}{name}"), at: None, problem }
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
            self.pages.remove(&package);
            self.modules.insert(package, modules);
        }
        self.cases.extend(other.cases);
        self.survivors.extend(other.survivors);
        self.tests.extend(other.tests);
        self.pages.extend(other.pages);
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
        assert!(with("seawall/knowledge/x/data.yaml", "a: [").starts_with("seawall/knowledge/x/data.yaml:1:"));
    }

    #[test]
    fn a_symbolic_link_loop_ends() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("loop")).unwrap();
        assert!(matches!(Bundle::read(folder.path()), Err(BundleError::Loop(_))));
        // several loops do not multiply
        std::os::unix::fs::symlink(folder.path(), folder.path().join("second")).unwrap();
        assert_eq!(read_files(folder.path(), is_part).1.len(), 2);
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
