//! Reads what a policy answers. Anything of another shape is an error of that policy, never an empty result.

use super::value;
use regorus::Value;
use serde::Deserialize;
use serde_json::Value as Json;

/// One key or index of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// An index into a list.
    Index(usize),
    /// A key of an object.
    Key(String),
}

/// One member of `violation`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// What is wrong and why it matters.
    pub msg: String,
    /// Keys and indices into the object.
    pub path: Vec<Step>,
    /// What was found.
    #[serde(default)]
    pub found: Option<Json>,
    /// What is wanted.
    pub wanted: Json,
    /// The smallest change that fixes it.
    pub fix: String,
    /// Identity for ratcheting.
    #[serde(default)]
    pub key: Option<String>,
}

/// RFC 6902 operations that a policy may use; `add` also replaces.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
pub enum PatchOp {
    /// Sets a value; a missing parent becomes an object, an array for `-`.
    Add {
        /// JSON Pointer.
        path: String,
        /// The value.
        value: Json,
    },
    /// Removes a value, which must be there.
    Remove {
        /// JSON Pointer.
        path: String,
    },
    /// Fails the patch unless the value is this.
    Test {
        /// JSON Pointer.
        path: String,
        /// The value.
        value: Json,
    },
}

impl PatchOp {
    /// The JSON Pointer of the operation.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Remove { path } | Self::Test { path, .. } => path,
        }
    }
}

/// Longest text of a message; longer ones are cut.
const LONGEST_TEXT: usize = 1024;

/// Reads the set `violation`, in a stable order.
///
/// # Errors
/// What is wrong with the first member that is not of the shape.
pub fn violations(result: &Value) -> Result<Vec<Violation>, String> {
    let mut violations: Vec<Violation> = members("violation", result)?;
    for violation in &mut violations {
        for text in [&mut violation.msg, &mut violation.fix] {
            *text = one_line(text);
            if text.is_empty() {
                return Err("violation: `msg` and `fix` must not be empty".to_owned());
            }
        }
    }
    violations.sort_by(|a, b| (&a.path, &a.msg).cmp(&(&b.path, &b.msg)));
    Ok(violations)
}

/// Reads the set `patch`.
///
/// # Errors
/// What is wrong with the first member that is not of the shape.
pub fn patches(result: &Value) -> Result<Vec<PatchOp>, String> {
    let patches: Vec<PatchOp> = members("patch", result)?;
    match patches.iter().find(|op| !op.path().starts_with('/')) {
        Some(op) => Err(format!("patch: path {:?} is no JSON Pointer below the object", op.path())),
        None => Ok(patches),
    }
}

/// The members of a partial set; undefined is empty (no such rule in the policy).
fn members<T: for<'de> Deserialize<'de>>(rule: &str, result: &Value) -> Result<Vec<T>, String> {
    let set = match result {
        Value::Undefined => return Ok(Vec::new()),
        Value::Set(set) => set,
        other => return Err(format!("{rule}: wanted a set (`{rule} contains …`), found {}", kind(other))),
    };
    set.iter()
        .map(|member| {
            let json = value::to_json(member).ok_or_else(|| format!("{rule}: a member is undefined"))?;
            T::deserialize(json).map_err(|error| format!("{rule}: {error}"))
        })
        .collect()
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Set(_) => "a set",
        Value::Object(_) => "an object",
        Value::Undefined => "nothing",
    }
}

/// One line without control characters (a newline in a warning drops the whole warning at the API server), cut.
fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_TEXT).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn set(members: &[Json]) -> Value {
        Value::from(members.iter().map(value::from_json).collect::<BTreeSet<_>>())
    }

    #[test]
    fn a_violation_is_read() {
        let all = violations(&set(&[json!({"msg": "a\nb", "path": ["spec", 0], "wanted": 1, "fix": "f"})])).unwrap();
        assert_eq!(all[0].msg, "a b");
        assert_eq!(all[0].path, [Step::Key("spec".into()), Step::Index(0)]);
    }

    #[test]
    fn other_shapes_are_errors() {
        let error = |member: Json| violations(&set(&[member])).unwrap_err();
        assert!(error(json!("text")).contains("violation:"));
        assert!(error(json!({"msg": 1, "path": [], "wanted": 1, "fix": "f"})).contains("expected a string"));
        assert!(error(json!({"msg": "m", "path": [], "wanted": 1})).contains("fix"));
        assert!(error(json!({"msg": "m", "path": [], "wanted": 1, "fix": "f", "extra": 1})).contains("extra"));
        assert!(violations(&Value::from(true)).unwrap_err().contains("wanted a set"));
        assert!(patches(&set(&[json!({"op": "replace", "path": "/a", "value": 1})])).is_err());
        assert!(patches(&set(&[json!({"op": "add", "path": "a", "value": 1})])).unwrap_err().contains("JSON Pointer"));
        assert_eq!(violations(&Value::Undefined).unwrap(), []);
    }
}
