//! Policy sets in an OCI registry: one manifest, one layer that is the bundle tarball.
//!
//! Media types are those that OPA's own downloader looks for. Sources: OCI image specification v1.1 (manifest, config, image
//! layout), OCI distribution specification v1.1 (the calls).

pub mod client;
pub mod credentials;
pub mod layout;
pub mod reference;

use super::content;
use super::tarball;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub use client::{Client, Options};
pub use reference::Reference;

/// Media type of the manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

/// Media type of the configuration.
pub const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

/// Media type of the layer.
pub const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Largest manifest; the specification asks registries to take 4 MiB, one with a layer has under 1 KiB.
pub const LARGEST_MANIFEST: u64 = 1024 * 1024;

/// Why an artifact cannot be had or stored.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The reference.
    #[error(transparent)]
    Reference(#[from] reference::ReferenceError),
    /// Talking to the registry.
    #[error(transparent)]
    Client(#[from] client::ClientError),
    /// What it gave is no policy set.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A folder in the image layout.
    #[error(transparent)]
    Layout(#[from] layout::LayoutError),
}

/// What is wrong with an artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// Other bytes than its name says.
    #[error(
        "the {what} has digest {found}, and {wanted} was asked for: it was changed on its way or in the registry; nothing of it is used"
    )]
    Digest {
        /// `manifest` or `layer`
        what: &'static str,
        /// What the bytes have.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// Other length than the manifest says.
    #[error("the layer has {found} bytes, and the manifest says {wanted}; nothing of it is used")]
    Size {
        /// Bytes.
        found: u64,
        /// Bytes by the manifest.
        wanted: u64,
    },
    /// The manifest is not in the format.
    #[error("the manifest cannot be read ({0}); is this a policy set of `seawall policy push` or `opa`?")]
    Manifest(String),
    /// An index of several images.
    #[error("it is an index of several images; name the digest of one of them")]
    Index,
    /// Not one layer.
    #[error("it has {found}; a policy set has one layer {LAYER_TYPE}")]
    Layers {
        /// The media types.
        found: String,
    },
    /// The layer is larger than is read.
    #[error("the layer has {0} bytes; at most {most} are read", most = tarball::MOST_COMPRESSED)]
    TooLarge(u64),
    /// The tarball cannot be read.
    #[error(transparent)]
    Tarball(#[from] tarball::TarballError),
}

/// Name, length and type of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type.
    pub media_type: String,
    /// `sha256:…`
    pub digest: String,
    /// Bytes.
    pub size: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Option<Value>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// A policy set as a registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Digest of the manifest, by which the artifact is known.
    pub digest: String,
    /// The manifest, byte by byte.
    pub manifest: Vec<u8>,
    /// The configuration; what was pulled comes without it.
    pub config: Option<Vec<u8>>,
    /// The bundle tarball.
    pub layer: Vec<u8>,
}

/// A manifest with what it names, checked.
#[derive(Debug)]
pub struct Named {
    /// The configuration.
    pub config: Option<Descriptor>,
    /// The one layer.
    pub layer: Descriptor,
    /// `org.opencontainers.image.revision`
    pub revision: Option<String>,
}

/// Reads a manifest and checks that it is one of a policy set.
///
/// # Errors
/// When it is not.
pub fn read_manifest(bytes: &[u8]) -> Result<Named, ArtifactError> {
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| ArtifactError::Manifest(e.to_string()))?;
    if manifest.manifests.is_some() {
        return Err(ArtifactError::Index);
    }
    if manifest.schema_version != 2 {
        return Err(ArtifactError::Manifest(format!("schemaVersion is {}", manifest.schema_version)));
    }
    let [layer] = manifest.layers.as_slice() else {
        let types: Vec<&str> = manifest.layers.iter().map(|l| l.media_type.as_str()).take(5).collect();
        return Err(ArtifactError::Layers {
            found: format!("{} layers ({})", manifest.layers.len(), types.join(", ")),
        });
    };
    if layer.media_type != LAYER_TYPE {
        return Err(ArtifactError::Layers { found: format!("a layer {:?}", layer.media_type) });
    }
    reference::digest(&layer.digest).map_err(|e| ArtifactError::Manifest(e.to_string()))?;
    if layer.size > tarball::MOST_COMPRESSED {
        return Err(ArtifactError::TooLarge(layer.size));
    }
    let revision = manifest.annotations.get("org.opencontainers.image.revision").cloned();
    Ok(Named { config: manifest.config, layer: layer.clone(), revision })
}

impl Artifact {
    /// The artifact of a bundle tarball: the same bytes for the same tarball.
    ///
    /// # Errors
    /// When the tarball cannot be read.
    pub fn new(tarball: Vec<u8>, revision: Option<&str>) -> Result<Self, ArtifactError> {
        let archive = || "the bundle".to_owned();
        let plain = tarball::unzip(&tarball)
            .map_err(|source| tarball::TarballError::Damaged { archive: archive(), source })?
            .ok_or_else(|| tarball::TarballError::TooLarge { archive: archive() })?;
        // what the specification requires of a configuration, and no more
        let config = json!({
            "architecture": "unknown",
            "os": "unknown",
            "rootfs": {"type": "layers", "diff_ids": [content::sha256(&plain)]},
        })
        .to_string()
        .into_bytes();
        let descriptor = |media_type: &str, bytes: &[u8]| json!({"mediaType": media_type, "digest": content::sha256(bytes), "size": bytes.len()});
        let mut layer = descriptor(LAYER_TYPE, &tarball);
        if let Some(layer) = layer.as_object_mut() {
            layer.insert("annotations".to_owned(), json!({"org.opencontainers.image.title": "bundle.tar.gz"}));
        }
        let mut annotations =
            Map::from_iter([("org.opencontainers.image.title".to_owned(), json!("Seawall policies"))]);
        if let Some(revision) = revision {
            annotations.insert("org.opencontainers.image.revision".to_owned(), json!(revision));
        }
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": [layer],
            "annotations": annotations,
        })
        .to_string()
        .into_bytes();
        Ok(Self { digest: content::sha256(&manifest), manifest, config: Some(config), layer: tarball })
    }

    /// What was pulled or read, when it is what its names say.
    ///
    /// # Errors
    /// When a digest or a size differs.
    pub fn checked(digest: &str, manifest: Vec<u8>, layer: Vec<u8>) -> Result<Self, ArtifactError> {
        check_digest("manifest", digest, &manifest)?;
        let named = read_manifest(&manifest)?.layer;
        if layer.len() as u64 != named.size {
            return Err(ArtifactError::Size { found: layer.len() as u64, wanted: named.size });
        }
        check_digest("layer", &named.digest, &layer)?;
        Ok(Self { digest: digest.to_owned(), manifest, config: None, layer })
    }
}

/// Compares bytes with their digest.
///
/// # Errors
/// When they differ.
pub fn check_digest(what: &'static str, wanted: &str, bytes: &[u8]) -> Result<(), ArtifactError> {
    let found = content::sha256(bytes);
    if found == wanted { Ok(()) } else { Err(ArtifactError::Digest { what, found, wanted: wanted.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policysource::files::Files;

    fn artifact() -> Artifact {
        let files = Files::from_iter([("a.rego".to_owned(), b"package a\n".to_vec())]);
        Artifact::new(tarball::write(&files).unwrap(), Some("sha256:1")).unwrap()
    }

    #[test]
    fn an_artifact_is_the_same_every_time() {
        assert_eq!(artifact(), artifact());
        let shown: Value = serde_json::from_slice(&artifact().manifest).unwrap();
        insta::assert_snapshot!(format!("{shown:#}"), @r#"
        {
          "schemaVersion": 2,
          "mediaType": "application/vnd.oci.image.manifest.v1+json",
          "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": "sha256:6511a7fa7bd9338e82cc10b9e49e910583bc166cdd30f6ada3d65cd2b53164e5",
            "size": 155
          },
          "layers": [
            {
              "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
              "digest": "sha256:895a992cf39d96ad3d9ff9ebea50af1865a88ec74a03f0ac3e1a3e891f5530a2",
              "size": 96,
              "annotations": {
                "org.opencontainers.image.title": "bundle.tar.gz"
              }
            }
          ],
          "annotations": {
            "org.opencontainers.image.title": "Seawall policies",
            "org.opencontainers.image.revision": "sha256:1"
          }
        }
        "#);
        assert_eq!(read_manifest(&artifact().manifest).unwrap().revision.as_deref(), Some("sha256:1"));
    }

    #[test]
    fn changed_bytes_are_refused() {
        let good = artifact();
        let checked = |digest: &str, manifest: &[u8], layer: &[u8]| {
            Artifact::checked(digest, manifest.to_vec(), layer.to_vec()).map_err(|e| e.to_string())
        };
        assert!(checked(&good.digest, &good.manifest, &good.layer).is_ok());
        let mut layer = good.layer.clone();
        layer[20] ^= 1;
        assert!(checked(&good.digest, &good.manifest, &layer).unwrap_err().starts_with("the layer has digest"));
        layer.push(0);
        assert!(checked(&good.digest, &good.manifest, &layer).unwrap_err().contains("the manifest says"));
        let mut manifest = good.manifest.clone();
        manifest.push(b' ');
        assert!(checked(&good.digest, &manifest, &good.layer).unwrap_err().starts_with("the manifest has digest"));
    }

    #[test]
    fn manifests_of_something_else_are_told_apart() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let layer = |kind: &str, size: u64| json!({"mediaType": kind, "digest": digest, "size": size});
        let error = |manifest: Value| read_manifest(manifest.to_string().as_bytes()).unwrap_err().to_string();
        let with = |layers: Value| error(json!({"schemaVersion": 2, "layers": layers}));
        assert!(with(json!([])).contains("0 layers"));
        assert!(with(json!([layer(LAYER_TYPE, 1), layer("x", 1)])).contains("2 layers"));
        assert!(with(json!([layer("text/plain", 1)])).contains("a layer \"text/plain\""));
        assert!(with(json!([layer(LAYER_TYPE, 1 << 40)])).contains("at most"));
        assert!(with(json!([{"mediaType": LAYER_TYPE, "digest": "sha256:../..", "size": 1}])).contains("sha256:"));
        assert!(error(json!({"schemaVersion": 2, "manifests": []})).contains("an index"));
        assert!(error(json!({"schemaVersion": 1})).contains("schemaVersion is 1"));
        assert!(read_manifest(b"<html>").unwrap_err().to_string().contains("cannot be read"));
    }
}
