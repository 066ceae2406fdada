//! `expected.yaml`: what a case expects, how that differs from what was seen, and how it would read if what was seen were right.

use super::case::{CaseError, Seen, read};
use crate::admission::pointer::to_pointer;
use crate::decision::Finding;
use crate::report::yaml::to_yaml;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use similar::TextDiff;

/// Lines of a diff around a change.
const CONTEXT: usize = 3;

/// Likeness of violations of the same place, or with the same message.
const NEAR: usize = 4;

/// The keys of a violation in a file that has none yet.
const KEYS: &[&str] = &["path", "found", "msg"];

/// What a case expects.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    violations: Vec<ExpectedViolation>,
    patched: Option<Value>,
    unknown: bool,
    /// The file as it is written, with the order of its keys.
    raw: Map<String, Value>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    violations: Vec<ExpectedViolation>,
    patched: Option<Value>,
    unknown: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedViolation {
    path: String,
    #[serde(default)]
    msg: Option<String>,
    #[serde(default)]
    found: Option<Value>,
    #[serde(default)]
    wanted: Option<Value>,
    #[serde(default)]
    fix: Option<String>,
}

impl Expected {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not of the format.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        let File { violations, patched, unknown } = read("expected.yaml", text)?;
        let raw = match read("expected.yaml", text)? {
            Value::Object(raw) => raw,
            _ => Map::new(),
        };
        Ok(Self { violations, patched, unknown, raw })
    }

    /// Whether what was seen is what is expected.
    #[must_use]
    pub fn fits(&self, seen: &Seen) -> bool {
        let pairs = self.pairs(&seen.violations);
        let exact = |(expected, finding): (&ExpectedViolation, &Option<usize>)| {
            finding.and_then(|at| seen.violations.get(at)).is_some_and(|finding| expected.fits(finding))
        };
        self.unknown != seen.unknown.is_empty()
            && self.violations.len() == seen.violations.len()
            && self.violations.iter().zip(&pairs).all(exact)
            && self.patched == seen.patched
    }

    /// What is not as expected, in words.
    #[must_use]
    pub fn problems(&self, seen: &Seen) -> Vec<String> {
        let mut problems = Vec::new();
        if self.unknown == seen.unknown.is_empty() {
            problems.push(format!("unknown: expected {}, found {:?}", self.unknown, seen.unknown));
        }
        let mut left: Vec<&Finding> = seen.violations.iter().collect();
        for expected in &self.violations {
            match left.iter().position(|finding| expected.fits(finding)) {
                Some(position) => {
                    left.remove(position);
                }
                None => problems.push(format!(
                    "expected a violation {}, found {}",
                    expected.words(),
                    words(&seen.violations)
                )),
            }
        }
        problems
            .extend(left.into_iter().map(|f| format!("unexpected violation at {}: {}", to_pointer(&f.path), f.line())));
        if self.patched != seen.patched {
            let text = |value: &Option<Value>| {
                value.as_ref().map_or_else(|| "nothing is patched".to_owned(), Value::to_string)
            };
            problems.push(format!("patched: expected {}, found {}", text(&self.patched), text(&seen.patched)));
        }
        problems
    }

    /// The lines of the difference: `-` is expected and was not seen, `+` was seen and is not expected. Violations of the same
    /// place stand beside each other; of each only the keys that the file has are shown.
    #[must_use]
    pub fn diff(&self, seen: &Seen) -> Vec<String> {
        diff(&to_yaml(&Value::Object(self.raw.clone())), &to_yaml(&Value::Object(self.renewed(seen))))
    }

    /// The file as it would read if what was seen were right: the comments at its head, its keys, and of violations the keys that
    /// they have there. A text that still is a part of what was seen stays as it is.
    #[must_use]
    pub fn rewritten(&self, file: &str, seen: &Seen) -> String {
        let head = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
        let mut text: String = file.split_inclusive('\n').take_while(head).collect();
        text.push_str(&to_yaml(&Value::Object(self.renewed(seen))));
        text
    }

    fn renewed(&self, seen: &Seen) -> Map<String, Value> {
        let mut new = self.raw.clone();
        // `unknown` stands instead of the others
        if seen.unknown.is_empty() {
            new.retain(|key, value| key != "unknown" || *value == Value::Bool(false));
            if new.contains_key("violations") || !seen.violations.is_empty() || seen.patched.is_none() {
                new.insert("violations".to_owned(), Value::Array(self.renewed_violations(&seen.violations)));
            }
        } else {
            new.clear();
            new.insert("unknown".to_owned(), Value::Bool(true));
        }
        match &seen.patched {
            // equal, but with the keys in the order of the file
            Some(_) if seen.patched == self.patched => {}
            Some(patched) => {
                new.insert("patched".to_owned(), patched.clone());
            }
            None => {
                new.shift_remove("patched");
            }
        }
        new
    }

    fn renewed_violations(&self, found: &[Finding]) -> Vec<Value> {
        let pairs = self.pairs(found);
        let written: Vec<&Map<String, Value>> = self
            .raw
            .get("violations")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .collect();
        let style: Vec<&str> =
            written.first().map_or(KEYS.to_vec(), |first| first.keys().map(String::as_str).collect());
        let kept = written.iter().zip(&pairs).filter_map(|(old, at)| {
            let finding = found.get((*at)?)?;
            let keys: Vec<&str> = old.keys().map(String::as_str).collect();
            Some(renewed(&keys, Some(old), finding))
        });
        let new = found.iter().enumerate().filter(|(at, _)| !pairs.contains(&Some(*at)));
        kept.chain(new.map(|(_, finding)| renewed(&style, None, finding))).collect()
    }

    /// For each expected violation the one that was seen in its place: first those that fit, then the nearest of what is left.
    fn pairs(&self, found: &[Finding]) -> Vec<Option<usize>> {
        let mut pairs: Vec<Option<usize>> = vec![None; self.violations.len()];
        let mut free: Vec<usize> = (0..found.len()).collect();
        for (expected, pair) in self.violations.iter().zip(&mut pairs) {
            let fits = |at: &usize| found.get(*at).is_some_and(|finding| expected.fits(finding));
            if let Some(position) = free.iter().position(fits) {
                *pair = Some(free.remove(position));
            }
        }
        loop {
            let mut best: Option<(usize, usize, usize)> = None;
            for (at, expected) in self.violations.iter().enumerate().filter(|(at, _)| pairs.get(*at) == Some(&None)) {
                for (position, finding) in free.iter().enumerate().filter_map(|(p, at)| Some((p, found.get(*at)?))) {
                    let likeness = expected.likeness(finding);
                    if likeness > best.map_or(NEAR - 1, |(_, _, most)| most) {
                        best = Some((at, position, likeness));
                    }
                }
            }
            let Some((at, position, _)) = best else { return pairs };
            let finding = free.remove(position);
            if let Some(pair) = pairs.get_mut(at) {
                *pair = Some(finding);
            }
        }
    }
}

/// A violation of the file, with these keys of what was seen.
fn renewed(keys: &[&str], old: Option<&Map<String, Value>>, finding: &Finding) -> Value {
    let mut new = Map::new();
    for key in std::iter::once(&"path").filter(|key| !keys.contains(key)).chain(keys) {
        let written = old.and_then(|old| old.get(*key));
        // a text that is a part of what was seen is kept
        let text = |seen: &str| match written.and_then(Value::as_str).filter(|part| seen.contains(part)) {
            Some(part) => Value::from(part),
            None => Value::from(seen),
        };
        let value = match *key {
            "path" => Some(Value::from(to_pointer(&finding.path))),
            "msg" => Some(text(&finding.message)),
            "fix" => Some(text(&finding.fix)),
            "found" => finding.found.clone(),
            "wanted" => Some(finding.wanted.clone()),
            _ => None,
        };
        // `null` is not given
        let value = if written == Some(&Value::Null) { Some(Value::Null) } else { value };
        new.extend(value.map(|value| ((*key).to_owned(), value)));
    }
    Value::Object(new)
}

impl ExpectedViolation {
    fn fits(&self, finding: &Finding) -> bool {
        let equal = |expected: &Option<Value>, found: Option<&Value>| expected.is_none() || expected.as_ref() == found;
        let within =
            |expected: &Option<String>, found: &str| expected.as_ref().is_none_or(|e| found.contains(e.as_str()));
        self.path == to_pointer(&finding.path)
            && within(&self.msg, &finding.message)
            && within(&self.fix, &finding.fix)
            && equal(&self.found, finding.found.as_ref())
            && equal(&self.wanted, Some(&finding.wanted))
    }

    /// How much of it is as it was seen; less than [`NEAR`]: another violation.
    fn likeness(&self, finding: &Finding) -> usize {
        let within =
            |expected: &Option<String>, found: &str| expected.as_ref().is_some_and(|e| found.contains(e.as_str()));
        let equal = |expected: &Option<Value>, found: Option<&Value>| expected.is_some() && expected.as_ref() == found;
        usize::from(self.path == to_pointer(&finding.path)) * 8
            + usize::from(within(&self.msg, &finding.message)) * 4
            + usize::from(within(&self.fix, &finding.fix)) * 2
            + usize::from(equal(&self.found, finding.found.as_ref()))
    }

    fn words(&self) -> String {
        json!({"path": self.path, "msg": self.msg, "found": self.found, "wanted": self.wanted, "fix": self.fix})
            .to_string()
    }
}

fn words(findings: &[Finding]) -> String {
    if findings.is_empty() {
        "none".to_owned()
    } else {
        findings.iter().map(|f| whole(f).to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// A violation with all its keys.
fn whole(f: &Finding) -> Value {
    json!({"path": to_pointer(&f.path), "msg": f.message, "found": f.found, "wanted": f.wanted, "fix": f.fix})
}

/// How two engines differ: `-` is the interpreter's, `+` the RVM's.
#[must_use]
pub fn engines(interpreter: &Seen, rvm: &Seen) -> Vec<String> {
    let text = |seen: &Seen| {
        let mut map = Map::new();
        map.insert("violations".to_owned(), seen.violations.iter().map(whole).collect());
        map.extend(seen.patched.clone().map(|patched| ("patched".to_owned(), patched)));
        for (key, list) in [("unknown", &seen.unknown), ("faults", &seen.faults())] {
            if !list.is_empty() {
                map.insert(key.to_owned(), json!(list));
            }
        }
        to_yaml(&Value::Object(map))
    };
    diff(&text(interpreter), &text(rvm))
}

/// The lines of a diff, without line breaks.
#[must_use]
pub fn diff(before: &str, after: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(before, after);
    let mut lines = Vec::new();
    for (number, hunk) in diff.unified_diff().context_radius(CONTEXT).iter_hunks().enumerate() {
        if number > 0 {
            lines.push("...".to_owned());
        }
        for change in hunk.iter_changes() {
            lines.push(format!("{} {}", change.tag(), change.value().trim_end_matches('\n')));
        }
    }
    lines
}

#[cfg(test)]
#[path = "expected_tests.rs"]
mod tests;
