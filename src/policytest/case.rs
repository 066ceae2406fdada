//! One case of a policy: `input.yaml`, `context.yaml`, `expected.yaml` (format: `docs/policy-format.md`).

use super::expected::Expected;
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
use crate::review::{Phase, Snapshot, review};
use crate::yaml;
use schemars::JsonSchema;
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

/// What a case has around its request, `context.yaml`; everything may be left out.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Context {
    /// Tier of the namespace.
    tier: Tier,
    /// The time at which the request comes, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    now: String,
    /// Parameters of the policy that are not its own.
    parameters: Map<String, Value>,
    /// Manifests of what the cluster has besides; `data.cluster` is made from them.
    #[schemars(with = "Vec<Manifest>")]
    objects: Vec<Value>,
    /// Kinds of which nothing is known, as `storageclasses`.
    unsynced: BTreeSet<String>,
}

/// A Kubernetes object as a file has it.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used; the values stay as they are")]
pub(super) struct Manifest {
    /// Group and version, as `apps/v1`.
    api_version: String,
    /// Kind, as `StatefulSet`.
    kind: String,
    /// Name, namespace, labels, annotations.
    #[schemars(default)]
    metadata: Value,
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

/// `input.yaml` in its short form: an operation and its objects.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Short {
    /// What is asked of the API server.
    operation: Operation,
    /// The new object; needed for CREATE and UPDATE.
    #[serde(default)]
    #[schemars(with = "Option<Manifest>")]
    object: Value,
    /// What is stored; needed for UPDATE and DELETE.
    #[serde(default)]
    #[schemars(with = "Option<Manifest>")]
    old_object: Value,
    /// Who asks; left out: developer.
    #[serde(default)]
    user: Option<String>,
    /// The groups of who asks.
    #[serde(default)]
    groups: Vec<String>,
    /// The options of the request, as `{kind: DeleteOptions, …}`.
    #[serde(default)]
    options: Value,
    /// As `scale`.
    #[serde(default)]
    sub_resource: String,
    /// True for `--dry-run=server`.
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

/// What a policy makes of a case on one engine.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// All violations, worst first.
    pub violations: Vec<Finding>,
    /// The object with the policy's patches, without their record; `None` where nothing is patched.
    pub patched: Option<Value>,
    /// Kinds that are not known and without which the policy has no answer.
    pub unknown: Vec<String>,
    /// Why the policy failed.
    pub failures: Vec<String>,
    /// Why patches were dropped.
    pub dropped: Vec<String>,
    /// What a second pass would patch, as JSON Pointers.
    pub again: Vec<String>,
    /// Where the patched object still violates although it was patched there, as JSON Pointers.
    pub left: Vec<String>,
}

impl Seen {
    /// What is wrong whatever the case expects.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let failed = self.failures.iter().map(|reason| format!("it failed: {reason}"));
        let dropped = self.dropped.iter().map(|reason| format!("a patch was dropped: {reason}"));
        let again = (!self.again.is_empty()).then(|| format!("a second pass still patches {}", self.again.join(", ")));
        let left = self.left.iter().map(|pointer| format!("the patched object still violates at {pointer}"));
        failed.chain(dropped).chain(again).chain(left).collect()
    }

    /// Whether another engine has seen the same. Two failures are the same in other words.
    #[must_use]
    pub fn agrees(&self, other: &Self) -> bool {
        self.failures.is_empty() == other.failures.is_empty()
            && Self { failures: Vec::new(), ..self.clone() } == Self { failures: Vec::new(), ..other.clone() }
    }
}

impl Context {
    /// Refuses what would be nothing to a policy: an object of no kind is in no `data.cluster`, a time that is none ends the run.
    fn complete(&self) -> Result<(), CaseError> {
        let wrong = |problem: String| Err(CaseError::Format { file: "context.yaml", line: 1, problem });
        for (index, object) in self.objects.iter().enumerate() {
            for key in ["apiVersion", "kind"] {
                if object.get(key).and_then(Value::as_str).is_none() {
                    return wrong(format!("objects[{index}] has no {key}; wanted a manifest with apiVersion and kind"));
                }
            }
        }
        match self.now.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => wrong(format!("now: {:?} is no RFC 3339 time; wanted one like 2026-01-15T12:00:00Z", self.now)),
        }
    }
}

impl Case {
    /// Reads the files of a case.
    ///
    /// # Errors
    /// When one is not of the format.
    pub fn parse(files: &CaseFiles) -> Result<Self, CaseError> {
        let context: Context =
            files.context.as_deref().map(|text| read("context.yaml", text)).transpose()?.unwrap_or_default();
        context.complete()?;
        let expected = Expected::parse(&files.expected)?;
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
    pub fn expects_violations(&self) -> bool {
        self.expected.paths().is_some_and(|paths| !paths.is_empty())
    }

    /// Why the policy has no answer to the request, whatever the case expects.
    pub fn failures(&self, set: &PolicySet, policy: &str, limit: Duration, worker: &mut Worker) -> Vec<String> {
        let Some(snapshot) = self.snapshot(set, policy) else { return Vec::new() };
        let phases = [Phase::Validate, Phase::Mutate];
        let run = |phase| review(&self.request, &snapshot, phase, Instant::now() + limit, worker).failures;
        phases.into_iter().flat_map(run).map(|failure| failure.reason).collect()
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

    /// The tier of its namespace.
    #[must_use]
    pub const fn tier(&self) -> Tier {
        self.context.tier
    }

    /// The time at which it happens; none where it is no RFC 3339 time.
    #[must_use]
    pub fn now(&self) -> Option<jiff::Timestamp> {
        self.context.now.parse().ok()
    }

    /// The JSON Pointers of the violations that are expected; none where the policy has too few facts for an answer, or
    /// where the case has parameters of its own.
    #[must_use]
    pub fn expected_paths(&self) -> Option<BTreeSet<&str>> {
        self.expected.paths().filter(|_| self.context.parameters.is_empty())
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

    /// What it expects.
    #[must_use]
    pub const fn expected(&self) -> &Expected {
        &self.expected
    }

    /// Runs the case for a policy. Returns what is not as expected.
    pub fn run(&self, set: &PolicySet, policy: &str, worker: &mut Worker) -> Vec<String> {
        match self.snapshot(set, policy) {
            Some(snapshot) => {
                let seen = self.see(&snapshot, worker);
                let mut problems = seen.faults();
                problems.extend(self.expected.problems(&seen));
                problems
            }
            None => vec![self.no_snapshot(policy)],
        }
    }

    /// Why there is no snapshot.
    pub(super) fn no_snapshot(&self, policy: &str) -> String {
        format!("context.yaml: now {:?} is no RFC 3339 time, or there is no policy {policy}", self.context.now)
    }

    /// What the policy of a snapshot makes of the case on the worker's engine.
    pub fn see(&self, snapshot: &Snapshot, worker: &mut Worker) -> Seen {
        let mut run = |request: &Request, phase| {
            review(request, snapshot, phase, Instant::now() + Duration::from_secs(30), worker)
        };
        let judged = run(&self.request, Phase::Validate);
        let patched = run(&self.request, Phase::Mutate);
        let failures = judged.failures.iter().chain(&patched.failures).map(|f| f.reason.clone()).collect();
        let object = patched.patch.object.as_ref().map(|o| without_record(o, self.request.object()));
        let (mut again, mut left) = (Vec::new(), Vec::new());
        if let Some(object) = &object {
            let request = self.request.with_object(object.clone());
            again = run(&request, Phase::Mutate).patch.applied.into_iter().map(|c| c.pointer).collect();
            let written: BTreeSet<&str> =
                patched.patch.applied.iter().map(|c| c.pointer.trim_end_matches("/-")).collect();
            let findings = run(&request, Phase::Validate).findings;
            let pointers = findings.iter().map(|f| to_pointer(&f.path));
            left = pointers.filter(|p| written.contains(p.as_str())).collect();
        }
        Seen {
            violations: judged.findings,
            patched: object.filter(|_| !patched.patch.applied.is_empty()),
            unknown: judged.unknown.into_iter().map(|unknown| unknown.missing).collect(),
            failures,
            dropped: patched.patch.dropped.into_iter().map(|dropped| dropped.reason).collect(),
            again,
            left,
        }
    }
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

pub(super) fn read<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<T, CaseError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let (line, _, problem) = yaml::problem(&error);
        CaseError::Format { file, line, problem }
    })
}

/// The request of any of the three forms of `input.yaml`.
///
/// # Errors
/// When it has none of them.
pub fn request(input: Value) -> Result<Request, CaseError> {
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
