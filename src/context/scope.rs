//! Which tier, mode and patch setting a request has: the labels that decide (see `docs/modes.md`).

use super::facts::Facts;
use crate::admission::request::{Operation, Request};
use crate::config::Defaults;
use crate::decision::Scope;
use crate::policy::mode::{Mode, PatchSetting, Tier};
use serde_json::Value;
use std::collections::BTreeMap;

/// Label of the tier.
pub const TIER: &str = "seawall.dev/tier";
/// Label of the mode.
pub const MODE: &str = "seawall.dev/mode";
/// Label of the patch setting.
pub const PATCH: &str = "seawall.dev/patch";

/// The scope of a request: the labels of its namespace; for a Namespace its own (on UPDATE the stricter of old and new,
/// on DELETE the old ones); for a PersistentVolume those of its claim's namespace; else the defaults. A workload may raise
/// its tier, never lower it.
#[must_use]
pub fn scope(request: &Request, facts: &Facts, defaults: Defaults) -> Scope {
    let scope = match decisive(request) {
        Decisive::Own => {
            let of = |object: Option<&Value>| object.map(|o| from_labels(|key| own_label(o, key), defaults));
            match (of(request.object()), of(request.old_object())) {
                (Some(new), Some(old)) => stricter(new, old),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => from_labels(|_| None, defaults),
            }
        }
        Decisive::Namespace(name) => {
            let none = BTreeMap::new();
            let labels = facts.namespace_labels(&name).unwrap_or(&none);
            from_labels(|key| labels.get(key).cloned(), defaults)
        }
        Decisive::Defaults => from_labels(|_| None, defaults),
    };
    match raised(request) {
        Some(raised) => Scope { tier: scope.tier.min(raised), ..scope },
        None => scope,
    }
}

/// The tier that an object asks for by its own label. (Of a Namespace that label says what its objects have.)
#[must_use]
pub fn raised(request: &Request) -> Option<Tier> {
    let raised = request.subject().and_then(|o| own_label(o, TIER)).and_then(|value| Tier::from_label(&value).ok());
    let is_namespace = matches!(decisive(request), Decisive::Own);
    raised.filter(|_| !is_namespace && request.operation != Operation::Connect)
}

/// The scope that the labels of a namespace give what is in it.
#[must_use]
pub fn of_labels(labels: &BTreeMap<String, String>, defaults: Defaults) -> Scope {
    from_labels(|key| labels.get(key).cloned(), defaults)
}

/// The namespace whose labels decide: that of the object, of a Namespace itself. `None`: the defaults decide.
#[must_use]
pub fn deciding_namespace(request: &Request) -> Option<String> {
    match decisive(request) {
        Decisive::Namespace(name) => Some(name),
        Decisive::Own => Some(request.object_name().to_owned()),
        Decisive::Defaults => None,
    }
}

/// The namespace whose labels decide, where it is one that may not be in the cache.
#[must_use]
pub fn namespace_of(request: &Request) -> Option<String> {
    match decisive(request) {
        Decisive::Namespace(name) => Some(name),
        Decisive::Own | Decisive::Defaults => None,
    }
}

enum Decisive {
    Own,
    Namespace(String),
    Defaults,
}

fn decisive(request: &Request) -> Decisive {
    let core = request.resource.group.is_empty();
    match request.resource.resource.as_str() {
        "namespaces" if core => Decisive::Own,
        "persistentvolumes" if core => {
            let claim = request.subject().and_then(|o| o.pointer("/spec/claimRef/namespace")).and_then(Value::as_str);
            claim
                .filter(|n| !n.is_empty())
                .map_or(Decisive::Defaults, |namespace| Decisive::Namespace(namespace.to_owned()))
        }
        _ => request.namespace.clone().map_or(Decisive::Defaults, Decisive::Namespace),
    }
}

fn own_label(object: &Value, key: &str) -> Option<String> {
    crate::admission::request::label(object, key).map(str::to_owned)
}

/// A value that is no word counts as not written; `mode-not-lowered` keeps such values out.
fn from_labels(label: impl Fn(&str) -> Option<String>, defaults: Defaults) -> Scope {
    let tier = label(TIER).and_then(|v| Tier::from_label(&v).ok()).unwrap_or(defaults.tier);
    let mode = label(MODE).and_then(|v| v.parse().ok()).unwrap_or(defaults.mode);
    let follows_mode = if mode == Mode::Enforce { PatchSetting::Enabled } else { PatchSetting::Disabled };
    let patch = label(PATCH).and_then(|v| v.parse().ok()).or(defaults.patch).unwrap_or(follows_mode);
    Scope { tier, mode, patch }
}

fn stricter(a: Scope, b: Scope) -> Scope {
    let enabled = a.patch == PatchSetting::Enabled || b.patch == PatchSetting::Enabled;
    let patch = if enabled { PatchSetting::Enabled } else { PatchSetting::Disabled };
    Scope { tier: a.tier.min(b.tier), mode: a.mode.max(b.mode), patch }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn facts() -> Facts {
        let namespace = json!({"metadata": {"name": "pay", "labels": {MODE: "enforce", TIER: "tier-1"}}});
        Facts::from_objects([("namespaces".to_owned(), &namespace)], &BTreeSet::new())
    }

    fn request(resource: &str, namespace: Option<&str>, operation: &str, object: Value, old: Value) -> Request {
        let body = json!({
            "uid": "u", "kind": {"group": "", "version": "v1", "kind": "X"}, "namespace": namespace.unwrap_or_default(),
            "resource": {"group": "", "version": "v1", "resource": resource}, "operation": operation, "object": object, "oldObject": old,
        });
        Request::from_body(body.as_object().unwrap().clone()).unwrap()
    }

    fn words(request: &Request) -> String {
        let scope = scope(request, &facts(), Defaults::default());
        format!("{} {} {}", scope.tier, scope.mode, scope.patch)
    }

    #[test]
    fn the_labels_that_decide() {
        let claim = |ns| request("persistentvolumeclaims", Some(ns), "CREATE", json!({"metadata": {}}), Value::Null);
        assert_eq!(words(&claim("pay")), "tier-1 enforce enabled");
        assert_eq!(words(&claim("other")), "tier-2 warn disabled");
        let volume = request(
            "persistentvolumes",
            None,
            "CREATE",
            json!({"spec": {"claimRef": {"namespace": "pay"}}}),
            Value::Null,
        );
        assert_eq!(words(&volume), "tier-1 enforce enabled");
        assert_eq!(words(&request("storageclasses", None, "CREATE", json!({}), Value::Null)), "tier-2 warn disabled");
    }

    #[test]
    fn a_namespace_is_judged_by_the_stricter_of_old_and_new() {
        let labels = |mode: &str, tier: &str| json!({"metadata": {"labels": {MODE: mode, TIER: tier}}});
        let lowered =
            request("namespaces", Some("x"), "UPDATE", labels("audit", "tier-3"), labels("enforce", "tier-0"));
        assert_eq!(words(&lowered), "tier-0 enforce enabled");
    }

    #[test]
    fn a_workload_raises_its_tier_and_never_lowers_it() {
        let with = |tier: &str| {
            request(
                "persistentvolumeclaims",
                Some("pay"),
                "CREATE",
                json!({"metadata": {"labels": {TIER: tier}}}),
                Value::Null,
            )
        };
        assert_eq!(words(&with("tier-0")), "tier-0 enforce enabled");
        assert_eq!(words(&with("tier-3")), "tier-1 enforce enabled");
        assert_eq!(words(&with("nonsense")), "tier-1 enforce enabled");
    }
}
