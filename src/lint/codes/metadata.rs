//! Codes about METADATA, and about what policies declare and read.

use super::Example::{Instead, Rules, With};
use super::{Code, error, refused, warning};

pub(super) static ALL: &[Code] = &[
    refused(
        "metadata/missing",
        "There is no METADATA block",
        "Without it nobody knows which requests a policy judges or what follows from a violation.",
        "Write the block directly above the package line, with `#` before every line.",
        Instead("# METADATA", "# About this policy"),
        Instead("# METADATA", "# METADATA"),
    ),
    refused(
        "metadata/syntax",
        "The METADATA block is no YAML",
        "The block is read as YAML without the comment signs.",
        "Quote text with `: `, `[` or `{` in it, and close what is open.",
        Instead("#   severity:", "#   severity: [high"),
        Instead("#   severity:", "#   severity: high"),
    ),
    refused(
        "metadata/unknown-key",
        "A key of METADATA that nobody reads",
        "A misspelt key would be a default without a word: a policy that audits where it was meant to deny.",
        "Write the key as in docs/policy-format.md.",
        Instead("#   severity:", "#   severty: high"),
        Instead("#   severity:", "#   severity: high"),
    ),
    refused(
        "metadata/missing-key",
        "A key of METADATA is missing",
        "Reports, pages and decisions need all of them.",
        "Add it, as in docs/policy-format.md.",
        Instead("#   severity:", ""),
        Instead("#   severity:", "#   severity: high"),
    ),
    refused(
        "metadata/wrong-type",
        "A value of METADATA is of another type, or none of the permitted words",
        "It could mean anything.",
        "Write it as in docs/policy-format.md.",
        Instead("# title:", "# title: [two, replicas]"),
        Instead("# title:", "# title: Two replicas"),
    ),
    refused(
        "metadata/checklist",
        "The checklist item does not exist",
        "Scorecards group by it, and this policy would be in none of the groups.",
        "Take one of those that the message lists.",
        Instead("#   checklist:", "#   checklist: scale"),
        Instead("#   checklist:", "#   checklist: scaling"),
    ),
    refused(
        "metadata/severity",
        "The severity does not exist",
        "Reports show the worst first.",
        "Write critical, high, medium or low.",
        Instead("#   severity:", "#   severity: urgent"),
        Instead("#   severity:", "#   severity: critical"),
    ),
    refused(
        "metadata/actions",
        "A tier has no action, or the action does not exist",
        "In a tier without an action nobody knows what a violation leads to.",
        "Give each of the four tiers Deny, Warn, Audit or Off.",
        Instead("#   actions:", "#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn}"),
        Instead("#   actions:", "#   actions: {tier-0: Deny, tier-1: Deny, tier-2: Warn, tier-3: Off}"),
    ),
    refused(
        "metadata/tiers",
        "A tier that does not exist, or a parameter without a default",
        "What stands there would never count.",
        "Write tier-0 to tier-3, and give each parameter a default in `parameters`.",
        With(
            r"parameters: {least: 2}
tierParameters: {tier-9: {least: 3}}",
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas < input.seawall.parameters.least
"#,
        ),
        With(
            r"parameters: {least: 2}
tierParameters: {tier-0: {least: 3}}",
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas < input.seawall.parameters.least
"#,
        ),
    ),
    refused(
        "metadata/match",
        "A row of `match` matches nothing",
        "A policy with an empty list is never asked.",
        r#"Name at least one of each; the core API group is `""`."#,
        Instead(
            "#   - {apiGroups",
            "#   - {apiGroups: [], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}",
        ),
        Instead(
            "#   - {apiGroups",
            "#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets], operations: [CREATE, UPDATE]}",
        ),
    ),
    refused(
        "metadata/wildcard",
        "A wildcard in `match`",
        "The webhook would be asked about everything, also what keeps the cluster alive.",
        "Name groups, versions and resources one by one.",
        Instead(
            "#   - {apiGroups",
            "#   - {apiGroups: [apps], apiVersions: [v1], resources: ['*'], operations: [CREATE, UPDATE]}",
        ),
        Instead(
            "#   - {apiGroups",
            "#   - {apiGroups: [apps], apiVersions: [v1], resources: [statefulsets, deployments], operations: [CREATE]}",
        ),
    ),
    refused(
        "metadata/id",
        "Id, package and folder differ",
        "Reports name the id, the engine asks for the package, and people look for the folder.",
        "Use the same words: id with `-`, package and folder with `_`.",
        Instead("#   id:", "#   id: examples"),
        Instead("#   id:", "#   id: example"),
    ),
    warning(
        "metadata/related-resources",
        "There is no related resource",
        "Who doubts the rule has nothing to read.",
        "Add the documentation that the rule rests on.",
        Instead("# related_resources:", ""),
        Instead(
            "# related_resources:",
            r#"# related_resources: [{ref: "https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/"}]"#,
        ),
    ),
    error(
        "metadata/patch",
        "`patch` in METADATA without a `patch` rule, or the other way round",
        "Patches are written only in the tiers that are named; without the key the rule never acts.",
        "Have both, or neither. `patch: []` beside a rule means: only where the configuration asks for it.",
        With("patch: [tier-2]", ""),
        With(
            "patch: [tier-2]",
            r#"patch contains {"op": "add", "path": "/spec/replicas", "value": 2} if input.request.object.spec.replicas == 1
"#,
        ),
    ),
    refused(
        "context/undeclared",
        "A fact is read that `context` does not declare",
        "The server watches only what is declared; the fact would be undefined, and the rule silent.",
        "Add a row to `context`; `optional: false` makes the verdict *unknown* where the kind is not synced.",
        Rules(
            r#"violation contains problem(["spec"]) if data.cluster.namespaces[input.request.namespace].metadata.labels.frozen == "true"
"#,
        ),
        With(
            "context: [{resource: namespaces, optional: true}]",
            r#"violation contains problem(["spec"]) if data.cluster.namespaces[input.request.namespace].metadata.labels.frozen == "true"
"#,
        ),
    ),
    refused(
        "context/unused",
        "`context` declares a kind that nothing reads",
        "The server would watch a kind for nothing, with the memory and the rights that this needs.",
        "Remove the row.",
        With("context: [{resource: nodes, optional: false}]", ""),
        With(
            "context: [{resource: nodes, optional: false}]",
            r#"violation contains problem(["spec"]) if data.cluster.nodes[input.request.object.spec.node].spec.unschedulable
"#,
        ),
    ),
    refused(
        "context/unknown-index",
        "An index is read that does not exist",
        "It would always be undefined.",
        "Take one of the indexes in docs/policy-format.md.",
        With(
            "context: [{resource: nodes, optional: false}]",
            r#"violation contains problem(["spec"]) if "a" in data.cluster.index.zone

violation contains problem(["spec"]) if data.cluster.index.schedulable_nodes == 0
"#,
        ),
        With(
            "context: [{resource: nodes, optional: false}]",
            r#"violation contains problem(["spec"]) if "a" in data.cluster.index.zones
"#,
        ),
    ),
    error(
        "context/cluster-scan",
        "A rule goes through all objects of a kind",
        "Every request would pay for every object of the cluster: with 5,000 claims a decision takes longer than the API server waits.",
        "Read the object by its name, those of one namespace, or an index.",
        With(
            "context: [{resource: storageclasses, optional: false}]",
            r#"violation contains problem(["spec"]) if {
	some class in data.cluster.storageclasses
	class.metadata.name == input.request.object.spec.class
}
"#,
        ),
        With(
            "context: [{resource: storageclasses, optional: false}]",
            r#"violation contains problem(["spec"]) if data.cluster.storageclasses[input.request.object.spec.class]
"#,
        ),
    ),
    refused(
        "context/computed-kind",
        "The kind of `data.cluster` is computed",
        "Nobody could say what the policy reads, so nobody could watch it.",
        "Name the kind.",
        Rules(
            r#"violation contains problem(["spec"]) if data.cluster[input.request.resource.resource]
"#,
        ),
        With(
            "context: [{resource: services, optional: false}]",
            r#"violation contains problem(["spec"]) if {
	name := object.get(input.request.object.spec, "serviceName", "")
	not data.cluster.services[input.request.namespace][name]
}
"#,
        ),
    ),
    refused(
        "parameters/undeclared",
        "A parameter is read that `parameters` does not declare",
        "It would be undefined, and the rule silent.",
        "Give it a default in `parameters`.",
        Rules(
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas < input.seawall.parameters.least
"#,
        ),
        With(
            "parameters: {least: 2}",
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas < input.seawall.parameters.least
"#,
        ),
    ),
    refused(
        "parameters/unused",
        "`parameters` declares what nothing reads",
        "Who sets it in the configuration changes nothing, and is not told.",
        "Remove it, or read it.",
        With("parameters: {least: 2}", ""),
        With(
            "parameters: {least: 2}",
            r#"violation contains problem(["spec"]) if input.request.object.spec.replicas < input.seawall.parameters.least
"#,
        ),
    ),
];
