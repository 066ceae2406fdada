//! What stands beside a policy: its page, its tests, and cases that fire and that stay quiet.

use super::{Context, Found, Module};
use crate::engine::analysis::Place;
use crate::engine::tree::head_chain;
use crate::policytest::case::CaseError;
use serde_json::Value as Json;

pub(super) fn check(context: &Context<'_>, found: &mut Found) {
    for module in context.linted().filter(|module| module.is_policy()) {
        beside(context, module, found);
    }
}

fn beside(context: &Context<'_>, module: &Module, found: &mut Found) {
    let place = module.place(module.tree().get("package").unwrap_or(&Json::Null));
    let folder = module.file.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    if !context.set.has_page(&format!("{folder}README.md")) {
        let message = "the policy has no page README.md beside it";
        found.add("cases/no-page", place.clone(), message, "say what it asks for, why, and how to comply");
    }
    let tested = format!("{}_test", module.package);
    let is_test = |rule: &Json| head_chain(rule).is_some_and(|head| head.root.starts_with("test_"));
    if !context.modules.iter().any(|m| m.is_test() && m.package == tested && m.rules().any(is_test)) {
        let message = "the policy has no test_ rule";
        let fix =
            format!("write {folder}policy_test.rego in package {}_test", module.package.trim_start_matches("data."));
        found.add("cases/no-test", place.clone(), message, fix);
    }
    let cases = context.set.cases(&module.package);
    if cases.is_empty() {
        let message = "the policy has no cases, so the engines cannot be compared and the slow one answers";
        let fix = format!("write {folder}cases/<name>/input.yaml and expected.yaml (docs/policy-format.md, Cases)");
        return found.add("cases/none", place, message, fix);
    }
    let (mut firing, mut quiet, mut unreadable) = (false, false, false);
    for case in cases {
        if let Some(Err(error)) = context.cases.get(case.folder.as_str()) {
            unreadable = true;
            let (name, line) = match error {
                CaseError::Format { file, line, .. } => (*file, *line),
                CaseError::Request(_) | CaseError::Input(_) => ("input.yaml", 1),
            };
            let file = format!("{}/{name}", case.folder);
            let problem = match error {
                CaseError::Format { problem, .. } => problem.clone(),
                other => other.to_string().trim_start_matches("input.yaml: ").to_owned(),
            };
            let place = Place { file, line, column: 1 };
            found.add("cases/unreadable", place, problem, "see docs/policy-format.md, Cases");
            continue;
        }
        let expected: Json = serde_saphyr::from_str(&case.expected).unwrap_or_default();
        let violations = expected.get("violations").and_then(Json::as_array).is_some_and(|list| !list.is_empty());
        let patched = expected.get("patched").is_some_and(|patched| !patched.is_null());
        let fires = violations || patched;
        firing |= fires;
        quiet |= !fires && expected.get("unknown").and_then(Json::as_bool) != Some(true);
    }
    // an unreadable case could be either
    if !firing && !unreadable {
        let message = format!("none of the {} cases expects a violation or a patch", cases.len());
        found.add("cases/no-firing", place.clone(), message, "add a case of an object that the policy is against");
    }
    if !quiet && !unreadable {
        let message = format!("all of the {} cases fire: nothing shows that a good object passes", cases.len());
        found.add("cases/no-quiet", place, message, "add a case of an object that complies");
    }
}
