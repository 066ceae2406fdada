//! Makes the files of a bundle out of a folder: what belongs to the policies, with a manifest, optionally signed.
//!
//! `data.yaml` becomes `data.json`, as `opa build` does: YAML is read differently by different programs (`on`, `1_000`),
//! JSON is not, and a signature is over values.

use super::content;
use super::files::{Files, MANIFEST, SIGNATURES};
use super::keys::SigningKey;
use super::signature::{self, SignatureError};
use crate::policy::bundle::{self, BundleError};
use crate::policy::files::PAGE;
use crate::yaml;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Why no bundle can be made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The folder.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A file is not as it must be.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

/// How to make one.
#[derive(Debug, Default)]
pub struct Options<'k> {
    /// Leave cases and tests out.
    pub without_cases: bool,
    /// Sign it.
    pub key: Option<&'k SigningKey>,
    /// Scope of the signature.
    pub scope: Option<&'k str>,
}

/// Whether a file only tests or describes the policies: a server can do without.
#[must_use]
pub fn is_test(name: &str) -> bool {
    let page = name.rsplit('/').next() == Some(PAGE);
    page || name.ends_with("_test.rego") || name.starts_with("cases/") || name.contains("/cases/")
}

/// The files of a bundle made of a folder.
///
/// # Errors
/// When a file cannot be read, or the manifest does not fit.
pub fn pack(folder: &Path, options: &Options<'_>) -> Result<Files, PackError> {
    let texts = bundle::texts(folder)?;
    let mut files = Files::new();
    let mut data: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for (name, text) in texts.into_iter().filter(|(name, _)| !options.without_cases || !is_test(name)) {
        let base = name.rsplit('/').next().unwrap_or(&name);
        if matches!(base, "data.yaml" | "data.json") && !is_test(&name) {
            let value: Value = serde_saphyr::from_str(&text).map_err(|e| {
                let (line, column, problem) = yaml::problem(&e);
                PackError::File { file: format!("{name}:{line}:{column}"), problem }
            })?;
            let Value::Object(map) = value else {
                return Err(PackError::File { file: name, problem: "data is a mapping".to_owned() });
            };
            // both may be there, and are merged in the order of their names when they are loaded
            let place = name.strip_suffix(base).unwrap_or_default().to_owned() + "data.json";
            bundle::merge(data.entry(place).or_default(), &map);
        } else {
            files.insert(name, text.into_bytes());
        }
    }
    files.extend(data.into_iter().map(|(name, map)| (name, pretty(&sorted(Value::Object(map))))));
    let manifest = manifest(folder, &files)?;
    files.insert(MANIFEST.to_owned(), manifest);
    if let Some(key) = options.key {
        let signatures = signature::sign(&files, key, options.scope)?;
        files.insert(SIGNATURES.to_owned(), signatures);
    }
    Ok(files)
}

/// The manifest: that of the folder, with the digest of the contents as its revision.
fn manifest(folder: &Path, files: &Files) -> Result<Vec<u8>, PackError> {
    let path = folder.join(MANIFEST);
    let error = |problem: String| PackError::File { file: path.display().to_string(), problem };
    let mut map = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice::<Map<String, Value>>(&bytes).map_err(|e| error(e.to_string()))?,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Map::new(),
        Err(source) => return Err(BundleError::Read { path: path.clone(), source }.into()),
    };
    let used = roots(files);
    match map.get("roots") {
        None | Some(Value::Null) => {
            map.insert("roots".to_owned(), json!(used));
        }
        Some(Value::Array(given)) => {
            let given: Vec<&str> = given.iter().filter_map(Value::as_str).map(|r| r.trim_matches('/')).collect();
            let covered = |root: &&String| {
                given.iter().any(|g| g.is_empty() || *g == root.as_str() || root.starts_with(&format!("{g}/")))
            };
            if let Some(outside) = used.iter().find(|root| !covered(root)) {
                return Err(error(format!(
                    "roots has {given:?} and a file belongs to {outside:?}, which OPA would refuse; add it, or leave roots out"
                )));
            }
        }
        Some(other) => return Err(error(format!("roots is {other}; wanted a list of paths, or nothing"))),
    }
    map.insert("revision".to_owned(), json!(content::revision(files)));
    map.insert("rego_version".to_owned(), json!(1));
    Ok(pretty(&sorted(Value::Object(map))))
}

/// The first parts of what the files define below `data`.
fn roots(files: &Files) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    for (name, bytes) in files {
        if name.ends_with(".rego") {
            let package = std::str::from_utf8(bytes).ok().and_then(bundle::package);
            roots.extend(package.as_deref().and_then(|p| p.split(['.', '[']).next()).map(str::to_owned));
        } else if name.ends_with("/data.json") && !is_test(name) {
            roots.extend(name.split('/').next().map(str::to_owned));
        } else if name == "data.json" {
            let map: Map<String, Value> = serde_json::from_slice(bytes).unwrap_or_default();
            roots.extend(map.into_iter().map(|(key, _)| key));
        }
    }
    roots
}

/// Keys in order, so that the same values are the same bytes.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = format!("{value:#}");
    text.push('\n');
    text.into_bytes()
}

/// The revision that the manifest of a set gives.
#[must_use]
pub fn revision(files: &Files) -> Option<String> {
    let manifest: Map<String, Value> = serde_json::from_slice(files.get(MANIFEST)?).ok()?;
    manifest.get("revision")?.as_str().filter(|revision| !revision.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn text(files: &Files, name: &str) -> String {
        String::from_utf8(files[name].clone()).unwrap()
    }

    #[test]
    fn a_bundle_has_what_policies_are_made_of() {
        let folder = folder(&[
            ("x/policy.rego", "package seawall.policies.x\n"),
            ("x/policy_test.rego", "package seawall.policies.x_test\n"),
            ("x/README.md", "# x"),
            ("x/cases/a/input.yaml", "a: 1"),
            ("x/cases/a/data.yaml", "kept: as it is"),
            ("seawall/knowledge/e/data.yaml", "b: {on: 1.0, a: yes}\n"),
            ("seawall/knowledge/e/data.json", "{\"c\": 1, \"b\": {\"a\": \"no\"}}"),
            (".git/config", ""),
        ]);
        let all = pack(folder.path(), &Options::default()).unwrap();
        let names: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                ".manifest",
                "seawall/knowledge/e/data.json",
                "x/README.md",
                "x/cases/a/data.yaml",
                "x/cases/a/input.yaml",
                "x/policy.rego",
                "x/policy_test.rego"
            ]
        );
        insta::assert_snapshot!(text(&all, "seawall/knowledge/e/data.json"), @r#"
        {
          "b": {
            "a": true,
            "on": 1.0
          },
          "c": 1
        }
        "#);
        let without = pack(folder.path(), &Options { without_cases: true, ..Options::default() }).unwrap();
        assert_eq!(without.keys().collect::<Vec<_>>(), [".manifest", "seawall/knowledge/e/data.json", "x/policy.rego"]);
        insta::assert_snapshot!(text(&without, MANIFEST), @r#"
        {
          "rego_version": 1,
          "revision": "sha256:5b6fe3aa4d50042e7de6d81b2ba39d147156ca5f14a56f7b6ab7f016874b7e6e",
          "roots": [
            "seawall"
          ]
        }
        "#);
        assert_eq!(revision(&without), Some(content::revision(&without)));
    }

    #[test]
    fn a_manifest_of_the_folder_is_kept_and_checked() {
        let with = |manifest: &str| {
            let folder = folder(&[("a.rego", "package seawall.policies.a\n"), (".manifest", manifest)]);
            pack(folder.path(), &Options::default()).map_err(|e| e.to_string())
        };
        let kept = with(r#"{"revision": "old", "roots": ["seawall"], "metadata": {"team": "storage"}}"#).unwrap();
        assert!(text(&kept, MANIFEST).contains("\"team\": \"storage\"") && !text(&kept, MANIFEST).contains("old"));
        assert!(with(r#"{"roots": ["other"]}"#).unwrap_err().contains("a file belongs to \"seawall\""));
        assert!(with(r#"{"roots": "x"}"#).unwrap_err().contains("wanted a list"));
        assert!(with("{").unwrap_err().contains(".manifest: "));
        assert!(with(r#"{"roots": [""]}"#).is_ok());
    }
}
