//! Codes about Rego.

use super::Example::{Rules, Second};
use super::{Code, error, refused, warning};

pub(super) static ALL: &[Code] = &[
    refused(
        "rego/syntax",
        "The file does not parse",
        "Nothing in it is loaded.",
        "Look at the line of the message; `opa check` and `opa fmt` tell more.",
        Rules(
            r"violation contains {
",
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas == 7
"#,
        ),
    ),
    refused(
        "rego/too-deep",
        "Brackets nest too deep, or a chain is too long",
        "The engine reads nested brackets twice at each level and follows chains recursively: it would hang, or overflow its stack.",
        "Give parts of the expression names.",
        Rules(
            r"deep := [[[[[[[[[[[[[1]]]]]]]]]]]]]
",
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas == 7
"#,
        ),
    ),
    refused(
        "rego/builtin",
        "A function that is not permitted",
        "Permitted is what is pure, bounded by its arguments and the same in every engine. Others could hang the server on a hostile object, reach out of it, or answer differently each time. They are listed below.",
        "Write what the message says instead, or call a function of `data.seawall.lib`.",
        Rules(
            r#"violation contains problem(["spec"]) if units.parse_bytes(input.request.object.spec.size) > 1000
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if count(input.request.object.spec.volumeClaimTemplates) > 10
"#,
        ),
    ),
    refused(
        "rego/arguments",
        "A builtin with arguments that are not permitted",
        "A format or pattern from an object could crash the engine or take all memory; a wrong number of arguments fails at run time.",
        "Write formats and patterns in place, with %s, %d and %v only, and one value for each.",
        Rules(
            r#"violation contains problem(["spec"]) if sprintf(input.request.object.spec.format, [1]) == "1"
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if sprintf("%s-0", [input.request.object.metadata.name]) == "db-0"
"#,
        ),
    ),
    refused(
        "rego/recursion",
        "A rule leads back to itself",
        "The engine would overflow its stack, which ends the process; OPA refuses it too.",
        "Use a comprehension or `every` over a list of known depth.",
        Rules(
            r#"violation contains problem(["spec"]) if deep(input.request.object.spec)

deep(value) if deep(value.next)
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if every value in input.request.object.spec.values { value.next }
"#,
        ),
    ),
    refused(
        "rego/unknown-reference",
        "A reference to nothing",
        "It would be undefined, and the rule silent.",
        "Name a rule of this policy or of `data.seawall.lib`, a fact of `data.cluster`, or `data.seawall.knowledge`.",
        Rules(
            r#"violation contains problem(["spec"]) if data.seawall.lib.replicas.few
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if data.seawall.knowledge.replicas.few
"#,
        ),
    ),
    refused(
        "rego/conflict",
        "Definitions of one name that do not go together",
        "OPA loads none of them. An engine that loads both answers as one of the two, and nobody could say which.",
        "Give one of them another name.",
        Rules(
            r#"few := 1

few(n) if n < 2

violation contains problem(["spec"]) if few(input.request.object.spec.replicas - 6)
"#,
        ),
        Rules(
            r#"limit := 2

few(n) if n < limit

violation contains problem(["spec"]) if few(input.request.object.spec.replicas - 6)
"#,
        ),
    ),
    refused(
        "rego/foreign-rule",
        "A rule of another policy",
        "One policy would change its verdict when another is changed or switched off.",
        "Move what both need to `policies/seawall/lib`.",
        Second(
            "",
            r#"violation contains problem(["spec"]) if data.seawall.policies.other.few
"#,
            r#"few if input.request.object.spec.replicas == 1

violation contains problem(["spec"]) if few
"#,
        ),
        Second(
            "",
            r#"violation contains problem(["spec"]) if few

few if input.request.object.spec.replicas == 1
"#,
            r#"few if input.request.object.spec.replicas == 1

violation contains problem(["spec"]) if few
"#,
        ),
    ),
    refused(
        "rego/computed-root",
        "The first key of `input` or `data` is computed",
        "Nobody could say what the policy reads.",
        "Name the key.",
        Rules(
            r#"violation contains problem(["spec"]) if input[input.request.kind.kind]
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if input.request.kind.kind == "Pod"
"#,
        ),
    ),
    warning(
        "rego/unused-rule",
        "Nothing asks for a rule",
        "It is dead, or it is the condition that somebody forgot to ask for.",
        "Ask for it where it was meant, or remove it.",
        Rules(
            r"few if input.request.object.spec.replicas == 1
",
        ),
        Rules(
            r#"violation contains problem(["spec"]) if few

few if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "rego/constant-condition",
        "A condition that always or never holds",
        "What stands below a condition that never holds is dead; one that always holds says nothing and was meant otherwise.",
        "Compare with a field of the object, or remove it.",
        Rules(
            r#"violation contains problem(["spec"]) if {
	1 == 2
	input.request.object.spec.replicas == 7
}
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if {
	input.request.object.spec.replicas == 7
}
"#,
        ),
    ),
    warning(
        "rego/negated-field",
        "A negated condition that fails where the field is absent",
        "Operands are evaluated before what is negated: `not input.request.object.spec.replicas > 2` fails, and does not hold, for an object without `replicas`. The object that says nothing passes. OPA means it so, and so does this engine. `==` and a reference by itself are different: `not input.request.object.spec.paused` holds where there is none.",
        "Read the field with `object.get` and what it is where it is absent, or negate a rule of its own.",
        Rules(
            r#"violation contains problem(["spec"]) if {
	input.request.object.metadata.name == "many"
	not input.request.object.spec.replicas > 2
}
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if {
	input.request.object.metadata.name == "many"
	replicas := object.get(input.request.object.spec, "replicas", 1)
	not replicas > 2
}
"#,
        ),
    ),
];
