//! Definitions of one name that do not go together.

use super::analysis::{Construct, Module, Place, Refused};
use super::tree::{self, head_chain};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Definitions of one name that are of different kinds, and second `default`s. OPA calls them conflicting rules and loads none of
/// them (`checkRuleConflicts` of its compiler); here some would pass and answer as one of both.
pub(super) fn refused(modules: &[Module<'_>]) -> Vec<Refused> {
    let mut first: BTreeMap<(String, bool), (String, Place)> = BTreeMap::new();
    let mut refused = Vec::new();
    for module in modules {
        for definition in module.tree.get("rules").and_then(Json::as_array).into_iter().flatten() {
            let Some((name, kind)) = head_chain(definition).zip(kind_of_rule(definition)) else { continue };
            let (line, column) = tree::position(module.contents, definition);
            let place = Place { file: module.file.clone(), line, column };
            let is_default = definition.get("Default").is_some();
            let full = format!("{}.{}", module.package, name.root);
            let mut refuse = |problem: String, instead: &str| {
                let (file, construct, instead) = (module.file.clone(), Construct::Conflict, instead.to_owned());
                refused.push(Refused { file, line, column, construct, problem, instead });
            };
            if is_default && let Some((_, before)) = first.get(&(full.clone(), true)) {
                let problem = format!("a second `default` of {}, which has one at {before}", name.root);
                refuse(problem, "remove one of them");
            }
            match first.get(&(full.clone(), false)) {
                Some((known, before)) if *known != kind => {
                    let problem = format!("{} is {kind} here and {known} at {before}", name.root);
                    refuse(problem, "give one of them another name");
                }
                Some(_) => {}
                None => {
                    first.insert((full.clone(), false), (kind.clone(), place.clone()));
                }
            }
            if is_default {
                first.entry((full, true)).or_insert((kind, place));
            }
        }
    }
    refused
}

/// What a definition makes of its name, in words.
fn kind_of_rule(rule: &Json) -> Option<String> {
    if let Some(default) = rule.get("Default") {
        // one of a function is refused anyway
        return default.get("args").and_then(Json::as_array).is_none_or(Vec::is_empty).then(|| "a value".to_owned());
    }
    let (kind, head) = rule.get("Spec")?.get("head").and_then(tree::kind)?;
    Some(match kind {
        "Set" => "a set".to_owned(),
        "Func" => match head.get("args").and_then(Json::as_array).map_or(0, Vec::len) {
            1 => "a function of 1 argument".to_owned(),
            count => format!("a function of {count} arguments"),
        },
        _ if head.get("refr")?.get("Var").is_none() => "an object".to_owned(),
        _ => "a value".to_owned(),
    })
}
