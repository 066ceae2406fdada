//! The cases of policies that carry a `cluster.yaml`, through the real `kubectl` against the real API server: the context is
//! made, the input is applied by a developer, and what that person sees is compared with what the case expects.
//!
//! One case after the other on a control plane of their own, since cases share the names of cluster-scoped objects. Facts
//! reach Seawall a moment after they are stored, so each input is tried as a server-side dry run until the answer is right, and
//! then once in earnest.

pub(crate) mod case;
mod guard;
mod stage;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use ::seawall::context::kinds::Kinds;
use ::seawall::policytest::cluster::Act;

use crate::harness::binaries::announce;
use crate::harness::controlplane::{ControlPlane, Options, next_number};
use crate::harness::kubectl::Output;
use crate::harness::own;
use case::Case;
use guard::Guard;
use stage::Stage;

/// How long the facts of a case may take to reach Seawall.
const PATIENCE: Duration = Duration::from_secs(10);

/// `SEAWALL_CASES=id` runs only the cases whose folder contains it.
fn chosen() -> Vec<Case> {
    let cases = case::all().unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
    match std::env::var("SEAWALL_CASES") {
        Ok(part) => cases.into_iter().filter(|case| case.folder.contains(&part.replace('-', "_"))).collect(),
        Err(_) => cases,
    }
}

#[test]
fn cases_of_policies() {
    let Some(plane) = own(&Options { audit: true, ..Options::default() }) else { return };
    let cases = chosen();
    let kinds = stage::define_kinds(&plane, &cases);
    let (mut failures, mut times) = (Vec::new(), Vec::new());
    let mut groups: BTreeMap<Guard, Vec<&Case>> = BTreeMap::new();
    for case in &cases {
        groups.entry(Guard::of(case, &kinds)).or_default().push(case);
    }
    for (guard, cases) in groups {
        let _seawall = guard.start(&plane);
        for case in cases {
            let started = Instant::now();
            if let Err(problem) = run(&plane, &kinds, case) {
                failures.push(format!("{} ({:?}, {}): {problem}", case.folder, case.act, case.tier));
            }
            times.push((started.elapsed(), &case.folder));
        }
    }
    times.sort();
    if let Some((longest, folder)) = times.last() {
        let total: Duration = times.iter().map(|(time, _)| *time).sum();
        announce(&format!("{} cases in {total:.1?}, the longest {longest:.1?}: {folder}", times.len()));
    }
    assert!(failures.is_empty(), "{} of {} cases:\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

fn run(plane: &ControlPlane, kinds: &Kinds, case: &Case) -> Result<(), String> {
    // unique, and no name that a policy knows
    let namespace = format!("shop-{}", next_number());
    let case = case.clone().moved(&namespace);
    let stage = Stage::set(plane, kinds, &case, &namespace)?;
    let path = stage.path(&case.input);
    let manifest = case.input.to_string();
    let apply = |flags: &[&str]| {
        let output = plane.kubectl().apply(&manifest, &[&["-o", "json"], flags].concat());
        verdict(plane, kinds, &case, &output, flags.is_empty())
            .map_err(|problem| format!("{problem}\n{}", output.stderr))
    };
    let deadline = Instant::now() + PATIENCE;
    while let Err(problem) = apply(&["--dry-run=server"]) {
        let hopeless = ["is invalid:", "strict decoding error", "error validating"].iter().any(|e| problem.contains(e));
        if hopeless || Instant::now() > deadline {
            return Err(format!("dry run: {problem}"));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let result = apply(&[]).and_then(|()| {
        let stored = plane.api(stage::USER).get(&path).unwrap().0 == 200;
        if stored == (case.act != Act::Deny) { Ok(()) } else { Err(format!("stored: {stored}")) }
    });
    stage.clear(&case.input);
    result
}

/// Whether the person at `kubectl`, and the audit log, are told what the case expects.
fn verdict(plane: &ControlPlane, kinds: &Kinds, case: &Case, output: &Output, real: bool) -> Result<(), String> {
    let id = format!("[{}] ", case.policy);
    let denied = !output.status.success();
    if denied != (case.act == Act::Deny) {
        return Err(if denied { "it is refused" } else { "it is not refused" }.to_owned());
    }
    match case.act {
        Act::Deny => {
            let text = output.stderr.split_once("denied the request").ok_or("it is not Seawall that refuses")?.1;
            says(&case.messages, text.split("\n").filter(|line| line.contains(&format!(". {id}"))))
        }
        Act::Warn => says(&case.messages, output.warnings().into_iter().filter(|w| w.starts_with(&id))),
        Act::Patch => {
            let announced = |w: &&str| w.starts_with("seawall set ") && w.ends_with(id.trim_end());
            output.warnings().iter().find(|w| announced(w)).ok_or("no default of the policy is announced")?;
            let stored: Value = serde_json::from_str(&output.stdout).map_err(|e| format!("-o json: {e}"))?;
            let patched = case.patched.as_ref().ok_or("nothing is expected")?;
            changes(&case.input, patched, &stored).map_or(Ok(()), |missing| Err(format!("not patched: {missing}")))
        }
        Act::Audit => {
            if output.stderr.contains(&id) {
                return Err("the user is told".to_owned());
            }
            let text = |key: &str| case.input[key].as_str().unwrap_or_default();
            let resource = kinds.resolve(text("apiVersion"), text("kind")).resource.resource;
            let dry = |event: &Value| event["requestURI"].as_str().is_some_and(|uri| uri.contains("dryRun"));
            let name = case.input["metadata"]["name"].as_str().unwrap_or_default();
            let namespace = &case.input["metadata"]["namespace"];
            // the log has a Namespace in no namespace when it is made, and in itself later
            let within = |event: &Value| text("kind") == "Namespace" || event["objectRef"]["namespace"] == *namespace;
            let here = |event: &Value| dry(event) != real && within(event);
            let named = plane.audited(&resource, name, here).names(&case.policy);
            if named { Ok(()) } else { Err("the audit log does not name the policy".to_owned()) }
        }
    }
}

/// Each expected message is in one of the lines.
fn says<'l>(messages: &[String], lines: impl Iterator<Item = &'l str>) -> Result<(), String> {
    let lines: Vec<&str> = lines.collect();
    match messages.iter().find(|message| !lines.iter().any(|line| line.contains(message.as_str()))) {
        None => Ok(()),
        Some(message) if lines.is_empty() => Err(format!("the policy says nothing; wanted: {message}")),
        Some(message) => Err(format!("the policy does not say: {message}")),
    }
}

/// What `wanted` has and `found` lacks; the API server adds defaults, other policies add list elements.
fn differences(wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        // a null is dropped when the object is stored
        (Value::Null, _) => None,
        (Value::Object(wanted), Value::Object(_)) => wanted
            .iter()
            .find_map(|(key, value)| differences(value, &found[key.as_str()]).map(|rest| format!("/{key}{rest}"))),
        (Value::Array(wanted), Value::Array(found)) => wanted.iter().enumerate().find_map(|(index, value)| {
            let there = found.iter().any(|candidate| differences(value, candidate).is_none());
            (!there).then(|| format!("/{index}: wanted {value}"))
        }),
        _ if wanted == found || same_quantity(wanted, found) => None,
        // empty maps and lists are dropped too
        (Value::Object(fields), Value::Null) if fields.is_empty() => None,
        (Value::Array(items), Value::Null) if items.is_empty() => None,
        _ => Some(format!(": wanted {wanted}, found {found}")),
    }
}

/// The API server writes quantities in their shortest form, `1024Mi` as `1Gi`.
fn same_quantity(wanted: &Value, found: &Value) -> bool {
    let number = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let power = match &text[end..] {
            "" => 1.0,
            "m" => 0.001,
            "k" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "T" => 1e12,
            "Ki" => 1024.0,
            "Mi" => 1_048_576.0,
            "Gi" => 1_073_741_824.0,
            "Ti" => 1_099_511_627_776.0,
            _ => return None,
        };
        Some(text[..end].parse::<f64>().ok()? * power)
    };
    matches!((number(wanted), number(found)), (Some(a), Some(b)) if (a - b).abs() < 1e-6 * a.abs())
}

/// What `patched` has in places where it differs from `input`, and `stored` lacks.
fn changes(input: &Value, patched: &Value, stored: &Value) -> Option<String> {
    match (input, patched) {
        (Value::Object(before), Value::Object(after)) => {
            let removed = before.keys().filter(|key| !after.contains_key(*key));
            let kept = removed.map(|key| (key, &stored[key.as_str()])).find(|(_, value)| !value.is_null());
            if let Some((key, value)) = kept {
                return Some(format!("/{key}: wanted nothing, found {value}"));
            }
            after.iter().find_map(|(key, value)| {
                let rest = match before.get(key) {
                    Some(before) => changes(before, value, &stored[key.as_str()]),
                    None => differences(value, &stored[key.as_str()]),
                };
                rest.map(|rest| format!("/{key}{rest}"))
            })
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let pairs = before.iter().zip(after).enumerate();
            let mut rests = pairs.map(|(index, (before, after))| (index, changes(before, after, &stored[index])));
            rests.find_map(|(index, rest)| rest.map(|rest| format!("/{index}{rest}")))
        }
        _ if input == patched => None,
        _ => differences(patched, stored),
    }
}

#[test]
fn changes_are_looked_for_where_the_patch_made_them() {
    let input = json!({"a": {"x": 1, "gone": true}, "list": [{"n": 1}, {"n": 2}]});
    let patched = json!({"a": {"x": 1, "y": [{"k": 1}]}, "list": [{"n": 1}, {"n": 2, "m": 3}]});
    let stored = json!({"a": {"x": 9, "y": [{"other": 0}, {"k": 1, "d": 2}]}, "list": [{"n": 1}, {"n": 2, "m": 3}]});
    assert_eq!(changes(&input, &patched, &stored), None);
    let changed = |pointer: &str, value: Value| {
        let mut stored = stored.clone();
        *stored.pointer_mut(pointer).unwrap() = value;
        changes(&input, &patched, &stored).unwrap()
    };
    assert_eq!(changed("/a/y/1/k", json!(2)), "/a/y/0: wanted {\"k\":1}");
    assert_eq!(changed("/list/1/m", json!(4)), "/list/1/m: wanted 3, found 4");
    assert_eq!(changed("/a", json!({"gone": true, "y": [{"k": 1}]})), "/a/gone: wanted nothing, found true");
    assert!(differences(&json!({"q": "1024Mi"}), &json!({"q": "1Gi"})).is_none());
    assert!(differences(&json!({"q": "1000Mi"}), &json!({"q": "1Gi"})).is_some());
}
