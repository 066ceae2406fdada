//! SARIF 2.1.0, in the form that GitHub code scanning takes
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>,
//! <https://docs.github.com/en/code-security/reference/code-scanning/sarif-files/sarif-support>). Results are written while the
//! objects are read.

use super::fingerprint::fingerprint;
use super::page::{Page, Verdict, name, plain};
use super::{Judged, ResourceId, Source, Violation};
use crate::decision::{Finding, field_path, inline};
use crate::policy::metadata::Metadata;
use crate::policy::mode::{Severity, Tier};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The schema that is named in the file.
pub(crate) const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// Results in one run that GitHub takes; it refuses files with more.
pub const GITHUB_TAKES: usize = 25_000;

/// Writes the run.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(page: &Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Log { page })?;
    out.write_all(b"\n")
}

struct Log<'r> {
    page: &'r Page<'r>,
}

impl Serialize for Log<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut log = serializer.serialize_map(None)?;
        log.serialize_entry("$schema", SCHEMA)?;
        log.serialize_entry("version", "2.1.0")?;
        log.serialize_entry("runs", &[Run { page: self.page }])?;
        log.end()
    }
}

struct Run<'r> {
    page: &'r Page<'r>,
}

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let policies = self.page.policies.policies();
        let index: BTreeMap<&str, usize> = policies.iter().map(|p| p.id()).zip(0..).collect();
        let rules: Vec<Value> = policies.iter().map(|policy| rule(&policy.metadata)).collect();
        let mut run = serializer.serialize_map(None)?;
        let driver = json!({
            "name": "seawall",
            "informationUri": env!("CARGO_PKG_REPOSITORY"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        });
        run.serialize_entry("tool", &json!({ "driver": driver }))?;
        run.serialize_entry("invocations", &[invocation(self.page)])?;
        // columns are counted in characters
        run.serialize_entry("columnKind", "unicodeCodePoints")?;
        run.serialize_entry("results", &Rows { page: self.page, index })?;
        run.end()
    }
}

/// What went wrong with the run itself.
fn invocation(page: &Page<'_>) -> Value {
    let notifications: Vec<Value> =
        page.gaps().iter().map(|gap| json!({"level": "error", "message": {"text": plain(gap)}})).collect();
    json!({"executionSuccessful": page.is_complete(), "toolExecutionNotifications": notifications})
}

/// A policy as a rule.
fn rule(metadata: &Metadata) -> Value {
    let Metadata { id, title, description, related_resources, checklist, severity, actions, .. } = metadata;
    let tiers: Vec<String> = Tier::ALL.iter().map(|tier| format!("{} in {tier}", actions.get(*tier))).collect();
    let actions = tiers.join(", ");
    let links: Vec<String> = related_resources.iter().map(|link| format!("- <{}>", link.reference)).collect();
    let text = format!("{description}\n\nChecklist item: {checklist}. In mode enforce: {actions}.");
    let markdown = format!(
        "{description}\n\nChecklist item `{checklist}`, severity {severity}. In mode enforce: {actions}.\n\n{}",
        links.join("\n")
    );
    let mut rule = json!({
        "id": id,
        "name": id.split('-').map(capital).collect::<String>(),
        "shortDescription": {"text": title},
        "fullDescription": {"text": description},
        "help": {"text": text, "markdown": markdown.trim_end()},
        "defaultConfiguration": {"level": level_of(*severity)},
        "properties": {
            "tags": ["kubernetes", "stateful", checklist],
            "problem.severity": if matches!(severity, Severity::Low) { "recommendation" } else { level_of(*severity) },
        },
    });
    if let (Some(link), Some(rule)) = (related_resources.first(), rule.as_object_mut()) {
        rule.insert("helpUri".to_owned(), json!(link.reference));
    }
    rule
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

const fn level_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}

const fn level(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Deny => "error",
        Verdict::Warn => "warning",
        Verdict::Audit | Verdict::Exempt => "note",
    }
}

/// The results, written while the objects are read.
struct Rows<'r> {
    page: &'r Page<'r>,
    index: BTreeMap<&'r str, usize>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        // kept as it is: a broken pipe must still be one
        let mut failed = None;
        let each = self.page.results.each(&mut |judged| {
            let written = judged.violations.iter().try_for_each(|v| list.serialize_element(&self.result(judged, v)));
            written.map_err(|error| io::Error::other(failed.insert(error).to_string()))
        });
        match failed {
            Some(error) => Err(error),
            None => each.map_err(S::Error::custom).and_then(|()| list.end()),
        }
    }
}

impl Rows<'_> {
    fn result(&self, judged: &Judged, violation: &Violation) -> Value {
        let Violation { finding, source } = violation;
        let resource = &judged.resource;
        let verdict = self.page.view.of(finding);
        let mut fingerprints = json!({ "seawallFinding/v1": identity(resource, finding) });
        // GitHub's upload works this one out of the line of the file, so it is only ours where there is no file
        if !is_file(source)
            && let Some(fingerprints) = fingerprints.as_object_mut()
        {
            fingerprints.insert("primaryLocationLineHash".to_owned(), json!(identity(resource, finding) + ":1"));
        }
        // once one result of a run has suppressions, all must have them (SARIF 3.27.23)
        let suppressions: Vec<Value> = match verdict {
            Verdict::Exempt => {
                let why = finding.note.as_deref().unwrap_or("exempt");
                vec![json!({"kind": "external", "status": "accepted", "justification": plain(why)})]
            }
            _ => Vec::new(),
        };
        let mut result = json!({
            "ruleId": finding.policy,
            "level": level(verdict),
            "kind": "fail",
            "message": {"text": message(resource, finding)},
            "locations": [location(resource, finding, source)],
            "partialFingerprints": fingerprints,
            "suppressions": suppressions,
            "properties": {
                "action": finding.action,
                "effectiveAction": finding.effective,
                "tier": finding.tier,
                "mode": finding.mode,
                "severity": finding.severity,
                "checklist": finding.checklist,
            },
        });
        if let (Some(index), Some(result)) = (self.index.get(finding.policy.as_str()), result.as_object_mut()) {
            result.insert("ruleIndex".to_owned(), json!(index));
        }
        result
    }
}

/// One text without markup: SARIF reads `[text](link)` in messages, so brackets are escaped (3.11.6).
fn message(resource: &ResourceId, finding: &Finding) -> String {
    let found = finding.found.as_ref().map(|found| format!("\nfound: {}", plain(&inline(found)))).unwrap_or_default();
    let text = format!(
        "{}, {}: {}{found}\nwanted: {}\nfix: {}",
        plain(&name(resource)),
        plain(&field_path(&finding.path)),
        plain(finding.message.trim()),
        plain(&inline(&finding.wanted)),
        plain(&finding.fix)
    );
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

fn location(resource: &ResourceId, finding: &Finding, source: &Source) -> Value {
    let ResourceId { kind, namespace, name, .. } = resource;
    let full = [namespace.as_deref(), Some(kind), Some(name)];
    let full: Vec<String> = full.into_iter().flatten().map(plain).collect();
    // what is stored in a cluster has no file, and GitHub refuses results without one
    let uri = if is_file(source) {
        uri(&source.file)
    } else {
        let parts = full.iter().map(|part| encoded(&part.replace('/', "%2F")).replace("%252F", "%2F"));
        format!("{}/{}", encoded(&source.file), parts.collect::<Vec<_>>().join("/"))
    };
    let mut region = json!({"startLine": source.line.max(1)});
    if source.line > 0
        && let Some(region) = region.as_object_mut()
    {
        region.insert("startColumn".to_owned(), json!(source.column.max(1)));
    }
    json!({
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": region},
        "logicalLocations": [{
            "name": plain(name),
            "fullyQualifiedName": format!("{}.{}", full.join("/"), plain(&field_path(&finding.path))),
            "kind": "resource",
        }],
    })
}

/// The same finding in every run and wherever the object is written: what, in which object, in which element.
fn identity(resource: &ResourceId, finding: &Finding) -> String {
    let ResourceId { api_version, kind, namespace, name } = resource;
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let part = finding.expanded_from.as_deref().unwrap_or_default();
    fingerprint(&[&finding.policy, group, kind, namespace.as_deref().unwrap_or_default(), name, part, &finding.key])
}

/// Whether there is a file, not standard input or a cluster.
fn is_file(source: &Source) -> bool {
    source.line > 0 && source.file != "stdin"
}

/// A path as a URI reference: relative ones as they are, so that they match the files of a repository.
pub(crate) fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    if path.starts_with('/') { format!("file://{}", encoded(path)) } else { encoded(path) }
}

/// Percent-encodes everything but what a path may hold (RFC 3986 3.3). No `:`: what stands before it would be a scheme.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
#[path = "sarif_tests.rs"]
mod tests;
