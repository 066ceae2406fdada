//! Bundle tarballs (`bundle.tar.gz`), as `opa build` and `seawall policy bundle` make them.
//!
//! Reading goes to memory and never to the disk, so no entry can overwrite anything; links, devices, odd names and sizes are
//! refused all the same, because another program would unpack them. Writing gives the same bytes for the same files on
//! every run and machine: sorted, without time, owner or name of the machine.

use super::files::{self, Files, MOST_BYTES, MOST_FILES, NameProblem};
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use tar::{Archive, Builder, EntryType, Header};

/// How many entries' problems are told at once.
const TOLD: usize = 5;

/// Largest compressed size; what is larger is not even read.
pub const MOST_COMPRESSED: u64 = 32 * 1024 * 1024;

/// Why a tarball was refused.
#[derive(Debug, thiserror::Error)]
pub enum TarballError {
    /// No gzip at all.
    #[error("{archive} is no gzip file; a bundle is a .tar.gz as `seawall policy bundle` or `opa build` writes it")]
    NotGzip {
        /// Its name.
        archive: String,
    },
    /// It ends early, or its checksum is wrong.
    #[error("{archive} is cut off or damaged ({source}); copy it again")]
    Damaged {
        /// Its name.
        archive: String,
        /// What was found.
        #[source]
        source: io::Error,
    },
    /// More than may be held in memory.
    #[error("{archive} has more than {} MiB uncompressed; a policy set has at most that: leave out what is no policy", MOST_BYTES >> 20)]
    TooLarge {
        /// Its name.
        archive: String,
    },
    /// More than may be read.
    #[error("{archive} has {size} bytes; at most {MOST_COMPRESSED} are read: leave out what is no policy")]
    TooLargeCompressed {
        /// Its name.
        archive: String,
        /// Its size.
        size: u64,
    },
    /// Too many files.
    #[error("{archive} has more than {MOST_FILES} entries; leave out what is no policy")]
    TooMany {
        /// Its name.
        archive: String,
    },
    /// Nothing in it.
    #[error("{archive} has no file in it; make it anew with `seawall policy bundle`")]
    Empty {
        /// Its name.
        archive: String,
    },
    /// Entries that a bundle cannot have.
    #[error("{archive} cannot be trusted, so nothing of it is used:{}", lines(.problems))]
    Entries {
        /// Its name.
        archive: String,
        /// What is wrong with which entry.
        problems: Vec<EntryProblem>,
    },
}

/// An entry that a bundle cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryProblem {
    /// Its name.
    #[error("{entry}: {problem}")]
    Name {
        /// The entry, escaped.
        entry: String,
        /// What is wrong.
        problem: NameProblem,
    },
    /// No file and no folder.
    #[error("{entry} is a {kind}; a bundle has files only")]
    Kind {
        /// The entry, escaped.
        entry: String,
        /// What it is.
        kind: &'static str,
    },
    /// A second file of the same name.
    #[error("{entry} is there twice, so programs would read different files")]
    Duplicate {
        /// The entry, escaped.
        entry: String,
    },
    /// Too large.
    #[error("{entry} has {size} bytes; a file has at most {most}: split it")]
    TooLarge {
        /// The entry, escaped.
        entry: String,
        /// Its size.
        size: u64,
        /// The largest allowed.
        most: u64,
    },
}

fn lines(problems: &[EntryProblem]) -> String {
    let mut text = String::new();
    for problem in problems.iter().take(TOLD) {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    if let Some(more) = problems.len().checked_sub(TOLD).filter(|more| *more > 0) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

/// Reads a tarball. `archive`: its name for messages.
///
/// # Errors
/// When anything in it is not as in a bundle; nothing of it is to be used then.
pub fn read(archive: &str, compressed: &[u8]) -> Result<Files, TarballError> {
    let archive_name = || archive.to_owned();
    if !compressed.starts_with(&[0x1f, 0x8b]) {
        return Err(TarballError::NotGzip { archive: archive_name() });
    }
    let damaged = |source| TarballError::Damaged { archive: archive.to_owned(), source };
    let plain =
        unzip(compressed).map_err(damaged)?.ok_or_else(|| TarballError::TooLarge { archive: archive_name() })?;
    let mut found = Files::new();
    let mut problems = Vec::new();
    for (number, entry) in Archive::new(plain.as_slice()).entries().map_err(damaged)?.enumerate() {
        if number >= MOST_FILES {
            return Err(TarballError::TooMany { archive: archive_name() });
        }
        let mut entry = entry.map_err(damaged)?;
        let raw = entry.path_bytes().into_owned();
        let shown = || shown(&raw);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {}
            // a global header names no file; `git archive` writes one
            EntryType::Directory | EntryType::XGlobalHeader => {
                if let Err(problem @ (NameProblem::Outside | NameProblem::NotText)) = files::name(&raw) {
                    problems.push(EntryProblem::Name { entry: shown(), problem });
                }
                continue;
            }
            other => {
                problems.push(EntryProblem::Kind { entry: shown(), kind: kind(other) });
                continue;
            }
        }
        let name = match files::name(&raw) {
            Ok(name) => name,
            Err(problem) => {
                problems.push(EntryProblem::Name { entry: shown(), problem });
                continue;
            }
        };
        let (size, most) = (entry.size(), files::largest(&name));
        if size > most {
            problems.push(EntryProblem::TooLarge { entry: shown(), size, most });
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        if found.insert(name, bytes).is_some() {
            problems.push(EntryProblem::Duplicate { entry: shown() });
        }
    }
    if !problems.is_empty() {
        return Err(TarballError::Entries { archive: archive_name(), problems });
    }
    if found.is_empty() {
        return Err(TarballError::Empty { archive: archive_name() });
    }
    Ok(found)
}

/// The bytes inside; none when there are too many.
///
/// # Errors
/// When it is no gzip, or damaged.
pub fn unzip(compressed: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(compressed).take(MOST_BYTES + 1).read_to_end(&mut plain)?;
    Ok((plain.len() as u64 <= MOST_BYTES).then_some(plain))
}

/// Packs files: the same bytes for the same files.
///
/// # Errors
/// Writing to memory does not fail; a name that tar cannot hold does.
pub fn write(files: &Files) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice())?;
    }
    let plain = builder.into_inner()?;
    // 255: unknown operating system, RFC 1952
    let mut out = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(9));
    out.write_all(&plain)?;
    out.finish()
}

/// A name as it can be shown.
fn shown(raw: &[u8]) -> String {
    struct Short<'r>(&'r [u8]);
    impl fmt::Display for Short<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let text = String::from_utf8_lossy(self.0);
            let short: String = text.chars().take(120).collect();
            write!(f, "{short:?}{}", if short.len() < text.len() { "…" } else { "" })
        }
    }
    Short(raw).to_string()
}

const fn kind(of: EntryType) -> &'static str {
    match of {
        EntryType::Link => "hard link",
        EntryType::Symlink => "symbolic link",
        EntryType::Char => "character device",
        EntryType::Block => "block device",
        EntryType::Fifo => "named pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "special entry",
    }
}

#[cfg(test)]
#[path = "tarball_tests.rs"]
mod tests;
