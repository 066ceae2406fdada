use super::super::Report;
use super::super::page::View;
use super::super::testing::{HOSTILE, finding, hostile, judged, mixed, report, written};
use super::*;

fn log(report: &Report) -> Value {
    serde_json::from_str(&written(write, View::AsIs, report)).unwrap()
}

#[test]
fn a_run_has_rules_results_and_what_went_wrong() {
    let log = log(&mixed());
    assert_eq!((&log["version"], &log["runs"][0]["columnKind"]), (&json!("2.1.0"), &json!("unicodeCodePoints")));
    let run = &log["runs"][0];
    let rule = &run["tool"]["driver"]["rules"][0];
    assert_eq!((&rule["id"], &rule["name"]), (&json!("class-reclaim-retain"), &json!("ClassReclaimRetain")));
    for part in ["/shortDescription/text", "/fullDescription/text", "/help/text", "/help/markdown", "/helpUri"] {
        assert!(rule.pointer(part).and_then(Value::as_str).is_some_and(|text| text.len() > 10), "{part}: {rule}");
    }
    let levels: Vec<&str> = run["results"].as_array().unwrap().iter().map(|r| r["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["error", "warning", "note"]);
    let result = &run["results"][0];
    assert_eq!(result["ruleIndex"], 0);
    assert_eq!(
        result["locations"][0]["physicalLocation"],
        json!({"artifactLocation": {"uri": "app/db.yaml"}, "region": {"startLine": 7, "startColumn": 3}})
    );
    assert_eq!(result["suppressions"], json!([]));
    let suppressed = &run["results"][2]["suppressions"][0];
    assert_eq!(suppressed["justification"], "exempt until 2026-12-31 by sre: moving");
    // a policy that is not loaded any more has no rule, and its results stand all the same
    assert_eq!(run["results"][1].get("ruleIndex"), None);
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    let told = run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap();
    assert_eq!(told, "app/db.yaml:9:1: a key twice");
}

#[test]
fn fingerprints_stay_when_lines_and_words_change() {
    let print = |report: &Report| log(report)["runs"][0]["results"][0]["partialFingerprints"].clone();
    let one = judged(vec![finding("a")]);
    let mut moved = one.clone();
    moved.violations[0].source.line = 70;
    moved.violations[0].finding.message = "other words".to_owned();
    assert_eq!(print(&report(vec![one.clone()])), print(&report(vec![moved])));
    let mut other = one.clone();
    other.resource.name = "db2".to_owned();
    assert_ne!(print(&report(vec![one.clone()])), print(&report(vec![other])));
    // the upload works it out of the file, and complains of another one
    assert_eq!(print(&report(vec![one])).get("primaryLocationLineHash"), None);
}

#[test]
fn what_is_stored_has_a_place_too() {
    let mut stored = judged(vec![finding("a")]);
    let source = Source { file: "cluster".to_owned(), line: 0, column: 0 };
    (stored.source, stored.violations[0].source) = (source.clone(), source);
    let result = &log(&report(vec![stored]))["runs"][0]["results"][0];
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "cluster/shop/StatefulSet/db");
    assert_eq!(place["region"], json!({"startLine": 1}));
    let hash = result["partialFingerprints"]["primaryLocationLineHash"].as_str().unwrap();
    assert!(hash.ends_with(":1") && hash.len() == 34, "{hash}");
}

#[test]
fn paths_are_references_that_match_the_files_of_a_repository() {
    assert_eq!(uri("./app/db.yaml"), "app/db.yaml");
    assert_eq!(uri("../a b/ü#?.yaml"), "../a%20b/%C3%BC%23%3F.yaml");
    assert_eq!(uri("javascript:x"), "javascript%3Ax");
    assert_eq!(uri("/tmp/x.yaml"), "file:///tmp/x.yaml");
}

#[test]
fn hostile_text_stays_text() {
    let log = log(&report(vec![hostile()]));
    let result = &log["runs"][0]["results"][0];
    let message = result["message"]["text"].as_str().unwrap();
    // no link: SARIF's messages know `[text](target)`
    assert!(message.contains("\\[b\\](javascript:c)") && !message.contains(" [b]"), "{message}");
    // our own lines, and no others
    assert_eq!(message.lines().count(), 4, "{message}");
    let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap();
    assert!(uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains('<'), "{uri}");
    assert!(!log.to_string().contains(HOSTILE));
}
