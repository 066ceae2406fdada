//! The files of a policy set as they travel: names and bytes, checked before anything reads them.

use crate::policy::bundle::{self, Bundle, BundleError};
use crate::policy::files::utf8;
use std::collections::BTreeMap;
use std::path::Path;

/// Files by their name in the set, with `/` between folders.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Name of the manifest of a bundle. Source: OPA, "Bundle File Format".
pub const MANIFEST: &str = ".manifest";

/// Name of the file with the signature. Source: OPA, "Bundle File Format".
pub const SIGNATURES: &str = ".signatures.json";

/// Most files of a set; the embedded one has about 6,000.
pub const MOST_FILES: usize = 20_000;

/// Most bytes of a set, uncompressed, with what tar adds.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Largest file. The signature names every file of the set, so it may be larger.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// Largest `.signatures.json`.
pub const LARGEST_SIGNATURES: u64 = 16 * 1024 * 1024;

/// Deepest folder.
const DEEPEST: usize = 16;

/// Longest name in bytes.
const LONGEST_NAME: usize = 1024;

/// What may be wrong with the name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameProblem {
    /// Bytes that are no text.
    #[error("its name is not UTF-8")]
    NotText,
    /// `..`
    #[error("its name leads out of the bundle (`..`)")]
    Outside,
    /// A name that means different files to different programs.
    #[error("its name has an empty part, a `.` between slashes, a backslash or a control character")]
    Odd,
    /// Nothing, or only slashes.
    #[error("it has no name")]
    Empty,
    /// Nested too deep, or too long.
    #[error("its name is longer than {LONGEST_NAME} bytes or has more than {DEEPEST} folders")]
    TooLong,
}

/// The name of a file in the set. One `/` or `./` at the front is left out: OPA writes `/policy.rego` for the root.
///
/// # Errors
/// When the name leads out of the set, or not every program would read the same name.
pub fn name(raw: &[u8]) -> Result<String, NameProblem> {
    let text = std::str::from_utf8(raw).map_err(|_| NameProblem::NotText)?;
    let text = text.strip_prefix("./").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    if text.is_empty() || text == "." {
        return Err(NameProblem::Empty);
    }
    if text.split('/').any(|part| part == "..") {
        return Err(NameProblem::Outside);
    }
    let odd = |part: &str| part.is_empty() || part == "." || part.contains('\\') || part.chars().any(char::is_control);
    if text.split('/').any(odd) {
        return Err(NameProblem::Odd);
    }
    if text.len() > LONGEST_NAME || text.split('/').count() > DEEPEST + 1 {
        return Err(NameProblem::TooLong);
    }
    Ok(text.to_owned())
}

/// The largest size of a file of this name.
#[must_use]
pub fn largest(name: &str) -> u64 {
    if name == SIGNATURES { LARGEST_SIGNATURES } else { LARGEST_FILE }
}

/// Every file of a folder, also those that policies are not made of: a signature covers them all.
///
/// # Errors
/// When one cannot be read, or there is too much.
pub fn read_folder(folder: &Path) -> Result<Files, BundleError> {
    let mut files = Files::new();
    let mut total = 0;
    bundle::walk(folder, &mut |path, relative| {
        let hidden = relative.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
        if hidden && relative != MANIFEST && relative != SIGNATURES {
            return Ok(());
        }
        let read = |source| BundleError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(read)?.len();
        total += size;
        if size > largest(&relative) || total > MOST_BYTES || files.len() >= MOST_FILES {
            return Err(BundleError::TooLarge { path: path.to_owned(), size });
        }
        files.insert(bundle::unflatten(&relative), std::fs::read(path).map_err(read)?);
        Ok(())
    })?;
    Ok(files)
}

/// The policy set of files.
///
/// # Errors
/// When a file that belongs to it is no text, or it has no policy.
pub fn to_bundle(root: &Path, files: &Files) -> Result<Bundle, BundleError> {
    let mut texts = BTreeMap::new();
    for (name, bytes) in files.iter().filter(|(name, _)| bundle::is_part(name)) {
        texts.insert(name.clone(), utf8(&root.join(name), bytes.clone())?);
    }
    Bundle::from_files(root, texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_relative_to_the_set() {
        for raw in ["a/b.rego", "/a/b.rego", "./a/b.rego"] {
            assert_eq!(name(raw.as_bytes()).unwrap(), "a/b.rego");
        }
        assert_eq!(name(b"a/").unwrap(), "a");
        let odd = [
            ("../a", NameProblem::Outside),
            ("a/../../b", NameProblem::Outside),
            ("/../a", NameProblem::Outside),
            ("//etc/passwd", NameProblem::Odd),
            ("a//b", NameProblem::Odd),
            ("a/./b", NameProblem::Odd),
            ("..\\a", NameProblem::Odd),
            ("a\u{1b}[31m", NameProblem::Odd),
            ("/", NameProblem::Empty),
            ("", NameProblem::Empty),
        ];
        for (raw, problem) in odd {
            assert_eq!(name(raw.as_bytes()), Err(problem), "{raw:?}");
        }
        assert_eq!(name(&[b'a', 0xff]), Err(NameProblem::NotText));
        assert_eq!(name("a/".repeat(40).as_bytes()), Err(NameProblem::TooLong));
        assert_eq!(name("a".repeat(2000).as_bytes()), Err(NameProblem::TooLong));
    }
}
