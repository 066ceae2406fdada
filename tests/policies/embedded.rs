//! The embedded set as a whole.

use seawall::config::Settings;
use seawall::policy::bundle::Bundle;
use seawall::policy::store::PolicySet;
use seawall::policytest::run_all;
use std::sync::{Arc, LazyLock};

/// The embedded files.
pub(crate) fn bundle() -> &'static Bundle {
    static BUNDLE: LazyLock<Bundle> = LazyLock::new(|| Bundle::embedded().unwrap());
    &BUNDLE
}

/// The embedded policies, compiled once for all tests.
pub(crate) fn set() -> &'static Arc<PolicySet> {
    static SET: LazyLock<Arc<PolicySet>> =
        LazyLock::new(|| Arc::new(PolicySet::build(bundle(), &Settings::default()).unwrap_or_else(|e| panic!("{e}"))));
    &SET
}

#[test]
fn every_case_holds_on_both_engines() {
    let (count, failures) = run_all(bundle(), set());
    let text: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{} of {count} cases:\n{}", failures.len(), text.join("\n"));
    assert!(count >= 100, "only {count} cases");
}

#[test]
fn every_policy_has_cases_that_fire_and_that_stay_quiet_and_a_page() {
    for policy in set().policies() {
        let package = policy.unit.package.trim_start_matches("data.");
        let cases = bundle().cases.get(package).map(Vec::as_slice).unwrap_or_default();
        let fires = |text: &str| text.contains("- path:");
        assert!(cases.iter().any(|c| fires(&c.expected)), "{}: no case fires", policy.id());
        assert!(cases.iter().any(|c| !fires(&c.expected)), "{}: no case stays quiet", policy.id());
        let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("policies")
            .join(&policy.file)
            .with_file_name("README.md");
        assert!(page.exists(), "{}: no page {}", policy.id(), page.display());
    }
}

#[test]
fn every_policy_runs_on_the_fast_engine() {
    let slow: Vec<String> = set()
        .policies()
        .iter()
        .filter_map(|p| Some(format!("{}: {}", p.id(), p.unit.interpreted_because.as_ref()?)))
        .collect();
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

#[test]
fn the_index_is_up_to_date() {
    generated("policies/README.md", &seawall::report::index::policies(set()));
    generated("policies/seawall/knowledge/policies/data.yaml", &seawall::report::index::knowledge(set()));
}

/// Compares a generated file, or writes it where `SEAWALL_UPDATE` is set.
fn generated(name: &str, page: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("SEAWALL_UPDATE").is_some() {
        std::fs::write(&file, page).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == page, "{name} is not up to date: SEAWALL_UPDATE=1 cargo test --test policies index");
}
