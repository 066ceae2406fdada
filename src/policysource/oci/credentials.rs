//! Credentials of a registry from a docker configuration (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`), the file
//! that `docker login` writes and a Secret of type `kubernetes.io/dockerconfigjson` holds. Credential helpers are not run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("the docker configuration {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not in the format. What is in it is never printed.
    #[error("the docker configuration {path} is not as `docker login` writes it: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// User and password of one registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// The value of an `Authorization` header.
    #[must_use]
    pub fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// What a docker configuration says of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing; calls are anonymous.
    Nothing,
    /// User and password.
    Credentials(Credentials),
    /// Only what cannot be used, in words.
    Unusable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Auth {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// The file that docker reads.
#[must_use]
pub fn default_file() -> Option<PathBuf> {
    let folder = match std::env::var_os("DOCKER_CONFIG").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(std::env::var_os("HOME").filter(|home| !home.is_empty())?).join(".docker"),
    };
    Some(folder.join("config.json"))
}

/// Looks a registry up. A file that is not there says nothing.
///
/// # Errors
/// When the file is there and cannot be used.
pub fn find(file: &Path, host: &str) -> Result<Found, CredentialsError> {
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(source) => return Err(CredentialsError::Read { path: file.to_owned(), source }),
    };
    let format = |problem: String| CredentialsError::Format { path: file.to_owned(), problem };
    let content: File = serde_json::from_slice(&text)
        .map_err(|e| format(format!("line {}, column {}: {:?} error", e.line(), e.column(), e.classify())))?;
    let entry = content.auths.iter().find(|(key, _)| registry(key) == host).map(|(_, auth)| auth);
    if let Some(auth) = entry {
        if let Some(encoded) = auth.auth.as_deref().filter(|a| !a.is_empty()) {
            let wrong = || format(format!("`auth` of {host} is not base64 of user:password"));
            let decoded = STANDARD.decode(encoded.trim()).map_err(|_| wrong())?;
            let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
            let (user, password) = decoded.split_once(':').ok_or_else(wrong)?;
            if !password.is_empty() {
                let password = password.trim_end_matches('\0');
                return Ok(Found::Credentials(Credentials { user: user.to_owned(), password: password.to_owned() }));
            }
        }
        if let (Some(user), Some(password)) = (&auth.username, &auth.password) {
            return Ok(Found::Credentials(Credentials { user: user.clone(), password: password.clone() }));
        }
        if auth.identitytoken.as_deref().is_some_and(|token| !token.is_empty()) {
            let problem =
                format!("{} has only an identity token for {host}, which Seawall does not use", file.display());
            return Ok(Found::Unusable(problem));
        }
    }
    let helper = content.cred_helpers.iter().find(|(key, _)| registry(key) == host).map(|(_, helper)| helper);
    Ok(match helper.or(content.creds_store.as_ref()) {
        Some(helper) => Found::Unusable(format!(
            "{} leaves {host} to the credential helper {helper:?}, which Seawall does not run",
            file.display()
        )),
        None => Found::Nothing,
    })
}

/// The host of a key: docker writes some with scheme and path.
fn registry(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(content: &Value, host: &str) -> Result<Found, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, content.to_string()).unwrap();
        find(&file, host).map_err(|e| e.to_string())
    }

    fn credentials(user: &str, password: &str) -> Found {
        Found::Credentials(Credentials { user: user.to_owned(), password: password.to_owned() })
    }

    #[test]
    fn logins_are_found_by_host() {
        let encoded = STANDARD.encode("me:se:cret");
        let file = json!({"auths": {
            "r.example:5000": {"auth": encoded},
            "https://other.example/v1/": {"username": "you", "password": "p"},
            "token.example": {"auth": STANDARD.encode("me:"), "identitytoken": "t"},
        }});
        assert_eq!(of(&file, "r.example:5000"), Ok(credentials("me", "se:cret")));
        assert_eq!(of(&file, "other.example"), Ok(credentials("you", "p")));
        assert_eq!(of(&file, "r.example"), Ok(Found::Nothing));
        assert!(matches!(of(&file, "token.example"), Ok(Found::Unusable(why)) if why.contains("identity token")));
        let helpers = json!({"credHelpers": {"r.example": "cloud"}, "credsStore": "desktop"});
        assert!(matches!(of(&helpers, "r.example"), Ok(Found::Unusable(why)) if why.contains("\"cloud\"")));
        assert!(matches!(of(&helpers, "x.example"), Ok(Found::Unusable(why)) if why.contains("\"desktop\"")));
        assert_eq!(find(Path::new("/nonexistent/config.json"), "r").unwrap(), Found::Nothing);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let file = json!({"auths": {"r": {"auth": "se cret!"}}});
        let error = of(&file, "r").unwrap_err();
        assert!(error.contains("not base64") && !error.contains("cret!"), "{error}");
        let broken = of(&json!({"auths": {"r": "hunter2"}}), "r").unwrap_err();
        assert!(broken.contains("line 1") && !broken.contains("hunter2"), "{broken}");
        assert!(!format!("{:?}", credentials("me", "hunter2")).contains("hunter2"));
    }
}
