//! The bad example of every code is found as that code and nothing else; the good one is clean.

use seawall::config::Settings;
use seawall::lint::codes::{CODES, Code, Example, STANDARD_BLOCK, STANDARD_RULES};
use seawall::lint::set::Set;
use seawall::lint::{Levels, Report, lint};
use std::collections::BTreeMap;
use std::path::Path;

const TEST: &str = r#"package seawall.policies.example_test

import data.seawall.policies.example as policy

test_one if count(policy.violation) == 1 with input as {"request": {"object": {"spec": {"replicas": 1}}}}
"#;

type Files = BTreeMap<String, String>;

fn policy(id: &str, custom: &str, rules: &str) -> Files {
    let custom: String = custom.lines().map(|line| format!("#   {line}\n")).collect();
    let block = STANDARD_BLOCK.replace("package ", &format!("{custom}package "));
    let folder = format!("seawall/policies/{id}");
    let input = |replicas: u32| {
        format!("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: db}}\nspec: {{replicas: {replicas}}}\n")
    };
    let named = |text: &str| {
        text.replace("id: example", &format!("id: {id}")).replace("policies.example", &format!("policies.{id}"))
    };
    [
        ("policy.rego", named(&format!("{block}\n{rules}"))),
        ("policy_test.rego", named(TEST)),
        ("README.md", format!("# {id}\n")),
        ("cases/one/input.yaml", input(1)),
        ("cases/one/expected.yaml", "violations:\n- path: /spec/replicas\n".to_owned()),
        ("cases/three/input.yaml", input(3)),
        ("cases/three/expected.yaml", "violations: []\n".to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| (format!("{folder}/{name}"), text))
    .collect()
}

/// The files of an example; `None`: they cannot be shown as text.
fn files(example: &Example) -> Option<Files> {
    let added = |rules: &str| format!("{STANDARD_RULES}\n{rules}");
    Some(match example {
        Example::Rules(rules) => policy("example", "", &added(rules)),
        Example::With(custom, rules) => policy("example", custom, &added(rules)),
        Example::Only(custom, rules) => policy("example", custom, rules),
        Example::Second(custom, rules, other) => {
            let mut all = policy("example", custom, &added(rules));
            all.extend(policy("other", custom, &added(other)));
            all
        }
        Example::Instead(line, instead) => {
            let mut all = policy("example", "", STANDARD_RULES);
            let text = all.get_mut("seawall/policies/example/policy.rego").unwrap();
            let found = text.lines().find(|found| found.starts_with(line)).unwrap().to_owned();
            let instead = if instead.is_empty() { String::new() } else { format!("{instead}\n") };
            *text = text.replacen(&format!("{found}\n"), &instead, 1);
            all
        }
        Example::Files(changes) => {
            let mut all = policy("example", "", STANDARD_RULES);
            for (path, text) in *changes {
                if text.is_empty() {
                    assert!(all.remove(*path).is_some(), "{path}");
                } else {
                    all.insert((*path).to_owned(), (*text).to_owned());
                }
            }
            all
        }
        Example::Made(_) => return None,
    })
}

fn linted(set: &Set) -> Report {
    lint(set, &Settings::default(), &Levels::default())
}

fn told(report: &Report) -> String {
    report.findings.iter().map(|f| format!("{} {}: {}\n", f.place, f.code.name, f.message)).collect()
}

/// What only a file system has.
fn made(code: &Code, folder: &Path) {
    for (path, text) in policy("example", "", STANDARD_RULES) {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    // with a library module of its own the folder stands alone
    let library = folder.join("seawall/lib");
    std::fs::create_dir_all(&library).unwrap();
    std::fs::write(library.join("subject.rego"), "package seawall.lib.subject\n").unwrap();
    match code.name {
        "files/unreadable" => {
            std::fs::write(library.join("bytes.rego"), b"package seawall.lib.bytes\n\xff\xfe").unwrap()
        }
        "files/too-large" => std::fs::write(library.join("large.rego"), " ".repeat(10 * 1024 * 1024)).unwrap(),
        other => panic!("{other} has no example that is made"),
    }
}

#[test]
fn every_bad_example_is_found_as_its_code_and_every_good_one_is_clean() {
    let mut wrong = String::new();
    for code in CODES.iter() {
        let (report, good) = match (files(&code.bad), files(&code.good)) {
            (Some(bad), Some(good)) => (linted(&Set::of_files(bad)), linted(&Set::of_files(good))),
            _ => {
                let folder = tempfile::tempdir().unwrap();
                made(code, folder.path());
                let bad = linted(&Set::path(folder.path(), None).unwrap());
                (bad, linted(&Set::of_files(policy("example", "", STANDARD_RULES))))
            }
        };
        if report.findings.is_empty() || report.findings.iter().any(|finding| finding.code != *code) {
            wrong.push_str(&format!("== bad {}\n{}", code.name, told(&report)));
        }
        for finding in &report.findings {
            assert!(!finding.fix.is_empty() && finding.place.line > 0 && finding.place.column > 0, "{finding:?}");
        }
        if !good.findings.is_empty() || !good.notes.is_empty() {
            wrong.push_str(&format!("== good {}\n{}{:?}\n", code.name, told(&good), good.notes));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What the table says the loader refuses, the loader refuses, and only that.
#[test]
fn the_loader_refuses_what_the_table_says() {
    use seawall::policy::bundle::Bundle;
    use seawall::policy::store::PolicySet;
    for code in CODES.iter().filter(|code| !code.name.starts_with("files/") && code.name != "rego/too-deep") {
        let Some(bad) = files(&code.bad) else { continue };
        let loaded = Bundle::from_files(Path::new("dir"), bad).map_err(|e| e.to_string());
        let loaded =
            loaded.and_then(|bundle| PolicySet::build(&bundle, &Settings::default()).map_err(|e| e.to_string()));
        assert_eq!(loaded.is_err(), code.refused, "{}: {:?}", code.name, loaded.err());
    }
}
