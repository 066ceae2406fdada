//! Properties that hold for every request, tried on generated ones: the engines agree, no policy fails, verdicts depend on what
//! they should and nothing else, defaults are written once and put back.
//!
//! `SEAWALL_GENERATED` is how many requests each test makes (500), `SEAWALL_GENERATED_SEED` chooses others. A failing request is
//! made smaller and printed.

mod cases;
mod cluster;
mod fields;
mod knowledge;
mod objects;
mod pods;
mod storage;
mod workloads;

use crate::embedded::set;
use crate::oracle::Oracle;
use objects::{Sample, kinds, pointers, sample};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use seawall::admission::pointer::to_pointer;
use seawall::admission::request::Request;
use seawall::decision::Finding;
use seawall::engine::compile::Entry;
use seawall::engine::evaluate::Worker;
use seawall::engine::value;
use seawall::patch::record::ANNOTATION_POINTER;
use seawall::policy::mode::{Action, Tier};
use seawall::review::{Outcome, Phase, Snapshot, inputs, review};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Tries a property on all requests.
fn for_all(property: impl Fn(&Sample, &mut Worker) -> Result<(), String>) {
    let number = |name: &str, default: u32| {
        std::env::var(name)
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
    };
    let cases = number("SEAWALL_GENERATED", 500);
    let mut seed = [7; 16];
    seed[..4].copy_from_slice(&number("SEAWALL_GENERATED_SEED", 0).to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let worker = RefCell::new(Worker::new());
    let tried = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &seed))
        .run(&sample(), |sample| property(&sample, &mut worker.borrow_mut()).map_err(TestCaseError::fail));
    if let Err(error) = tried {
        panic!("{error}");
    }
}

fn outcome(request: &Request, snapshot: &Snapshot, phase: Phase, worker: &mut Worker) -> Outcome {
    review(request, snapshot, phase, Instant::now() + Duration::from_secs(60), worker)
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

#[test]
fn the_three_engines_agree() {
    let Some(oracle) = Oracle::start() else { return };
    let oracle = RefCell::new(oracle);
    for_all(|sample, worker| {
        let snapshot = sample.snapshot();
        let cluster = value::to_json(&snapshot.facts.data()).unwrap().to_string();
        for (policy, input) in inputs(&sample.as_is(), &snapshot) {
            oracle.borrow_mut().compare(worker, policy, &input, &snapshot, &cluster)?;
        }
        Ok(())
    });
}

#[test]
fn verdicts_depend_neither_on_the_order_of_keys_nor_on_fields_of_others() {
    for_all(|sample, worker| {
        let snapshot = sample.snapshot();
        let mut of = |object: &Value, old: &Value| {
            let result = outcome(&sample.request(&sample.operation, object, old), &snapshot, Phase::Full, worker);
            check(result.failures.is_empty(), || format!("a policy fails: {:?}", result.failures))?;
            Ok::<_, String>((result.findings, result.unknown, result.patch.applied, result.patch.restored))
        };
        let verdict = of(&sample.object, &sample.old)?;
        let turned = of(&reversed(&sample.object), &reversed(&sample.old))?;
        check(turned == verdict, || format!("{verdict:?}\nwith the keys in another order: {turned:?}"))?;
        let more = of(&with_strange_fields(&sample.object), &with_strange_fields(&sample.old))?;
        check(more == verdict, || format!("{verdict:?}\nwith fields that no policy knows: {more:?}"))
    });
}

#[test]
fn verdicts_are_the_same_with_the_defaults_of_the_api_written_out() {
    for_all(|sample, worker| {
        let (object, old) = (spelled_out(&sample.object), spelled_out(&sample.old));
        let comparable = |object: &Value| !has_null_text(object) && claims_are_valid(object);
        if sample.wild || !comparable(&sample.object) || !comparable(&sample.old) {
            return Ok(());
        }
        let snapshot = sample.snapshot();
        let mut of = |object: &Value, old: &Value| {
            let result = outcome(&sample.request(&sample.operation, object, old), &snapshot, Phase::Full, worker);
            let findings = result.findings.into_iter().map(|f| (f.policy, f.effective, to_pointer(&f.path), f.message));
            let applied =
                result.patch.applied.into_iter().map(|c| (c.policy, c.pointer, c.to.map(|to| without_nulls(&to))));
            (findings.collect::<Vec<_>>(), applied.collect::<Vec<_>>())
        };
        let (short, long) = (of(&sample.object, &sample.old), of(&object, &old));
        check(short == long, || format!("as written: {short:?}\nwith defaults: {long:?}"))
    });
}

#[test]
fn defaults_are_written_once_and_put_back() {
    for_all(|sample, worker| {
        let snapshot = sample.snapshot();
        let original = if sample.object.is_object() { &sample.object } else { &sample.old };
        written_once_and_put_back(sample, original, Value::clone, &snapshot, worker)?;
        // as it goes in a cluster, where the API server fills in its defaults before and after
        let seen = spelled_out(original);
        if sample.wild { Ok(()) } else { written_once_and_put_back(sample, &seen, spelled_out, &snapshot, worker) }
    });
}

/// Creates an object, and sends it again after `stored` made the stored object of what was answered.
fn written_once_and_put_back(
    sample: &Sample,
    original: &Value,
    stored: impl Fn(&Value) -> Value,
    snapshot: &Snapshot,
    worker: &mut Worker,
) -> Result<(), String> {
    let request = sample.request("CREATE", original, &Value::Null);
    // in the version that webhooks see
    let original = request.object().unwrap_or(original);
    let made = outcome(&request, snapshot, Phase::Mutate, worker).patch;
    check(sample.wild || made.dropped.is_empty(), || format!("dropped: {:?}", made.dropped))?;
    let Some(patched) = made.object else { return Ok(()) };
    let mut by_operations = original.clone();
    json_patch::patch(&mut by_operations, &made.operations).map_err(|e| format!("does not apply: {e}"))?;
    check(by_operations == patched, || "the operations do not make the object".to_owned())?;
    let written: BTreeSet<&str> = made.applied.iter().map(|c| c.pointer.trim_end_matches("/-")).collect();
    kept(original, &patched, &written)?;

    // as another webhook's change makes the API server ask again
    let patched = stored(&patched);
    let again = outcome(&request.with_object(patched.clone()), snapshot, Phase::Mutate, worker).patch;
    check(again.operations.0.is_empty(), || format!("a second pass does {}", json!(again.operations)))?;
    let left = outcome(&request.with_object(patched.clone()), snapshot, Phase::Validate, worker).findings;
    // another policy may have a lesser wish about the same value, or one that the patch leaves as it was
    let before = outcome(&request, snapshot, Phase::Validate, worker).findings;
    let wrote = |policy: &str| made.applied.iter().any(|change| change.policy == policy);
    let new = |f: &Finding| !before.iter().any(|old| (&old.policy, &old.path) == (&f.policy, &f.path));
    let at_written = left.iter().filter(|f| written.contains(to_pointer(&f.path).as_str()));
    let still = at_written.into_iter().find(|f| wrote(&f.policy) || f.effective == Action::Deny && new(f));
    check(still.is_none(), || format!("still violates: {still:?}"))?;

    for (what, new) in [("the original", original), ("the stored object", &patched)] {
        let update = sample.request("UPDATE", new, &patched);
        let result = outcome(&update, snapshot, Phase::Mutate, worker).patch;
        let result = result.object.as_ref().unwrap_or(new);
        check(result == &patched, || format!("{what} again gives {result}\nstored was {patched}"))?;
    }
    Ok(())
}

#[test]
fn asked_again_after_another_webhook_the_record_stays_and_is_not_made_up() {
    let mut worker = Worker::new();
    let object = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "db"}}, "template": {
            "metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "db", "image": "postgres:16", "ports": [{"containerPort": 5432}]}]}}},
    });
    let sample = Sample::new("CREATE", object.clone(), Tier::Tier1);
    let snapshot = sample.snapshot();
    let mut mutate = |object: &Value| {
        let request = sample.request("CREATE", object, &Value::Null);
        outcome(&request, &snapshot, Phase::Mutate, &mut worker).patch.object.unwrap_or_else(|| object.clone())
    };
    let mut stored = mutate(&object);
    let record = stored.pointer(ANNOTATION_POINTER).cloned().unwrap();
    assert!(record.as_str().unwrap().contains("[db]/readinessProbe"), "{record}");
    // a mesh puts its proxy in front
    let containers = stored.pointer_mut("/spec/template/spec/containers").and_then(Value::as_array_mut).unwrap();
    containers.insert(0, json!({"name": "istio-proxy", "image": "istio/proxyv2"}));
    assert_eq!(mutate(&stored), stored);
    // what no policy writes is not taken over
    let mut forged = stored.clone();
    let text = r#"{"/spec/replicas":[{"policy":"anti-affinity-host","from":1}],"/spec/x":[{"policy":"none"}]}"#;
    *forged.pointer_mut(ANNOTATION_POINTER).unwrap() = json!(text);
    assert_eq!(mutate(&forged).pointer(ANNOTATION_POINTER), None);
}

#[test]
fn every_policy_is_tried() {
    let (fired, patched) = (RefCell::new(BTreeMap::<String, u32>::new()), RefCell::new(BTreeMap::<String, u32>::new()));
    for_all(|sample, worker| {
        let snapshot = sample.snapshot();
        let judged = outcome(&sample.as_is(), &snapshot, Phase::Validate, worker).findings;
        judged.into_iter().for_each(|f| *fired.borrow_mut().entry(f.policy).or_insert(0) += 1);
        let mutated = outcome(&sample.as_is(), &snapshot, Phase::Mutate, worker).patch;
        mutated.applied.into_iter().for_each(|c| *patched.borrow_mut().entry(c.policy).or_insert(0) += 1);
        Ok(())
    });
    let (fired, patched) = (fired.into_inner(), patched.into_inner());
    let untried = set().policies().iter().filter(|policy| {
        let patches = policy.unit.has(Entry::Patch);
        !fired.contains_key(policy.id()) || patches && !patched.contains_key(policy.id())
    });
    let untried: Vec<&str> = untried.map(|policy| policy.id()).collect();
    assert!(
        untried.is_empty(),
        "{untried:?} are not tried (extend tests/policies/generated): violations {fired:?}, patches {patched:?}"
    );
}

/// Everything of the original that no patch is about is still there.
fn kept(original: &Value, patched: &Value, written: &BTreeSet<&str>) -> Result<(), String> {
    let mut places = Vec::new();
    pointers(original, "", &mut places);
    for place in places {
        let about = |written: &str| written == place || written.starts_with(&format!("{place}/"));
        let (before, after) = (original.pointer(&place), patched.pointer(&place));
        let is_parent = before.is_some_and(|v| v.is_object() || v.is_array()) && after.is_some();
        // a patch may write a whole object in the place of another one, where that says nothing but the defaults
        let was_default =
            |w: &str| place.starts_with(&format!("{w}/")) && by_default(original, w).pointer(&place) == before;
        let changed = written.iter().any(|w| about(w) || was_default(w)) || about(ANNOTATION_POINTER);
        check(before == after || is_parent || changed, || format!("{place} was changed: {before:?} to {after:?}"))?;
    }
    Ok(())
}

/// The object as the API server would make it, had the user written nothing at a place.
fn by_default(object: &Value, place: &str) -> Value {
    let mut object = object.clone();
    if let Some((parent, key)) = place.rsplit_once('/')
        && let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut)
    {
        fields.remove(key);
    }
    spelled_out(&object)
}

/// The object with the defaults that the API server fills in.
fn spelled_out(object: &Value) -> Value {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let resource = kinds().resolve(text("apiVersion"), text("kind"));
    let mut object = object.clone();
    seawall::check::defaults::apply(&resource, "default", &mut object);
    object
}

/// Null is absent, but in a map of texts it is an empty text to the API.
fn has_null_text(object: &Value) -> bool {
    let mut places = Vec::new();
    pointers(object, "", &mut places);
    let maps = ["/labels/", "/annotations/", "/matchLabels/", "/parameters/"];
    places.iter().any(|p| maps.iter().any(|map| p.contains(map)) && object.pointer(p) == Some(&Value::Null))
}

/// Policies leave a claim without any spec to the API server, which refuses it, but gives it defaults first.
fn claims_are_valid(object: &Value) -> bool {
    let has_spec = |claim: &Value| {
        let spec = claim.get("spec").and_then(Value::as_object);
        spec.is_some_and(|spec| spec.values().any(|v| !v.is_null()))
    };
    let templates = object.pointer("/spec/volumeClaimTemplates").and_then(Value::as_array);
    let is_claim = object.get("kind").and_then(Value::as_str) == Some("PersistentVolumeClaim");
    (!is_claim || has_spec(object)) && templates.into_iter().flatten().all(has_spec)
}

/// A patch may copy a part of the object that holds a null.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let there = map.iter().filter(|(_, v)| !v.is_null());
            Value::Object(there.map(|(k, v)| (k.clone(), without_nulls(v))).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn reversed(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            Value::Object(map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(reversed).collect(),
        other => other.clone(),
    }
}

/// Annotations and fields of other tools, in the places where an object may have them.
fn with_strange_fields(object: &Value) -> Value {
    let mut object = object.clone();
    let places = [
        "",
        "/spec",
        "/metadata",
        "/metadata/annotations",
        "/metadata/labels",
        "/spec/template/metadata",
        "/spec/template/spec",
    ];
    for place in places {
        if let Some(map) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            map.insert("example.com/strange".to_owned(), json!("é"));
        }
    }
    object
}

#[test]
#[ignore]
fn dump() {
    for_all(|sample, worker| {
        let snapshot = sample.snapshot();
        let judged = outcome(&sample.as_is(), &snapshot, Phase::Validate, worker).findings;
        let mut ids: Vec<String> = judged.into_iter().map(|f| f.policy).collect();
        ids.dedup();
        println!(
            "{}",
            json!({"sample": serde_json::from_str::<Value>(&format!("{sample:?}")).unwrap(), "findings": ids})
        );
        Ok(())
    });
}
