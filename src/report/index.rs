//! The generated index of policies, `policies/README.md`.

use crate::engine::compile::EngineKind;
use crate::policy::metadata::{MatchRule, Metadata};
use crate::policy::mode::Tier;
use crate::policy::store::{Policy, PolicySet};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The page: one row for each policy.
#[must_use]
pub fn policies(set: &PolicySet) -> String {
    let mut page = String::from(
        "# Policies\n\n<!-- generated: SEAWALL_UPDATE=1 cargo test --test policies index -->\n\nAn OPA bundle: `opa test -b policies`, \
         `opa check --strict -b policies`. The format is described in [docs/policy-format.md](../docs/policy-format.md).\nActions are those \
         of tier-0, tier-1, tier-2, tier-3; they hold in mode enforce, weaker modes cap them.\n\n\
         | policy | checklist item | severity | resources | operations | actions | patches in | context | engine |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for policy in set.policies() {
        let _ = writeln!(page, "{}", row(policy));
    }
    page
}

/// `policies/seawall/knowledge/policies/data.yaml`: the list of the embedded policies as OPA's tools see it.
#[must_use]
pub fn knowledge(set: &PolicySet) -> String {
    let mut page = String::from(
        "# generated: SEAWALL_UPDATE=1 cargo test --test policies index\n\
         # The policies that are embedded. In the running program this is the list of the policies that are loaded.\n",
    );
    for Metadata { id, checklist, exemptible, .. } in set.policies().iter().map(|p| &p.metadata) {
        let _ = writeln!(page, "{id}: {{checklist: {checklist}, exemptible: {exemptible}}}");
    }
    page
}

fn row(policy: &Policy) -> String {
    let metadata = &policy.metadata;
    let folder = policy.file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let list = |items: BTreeSet<String>| {
        if items.is_empty() { "–".to_owned() } else { items.into_iter().collect::<Vec<_>>().join(", ") }
    };
    let actions: Vec<&str> = Tier::ALL.iter().map(|tier| metadata.actions.get(*tier).as_str()).collect();
    let context = metadata
        .context
        .iter()
        .map(|need| if need.optional { format!("{} (optional)", need.resource) } else { need.resource.clone() });
    let engine = if policy.engine() == EngineKind::Rvm { "RVM" } else { "interpreter" };
    format!(
        "| [{}]({folder}/README.md) | {} | {} | {} | {} | {} | {} | {} | {engine} |",
        metadata.id,
        metadata.checklist,
        metadata.severity,
        list(of_rules(metadata, resources)),
        list(of_rules(metadata, |rule| rule.operations.iter().map(ToString::to_string).collect())),
        actions.join(", "),
        list(metadata.patch.iter().map(ToString::to_string).collect()),
        list(context.collect()),
    )
}

/// The resources of a row; what is judged offline only says so.
fn resources(rule: &MatchRule) -> Vec<String> {
    let name = |resource: &String| if rule.registered { resource.clone() } else { format!("{resource} (offline)") };
    rule.resources.iter().map(name).collect()
}

fn of_rules(metadata: &Metadata, part: impl Fn(&MatchRule) -> Vec<String>) -> BTreeSet<String> {
    metadata.rules.iter().flat_map(part).collect()
}
