//! What is to be checked: files, folders and standard input become documents.

use super::document::{self, Read};
use super::position::Place;
use super::yaml::{Budget, DocumentError};
use ignore::{DirEntry, WalkBuilder};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest file. `kubectl get -A -o yaml` of a large cluster stays below.
const LARGEST: u64 = 256 * 1024 * 1024;

/// The name of standard input on the command line.
const STDIN: &str = "-";

/// A file and what it holds.
#[derive(Debug, Clone)]
pub struct Document {
    /// The file as a person named it; `stdin` for standard input.
    pub file: Arc<str>,
    /// Whether the file's name says that it is JSON.
    pub is_json: bool,
    /// The document, or why it cannot be read.
    pub read: Read,
}

/// All documents, in the order of the arguments; files of a folder by name.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// The documents.
    pub documents: Vec<Document>,
    /// What was left out, for standard error.
    pub notes: Vec<String>,
    /// What has no document: files that cannot be opened, paths without a manifest.
    pub errors: Vec<(Option<Arc<str>>, String)>,
    seen: BTreeSet<PathBuf>,
}

impl Input {
    /// Reads paths: a file, a folder with all in it, or `-` for `stdin`. Nothing stops at the first error.
    #[must_use]
    pub fn read(paths: &[PathBuf], stdin: &mut dyn std::io::Read, budget: Budget) -> Self {
        let mut input = Self::default();
        for path in paths {
            let before = (input.documents.len(), input.errors.len());
            if path.as_os_str() == STDIN {
                input.text("stdin", stdin, budget);
            } else if path.is_dir() {
                input.folder(path, budget);
            } else {
                input.file(path, budget);
            }
            if (input.documents.len(), input.errors.len()) == before && !input.is_known(path) {
                let name = if path.as_os_str() == STDIN { "stdin".into() } else { path.to_string_lossy() };
                input.errors.push((Some(name.into()), "holds no Kubernetes object; nothing was checked".to_owned()));
            }
        }
        input
    }

    /// Whether a path was read before, under this or another name.
    fn is_known(&self, path: &Path) -> bool {
        std::fs::canonicalize(path).is_ok_and(|real| self.seen.iter().any(|seen| seen.starts_with(&real)))
    }

    fn folder(&mut self, folder: &Path, budget: Budget) {
        // No ignore files: what is not checked in may still be applied, and a gate must not pass because of a .gitignore.
        // Hidden folders are tools' own. Links are followed, the walker notices loops.
        let walk = WalkBuilder::new(folder)
            .standard_filters(false)
            .hidden(true)
            .follow_links(true)
            .sort_by_file_path(Path::cmp)
            .build();
        for entry in walk {
            match entry {
                Ok(entry) if is_manifest(&entry) => match not_applied(entry.path()) {
                    Some(note) => self.notes.push(format!("{}: skipped, {note}", entry.path().display())),
                    None => self.file(entry.path(), budget),
                },
                Ok(_) => {}
                Err(error) => self.errors.push((None, error.to_string())),
            }
        }
    }

    fn file(&mut self, path: &Path, budget: Budget) {
        // the same file twice (a folder and a file in it) is judged once
        if std::fs::canonicalize(path).is_ok_and(|real| !self.seen.insert(real)) {
            return;
        }
        match std::fs::File::open(path) {
            Ok(mut file) => self.text(&path.to_string_lossy(), &mut file, budget),
            Err(error) => self.errors.push((Some(path.to_string_lossy().into()), format!("cannot be read: {error}"))),
        }
    }

    fn text(&mut self, name: &str, from: &mut dyn std::io::Read, budget: Budget) {
        let file: Arc<str> = name.into();
        let mut bytes = Vec::new();
        let problem = match from.take(LARGEST + 1).read_to_end(&mut bytes) {
            Err(error) => Some(format!("cannot be read: {error}")),
            Ok(_) if bytes.len() as u64 > LARGEST => Some(format!("is larger than {} MiB", LARGEST / 1024 / 1024)),
            Ok(_) => None,
        };
        if let Some(problem) = problem {
            self.errors.push((Some(file), problem));
            return;
        }
        let is_json = Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let reads = match String::from_utf8(bytes) {
            Ok(text) => document::read(&text, budget),
            Err(error) => {
                let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
                let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
                let problem = "is not UTF-8 text; save it as UTF-8";
                vec![Err(DocumentError::new(Place { line, column: 1 }, problem))]
            }
        };
        self.documents.extend(reads.into_iter().map(|read| Document { file: file.clone(), is_json, read }));
    }
}

fn is_manifest(entry: &DirEntry) -> bool {
    let extension = entry.path().extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    entry.file_type().is_some_and(|kind| kind.is_file()) && matches!(extension.as_str(), "yaml" | "yml" | "json")
}

/// Files of a folder that are never applied themselves: what to do instead.
fn not_applied(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).display();
    match name {
        "kustomization.yaml" | "kustomization.yml" => {
            Some(format!("it is built into objects: kustomize build {parent} | seawall check -"))
        }
        "Chart.yaml" => Some(format!("it describes a chart: helm template {parent} | seawall check -")),
        _ if name.starts_with("values") && (name.ends_with(".yaml") || name.ends_with(".yml")) => {
            Some("it holds values of a chart".to_owned())
        }
        "values.schema.json" => Some("it is the schema of a chart's values".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(paths: &[PathBuf], stdin: &str) -> Input {
        Input::read(paths, &mut stdin.as_bytes(), Budget::default())
    }

    fn files(input: &Input) -> Vec<&str> {
        input.documents.iter().map(|d| Path::new(&*d.file).file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn a_folder_is_read_in_order_and_nothing_is_left_out_silently() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("b.yml", "a: 1");
        write("a/z.yaml", "a: 1\n---\nb: 2");
        write("a/y.json", "{}");
        write("a/readme.md", "# no");
        write(".git/x.yaml", "a: 1");
        write(".gitignore", "b.yml");
        write("a/kustomization.yaml", "resources: []");
        write("a/values-prod.yaml", "a: 1");
        write("Chart.yaml", "name: x");
        let input = read(&[folder.path().to_owned()], "");
        assert_eq!(files(&input), ["y.json", "z.yaml", "z.yaml", "b.yml"]);
        assert_eq!(input.notes.len(), 3, "{:?}", input.notes);
        assert!(
            input.notes.iter().any(|n| n.contains("kustomize build") && n.contains("skipped")),
            "{:?}",
            input.notes
        );
        // named by hand they are read
        assert_eq!(files(&read(&[folder.path().join("Chart.yaml")], "")), ["Chart.yaml"]);
        // twice named, once read
        assert_eq!(read(&[folder.path().to_owned(), folder.path().join("b.yml")], "").documents.len(), 4);
        assert!(read(&[folder.path().join("b.yml"), folder.path().join("b.yml")], "").errors.is_empty());
    }

    #[test]
    fn nothing_to_check_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for paths in [vec![folder.path().to_owned()], vec![PathBuf::from("-")]] {
            let input = read(&paths, "# only a comment\n---\n");
            assert_eq!(input.errors.len(), 1);
            assert!(input.errors[0].1.contains("holds no Kubernetes object"), "{:?}", input.errors);
        }
        let input = read(&[folder.path().join("missing.yaml")], "");
        assert!(input.errors[0].1.starts_with("cannot be read: "), "{:?}", input.errors);
    }

    #[test]
    fn other_encodings_are_refused_with_their_line() {
        let input = Input::read(&[PathBuf::from("-")], &mut &b"a: 1\nb: \xff\n"[..], Budget::default());
        let error = input.documents[0].read.as_ref().unwrap_err();
        assert_eq!((error.place.line, error.problem.as_str()), (2, "is not UTF-8 text; save it as UTF-8"));
    }

    #[test]
    fn standard_input_is_read() {
        assert_eq!(&*read(&[PathBuf::from("-")], "a: 1").documents[0].file, "stdin");
    }
}
