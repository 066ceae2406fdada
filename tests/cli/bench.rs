//! `seawall bench`: figures that a person reads, saves and compares.

use crate::rig::{Run, seawall};
use serde_json::Value;
use std::fs;

fn bench(args: &[&str]) -> Run {
    let mut all = vec!["bench", "--policies", "../bench", "--policies-only", "--count", "1"];
    all.extend_from_slice(args);
    seawall(&all, "")
}

/// The output with times and their columns' widths taken out: they differ from run to run.
fn without_times(text: &str) -> String {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let word =
            |w: &&str| if w.contains('.') && w.parse::<f64>().is_ok() { "T".to_owned() } else { (*w).to_owned() };
        words.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn rules_are_listed_with_the_dearest_first() {
    let run = bench(&[]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    insta::assert_snapshot!(without_times(&run.stdout), @r#"
    rule inputs instructions most RVM us interpreter us
    large violation 2 181 339 T T
    small violation 2 8 10 T T
    "#);
}

#[test]
fn instructions_are_the_same_on_every_run_and_on_manifests() {
    let of = |args: &[&str]| {
        let run = bench(&[args, &["--format", "json", "--policy", "large", "--no-interpreter"]].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let table: Value = serde_json::from_str(&run.stdout).unwrap();
        let rules = table["rules"].as_object().unwrap();
        assert_eq!(rules.len(), 1, "only the policy asked for");
        let row = &rules["large"]["violation"];
        assert!(row.get("interpreterNanoseconds").is_none() && row["rvmNanoseconds"].is_u64());
        row["instructions"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = of(&[]);
    assert_eq!(of(&[]), first);
    // two cases; the first is the manifest of both policies
    assert_eq!(of(&["-f", "../bench/seawall/policies/small/cases/claim/input.yaml"])[..], first[..1]);
}

#[test]
fn a_comparison_fails_on_more_instructions_and_on_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.json");
    let name = file.to_str().unwrap();
    let saved = bench(&["--save", name, "--no-interpreter"]);
    assert_eq!(saved.code, 0, "{}", saved.stderr);
    let same = bench(&["--compare", name, "--fail-over", "0", "--no-interpreter"]);
    assert_eq!(same.code, 0);
    insta::assert_snapshot!(same.stdout, @"0 changed, 2 as before; instructions are exact, times differ from run to run");
    // as if the rule had taken half as many before, and no time at all
    let mut table: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    for row in table["rules"]
        .as_object_mut()
        .unwrap()
        .values_mut()
        .flat_map(|rules| rules.as_object_mut().unwrap().values_mut())
    {
        row["rvmNanoseconds"] = 1.into();
    }
    fs::write(&file, table.to_string()).unwrap();
    assert_eq!(bench(&["--compare", name, "--fail-over", "0", "--no-interpreter"]).code, 0, "time decides nothing");
    let before = table["rules"]["large"]["violation"]["instructions"]["claim"].as_u64().unwrap();
    table["rules"]["large"]["violation"]["instructions"]["claim"] = (before / 2).into();
    fs::write(&file, table.to_string()).unwrap();
    let more = bench(&["--compare", name, "--fail-over", "10", "--no-interpreter"]);
    assert_eq!(more.code, 1);
    assert!(more.stdout.contains("large violation") && more.stdout.contains("too much"), "{}", more.stdout);
    insta::assert_snapshot!(more.stderr, @"1 rules take over 10 % more instructions than before, large violation most of all");
    assert_eq!(bench(&["--compare", name, "--fail-over", "150", "--no-interpreter"]).code, 0);
}

#[test]
fn what_cannot_be_measured_is_told() {
    let run = bench(&["--policy", "smal"]);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, "seawall: no policy \"smal\" is loaded; did you mean \"small\"?\n")
    );
    let run = bench(&["--compare", "empty.json"]);
    assert!(run.code == 2 && run.stderr.contains("cannot read empty.json"), "{}", run.stderr);
    let run = bench(&["-f", "no-such.yaml"]);
    assert!(run.code == 2 && run.stderr.contains("no-such.yaml"), "{}", run.stderr);
}
