//! `oci://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`. Grammar of names, tags and digests: OCI distribution specification v1.1.

use std::fmt;
use std::str::FromStr;

/// How a reference begins.
pub const SCHEME: &str = "oci://";

/// The tag where none is given.
const LATEST: &str = "latest";

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// One part of it.
    #[error("{text:?} is no reference: {problem}; wanted {SCHEME}HOST[:PORT]/REPOSITORY[:TAG] or …@sha256:DIGEST")]
    Part {
        /// The text.
        text: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// A digest.
    #[error("{0:?} is no digest; wanted sha256: and 64 digits of 0-9a-f")]
    Digest(String),
}

/// Where an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, with port where there is one.
    pub host: String,
    /// Name of the repository.
    pub repository: String,
    /// Tag; none beside a digest alone.
    pub tag: Option<String>,
    /// Digest of the manifest.
    pub digest: Option<String>,
}

impl Reference {
    /// What the registry is asked for: the digest, else the tag.
    #[must_use]
    pub fn wanted(&self) -> &str {
        self.digest.as_deref().or(self.tag.as_deref()).unwrap_or(LATEST)
    }

    /// Whether the host is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = match self.host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => self.host.split(':').next().unwrap_or_default(),
        };
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// Checks a digest.
///
/// # Errors
/// When it is not `sha256:` with 64 hexadecimal digits.
pub fn digest(text: &str) -> Result<(), ReferenceError> {
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let good = text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && digits.chars().all(hex));
    if good { Ok(()) } else { Err(ReferenceError::Digest(text.to_owned())) }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |problem| ReferenceError::Part { text: text.to_owned(), problem };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| error("it does not begin with oci://"))?;
        let (host, rest) = rest.split_once('/').ok_or_else(|| error("it has no repository"))?;
        if !is_host(host) {
            return Err(error("its host is no name or address with an optional port (no user, no password)"));
        }
        let (rest, found) = match rest.split_once('@') {
            Some((rest, found)) => (rest, Some(found.to_owned())),
            None => (rest, None),
        };
        if let Some(found) = &found {
            digest(found)?;
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return Err(error("its repository has other than a-z, 0-9 and single separators (. _ __ - /)"));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(error("its tag has other than letters, digits, `_`, `.` and `-`, or more than 128"));
        }
        let tag = tag.or_else(|| found.is_none().then(|| LATEST.to_owned()));
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), tag, digest: found })
    }
}

fn is_host(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ip, port)) => {
            return ip.parse::<std::net::Ipv6Addr>().is_ok()
                && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
        }
        None => host,
    };
    let (name, port) = name.split_once(':').map_or((name, None), |(name, port)| (name, Some(port)));
    let label = |label: &str| {
        !label.is_empty()
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = part.starts_with(plain) && part.ends_with(plain);
    let separators = part.split(plain).filter(|s| !s.is_empty());
    ends && separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.chars().all(|c| c == '-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= 128 && tag.starts_with(word) && tag.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, shown, wanted) in [
            ("oci://r.example/policies".to_owned(), "oci://r.example/policies:latest".to_owned(), "latest".to_owned()),
            ("oci://127.0.0.1:5000/a/b:v1.2".to_owned(), "oci://127.0.0.1:5000/a/b:v1.2".to_owned(), "v1.2".to_owned()),
            (
                format!("oci://[::1]:5000/a__b/c-d@{digest}"),
                format!("oci://[::1]:5000/a__b/c-d@{digest}"),
                digest.clone(),
            ),
            (format!("oci://r/a:t@{digest}"), format!("oci://r/a:t@{digest}"), digest.clone()),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!((reference.to_string(), reference.wanted()), (shown, wanted.as_str()));
        }
        for (host, loopback) in [
            ("localhost:5000", true),
            ("127.0.0.2", true),
            ("[::1]:1", true),
            ("10.0.0.1", false),
            ("localhost.example", false),
        ] {
            assert_eq!(format!("oci://{host}/a").parse::<Reference>().unwrap().is_loopback(), loopback, "{host}");
        }
    }

    #[test]
    fn what_is_no_reference_is_told() {
        for text in [
            "https://r/a",
            "oci://r",
            "oci:///a",
            "oci://user:password@r/a",
            "oci://r:port/a",
            "oci://r:99999/a",
            "oci://r/A",
            "oci://r/a//b",
            "oci://r/../b",
            "oci://r/a_",
            "oci://r/a:",
            "oci://r/a:-x",
            "oci://r/a?b",
            "oci://r/a@sha256:123",
            "oci://r/a@md5:123",
            "oci://r e/a",
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains("wanted"), "{text}: {error}");
        }
    }
}
