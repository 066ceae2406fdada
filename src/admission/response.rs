//! Answers an AdmissionReview (`admission.k8s.io/v1`).
//!
//! What the API server accepts: the uid of the request; `patch` and `patchType` together, never from a validating webhook
//! or on DELETE; warnings without control characters, 4096 characters in all; audit keys of at most 63 characters.

use base64::Engine as _;
use serde::Serialize;
use std::collections::BTreeMap;

/// Longest single warning that is passed on whole.
const LONGEST_WARNING: usize = 600;

/// All warnings together; beyond 4096 the API server cuts each to 256 characters and then drops some.
const ALL_WARNINGS: usize = 3900;

/// The answer to one request.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    uid: String,
    /// Whether the request may go on.
    pub allowed: bool,
    /// Why not, in words and for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    /// Kept in the API server's audit log as `<webhook>/<key>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub audit_annotations: BTreeMap<&'static str, String>,
}

/// The part of `metav1.Status` that users and machines see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// HTTP code: 403 for policy, 400 or 413 for what cannot be read.
    pub code: u16,
    /// Machine-readable reason.
    pub reason: &'static str,
    /// For people; may have several lines.
    pub message: String,
    /// One cause for each violation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

/// `metav1.StatusDetails`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Details {
    /// One for each violation.
    pub causes: Vec<Cause>,
}

/// `metav1.StatusCause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The policy's id.
    pub reason: String,
    /// What is wrong.
    pub message: String,
    /// Field path.
    pub field: String,
}

impl Response {
    /// Lets the request pass.
    #[must_use]
    pub fn allow(uid: &str) -> Self {
        Self { uid: uid.to_owned(), allowed: true, ..Self::default() }
    }

    /// Rejects the request.
    #[must_use]
    pub fn deny(uid: &str, status: Status) -> Self {
        Self { uid: uid.to_owned(), allowed: false, status: Some(status), ..Self::default() }
    }

    /// Adds a patch; an empty one is left out.
    #[must_use]
    pub fn with_patch(mut self, patch: &json_patch::Patch) -> Self {
        if let Some(bytes) = serde_json::to_vec(patch).ok().filter(|_| !patch.0.is_empty()) {
            self.patch = Some(base64::engine::general_purpose::STANDARD.encode(bytes));
            self.patch_type = Some("JSONPatch");
        }
        self
    }

    /// Adds warnings, cleaned and cut so that the API server passes all of them on.
    #[must_use]
    pub fn with_warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        let all: Vec<String> = warnings.into_iter().map(|w| clean(&w)).filter(|w| seen.insert(w.clone())).collect();
        let mut left = ALL_WARNINGS;
        for (position, warning) in all.iter().enumerate() {
            let length = warning.chars().count();
            if length > left {
                self.warnings
                    .push(format!("seawall: {} more warnings; `seawall check` shows all", all.len() - position));
                break;
            }
            left -= length;
            self.warnings.push(warning.clone());
        }
        self
    }

    /// The warnings as they will be passed on.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The body of the answer.
    #[must_use]
    pub fn to_review(&self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Review<'r> {
            api_version: &'static str,
            kind: &'static str,
            response: &'r Response,
        }
        let review = Review { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response: self };
        serde_json::to_vec(&review).unwrap_or_default()
    }
}

/// One line: a control character would drop the whole warning.
fn clean(warning: &str) -> String {
    let line: String = warning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() > LONGEST_WARNING {
        line.chars().take(LONGEST_WARNING - 1).chain(['…']).collect()
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_patch_has_neither_field() {
        let body = String::from_utf8(Response::allow("u").with_patch(&json_patch::Patch(vec![])).to_review()).unwrap();
        assert_eq!(
            body,
            r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true}}"#
        );
    }

    #[test]
    fn warnings_are_one_line_each_and_bounded_together() {
        let response = Response::allow("u").with_warnings(["a\nb".to_owned(), "a\nb".to_owned()]);
        assert_eq!(response.warnings(), ["a b"]);
        let many = Response::allow("u").with_warnings((0..20).map(|i| format!("{i}{}", "x".repeat(500))));
        let total: usize = many.warnings().iter().map(|w| w.chars().count()).sum();
        assert!(total <= 4096, "{total}");
        assert_eq!(many.warnings().last().unwrap(), "seawall: 13 more warnings; `seawall check` shows all");
    }
}
