//! Codes about what the engines answer differently.

use super::Example::Rules;
use super::{Code, refused, warning};

pub(super) static ALL: &[Code] = &[
    refused(
        "engine/loop-with-else",
        "A loop in a body that has an `else`",
        "The fast engine never tries the `else`.",
        "Move the loop to a function of its own, or use a comprehension or `every`.",
        Rules(
            r#"violation contains problem(["spec"]) if odd(input.request.object) == 1

odd(object) := 1 if {
	some name in object.names
	name == "x"
} else := 2
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if odd(input.request.object) == 1

odd(object) := 1 if {
	"x" in object.names
} else := 2
"#,
        ),
    ),
    refused(
        "engine/undefined-value",
        "A value that may be undefined where engines differ",
        r#"In the term of a comprehension the fast engine keeps "<undefined>" in the list; in front of an `else` both engines stop where OPA goes on."#,
        "Assign it to a variable in the body first, then use the variable.",
        Rules(
            r#"violation contains problem(["spec"]) if count([c.image | some c in input.request.object.spec.containers]) > 5
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if count([image | some c in input.request.object.spec.containers; image := c.image]) > 5
"#,
        ),
    ),
    refused(
        "engine/default-function",
        "`default` on a function",
        "The fast engine does not use it.",
        "Add an `else := …` to the function.",
        Rules(
            r#"violation contains problem(["spec"]) if limit(input.request.object) == 3

default limit(_) := 2

limit(object) := object.spec.limit
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if limit(input.request.object) == 3

limit(object) := found if {
	found := object.spec.limit
} else := 2
"#,
        ),
    ),
    refused(
        "engine/rule-head",
        "The head of a rule has several parts",
        "The fast engine does not compile it, or answers with another document.",
        "Give the rule a name of its own.",
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas > limits.most.here

limits.most.here := 5
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas > most

most := 5
"#,
        ),
    ),
    refused(
        "engine/with",
        "`with` outside a test",
        "The fast engine does not compile most of it.",
        "Pass the value as an argument of a function.",
        Rules(
            r#"violation contains problem(["spec"]) if few with input as input.request

few if input.object.spec.replicas == 7
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if few(input.request)

few(request) if request.object.spec.replicas == 7
"#,
        ),
    ),
    refused(
        "engine/division",
        "A division by what could be zero",
        "It is an error, so the policy has no verdict.",
        "Divide by a literal, or compare products.",
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.a / input.request.object.spec.b > 2
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.a > 2 * input.request.object.spec.b
"#,
        ),
    ),
    refused(
        "engine/bare-assignment",
        "An assignment is the whole body of a rule",
        "The fast engine goes on with an undefined value; assignments are rewritten for it, and without braces there is no room.",
        "Put the body in braces.",
        Rules(
            r"violation contains problem(path) if path := input.request.object.paths
",
        ),
        Rules(
            r"violation contains problem(path) if { path := input.request.object.paths }
",
        ),
    ),
    warning(
        "engine/not-compiled",
        "Only the slow engine runs the policy",
        "It costs several times as much for each request, on the path of every apply.",
        "Write it in another way; `a | b` on sets is `union({a, b})`.",
        Rules(
            r#"violation contains problem(["spec"]) if count({input.request.object.spec.a} | {input.request.object.spec.b}) > 5
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if count(union({{input.request.object.spec.a}, {input.request.object.spec.b}})) > 5
"#,
        ),
    ),
    refused(
        "engine/not-loaded",
        "The engine does not take the policy",
        "The server would refuse the folder and keep the last good set.",
        "Look at the place in the message; `opa check --strict` tells more.",
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas == seven
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas == seven

seven := 7
"#,
        ),
    ),
];
