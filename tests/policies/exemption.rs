//! The policy that rejects malformed exemptions and the code that decides whether one counts must say the same.

use crate::embedded::set;
use jiff::civil::date;
use proptest::prelude::*;
use seawall::config::Settings;
use seawall::context::facts::Facts;
use seawall::engine::evaluate::Worker;
use seawall::policy::exemption::{self, Bounds, Declared};
use seawall::policy::mode::{Mode, Tier};
use seawall::review::{Phase, Snapshot, review};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn violations(object: &Value, tier: Tier) -> usize {
    let mut settings = Settings::default();
    settings.defaults.mode = Mode::Enforce;
    settings.defaults.tier = tier;
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    let snapshot = Snapshot::new(set().clone(), Arc::new(settings), Arc::new(Facts::default()), now);
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "u", "kind": {"group": "storage.k8s.io", "version": "v1", "kind": "StorageClass"},
        "resource": {"group": "storage.k8s.io", "version": "v1", "resource": "storageclasses"},
        "name": "fast", "operation": "CREATE", "userInfo": {"username": "dev"}, "object": object}});
    let request = seawall::admission::request::Request::from_review(body.to_string().as_bytes()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let outcome = review(&request, &snapshot, Phase::Validate, deadline, &mut Worker::new());
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome.findings.iter().filter(|f| f.policy == exemption::POLICY).count()
}

fn text() -> impl Strategy<Value = Option<String>> {
    let ids = vec!["anti-affinity-host", "class-reclaim-retain", "delete-claim", "nothing", " ", "", ","];
    proptest::option::of(proptest::collection::vec(proptest::sample::select(ids), 1..4).prop_map(|l| l.join(",")))
}

fn day() -> impl Strategy<Value = Option<String>> {
    let near = (0..500_i64).prop_map(|days| {
        let from = date(2026, 1, 1);
        from.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
    });
    let odd = proptest::sample::select(vec![
        "",
        " ",
        "2026-02-29",
        "2028-02-29",
        "2026-1-2",
        "20260120",
        "soon",
        "2026-01-20T00:00:00Z",
        "9999-12-31",
        "0000-01-01",
        "-001-01-01",
        "2026-13-01",
        " 2026-01-20 ",
        "2026-01-15",
        "２０２６-01-15",
    ]);
    proptest::option::of(prop_oneof![3 => near, 1 => odd.prop_map(str::to_owned)])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn policy_and_code_agree(
        exempt in text(),
        reason in proptest::option::of(proptest::sample::select(vec!["", "  ", "because"])),
        until in day(),
        by in proptest::option::of(proptest::sample::select(vec!["", "platform"])),
        tier in proptest::sample::select(Tier::ALL.to_vec()),
    ) {
        let mut annotations = serde_json::Map::new();
        let pairs = [
            (exemption::EXEMPT, exempt),
            (exemption::REASON, reason.map(str::to_owned)),
            (exemption::UNTIL, until),
            (exemption::BY, by.map(str::to_owned)),
        ];
        for (key, text) in pairs {
            text.and_then(|text| annotations.insert(key.to_owned(), json!(text)));
        }
        let object = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "fast", "annotations": annotations}, "provisioner": "ebs.csi.aws.com"});
        let exemptible = |id: &str| set().get(id).map(|p| p.metadata.exemptible);
        let declared = exemption::declared(&object, date(2026, 1, 15), Bounds::of_tier(tier), exemptible);
        let invalid = matches!(declared, Declared::Invalid { .. });
        prop_assert_eq!(invalid, violations(&object, tier) > 0, "{:?} in {}: {}", declared, tier, object);
    }
}
