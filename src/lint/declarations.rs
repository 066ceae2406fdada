//! METADATA, packages, and what policies declare and read.

use super::{Context, Found};
use crate::engine::analysis::Place;
use crate::policy::declared::{Difference, mismatches};
use crate::policy::inspect::{Inspected, Problem, Rule, inspect};
use std::collections::BTreeSet;

pub(super) fn check(context: &Context<'_>, broken: &BTreeSet<String>, found: &mut Found) {
    packages(context, found);
    // also of files whose Rego does not parse
    for (file, text) in context.set.rego().filter(|(file, _)| !file.ends_with("_test.rego")) {
        let is_policy = crate::policy::bundle::package(text).is_none_or(|p| p.starts_with("seawall.policies."));
        if !is_policy || !context.set.is_linted(file) {
            continue;
        }
        let inspected = inspect(file, text);
        for problem in &inspected.problems {
            metadata(problem, found);
        }
        softer(file, &inspected, context, found);
        // what a broken module reads is not known
        if let (Some(metadata), true) =
            (&inspected.metadata, !broken.iter().any(|package| !package.starts_with("data.seawall.policies.")))
        {
            for mismatch in mismatches(metadata, inspected.root.as_ref(), file, &context.rules) {
                let code = match mismatch.difference {
                    Difference::ContextUndeclared => "context/undeclared",
                    Difference::ContextUnused => "context/unused",
                    Difference::ContextUnknown => "context/unknown-index",
                    Difference::ParameterUndeclared => "parameters/undeclared",
                    Difference::ParameterUnused => "parameters/unused",
                };
                found.add(code, mismatch.place, mismatch.problem, mismatch.fix);
            }
        }
    }
}

fn metadata(problem: &Problem, found: &mut Found) {
    let code = match problem.rule {
        Rule::Missing => "metadata/missing",
        Rule::Syntax => "metadata/syntax",
        Rule::UnknownKey => "metadata/unknown-key",
        Rule::MissingKey => "metadata/missing-key",
        Rule::WrongType => "metadata/wrong-type",
        Rule::Checklist => "metadata/checklist",
        Rule::Severity => "metadata/severity",
        Rule::Actions => "metadata/actions",
        Rule::Tiers => "metadata/tiers",
        Rule::Match => "metadata/match",
        Rule::Wildcard => "metadata/wildcard",
        Rule::Id => "metadata/id",
    };
    let (line, column) = problem.at;
    let place = Place { file: problem.file.clone(), line, column };
    let key = if problem.key.is_empty() { String::new() } else { format!("`{}`: ", problem.key) };
    found.wide(
        code,
        place,
        problem.key.chars().count().max(1),
        format!("{key}{}", problem.problem),
        problem.fix.clone(),
    );
}

/// What the loader does not ask for.
fn softer(file: &str, inspected: &Inspected, context: &Context<'_>, found: &mut Found) {
    let Some(root) = &inspected.root else { return };
    let place = |(line, column)| Place { file: file.to_owned(), line, column };
    let top = root.entries().first().map_or((1, 1), |entry| entry.at);
    if root.entry("related_resources").is_none_or(|entry| entry.value.items().is_empty()) {
        let message = "`related_resources`: there is none, so nobody can read on";
        found.add(
            "metadata/related-resources",
            place(top),
            message,
            "add `- ref: https://…` of what the rule rests on",
        );
    }
    let Some(metadata) = &inspected.metadata else { return };
    // flat folders, such as a mounted ConfigMap, have no folder for each policy
    let mut parts = file.rsplit('/');
    let in_folder = parts.next() == Some("policy.rego");
    let wanted = metadata.id.replace('-', "_");
    if let Some(folder) = parts.next().filter(|folder| in_folder && *folder != wanted) {
        let at = root.entry("custom").and_then(|c| c.value.entry("id")).map_or(top, |entry| entry.value.at);
        let message = format!("`id`: {:?} belongs in a folder {wanted}, found {folder}", metadata.id);
        found.add("metadata/id", place(at), message, "rename one of the two");
    }
    let package = format!("data.seawall.policies.{wanted}");
    let rule = context.rules.get(&format!("{package}.patch"));
    let declared = root.entry("custom").and_then(|custom| custom.value.entry("patch"));
    match (rule, declared) {
        (Some(rule), None) => {
            let message = "there is a `patch` rule, and METADATA says no tier in which its patches are wanted";
            let fix =
                "add `patch: [tier-0, tier-1]` to METADATA, or `patch: []` where only the configuration asks for them";
            found.wide("metadata/patch", rule.place(), "patch".len(), message, fix);
        }
        (None, Some(entry)) => {
            let message = "`patch`: tiers are named, and there is no `patch` rule";
            found.wide("metadata/patch", place(entry.at), "patch".len(), message, "remove the key, or write the rule");
        }
        _ => {}
    }
}

/// Packages that are neither policy nor library, and policies of one package.
fn packages(context: &Context<'_>, found: &mut Found) {
    for (package, sources) in &context.set.bundle.modules {
        let at = |file: &str| {
            let line = context.set.text(file).and_then(|text| text.lines().position(|l| l.starts_with("package ")));
            Place { file: file.to_owned(), line: line.map_or(1, |n| u64::try_from(n + 1).unwrap_or(1)), column: 1 }
        };
        let Some(first) = sources.first() else { continue };
        let policy = package.starts_with("seawall.policies.");
        if !policy && !package.starts_with("seawall.lib.") {
            for source in sources {
                let message = format!("package {package:?} is neither seawall.policies.<id> nor seawall.lib.<name>");
                let fix = "name the package after the folder: package seawall.policies.class_reclaim_retain";
                found.add("files/package", at(&source.file), message, fix);
            }
        }
        for source in sources.iter().skip(1).filter(|_| policy) {
            let message = format!("{} is package {package} too; a policy is one file", first.file);
            found.add("files/package", at(&source.file), message, "give one of the two another package and id");
        }
    }
}
