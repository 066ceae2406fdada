//! Codes about what policies answer with.

use super::Example::{Only, Rules, Second, With};
use super::{Code, error, refused};

pub(super) static ALL: &[Code] = &[
    refused(
        "result/no-rule",
        "There is neither `violation` nor `patch`",
        "The policy says nothing.",
        "Write `violation contains {…} if {…}`.",
        Only(
            "",
            r"# violations are still to be written
",
        ),
        Only(
            "",
            r#"violation contains {
	"msg": "one replica is an outage whenever its node is drained",
	"path": ["spec", "replicas"],
	"wanted": "two or more",
	"fix": "replicas: 2",
} if input.request.object.spec.replicas == 1

"#,
        ),
    ),
    error(
        "result/not-a-set",
        "`violation` or `patch` is one value",
        "The server wants a set, and counts anything else as a failure of the policy.",
        "Write `patch contains {…} if {…}`.",
        With(
            "patch: [tier-2]",
            r#"patch := {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "result/unconditional",
        "A violation without a condition",
        "Every request that matches is denied.",
        "Say when it is a violation.",
        Rules(
            r#"violation contains problem(["spec"])
"#,
        ),
        Rules(
            r#"violation contains problem(["spec"]) if not input.request.object.spec.serviceName
"#,
        ),
    ),
    error(
        "result/missing-key",
        "A violation or patch without one of its keys",
        "The answer counts as a failure of the policy. `msg`, `path`, `wanted` and `fix` are what a developer sees at the terminal.",
        "Add what is missing.",
        Rules(
            r#"violation contains {"msg": "seven replicas", "path": ["spec", "replicas"]} if input.request.object.spec.replicas == 7
"#,
        ),
        Rules(
            r#"violation contains {
	"msg": "seven replicas are an odd quorum nobody tested",
	"path": ["spec", "replicas"],
	"wanted": "three or five",
	"fix": "replicas: 5",
} if input.request.object.spec.replicas == 7
"#,
        ),
    ),
    error(
        "result/unknown-key",
        "A violation or patch with a key that nobody reads",
        "The answer counts as a failure of the policy.",
        "Remove it; severity and action stand in METADATA.",
        Rules(
            r#"violation contains {
	"msg": "seven replicas are an odd quorum nobody tested",
	"path": ["spec", "replicas"],
	"wanted": "three or five",
	"fix": "replicas: 5",
	"severity": "high",
} if input.request.object.spec.replicas == 7
"#,
        ),
        Rules(
            r#"violation contains {
	"msg": "seven replicas are an odd quorum nobody tested",
	"path": ["spec", "replicas"],
	"wanted": "three or five",
	"fix": "replicas: 5",
	"found": 7,
} if input.request.object.spec.replicas == 7
"#,
        ),
    ),
    error(
        "result/wrong-type",
        "A violation or patch with a value of another type",
        "The answer counts as a failure of the policy.",
        "`msg` and `fix` are text, `path` is a list of keys and indices, a patch is an object.",
        Rules(
            r#"violation contains {
	"msg": "seven replicas are an odd quorum nobody tested",
	"path": "spec.replicas",
	"wanted": "three or five",
	"fix": "replicas: 5",
} if input.request.object.spec.replicas == 7
"#,
        ),
        Rules(
            r#"violation contains {
	"msg": "seven replicas are an odd quorum nobody tested",
	"path": ["spec", "replicas"],
	"wanted": "three or five",
	"fix": "replicas: 5",
} if input.request.object.spec.replicas == 7
"#,
        ),
    ),
    error(
        "result/wrong-shape",
        "A case shows an answer of another shape",
        "The answer counts as a failure of the policy: its own action decides, and nobody is told what is wrong with the object.",
        "Write the object in place, with the keys of docs/policy-format.md.",
        Rules(
            r#"violation contains object.union(problem(["spec"]), {"severity": "high"}) if input.request.object.spec.replicas == 1
"#,
        ),
        Rules(
            r#"violation contains object.union(problem(["spec"]), {"found": 1}) if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "result/patch-op",
        "An operation other than add, remove and test",
        "The answer counts as a failure of the policy. `replace` fails where a field is left out, as in most manifests.",
        "Write `add`, which also replaces.",
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "replace", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "result/patch-path",
        "A path that is no JSON Pointer",
        "The patch would fail, or write another field: `/metadata/annotations/seawall.dev/tier` is a map within an annotation.",
        "Begin with /, and write ~1 for / and ~0 for ~ within keys (RFC 6901).",
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "patch/never-clears",
        "The patches of a policy do not clear its violations",
        "A default that leaves the violation is written for nothing: the object is denied all the same, and now differs from what its owner wrote.",
        "Write the value that the violation wants, at the path of the violation.",
        Only(
            "patch: [tier-2]",
            r#"violation contains {
	"msg": "one replica is an outage whenever its node is drained",
	"path": ["spec", "replicas"],
	"wanted": "two or more",
	"fix": "replicas: 2",
} if input.request.object.spec.replicas == 1

patch contains {"op": "add", "path": "/spec/minReadySeconds", "value": 10} if input.request.object.spec.replicas == 1
"#,
        ),
        Only(
            "patch: [tier-2]",
            r#"violation contains {
	"msg": "one replica is an outage whenever its node is drained",
	"path": ["spec", "replicas"],
	"wanted": "two or more",
	"fix": "replicas: 2",
} if input.request.object.spec.replicas == 1

patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    error(
        "patch/repeats",
        "A patch is proposed again for the object that it made",
        "The server drops patches that do not come to an end, and every apply would change the object again.",
        "Patch only if the value is not there yet.",
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/tags/-", "value": "few"} if input.request.object.spec.replicas == 1
"#,
        ),
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/tags/-", "value": "few"} if {
	input.request.object.spec.replicas == 1
	not input.request.object.spec.tags
}
"#,
        ),
    ),
    error(
        "patch/conflict",
        "Two policies patch one field differently",
        "Neither patch is written, and the object is denied or left as it was.",
        "Let one of them leave the field alone where the other patches it.",
        Second(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 3} if input.request.object.spec.replicas == 1
"#,
        ),
        Second(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
];
