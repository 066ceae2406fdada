//! Allocations in `seawall bench`. A binary of its own: the allocator that counts is that of the whole process.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use seawall::benchmark::measure::{How, cases};
use seawall::config::Settings;
use seawall::policy::bundle::Bundle;
use seawall::policy::store::PolicySet;
use std::path::Path;

#[test]
fn a_policy_that_finds_more_allocates_more_and_the_same_each_time() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/bench");
    let bundle = Bundle::read(&folder).unwrap();
    let set = PolicySet::build(&bundle, &Settings::default()).unwrap();
    let count = || {
        let allocations: Option<seawall::benchmark::CountAllocations> =
            Some(|run| allocation_counter::measure(run).count_total);
        let how = How { runs: 1, interpreter: false, policies: Vec::new(), allocations };
        let table = cases(&bundle, &set, &how);
        assert_eq!(table.problems, Vec::<String>::new());
        ["small", "large"].map(|policy| table.rules[policy]["violation"].allocations.unwrap())
    };
    let [small, large] = count();
    assert!(small > 0 && large > small, "{small} {large}");
    assert_eq!(count(), [small, large]);
}
