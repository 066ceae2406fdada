//! A policy set as a ConfigMap: a key for each file with `__` for `/`, or one key with the whole bundle, compressed.
//!
//! The API server refuses a ConfigMap of more than 1 MiB, and `kubectl apply` one of more than 256 KiB; both are told before.

use super::files::Files;
use super::tarball;
use crate::report::yaml::to_yaml;
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most bytes of all values. Source: Kubernetes, MaxSecretSize in pkg/apis/core/validation.
pub const MOST: usize = 1024 * 1024;

/// From here on the limit is near, in percent.
const NEAR: usize = 80;

/// Most bytes of annotations, in which `kubectl apply` keeps the whole manifest. Source: Kubernetes,
/// TotalAnnotationSizeLimitB in apimachinery's validation.
const ANNOTATIONS: usize = 256 * 1024;

/// Longest key. Source: Kubernetes, "ConfigMaps": a DNS subdomain name is 253 characters.
const LONGEST_KEY: usize = 253;

/// How many files are told at once.
const TOLD: usize = 5;

/// The key of a compressed bundle.
pub const BUNDLE_KEY: &str = "bundle.tar.gz";

/// Why there is no ConfigMap.
#[derive(Debug, thiserror::Error)]
pub enum ConfigMapError {
    /// It does not fit.
    #[error(
        "the set has {} bytes, and a ConfigMap takes {}. Largest files:{}\nInstead: {instead}",
        grouped(*.size), grouped(MOST), lines(.largest)
    )]
    TooLarge {
        /// Bytes of all files.
        size: usize,
        /// The largest files and their bytes.
        largest: Vec<(String, usize)>,
        /// What to do.
        instead: String,
    },
    /// Files whose names are no keys.
    #[error("these files cannot be keys of a ConfigMap; rename them, or use --compressed:{}", .0.iter().fold(String::new(), |text, line| text + "\n  " + line))]
    Keys(Vec<String>),
    /// It cannot be packed.
    #[error("the bundle cannot be packed: {0}")]
    Pack(#[source] std::io::Error),
}

/// The manifest of a ConfigMap, and what to know before it is applied.
#[derive(Debug)]
pub struct ConfigMap {
    /// YAML.
    pub manifest: String,
    /// For the person who applies it.
    pub notes: Vec<String>,
}

/// Makes one. `compressed`: one key with the bundle.
///
/// # Errors
/// When it would be refused by the API server.
pub fn config_map(files: &Files, namespace: &str, name: &str, compressed: bool) -> Result<ConfigMap, ConfigMapError> {
    let (field, values, size) = if compressed {
        let bundle = tarball::write(files).map_err(ConfigMapError::Pack)?;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&bundle);
        ("binaryData", BTreeMap::from([(BUNDLE_KEY.to_owned(), encoded)]), bundle.len())
    } else {
        ("data", keys(files)?, files.values().map(Vec::len).sum())
    };
    if size > MOST {
        let mut largest: Vec<(String, usize)> = files.iter().map(|(name, bytes)| (name.clone(), bytes.len())).collect();
        largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        largest.truncate(TOLD);
        return Err(ConfigMapError::TooLarge { size, largest, instead: instead(files, compressed) });
    }
    let mut manifest = to_yaml(&json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "seawall", "app.kubernetes.io/name": "seawall"},
        },
    }));
    manifest.push_str(&format!("{field}:\n"));
    for (key, text) in values {
        entry(&key, &text, &mut manifest);
    }
    let mut notes = Vec::new();
    if size * 100 >= MOST * NEAR {
        notes.push(format!(
            "warning: {} of the {} bytes that a ConfigMap takes ({} %); it will soon be too small: {}",
            grouped(size),
            grouped(MOST),
            size * 100 / MOST,
            instead(files, compressed)
        ));
    }
    if manifest.len() > ANNOTATIONS {
        notes.push(
            "note: `kubectl apply` would refuse it, because it keeps a copy in an annotation of at most 262,144 bytes; use \
             `kubectl apply --server-side -f -`"
                .to_owned(),
        );
    }
    Ok(ConfigMap { manifest, notes })
}

/// One key as people write it: text in lines as a block, what YAML cannot hold so in quotes (those of JSON are YAML's too).
fn entry(key: &str, text: &str, out: &mut String) {
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.contains('.');
    let key = if word { key.to_owned() } else { Value::from(key).to_string() };
    let body = text.strip_suffix('\n');
    let plain = |c: char| {
        matches!(c, '\n' | '\t' | ' '..='~' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    let lines = body.unwrap_or(text);
    let block = text.contains('\n')
        && lines.starts_with(|c: char| !c.is_whitespace())
        && !lines.ends_with(|c: char| c.is_whitespace())
        && lines.chars().all(plain);
    if !block {
        // YAML 1.1 takes some of them for line breaks
        let quoted = Value::from(text).to_string().chars().fold(String::new(), |quoted, c| match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => quoted + &format!("\\u{:04x}", u32::from(c)),
            c => quoted + c.encode_utf8(&mut [0; 4]),
        });
        out.push_str(&format!("  {key}: {quoted}\n"));
        return;
    }
    out.push_str(&format!("  {key}: |{}\n", if body.is_some() { "" } else { "-" }));
    for line in lines.split('\n') {
        out.push_str(if line.is_empty() { "" } else { "    " });
        out.push_str(line);
        out.push('\n');
    }
}

fn keys(files: &Files) -> Result<BTreeMap<String, String>, ConfigMapError> {
    let (mut keys, mut wrong) = (BTreeMap::new(), Vec::new());
    for (name, bytes) in files {
        let key = name.replace('/', "__");
        let fits = key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if name.contains("__") {
            wrong.push(format!("{name}: `__` would be read back as `/`"));
        } else if !fits {
            wrong.push(format!("{name}: a key has letters, digits, `-`, `_` and `.` only"));
        } else if key.len() > LONGEST_KEY {
            wrong.push(format!("{name}: a key has at most {LONGEST_KEY} characters"));
        }
        keys.insert(key, String::from_utf8_lossy(bytes).into_owned());
    }
    if wrong.is_empty() { Ok(keys) } else { Err(ConfigMapError::Keys(wrong)) }
}

/// What holds more, with what it would come to.
fn instead(files: &Files, compressed: bool) -> String {
    let without: Files =
        files.iter().filter(|(name, _)| !super::pack::is_test(name)).map(|(n, b)| (n.clone(), b.clone())).collect();
    let mut ways = Vec::new();
    let mut offer = |flag: &str, size: Option<usize>| {
        ways.extend(size.filter(|size| *size <= MOST).map(|size| format!("{flag} ({} bytes)", grouped(size))));
    };
    if !compressed {
        offer("--compressed", tarball::write(files).ok().map(|bundle| bundle.len()));
    }
    if without.len() < files.len() {
        let size = if compressed {
            tarball::write(&without).ok().map(|bundle| bundle.len())
        } else {
            Some(without.values().map(Vec::len).sum())
        };
        offer("--without-cases", size);
    }
    ways.push("an OCI artifact (`seawall policy push`, no such limit)".to_owned());
    ways.join(", or ")
}

fn lines(files: &[(String, usize)]) -> String {
    files.iter().fold(String::new(), |text, (name, size)| text + &format!("\n  {:>9}  {name}", grouped(*size)))
}

/// A number with commas.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::bundle::unflatten;

    fn files(of: &[(&str, &str)]) -> Files {
        of.iter().map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    /// Text that does not compress to nothing.
    fn noise(length: usize) -> String {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(b'!' + u8::try_from((state >> 24) % 90).unwrap())
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn keys_are_files_again() {
        let set = files(&[
            (".manifest", "{}\n"),
            ("x/cases/a-b/input.yaml", "a: 1\n"),
            ("x/policy.rego", "package x\n\n# end"),
        ]);
        let made = config_map(&set, "seawall-system", "seawall-policies", false).unwrap();
        assert_eq!(made.notes, Vec::<String>::new());
        insta::assert_snapshot!(made.manifest, @r#"
        apiVersion: v1
        kind: ConfigMap
        metadata:
          name: seawall-policies
          namespace: seawall-system
          labels:
            app.kubernetes.io/managed-by: seawall
            app.kubernetes.io/name: seawall
        data:
          ".manifest": |
            {}
          x__cases__a-b__input.yaml: |
            a: 1
          x__policy.rego: |-
            package x

            # end
        "#);
        let read: Value = serde_saphyr::from_str(&made.manifest).unwrap();
        let back: Files = read["data"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(key, text)| (unflatten(key), text.as_str().unwrap().as_bytes().to_vec()))
            .collect();
        assert_eq!(back, set);
    }

    /// Whatever is in a file, YAML gives it back.
    #[test]
    fn odd_texts_survive() {
        let texts = [
            "",
            "\n",
            " ",
            "a",
            "a\n",
            "a\n\n",
            "\na\n",
            " a\nb\n",
            "\ta\nb\n",
            "a\n\tb\n  c\n\n\nd",
            "a\r\nb\r\n",
            "a \nb \n",
            "a\nb ",
            "a: 1\n# b\n---\nc\n...\n",
            "\u{feff}a\nb\n",
            "a\u{2028}b\nc\n",
            "a\u{85}b\nc\n",
            "a\u{0}b\nc\n",
            "\u{1f980}\nü\n",
            "\"\\\n'",
            "- a\n- b",
        ];
        let set: Files =
            texts.iter().enumerate().map(|(n, text)| (format!("{n}.yaml"), text.as_bytes().to_vec())).collect();
        let made = config_map(&set, "n", "p", false).unwrap().manifest;
        let read: Value = serde_saphyr::from_str(&made).unwrap();
        for (number, text) in texts.iter().enumerate() {
            assert_eq!(read["data"][format!("{number}.yaml")], *text, "{text:?} in\n{made}");
        }
    }

    #[test]
    fn a_compressed_one_is_the_bundle() {
        let set = files(&[("x/policy.rego", "package x\n")]);
        let made = config_map(&set, "n", "p", true).unwrap();
        let read: Value = serde_saphyr::from_str(&made.manifest).unwrap();
        let text = read["binaryData"][BUNDLE_KEY].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        assert_eq!(tarball::read("b", &bytes).unwrap(), set);
    }

    #[test]
    fn the_limit_is_told_before_it_bites() {
        let set = |policy: usize, case: usize| {
            files(&[("x/policy.rego", &noise(policy)), ("x/cases/a/input.yaml", &noise(case)), ("x/small.rego", "x")])
        };
        let of = |policy, case, compressed| config_map(&set(policy, case), "n", "p", compressed);
        insta::assert_snapshot!(of(700_000, 600_000, false).unwrap_err(), @r#"
        the set has 1,300,001 bytes, and a ConfigMap takes 1,048,576. Largest files:
            700,000  x/policy.rego
            600,000  x/cases/a/input.yaml
                  1  x/small.rego
        Instead: --without-cases (700,001 bytes), or an OCI artifact (`seawall policy push`, no such limit)
        "#);
        insta::assert_snapshot!(of(1_400_000, 1_400_000, true).unwrap_err(), @r#"
        the set has 2,300,036 bytes, and a ConfigMap takes 1,048,576. Largest files:
          1,400,000  x/cases/a/input.yaml
          1,400,000  x/policy.rego
                  1  x/small.rego
        Instead: an OCI artifact (`seawall policy push`, no such limit)
        "#);
        insta::assert_snapshot!(of(800_000, 100_000, false).unwrap().notes.join("\n"), @r#"
        warning: 900,001 of the 1,048,576 bytes that a ConfigMap takes (85 %); it will soon be too small: --compressed (739,482 bytes), or --without-cases (800,001 bytes), or an OCI artifact (`seawall policy push`, no such limit)
        note: `kubectl apply` would refuse it, because it keeps a copy in an annotation of at most 262,144 bytes; use `kubectl apply --server-side -f -`
        "#);
        // the limit itself
        let full = files(&[("a.rego", &"x".repeat(MOST))]);
        assert!(config_map(&full, "n", "p", false).is_ok());
        let over = files(&[("a.rego", &"x".repeat(MOST + 1))]);
        assert!(matches!(config_map(&over, "n", "p", false), Err(ConfigMapError::TooLarge { .. })));
    }

    #[test]
    fn names_that_are_no_keys_are_all_told() {
        let long = format!("{}.rego", "x".repeat(300));
        let set = files(&[("a__b.rego", ""), ("ü.rego", ""), (&long, ""), ("fine.rego", "")]);
        let error = config_map(&set, "n", "p", false).unwrap_err().to_string();
        insta::assert_snapshot!(error.replace(&long, "xxx.rego"), @r#"
        these files cannot be keys of a ConfigMap; rename them, or use --compressed:
          a__b.rego: `__` would be read back as `/`
          xxx.rego: a key has at most 253 characters
          ü.rego: a key has letters, digits, `-`, `_` and `.` only
        "#);
        assert!(config_map(&set, "n", "p", true).is_ok());
    }
}
