//! Runs the cases and `test_` rules of policies: a front end of [`crate::review`], used by `seawall test` and when policies are loaded.
//!
//! [`case`] reads and runs a case, [`expected`] compares, [`subject`] is one policy with all that tests it,
//! [`load`] finds them, [`suite`] runs them in parallel, [`report`] shows what came of it, [`update`] rewrites expectations.

pub mod case;
pub mod cluster;
pub mod expected;
pub mod load;
pub mod mutation;
pub mod probe;
pub mod report;
pub mod schema;
pub mod subject;
pub mod suite;
pub mod update;

use crate::engine::compile::EngineKind;
use crate::engine::evaluate::Worker;
use crate::policy::bundle::Bundle;
use crate::policy::store::PolicySet;
use case::Case;

/// A case that does not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{folder}: {problem}")]
pub struct CaseFailure {
    /// The case's folder.
    pub folder: String,
    /// What is wrong.
    pub problem: String,
}

/// Runs all cases of a set on both engines. Returns how many there were and which failed.
#[must_use]
pub fn run_all(bundle: &Bundle, set: &PolicySet) -> (usize, Vec<CaseFailure>) {
    let mut failures = Vec::new();
    let mut count = 0;
    let mut rvm = Worker::forced(EngineKind::Rvm);
    let mut interpreter = Worker::forced(EngineKind::Interpreter);
    for policy in set.policies() {
        let package = policy.unit.package.trim_start_matches("data.");
        for files in bundle.cases.get(package).into_iter().flatten() {
            count += 1;
            let failed = |problem| CaseFailure { folder: files.folder.clone(), problem };
            let case = match Case::parse(files) {
                Ok(case) => case,
                Err(error) => {
                    failures.push(failed(error.to_string()));
                    continue;
                }
            };
            if policy.unit.is_compiled() {
                failures.extend(case.run(set, policy.id(), &mut rvm).into_iter().map(|p| failed(format!("RVM: {p}"))));
            }
            failures.extend(
                case.run(set, policy.id(), &mut interpreter).into_iter().map(|p| failed(format!("interpreter: {p}"))),
            );
        }
    }
    (count, failures)
}
