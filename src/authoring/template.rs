//! The files of a new policy. They ask for an owner label, which any kind can have, so that everything works before a line is
//! changed; the comments say what to change next.

use super::kinds::Target;
use super::plan::Plan;
use crate::admission::request::Operation;
use crate::policy::mode::Tier;
use crate::report::yaml::to_yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The label that the generated rule asks for.
const LABEL: &str = "example.com/owner";

/// What the generated rule says.
const WANTED: &str = "the name of the team that answers for it";

/// The files by path, relative to the policy's folder.
#[must_use]
pub fn files(plan: &Plan) -> BTreeMap<String, String> {
    let mut files = BTreeMap::from([
        ("policy.rego".to_owned(), policy(plan)),
        ("policy_test.rego".to_owned(), test(plan)),
        ("README.md".to_owned(), page(plan)),
    ]);
    for (index, target) in plan.targets.iter().enumerate() {
        let suffix = if index == 0 { String::new() } else { format!("_{}", target.resource) };
        cases(plan, target, &suffix, &mut files);
    }
    files
}

/// The first operation: CREATE where it is one of them.
fn operation(plan: &Plan) -> Operation {
    if plan.operations.contains(&Operation::Create) {
        return Operation::Create;
    }
    plan.operations.first().copied().unwrap_or(Operation::Create)
}

fn metadata(plan: &Plan) -> String {
    let actions: Vec<String> =
        Tier::ALL.iter().zip(&plan.actions).map(|(tier, action)| format!("{tier}: {action}")).collect();
    let operations: Vec<String> = plan.operations.iter().map(ToString::to_string).collect();
    let row = |target: &Target| {
        let Target { group, version, resource, .. } = target;
        let group = if group.is_empty() { "\"\"" } else { group };
        let operations = operations.join(", ");
        format!(
            "#   - {{apiGroups: [{group}], apiVersions: [{version}], resources: [{resource}], operations: [{operations}]}}\n"
        )
    };
    let rows: String = plan.targets.iter().map(row).collect();
    let patch = if plan.patch { "#   patch: [tier-0, tier-1, tier-2, tier-3]\n" } else { "" };
    let Plan { id, title, checklist, severity, .. } = plan;
    format!(
        "# METADATA
# title: {title}
# description: >-
#   Say in one or two sentences what is asked for, and what happens to the data without it. This policy asks for a label
#   that names an owner, as an example that works.
# related_resources:
# - ref: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
# custom:
#   id: {id}
#   checklist: {checklist}
#   severity: {severity}
#   actions: {{{}}}
{patch}#   match:
{rows}",
        actions.join(", "),
        title = yaml_text(title),
    )
}

/// Text as it can stand in YAML after a key, on one line.
fn yaml_text(text: &str) -> String {
    to_yaml(&json!({"k": text})).trim_end().trim_start_matches("k: ").to_owned()
}

fn policy(plan: &Plan) -> String {
    let judged = if plan.operations.contains(&Operation::Delete) && plan.operations.len() > 1 {
        "# A deletion has only the object that is stored.
judged := input.request.object if input.request.operation != \"DELETE\"

judged := input.request.oldObject if input.request.operation == \"DELETE\"
"
    } else if plan.operations == [Operation::Delete] {
        "# A deletion has only the object that is stored.\njudged := input.request.oldObject\n"
    } else {
        "judged := input.request.object\n"
    };
    let patch = if plan.patch {
        format!(
            "
# The default where nobody said: RFC 6902 add, remove and test. It is written on CREATE, in the tiers of `patch` above, where
# patches are enabled; what it leaves must not violate any more. {LABEL_NOTE}
patch contains {{
	\"op\": \"add\",
	\"path\": concat(\"/\", [\"/metadata/labels\", replace(label, \"/\", \"~1\")]),
	\"value\": \"unassigned\",
}} if {{
	input.request.operation == \"CREATE\"
	lacks_owner
}}
"
        )
    } else {
        String::new()
    };
    format!(
        "{metadata}package seawall.policies.{folder}

# Next: put your own condition in the place of lacks_owner, then your own words in the place of msg, wanted and fix, and make a
# case for each thing that it should find and each that it should leave alone.
# What a policy sees and may use: docs/policy-format.md of Seawall.
label := \"{LABEL}\"

# One member for each thing that is wrong. `path` leads to the field, as keys and indices; `found` may be left out.
violation contains {{
	\"msg\": msg,
	\"path\": [\"metadata\", \"labels\", label],
	\"wanted\": \"{WANTED}\",
	\"fix\": fix,
}} if {{
	lacks_owner
	msg := sprintf(\"the label %s is missing or empty: nobody knows whom to ask when the data is at risk\", [label])
	fix := sprintf(\"add to metadata.labels: %s: my-team\", [label])
}}
{patch}
lacks_owner if {{
	is_object(judged)
	not has_owner
}}

# An absent field is the API's default: nothing is filled in before policies run.
has_owner if {{
	owner := judged.metadata.labels[label]
	is_string(owner)
	owner != \"\"
}}

{judged}",
        metadata = metadata(plan),
        folder = plan.folder(),
    )
}

/// Said where a patch is generated.
const LABEL_NOTE: &str = "`/` in a\n# key is written ~1.";

fn test(plan: &Plan) -> String {
    let folder = plan.folder();
    let operation = operation(plan);
    let kind = plan.targets.first().map_or("StatefulSet", |target| target.kind.as_str());
    let patched = if plan.patch {
        "
test_the_default_is_written_on_create_only if {
	policy.patch == {patched} with input as review(\"CREATE\", {\"name\": \"orders\"})
	policy.patch == set() with input as review(\"UPDATE\", {\"name\": \"orders\"})
	policy.patch == set() with input as review(\"CREATE\", {\"labels\": {\"example.com/owner\": \"payments\"}})
}

patched := {
	\"op\": \"add\",
	\"path\": \"/metadata/labels/example.com~1owner\",
	\"value\": \"unassigned\",
}
"
    } else {
        ""
    };
    let deletion = if plan.operations.contains(&Operation::Delete) && plan.operations.len() > 1 {
        "
test_a_deletion_is_judged_by_what_is_stored if {
	stored := {\"operation\": \"DELETE\", \"object\": null, \"oldObject\": {\"metadata\": {}}}
	policy.violation == {found} with input as {\"request\": stored}
}
"
    } else {
        ""
    };
    format!(
        "package seawall.policies.{folder}_test

import data.seawall.policies.{folder} as policy

test_an_object_without_the_label_is_found if {{
	policy.violation == {{found}} with input as review(\"{operation}\", {{\"name\": \"orders\"}})
}}

test_an_object_with_the_label_is_left_alone if {{
	policy.violation == set() with input as review(\"{operation}\", {{\"labels\": {{\"{LABEL}\": \"payments\"}}}})
}}

test_an_empty_label_and_wrong_types_are_found if {{
	every value in [\"\", 5, null, [\"payments\"]] {{
		policy.violation == {{found}} with input as review(\"{operation}\", {{\"labels\": {{\"{LABEL}\": value}}}})
	}}
}}

# What is undefined here would be an error in the server.
test_no_object if {{
	policy.violation == set() with input as {{\"request\": {{\"operation\": \"{operation}\", \"object\": null, \"oldObject\": null}}}}
}}
{deletion}{patched}
found := {{
	\"msg\": \"the label {LABEL} is missing or empty: nobody knows whom to ask when the data is at risk\",
	\"path\": [\"metadata\", \"labels\", \"{LABEL}\"],
	\"wanted\": \"{WANTED}\",
	\"fix\": \"add to metadata.labels: {LABEL}: my-team\",
}}

review(operation, metadata) := {{\"request\": {{
	\"operation\": operation,
	\"object\": {{\"kind\": \"{kind}\", \"metadata\": metadata}},
	\"oldObject\": {{\"kind\": \"{kind}\", \"metadata\": metadata}},
}}}}
"
    )
}

fn cases(plan: &Plan, target: &Target, suffix: &str, files: &mut BTreeMap<String, String>) {
    let operation = operation(plan);
    let pointer = format!("{}/labels/example.com~1owner", target.metadata());
    let violation = json!({"violations": [{"path": pointer, "msg": format!("the label {LABEL} is missing or empty"), "wanted": WANTED, "fix": "my-team"}]});
    let mut case = |name: &str, comment: &str, labels: &[(&str, Value)], fires: bool| {
        let object = target.object(labels);
        let mut expected = if fires { violation.clone() } else { json!({"violations": []}) };
        if let Some(expected) = expected.as_object_mut().filter(|_| fires && plan.patch) {
            expected.insert("patched".to_owned(), target.object(&[(LABEL, json!("unassigned"))]));
        }
        let folder = format!("cases/{name}{suffix}");
        let input = to_yaml(&target.input(&operation.to_string(), &object));
        files.insert(format!("{folder}/input.yaml"), format!("# {comment}\n{input}"));
        files.insert(format!("{folder}/expected.yaml"), to_yaml(&expected));
    };
    case("without_owner", "fires: nothing names an owner", &[], true);
    case("with_owner", "stays quiet: the label is there", &[(LABEL, json!("payments"))], false);
}

fn page(plan: &Plan) -> String {
    let Plan { id, title, checklist, .. } = plan;
    let target = plan.targets.first();
    let yaml = |labels: &[(&str, Value)]| target.map(|target| to_yaml(&target.object(labels))).unwrap_or_default();
    let patch = if plan.patch {
        "On CREATE Seawall writes `unassigned` where patches are wanted; replace it by a team's name."
    } else {
        "Seawall does not write it: nobody but you knows the name."
    };
    format!(
        "# {id}

## What
{title}: the label `{LABEL}` says which team answers for it.

## Why
Say what happens to the data without it, for somebody whose object was just rejected.

## Before
```yaml
{before}```

## After
```yaml
{after}```

## How to fix
Add the label `{LABEL}` with the name of your team. {patch}

## Parameters
None.

## When it stays quiet
- the label has a value

## Checklist item
{checklist}
",
        before = yaml(&[]),
        after = yaml(&[(LABEL, json!("payments"))]),
    )
}
