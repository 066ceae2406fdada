//! Codes about files and cases, and about lint itself.

use super::Example::{Files, Made, Rules};
use super::{Code, error, refused, warning};

pub(super) static ALL: &[Code] = &[
    refused(
        "files/unreadable",
        "A file or folder cannot be read",
        "What cannot be read is not loaded, and the policy in it does not judge.",
        "Save files as UTF-8, give them a mode that can be read, and remove symbolic links that lead back.",
        Made("A `.rego` file with bytes that are no UTF-8, or a symbolic link to a folder above it."),
        Made("Files of UTF-8 text, and no links that lead back."),
    ),
    refused(
        "files/too-large",
        "A file is larger than 1 MiB",
        "The server reads no file that is larger, so that nobody can fill its memory with a ConfigMap.",
        "Split the file, or move data to `data.yaml` files below `seawall/knowledge`.",
        Made("A `.rego` file of 10 MB."),
        Made("Files below 1 MiB; policies have a few kilobytes."),
    ),
    refused(
        "files/data",
        "A data file is broken or in the wrong place",
        "Policies read data as `data.seawall.knowledge`; data elsewhere would hide rules or facts.",
        "Write valid YAML or JSON below `seawall/knowledge/<topic>/data.yaml`.",
        Files(&[(
            "seawall/knowledge/engines/data.yaml",
            r"redis: [
",
        )]),
        Files(&[(
            "seawall/knowledge/engines/data.yaml",
            r"redis: {port: 6379}
",
        )]),
    ),
    error(
        "files/package",
        "A package is neither a policy nor a library, or two files share one",
        "Policies are found by their package. A module of another package is never asked, and of two policies with one package only one could be.",
        "Name the package after the folder: `seawall.policies.<id>` with `_` for `-`, or `seawall.lib.<name>`.",
        Files(&[(
            "seawall/lib/names.rego",
            r"package example.names
",
        )]),
        Files(&[(
            "seawall/lib/names.rego",
            r"package seawall.lib.names
",
        )]),
    ),
    error(
        "cases/none",
        "A policy has no cases",
        "Cases show what the policy is for, and the engines are compared on them: a policy without cases is left to the slow engine.",
        "Add `cases/<name>/input.yaml` and `expected.yaml`: one object that is refused, one that passes.",
        Files(&[
            ("seawall/policies/example/cases/one/input.yaml", ""),
            ("seawall/policies/example/cases/one/expected.yaml", ""),
            ("seawall/policies/example/cases/three/input.yaml", ""),
            ("seawall/policies/example/cases/three/expected.yaml", ""),
        ]),
        Files(&[
            (
                "seawall/policies/example/cases/none/input.yaml",
                r"apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {}
",
            ),
            (
                "seawall/policies/example/cases/none/expected.yaml",
                r"violations: []
",
            ),
        ]),
    ),
    error(
        "cases/no-firing",
        "No case of a policy fires",
        "A policy that never fires in its cases may never fire at all: a misspelt field would not be noticed.",
        "Add a case with an object that the policy is against.",
        Files(&[
            ("seawall/policies/example/cases/one/input.yaml", ""),
            ("seawall/policies/example/cases/one/expected.yaml", ""),
        ]),
        Files(&[
            (
                "seawall/policies/example/cases/one_more/input.yaml",
                r"apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {replicas: 1}
",
            ),
            (
                "seawall/policies/example/cases/one_more/expected.yaml",
                r"violations:
- path: /spec/replicas
",
            ),
        ]),
    ),
    error(
        "cases/no-quiet",
        "Every case of a policy fires",
        "Nothing shows that a good object passes; a rule that denies everything would look right.",
        "Add a case with an object that complies.",
        Files(&[
            ("seawall/policies/example/cases/three/input.yaml", ""),
            ("seawall/policies/example/cases/three/expected.yaml", ""),
        ]),
        Files(&[
            (
                "seawall/policies/example/cases/five/input.yaml",
                r"apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec: {replicas: 5}
",
            ),
            (
                "seawall/policies/example/cases/five/expected.yaml",
                r"violations: []
",
            ),
        ]),
    ),
    error(
        "cases/unreadable",
        "A case cannot be read",
        "A case that cannot be read is not run, and the server does not load a folder whose cases fail.",
        "See docs/policy-format.md, *Cases*.",
        Files(&[(
            "seawall/policies/example/cases/one/expected.yaml",
            r"violation:
- path: /spec/replicas
",
        )]),
        Files(&[(
            "seawall/policies/example/cases/one/expected.yaml",
            r"violations:
- path: /spec/replicas
",
        )]),
    ),
    error(
        "cases/policy-fails",
        "A policy fails on a case of its own",
        "A policy that fails has no verdict: its own action decides, so where it denies, an object that nobody judged is rejected.",
        "Ask for types before builtins are called, with the functions of `data.seawall.lib.object`; loop over what the object has.",
        Rules(
            r#"violation contains problem(["spec"]) if lower(input.request.object.spec.replicas) == "one"
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if {
	is_string(input.request.object.spec.replicas)
	lower(input.request.object.spec.replicas) == "one"
}
"#,
        ),
    ),
    warning(
        "cases/no-test",
        "A policy has no `test_` rule",
        "`opa test -b policies` is what policy authors run first, and it has nothing to run.",
        "Write `policy_test.rego` with rules that begin with `test_`, in the package of the policy with `_test`.",
        Files(&[("seawall/policies/example/policy_test.rego", "")]),
        Files(&[(
            "seawall/policies/example/policy_test.rego",
            r#"package seawall.policies.example_test

import data.seawall.policies.example as policy

test_one if count(policy.violation) == 1 with input as {"request": {"object": {"spec": {"replicas": 1}}}}
"#,
        )]),
    ),
    warning(
        "cases/no-page",
        "A policy has no page",
        "Who is rejected wants to know why, and how to comply; the index of policies links to the page.",
        "Write README.md beside the policy.",
        Files(&[("seawall/policies/example/README.md", "")]),
        Files(&[(
            "seawall/policies/example/README.md",
            r"# example

Why two replicas, and how to have them.
",
        )]),
    ),
    error(
        "lint/ignore",
        "A comment that silences is not understood",
        "A comment with a misspelt code silences nothing, and one without a reason cannot be judged by the next person.",
        "Write `# seawall-lint: ignore CODE reason`.",
        Rules(
            r#"# seawall-lint: ignore rego/unused-rule
violation contains problem(["spec"]) if input.request.object.spec.replicas == 7
"#,
        ),
        Rules(
            r"# seawall-lint: ignore rego/unused-rule read by a dashboard through the data API
seven := 7
",
        ),
    ),
    warning(
        "lint/unused-ignore",
        "A comment silences nothing",
        "The next finding on the line would be silenced by a comment that was meant for another one.",
        "Remove the comment.",
        Rules(
            r#"# seawall-lint: ignore rego/unused-rule it is asked for elsewhere
violation contains problem(["spec"]) if input.request.object.spec.replicas == 7
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas == 7
"#,
        ),
    ),
];
