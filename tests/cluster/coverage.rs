//! Which test saw which act of which policy on a real API server: the table `docs/coverage.md`.
//!
//! The table is made from what runs, not from what somebody says: the cases with a `cluster.yaml` (all of them run in `cases.rs`)
//! and the calls of `denied_by`, `warned_by`, `patched_by` and `audited_by` in the tests of this folder, each of which fails
//! its test when the policy did not act.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use ::seawall::config::Settings;
use ::seawall::policy::metadata::CHECKLIST;
use ::seawall::policy::store::{Policy, PolicySet};
use ::seawall::policytest::cluster::Act;

use crate::cases::case;

/// Number of items of the checklist itself; the others are further advice.
const ITEMS: usize = 13;

/// The method that fails a test unless a policy acted so.
const fn method(act: Act) -> &'static str {
    match act {
        Act::Deny => "denied_by",
        Act::Warn => "warned_by",
        Act::Patch => "patched_by",
        Act::Audit => "audited_by",
    }
}

/// Places that saw an act of a policy: cases first, then tests.
type Seen = BTreeMap<(String, Act), Vec<String>>;

/// The embedded policies, compiled once: a debug build takes seconds for it.
pub(crate) fn policies() -> &'static PolicySet {
    static SET: OnceLock<PolicySet> = OnceLock::new();
    SET.get_or_init(|| PolicySet::embedded(&Settings::default()).unwrap_or_else(|e| panic!("{e}")))
}

fn seen() -> Seen {
    let mut seen = Seen::new();
    for case in case::all().unwrap_or_else(|problems| panic!("{}", problems.join("\n"))) {
        let place = format!("[case {0}](../{1})", case.name, case.folder);
        seen.entry((case.policy, case.act)).or_default().push(place);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
        let module = file.file_stem().unwrap().to_string_lossy();
        for call in calls(&fs::read_to_string(file).unwrap()) {
            let Call { test: Some(test), act, policy: Some(policy) } = call else {
                panic!("{}: {call:?}: wants the policy's id as text, and to stand in a test", file.display())
            };
            let place = format!("`{module}::{test}`");
            let places = seen.entry((policy, act)).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    seen
}

/// A call of a method that fails its test unless a policy acted.
#[derive(Debug, PartialEq)]
struct Call {
    test: Option<String>,
    act: Act,
    policy: Option<String>,
}

/// The calls in a source file.
fn calls(source: &str) -> Vec<Call> {
    // where functions begin, and whether they are tests
    let mut functions: Vec<(usize, Option<String>)> = Vec::new();
    let (mut at, mut is_test) = (0, false);
    for line in source.split_inclusive('\n') {
        is_test |= line.trim() == "#[test]";
        if let Some(rest) = line.trim_start().trim_start_matches("pub(crate) ").strip_prefix("fn ") {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            functions.push((at, is_test.then(|| name.to_owned())));
            is_test = false;
        }
        at += line.len();
    }
    let mut found = Vec::new();
    for act in Act::ALL {
        let method = format!(".{}(", method(act));
        for (at, _) in source.match_indices(&method) {
            let argument = source[at + method.len()..].trim_start();
            let policy = argument.strip_prefix('"').and_then(|text| Some(text.split_once('"')?.0.to_owned()));
            let test = functions.iter().rev().find(|(start, _)| *start < at).and_then(|(_, name)| name.clone());
            found.push(Call { test, act, policy });
        }
    }
    found
}

fn page(set: &PolicySet, seen: &Seen) -> String {
    let mut page = String::from(
        "# Coverage

<!-- generated: SEAWALL_UPDATE=1 cargo test --test cluster coverage -->

Which test saw which policy act, on a real kube-apiserver through the real `kubectl`: rejected (Deny), told (Warn), given a safe
default (Patch), or recorded in the API server's audit log (Audit). *not yet*: it would in some tier, and no test has looked. –: in no
tier. A case is a folder of the policy; a test is a function in `tests/cluster/`. How they are found: [testing.md](testing.md).
",
    );
    for (heading, items) in [("The checklist", &CHECKLIST[..ITEMS]), ("Further advice", &CHECKLIST[ITEMS..])] {
        let _ = write!(
            page,
            "\n## {heading}\n\n| item | policy | Deny | Warn | Patch | Audit |\n| --- | --- | --- | --- | --- | --- |\n"
        );
        for item in items {
            let of_item: Vec<&Policy> = set.policies().iter().filter(|p| p.metadata.checklist == *item).collect();
            for (number, policy) in of_item.iter().enumerate() {
                let item = if number == 0 { item } else { "" };
                let _ = writeln!(page, "| {item} | {} |", row(policy, seen));
            }
            if of_item.is_empty() {
                let _ = writeln!(page, "| {item} | no policy yet | | | | |");
            }
        }
    }
    page
}

fn row(policy: &Policy, seen: &Seen) -> String {
    let folder = policy.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let cell = |act: Act| match seen.get(&(policy.id().to_owned(), act)).map(Vec::as_slice) {
        Some([place]) => place.clone(),
        Some([place, others @ ..]) => format!("{place} and {} more", others.len()),
        _ if act.tiers(&policy.metadata).is_empty() => "–".to_owned(),
        _ if !policy.metadata.is_registered() => "`seawall check` only".to_owned(),
        _ => "not yet".to_owned(),
    };
    let cells: Vec<String> = Act::ALL.map(cell).into();
    format!("[{}](../policies/{folder}/README.md) | {}", policy.id(), cells.join(" | "))
}

#[test]
fn coverage_page_is_up_to_date() {
    let page = page(policies(), &seen());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    if std::env::var_os("SEAWALL_UPDATE").is_some() {
        fs::write(&file, &page).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == page, "docs/coverage.md is not up to date: SEAWALL_UPDATE=1 cargo test --test cluster coverage");
}

/// A policy that never acted on a real API server is not done.
#[test]
fn every_policy_is_seen_at_work() {
    let (set, seen) = (policies(), seen());
    let is_seen = |policy: &&Policy| seen.keys().any(|(id, _)| id == policy.id());
    let missing: Vec<&str> =
        set.policies().iter().filter(|p| p.metadata.is_registered() && !is_seen(p)).map(Policy::id).collect();
    assert!(missing.is_empty(), "no cluster test has seen these act; give a case a cluster.yaml: {missing:#?}");
    let unknown: Vec<&String> = seen.keys().map(|(id, _)| id).filter(|id| set.get(id).is_none()).collect();
    assert!(unknown.is_empty(), "tests name policies that are not there: {unknown:?}");
}

#[test]
fn calls_belong_to_the_test_they_stand_in() {
    let source =
        "fn helper() {\n    x.%(policy);\n}\n\n#[test]\nfn a() {\n    x.%(\n        \"p-q\",\n    ).^(\"r\");\n}\n";
    let call = |test: Option<&str>, act, policy: Option<&str>| Call {
        test: test.map(str::to_owned),
        act,
        policy: policy.map(str::to_owned),
    };
    let wanted =
        [call(None, Act::Deny, None), call(Some("a"), Act::Deny, Some("p-q")), call(Some("a"), Act::Warn, Some("r"))];
    // put together here, so that this file has no such call
    let source = source.replace('%', method(Act::Deny)).replace('^', method(Act::Warn));
    assert_eq!(calls(&source), wanted);
}
