//! Hostile and broken files: each is a finding with its place and what to do, and the other policies are still looked at.

use assert_cmd::Command;
use std::fs;
use std::path::Path;

const GOOD: &str = "# METADATA
# title: T
# description: D
# related_resources: [{ref: \"https://example.com\"}]
# custom:
#   id: good
#   checklist: probes
#   severity: high
#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Deny, tier-3: Deny}
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
package seawall.policies.good

violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": \"w\", \"fix\": \"f\"} if input.request.object.spec.replicas == 7
";

fn named(id: &str, rule: &str) -> String {
    let head = GOOD.split("\nviolation").next().unwrap();
    format!("{}\n{rule}\n", head.replace("good", id))
}

/// Lints a folder with the policy above (which has an unused rule) and one more file. Exit code and text.
fn lint(write: impl Fn(&Path)) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.rego"), format!("{GOOD}\nforgotten := 1\n")).unwrap();
    write(folder.path());
    let output = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .env_clear()
        .current_dir(folder.path())
        .args(["lint", ".", "--allow", "cases/none", "--allow", "cases/no-page", "--allow", "cases/no-test"])
        .args(["--allow", "cases/no-firing"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().expect("it ends by itself"), text)
}

#[test]
fn each_is_told_with_place_and_remedy_and_hides_nothing() {
    let violation = "violation contains {\"msg\": \"m\", \"path\": [], \"wanted\": \"w\", \"fix\": \"f\"}";
    let texts: Vec<(&str, String, &[&str])> = vec![
        ("syntax", named("bad", "violation contains {"), &["bad.rego:15:", "[rego/syntax]", "fix: "]),
        (
            "recursion",
            named("bad", &format!("{violation} if f(1)\n\nf(x) if f(x)")),
            &["bad.rego:16:1", "[rego/recursion]", "use a comprehension"],
        ),
        (
            "endless range",
            named("bad", &format!("{violation} if numbers.range(1, input.n)")),
            &["bad.rego:14:", "[rego/builtin]", "numbers.range"],
        ),
        (
            "unknown builtin",
            named("bad", &format!("{violation} if startwith(input.a, \"b\")")),
            &["bad.rego:14:", "[rego/builtin]", "you mean \"startswith\"?"],
        ),
        (
            "result",
            named("bad", "violation contains \"text\" if input.a"),
            &["bad.rego:14:21", "[result/wrong-type]", "wanted an object"],
        ),
        ("denies everything", named("bad", violation), &["bad.rego:14:1", "[result/unconditional]", "add `if {…}`"]),
        (
            "brackets",
            named("bad", &format!("x := {}{}", "[".repeat(30), "]".repeat(30))),
            &["bad.rego:14:1", "[rego/too-deep]", "give parts of it names"],
        ),
        ("chain", named("bad", &format!("x := {}", "a.".repeat(10_000))), &["bad.rego:14:1", "[rego/too-deep]"]),
        (
            "YAML",
            named("bad", "x := 1").replace("checklist: probes", "checklist: [probes"),
            &["bad.rego:", "[metadata/syntax]"],
        ),
        (
            "nested YAML",
            named("bad", "x := 1").replace("checklist: probes", &format!("checklist: {}", "[".repeat(10_000))),
            &["bad.rego:", "[metadata/syntax]"],
        ),
    ];
    for (what, text, parts) in texts {
        let (code, told) = lint(|folder| fs::write(folder.join("bad.rego"), &text).unwrap());
        assert_eq!(code, 1, "{what}: {told}");
        for part in parts {
            assert!(told.contains(part), "{what}: no {part:?} in\n{told}");
        }
        // what does not depend on the broken file is still found
        assert!(told.contains("2 policies") || told.contains("1 policy"), "{what}: {told}");
    }
}

#[test]
fn loops_without_end_are_stopped_and_told() {
    let numbers = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let rules = format!(
        "numbers := [{numbers}]\n\nviolation contains {{\"msg\": \"m\", \"path\": [], \"wanted\": a, \"fix\": \"f\"}} if {{\n\tsome a in numbers\n\tsome b in numbers\n\tsome c in numbers\n\tsome d in numbers\n\tsome e in numbers\n\ta + b + c + d + e < 0\n}}"
    );
    let object = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\n";
    let (code, told) = lint(|folder| {
        fs::create_dir_all(folder.join("bad/cases/one")).unwrap();
        fs::write(folder.join("bad/policy.rego"), named("bad", &rules)).unwrap();
        fs::write(folder.join("bad/cases/one/input.yaml"), object).unwrap();
        fs::write(folder.join("bad/cases/one/expected.yaml"), "violations: []\n").unwrap();
    });
    assert_eq!(code, 1, "{told}");
    for part in
        ["bad/policy.rego:16:1", "[cases/policy-fails]", "in the case one the policy fails", "the server stops it"]
    {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
    assert!(told.contains("good.rego:16:1: warning[rego/unused-rule]"), "{told}");
}

#[test]
fn files_that_cannot_be_read_are_told_and_the_others_are_linted() {
    let (code, told) = lint(|folder| {
        fs::write(folder.join("bytes.rego"), b"package seawall.lib.bytes\n# \xff\n").unwrap();
        fs::write(folder.join("large.rego"), vec![b' '; 10 * 1024 * 1024]).unwrap();
        std::os::unix::fs::symlink(folder, folder.join("loop")).unwrap();
        std::os::unix::fs::symlink(folder, folder.join("second")).unwrap();
    });
    assert_eq!(code, 1, "{told}");
    for part in [
        "bytes.rego:2:3: error[files/unreadable]\n  byte 3 of the line is not UTF-8",
        "large.rego:1:1: error[files/too-large]\n  the file has 10485760 bytes",
        "loop:1:1: error[files/unreadable]\n  a symbolic link that leads back",
        "good.rego:16:1: warning[rego/unused-rule]\n  nothing reaches forgotten",
    ] {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let (_, told) = lint(|folder| {
        let text =
            named("bad", "violation contains {\"msg\": \"\u{1b}[31m\"} if input.a").replace("probes", "\u{1b}]0;x");
        fs::write(folder.join("bad.rego"), text).unwrap();
    });
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
