//! A folder in the OCI image layout (image specification v1.1): what `policy bundle --format oci-layout` writes, and where
//! `serve --policies-cache` keeps the last good artifact of each reference.

use super::{Artifact, ArtifactError, CONFIG_TYPE, MANIFEST_TYPE, read_manifest, reference};
use crate::policysource::content;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Annotation that names an artifact of the index.
const NAME: &str = "org.opencontainers.image.ref.name";

/// Why a layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// Reading or writing.
    #[error("{path} cannot be {verb}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`
        verb: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something else is there.
    #[error("{0} is there and is no OCI image layout; give an empty folder or a new one")]
    Other(PathBuf),
    /// The index is not in the format.
    #[error("{path}: {problem}; remove the folder, it is filled again")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// What is kept is not what was kept.
    #[error("{path}: {source}")]
    Artifact {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ArtifactError,
    },
}

/// Writes an artifact under a name, in the place of what had the name before. Blobs that nothing names any more are removed.
///
/// # Errors
/// When the folder cannot be written, or holds something else. The index is the last to change, in one step.
pub fn write(folder: &Path, name: &str, artifact: &Artifact) -> Result<(), LayoutError> {
    let marker = folder.join("oci-layout");
    let io = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| LayoutError::Io { path, verb, source }
    };
    let blobs = folder.join("blobs").join("sha256");
    std::fs::create_dir_all(folder).map_err(io("written", folder))?;
    let mut there = std::fs::read_dir(folder).map_err(io("read", folder))?.filter_map(Result::ok);
    if !marker.is_file()
        && there.any(|entry| !entry.file_name().to_string_lossy().starts_with('.') && entry.file_name() != "lost+found")
    {
        return Err(LayoutError::Other(folder.to_owned()));
    }
    std::fs::create_dir_all(&blobs).map_err(io("written", &blobs))?;
    put(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let mut entries = index(folder)?;
    let mut bytes: Vec<&[u8]> = vec![&artifact.layer, &artifact.manifest];
    bytes.extend(artifact.config.as_deref());
    for blob in bytes {
        put(&blobs.join(hex(&content::sha256(blob))), blob)?;
    }
    entries
        .retain(|entry| entry.pointer("/annotations").and_then(|a| a.get(NAME)).and_then(Value::as_str) != Some(name));
    entries.push(json!({
        "mediaType": MANIFEST_TYPE,
        "digest": artifact.digest,
        "size": artifact.manifest.len(),
        "annotations": {NAME: name},
    }));
    let text =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    put(&folder.join("index.json"), text.to_string().as_bytes())?;
    prune(&blobs, &entries);
    Ok(())
}

/// The artifact of a name; none when the folder or the name is not there.
///
/// # Errors
/// When it is there and not as it was written.
pub fn read(folder: &Path, name: &str) -> Result<Option<Artifact>, LayoutError> {
    let entries = index(folder)?;
    let named =
        |entry: &&Value| entry.pointer("/annotations").and_then(|a| a.get(NAME)).and_then(Value::as_str) == Some(name);
    let Some(digest) = entries.iter().find(named).and_then(|entry| entry.get("digest")).and_then(Value::as_str) else {
        return Ok(None);
    };
    let artifact = |source| LayoutError::Artifact { path: folder.to_owned(), source };
    reference::digest(digest).map_err(|e| artifact(ArtifactError::Manifest(e.to_string())))?;
    let blob = |digest: &str| {
        let path = folder.join("blobs").join("sha256").join(hex(digest));
        std::fs::read(&path).map_err(|source| LayoutError::Io { path, verb: "read", source })
    };
    let manifest = blob(digest)?;
    super::check_digest("manifest", digest, &manifest).map_err(artifact)?;
    let layer = blob(&read_manifest(&manifest).map_err(artifact)?.layer.digest)?;
    Artifact::checked(digest, manifest, layer).map(Some).map_err(artifact)
}

fn index(folder: &Path) -> Result<Vec<Value>, LayoutError> {
    let path = folder.join("index.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(LayoutError::Io { path, verb: "read", source }),
    };
    let wrong = |problem: String| LayoutError::Index { path: path.clone(), problem };
    let document: Value = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    let entries = document.get("manifests").and_then(Value::as_array).cloned();
    entries.ok_or_else(|| wrong("it has no list `manifests`".to_owned()))
}

/// Writes a file in one step, so that nobody reads half of it.
fn put(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let error = |source| LayoutError::Io { path: path.to_owned(), verb: "written", source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".seawall-").tempfile_in(folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.as_file().sync_all().map_err(error)?;
    file.persist(path).map_err(|e| error(e.error)).map(drop)
}

/// Removes blobs that no manifest of the index names. What cannot be read or removed stays.
fn prune(blobs: &Path, entries: &[Value]) {
    let mut kept = BTreeSet::new();
    for digest in entries.iter().filter_map(|entry| entry.get("digest")?.as_str()) {
        kept.insert(hex(digest).to_owned());
        let manifest = std::fs::read(blobs.join(hex(digest))).unwrap_or_default();
        let Ok(named) = read_manifest(&manifest) else { return };
        kept.insert(hex(&named.layer.digest).to_owned());
        kept.extend(named.config.filter(|c| c.media_type == CONFIG_TYPE).map(|c| hex(&c.digest).to_owned()));
    }
    for entry in std::fs::read_dir(blobs).into_iter().flatten().filter_map(Result::ok) {
        if !kept.contains(entry.file_name().to_string_lossy().as_ref()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policysource::files::Files;
    use crate::policysource::tarball;

    fn artifact(text: &str) -> Artifact {
        let files = Files::from_iter([("a.rego".to_owned(), text.as_bytes().to_vec())]);
        Artifact::new(tarball::write(&files).unwrap(), None).unwrap()
    }

    #[test]
    fn the_last_of_each_name_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("cache");
        assert_eq!(read(&place, "a").unwrap(), None);
        for (name, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
            write(&place, name, &artifact(text)).unwrap();
        }
        let digest = |name: &str| read(&place, name).unwrap().unwrap().digest;
        assert_eq!((digest("a"), digest("b")), (artifact("3").digest, artifact("2").digest));
        assert_eq!(read(&place, "c").unwrap(), None);
        let blobs = || std::fs::read_dir(place.join("blobs/sha256")).unwrap().count();
        assert_eq!(blobs(), 6);
        let changed = place.join("blobs/sha256").join(hex(&content::sha256(&artifact("3").layer)));
        std::fs::write(&changed, "other").unwrap();
        assert!(read(&place, "a").unwrap_err().to_string().contains("the manifest says"));
        std::fs::write(place.join("index.json"), "{}").unwrap();
        assert!(read(&place, "a").unwrap_err().to_string().contains("it is filled again"));
    }

    #[test]
    fn folders_of_others_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("thesis.txt"), "").unwrap();
        assert!(matches!(write(folder.path(), "a", &artifact("1")), Err(LayoutError::Other(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
