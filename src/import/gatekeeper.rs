//! ConstraintTemplates with Rego and their Constraints.
//!
//! Formats: Gatekeeper's `templates.gatekeeper.sh/v1` (`spec.targets[].rego`, `libs`, `code[].source`) and
//! `constraints.gatekeeper.sh/v1beta1` (`spec.match`, `enforcementAction`, `parameters`).

use super::{Document, Draft, Module, Problem};
use crate::context::kinds::Kinds;
use crate::import::names::{Origin, kebab};
use serde_json::{Map, Value, json};

/// The versions of groups whose resources have one that everybody means.
const VERSIONS: &[(&str, &str)] = &[
    ("", "v1"),
    ("apps", "v1"),
    ("autoscaling", "v2"),
    ("batch", "v1"),
    ("networking.k8s.io", "v1"),
    ("policy", "v1"),
    ("rbac.authorization.k8s.io", "v1"),
    ("storage.k8s.io", "v1"),
    ("snapshot.storage.k8s.io", "v1"),
];

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}

pub(super) fn is_template(document: &Document) -> bool {
    let version = text(&document.value, "/apiVersion").unwrap_or_default();
    version.starts_with("templates.gatekeeper.sh/") && text(&document.value, "/kind") == Some("ConstraintTemplate")
}

pub(super) fn is_constraint(document: &Document) -> bool {
    text(&document.value, "/apiVersion").is_some_and(|version| version.starts_with("constraints.gatekeeper.sh/"))
}

/// The policies of a template: one for each of its Constraints.
pub(super) fn drafts(template: &Document, constraints: &[Document], problems: &mut Vec<Problem>) -> Vec<Draft> {
    let kind = text(&template.value, "/spec/crd/spec/names/kind").unwrap_or_default().to_owned();
    let modules = modules(template, problems);
    if modules.is_empty() {
        return Vec::new();
    }
    let own: Vec<&Document> = constraints.iter().filter(|c| text(&c.value, "/kind") == Some(&kind)).collect();
    if own.is_empty() {
        let what = format!("no Constraint of kind {kind}, so nothing says what it is about");
        problems.push(template.problem("ConstraintTemplate", &what, "give the Constraint's file too"));
    }
    let of = |constraint: &&Document| {
        let name = text(&constraint.value, "/metadata/name").unwrap_or(&kind);
        // a Constraint by itself is known by its template
        let id = if own.len() == 1 { kebab(&kind) } else { kebab(name) };
        Draft {
            id,
            origin: Origin::Gatekeeper,
            title: annotation(template, "title").unwrap_or_else(|| kind.clone()),
            description: annotation(template, "description")
                .or_else(|| annotation(template, "title"))
                .unwrap_or_default(),
            action: action(constraint, problems),
            rows: rows(constraint, problems),
            parameters: parameters(template, constraint),
            modules: modules.clone(),
            reports: vec!["violation".to_owned()],
            from: format!("{} and {}", template.file, constraint.file),
            folder: constraint.folder().to_owned(),
        }
    };
    own.iter().map(of).collect()
}

fn annotation(template: &Document, key: &str) -> Option<String> {
    let annotations = template.value.pointer("/metadata/annotations")?.as_object()?;
    let of = |name: String| annotations.get(&name).and_then(Value::as_str).map(str::to_owned);
    let found = of(format!("metadata.gatekeeper.sh/{key}")).or_else(|| of(key.to_owned()))?;
    Some(found.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|text| !text.is_empty())
}

fn modules(template: &Document, problems: &mut Vec<Problem>) -> Vec<Module> {
    let targets = template.value.pointer("/spec/targets").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut modules = Vec::new();
    for target in &targets {
        let code = target.get("code").and_then(Value::as_array).cloned().unwrap_or_default();
        let rego = code.iter().find(|code| text(code, "/engine") == Some("Rego")).and_then(|code| code.get("source"));
        if let (true, None) = (!code.is_empty(), rego) {
            problems.push(template.problem(
                "engine",
                "the template has no Rego",
                "only `engine: Rego` is carried over; write the CEL expression as a rule",
            ));
        }
        let source = rego.unwrap_or(target);
        let main = text(source, "/rego").map(str::to_owned);
        let libs = source.get("libs").and_then(Value::as_array).into_iter().flatten();
        let libs = libs.filter_map(Value::as_str).map(str::to_owned);
        for module in main.into_iter().chain(libs) {
            let line = template.line_of_block(&module);
            modules.push(Module { file: template.file.clone(), line, text: module });
        }
    }
    if targets.len() > 1 {
        problems.push(template.problem("targets", "several targets", "only the first is carried over"));
    }
    modules
}

fn action(constraint: &Document, problems: &mut Vec<Problem>) -> &'static str {
    match text(&constraint.value, "/spec/enforcementAction") {
        None | Some("deny") => "Deny",
        Some("warn") => "Warn",
        Some("dryrun") => "Audit",
        Some(other) => {
            problems.push(constraint.problem(
                "enforcementAction",
                &format!("enforcementAction {other}"),
                "it is carried over as Audit; set `actions` of the policy by tier",
            ));
            "Audit"
        }
    }
}

/// The rows of `match`.
fn rows(constraint: &Document, problems: &mut Vec<Problem>) -> Vec<Value> {
    let matches = constraint.value.pointer("/spec/match").and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, what) in &matches {
        let instead = match key.as_str() {
            "kinds" => continue,
            "source" if matches!(what.as_str(), Some("All" | "Original")) => continue,
            "scope" if what.as_str() == Some("*") => continue,
            "namespaces" | "excludedNamespaces" | "namespaceSelector" => {
                "which namespaces are enforced is said by their labels seawall.dev/mode and seawall.dev/tier"
            }
            "labelSelector" | "name" | "scope" => {
                "write it as a condition of the rule, on input.request.object.metadata"
            }
            _ => "leave it out, or write it as a condition of the rule",
        };
        problems.push(constraint.problem(key, &format!("`match.{key}` is not carried over"), instead));
    }
    let mut rows = Vec::new();
    for kinds in matches.get("kinds").and_then(Value::as_array).into_iter().flatten() {
        let list = |key: &str| -> Vec<String> {
            let items = kinds.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        for group in list("apiGroups") {
            let Some((_, version)) = VERSIONS.iter().find(|(known, _)| *known == group) else {
                problems.push(constraint.problem(
                    "apiGroups",
                    &format!("the API group {group:?} has no version here"),
                    "add a row with its version to `match` of the policy; wildcards are not carried over",
                ));
                continue;
            };
            let api_version = if group.is_empty() { (*version).to_owned() } else { format!("{group}/{version}") };
            let named: Vec<String> = list("kinds").into_iter().filter(|kind| belongs(&group, kind)).collect();
            if named.iter().any(|kind| kind == "*") {
                problems.push(constraint.problem("kinds", "the kind \"*\"", "name the kinds: webhooks stay narrow"));
            }
            let resources: Vec<String> = named
                .iter()
                .filter(|kind| *kind != "*")
                .map(|kind| Kinds::default().resolve(&api_version, kind).resource.resource)
                .collect();
            if !resources.is_empty() {
                rows.push(json!({
                    "apiGroups": [group], "apiVersions": [version], "resources": resources,
                    "operations": ["CREATE", "UPDATE"],
                }));
            }
        }
    }
    if rows.is_empty() {
        problems.push(constraint.problem("match", "no kinds are named", "name them in `match.kinds`"));
    }
    rows
}

/// Whether a group has a kind, where several groups and kinds are named at once.
fn belongs(group: &str, kind: &str) -> bool {
    let of = |kind: &str| match kind {
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" => Some("apps"),
        "Job" | "CronJob" => Some("batch"),
        "Ingress" | "NetworkPolicy" => Some("networking.k8s.io"),
        "StorageClass" | "CSIDriver" => Some("storage.k8s.io"),
        "PodDisruptionBudget" => Some("policy"),
        "HorizontalPodAutoscaler" => Some("autoscaling"),
        "Pod"
        | "Service"
        | "ConfigMap"
        | "Secret"
        | "Namespace"
        | "PersistentVolume"
        | "PersistentVolumeClaim"
        | "ReplicationController"
        | "ServiceAccount" => Some(""),
        _ => None,
    };
    of(kind).is_none_or(|own| own == group)
}

/// The Constraint's values; a boolean that only the template's schema names is false, as it counts there.
fn parameters(template: &Document, constraint: &Document) -> Map<String, Value> {
    let schema = "/spec/crd/spec/validation/openAPIV3Schema/properties";
    let mut parameters = Map::new();
    for (name, of) in template.value.pointer(schema).and_then(Value::as_object).into_iter().flatten() {
        if text(of, "/type") == Some("boolean") {
            parameters.insert(name.clone(), of.get("default").cloned().unwrap_or(Value::Bool(false)));
        } else if let Some(value) = of.get("default") {
            parameters.insert(name.clone(), value.clone());
        }
    }
    let own = constraint.value.pointer("/spec/parameters").and_then(Value::as_object);
    parameters.extend(own.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    parameters
}
