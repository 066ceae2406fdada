//! Runs the cases of policies that can be loaded: what patches do to the object, and whether policies contradict each other.

use super::{Context, Found, Module};
use crate::admission::request::Operation;
use crate::config::{Defaults, Settings};
use crate::context::facts::Facts;
use crate::context::kinds::Kinds;
use crate::engine::analysis::Place;
use crate::engine::compile::{EngineKind, Entry, SyntaxError};
use crate::engine::evaluate::Worker;
use crate::patch::plan::DropKind;
use crate::policy::bundle::Bundle;
use crate::policy::mode::{Mode, PatchSetting, Tier};
use crate::policy::store::{PolicyError, PolicySet};
use crate::policytest::case::Case;
use crate::review::{Phase, Snapshot, review};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that one review of a case may take; the server gives a second to all policies together.
const LIMIT: Duration = Duration::from_secs(2);

/// Runs what can be loaded. Returns what was not done, in words.
pub(super) fn check(
    context: &Context<'_>,
    settings: &Settings,
    broken: &BTreeSet<String>,
    found: &mut Found,
) -> Vec<String> {
    let written = Settings { knowledge: settings.knowledge.clone(), ..Settings::default() };
    let mut notes = Vec::new();
    // a file with an error of its own cannot be loaded
    let failing: BTreeSet<String> = found
        .0
        .iter()
        .filter(|raw| super::codes::get(raw.code).is_some_and(|code| code.refused))
        .map(|raw| raw.place.file.clone())
        .collect();
    let is_library = |package: &str| !package.starts_with("data.seawall.policies.");
    let library_broken = broken.iter().any(|package| is_library(package))
        || context.modules.iter().any(|m| is_library(&m.package) && !m.is_test() && failing.contains(&m.file));
    if library_broken {
        notes.push("the cases were not run: a module of the library cannot be loaded".to_owned());
        return notes;
    }
    let mut bundle = context.set.bundle.clone();
    let needed: BTreeSet<&str> = context.set.needed().collect();
    bundle.modules.retain(|package, sources| {
        let policy = package.starts_with("seawall.policies.");
        let good = sources.iter().all(|source| !failing.contains(&source.file))
            && (!policy || (sources.len() == 1 && needed.contains(package.as_str())));
        good && (policy || package.starts_with("seawall.lib."))
    });
    if !bundle.modules.keys().any(|package| package.starts_with("seawall.policies.")) {
        return notes;
    }
    let set = match PolicySet::build(&bundle, &written) {
        Ok(set) => set,
        Err(error) => match without_unloadable(context, bundle, &written, &error, found) {
            Some(set) => set,
            None => {
                notes.push("the cases were not run: the policies cannot be loaded".to_owned());
                return notes;
            }
        },
    };
    let mut worker = Worker::new();
    // an answer that is known to be of another shape is not told twice
    let told = |file: &str, found: &Found| {
        found
            .0
            .iter()
            .any(|raw| raw.place.file == file && raw.code.starts_with("result/") && raw.code != "result/unconditional")
    };
    for policy in set.policies() {
        let Some(module) = context.linted().find(|module| module.package == policy.unit.package) else { continue };
        if policy.engine() == EngineKind::Interpreter
            && let Some(reason) = &policy.unit.interpreted_because
            && !context.set.cases(&module.package).is_empty()
        {
            let place = module.place(module.tree().get("package").unwrap_or(&Json::Null));
            let message = format!("the fast engine cannot run the policy: {reason}");
            found.add(
                "engine/not-compiled",
                place,
                message,
                "write it in another way; `a | b` on sets is union({a, b})",
            );
        }
        if told(&module.file, found) {
            continue;
        }
        let mut told = BTreeSet::new();
        for files in context.set.cases(&module.package) {
            if let Some(Ok(case)) = context.cases.get(files.folder.as_str()) {
                run(context, module, &set, policy.id(), case, &files.folder, &mut worker, &mut told, found);
            }
        }
    }
    contradictions(context, &set, &written, &mut worker, found);
    notes
}

/// One policy with what its case shows.
#[expect(clippy::too_many_arguments, reason = "one case of one policy, and where it is told")]
fn run(
    context: &Context<'_>,
    module: &Module,
    set: &PolicySet,
    id: &str,
    case: &Case,
    folder: &str,
    worker: &mut Worker,
    told: &mut BTreeSet<&'static str>,
    found: &mut Found,
) {
    let Some(snapshot) = case.snapshot(set, id) else { return };
    let place = |rule: &str| {
        let rule = context.rules.get(&format!("{}.{rule}", module.package));
        rule.map_or_else(|| module.place(module.tree().get("package").unwrap_or(&Json::Null)), |rule| rule.place())
    };
    let case_name = folder.rsplit('/').next().unwrap_or(folder);
    let mut ask = |request: &_, phase| review(request, &snapshot, phase, Instant::now() + LIMIT, worker);
    let judged = ask(case.request(), Phase::Validate);
    let patched = ask(case.request(), Phase::Mutate);
    for failure in judged.failures.iter().chain(&patched.failures) {
        let (code, fix) = match failure.kind {
            "result" => ("result/wrong-shape", "see docs/policy-format.md, What a policy answers"),
            "timeout" => (
                "cases/policy-fails",
                "loop over what the object has, not over lists of lists; the server stops it too",
            ),
            _ => (
                "cases/policy-fails",
                "guard what may be of another type, with the functions of data.seawall.lib.object",
            ),
        };
        if told.insert(code) {
            let rule = if failure.reason.starts_with("patch") { "patch" } else { "violation" };
            let message = format!("in the case {case_name} the policy fails: {}", failure.reason);
            found.wide(code, place(rule), rule.len(), message, fix);
        }
    }
    let endless = patched.patch.dropped.iter().find(|dropped| dropped.kind != DropKind::Conflict);
    if let Some(dropped) = endless
        && told.insert("patch/repeats")
    {
        let (message, fix) = match dropped.kind {
            DropKind::NoFixpoint => ("the patches never come to an end", "patch only `if` the value is not there yet"),
            _ => ("the patch does not apply", "\"remove\" only what is there"),
        };
        let message = format!("in the case {case_name} {message}: {}", dropped.reason);
        found.wide("patch/repeats", place("patch"), "patch".len(), message, fix);
    }
    let Some(object) = patched.patch.object.filter(|_| !patched.patch.applied.is_empty()) else { return };
    let request = case.request().with_object(object);
    let again = ask(&request, Phase::Mutate);
    if let Some(change) = again.patch.applied.first()
        && told.insert("patch/repeats")
    {
        let message = format!("in the case {case_name} a second pass patches {} again", change.pointer);
        let fix = "patch only `if` the value is not there yet";
        found.wide("patch/repeats", place("patch"), "patch".len(), message, fix);
    }
    let left = ask(&request, Phase::Validate).findings;
    let written: BTreeSet<&str> = patched.patch.applied.iter().map(|c| c.pointer.trim_end_matches("/-")).collect();
    let left =
        left.iter().map(|f| crate::admission::pointer::to_pointer(&f.path)).find(|p| written.contains(p.as_str()));
    if let Some(pointer) = left
        && told.insert("patch/never-clears")
    {
        let message = format!("in the case {case_name} the patched object still violates at {pointer}");
        let fix = "write the value that the violation wants";
        found.wide("patch/never-clears", place("patch"), "patch".len(), message, fix);
    }
}

/// Loads each linted policy by itself, tells those that cannot be, and loads the others together.
fn without_unloadable(
    context: &Context<'_>,
    mut bundle: Bundle,
    settings: &Settings,
    error: &PolicyError,
    found: &mut Found,
) -> Option<PolicySet> {
    let policies: Vec<String> = bundle.modules.keys().filter(|p| p.starts_with("seawall.policies.")).cloned().collect();
    let mut told = false;
    for package in policies {
        let mut alone = bundle.clone();
        alone.modules.retain(|other, _| *other == package || other.starts_with("seawall.lib."));
        let Err(error) = PolicySet::build(&alone, settings) else { continue };
        told = true;
        let sources = bundle.modules.remove(&package).unwrap_or_default();
        if let Some(source) = sources.first() {
            not_loaded(&source.file, &error.to_string(), found);
        }
    }
    if !told && let Some(module) = context.linted().next() {
        not_loaded(&module.file, &error.to_string(), found);
    }
    bundle
        .modules
        .keys()
        .any(|p| p.starts_with("seawall.policies."))
        .then(|| PolicySet::build(&bundle, settings).ok())?
}

fn not_loaded(file: &str, error: &str, found: &mut Found) {
    // the engine draws an excerpt with the place; the loader's own errors begin with it
    let drawn = SyntaxError::of(file, error);
    let (place, problem) =
        match error.strip_prefix(&format!("{file}:")).map(|rest| rest.splitn(3, ':').collect::<Vec<_>>()) {
            Some(parts) if parts.len() == 3 => {
                let number = |at: usize| parts.get(at).and_then(|n| n.trim().parse().ok()).unwrap_or(1);
                let place = Place { file: file.to_owned(), line: number(0), column: number(1) };
                (place, parts.get(2).map_or(error, |rest| rest.trim()).to_owned())
            }
            _ => (Place { file: file.to_owned(), line: drawn.line, column: drawn.column }, drawn.problem),
        };
    found.add(
        "engine/not-loaded",
        place,
        format!("the server would not load it: {problem}"),
        "`opa check --strict` tells more about it",
    );
}

/// Policies whose patches contradict each other on the object of a case.
fn contradictions(context: &Context<'_>, set: &PolicySet, settings: &Settings, worker: &mut Worker, found: &mut Found) {
    let ids: Vec<String> =
        set.policies().iter().filter(|p| p.unit.has(Entry::Patch)).map(|p| p.id().to_owned()).collect();
    let Some(patching) = set.some(&ids).filter(|_| ids.len() > 1) else { return };
    let patching = Arc::new(patching);
    let kinds = Kinds::default();
    let mut told = BTreeSet::new();
    for policy in set.policies() {
        for files in context.set.cases(&policy.unit.package) {
            let Some(Ok(case)) = context.cases.get(files.folder.as_str()) else { continue };
            if !concerned(&patching, case) {
                continue;
            }
            let Some(snapshot) = case.snapshot(set, policy.id()) else { continue };
            let synced =
                patching.needed_context().keys().filter(|kind| !case.unsynced().contains(*kind)).cloned().collect();
            let facts = Facts::from_objects(
                case.objects().iter().map(|object| {
                    let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
                    (kinds.resolve(text("apiVersion"), text("kind")).fact_name(), object)
                }),
                &synced,
            );
            let facts = Arc::new(facts);
            // only tiers in which two policies want to patch could be contradictory
            let wanting =
                |tier: &&Tier| patching.policies().iter().filter(|p| p.metadata.patch.contains(*tier)).count();
            for tier in Tier::ALL.iter().filter(|tier| wanting(tier) > 1) {
                let defaults = Defaults { tier: *tier, mode: Mode::Enforce, patch: Some(PatchSetting::Enabled) };
                let settings = Arc::new(Settings { defaults, ..settings.clone() });
                let together =
                    Snapshot::new(patching.clone(), settings, facts.clone(), snapshot.now).with_unregistered();
                let outcome = review(case.request(), &together, Phase::Mutate, Instant::now() + LIMIT, worker);
                for dropped in outcome.patch.dropped.iter().filter(|d| d.kind == DropKind::Conflict) {
                    if !told.insert(dropped.policies.clone()) {
                        continue;
                    }
                    let case = files.folder.clone();
                    for id in &dropped.policies {
                        let package = format!("data.seawall.policies.{}", id.replace('-', "_"));
                        let Some(rule) = context.rules.get(&format!("{package}.patch")) else { continue };
                        let others: Vec<&str> =
                            dropped.policies.iter().filter(|o| *o != id).map(String::as_str).collect();
                        let message = format!(
                            "its patches contradict those of {} on {case} in {tier}: {}; neither is written",
                            others.join(", "),
                            dropped.reason
                        );
                        let fix = "let one of them leave the field alone where the other one patches it";
                        found.wide("patch/conflict", rule.place(), "patch".len(), message, fix);
                    }
                }
            }
        }
    }
}

/// Whether two policies could patch the object of a case: only what is made is patched, and claims and Pods stand in workloads.
fn concerned(patching: &PolicySet, case: &Case) -> bool {
    let request = case.request();
    let resource = request.resource.resource.as_str();
    let inner = ["persistentvolumeclaims", "pods"];
    let matches = |name: &String| name == resource || inner.contains(&name.as_str());
    let count = patching
        .policies()
        .iter()
        .filter(|policy| policy.metadata.rules.iter().any(|rule| rule.resources.iter().any(matches)))
        .count();
    request.operation == Operation::Create && count > 1
}
