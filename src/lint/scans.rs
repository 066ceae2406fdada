//! Rules that go through all objects of a kind: their cost grows with the cluster, for every request.

use super::rules::each;
use super::{Context, Found, Module};
use crate::engine::tree::{Key, chain, head_chain, kind};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Indexes that have an entry for each object, or for each namespace.
const LARGE: &[&str] = &["claims_by_class", "sets_by_service"];

pub(super) fn check(context: &Context<'_>, found: &mut Found) {
    for module in context.linted() {
        for rule in module.rules() {
            let mut unbound = BTreeSet::from(["_"]);
            each(rule, &mut |node| {
                // `some x` without `in` leaves x to whatever binds it
                let vars = node.get("SomeVars").and_then(|vars| vars.get("vars")?.as_array());
                let names = vars.into_iter().flatten().filter_map(|span| {
                    let at = |key: &str| span.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
                    module.text.get(at("start")?..at("end")?)
                });
                unbound.extend(names);
            });
            let name = head_chain(rule).map(|head| head.root.to_owned()).unwrap_or_default();
            each(rule, &mut |node| scan(module, node, &unbound, &name, found));
        }
    }
}

fn scan(module: &Module, node: &Json, unbound: &BTreeSet<&str>, rule: &str, found: &mut Found) {
    match kind(node) {
        Some(("SomeIn" | "Membership", body)) => {
            if let Some(collection) = body.get("collection") {
                whole(module, collection, rule, found);
            }
        }
        Some(("Every", body)) => {
            if let Some(domain) = body.get("domain") {
                whole(module, domain, rule, found);
            }
        }
        Some(("RefBrack", body)) => {
            let index = body.get("index").and_then(|index| index.get("Var")?.get("value")?.as_str());
            if index.is_some_and(|name| unbound.contains(name))
                && let Some(refr) = body.get("refr")
            {
                whole(module, refr, rule, found);
            }
        }
        _ => {}
    }
}

/// All objects of a kind.
fn whole(module: &Module, node: &Json, rule: &str, found: &mut Found) {
    let Some(chain) = chain(node).filter(|chain| chain.root == "data") else { return };
    if chain.keys.iter().any(|key| matches!(key, Key::Computed(_))) {
        return;
    }
    let (what, instead) = match chain.leading().as_slice() {
        ["cluster", "index", index] if LARGE.contains(index) => {
            (format!("data.cluster.index.{index}"), "name the key: `data.cluster.index.claims_by_class[class]`")
        }
        ["cluster", kind] if *kind != "index" => (
            format!("data.cluster.{kind}"),
            "name the object (`data.cluster.storageclasses[name]`) or its namespace, or use an index (docs/policy-format.md)",
        ),
        _ => return,
    };
    let message = format!("{rule} goes through all of {what}: every request pays for every object of the cluster");
    found.wide("context/cluster-scan", module.place(node), module.width(node), message, instead);
}
