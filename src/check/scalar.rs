//! What a YAML scalar means, as kubectl reads it: YAML 1.1 as in sigs.k8s.io/yaml v1.6.0 over go.yaml.in/yaml v2.4.3
//! (`resolve.go`, `yaml.go` `convertToJSONableObject`).
//!
//! So `yes`, `on` and `y` are booleans, `0777` is 511, dates stay text, and a float without a fraction is an integer,
//! because it passes through JSON. `tests/fixtures/yaml/sigs-yaml.tsv` holds what the Go library answers.

use serde_json::{Number, Value};

/// The value of a scalar. `tag` is the short tag (`str`, `int`, …; anything foreign keeps the text); `plain` is false for
/// quoted and block scalars.
///
/// # Errors
/// One line that says why there is no such value: the text does not fit the tag, or JSON cannot hold it.
pub fn value(tag: Option<&str>, plain: bool, text: &str) -> Result<Value, String> {
    match resolve(tag, plain, text)? {
        Resolved::Null => Ok(Value::Null),
        Resolved::Bool(bool) => Ok(Value::Bool(bool)),
        Resolved::Integer(number) => Ok(Value::Number(number)),
        Resolved::Float(float) => number(float).ok_or_else(|| format!("JSON has no number {text}")),
        Resolved::Text(text) => Ok(Value::String(text)),
    }
}

/// The text of a scalar that stands as a key: JSON has text keys only, so `on:` is the key `true`.
///
/// # Errors
/// When Go refuses such a key.
pub fn key(tag: Option<&str>, plain: bool, text: &str) -> Result<String, String> {
    match resolve(tag, plain, text)? {
        Resolved::Null => Err("a key is empty or null; write it in quotes".to_owned()),
        Resolved::Bool(bool) => Ok(bool.to_string()),
        Resolved::Integer(number) if number.is_i64() => Ok(number.to_string()),
        Resolved::Integer(number) => Err(format!("{number} is too large for a key; write it in quotes")),
        Resolved::Float(float) => Ok(float_key(float)),
        Resolved::Text(text) => Ok(text),
    }
}

fn resolve(tag: Option<&str>, plain: bool, text: &str) -> Result<Resolved, String> {
    match tag {
        None if plain => Ok(untagged(text)),
        Some(tag @ ("bool" | "int" | "float" | "null")) => tagged(tag, text),
        Some("binary") => binary(text).map(Resolved::Text),
        None | Some(_) => Ok(Resolved::Text(text.to_owned())),
    }
}

/// The JSON number of a float, an integer where it has no fraction: Go writes 1.0 as `1`. `None` for infinity and NaN.
#[must_use]
pub fn number(float: f64) -> Option<Value> {
    if float.fract() == 0.0 && float.abs() < 1e21 {
        // the shortest digits, filled up with zeros, as Go writes them; not always the exact value of the float
        let digits = format!("{float}");
        if let Ok(integer) = digits.parse::<i64>() {
            return Some(Value::from(integer));
        }
    }
    Number::from_f64(float).map(Value::Number)
}

/// A float as a key: Go's `strconv.FormatFloat(f, 'g', -1, 32)`.
#[expect(clippy::cast_possible_truncation, reason = "the Go library writes keys with 32 bits")]
fn float_key(float: f64) -> String {
    let short = float as f32;
    if !short.is_finite() {
        return if short.is_nan() {
            ".nan"
        } else if short > 0.0 {
            ".inf"
        } else {
            "-.inf"
        }
        .to_owned();
    }
    let scientific = format!("{short:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return short.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A scalar before it becomes JSON.
enum Resolved {
    Null,
    Bool(bool),
    Integer(Number),
    Float(f64),
    Text(String),
}

/// A plain scalar without a tag.
fn untagged(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Resolved::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Resolved::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Resolved::Float(f64::NEG_INFINITY),
        _ => {}
    }
    match text.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = text.replace('_', "");
            integer(&digits).map(Resolved::Integer).or_else(|| float(&digits).map(Resolved::Float))
        }
        Some(b'.') if !text.contains('_') || underscores_between_digits(text) => {
            float(&text.replace('_', "")).map(Resolved::Float)
        }
        _ => None,
    }
    .unwrap_or_else(|| Resolved::Text(text.to_owned()))
}

/// A scalar with one of the tags that say what it must be.
fn tagged(tag: &str, text: &str) -> Result<Resolved, String> {
    match (tag, untagged(text)) {
        ("bool", found @ Resolved::Bool(_))
        | ("null", found @ Resolved::Null)
        | ("int", found @ Resolved::Integer(_))
        | ("float", found @ (Resolved::Float(_) | Resolved::Integer(_))) => Ok(found),
        _ => Err(format!("{text:?} is no !!{tag}")),
    }
}

fn binary(text: &str) -> Result<String, String> {
    use base64::Engine as _;
    let packed: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(packed)
        .map_err(|error| format!("!!binary is not base64: {error}"))?;
    String::from_utf8(bytes).map_err(|_| "!!binary holds bytes that are no text".to_owned())
}

/// An integer as Go's `strconv.ParseInt(s, 0, 64)`, else `ParseUint`: prefixes `0x`, `0o`, `0b`, and `0` for octal.
fn integer(text: &str) -> Option<Number> {
    let (negative, signed, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (true, true, text.get(1..)?),
        Some(b'+') => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, lower.get(1..)?)
    } else {
        (10, lower.as_str())
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -magnitude } else { magnitude };
    match i64::try_from(value) {
        Ok(value) => Some(Number::from(value)),
        Err(_) if signed => None,
        Err(_) => u64::try_from(value).ok().map(Number::from),
    }
}

/// A float of the form that go-yaml accepts; `None` when it is none or does not fit.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && all_digits(digits)
    });
    if !(all_digits(whole) && all_digits(fraction) && exponent_fits && !(whole.is_empty() && fraction.is_empty())) {
        return None;
    }
    text.parse::<f64>().ok().filter(|float| float.is_finite())
}

fn underscores_between_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |index: Option<usize>| index.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
    bytes.iter().enumerate().all(|(i, b)| *b != b'_' || digit(i.checked_sub(1)) && digit(Some(i + 1)))
}
