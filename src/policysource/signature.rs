//! `.signatures.json`: one JSON Web Token (RFC 7515) over the hashes of all files, as OPA signs and verifies bundles.
//!
//! Source: OPA, "Bundles", section "Signing". When a key is given, every file must be in the token with the right hash, and
//! every file of the token must be there.

use super::content::{self, ContentError};
use super::files::{self, Files, SIGNATURES};
use super::keys::{SigningKey, VerificationKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// How many files are told at once.
const TOLD: usize = 10;

/// Why a set was not signed, or its signature not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// A key is given, and the set has no signature.
    #[error(
        "it is not signed (no {SIGNATURES}), and --verification-key asks for it; sign it with `seawall policy bundle --signing-key`"
    )]
    Unsigned,
    /// It is not in the format.
    #[error("{SIGNATURES} is not as OPA writes it: {0}; sign the set again")]
    Format(String),
    /// Made with something else.
    #[error("{SIGNATURES} is signed with {found:?}; the key {key} is for {wanted}")]
    Algorithm {
        /// What the token says.
        found: String,
        /// The file of the key.
        key: String,
        /// What the key is for.
        wanted: &'static str,
    },
    /// Another key made it, or it was changed.
    #[error(
        "{SIGNATURES} was not made with the private half of {key}, or was changed since; do not use this set before you know why"
    )]
    Wrong {
        /// The file of the key.
        key: String,
    },
    /// The token names another key or scope.
    #[error("{SIGNATURES} has {what} {found:?}; wanted {wanted:?} ({flag})")]
    Claim {
        /// `key id` or `scope`
        what: &'static str,
        /// What it says.
        found: String,
        /// What is wanted.
        wanted: String,
        /// The flag that wants it.
        flag: &'static str,
    },
    /// The files are not those that were signed.
    #[error("the files are not those that were signed:{}", lines(.0))]
    Files(Vec<FileProblem>),
    /// A file has no hash.
    #[error("{file} cannot be signed: {source}")]
    Content {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: ContentError,
    },
    /// The system gave no random numbers.
    #[error("the key could not sign; are there no random numbers on this machine?")]
    Sign,
}

/// A file that is not as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// Other content.
    #[error("{0} was changed")]
    Changed(String),
    /// Signed, but not there.
    #[error("{0} is missing")]
    Missing(String),
    /// There, but not signed.
    #[error("{0} was not signed")]
    Extra(String),
    /// No hash can be made of it.
    #[error("{0}: {1}")]
    Content(String, ContentError),
}

fn lines(problems: &[FileProblem]) -> String {
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

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    signatures: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Payload {
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    keyid: Option<String>,
    #[serde(default)]
    scope: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct File {
    name: String,
    hash: String,
    algorithm: String,
}

/// The content of `.signatures.json` for files. One that is there already is not part of it.
///
/// # Errors
/// When a file cannot be hashed, or the key not used.
pub fn sign(files: &Files, key: &SigningKey, scope: Option<&str>) -> Result<Vec<u8>, SignatureError> {
    let mut hashes = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != SIGNATURES) {
        let hash = content::hash(name, bytes, &ring::digest::SHA256)
            .map_err(|source| SignatureError::Content { file: name.clone(), source })?;
        hashes.push(File { name: name.clone(), hash, algorithm: "SHA-256".to_owned() });
    }
    let mut payload = Map::from_iter([("files".to_owned(), json!(hashes))]);
    let mut header = Map::from_iter([("alg".to_owned(), json!(key.algorithm().as_str()))]);
    if let Some(id) = &key.id {
        header.insert("kid".to_owned(), json!(id));
        // OPA reads it where it finds no `kid`
        payload.insert("keyid".to_owned(), json!(id));
    }
    if let Some(scope) = scope {
        payload.insert("scope".to_owned(), json!(scope));
    }
    header.insert("typ".to_owned(), json!("JWT"));
    let part = |map: Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(map).to_string());
    let message = format!("{}.{}", part(header), part(payload));
    let signature = key.sign(message.as_bytes()).ok_or(SignatureError::Sign)?;
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
    Ok(json!({"signatures": [token]}).to_string().into_bytes())
}

/// Checks the signature of a set and the hash of every file.
///
/// # Errors
/// When anything is not as it was signed; nothing of the set is to be used then.
pub fn verify(files: &Files, key: &VerificationKey) -> Result<(), SignatureError> {
    let format = |problem: String| SignatureError::Format(problem);
    let document = files.get(SIGNATURES).ok_or(SignatureError::Unsigned)?;
    let document: Document = serde_json::from_slice(document).map_err(|e| format(e.to_string()))?;
    let [token] = document.signatures.as_slice() else {
        return Err(format(format!("it has {} signatures and should have one", document.signatures.len())));
    };
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(format("the signature is no token of three parts".to_owned()));
    };
    let decode = |what: &str, part: &str| {
        URL_SAFE_NO_PAD.decode(part).map_err(|e| format(format!("the {what} is no base64url: {e}")))
    };
    let claims: Header = serde_json::from_slice(&decode("header", header)?).map_err(|e| format(e.to_string()))?;
    let path = || key.path.display().to_string();
    let message = format!("{header}.{payload}");
    match key.verifies(&claims.alg, message.as_bytes(), &decode("signature", signature)?) {
        Some(true) => {}
        Some(false) => return Err(SignatureError::Wrong { key: path() }),
        None => {
            return Err(SignatureError::Algorithm { found: claims.alg, key: path(), wanted: key.algorithms() });
        }
    }
    let payload: Payload = serde_json::from_slice(&decode("payload", payload)?).map_err(|e| format(e.to_string()))?;
    let named = |name: Option<String>| name.filter(|name| !name.is_empty());
    let id = named(claims.kid).or(named(payload.keyid)).unwrap_or_default();
    claim("key id", id, key.id.as_deref(), "--verification-key-id")?;
    // OPA too wants no scope where none is given
    claim(
        "scope",
        payload.scope.unwrap_or_default(),
        Some(key.scope.as_deref().unwrap_or_default()),
        "--verification-scope",
    )?;
    compare(files, payload.files)
}

fn claim(what: &'static str, found: String, wanted: Option<&str>, flag: &'static str) -> Result<(), SignatureError> {
    match wanted {
        Some(wanted) if wanted != found => Err(SignatureError::Claim { what, found, wanted: wanted.to_owned(), flag }),
        _ => Ok(()),
    }
}

fn compare(files: &Files, signed: Vec<File>) -> Result<(), SignatureError> {
    let mut problems = Vec::new();
    let mut left = BTreeMap::new();
    for file in signed {
        let name = files::name(file.name.as_bytes())
            .map_err(|problem| SignatureError::Format(format!("{:?}: {problem}", file.name)))?;
        if left.insert(name, file).is_some() {
            return Err(SignatureError::Format("it names a file twice".to_owned()));
        }
    }
    for (name, bytes) in files.iter().filter(|(name, _)| *name != SIGNATURES) {
        let Some(file) = left.remove(name) else {
            problems.push(FileProblem::Extra(name.clone()));
            continue;
        };
        match content::algorithm(&file.algorithm).and_then(|by| content::hash(name, bytes, by)) {
            Ok(hash) if hash.eq_ignore_ascii_case(&file.hash) => {}
            Ok(_) => problems.push(FileProblem::Changed(name.clone())),
            Err(error) => problems.push(FileProblem::Content(name.clone(), error)),
        }
    }
    problems.extend(left.into_keys().map(FileProblem::Missing));
    if problems.is_empty() { Ok(()) } else { Err(SignatureError::Files(problems)) }
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
