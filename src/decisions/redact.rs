//! Objects without what might be a secret, so that they can be kept as tests: values that look like the business of nobody else are
//! replaced, keys and structure stay. Too much is replaced rather than too little; a policy that reads such a value then answers
//! differently for the kept object, and its test shows it.

use serde_json::{Map, Value};

/// What stands for what was there.
pub const REDACTED: &str = "redacted";

/// Words in the name of a variable or flag whose value is a secret, in lower case.
const WORDS: [&str; 12] =
    ["pass", "pwd", "secret", "token", "key", "cred", "auth", "dsn", "connection", "private", "salt", "sas"];

/// The object with its secrets replaced; `None` for kinds that are nothing but secrets.
#[must_use]
pub fn redacted(object: &Value) -> Option<Value> {
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind == "Secret" {
        return None;
    }
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.shift_remove("status");
        if kind == "ConfigMap" {
            fields.shift_remove("data");
            fields.shift_remove("binaryData");
        }
    }
    walk(&mut object);
    Some(object)
}

/// Replaces what looks like a secret by where it stands.
pub(super) fn walk(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match (key.as_str(), value) {
                    ("metadata", Value::Object(metadata)) => self::metadata(metadata),
                    ("env", Value::Array(variables)) => variables.iter_mut().for_each(variable),
                    ("command" | "args", Value::Array(words)) => arguments(words),
                    ("httpHeaders", Value::Array(headers)) => headers.iter_mut().for_each(|h| replace(h, "value")),
                    (_, Value::String(text)) => *text = without_user(text),
                    (_, value) => walk(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::String(text) => *text = without_user(text),
        _ => {}
    }
}

/// Annotations of others hold anything, and `last-applied-configuration` the whole object once more.
fn metadata(metadata: &mut Map<String, Value>) {
    metadata.shift_remove("managedFields");
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| {
            let domain = key.split('/').next().unwrap_or_default();
            let known = domain == "seawall.dev" || domain.ends_with("kubernetes.io") || domain.ends_with("k8s.io");
            known && key != "kubectl.kubernetes.io/last-applied-configuration"
        });
    }
}

/// Of a variable a path, a number or a switch may stay, unless its name speaks against it.
fn variable(variable: &mut Value) {
    let name = variable.get("name").and_then(Value::as_str).unwrap_or_default();
    let harmless = |text: &str| text.starts_with('/') || text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
    let keep = !is_secret(name) && variable.get("value").and_then(Value::as_str).is_none_or(harmless);
    if !keep {
        replace(variable, "value");
    }
}

fn replace(object: &mut Value, key: &str) {
    if let Some(value) = object.get_mut(key) {
        *value = Value::from(REDACTED);
    }
}

/// Short flags whose value is a password with some client: `mysql -p`, `redis-cli -a`, `curl -u`.
const SHORT_FLAGS: [&str; 3] = ["-p", "-a", "-u"];

/// `-phunter2`, as clients of MySQL take it; not `--port`.
fn glued_password(word: &str) -> bool {
    word.len() > 2 && word.starts_with("-p") && !word.contains('=')
}

/// A flag that is followed by a secret.
fn announces_secret(flag: &str) -> bool {
    SHORT_FLAGS.contains(&flag) || (flag.starts_with('-') && is_secret(flag))
}

/// Whether a name speaks of a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// `--password=x`, `--password x`, `PGPASSWORD=x command` and URLs with a user, alone or within a script.
fn arguments(words: &mut [Value]) {
    let mut secret_next = false;
    for word in words {
        let Some(text) = word.as_str() else { continue };
        let new = if secret_next && !text.starts_with('-') { REDACTED.to_owned() } else { script(text) };
        secret_next = !text.contains(['=', ' ', '\n']) && announces_secret(text);
        *word = Value::from(new);
    }
}

/// Word by word; what is between words stays.
fn script(text: &str) -> String {
    let mut secret_next = false;
    text.split_inclusive([' ', '\n', '\t'])
        .map(|piece| {
            let word = piece.trim_end_matches([' ', '\n', '\t']);
            let space = piece.get(word.len()..).unwrap_or_default();
            let name_end = word.find(['=', ':']);
            let new = match name_end {
                _ if secret_next && !word.is_empty() && !word.starts_with('-') => REDACTED.to_owned(),
                _ if glued_password(word) => format!("-p{REDACTED}"),
                Some(end) if is_secret(word.get(..end).unwrap_or_default()) => {
                    format!("{}{REDACTED}", word.get(..=end).unwrap_or_default())
                }
                _ => without_user(word),
            };
            if !word.is_empty() {
                secret_next = name_end.is_none_or(|end| end + 1 == word.len())
                    && (announces_secret(word) || (name_end.is_some() && is_secret(word)));
            }
            new + space
        })
        .collect()
}

/// `scheme://user:password@host` without its user.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#', ' ', '\n']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    match authority.rfind('@') {
        Some(at) => format!("{scheme}://{REDACTED}{}", rest.get(at..).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_go_and_structure_stays() {
        let object = json!({"kind": "StatefulSet", "metadata": {"name": "db", "managedFields": [1], "annotations": {
                "seawall.dev/patched": "x", "volume.beta.kubernetes.io/storage-class": "fast", "vendor.example/x": "hunter2",
                "kubectl.kubernetes.io/last-applied-configuration": "hunter2"}},
            "status": {"x": "hunter2"},
            "spec": {"template": {"spec": {"containers": [{"name": "db",
                "command": ["sh", "-c", "PGPASSWORD=hunter2 psql --password hunter2 postgres://u:hunter2@h/db\nmysql -u root:hunter2 -phunter2\nexec postgres -D /data"],
                "args": ["--requirepass", "hunter2", "--dir=/data", "--token=hunter2", "--masterauth", "hunter2", "-a", "hunter2", "-phunter2"],
                "readinessProbe": {"httpGet": {"httpHeaders": [{"name": "X", "value": "hunter2"}]}},
                "env": [{"name": "PGDATA", "value": "/data"}, {"name": "X", "value": "hunter2"}, {"name": "N", "value": "3"},
                    {"name": "API_KEY", "value": "12345"}, {"name": "FROM", "valueFrom": {"secretKeyRef": {"name": "s"}}}]}]}}}});
        let found = redacted(&object).unwrap();
        assert!(!found.to_string().contains("hunter2"), "{found:#}");
        let container = &found["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["command"][2],
            "PGPASSWORD=redacted psql --password redacted postgres://redacted@h/db\nmysql -u redacted -predacted\nexec postgres -D /data"
        );
        assert_eq!(
            container["args"],
            json!([
                "--requirepass",
                "redacted",
                "--dir=/data",
                "--token=redacted",
                "--masterauth",
                "redacted",
                "-a",
                "redacted",
                "-predacted"
            ])
        );
        let values: Vec<&Value> = container["env"].as_array().unwrap().iter().map(|v| &v["value"]).collect();
        assert_eq!(values, [&json!("/data"), &json!(REDACTED), &json!("3"), &json!(REDACTED), &Value::Null]);
        assert_eq!(found["metadata"]["annotations"].as_object().unwrap().len(), 2);
        assert_eq!(found.get("status"), None);
    }

    #[test]
    fn kinds_that_hold_data_keep_none() {
        assert_eq!(redacted(&json!({"kind": "Secret", "data": {"x": "eA=="}})), None);
        let map = json!({"kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"x": "hunter2"}});
        assert_eq!(redacted(&map), Some(json!({"kind": "ConfigMap", "metadata": {"name": "m"}})));
    }

    #[test]
    fn nothing_else_changes() {
        let claim = json!({"kind": "PersistentVolumeClaim", "metadata": {"name": "data", "labels": {"a": "b"}},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}});
        assert_eq!(redacted(&claim), Some(claim));
    }
}
