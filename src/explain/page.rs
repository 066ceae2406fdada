//! The page of a policy: what its METADATA says with the configuration in force, and what its README.md says.

use super::markdown;
use super::text::behind;
use crate::config::{Settings, closest};
use crate::engine::compile::EngineKind;
use crate::policy::bundle::Bundle;
use crate::policy::matcher::via;
use crate::policy::metadata::{MatchRule, Via};
use crate::policy::mode::Tier;
use crate::policy::store::{Policy, PolicySet};
use crate::report::page::plain;
use crate::report::text::{Ink, Style};
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// There is no such policy.
#[derive(Debug, thiserror::Error)]
#[error("there is no policy {id:?}{near}; `seawall explain` lists them")]
pub struct UnknownPolicy {
    id: String,
    near: String,
}

/// The policy of an id.
///
/// # Errors
/// When there is none.
pub fn find<'s>(set: &'s PolicySet, id: &str) -> Result<&'s Policy, UnknownPolicy> {
    set.get(id)
        .ok_or_else(|| UnknownPolicy { id: id.to_owned(), near: closest(id, set.policies().iter().map(Policy::id)) })
}

/// What is known of a policy.
#[derive(Debug, Clone, Copy)]
pub struct Page<'p> {
    policy: &'p Policy,
    settings: &'p Settings,
    readme: Option<&'p str>,
}

impl<'p> Page<'p> {
    /// The page of a policy.
    #[must_use]
    pub fn new(policy: &'p Policy, bundle: &'p Bundle, settings: &'p Settings) -> Self {
        let readme = bundle.pages.get(policy.unit.package.trim_start_matches("data.")).map(String::as_str);
        Self { policy, settings, readme }
    }

    /// As text.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let metadata = &self.policy.metadata;
        writeln!(out, "{}: {}", style.paint(Ink::Bold, &metadata.id), plain(metadata.title.trim()))?;
        for (label, text) in self.facts() {
            let label = format!("  {label:<12}");
            behind(out, &label, 14, &plain(&text))?;
        }
        writeln!(out)?;
        match self.body() {
            Some(body) => markdown::write(&body, style, out),
            None => {
                behind(out, "", 0, &plain(&metadata.description))?;
                writeln!(out, "\nThere is no README.md beside {}.", self.policy.file)
            }
        }
    }

    /// As Markdown: the facts as a table, then the page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn markdown(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "# {}\n\n{}\n\n| in force | |\n| --- | --- |",
            self.policy.id(),
            self.policy.metadata.title.trim()
        )?;
        for (label, text) in self.facts() {
            writeln!(out, "| {label} | {} |", text.replace('|', "\\|"))?;
        }
        match self.body() {
            Some(body) => writeln!(out, "\n{}", body.trim()),
            None => writeln!(out, "\n{}", self.policy.metadata.description.trim()),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let metadata = &self.policy.metadata;
        let parameters: Map<String, Value> =
            Tier::ALL.iter().map(|tier| (tier.to_string(), Value::Object(metadata.parameters_in(*tier)))).collect();
        json!({
            "metadata": metadata,
            "parametersByTier": parameters,
            "engine": self.policy.engine(),
            "file": self.policy.file,
            "configured": self.settings.policies.contains_key(self.policy.id()),
            "page": self.readme,
        })
    }

    /// The page without its title, which is the id.
    fn body(&self) -> Option<String> {
        let readme = self.readme?.trim_start();
        let rest = readme.strip_prefix("# ").and_then(|rest| rest.split_once('\n')).map_or(readme, |(_, rest)| rest);
        Some(format!("{}\n", rest.trim()))
    }

    fn facts(&self) -> Vec<(&'static str, String)> {
        let metadata = &self.policy.metadata;
        let tiers = |text: &dyn Fn(Tier) -> String| {
            Tier::ALL.iter().map(|tier| format!("{tier} {}", text(*tier))).collect::<Vec<_>>().join(", ")
        };
        let mut facts = vec![
            ("severity", format!("{}, checklist item {}", metadata.severity, metadata.checklist)),
            ("actions", tiers(&|tier| metadata.actions.get(tier).to_string())),
        ];
        if self.policy.unit.has(crate::engine::compile::Entry::Patch) {
            let wanted: Vec<&str> = metadata.patch.iter().map(|tier| tier.as_str()).collect();
            let nowhere = "only where the configuration asks for them".to_owned();
            facts.push(("patches in", if wanted.is_empty() { nowhere } else { wanted.join(", ") }));
        }
        facts.extend(metadata.rules.iter().map(|rule| ("match", row(rule))));
        for need in &metadata.context {
            let without = if need.optional { "can do without" } else { "unknown without" };
            facts.push(("reads", format!("{} of the cluster ({without})", need.resource)));
        }
        let usual = metadata.parameters_in(Tier::Tier2);
        for (name, value) in &usual {
            let differs = Tier::ALL.iter().any(|tier| metadata.parameters_in(*tier).get(name) != Some(value));
            let of = |tier: Tier| metadata.parameters_in(tier).get(name).map(Value::to_string).unwrap_or_default();
            let text = if differs { tiers(&of) } else { value.to_string() };
            facts.push(("parameter", format!("{name}: {text}")));
        }
        if !metadata.exemptible {
            facts.push(("exemptions", "an annotation on the object cannot exempt it".to_owned()));
        }
        if metadata.guards_finalizers {
            facts.push((
                "finalizers",
                "also judged while the object is being deleted or only loses finalizers".to_owned(),
            ));
        }
        if self.settings.policies.contains_key(&metadata.id) {
            facts.push(("configured", "the configuration overrides parts of it; this is what holds".to_owned()));
        }
        let engine = match (self.policy.engine(), &self.policy.unit.interpreted_because) {
            (EngineKind::Interpreter, Some(reason)) => format!("interpreter, because {reason}"),
            (EngineKind::Interpreter, None) => "interpreter".to_owned(),
            (EngineKind::Rvm, _) => "RVM, compared with the interpreter".to_owned(),
        };
        facts.push(("engine", engine));
        facts.push(("file", self.policy.file.clone()));
        facts.extend(metadata.related_resources.iter().map(|link| ("see", link.reference.clone())));
        facts
    }
}

/// `CREATE, UPDATE of apps/v1 statefulsets`.
fn row(rule: &MatchRule) -> String {
    let operations: Vec<String> = rule.operations.iter().map(ToString::to_string).collect();
    let versions: Vec<String> = rule
        .api_groups
        .iter()
        .flat_map(|group| {
            let named =
                move |version: &String| if group.is_empty() { version.clone() } else { format!("{group}/{version}") };
            rule.api_versions.iter().map(named)
        })
        .collect();
    let inside = match rule.resources.first().map(|resource| via(rule, resource)) {
        Some(Via::Both) => ", of their own and inside workloads",
        Some(Via::Template) => ", inside workloads",
        Some(Via::Direct) if rule.via.is_some() => ", of their own only",
        _ => "",
    };
    let registered = if rule.registered { "" } else { "; for manifests and stored objects only" };
    format!("{} of {} {}{inside}{registered}", operations.join(", "), versions.join(", "), rule.resources.join(", "))
}

/// The list of all policies.
///
/// # Errors
/// When it cannot be written.
pub fn list(set: &PolicySet, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let width = set.policies().iter().map(|policy| policy.id().len()).max().unwrap_or_default();
    for policy in set.policies() {
        let metadata = &policy.metadata;
        let label = format!("{:<width$}  {:<8}  ", metadata.id, metadata.severity);
        behind(out, &style.paint(Ink::Bold, &label), width + 12, &plain(metadata.title.trim()))?;
    }
    writeln!(out, "\n{} policies; seawall explain POLICY_ID shows one.", set.policies().len())
}

/// The same as JSON.
#[must_use]
pub fn list_json(set: &PolicySet) -> Value {
    set.policies()
        .iter()
        .map(|policy| {
            let metadata = &policy.metadata;
            json!({"id": metadata.id, "title": metadata.title.trim(), "severity": metadata.severity,
                "checklist": metadata.checklist, "file": policy.file})
        })
        .collect()
}

/// The same as Markdown.
///
/// # Errors
/// When it cannot be written.
pub fn list_markdown(set: &PolicySet, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "| policy | severity | |\n| --- | --- | --- |")?;
    for policy in set.policies() {
        let metadata = &policy.metadata;
        writeln!(out, "| {} | {} | {} |", metadata.id, metadata.severity, metadata.title.trim().replace('|', "\\|"))?;
    }
    Ok(())
}
