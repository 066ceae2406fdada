//! On every case of every policy OPA answers what the RVM and the interpreter answer.

use crate::embedded::{bundle, set};
use crate::oracle::Oracle;
use seawall::engine::evaluate::Worker;
use seawall::engine::value;
use seawall::policytest::case::Case;
use seawall::review::inputs;

#[test]
fn the_three_engines_agree_on_every_case() {
    let Some(mut oracle) = Oracle::start() else { return };
    let mut worker = Worker::new();
    let mut differences = Vec::new();
    for policy in set().policies() {
        let package = policy.unit.package.trim_start_matches("data.");
        for files in bundle().cases.get(package).into_iter().flatten() {
            let case = Case::parse(files).unwrap_or_else(|e| panic!("{}: {e}", files.folder));
            let snapshot = case.snapshot(set(), policy.id()).unwrap();
            let cluster = value::to_json(&snapshot.facts.data()).unwrap().to_string();
            for (policy, input) in inputs(case.request(), &snapshot) {
                let same = oracle.compare(&mut worker, policy, &input, &snapshot, &cluster);
                differences.extend(same.err().map(|e| format!("{}: {e}", files.folder)));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
