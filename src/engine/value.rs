//! JSON to and from the engine's values, by reference and without a detour over text.

use regorus::Rc;
pub use regorus::Value;
use std::collections::BTreeMap;

/// The engine's value of a JSON value. Numbers keep their notation where they are integers; others become floats.
#[must_use]
pub fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(bool) => Value::Bool(*bool),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .or_else(|| number.as_f64().map(Value::from))
            .unwrap_or(Value::Null),
        serde_json::Value::String(text) => Value::String(Rc::from(text.as_str())),
        serde_json::Value::Array(items) => Value::Array(Rc::new(items.iter().map(from_json).collect())),
        serde_json::Value::Object(fields) => from_map(fields),
    }
}

/// The engine's value of a JSON object.
#[must_use]
pub fn from_map(fields: &serde_json::Map<String, serde_json::Value>) -> Value {
    let map: BTreeMap<Value, Value> =
        fields.iter().map(|(key, value)| (Value::String(Rc::from(key.as_str())), from_json(value))).collect();
    Value::from(map)
}

/// The engine's object with these fields.
#[must_use]
pub fn object<K: AsRef<str>>(fields: impl IntoIterator<Item = (K, Value)>) -> Value {
    let map: BTreeMap<Value, Value> =
        fields.into_iter().map(|(key, value)| (Value::String(Rc::from(key.as_ref())), value)).collect();
    Value::from(map)
}

/// The JSON value of an engine's value; sets become arrays, as OPA prints them. `None` for undefined.
#[must_use]
pub fn to_json(value: &Value) -> Option<serde_json::Value> {
    match value {
        Value::Undefined => None,
        other => serde_json::to_value(other).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_survives_the_round_trip() {
        let json = json!({"a": [1, -2, 2.5, "x", null, true], "b": {"c": 18_446_744_073_709_551_615_u64}, "e": {}});
        assert_eq!(to_json(&from_json(&json)).unwrap(), json);
        assert_eq!(to_json(&Value::Undefined), None);
    }
}
