//! What is secret in objects, by value: so that parts of them can be shown without it. What [`super::redact`] replaces in an object
//! is not shown wherever else it turns up, for example in the value of a local variable of a policy.

use super::redact::{REDACTED, is_secret, redacted, walk};
use base64::Engine as _;
use serde_json::Value;
use std::collections::BTreeSet;

/// Shortest secret that is looked for within longer texts; shorter ones would tear ordinary words apart.
const SHORTEST: usize = 4;

/// The secrets of some objects.
#[derive(Debug, Default, Clone)]
pub struct Secrets {
    /// Whole texts.
    whole: BTreeSet<String>,
}

impl Secrets {
    /// Adds what is secret in an object.
    pub fn learn(&mut self, object: &Value) {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        if matches!(kind, "Secret" | "ConfigMap") {
            for key in ["data", "stringData", "binaryData"] {
                let values = object.get(key).and_then(Value::as_object).into_iter().flat_map(|fields| fields.values());
                for text in values.filter_map(Value::as_str) {
                    self.add(text);
                    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok();
                    let decoded = bytes.filter(|_| key != "stringData").and_then(|b| String::from_utf8(b).ok());
                    decoded.into_iter().for_each(|text| self.add(&text));
                }
            }
        }
        let Some(clean) = redacted(object) else { return };
        let mut plain = BTreeSet::new();
        texts(&clean, &mut plain);
        self.differences(object, &clean, false, &plain);
    }

    fn add(&mut self, text: &str) {
        if !text.trim().is_empty() && text != REDACTED {
            self.whole.insert(text.trim().to_owned());
        }
    }

    /// `sure`: by its name the value is a secret, also when the same text stands elsewhere in the open.
    fn differences(&mut self, old: &Value, new: &Value, sure: bool, plain: &BTreeSet<String>) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                let named = old.get("name").and_then(Value::as_str).is_some_and(is_secret);
                for (key, value) in old {
                    match new.get(key) {
                        Some(other) => self.differences(value, other, named, plain),
                        // what is left out as a whole holds anything: annotations of others
                        None => {
                            value.as_str().into_iter().filter(|text| !plain.contains(*text)).for_each(|t| self.add(t))
                        }
                    }
                }
            }
            (Value::Array(old), Value::Array(new)) => {
                old.iter().zip(new).for_each(|(old, new)| self.differences(old, new, sure, plain));
            }
            (Value::String(old), Value::String(new)) if old != new => {
                if new == REDACTED {
                    if sure || !plain.contains(old) {
                        self.add(old);
                    }
                    return;
                }
                for (old, new) in old.split_whitespace().zip(new.split_whitespace()) {
                    if let Some((before, after)) = new.split_once(REDACTED).filter(|_| old != new) {
                        let secret = old.strip_prefix(before).and_then(|old| old.strip_suffix(after));
                        secret.into_iter().for_each(|secret| self.add(secret));
                    }
                }
            }
            _ => {}
        }
    }

    /// Replaces secrets in a value that is shown.
    pub fn clean(&self, value: &mut Value) {
        walk(value);
        self.replace(value);
    }

    fn replace(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if fields.get("kind").and_then(Value::as_str) == Some("Secret") {
                    for key in ["data", "stringData"] {
                        fields.get_mut(key).into_iter().for_each(|data| *data = Value::from(REDACTED));
                    }
                }
                // an environment variable by itself
                let is_variable = fields.len() == 2 && fields.contains_key("name") && fields.contains_key("value");
                if is_variable && fields.get("name").and_then(Value::as_str).is_some_and(is_secret) {
                    fields.insert("value".to_owned(), Value::from(REDACTED));
                }
                fields.values_mut().for_each(|value| self.replace(value));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    /// A text without secrets.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        if self.whole.contains(text.trim()) {
            return REDACTED.to_owned();
        }
        let parts = self.whole.iter().filter(|secret| secret.len() >= SHORTEST && text.contains(secret.as_str()));
        parts.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED))
    }
}

/// Every text and key of a value.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                found.insert(key.clone());
                texts(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::String(text) => _ = found.insert(text.clone()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secrets(object: &Value) -> Secrets {
        let mut secrets = Secrets::default();
        secrets.learn(object);
        secrets
    }

    #[test]
    fn a_secret_is_gone_wherever_it_turns_up() {
        let object = json!({"kind": "StatefulSet", "metadata": {"name": "orders", "annotations": {"vendor.example/x": "hunter4"}},
            "spec": {"template": {"spec": {"containers": [{"name": "db", "image": "postgres:16", "args": ["--requirepass=hunter3"], "env": [
                {"name": "POSTGRES_PASSWORD", "value": "hunter2"}, {"name": "POSTGRES_DB", "value": "orders"},
                {"name": "PIN", "value": "x7"}, {"name": "API_KEY", "value": "db"}]}]}}}});
        let secrets = secrets(&object);
        assert_eq!(secrets.text("hunter2"), REDACTED);
        assert_eq!(secrets.text("it says hunter2 and hunter3, hunter4"), "it says redacted and redacted, redacted");
        assert_eq!(secrets.text("x7"), REDACTED);
        assert_eq!(secrets.text("ax7b"), "ax7b", "too short to be looked for within a text");
        assert_eq!(secrets.text("orders"), "orders", "in the open elsewhere");
        assert_eq!(secrets.text("db"), REDACTED, "by its name a secret, whatever else is called so");
        let mut value =
            json!({"entry": {"name": "OTHER_TOKEN", "value": "9"}, "list": ["hunter2"], "image": "postgres:16"});
        secrets.clean(&mut value);
        let entry = json!({"name": "OTHER_TOKEN", "value": REDACTED});
        assert_eq!(value, json!({"entry": entry, "list": [REDACTED], "image": "postgres:16"}));
    }

    #[test]
    fn kinds_that_hold_data_show_none() {
        let secret = json!({"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter5"}});
        let secrets = secrets(&secret);
        for text in ["aHVudGVyMg==", "hunter2", "hunter5"] {
            assert_eq!(secrets.text(text), REDACTED);
        }
        let mut shown = secret;
        Secrets::default().clean(&mut shown);
        assert_eq!(shown, json!({"kind": "Secret", "data": REDACTED, "stringData": REDACTED}));
    }
}
