//! The platform's catalogue of storage classes: what may be used in each tier and for each profile, as text, JSON and a ConfigMap.
//!
//! The rows are the value of `data.seawall.lib.catalogue_matrix.matrix` (see `policies/seawall/knowledge/catalogue/README.md`).

use super::page::plain;
use super::yaml::to_yaml;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The rule that makes the rows.
pub const RULE: &str = "data.seawall.lib.catalogue_matrix.matrix";
/// Columns of the text.
const WIDTH: usize = 100;
/// Largest content of a ConfigMap (`MaxSecretSize`, k8s.io/kubernetes `pkg/apis/core/types.go`).
const CONFIG_MAP: usize = 1024 * 1024;

/// Why there is no catalogue to print.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The rule's value has another shape.
    #[error("the rule of the catalogue answers in another shape: {0}; the policies do not fit this version of Seawall")]
    Shape(#[from] serde_json::Error),
    /// Larger than the API server takes.
    #[error(
        "the catalogue has {0} bytes, more than the {CONFIG_MAP} that a ConfigMap may have; print it with --format json"
    )]
    TooLarge(usize),
    /// It cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// The catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    rows: Vec<Row>,
    server_version: Option<String>,
}

/// What may be used in a tier for a profile, best first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    tier: String,
    profile: String,
    classes: Vec<Class>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Class {
    name: String,
    description: String,
    provisioner: String,
    reclaim_policy: String,
    expansion: bool,
    encrypted: Encrypted,
    source: Origin,
    exists: bool,
}

/// Whether volumes are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Encrypted {
    Known(bool),
    Unknown(Word),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Unknown,
}

/// What puts a class into the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Configuration,
    Label,
}

impl Catalogue {
    /// Reads the value of the rule; `server_version` is that of the cluster that was read, where one was.
    ///
    /// # Errors
    /// When it has another shape.
    pub fn new(matrix: Value, server_version: Option<String>) -> Result<Self, CatalogueError> {
        Ok(Self { rows: serde_json::from_value(matrix)?, server_version })
    }

    /// Writes it for a person, in at most 100 columns where the names let it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let classes: BTreeMap<&str, &Class> =
            self.rows.iter().flat_map(|row| &row.classes).map(|class| (class.name.as_str(), class)).collect();
        if classes.is_empty() {
            let lines = "No class may be used in any tier: no StorageClass is labelled seawall.dev/supported: \"true\", and the \
                configuration names none (knowledge.catalogue.classes), or none of them passes the rules of a tier. Without a \
                catalogue no policy asks for classes out of it.";
            return wrapped(out, "", lines.split(' ').map(str::to_owned), " ");
        }
        let cluster = self.server_version.as_ref().map(|version| format!(", in a cluster of version {version}"));
        writeln!(out, "Classes that a claim may use, best first{}", cluster.unwrap_or_default())?;
        let longest = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
        let indent = longest(&mut self.rows.iter().map(|row| row.profile.as_str())).min(WIDTH / 3);
        let mut tier = "";
        for row in &self.rows {
            if row.tier != tier {
                tier = &row.tier;
                writeln!(out, "\n{tier}")?;
            }
            let names = row.classes.iter().map(|class| class.name.clone());
            let names: Vec<String> = if row.classes.is_empty() { vec!["none".to_owned()] } else { names.collect() };
            wrapped(out, &format!("  {:indent$}  ", row.profile), names.into_iter(), ", ")?;
        }
        writeln!(out)?;
        let indent = longest(&mut classes.keys().copied()).min(WIDTH / 3);
        for (name, class) in classes {
            wrapped(out, &format!("{name:indent$}  "), class.words().into_iter(), ", ")?;
            if !class.description.is_empty() {
                let words = class.description.split_whitespace().map(plain);
                wrapped(out, &" ".repeat(indent + 2), words, " ")?;
            }
        }
        Ok(())
    }

    /// Writes it for a program: `schemaVersion` 1.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, &self.document())?;
        writeln!(out)
    }

    /// Writes a ConfigMap with both, for portals and for `kubectl apply`.
    ///
    /// # Errors
    /// When it cannot be written, or is larger than a ConfigMap may be.
    pub fn config_map(&self, namespace: &str, name: &str, out: &mut dyn Write) -> Result<(), CatalogueError> {
        let mut text = Vec::new();
        self.text(&mut text)?;
        let mut json = Vec::new();
        self.json(&mut json)?;
        let (text, json) = (String::from_utf8_lossy(&text), String::from_utf8_lossy(&json));
        if text.len() + json.len() > CONFIG_MAP {
            return Err(CatalogueError::TooLarge(text.len() + json.len()));
        }
        let manifest = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "seawall", "app.kubernetes.io/name": "seawall"},
            },
            "data": {"catalogue.json": json, "catalogue.txt": text},
        });
        Ok(out.write_all(to_yaml(&manifest).as_bytes())?)
    }

    fn document(&self) -> Value {
        json!({"schemaVersion": "1", "serverVersion": self.server_version, "rows": self.rows})
    }
}

impl Class {
    /// What a person asks of a class.
    fn words(&self) -> Vec<String> {
        let source = match self.source {
            Origin::Configuration => "by configuration",
            Origin::Label => "by label",
        };
        if !self.exists {
            return vec!["not in the cluster".to_owned(), source.to_owned()];
        }
        let encrypted = match self.encrypted {
            Encrypted::Known(true) => "encrypted",
            Encrypted::Known(false) => "not encrypted",
            Encrypted::Unknown(Word::Unknown) => "encryption unknown",
        };
        let expansion = if self.expansion { "can be expanded" } else { "cannot be expanded" };
        [&self.provisioner, &self.reclaim_policy, expansion, encrypted, source].map(plain).into()
    }
}

/// Writes parts behind a head, further lines below the first part. A part that is longer than the line stands alone.
fn wrapped(out: &mut dyn Write, head: &str, parts: impl Iterator<Item = String>, between: &str) -> io::Result<()> {
    let indent = head.chars().count();
    let mut line = head.to_owned();
    let mut column = indent;
    let mut parts = parts.peekable();
    while let Some(mut part) = parts.next() {
        if parts.peek().is_some() {
            part.push_str(between);
        }
        let length = part.trim_end().chars().count();
        if column > indent && column + length > WIDTH {
            writeln!(out, "{}", line.trim_end())?;
            line = " ".repeat(indent);
            column = indent;
        }
        column += part.chars().count();
        line.push_str(&part);
    }
    writeln!(out, "{}", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(name: &str, description: &str, exists: bool, encrypted: Value) -> Value {
        let (provisioner, policy) = if exists { ("ebs.csi.aws.com", "Retain") } else { ("", "") };
        json!({"name": name, "description": description, "provisioner": provisioner, "reclaimPolicy": policy,
            "expansion": exists, "encrypted": encrypted, "source": if exists { "label" } else { "configuration" }, "exists": exists})
    }

    fn catalogue() -> Catalogue {
        let fast = class(
            "fast-retain",
            "SSD with three copies in three zones, for databases that somebody waits for; ask the \
            platform team before you take more than a tebibyte of it",
            true,
            json!(true),
        );
        let standard = class("standard", "", true, json!("unknown"));
        let coming = class("archive", "", false, json!("unknown"));
        let many: Vec<Value> = (0..9).map(|n| class(&format!("standard-number-{n}"), "", true, json!(false))).collect();
        let rows = json!([
            {"tier": "tier-0", "profile": "analytics", "classes": []},
            {"tier": "tier-0", "profile": "oltp", "classes": [fast, standard]},
            {"tier": "tier-1", "profile": "analytics", "classes": [coming]},
            {"tier": "tier-1", "profile": "oltp", "classes": many},
        ]);
        Catalogue::new(rows, Some("v1.35.4".to_owned())).unwrap()
    }

    fn text(catalogue: &Catalogue) -> String {
        let mut out = Vec::new();
        catalogue.text(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_text_fits_its_columns() {
        let text = text(&catalogue());
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH && line == line.trim_end()), "{text}");
        insta::assert_snapshot!(text, @r"
        Classes that a claim may use, best first, in a cluster of version v1.35.4

        tier-0
          analytics  none
          oltp       fast-retain, standard

        tier-1
          analytics  archive
          oltp       standard-number-0, standard-number-1, standard-number-2, standard-number-3,
                     standard-number-4, standard-number-5, standard-number-6, standard-number-7,
                     standard-number-8

        archive            not in the cluster, by configuration
        fast-retain        ebs.csi.aws.com, Retain, can be expanded, encrypted, by label
                           SSD with three copies in three zones, for databases that somebody waits for; ask
                           the platform team before you take more than a tebibyte of it
        standard           ebs.csi.aws.com, Retain, can be expanded, encryption unknown, by label
        standard-number-0  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-1  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-2  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-3  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-4  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-5  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-6  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-7  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        standard-number-8  ebs.csi.aws.com, Retain, can be expanded, not encrypted, by label
        ");
    }

    #[test]
    fn an_empty_catalogue_says_how_to_make_one() {
        let rows = json!([{"tier": "tier-0", "profile": "oltp", "classes": []}]);
        insta::assert_snapshot!(text(&Catalogue::new(rows, None).unwrap()), @r#"
        No class may be used in any tier: no StorageClass is labelled seawall.dev/supported: "true", and the
        configuration names none (knowledge.catalogue.classes), or none of them passes the rules of a tier.
        Without a catalogue no policy asks for classes out of it.
        "#);
    }

    #[test]
    fn a_description_does_not_steer_the_terminal() {
        let odd = class("a", "red\u{1b}[31m\nand more", true, json!(true));
        let rows = json!([{"tier": "tier-0", "profile": "oltp", "classes": [odd]}]);
        let text = text(&Catalogue::new(rows, None).unwrap());
        assert!(text.contains("   red\u{fffd}[31m and more\n"), "{text:?}");
    }

    #[test]
    fn the_json_is_that_of_the_schema() {
        let mut out = Vec::new();
        catalogue().json(&mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((&document["schemaVersion"], &document["serverVersion"]), (&json!("1"), &json!("v1.35.4")));
        insta::assert_snapshot!(serde_json::to_string_pretty(&document["rows"][1]).unwrap(), @r#"
        {
          "tier": "tier-0",
          "profile": "oltp",
          "classes": [
            {
              "name": "fast-retain",
              "description": "SSD with three copies in three zones, for databases that somebody waits for; ask the platform team before you take more than a tebibyte of it",
              "provisioner": "ebs.csi.aws.com",
              "reclaimPolicy": "Retain",
              "expansion": true,
              "encrypted": true,
              "source": "label",
              "exists": true
            },
            {
              "name": "standard",
              "description": "",
              "provisioner": "ebs.csi.aws.com",
              "reclaimPolicy": "Retain",
              "expansion": true,
              "encrypted": "unknown",
              "source": "label",
              "exists": true
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_config_map_holds_both() {
        let mut out = Vec::new();
        catalogue().config_map("portal", "classes", &mut out).unwrap();
        let manifest: Value = serde_saphyr::from_str(&String::from_utf8(out).unwrap()).unwrap();
        assert_eq!(manifest["metadata"]["namespace"], "portal");
        assert_eq!(manifest["data"]["catalogue.txt"], text(&catalogue()));
        let document: Value = serde_json::from_str(manifest["data"]["catalogue.json"].as_str().unwrap()).unwrap();
        assert_eq!(document["rows"].as_array().unwrap().len(), 4);
        let classes = |count: usize| -> Vec<Value> {
            (0..count).map(|n| class(&format!("c{n}"), "", true, json!(true))).collect()
        };
        let rows = json!([{"tier": "t", "profile": "p", "classes": classes(10_000)}]);
        let large = Catalogue::new(rows, None).unwrap().config_map("a", "b", &mut Vec::new()).unwrap_err().to_string();
        assert!(large.contains("--format json"), "{large}");
    }

    #[test]
    fn another_shape_is_refused() {
        assert!(Catalogue::new(json!([{"tier": "t"}]), None).unwrap_err().to_string().contains("another shape"));
        let odd = json!([{"tier": "t", "profile": "p", "classes": [class("a", "", true, json!("perhaps"))]}]);
        assert!(Catalogue::new(odd, None).is_err());
    }
}
