//! Policies of conftest: packages with `deny`, `violation` and `warn` rules over plain manifests.

use super::gatekeeper_row;
use super::names::{Origin, kebab};
use super::print::{list, only};
use super::{Draft, Module, Problem};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The kinds that a rule of a policy of workloads usually asks for, with their versions.
const KINDS: &[(&str, &str)] = &[
    ("Deployment", "apps/v1"),
    ("StatefulSet", "apps/v1"),
    ("DaemonSet", "apps/v1"),
    ("ReplicaSet", "apps/v1"),
    ("Job", "batch/v1"),
    ("CronJob", "batch/v1"),
    ("Pod", "v1"),
    ("Service", "v1"),
    ("ConfigMap", "v1"),
    ("Secret", "v1"),
    ("Namespace", "v1"),
    ("PersistentVolume", "v1"),
    ("PersistentVolumeClaim", "v1"),
    ("ServiceAccount", "v1"),
    ("Ingress", "networking.k8s.io/v1"),
    ("NetworkPolicy", "networking.k8s.io/v1"),
    ("StorageClass", "storage.k8s.io/v1"),
    ("PodDisruptionBudget", "policy/v1"),
    ("HorizontalPodAutoscaler", "autoscaling/v2"),
];

/// The policies of one file: what denies, and what warns.
pub(super) fn drafts(
    module: &Module,
    tree: &Value,
    package: &str,
    kinds: &[(String, String)],
    problems: &mut Vec<Problem>,
) -> Vec<Draft> {
    let names: BTreeSet<String> = list(tree, "rules").iter().map(super::print::rule_name).collect();
    let of = |words: &[&str]| -> Vec<String> {
        let fits =
            |name: &&String| words.iter().any(|word| name.as_str() == *word || name.starts_with(&format!("{word}_")));
        names.iter().filter(fits).cloned().collect()
    };
    let (denies, warns) = (of(&["deny", "violation"]), of(&["warn"]));
    for name in of(&["exception"]) {
        problems.push(module.problem(
            1,
            format!("the rule {name}: exceptions of conftest are not carried over"),
            "an object is exempted by an annotation (docs/exemptions.md)",
        ));
    }
    if denies.is_empty() && warns.is_empty() {
        return Vec::new();
    }
    let mut found = BTreeSet::new();
    compared(list(tree, "rules"), &mut found);
    let mut wanted: Vec<(String, String)> = kinds.to_vec();
    if wanted.is_empty() {
        for kind in &found {
            match KINDS.iter().find(|(known, _)| known == kind) {
                Some((kind, version)) => wanted.push(((*kind).to_owned(), (*version).to_owned())),
                None => problems.push(module.problem(
                    1,
                    format!("the kind {kind}, whose version nothing says"),
                    "give it: --kind VERSION/KIND, for example --kind velero.io/v1/Backup",
                )),
            }
        }
    }
    if wanted.is_empty() {
        problems.push(module.problem(
            1,
            "no rule compares `input.kind` with a text, so nothing says which objects it is about".to_owned(),
            "name them: --kind VERSION/KIND, for example --kind apps/v1/StatefulSet",
        ));
    }
    let stem = module.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".rego");
    let id = kebab(if package == "main" { stem } else { package.rsplit('.').next().unwrap_or(stem) });
    let draft = |id: String, action: &'static str, reports: Vec<String>| Draft {
        title: format!("{} (from conftest)", id.replace('-', " ")),
        description: format!("What {} asks for.", module.file),
        id,
        origin: Origin::Conftest,
        action,
        rows: wanted.iter().map(|(kind, version)| gatekeeper_row(version, kind)).collect(),
        parameters: Map::new(),
        modules: vec![module.clone()],
        reports,
        from: module.file.clone(),
        folder: module.file.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned(),
    };
    let warn_id = if denies.is_empty() { id.clone() } else { format!("{id}-warn") };
    let mut drafts = Vec::new();
    if !denies.is_empty() {
        drafts.push(draft(id, "Deny", denies));
    }
    if !warns.is_empty() {
        drafts.push(draft(warn_id, "Warn", warns));
    }
    drafts
}

/// Texts that `input.kind` is compared with.
fn compared(nodes: &[Value], found: &mut BTreeSet<String>) {
    for node in nodes {
        walk(node, found);
    }
}

fn walk(node: &Value, found: &mut BTreeSet<String>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Object(fields) => {
            if let Some(("BoolExpr" | "AssignExpr", body)) = only(node) {
                let side = |key: &str| body.get(key).unwrap_or(&Value::Null);
                for (kind, other) in [(side("lhs"), side("rhs")), (side("rhs"), side("lhs"))] {
                    let text = other.get("String").and_then(|s| s.get("value")?.as_str());
                    found.extend(text.filter(|_| is_kind(kind)).map(str::to_owned));
                }
            }
            if let Some(("Membership", body)) = only(node)
                && body.get("value").is_some_and(is_kind)
            {
                let items = body.get("collection").and_then(only).map_or(&[][..], |(_, set)| list(set, "items"));
                found.extend(items.iter().filter_map(|i| Some(i.get("String")?.get("value")?.as_str()?.to_owned())));
            }
            fields.values().for_each(|value| walk(value, found));
        }
        _ => {}
    }
}

fn is_kind(node: &Value) -> bool {
    let dot = node.get("RefDot");
    dot.and_then(|dot| dot.get("field")?.get(1)?.as_str()) == Some("kind")
        && dot.and_then(|dot| dot.get("refr")?.get("Var")?.get("value")?.as_str()) == Some("input")
}
