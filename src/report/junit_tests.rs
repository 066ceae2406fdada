use super::super::page::View;
use super::super::testing::{finding, hostile, judged, mixed, report, warning, written};
use super::*;

#[test]
fn there_is_a_case_for_each_violation_and_for_each_object_in_order() {
    insta::assert_snapshot!(written(write, View::AsIs, &mixed()), @r##"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="seawall" tests="6" failures="1" errors="1">
      <testsuite name="app/db.yaml" tests="5" failures="1" errors="0" skipped="2">
        <testcase name="StatefulSet shop/db: spec.reclaimPolicy" classname="class-reclaim-retain"><failure type="deny" message="the class deletes volumes">Deny in tier-1, here Deny (mode enforce): the class deletes volumes
    found:  Delete
    wanted: Retain
    fix:    set reclaimPolicy: Retain
    at:     app/db.yaml:7:3</failure></testcase>
        <testcase name="StatefulSet shop/db: spec.reclaimPolicy" classname="b"><system-out>warn: Warn in tier-1, here Warn (mode enforce): the class deletes volumes
    found:  Delete
    wanted: Retain
    fix:    set reclaimPolicy: Retain
    at:     app/db.yaml:7:3</system-out></testcase>
        <testcase name="StatefulSet shop/db: spec.reclaimPolicy" classname="c"><skipped type="exempt" message="the class deletes volumes">Deny in tier-1, here Audit (mode enforce): the class deletes volumes
    found:  Delete
    wanted: Retain
    fix:    set reclaimPolicy: Retain
    at:     app/db.yaml:7:3
    note:   exempt until 2026-12-31 by sre: moving</skipped></testcase>
        <testcase name="StatefulSet shop/db" classname="d"><skipped type="unknown" message="no answer: too little is known of services">no answer: too little is known of services</skipped></testcase>
        <testcase name="StatefulSet shop/fine" classname="no violation"/>
      </testsuite>
      <testsuite name="not read or not judged" tests="1" failures="0" errors="1" skipped="0">
        <testcase name="gap 1" classname="not read or not judged"><error type="incomplete" message="app/db.yaml:9:1: a key twice">app/db.yaml:9:1: a key twice</error></testcase>
      </testsuite>
    </testsuites>
    "##);
}

#[test]
fn suites_count_what_is_in_them() {
    let mut other = judged(vec![finding("a"), finding("b"), warning("c")]);
    other.source.file = "other.yaml".to_owned();
    let text = written(write, View::AsIs, &report(vec![judged(vec![]), judged(vec![finding("a")]), other]));
    assert!(text.contains(r#"<testsuites name="seawall" tests="5" failures="3" errors="0">"#), "{text}");
    assert!(text.contains(r#"<testsuite name="app/db.yaml" tests="2" failures="1" errors="0" skipped="0">"#), "{text}");
    assert!(text.contains(r#"<testsuite name="other.yaml" tests="3" failures="2" errors="0" skipped="0">"#), "{text}");
    assert_eq!(text.matches("</testsuite>").count(), 2);
    assert_eq!(text.matches("<failure ").count(), 3);
    let nothing = written(write, View::AsIs, &report(vec![]));
    assert_eq!(nothing.lines().count(), 3, "{nothing}");
}

#[test]
fn stored_objects_stand_in_the_suite_of_their_namespace() {
    let mut stored = judged(vec![finding("a")]);
    stored.source.line = 0;
    let mut class = stored.clone();
    class.resource.namespace = None;
    let text = written(write, View::AsEnforced, &report(vec![class, stored]));
    assert!(
        text.contains(r#"<testsuite name="(no namespace)" "#) && text.contains(r#"<testsuite name="shop" "#),
        "{text}"
    );
}

#[test]
fn hostile_text_stays_text() {
    let text = written(write, View::AsIs, &report(vec![hostile()]));
    let allowed = |c: char| matches!(c, '\n') || c >= ' ' && !matches!(u32::from(c), 0x7F..=0x9F | 0xFFFE | 0xFFFF);
    assert!(text.chars().all(allowed), "{text:?}");
    assert!(!text.contains("<img") && !text.contains("]]>") && !text.contains("<!--"), "{text}");
    assert_eq!(text.matches("<testcase ").count(), 2, "{text}");
}
