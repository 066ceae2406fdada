//! The page of the policies: what each asks for and how it is set up, from their METADATA.

use super::{Documented, cell};
use crate::policy::metadata::{CHECKLIST, Metadata};
use crate::policy::mode::Tier;
use std::fmt::Write as _;

/// A table by checklist item, then a section for each policy.
#[must_use]
pub fn page(policies: &[Documented]) -> String {
    let mut page = String::from(
        "Actions hold in mode enforce; weaker modes cap them ([modes](../modes.md)). Actions, parameters, patch tiers and match of each \
         are overridden in the configuration, under `policies.<id>` ([configuration](configuration.md)).\n\n\
         | checklist item | policies |\n| --- | --- |\n",
    );
    for item in CHECKLIST {
        let of_item = policies.iter().filter(|policy| policy.metadata.checklist == *item);
        let links: Vec<String> = of_item.map(|policy| format!("[{0}](#{0})", policy.metadata.id)).collect();
        if !links.is_empty() {
            let _ = writeln!(page, "| {item} | {} |", links.join(", "));
        }
    }
    for policy in policies {
        page.push_str(&section(policy));
    }
    page
}

fn section(Documented { metadata, file }: &Documented) -> String {
    let mut text =
        format!("\n## {}\n\n**{}.** {}\n\n", metadata.id, cell(&metadata.title), cell(&metadata.description));
    text.push_str("| | |\n| --- | --- |\n");
    let mut row = |key: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "| {key} | {value} |");
        }
    };
    row("severity", metadata.severity.to_string());
    row("judges", judges(metadata));
    let actions: Vec<String> = Tier::ALL.iter().map(|tier| format!("{tier} {}", metadata.actions.get(*tier))).collect();
    row("actions", actions.join(", "));
    row("patches in", metadata.patch.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    row("parameters", parameters(metadata));
    let facts: Vec<String> = metadata
        .context
        .iter()
        .map(|need| format!("`{}`{}", need.resource, if need.optional { " (optional)" } else { "" }))
        .collect();
    row("reads", facts.join(", "));
    if !metadata.exemptible {
        row("exemptions", "only in the configuration, not by annotation".to_owned());
    }
    if let Some((folder, _)) = file.rsplit_once('/') {
        row("more", format!("[page with examples](../../policies/{folder}/README.md)"));
    }
    text
}

/// `CREATE, UPDATE of statefulsets.apps`
fn judges(metadata: &Metadata) -> String {
    let rows: Vec<String> = metadata
        .rules
        .iter()
        .map(|rule| {
            let operations: Vec<String> = rule.operations.iter().map(ToString::to_string).collect();
            let resources: Vec<String> = rule.resources.iter().map(|resource| format!("`{resource}`")).collect();
            let offline = if rule.registered { "" } else { " (in files and in what is stored only)" };
            format!("{} of {}{offline}", operations.join(", "), resources.join(", "))
        })
        .collect();
    rows.join("; ")
}

/// Each with its default, and where that differs by tier.
fn parameters(metadata: &Metadata) -> String {
    let one = |(name, value): (&String, &serde_json::Value)| {
        let in_tiers: Vec<String> = metadata
            .tier_parameters
            .iter()
            .filter_map(|(tier, of_tier)| Some(format!("{tier} `{}`", of_tier.get(name)?)))
            .collect();
        let differs = if in_tiers.is_empty() { String::new() } else { format!(" ({})", in_tiers.join(", ")) };
        format!("`{name}`: `{}`{differs}", value.to_string().replace('|', "\\|"))
    };
    metadata.parameters.iter().map(one).collect::<Vec<_>>().join("; ")
}
