//! `docs/first-policy.md` works as typed, as far as it needs no cluster; `tests/cluster/guide.rs` runs all of it.

#[path = "../guide/mod.rs"]
#[expect(dead_code, reason = "tests/cluster uses more of it")]
mod page;

use page::{Person, steps};
use std::path::Path;

#[test]
fn the_first_policy_works_as_typed() {
    let page = include_str!("../../docs/first-policy.md");
    let mut person = Person::new(&[Path::new(env!("CARGO_BIN_EXE_seawall"))]);
    let steps = steps(page);
    let local: Vec<_> = steps.iter().filter(|step| !step.cluster).collect();
    assert!(
        local.len() > 10 && steps.len() > local.len() + 5,
        "{} steps, {} without a cluster",
        steps.len(),
        local.len()
    );
    for step in local {
        person.does(step).unwrap_or_else(|wrong| panic!("docs/first-policy.md:{}:\n{wrong}", step.line));
    }
}
