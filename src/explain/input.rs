//! What is to be explained: manifests as `check` reads them, and requests that were captured: an AdmissionReview, the
//! `operation`, `object` and `oldObject` of a case, or a folder with `input.yaml` and `context.yaml` as `serve --record-bodies`
//! leaves them.

use super::Reviewed;
use crate::admission::request::Request;
use crate::check::input::Input;
use crate::check::yaml::Budget;
use crate::check::{Context, Knowledge, Options, knowledge, scoped};
use crate::config::Settings;
use crate::context::kinds::Kinds;
use crate::engine::evaluate::Worker;
use crate::policy::mode::Tier;
use crate::policy::store::PolicySet;
use crate::policytest::case::request;
use crate::report::observer::{self, Observer};
use crate::report::page::place;
use crate::report::{Failure, Source};
use crate::review::{Phase, Snapshot, review};
use crate::yaml;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time for one object.
const PER_OBJECT: Duration = Duration::from_secs(30);

/// Largest file of a recorded folder.
const LARGEST: u64 = 32 * 1024 * 1024;

/// A request that was captured.
#[derive(Debug)]
pub struct Captured {
    /// Where it stands.
    source: String,
    request: Request,
    context: Recorded,
    /// The folder is a case of a policy: what its context does not have is not there.
    is_case: bool,
}

/// `context.yaml`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Recorded {
    tier: Option<Tier>,
    now: Option<String>,
    parameters: Map<String, Value>,
    objects: Vec<Value>,
    unsynced: BTreeSet<String>,
}

/// An input, taken apart.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Manifests.
    pub manifests: Input,
    /// Requests.
    pub captured: Vec<Captured>,
    /// What cannot be read.
    pub errors: Vec<Failure>,
}

/// Reads paths: files and folders of manifests, captured requests, `-` for standard input.
#[must_use]
pub fn read(paths: &[PathBuf], stdin: &mut dyn Read) -> Inputs {
    let mut inputs = Inputs::default();
    let (folders, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
        paths.iter().partition(|path| path.is_dir() && path.join("input.yaml").is_file());
    for folder in folders {
        match recorded(folder) {
            Ok(captured) => inputs.captured.push(captured),
            Err(failure) => inputs.errors.push(*failure),
        }
    }
    let rest: Vec<PathBuf> = rest.into_iter().cloned().collect();
    inputs.manifests = Input::read(&rest, stdin, Budget::default());
    let documents = std::mem::take(&mut inputs.manifests.documents);
    for document in documents {
        let Some(node) = document.read.as_ref().ok().filter(|node| is_captured(&node.value)) else {
            inputs.manifests.documents.push(document);
            continue;
        };
        let source =
            Source { file: document.file.to_string(), line: node.spot.place.line, column: node.spot.place.column };
        match request(node.value.clone()) {
            Ok(request) => inputs.captured.push(Captured {
                source: place(&source),
                request,
                context: Recorded::default(),
                is_case: false,
            }),
            Err(error) => {
                let message = format!("is no request that can be explained: {error}");
                inputs.errors.push(Failure { source: Some(source), policy: None, message });
            }
        }
    }
    inputs
}

/// An AdmissionReview, or the short form of a case.
fn is_captured(value: &Value) -> bool {
    let is_short = value.get("apiVersion").is_none() && value.get("operation").is_some_and(Value::is_string);
    value.get("kind").and_then(Value::as_str) == Some("AdmissionReview") || is_short
}

fn recorded(folder: &Path) -> Result<Captured, Box<Failure>> {
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let failed = |name: &str, line: u64, message: String| {
        let line = usize::try_from(line).unwrap_or(1);
        Box::new(Failure { source: Some(Source { file: file(name), line, column: 1 }), policy: None, message })
    };
    let text = |name: &str| -> Result<String, Box<Failure>> {
        let mut text = String::new();
        let read = std::fs::File::open(folder.join(name)).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        read.map_err(|error| failed(name, 0, format!("cannot be read: {error}")))?;
        Ok(text)
    };
    let broken = |name: &str, error: &serde_saphyr::Error| {
        let (line, _, problem) = yaml::problem(error);
        failed(name, line, problem)
    };
    let input: Value = serde_saphyr::from_str(&text("input.yaml")?).map_err(|error| broken("input.yaml", &error))?;
    let request = request(input).map_err(|error| failed("input.yaml", 0, error.to_string()))?;
    let context = if folder.join("context.yaml").is_file() {
        serde_saphyr::from_str(&text("context.yaml")?).map_err(|error| broken("context.yaml", &error))?
    } else {
        Recorded::default()
    };
    let parent = folder.canonicalize().ok().and_then(|path| Some(path.parent()?.file_name()?.to_owned()));
    let is_case = parent.is_some_and(|name| name == "cases");
    Ok(Captured { source: file("input.yaml"), request, context, is_case })
}

/// Keeps what `check` reviews.
#[derive(Debug, Default)]
pub struct Keeper(pub Vec<Reviewed>);

impl Observer for Keeper {
    fn reviewed(&mut self, reviewed: &observer::Reviewed<'_>, _worker: &mut Worker) {
        self.0.push(Reviewed {
            source: reviewed.source.map(place).unwrap_or_default(),
            request: reviewed.request.clone(),
            snapshot: reviewed.snapshot.clone(),
            outcome: reviewed.outcome.clone(),
        });
    }
}

/// What is known beside captured requests.
#[derive(Debug)]
pub struct Surroundings {
    knowledge: Knowledge,
    set: Arc<PolicySet>,
    settings: Settings,
    options: Options,
    now: jiff::Timestamp,
}

impl Surroundings {
    /// Reads them.
    #[must_use]
    pub fn new(
        context: Context,
        set: &Arc<PolicySet>,
        settings: &Settings,
        options: &Options,
        now: jiff::Timestamp,
    ) -> Self {
        let knowledge = knowledge(context, set, &options.namespace);
        Self { knowledge, set: set.clone(), settings: settings.clone(), options: options.clone(), now }
    }

    /// What could not be read of them.
    #[must_use]
    pub fn errors(&self) -> &[Failure] {
        &self.knowledge.errors
    }

    /// Reviews a captured request as the server would.
    ///
    /// # Errors
    /// When its time is no time.
    pub fn review(&self, captured: Captured, worker: &mut Worker) -> Result<Reviewed, String> {
        let Captured { source, request, context, is_case } = captured;
        let tier = self.options.tier.or(context.tier);
        let settings = Arc::new(scoped(&self.settings, &Options { tier, ..self.options.clone() }));
        let now = match context.now {
            Some(text) => text.parse().map_err(|_| format!("context.yaml: now {text:?} is no RFC 3339 time"))?,
            None => self.now,
        };
        let kinds = Kinds::new(self.set.api_versions().clone());
        let mut known = self.knowledge.known.clone();
        for object in &context.objects {
            let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
            known.add(&kinds.resolve(text("apiVersion"), text("kind")).fact_name(), object);
        }
        let needed = self.set.needed_context();
        if is_case {
            // nothing but what a case says is there, and that is known
            needed.keys().filter(|kind| !context.unsynced.contains(*kind)).for_each(|kind| known.sync(kind));
        }
        let mut facts = known.facts([], self.options.mode.is_none());
        let gaps = known.gaps(needed.keys().map(String::as_str), request.namespace.as_deref());
        gaps.iter().chain(&context.unsynced).for_each(|kind| facts.unset_kind(kind));
        let mut snapshot = Snapshot::new(self.set.clone(), settings, Arc::new(facts), now);
        if is_case {
            snapshot = snapshot.with_unregistered();
        }
        let outcome = review(&request, &snapshot, Phase::Full, Instant::now() + PER_OBJECT, worker);
        Ok(Reviewed { source, request, snapshot, outcome })
    }
}

impl Captured {
    /// What a person should know of it.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let ignored = !self.context.parameters.is_empty();
        ignored.then(|| {
            let source = &self.source;
            format!("{source}: the parameters of its context.yaml are for `seawall test`; those of the configuration hold here")
        })
    }
}
