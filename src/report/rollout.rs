//! A rollout plan for a person and as JSON: which namespaces can be enforced, why the others cannot, what to apply.

use super::page::plain;
use crate::policy::mode::{Mode, Tier};
use crate::rollout::{Blocked, NamespacePlan, Next, Plan};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// Writes the plan.
///
/// # Errors
/// When it cannot be written.
pub fn text(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let window = plan.window;
    writeln!(
        out,
        "window: {} to {} ({} days), recorded since {}\n",
        window.from,
        window.to,
        window.to.duration_since(window.from).as_hours() / 24,
        window.recorded_since
    )?;
    table(plan, out)?;
    for namespace in &plan.namespaces {
        reasons(namespace, out)?;
    }
    apply(plan, out)?;
    exceptions(plan, out)
}

fn name(namespace: &NamespacePlan) -> String {
    if namespace.namespace.is_empty() { "-".to_owned() } else { plain(&namespace.namespace) }
}

const fn word(next: Next) -> &'static str {
    match next {
        Next::Done => "(enforced)",
        Next::Enforce => "enforce",
        Next::Warn => "warn",
        Next::Stay => "(blocked)",
        Next::Audit => "audit",
    }
}

fn table(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let width = plan.namespaces.iter().map(|n| name(n).chars().count()).max().unwrap_or_default().max(9);
    writeln!(out, "{:<width$}  TIER    MODE     NEXT        READY  BLOCKED", "NAMESPACE")?;
    for namespace in &plan.namespaces {
        let NamespacePlan { tier, mode, next, ready, blocked, .. } = namespace;
        let (name, next) = (name(namespace), word(*next));
        writeln!(out, "{name:<width$}  {tier:<6}  {mode:<7}  {next:<10}  {:>5}  {:>7}", ready.len(), blocked.len())?;
    }
    Ok(())
}

fn reasons(namespace: &NamespacePlan, out: &mut dyn Write) -> io::Result<()> {
    if namespace.blocked.is_empty() && namespace.created.is_none() || namespace.next == Next::Done {
        return Ok(());
    }
    writeln!(out, "\n{} cannot be enforced:", name(namespace))?;
    if let Some(created) = namespace.created {
        writeln!(out, "  it was made at {created}, inside the window")?;
    }
    for blocked in &namespace.blocked {
        writeln!(out, "  [{}] {}", plain(&blocked.policy), reason(blocked))?;
    }
    Ok(())
}

fn reason(blocked: &Blocked) -> String {
    let Blocked { violating, unknown, missing, denials, last_denial, .. } = blocked;
    let objects = |number: u64| if number == 1 { "1 object".to_owned() } else { format!("{number} objects") };
    let mut parts = Vec::new();
    if *violating > 0 {
        parts.push(format!("{} would be denied as stored", objects(*violating)));
    }
    if let Some(last) = last_denial {
        parts.push(format!("last would-be denial {last} ({denials} recorded)"));
    }
    if *unknown > 0 {
        let missing: Vec<&str> = missing.iter().map(String::as_str).collect();
        parts.push(format!("{} cannot be judged, {} unknown", objects(*unknown), missing.join(", ")));
    }
    parts.join("; ")
}

fn apply(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let steps = |next: Next| plan.namespaces.iter().filter(move |n| n.next == next);
    let mut begun = false;
    let mut begin = |out: &mut dyn Write| {
        if begun {
            return Ok(());
        }
        begun = true;
        writeln!(out, "\nto apply:")
    };
    for (next, mode, comment) in [
        (Next::Enforce, Mode::Enforce, ""),
        (Next::Warn, Mode::Warn, "   # users are told, nothing is rejected"),
        (Next::Audit, Mode::Audit, "   # nothing is recorded in mode off"),
    ] {
        for namespace in steps(next) {
            begin(out)?;
            if namespace.namespace.is_empty() {
                let tier = namespace.tier;
                writeln!(out, "  # seawall.yaml, for what has no namespace, and for namespaces without the label:")?;
                writeln!(out, "  defaults: {{tier: {tier}, mode: {mode}}}")?;
                let others: Vec<String> =
                    plan.namespaces.iter().filter(|n| n.by_default && !n.namespace.is_empty()).map(name).collect();
                if !others.is_empty() {
                    writeln!(out, "  # these have no label; give them one first: {}", others.join(", "))?;
                }
            } else {
                let name = name(namespace);
                writeln!(out, "  kubectl label --overwrite namespace {name} seawall.dev/mode={mode}{comment}")?;
            }
        }
    }
    Ok(())
}

/// How to enforce the rest where some policies are blocked.
fn exceptions(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    let exceptions = plan.exceptions();
    if exceptions.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nor leave what is blocked at Warn and enforce the rest; in seawall.yaml:\n  policies:")?;
    for (policy, tiers) in &exceptions {
        let tiers: Vec<String> = tiers.iter().map(|tier: &Tier| format!("{tier}: Warn")).collect();
        writeln!(out, "    {}: {{actions: {{{}}}}}", plain(policy), tiers.join(", "))?;
    }
    let weakened: BTreeSet<String> = plan.weakened().into_iter().map(name).collect();
    if !weakened.is_empty() {
        let weakened: Vec<String> = weakened.into_iter().collect();
        writeln!(out, "  # it holds in whole tiers: no longer rejected in {}", weakened.join(", "))?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'p> {
    schema_version: &'static str,
    #[serde(flatten)]
    plan: &'p Plan,
}

/// Writes JSON with a line break at the end.
///
/// # Errors
/// When it cannot be written.
pub fn json(plan: &Plan, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &Document { schema_version: "1", plan })?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollout::Window;

    #[test]
    fn a_plan_for_people() {
        let at = |text: &str| text.parse().unwrap();
        let of = |namespace: &str, tier, mode, next, blocked: Vec<Blocked>| NamespacePlan {
            namespace: namespace.to_owned(),
            tier,
            mode,
            by_default: namespace.is_empty() || namespace == "play",
            next,
            created: None,
            ready: vec!["a".to_owned()],
            blocked,
        };
        let blocked = Blocked {
            policy: "database-without-volume".to_owned(),
            violating: 2,
            unknown: 1,
            missing: ["services".to_owned()].into(),
            denials: 12,
            last_denial: Some(at("2026-11-20T09:30:00Z")),
        };
        let young = NamespacePlan {
            created: Some(at("2026-11-20T08:00:00Z")),
            ..of("new", Tier::Tier2, Mode::Warn, Next::Stay, vec![])
        };
        let window = Window {
            from: at("2026-11-14T08:00:00Z"),
            to: at("2026-11-21T08:00:00Z"),
            recorded_since: at("2026-11-01T08:00:00Z"),
        };
        let namespaces = vec![
            of("", Tier::Tier2, Mode::Warn, Next::Enforce, vec![]),
            of("billing", Tier::Tier0, Mode::Enforce, Next::Done, vec![]),
            young,
            of("pay", Tier::Tier0, Mode::Audit, Next::Warn, vec![blocked]),
            of("play", Tier::Tier2, Mode::Warn, Next::Enforce, vec![]),
        ];
        let mut out = Vec::new();
        text(&Plan { window, namespaces }, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        window: 2026-11-14T08:00:00Z to 2026-11-21T08:00:00Z (7 days), recorded since 2026-11-01T08:00:00Z

        NAMESPACE  TIER    MODE     NEXT        READY  BLOCKED
        -          tier-2  warn     enforce         1        0
        billing    tier-0  enforce  (enforced)      1        0
        new        tier-2  warn     (blocked)       1        0
        pay        tier-0  audit    warn            1        1
        play       tier-2  warn     enforce         1        0

        new cannot be enforced:
          it was made at 2026-11-20T08:00:00Z, inside the window

        pay cannot be enforced:
          [database-without-volume] 2 objects would be denied as stored; last would-be denial 2026-11-20T09:30:00Z (12 recorded); 1 object cannot be judged, services unknown

        to apply:
          # seawall.yaml, for what has no namespace, and for namespaces without the label:
          defaults: {tier: tier-2, mode: enforce}
          # these have no label; give them one first: play
          kubectl label --overwrite namespace play seawall.dev/mode=enforce
          kubectl label --overwrite namespace pay seawall.dev/mode=warn   # users are told, nothing is rejected

        or leave what is blocked at Warn and enforce the rest; in seawall.yaml:
          policies:
            database-without-volume: {actions: {tier-0: Warn}}
          # it holds in whole tiers: no longer rejected in billing
        "#);
    }
}
