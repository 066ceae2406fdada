//! One case of a policy: `input.yaml`, `context.yaml`, `expected.yaml` (format: `docs/policy-format.md`).

use crate::admission::pointer::to_pointer;
use crate::admission::request::{Operation, Request, RequestError};
use crate::config::{Defaults, Settings};
use crate::context::facts::Facts;
use crate::context::kinds::Kinds;
use crate::decision::Finding;
use crate::engine::evaluate::Worker;
use crate::patch::record::{ANNOTATION, ANNOTATION_POINTER};
use crate::policy::bundle::CaseFiles;
use crate::policy::mode::{Mode, PatchSetting, Tier};
use crate::policy::store::PolicySet;
use crate::review::{Outcome, Phase, Snapshot, review};
use crate::yaml;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a case cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file is not of the format.
    #[error("{file}:{line}: {problem}")]
    Format {
        /// The file.
        file: &'static str,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// The input is no request.
    #[error("input.yaml: {0}")]
    Request(#[from] RequestError),
    /// The input is no object.
    #[error("input.yaml: {0}")]
    Input(&'static str),
}

/// `context.yaml`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Context {
    tier: Tier,
    now: String,
    parameters: Map<String, Value>,
    objects: Vec<Value>,
    unsynced: BTreeSet<String>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            tier: Tier::Tier2,
            now: "2026-01-15T12:00:00Z".to_owned(),
            parameters: Map::new(),
            objects: Vec::new(),
            unsynced: BTreeSet::new(),
        }
    }
}

/// `expected.yaml`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expected {
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

/// `input.yaml` in its short form.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Short {
    operation: Operation,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    options: Value,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    dry_run: bool,
}

/// A case that can be run.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name of its folder.
    pub name: String,
    request: Request,
    context: Context,
    expected: Expected,
}

impl Case {
    /// Reads the files of a case.
    ///
    /// # Errors
    /// When one is not of the format.
    pub fn parse(files: &CaseFiles) -> Result<Self, CaseError> {
        let context = files.context.as_deref().map(|text| read("context.yaml", text)).transpose()?.unwrap_or_default();
        let expected = read("expected.yaml", &files.expected)?;
        let input: Value = read("input.yaml", &files.input)?;
        Ok(Self { name: files.name.clone(), request: request(input)?, context, expected })
    }

    /// A case of nothing but a request, with no facts and no expectations.
    #[must_use]
    pub fn of_request(name: &str, request: Request) -> Self {
        Self { name: name.to_owned(), request, context: Context::default(), expected: Expected::default() }
    }

    /// Whether it expects that the policy finds something.
    #[must_use]
    pub const fn expects_violations(&self) -> bool {
        !self.expected.violations.is_empty()
    }

    /// Why the policy has no answer to the request, whatever the case expects.
    pub fn failures(&self, set: &PolicySet, policy: &str, limit: Duration, worker: &mut Worker) -> Vec<String> {
        let Some(snapshot) = self.snapshot(set, policy) else { return Vec::new() };
        let phases = [Phase::Validate, Phase::Mutate];
        let mut run = |phase| review(&self.request, &snapshot, phase, Instant::now() + limit, worker).failures;
        phases.into_iter().flat_map(|phase| run(phase)).map(|failure| failure.reason).collect()
    }

    /// The request of the case.
    #[must_use]
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// The objects of its context.
    #[must_use]
    pub fn objects(&self) -> &[Value] {
        &self.context.objects
    }

    /// The kinds of which nothing is known.
    #[must_use]
    pub const fn unsynced(&self) -> &BTreeSet<String> {
        &self.context.unsynced
    }

    /// The snapshot in which a policy sees the case: only this policy, in mode enforce.
    #[must_use]
    pub fn snapshot(&self, set: &PolicySet, policy: &str) -> Option<Snapshot> {
        let only = set.only(policy, &self.context.parameters)?;
        let kinds = Kinds::default();
        let synced =
            only.needed_context().keys().filter(|kind| !self.context.unsynced.contains(*kind)).cloned().collect();
        let objects = self.context.objects.iter().map(|object| {
            let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
            (kinds.resolve(text("apiVersion"), text("kind")).fact_name(), object)
        });
        let mut facts = Facts::from_objects(objects, &synced);
        for kind in &self.context.unsynced {
            facts.unset_kind(kind);
        }
        let defaults = Defaults { tier: self.context.tier, mode: Mode::Enforce, patch: Some(PatchSetting::Enabled) };
        let settings = Settings { defaults, ..Settings::default() };
        let now = self.context.now.parse().ok()?;
        Some(Snapshot::new(Arc::new(only), Arc::new(settings), Arc::new(facts), now).with_unregistered())
    }

    /// Runs the case for a policy. Returns what is not as expected.
    pub fn run(&self, set: &PolicySet, policy: &str, worker: &mut Worker) -> Vec<String> {
        let Some(snapshot) = self.snapshot(set, policy) else {
            return vec![format!(
                "context.yaml: now {:?} is no RFC 3339 time, or there is no policy {policy}",
                self.context.now
            )];
        };
        let mut run = |request: &Request, phase| {
            review(request, &snapshot, phase, Instant::now() + Duration::from_secs(30), worker)
        };
        let judged = run(&self.request, Phase::Validate);
        let patched = run(&self.request, Phase::Mutate);
        let mut problems: Vec<String> =
            judged.failures.iter().chain(&patched.failures).map(|f| format!("it failed: {}", f.reason)).collect();
        if self.expected.unknown == judged.unknown.is_empty() {
            problems.push(format!("unknown: expected {}, found {:?}", self.expected.unknown, judged.unknown));
        }
        self.compare_violations(&judged.findings, &mut problems);
        self.compare_patched(&patched, &mut problems);
        if let Some(object) = patched.patch.object.as_ref().map(|o| without_record(o, self.request.object())) {
            let request = self.request.with_object(object);
            let again = run(&request, Phase::Mutate);
            if !again.patch.applied.is_empty() {
                problems.push(format!("a second pass still patches {}", pointers(&again)));
            }
            let left = run(&request, Phase::Validate).findings;
            let written: BTreeSet<&str> =
                patched.patch.applied.iter().map(|c| c.pointer.trim_end_matches("/-")).collect();
            problems.extend(
                left.iter()
                    .map(|f| to_pointer(&f.path))
                    .filter(|p| written.contains(p.as_str()))
                    .map(|p| format!("the patched object still violates at {p}")),
            );
        }
        problems
    }

    fn compare_violations(&self, found: &[Finding], problems: &mut Vec<String>) {
        let mut left: Vec<&Finding> = found.iter().collect();
        for expected in &self.expected.violations {
            match left.iter().position(|finding| expected.fits(finding)) {
                Some(position) => {
                    left.remove(position);
                }
                None => problems.push(format!("expected a violation {}, found {}", expected.words(), words(found))),
            }
        }
        problems
            .extend(left.into_iter().map(|f| format!("unexpected violation at {}: {}", to_pointer(&f.path), f.line())));
    }

    fn compare_patched(&self, outcome: &Outcome, problems: &mut Vec<String>) {
        problems.extend(outcome.patch.dropped.iter().map(|d| format!("a patch was dropped: {}", d.reason)));
        let found = outcome.patch.object.as_ref().map(|o| without_record(o, self.request.object()));
        let found = found.filter(|_| !outcome.patch.applied.is_empty());
        if found != self.expected.patched {
            let text = |value: &Option<Value>| {
                value.as_ref().map_or_else(|| "nothing is patched".to_owned(), Value::to_string)
            };
            problems.push(format!("patched: expected {}, found {}", text(&self.expected.patched), text(&found)));
        }
    }
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

    fn words(&self) -> String {
        json!({"path": self.path, "msg": self.msg, "found": self.found, "wanted": self.wanted, "fix": self.fix})
            .to_string()
    }
}

fn words(findings: &[Finding]) -> String {
    let one = |f: &Finding| {
        json!({"path": to_pointer(&f.path), "msg": f.message, "found": f.found, "wanted": f.wanted, "fix": f.fix})
            .to_string()
    };
    if findings.is_empty() { "none".to_owned() } else { findings.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn pointers(outcome: &Outcome) -> String {
    outcome.patch.applied.iter().map(|c| c.pointer.as_str()).collect::<Vec<_>>().join(", ")
}

/// The object without the record of patches, and without the maps that only hold it.
fn without_record(patched: &Value, original: Option<&Value>) -> Value {
    let mut object = patched.clone();
    let absent = |pointer: &str| original.is_none_or(|o| o.pointer(pointer).is_none());
    if original.is_some_and(|o| o.pointer(ANNOTATION_POINTER).is_some()) {
        return object;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.shift_remove(ANNOTATION);
            if annotations.is_empty() && absent("/metadata/annotations") {
                metadata.shift_remove("annotations");
            }
        }
        if metadata.is_empty()
            && absent("/metadata")
            && let Some(object) = object.as_object_mut()
        {
            object.shift_remove("metadata");
        }
    }
    object
}

fn read<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<T, CaseError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, _, problem) = yaml::problem(&error);
        CaseError::Format { file, line, problem }
    })
}

/// The request of any of the three forms of `input.yaml`.
fn request(input: Value) -> Result<Request, CaseError> {
    if input.get("kind").and_then(Value::as_str) == Some("AdmissionReview") {
        let request = input.get("request").and_then(Value::as_object).cloned();
        return Ok(Request::from_body(request.ok_or(CaseError::Input("the AdmissionReview has no request"))?)?);
    }
    let short = if input.get("operation").is_some() && input.get("apiVersion").is_none() {
        Short::deserialize(input).map_err(|e| CaseError::Format {
            file: "input.yaml",
            line: 1,
            problem: e.to_string(),
        })?
    } else {
        let (object, old_object, options) = (input, Value::Null, Value::Null);
        Short {
            operation: Operation::Create,
            object,
            old_object,
            user: None,
            groups: vec![],
            options,
            sub_resource: String::new(),
            dry_run: false,
        }
    };
    let subject = if short.object.is_object() { &short.object } else { &short.old_object };
    let text = |pointer: &str| subject.pointer(pointer).and_then(Value::as_str);
    let (Some(api_version), Some(kind)) = (text("/apiVersion"), text("/kind")) else {
        return Err(CaseError::Input("the object has no apiVersion or no kind"));
    };
    let resource = Kinds::default().resolve(api_version, kind);
    let name = text("/metadata/name").unwrap_or_default();
    let namespace = match kind {
        "Namespace" => name,
        _ if resource.namespaced => text("/metadata/namespace").unwrap_or("default"),
        _ => "",
    };
    let body = json!({
        "uid": "case", "kind": resource.kind, "resource": resource.resource, "subResource": short.sub_resource, "name": name,
        "namespace": namespace, "operation": short.operation, "dryRun": short.dry_run, "object": short.object, "oldObject": short.old_object,
        "userInfo": {"username": short.user.as_deref().unwrap_or("developer"), "groups": short.groups}, "options": short.options,
    });
    Ok(Request::from_body(body.as_object().cloned().unwrap_or_default())?)
}
