use super::*;
use crate::admission::pointer::Step;
use crate::policy::mode::{Action, Mode, Severity, Tier};

fn finding(path: &[&str], msg: &str, found: Value) -> Finding {
    Finding {
        policy: "p".into(),
        checklist: "storage-class".into(),
        severity: Severity::High,
        action: Action::Deny,
        effective: Action::Deny,
        in_enforce: Action::Deny,
        tier: Tier::Tier2,
        mode: Mode::Enforce,
        path: path.iter().map(|key| Step::Key((*key).to_owned())).collect(),
        message: msg.to_owned(),
        found: (found != Value::Null).then_some(found),
        wanted: json!("Retain"),
        fix: "write it".into(),
        key: String::new(),
        ratcheted: false,
        capped_by: None,
        note: None,
        expanded_from: None,
    }
}

fn seen(violations: Vec<Finding>, patched: Option<Value>) -> Seen {
    Seen { violations, patched, unknown: vec![], failures: vec![], dropped: vec![], again: vec![], left: vec![] }
}

const FILE: &str = "# why this case is here\n\nviolations:\n- path: /a\n  msg: first\n  found: 1\n- path: /b\n  msg: second\n# lost\n- {path: /c, fix: write}\n";

#[test]
fn what_fits_fits_in_any_order() {
    let expected = Expected::parse(FILE).unwrap();
    let all = vec![
        finding(&["c"], "third", Value::Null),
        finding(&["b"], "the second one", json!(2)),
        finding(&["a"], "the first one", json!(1)),
    ];
    assert!(expected.fits(&seen(all.clone(), None)));
    assert_eq!(expected.problems(&seen(all.clone(), None)), Vec::<String>::new());
    assert_eq!(expected.diff(&seen(all.clone(), None)), Vec::<String>::new());
    assert!(!expected.fits(&seen(all.clone(), Some(json!({})))));
    assert!(!expected.fits(&Seen { unknown: vec!["pods".into()], ..seen(all.clone(), None) }));
    let more: Vec<Finding> = all.iter().cloned().chain([finding(&["d"], "fourth", Value::Null)]).collect();
    assert!(!expected.fits(&seen(more, None)));
    assert!(!expected.fits(&seen(all.into_iter().skip(1).collect(), None)));
}

#[test]
fn a_difference_shows_near_violations_beside_each_other() {
    let expected = Expected::parse(FILE).unwrap();
    let other = vec![
        finding(&["d"], "fourth", json!("new")),
        finding(&["a"], "the first one", json!(7)),
        finding(&["b"], "another text", json!(2)),
    ];
    insta::assert_snapshot!(expected.diff(&seen(other, Some(json!({"x": 1})))).join("\n"), @r"
      violations:
      - path: /a
        msg: first
    -   found: 1
    +   found: 7
      - path: /b
    -   msg: second
    - - path: /c
    -   fix: write
    +   msg: another text
    + - path: /d
    +   msg: fourth
    +   found: new
    + patched:
    +   x: 1
    ");
}

#[test]
fn a_rewritten_file_keeps_its_head_and_its_keys() {
    let expected = Expected::parse(FILE).unwrap();
    let other = vec![
        finding(&["a"], "the first one", json!(7)),
        finding(&["c"], "third", Value::Null),
        finding(&["d"], "fourth", Value::Null),
    ];
    let text = expected.rewritten(FILE, &seen(other.clone(), None));
    insta::assert_snapshot!(text, @r"
    # why this case is here

    violations:
    - path: /a
      msg: first
      found: 7
    - path: /c
      fix: write
    - path: /d
      msg: fourth
    ");
    // what was written is what was seen
    assert!(Expected::parse(&text).unwrap().fits(&seen(other, None)));
}

#[test]
fn a_file_without_violations_gets_path_found_and_message() {
    let expected = Expected::parse("violations: []\n").unwrap();
    let one = seen(vec![finding(&["a"], "text", json!(1))], None);
    assert_eq!(expected.rewritten("violations: []\n", &one), "violations:\n- path: /a\n  found: 1\n  msg: text\n");
    let unknown = Seen { unknown: vec!["storageclasses".into()], ..seen(vec![], None) };
    assert_eq!(expected.rewritten("", &unknown), "unknown: true\n");
    let expected = Expected::parse("unknown: true\n").unwrap();
    assert_eq!(expected.rewritten("", &seen(vec![], None)), "violations: []\n");
    let expected = Expected::parse("patched: {b: 1, a: 2}\n").unwrap();
    assert_eq!(expected.rewritten("", &seen(vec![], Some(json!({"a": 2, "b": 1})))), "patched:\n  b: 1\n  a: 2\n");
}

#[test]
fn engines_that_differ_are_told_apart() {
    let one = seen(vec![finding(&["a"], "text", json!(1))], None);
    let other = seen(vec![finding(&["a"], "text", json!(2))], None);
    assert!(one.agrees(&one) && !one.agrees(&other));
    // both failed, each in its own words
    let failed = |text: &str| Seen { failures: vec![text.to_owned()], ..seen(vec![], None) };
    assert!(failed("a").agrees(&failed("b")));
    assert!(!failed("a").agrees(&seen(vec![], None)));
    insta::assert_snapshot!(engines(&one, &other).join("\n"), @r"
      violations:
      - path: /a
        msg: text
    -   found: 1
    +   found: 2
        wanted: Retain
        fix: write it
    ");
}
