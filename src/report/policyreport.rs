//! PolicyReports: what was found about an object, as an object that the viewers of the field read.
//!
//! Both groups have the same body (`wgpolicyk8s.io/v1alpha2` `config/crd`, `openreports.io/v1alpha1` `config/crd`); only group, kind
//! and a `source` at the top differ. One report for each object, with what did not pass: who reads many of them wants none for
//! objects in order. The same findings give the same bytes, so whoever writes them to a cluster can leave alone what did not
//! change, by the label [`HASH`].

use super::fingerprint::fingerprint;
use super::page::{Verdict, View, rank};
use super::{Judged, ResourceId, Results, UnknownRow, Violation, yaml};
use crate::decision::{Finding, field_path, inline};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::io::{self, Write};

/// `source` of every result, and of the report where it has one.
pub const SOURCE: &str = "seawall";
/// Who manages the object: label and value.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", SOURCE);
/// Label: a hash of everything else. A report with the same hash need not be written again.
pub const HASH: &str = "seawall.dev/report-hash";
/// Annotation: how many results were left out, because there are more than [`MOST_RESULTS`] or [`MOST_BYTES`].
pub const LEFT_OUT: &str = "seawall.dev/results-left-out";

/// Results in one report, at most; `summary` counts all.
pub const MOST_RESULTS: usize = 500;
/// Bytes of results (as JSON) in one report, at most: etcd refuses objects of 1.5 MiB.
pub const MOST_BYTES: usize = 512 * 1024;
/// Bytes of one text, at most.
const LONGEST_TEXT: usize = 1024;

/// Which group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// `wgpolicyk8s.io/v1alpha2`: what most viewers read today.
    WgPolicy,
    /// `openreports.io/v1alpha1`: its successor.
    OpenReports,
}

impl Flavour {
    /// API group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::WgPolicy => "wgpolicyk8s.io",
            Self::OpenReports => "openreports.io",
        }
    }

    /// API version.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::WgPolicy => "v1alpha2",
            Self::OpenReports => "v1alpha1",
        }
    }

    /// Kind of the reports about objects with a namespace, or without one.
    #[must_use]
    pub const fn kind(self, namespaced: bool) -> &'static str {
        match (self, namespaced) {
            (Self::WgPolicy, true) => "PolicyReport",
            (Self::WgPolicy, false) => "ClusterPolicyReport",
            (Self::OpenReports, true) => "Report",
            (Self::OpenReports, false) => "ClusterReport",
        }
    }

    /// Plural of [`Self::kind`].
    #[must_use]
    pub const fn plural(self, namespaced: bool) -> &'static str {
        match (self, namespaced) {
            (Self::WgPolicy, true) => "policyreports",
            (Self::WgPolicy, false) => "clusterpolicyreports",
            (Self::OpenReports, true) => "reports",
            (Self::OpenReports, false) => "clusterreports",
        }
    }
}

/// The name of the report about an object. By the uid where it has one, so that a new object of the same name has a report of its
/// own; never the bare uid, which is what Kyverno's reports about the same object are called.
#[must_use]
pub fn name(judged: &Judged) -> String {
    match &judged.uid {
        Some(uid) => format!("{SOURCE}-{uid}"),
        None => format!("{SOURCE}-{}", identity(&judged.resource)),
    }
}

/// The report about an object, `None` when there is nothing to report. With a uid the report has an ownerReference, so that the
/// garbage collector removes it with its object.
#[must_use]
pub fn build(judged: &Judged, flavour: Flavour) -> Option<Value> {
    let mut rows: Vec<Row<'_>> = judged
        .violations
        .iter()
        .map(|Violation { finding, .. }| Row { result: outcome(finding), about: About::Finding(finding) })
        .chain(judged.unknown.iter().map(|unknown| Row { result: Outcome::Error, about: About::Unknown(unknown) }))
        .collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
    let mut summary: Map<String, Value> =
        ["pass", "fail", "warn", "error", "skip"].map(|word| (word.to_owned(), json!(0))).into_iter().collect();
    for row in &rows {
        if let Some(count) = summary.get_mut(row.result.as_str()) {
            *count = json!(count.as_u64().unwrap_or_default() + 1);
        }
    }
    let (results, left_out) = bounded(judged, &rows);
    let resource = &judged.resource;
    let namespaced = resource.namespace.is_some();
    let mut metadata = Map::new();
    metadata.insert("name".into(), json!(name(judged)));
    if let Some(namespace) = &resource.namespace {
        metadata.insert("namespace".into(), json!(namespace));
    }
    metadata.insert("labels".into(), json!({ MANAGED_BY.0: MANAGED_BY.1 }));
    if left_out > 0 {
        metadata.insert("annotations".into(), json!({ LEFT_OUT: left_out.to_string() }));
    }
    if let Some(uid) = &judged.uid {
        let ResourceId { api_version, kind, name, .. } = resource;
        let owner = json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid});
        metadata.insert("ownerReferences".into(), json!([owner]));
    }
    let mut report = Map::new();
    report.insert("apiVersion".into(), json!(format!("{}/{}", flavour.group(), flavour.version())));
    report.insert("kind".into(), json!(flavour.kind(namespaced)));
    report.insert("metadata".into(), Value::Object(metadata));
    if flavour == Flavour::OpenReports {
        report.insert("source".into(), json!(SOURCE));
    }
    report.insert("scope".into(), scope(judged));
    report.insert("summary".into(), Value::Object(summary));
    report.insert("results".into(), Value::Array(results));
    let mut report = Value::Object(report);
    let hash = fingerprint(&[&report.to_string()]);
    if let Some(labels) = report.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert(HASH.into(), json!(hash));
    }
    Some(report)
}

/// Writes the reports as YAML documents for `kubectl apply`.
///
/// # Errors
/// When it cannot be written, or what was found cannot be read back.
pub fn write(results: &dyn Results, flavour: Flavour, out: &mut dyn Write) -> io::Result<()> {
    let mut reports = 0_usize;
    results.each(&mut |judged| {
        let Some(report) = build(judged, flavour) else { return Ok(()) };
        reports += 1;
        out.write_all(b"---\n")?;
        out.write_all(yaml::to_yaml(&report).as_bytes())
    })?;
    if reports == 0 { writeln!(out, "# nothing to report") } else { Ok(()) }
}

/// One result to be.
struct Row<'r> {
    result: Outcome,
    about: About<'r>,
}

enum About<'r> {
    Finding(&'r Finding),
    Unknown(&'r UnknownRow),
}

/// `result`, in the order in which results are worth a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Fail,
    Error,
    Warn,
    Skip,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Skip => "skip",
        }
    }
}

impl<'r> Row<'r> {
    /// Worst first, and the same order whatever order they were found in.
    fn order(&self) -> (Outcome, u8, &'r str, &'r str, String, &'r str) {
        match self.about {
            About::Finding(f) => {
                (self.result, rank(f.severity), &f.policy, &f.key, field_path(&f.path), f.message.as_str())
            }
            About::Unknown(u) => (self.result, 0, &u.policy, &u.missing, String::new(), ""),
        }
    }
}

/// What a violation counts as, whatever the mode makes of it today: a report that is all warnings because the namespace is still in
/// mode audit would tell nobody what to do first.
fn outcome(finding: &Finding) -> Outcome {
    match View::AsEnforced.of(finding) {
        Verdict::Deny => Outcome::Fail,
        Verdict::Warn | Verdict::Audit => Outcome::Warn,
        Verdict::Exempt => Outcome::Skip,
    }
}

/// As many results as fit, and how many do not.
fn bounded(judged: &Judged, rows: &[Row<'_>]) -> (Vec<Value>, usize) {
    let identity = judged.uid.clone().unwrap_or_else(|| identity(&judged.resource));
    let mut results = Vec::new();
    let mut bytes = 0;
    let mut ids = BTreeSet::new();
    for row in rows.iter().take(MOST_RESULTS) {
        let result = result(row, &identity, &mut ids);
        bytes += result.to_string().len();
        if bytes > MOST_BYTES {
            break;
        }
        results.push(result);
    }
    let left_out = rows.len() - results.len();
    (results, left_out)
}

fn result(row: &Row<'_>, identity: &str, ids: &mut BTreeSet<String>) -> Value {
    // viewers tell results apart by this; without it they hash the message, and a message that tells a number makes a new result
    let mut id = |parts: &[&str]| {
        let id = (0..).map(|n: usize| fingerprint(&[&[identity], parts, &[n.to_string().as_str()]].concat()));
        id.into_iter().find(|id| ids.insert(id.clone())).unwrap_or_default()
    };
    match row.about {
        About::Finding(finding) => {
            let part = finding.expanded_from.as_deref().unwrap_or_default();
            let properties: Map<String, Value> = [
                ("resultID", Some(id(&[&finding.policy, part, &finding.key]))),
                ("path", Some(field_path(&finding.path))),
                ("part", finding.expanded_from.clone()),
                ("found", finding.found.as_ref().map(inline)),
                ("wanted", Some(inline(&finding.wanted))),
                ("action", Some(finding.action.to_string())),
                ("effectiveAction", Some(finding.effective.to_string())),
                ("tier", Some(finding.tier.to_string())),
                ("mode", Some(finding.mode.to_string())),
                ("note", finding.note.clone()),
            ]
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), json!(cut(&value?)))))
            .collect();
            let message = finding.message.trim().trim_end_matches('.');
            json!({
                "source": SOURCE,
                "policy": finding.policy,
                "category": finding.checklist,
                "severity": finding.severity,
                "result": row.result.as_str(),
                "scored": row.result == Outcome::Fail,
                "message": cut(&format!("{}: {message}. Fix: {}", field_path(&finding.path), finding.fix)),
                "properties": properties,
            })
        }
        About::Unknown(UnknownRow { policy, missing }) => json!({
            "source": SOURCE,
            "policy": policy,
            "result": row.result.as_str(),
            "scored": false,
            "message": cut(&format!("No answer: too little is known of {missing}.")),
            "properties": {"resultID": id(&[policy, "unknown", missing]), "missing": cut(missing)},
        }),
    }
}

fn scope(judged: &Judged) -> Value {
    let ResourceId { api_version, kind, namespace, name } = &judged.resource;
    let parts = [
        ("apiVersion", Some(api_version)),
        ("kind", Some(kind)),
        ("namespace", namespace.as_ref()),
        ("name", Some(name)),
        ("uid", judged.uid.as_ref()),
    ];
    parts.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))).collect::<Map<_, _>>().into()
}

/// Tells an object without a uid from others; its version does not matter.
fn identity(resource: &ResourceId) -> String {
    let group = resource.api_version.rsplit_once('/').map_or("", |(group, _)| group);
    fingerprint(&[group, &resource.kind, resource.namespace.as_deref().unwrap_or_default(), &resource.name])
}

/// A text in [`LONGEST_TEXT`] bytes, without control characters.
fn cut(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(LONGEST_TEXT - '…'.len_utf8());
    text.get(..end).unwrap_or_default().to_owned() + "…"
}

#[cfg(test)]
#[path = "policyreport_tests.rs"]
mod tests;
