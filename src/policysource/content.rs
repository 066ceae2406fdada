//! Digests of contents: of bytes, of a whole set, and the way OPA hashes the files that a signature names.
//!
//! OPA hashes Rego as it is. Of `data.json`, `data.yaml` and `.manifest` it hashes the values: keys in order, no white
//! space, numbers as they are written. Source: OPA, "Bundles", section "Signature Format", and its v1/bundle/hash.go.

use super::files::{Files, MANIFEST, SIGNATURES};
use ring::digest::{self, Algorithm};
use serde_json::value::RawValue;
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Deepest nesting of a value, as in serde_json.
const DEEPEST: usize = 128;

/// Why a file cannot be hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// No JSON or YAML.
    #[error("it is neither JSON nor YAML ({0})")]
    Value(String),
    /// The signature names another hash.
    #[error("its hash is {0:?}; Seawall computes SHA-256, SHA-384, SHA-512 and SHA-512-256")]
    Algorithm(String),
}

/// The hash algorithm by OPA's name.
///
/// # Errors
/// When it is unknown or too weak.
pub fn algorithm(name: &str) -> Result<&'static Algorithm, ContentError> {
    match name {
        "SHA-256" => Ok(&digest::SHA256),
        "SHA-384" => Ok(&digest::SHA384),
        "SHA-512" => Ok(&digest::SHA512),
        "SHA-512-256" => Ok(&digest::SHA512_256),
        other => Err(ContentError::Algorithm(other.to_owned())),
    }
}

/// Lowercase hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `sha256:…` of bytes, as OCI writes digests.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(digest::digest(&digest::SHA256, bytes).as_ref()))
}

/// The digest of the contents of a set; `.manifest` and signature are about the contents and left out.
#[must_use]
pub fn revision(files: &Files) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for (name, bytes) in files.iter().filter(|(name, _)| *name != MANIFEST && *name != SIGNATURES) {
        context.update(name.as_bytes());
        context.update(&[0]);
        context.update(digest::digest(&digest::SHA256, bytes).as_ref());
    }
    format!("sha256:{}", hex(context.finish().as_ref()))
}

/// The hash of a file as OPA computes it, in hexadecimal.
///
/// # Errors
/// When a file of values has none.
pub fn hash(name: &str, bytes: &[u8], by: &'static Algorithm) -> Result<String, ContentError> {
    let base = name.rsplit('/').next().unwrap_or(name);
    if !matches!(base, "data.json" | "data.yaml" | "data.yml" | MANIFEST) {
        return Ok(hex(digest::digest(by, bytes).as_ref()));
    }
    let error = |problem: String| ContentError::Value(problem);
    let text = std::str::from_utf8(bytes).map_err(|_| error("not UTF-8".to_owned()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut out = String::new();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => json(raw, 0, &mut out).map_err(|e| error(e.to_string()))?,
        // only what cannot be JSON is YAML
        Err(problem) => {
            let value: Value = serde_saphyr::from_str(text)
                .map_err(|e| if base == "data.json" { problem.to_string() } else { crate::yaml::problem(&e).2 })
                .map_err(error)?;
            yaml(&value, &mut out);
        }
    }
    Ok(hex(digest::digest(by, out.as_bytes()).as_ref()))
}

/// Values of JSON keep the spelling of their numbers.
fn json(raw: &RawValue, depth: usize, out: &mut String) -> Result<(), serde_json::Error> {
    let text = raw.get();
    if depth > DEEPEST {
        return Err(serde::de::Error::custom("it nests too deep"));
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let map: BTreeMap<String, &RawValue> = serde_json::from_str(text)?;
            out.push('{');
            for (index, (key, value)) in map.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                string(&key, out);
                out.push(':');
                json(value, depth + 1, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text)?;
            out.push('[');
            for (index, value) in items.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                json(value, depth + 1, out)?;
            }
            out.push(']');
        }
        Some(b'"') => string(&serde_json::from_str::<String>(text)?, out),
        _ => out.push_str(text),
    }
    Ok(())
}

fn yaml(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut sorted: Vec<_> = map.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in sorted.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                string(key, out);
                out.push(':');
                yaml(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, value) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                yaml(value, out);
            }
            out.push(']');
        }
        Value::String(text) => string(text, out),
        Value::Number(number) => out.push_str(&go_number(number)),
        other => out.push_str(&other.to_string()),
    }
}

/// A number of YAML as Go's encoding/json writes it.
fn go_number(number: &Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(float) if float != 0.0 && !(1e-6..1e21).contains(&float.abs()) => {
            let text = format!("{float:e}");
            if text.contains("e-") { text } else { text.replace('e', "e+") }
        }
        Some(float) => float.to_string(),
        None => number.to_string(),
    }
}

/// A string as Go's encoding/json writes it without HTML escapes.
fn string(text: &str, out: &mut String) {
    let quoted = Value::String(text.to_owned()).to_string();
    out.push_str(&quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(name: &str, text: &str) -> String {
        hash(name, text.as_bytes(), &digest::SHA256).unwrap()
    }

    #[test]
    fn values_are_hashed_not_their_layout() {
        let plain = sha256(br#"{"a":[1.50,"<b>\u2028"],"b":{"c":null}}"#).replace("sha256:", "");
        let spaced = "{ \"b\": {\"c\": null},\n \"a\": [1.50, \"<b>\u{2028}\"] }";
        assert_eq!(hash_of("x/data.json", spaced), plain);
        assert_ne!(hash_of("x/data.json", &spaced.replace("1.50", "1.5")), plain);
        assert_eq!(
            hash_of("data.yaml", "b: 1.0\na: 1e21\nc: 1.0e-7\n"),
            hash_of("data.json", r#"{"a":1e+21,"b":1,"c":1e-7}"#)
        );
        // Rego and other YAML are bytes
        assert_ne!(hash_of("expected.yaml", "a: 1"), hash_of("expected.yaml", "a:  1"));
    }

    #[test]
    fn what_has_no_value_is_told() {
        let error = |name, text: &str| hash(name, text.as_bytes(), &digest::SHA256).unwrap_err().to_string();
        assert!(error("data.json", "{").contains("neither JSON nor YAML"));
        assert!(error("data.yaml", "a: [").contains("neither JSON nor YAML"));
        assert!(error("data.json", &("[".repeat(10_000) + &"]".repeat(10_000))).contains("neither JSON nor YAML"));
        assert!(algorithm("MD5").unwrap_err().to_string().contains("\"MD5\""));
    }

    #[test]
    fn a_revision_is_of_contents() {
        let set = |files: &[(&str, &str)]| -> Files {
            files.iter().map(|(n, t)| ((*n).to_owned(), t.as_bytes().to_vec())).collect()
        };
        let one = revision(&set(&[("a.rego", "x"), (MANIFEST, "{}")]));
        assert_eq!(one, revision(&set(&[("a.rego", "x"), (SIGNATURES, "{}")])));
        assert_ne!(one, revision(&set(&[("b.rego", "x")])));
        assert_ne!(one, revision(&set(&[("a.rego", "y")])));
    }
}
