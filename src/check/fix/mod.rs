//! `--fix`: safe defaults written into the files themselves.
//!
//! [`guard`] knows files that are left alone as a whole, [`layout`] how a document is written, [`edit`] changes it. Here
//! objects are found again in their files, and files written: a new file beside the old one, synced, then renamed over it.

mod edit;
mod guard;
mod layout;

#[cfg(test)]
mod tests;

use super::document::{self, Chunk};
use super::position::{Place, Spot};
use super::yaml::Budget;
use crate::report::fixes::{FixedFile, Fixes, LeftAlone};
use crate::report::{Judged, PatchRow, Report};
pub use edit::EditError;
use serde_json::Value;
use similar::TextDiff;
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Lines around a change in a diff.
const CONTEXT: usize = 3;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The file changed since it was read.
    #[error("{0} changed while it was judged; run again")]
    Changed(String),
    /// Reading, writing or renaming failed.
    #[error("{file} cannot be written: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A file with its new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedText {
    /// The file as it was named.
    pub file: String,
    /// The text as it was read.
    pub before: String,
    /// The text with safe defaults.
    pub after: String,
    /// Objects that were changed.
    pub objects: usize,
}

/// What can be written, and what is left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// New texts.
    pub files: Vec<FixedText>,
    /// Objects that stay as they are.
    pub left_alone: Vec<LeftAlone>,
}

impl Plan {
    /// The same without the texts.
    #[must_use]
    pub fn summary(&self) -> Fixes {
        let file = |fixed: &FixedText| FixedFile { file: fixed.file.clone(), objects: fixed.objects };
        Fixes { files: self.files.iter().map(file).collect(), left_alone: self.left_alone.clone() }
    }
}

/// An object and what is to be written into it.
struct Wanted<'r> {
    judged: &'r Judged,
    patch: &'r PatchRow,
}

/// Works out the new texts of the files of a report. `from_stdin`: what stands in `stdin` came from there.
#[must_use]
pub fn plan(report: &Report, from_stdin: bool) -> Plan {
    let mut files: BTreeMap<&str, Vec<Wanted<'_>>> = BTreeMap::new();
    for judged in &report.objects {
        for patch in judged.patches.iter().filter(|patch| patch.permitted) {
            files.entry(&judged.source.file).or_default().push(Wanted { judged, patch });
        }
    }
    let mut plan = Plan::default();
    for (file, wanted) in files {
        match text_of(file, from_stdin) {
            Ok(text) => plan.file(file, text, &wanted),
            Err(reason) => wanted.iter().for_each(|wanted| plan.leave(wanted.judged, reason.clone())),
        }
    }
    plan
}

/// The text of a file that may be edited, or why it may not.
fn text_of(file: &str, from_stdin: bool) -> Result<String, String> {
    if from_stdin && file == "stdin" {
        return Err("standard input cannot be written; save it to a file, or fix what made it".to_owned());
    }
    let path = Path::new(file);
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let metadata = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.permissions().readonly() {
        return Err("the file is read-only".to_owned());
    }
    match guard::reason(path, &text) {
        Some(reason) => Err(reason),
        None => Ok(text),
    }
}

impl Plan {
    fn leave(&mut self, judged: &Judged, reason: String) {
        self.left_alone.push(LeftAlone { resource: judged.resource.clone(), source: judged.source.clone(), reason });
    }

    fn file(&mut self, file: &str, before: String, wanted: &[Wanted<'_>]) {
        let mark = if before.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        let body = before.get(mark..).unwrap_or_default();
        let mut after = before.get(..mark).unwrap_or_default().to_owned();
        let mut at = 0;
        let mut objects = 0;
        for chunk in document::split(body) {
            let place = |wanted: &&Wanted<'_>| chunk.has_line(wanted.judged.source.line);
            let wanted: Vec<&Wanted<'_>> = wanted.iter().filter(place).collect();
            let (text, changed) = self.chunk(&chunk, &wanted);
            objects += changed;
            after.push_str(body.get(at..chunk.start).unwrap_or_default());
            after.push_str(&text);
            at = chunk.start + chunk.text.len();
        }
        if objects > 0 {
            self.files.push(FixedText { file: file.to_owned(), before, after, objects });
        }
    }

    /// The text of one document with what is wanted, and how many objects were changed.
    fn chunk(&mut self, chunk: &Chunk<'_>, wanted: &[&Wanted<'_>]) -> (String, usize) {
        let mut text = chunk.text.to_owned();
        if wanted.is_empty() {
            return (text, 0);
        }
        let Some(mut node) = document::read_one(chunk, Budget::default()) else {
            let leave = |wanted: &&Wanted<'_>| self.leave(wanted.judged, EditError::Several.to_string());
            wanted.iter().for_each(leave);
            return (text, 0);
        };
        let mut changed = 0;
        for Wanted { judged, patch } in wanted {
            let place = Place { line: judged.source.line, column: judged.source.column };
            let mut found = Vec::new();
            find(&node.value, &node.spot, place, &patch.before, &mut Vec::new(), &mut found);
            // an object that an alias repeats stands twice in one place
            let [pointer] = found.as_slice() else {
                self.leave(judged, "the object is not found in the file again; did the file change?".to_owned());
                continue;
            };
            let mut after = node.value.clone();
            let Some(object) = after.pointer_mut(pointer) else { continue };
            *object = without_implied(object, &patch.after);
            match edit::edit(&Chunk::new(&text, chunk.line), &node.value, &after) {
                Ok(edited) => {
                    text = edited;
                    // places stay those of the file as it was judged, so objects are found by them
                    node.value = after;
                    changed += 1;
                }
                Err(error) => self.leave(judged, error.to_string()),
            }
        }
        (text, changed)
    }
}

/// Pointers of the objects at a place that are what was judged.
fn find(value: &Value, spot: &Spot, place: Place, wanted: &Value, at: &mut Vec<String>, found: &mut Vec<String>) {
    if spot.place == place && is_same(value, wanted) {
        found.push(at.iter().map(|token| format!("/{}", crate::admission::pointer::escape(token))).collect());
        return;
    }
    let Some(items) = value.get("items").and_then(Value::as_array) else { return };
    let Some(list) = spot.part("items") else { return };
    for (index, item) in items.iter().enumerate() {
        let token = index.to_string();
        let Some(part) = list.part(&token) else { continue };
        at.extend(["items".to_owned(), token]);
        find(item, part, place, wanted, at, found);
        at.truncate(at.len().saturating_sub(2));
    }
}

/// What an item of a typed list takes from its list.
const IMPLIED: [&str; 2] = ["apiVersion", "kind"];

fn is_same(written: &Value, judged: &Value) -> bool {
    without_implied(written, judged) == *written
}

/// A judged object, less what its list says and it does not.
fn without_implied(written: &Value, judged: &Value) -> Value {
    let mut object = judged.clone();
    if let (Value::Object(judged), Value::Object(written)) = (&mut object, written) {
        IMPLIED.iter().filter(|key| !written.contains_key(**key)).for_each(|key| drop(judged.shift_remove(*key)));
    }
    object
}

impl FixedText {
    /// The unified diff of the file, as `patch -p1` and `git apply` take it.
    #[must_use]
    pub fn diff(&self) -> String {
        let name = self.file.trim_start_matches("./").trim_start_matches('/');
        TextDiff::from_lines(&self.before, &self.after)
            .unified_diff()
            .context_radius(CONTEXT)
            .header(&format!("a/{name}"), &format!("b/{name}"))
            .to_string()
    }

    /// Writes the file: whole or not at all, with its permissions and owner. A link stays one, what it leads to is written.
    ///
    /// # Errors
    /// When the file changed since, or cannot be written.
    pub fn write(&self) -> Result<(), WriteError> {
        let failed = |source: io::Error| WriteError::Io { file: self.file.clone(), source };
        let path = std::fs::canonicalize(&self.file).map_err(failed)?;
        let now = std::fs::read_to_string(&path).map_err(failed)?;
        if now != self.before {
            return Err(WriteError::Changed(self.file.clone()));
        }
        replace(&path, &self.after).map_err(failed)
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder: PathBuf = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    let metadata = std::fs::metadata(path)?;
    let mut file = tempfile::Builder::new().prefix(".seawall-fix-").tempfile_in(&folder)?;
    file.write_all(text.as_bytes())?;
    keep_owner(file.path(), &metadata)?;
    file.as_file().set_permissions(metadata.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // the rename itself; what cannot be synced so (some network file systems) is in place all the same
    if let Ok(folder) = std::fs::File::open(&folder) {
        drop(folder.sync_all());
    }
    Ok(())
}

#[cfg(unix)]
fn keep_owner(path: &Path, old: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let new = std::fs::metadata(path)?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    chown(path, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn keep_owner(_path: &Path, _old: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}
