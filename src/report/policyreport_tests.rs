use super::super::testing::{HOSTILE, exempt, finding, hostile, judged, report, warning};
use super::*;
use crate::decision::Finding;
use crate::policy::mode::Action;

fn built(judged: &Judged) -> Value {
    build(judged, Flavour::WgPolicy).unwrap()
}

#[test]
fn a_report_says_what_did_not_pass() {
    let mut object = judged(vec![exempt("c"), warning("b"), finding("a")]);
    object.uid = Some("0a1b".to_owned());
    object.unknown = vec![UnknownRow { policy: "d".to_owned(), missing: "services".to_owned() }];
    insta::assert_snapshot!(yaml::to_yaml(&built(&object)), @r#"
    apiVersion: wgpolicyk8s.io/v1alpha2
    kind: PolicyReport
    metadata:
      name: seawall-0a1b
      namespace: shop
      labels:
        app.kubernetes.io/managed-by: seawall
        seawall.dev/report-hash: "6f0074fb55d137ce9c53278efbe8b5be"
      ownerReferences:
      - apiVersion: apps/v1
        kind: StatefulSet
        name: db
        uid: "0a1b"
    scope:
      apiVersion: apps/v1
      kind: StatefulSet
      namespace: shop
      name: db
      uid: "0a1b"
    summary:
      pass: 0
      fail: 1
      warn: 1
      error: 1
      skip: 1
    results:
    - source: seawall
      policy: a
      category: reclaim-policy
      severity: critical
      result: fail
      scored: true
      message: "spec.reclaimPolicy: the class deletes volumes. Fix: set reclaimPolicy: Retain"
      properties:
        resultID: cc89171adfb72a0cd7b80d6019b47d3b
        path: spec.reclaimPolicy
        found: Delete
        wanted: Retain
        action: Deny
        effectiveAction: Deny
        tier: tier-1
        mode: enforce
    - source: seawall
      policy: d
      result: error
      scored: false
      message: "No answer: too little is known of services."
      properties:
        resultID: "139d8eea3338556cbd12c17bffbb4c67"
        missing: services
    - source: seawall
      policy: b
      category: reclaim-policy
      severity: low
      result: warn
      scored: false
      message: "spec.reclaimPolicy: the class deletes volumes. Fix: set reclaimPolicy: Retain"
      properties:
        resultID: "8f1b05f3fc646aa6ff8ba7cea1c61d68"
        path: spec.reclaimPolicy
        found: Delete
        wanted: Retain
        action: Warn
        effectiveAction: Warn
        tier: tier-1
        mode: enforce
    - source: seawall
      policy: c
      category: reclaim-policy
      severity: critical
      result: skip
      scored: false
      message: "spec.reclaimPolicy: the class deletes volumes. Fix: set reclaimPolicy: Retain"
      properties:
        resultID: b067c8384c6dff4a24603b63b1edc50d
        path: spec.reclaimPolicy
        found: Delete
        wanted: Retain
        action: Deny
        effectiveAction: Audit
        tier: tier-1
        mode: enforce
        note: "exempt until 2026-12-31 by sre: moving"
    "#);
}

#[test]
fn both_groups_have_the_same_body() {
    let mut object = judged(vec![finding("a")]);
    object.resource.namespace = None;
    let (mut old, mut new) = (built(&object), build(&object, Flavour::OpenReports).unwrap());
    assert_eq!((&old["apiVersion"], &old["kind"]), (&json!("wgpolicyk8s.io/v1alpha2"), &json!("ClusterPolicyReport")));
    assert_eq!((&new["apiVersion"], &new["kind"]), (&json!("openreports.io/v1alpha1"), &json!("ClusterReport")));
    assert_eq!(new["source"], "seawall");
    for report in [&mut old, &mut new] {
        let report = report.as_object_mut().unwrap();
        ["apiVersion", "kind", "source"].iter().for_each(|key| drop(report.remove(*key)));
        report["metadata"]["labels"].as_object_mut().unwrap().remove(HASH);
    }
    assert_eq!(old, new);
}

#[test]
fn nothing_found_is_no_report() {
    assert_eq!(build(&judged(vec![]), Flavour::WgPolicy), None);
    let mut out = Vec::new();
    write(&report(vec![judged(vec![])]), Flavour::WgPolicy, &mut out).unwrap();
    assert_eq!(out, b"# nothing to report\n");
}

#[test]
fn the_order_of_finding_does_not_matter() {
    let there = judged(vec![finding("a"), warning("b"), exempt("c"), finding("d")]);
    let back = judged(vec![finding("d"), exempt("c"), warning("b"), finding("a")]);
    assert_eq!(built(&there).to_string(), built(&back).to_string());
}

#[test]
fn the_hash_tells_every_change_and_the_name_stays() {
    let one = judged(vec![finding("a")]);
    let two = judged(vec![Finding { message: "other".to_owned(), ..finding("a") }]);
    let label = |object: &Judged| built(object)["metadata"]["labels"][HASH].clone();
    assert_ne!(label(&one), label(&two));
    assert_eq!(label(&one), label(&one.clone()));
    assert_eq!(name(&one), name(&two));
    // the result stays the same one, though its message changed
    let id = |object: &Judged| built(object)["results"][0]["properties"]["resultID"].clone();
    assert_eq!(id(&one), id(&two));
    let mut renamed = one.clone();
    renamed.resource.name = "db2".to_owned();
    assert_ne!(name(&one), name(&renamed));
    assert_ne!(id(&one), id(&renamed));
    let upgraded =
        Judged { resource: ResourceId { api_version: "apps/v1beta2".into(), ..one.resource.clone() }, ..one.clone() };
    assert_eq!(name(&one), name(&upgraded));
}

#[test]
fn results_have_ids_of_their_own_even_when_they_say_the_same() {
    let object = judged(vec![finding("a"), finding("a"), finding("a")]);
    let report = built(&object);
    let ids: BTreeSet<&str> =
        report["results"].as_array().unwrap().iter().map(|r| r["properties"]["resultID"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn what_an_operator_owns_never_fails() {
    // in mode audit the cap changes nothing today, so it is not named
    let mut owned = finding("a");
    owned.capped_by = None;
    owned.effective = Action::Audit;
    owned.in_enforce = Action::Audit;
    assert_eq!(built(&judged(vec![owned]))["results"][0]["result"], "warn");
}

#[test]
fn a_report_stays_small_and_says_what_it_left_out() {
    let long = "ä".repeat(100_000);
    let many: Vec<Finding> = (0..2000)
        .map(|n| Finding { message: long.clone(), fix: long.clone(), key: n.to_string(), ..warning("b") })
        .chain([finding("worst")])
        .collect();
    let report = built(&judged(many));
    assert!(report.to_string().len() < MOST_BYTES + 4096, "{}", report.to_string().len());
    let results = report["results"].as_array().unwrap();
    assert!(results.len() <= MOST_RESULTS && !results.is_empty(), "{}", results.len());
    assert_eq!(results[0]["policy"], "worst");
    // all are counted
    assert_eq!((&report["summary"]["fail"], &report["summary"]["warn"]), (&json!(1), &json!(2000)));
    let left_out = report["metadata"]["annotations"][LEFT_OUT].as_str().unwrap();
    assert_eq!(left_out, (2001 - results.len()).to_string());
    assert!(results.iter().all(|r| r["message"].as_str().unwrap().len() <= LONGEST_TEXT));
    let short = (0..MOST_RESULTS + 1).map(|n| Finding { key: n.to_string(), ..warning("b") }).collect();
    let report = built(&judged(short));
    assert_eq!(report["results"].as_array().unwrap().len(), MOST_RESULTS);
    assert_eq!(report["metadata"]["annotations"][LEFT_OUT], "1");
}

#[test]
fn hostile_text_stays_text() {
    let mut out = Vec::new();
    write(&report(vec![hostile(), judged(vec![finding("a")])]), Flavour::WgPolicy, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("---")).count(), 2, "{text}");
    let reports: Vec<Value> = text
        .split("---\napiVersion")
        .skip(1)
        .map(|part| serde_saphyr::from_str(&format!("apiVersion{part}")).unwrap())
        .collect();
    assert_eq!(reports[0], built(&hostile()));
    assert_eq!(reports[0]["scope"]["name"], HOSTILE);
    let message = reports[0]["results"][0]["message"].as_str().unwrap();
    assert!(!message.contains(char::is_control), "{message:?}");
}
