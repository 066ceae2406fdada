use super::super::page::View;
use super::super::testing::{finding, hostile, judged, mixed, report, warning, written};
use super::super::{Failure, Report};
use super::*;
use crate::decision::Finding;
use crate::policy::mode::Severity;

fn commands(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("::")).collect()
}

#[test]
fn findings_are_annotations_at_their_lines() {
    let text = written(write, View::AsIs, &mixed());
    insta::assert_snapshot!(text, @r##"
    ::error title=seawall could not judge everything::app/db.yaml:9:1: a key twice
    ::error file=app/db.yaml,line=7,col=3,title=class-reclaim-retain%3A StatefulSet shop/db::deny: spec.reclaimPolicy: the class deletes volumes%0Afound: Delete%0Awanted: Retain%0Afix: set reclaimPolicy: Retain
    ::warning file=app/db.yaml,line=7,col=3,title=b%3A StatefulSet shop/db::warn: spec.reclaimPolicy: the class deletes volumes%0Afound: Delete%0Awanted: Retain%0Afix: set reclaimPolicy: Retain
    - exempt [c] StatefulSet shop/db, spec.reclaimPolicy: the class deletes volumes; fix: set reclaimPolicy: Retain (app/db.yaml:7:3)
    2 objects: 2 of 3 findings as annotations (GitHub shows 10 of each level), 1 error
    "##);
}

#[test]
fn of_each_level_the_worst_ten_are_chosen_and_the_rest_is_in_the_log() {
    let low = |n: usize| Finding { severity: Severity::Low, ..finding(&format!("low-{n}")) };
    let mut findings: Vec<Finding> = (0..30).map(low).collect();
    findings.push(finding("critical"));
    findings.extend((0..3).map(|n| warning(&format!("warn-{n}"))));
    let text = written(write, View::AsIs, &report(vec![judged(findings)]));
    let commands = commands(&text);
    assert_eq!(commands.len(), 13);
    assert!(commands[0].contains("title=critical%3A"), "{}", commands[0]);
    assert_eq!(commands.iter().filter(|c| c.starts_with("::error ")).count(), 10);
    // each finding once: as a command or as a line
    for n in 0..30 {
        let told =
            text.lines().filter(|line| line.contains(&format!("low-{n}%3A")) || line.contains(&format!("[low-{n}]")));
        assert_eq!(told.count(), 1, "low-{n} in\n{text}");
    }
    assert!(
        text.ends_with("1 object: 13 of 34 findings as annotations (GitHub shows 10 of each level), 0 errors\n"),
        "{text}"
    );
}

#[test]
fn what_could_not_be_judged_comes_first() {
    let gap = |n: usize| Failure { source: None, policy: None, message: format!("gap {n}") };
    let objects = vec![judged((0..5).map(|n| finding(&n.to_string())).collect())];
    let run = Report { objects, errors: (0..8).map(gap).collect(), notes: Vec::new() };
    let text = written(write, View::AsIs, &run);
    let commands = commands(&text);
    assert_eq!(commands.len(), 10);
    assert!(commands[..8].iter().all(|c| c.starts_with("::error title=seawall could not")), "{commands:?}");
}

#[test]
fn many_lines_are_counted_instead() {
    let many = (0..2000).map(|n| finding(&n.to_string())).collect();
    let text = written(write, View::AsIs, &report(vec![judged(many)]));
    assert!(text.contains("\n1490 more are left out here"), "{}", text.lines().count());
    assert_eq!(text.lines().count(), 10 + 500 + 2);
}

#[test]
fn hostile_text_makes_no_command() {
    let mut in_line = hostile();
    in_line.violations = (0..12).flat_map(|_| hostile().violations).collect();
    let text = written(write, View::AsIs, &report(vec![in_line]));
    let commands = commands(&text);
    assert_eq!(commands.len(), 10, "{text}");
    for command in commands {
        // properties: what ends one is escaped
        let properties = command.strip_prefix("::error ").unwrap().split("::").next().unwrap();
        assert_eq!(properties.matches(',').count(), 3, "{properties}");
        assert_eq!(properties.matches(':').count(), 0, "{properties}");
        // a percent sign of the user's is not one of ours
        assert!(command.contains("%250A"), "{command}");
    }
    let command = |line: &str| line.trim_start().starts_with("::") || line.contains("##[");
    assert_eq!(text.lines().filter(|line| command(line)).count(), 10, "{text}");
    assert_eq!(line("a ##[error]b"), "- a ## [error]b");
}
