//! All that is wrong with a METADATA block is told at once, with its place: what the loader prints.

use seawall::policy::inspect::inspect;

const GOOD: &str = "# METADATA
# title: T
# description: D
# custom:
#   id: my-policy
#   checklist: probes
#   severity: high
#   actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: Off}
#   patch: [tier-1]
#   match:
#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE]}
#   parameters: {strength: preferred}
#   tierParameters: {tier-0: {strength: required}}
package seawall.policies.my_policy
";

fn all(changes: &[(&str, &str)]) -> String {
    let source = changes.iter().fold(GOOD.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    inspect("p.rego", &source).problems.iter().map(|p| format!("{p}\n")).collect()
}

#[test]
fn a_good_block_has_no_problems() {
    let inspected = inspect("p.rego", GOOD);
    assert_eq!(inspected.problems, []);
    assert_eq!(inspected.metadata.unwrap().id, "my-policy");
}

#[test]
fn all_problems_are_told_at_once() {
    let text = all(&[
        ("severity: high", "severty: high"),
        ("checklist: probes", "checklist: prob"),
        ("tier-2: Audit, tier-3: Off", "tier-2: audit"),
        ("patch: [tier-1]", "patch: [tier-9]"),
        ("[statefulsets], operations: [CREATE]", "['*'], operations: [create]"),
        ("{tier-0: {strength: required}}", "{tier-0: {strenth: required}}"),
        ("title: T", "title: \"\""),
    ]);
    insta::assert_snapshot!("at_once", text);
}

#[test]
fn types_places_and_packages_are_checked() {
    let text = all(&[
        ("title: T", "title: [T]"),
        ("id: my-policy", "id: my-polcy"),
        ("actions: {tier-0: Deny, tier-1: Warn, tier-2: Audit, tier-3: Off}", "actions: Deny"),
        ("parameters: {strength: preferred}", "parameters: [strength]"),
        ("#   patch: [tier-1]", "#   guardsFinalizers: maybe"),
        ("resources: [statefulsets], ", ""),
        ("# custom:", "# severity: high\n# custom:"),
    ]);
    insta::assert_snapshot!("types", text);
}

#[test]
fn what_is_no_block_and_no_yaml() {
    let text = all(&[("# METADATA", "# METADAT")])
        + &all(&[("{strength: preferred}", "{strength: ")])
        + &all(&[("# description: D", "description: D")]);
    insta::assert_snapshot!("no_yaml", text);
}
