//! Label selectors as `kubectl -l` takes them (k8s.io/apimachinery `pkg/labels/selector.go`).

use serde_json::Value;
use std::collections::BTreeSet;
use std::str::FromStr;

/// Not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no label selector; wanted as for kubectl: app=db, tier!=cache, env in (a, b), team, !legacy")]
pub struct SelectorError(String);

/// All requirements must hold; none holds for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Requirement {
    Exists(String),
    Missing(String),
    In(String, BTreeSet<String>),
    /// Also holds where the label is missing.
    NotIn(String, BTreeSet<String>),
}

impl Selector {
    /// Whether an object has such labels.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let label = |key: &str| labels.and_then(|l| l.get(key)?.as_str());
        self.0.iter().all(|requirement| match requirement {
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::Missing(key) => label(key).is_none(),
            Requirement::In(key, values) => label(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|value| !values.contains(value)),
        })
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let error = || SelectorError(text.to_owned());
        let mut requirements = Vec::new();
        let mut depth = 0_u32;
        let mut start = 0;
        for (at, c) in text.char_indices().chain([(text.len(), ',')]) {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.checked_sub(1).ok_or_else(error)?,
                ',' if depth == 0 => {
                    let part = text.get(start..at).unwrap_or_default().trim();
                    start = at + 1;
                    if !part.is_empty() {
                        requirements.push(requirement(part).ok_or_else(error)?);
                    }
                }
                _ => {}
            }
        }
        if depth > 0 || (requirements.is_empty() && !text.trim().is_empty()) {
            return Err(error());
        }
        Ok(Self(requirements))
    }
}

fn requirement(part: &str) -> Option<Requirement> {
    let word = |text: &str| {
        let text = text.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
        text.chars().all(fits).then(|| text.to_owned())
    };
    let key = |text: &str| word(text).filter(|key| !key.is_empty());
    if let Some(name) = part.strip_prefix('!') {
        return Some(Requirement::Missing(key(name)?));
    }
    if let Some((name, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(key(name)?, BTreeSet::from([word(value)?])));
    }
    if let Some((name, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(key(name)?, BTreeSet::from([word(value)?])));
    }
    if let Some((head, list)) = part.strip_suffix(')').and_then(|p| p.split_once('(')) {
        let values = list.split(',').map(word).collect::<Option<BTreeSet<String>>>()?;
        return match head.split_whitespace().collect::<Vec<_>>().as_slice() {
            [name, "in"] => Some(Requirement::In(key(name)?, values)),
            [name, "notin"] => Some(Requirement::NotIn(key(name)?, values)),
            _ => None,
        };
    }
    Some(Requirement::Exists(key(part)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_are_those_of_kubectl() {
        let object = json!({"metadata": {"labels": {"app": "db", "example.com/env": "prod"}}});
        for (text, expected) in [
            ("", true),
            ("app=db", true),
            ("app==db", true),
            ("app = db , example.com/env", true),
            ("app=web", false),
            ("app!=web", true),
            ("team!=x", true),
            ("app", true),
            ("!app", false),
            ("!team", true),
            ("app in (db, web)", true),
            ("app notin (db,web)", false),
            ("team notin (a)", true),
            ("team in (a)", false),
            ("app=db,team", false),
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().matches(&object), expected, "{text}");
        }
        for wrong in ["app in db", "a in (b", "a)", "=b", "a b", ",", "app=d b", "a like (b)"] {
            assert!(wrong.parse::<Selector>().is_err(), "{wrong}");
        }
    }
}
