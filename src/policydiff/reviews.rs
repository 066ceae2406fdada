//! Recorded reviews, read one at a time, so that there may be any number of them.
//!
//! - `.json`, standard input: one or more AdmissionReviews (`admission.k8s.io/v1`), one after the other
//! - `.jsonl`, `.ndjson`: one on each line; a line that cannot be read does not hinder the others
//! - `.yaml`, `.yml`: one AdmissionReview
//! - a folder with `input.yaml` and `expected.yaml`: what `serve --record-bodies` keeps, or a case of a policy
//!
//! A review that has a `response` beside its `request` says what was answered.

use crate::admission::request::Request;
use crate::policy::bundle::CaseFiles;
use crate::policy::mode::Tier;
use crate::policytest::case::Case;
use crate::report::{Failure, Source};
use crate::yaml;
use ignore::WalkBuilder;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Longest line in bytes; the API server sends at most about 27 MiB.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Largest YAML file in bytes.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The name of standard input on the command line.
const STDIN: &str = "-";

/// One recorded review.
#[derive(Debug, Clone)]
pub struct Recording {
    /// File, and line or number in it.
    pub place: String,
    /// The request.
    pub request: Request,
    /// What was answered, where the record says so.
    pub recorded: Option<Recorded>,
    /// What the record says besides the request.
    pub scene: Option<Scene>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Recorded {
    /// The `response` of the AdmissionReview.
    Response(Value),
    /// What one policy found: JSON Pointers.
    Violations {
        /// The policy.
        policy: String,
        /// Its violations.
        paths: BTreeSet<String>,
        /// All of them, whatever they lead to; else only those that reject in mode enforce.
        all: bool,
    },
}

/// What a folder of a case says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scene {
    /// Tier of the namespace.
    pub tier: Option<Tier>,
    /// The clock.
    pub now: Option<jiff::Timestamp>,
    /// What else there is.
    pub objects: Vec<Value>,
    /// The objects are all that there is, but for the kinds here.
    pub complete_but: Option<BTreeSet<String>>,
}

/// Who takes the recordings. An error ends the reading.
pub type Visit<'v> = dyn FnMut(Result<Recording, Failure>) -> io::Result<()> + 'v;

/// Reads all recordings of paths, files of a folder by name. What cannot be read is handed over as well.
///
/// # Errors
/// Those of `visit`.
pub fn each(paths: &[PathBuf], stdin: &mut dyn Read, visit: &mut Visit<'_>) -> io::Result<()> {
    for path in paths {
        let mut found = false;
        let mut counted = |recording: Result<Recording, Failure>| {
            found = true;
            visit(recording)
        };
        if path.as_os_str() == STDIN {
            stream("stdin", &mut BufReader::new(&mut *stdin), &mut counted)?;
        } else if path.is_dir() {
            folder(path, &mut counted)?;
        } else {
            file(path, true, &mut counted)?;
        }
        if !found {
            let name = if path.as_os_str() == STDIN { "stdin".into() } else { path.to_string_lossy() };
            let problem = "holds no recorded review; wanted AdmissionReviews (.json, .jsonl, .yaml), or folders with input.yaml \
                           and expected.yaml as `serve --record-bodies` writes them";
            visit(Err(failure(&name, 0, problem.to_owned())))?;
        }
    }
    Ok(())
}

fn failure(file: &str, line: usize, message: String) -> Failure {
    let source = Source { file: file.to_owned(), line, column: usize::from(line > 0) };
    Failure { source: Some(source), policy: None, message }
}

fn folder(folder: &Path, visit: &mut Visit<'_>) -> io::Result<()> {
    // the rules of `check`: no ignore files, links followed
    let walk = WalkBuilder::new(folder)
        .standard_filters(false)
        .hidden(true)
        .follow_links(true)
        .sort_by_file_path(Path::cmp)
        .build();
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|t| t.is_file()) => file(entry.path(), false, visit)?,
            Ok(_) => {}
            Err(error) => visit(Err(failure(&folder.to_string_lossy(), 0, error.to_string())))?,
        }
    }
    Ok(())
}

/// Reads a file. One that was named must be a record; of a folder what is none is passed over.
fn file(path: &Path, named: bool, visit: &mut Visit<'_>) -> io::Result<()> {
    let name = path.to_string_lossy();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let file_name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let beside = |other: &str| path.with_file_name(other);
    let is_case = beside("input.yaml").is_file() && beside("expected.yaml").is_file();
    if is_case && file_name == "input.yaml" {
        return visit(case(path).map_err(|problem| failure(&name, 0, problem)));
    }
    let of_case = is_case && ["context.yaml", "expected.yaml", "cluster.yaml"].contains(&file_name);
    let of_policy = !named && ["data.yaml", "data.json"].contains(&file_name);
    if of_case || of_policy {
        return Ok(());
    }
    match extension {
        "json" | "jsonl" | "ndjson" => match File::open(path) {
            Ok(file) if extension == "json" => stream(&name, &mut BufReader::new(file), visit),
            Ok(file) => lines(&name, &mut BufReader::new(file), visit),
            Err(error) => visit(Err(failure(&name, 0, format!("cannot be read: {error}")))),
        },
        "yaml" | "yml" => visit(of_yaml(path).map_err(|(line, problem)| failure(&name, line, problem))),
        _ if named => match File::open(path) {
            Ok(file) => stream(&name, &mut BufReader::new(file), visit),
            Err(error) => visit(Err(failure(&name, 0, format!("cannot be read: {error}")))),
        },
        _ => Ok(()),
    }
}

/// JSON documents one after the other, on as many lines as they like. The place of what follows an error cannot be known.
fn stream(name: &str, from: &mut dyn Read, visit: &mut Visit<'_>) -> io::Result<()> {
    let documents = serde_json::Deserializer::from_reader(from).into_iter::<Value>();
    for (index, document) in documents.enumerate() {
        let place = if index == 0 { name.to_owned() } else { format!("{name}#{}", index + 1) };
        match document {
            Ok(review) => visit(recording(place.clone(), review).map_err(|problem| failure(&place, 0, problem)))?,
            Err(error) => {
                let problem = format!("is not readable JSON: {error}; what follows was not read");
                return visit(Err(failure(name, 0, problem)));
            }
        }
    }
    Ok(())
}

fn lines(name: &str, from: &mut dyn BufRead, visit: &mut Visit<'_>) -> io::Result<()> {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let failed = |problem: String| Err(failure(name, number, problem));
        match (&mut *from).take(LONGEST).read_until(b'\n', &mut line) {
            Err(error) => return visit(failed(format!("cannot be read: {error}"))),
            Ok(0) => break,
            Ok(read) if read as u64 == LONGEST => {
                let problem =
                    format!("is a line of more than {} MiB; what follows was not read", LONGEST / 1024 / 1024);
                return visit(failed(problem));
            }
            Ok(_) if line.iter().all(u8::is_ascii_whitespace) => {}
            Ok(_) => {
                let review = serde_json::from_slice(&line).map_err(|error| format!("is not readable JSON: {error}"));
                let recording = review.and_then(|review| recording(format!("{name}:{number}"), review));
                visit(recording.or_else(failed))?;
            }
        }
    }
    Ok(())
}

fn text(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    let read = File::open(path).map_err(cannot)?.take(LARGEST + 1).read_to_string(&mut text).map_err(cannot)?;
    if read as u64 > LARGEST { Err(format!("is larger than {} MiB", LARGEST / 1024 / 1024)) } else { Ok(text) }
}

fn of_yaml(path: &Path) -> Result<Recording, (usize, String)> {
    let text = text(path).map_err(|problem| (0, problem))?;
    let review: Value = serde_saphyr::from_str(&text).map_err(|error| {
        let (line, _, problem) = yaml::problem(&error);
        (usize::try_from(line).unwrap_or_default(), problem)
    })?;
    recording(path.to_string_lossy().into_owned(), review).map_err(|problem| (0, problem))
}

/// A recording from an AdmissionReview.
fn recording(place: String, review: Value) -> Result<Recording, String> {
    let word = |key: &str| review.get(key).and_then(Value::as_str).unwrap_or("(none)").to_owned();
    let (version, kind) = (word("apiVersion"), word("kind"));
    if version != "admission.k8s.io/v1" || kind != "AdmissionReview" {
        return Err(format!(
            "is {version} {kind}; wanted admission.k8s.io/v1 AdmissionReview, as the API server sends it to a webhook"
        ));
    }
    let Value::Object(mut review) = review else { return Err("is no AdmissionReview".to_owned()) };
    let Some(Value::Object(mut request)) = review.shift_remove("request") else {
        return Err(
            "is an AdmissionReview without a request; record the request, with or without the response".to_owned()
        );
    };
    // a record may leave out what only the two ends of a call need
    request.entry("uid").or_insert_with(|| Value::from("recorded"));
    let request = Request::from_body(request).map_err(|error| error.to_string())?;
    let recorded = review.shift_remove("response").filter(Value::is_object).map(Recorded::Response);
    Ok(Recording { place, request, recorded, scene: None })
}

/// A recording from the folder of a case.
fn case(input: &Path) -> Result<Recording, String> {
    let beside = |name: &str| input.with_file_name(name);
    let folder = input.parent().unwrap_or(input);
    let context = beside("context.yaml");
    let files = CaseFiles {
        name: folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
        folder: folder.to_string_lossy().into_owned(),
        input: text(input)?,
        context: if context.is_file() { Some(text(&context)?) } else { None },
        expected: text(&beside("expected.yaml"))?,
    };
    let case = Case::parse(&files).map_err(|error| error.to_string())?;
    let (policy, is_policys) = policy_of(folder);
    let paths = case.expected_paths().map(|paths| paths.into_iter().map(str::to_owned).collect());
    let scene = Scene {
        tier: Some(case.tier()),
        // what was recorded says nothing of its time
        now: case.now().filter(|_| is_policys),
        objects: case.objects().to_vec(),
        complete_but: is_policys.then(|| case.unsynced().clone()),
    };
    Ok(Recording {
        place: files.folder,
        request: case.request().clone(),
        recorded: policy.zip(paths).map(|(policy, paths)| Recorded::Violations { policy, paths, all: is_policys }),
        scene: Some(scene),
    })
}

/// The policy that the folder of a case belongs to, and whether the folder is one of the policy's own cases: in
/// `POLICY/CASE` the record of a server, in `POLICY/cases/CASE` the policy's, which knows all that there is.
fn policy_of(folder: &Path) -> (Option<String>, bool) {
    let name = |path: Option<&Path>| Some(path?.file_name()?.to_string_lossy().replace('_', "-"));
    let above = folder.parent();
    match name(above) {
        Some(cases) if cases == "cases" => (name(above.and_then(Path::parent)), true),
        policy => (policy, false),
    }
}
