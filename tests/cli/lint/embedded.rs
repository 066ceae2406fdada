//! The embedded policies are clean, and their folder says the same as the binary.

use seawall::config::Settings;
use seawall::lint::set::Set;
use seawall::lint::{Level, Levels, Report, lint};
use std::path::Path;

fn told(report: &Report) -> String {
    report.findings.iter().map(|f| format!("{} [{}] {}; {}\n", f.place, f.code.name, f.message, f.fix)).collect()
}

#[test]
fn the_embedded_policies_are_clean() {
    let report = lint(&Set::embedded(), &Settings::default(), &Levels::default());
    assert_eq!((told(&report), report.notes.clone()), (String::new(), Vec::<String>::new()));
    assert!(report.policies >= 72 && report.libraries >= 18, "{} and {}", report.policies, report.libraries);
    assert_eq!(report.count(Level::Error), 0);
}

#[test]
fn the_folder_of_one_policy_is_seen_with_the_bundle_around_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/seawall/policies/class_reclaim_retain");
    let report = lint(&Set::path(&root, None).unwrap(), &Settings::default(), &Levels::default());
    assert_eq!(told(&report), "");
    assert_eq!((report.policies, report.libraries), (1, 0));
}
