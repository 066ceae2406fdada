//! Seawall in mode enforce as a group of cases wants it, registered for everybody but the user that builds the stage.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use ::seawall::context::kinds::Kinds;
use ::seawall::policy::mode::{Action, PatchSetting, Tier};
use ::seawall::policy::store::{Policy, PolicySet};

use super::case::Case;
use super::stage;
use crate::coverage::Act;
use crate::harness::controlplane::ControlPlane;
use crate::harness::objects::{self, Manifest as _};
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

/// The policy that the start is proved with; it judges nothing but Namespaces.
const PROOF: &str = "mode-not-lowered";

/// What Seawall must be started with to see a case. Few differ, so cases share a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guard {
    /// Whether policies reject. Where a case is about anything else, other policies' rejections of the same input would hide
    /// it, so they are warnings then.
    denies: bool,
    /// The defaults: an object without a namespace has no other tier and no other patch setting.
    tier: Tier,
    patch: PatchSetting,
}

impl Guard {
    /// The one for a case.
    pub(super) fn of(case: &Case, kinds: &Kinds) -> Self {
        let text = |key: &str| case.input[key].as_str().unwrap_or_default();
        let namespaced = kinds.resolve(text("apiVersion"), text("kind")).namespaced;
        let (tier, patch) = if namespaced { (Tier::Tier2, PatchSetting::Enabled) } else { (case.tier, case.patch()) };
        Self { denies: case.act == Act::Deny, tier, patch }
    }

    /// Starts and registers it, and waits until the API server asks it.
    pub(super) fn start(self, plane: &ControlPlane, set: &PolicySet) -> Seawall {
        let Self { denies, tier, patch } = self;
        let name = format!("seawall-{tier}-{patch}-{}", if denies { "denies" } else { "warns" });
        let policies = if denies { BTreeMap::new() } else { lowered(set) };
        let defaults = json!({"tier": tier, "mode": "enforce", "patch": patch});
        let config = json!({"defaults": defaults, "policies": policies}).to_string();
        let options = seawall::Options { config: &config, unregistered: true, ..seawall::Options::default() };
        let seawall = Seawall::start(plane, &name, &options);
        register(plane, &seawall, &plane.dir().join(format!("{name}.yaml")));
        await_answers(plane, &seawall);
        seawall
    }
}

/// The configuration in which Deny is Warn.
fn lowered(set: &PolicySet) -> BTreeMap<&str, Value> {
    let lowered = |policy: &Policy| {
        let actions = &policy.metadata.actions;
        let denying = Tier::ALL.iter().filter(|tier| actions.get(**tier) == Action::Deny);
        json!({"actions": denying.map(|tier| (tier.to_string(), json!(Action::Warn))).collect::<serde_json::Map<_, _>>()})
    };
    set.policies().iter().filter(|p| p.id() != PROOF).map(|p| (p.id(), lowered(p))).collect()
}

fn register(plane: &ControlPlane, seawall: &Seawall, config: &Path) {
    let output = Command::new(Path::new(env!("CARGO_BIN_EXE_seawall")))
        .args(["webhook-config", "--format=json", "--service-account", "", "--url", &seawall.admission, "--ca-file"])
        .arg(&seawall.ca)
        .arg("--config")
        .arg(config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut list: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expression = format!("request.userInfo.username != '{}'", stage::USER);
    let condition = json!({"name": "not-the-stage", "expression": expression});
    for configuration in list["items"].as_array_mut().unwrap() {
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            match &mut webhook["matchConditions"] {
                Value::Array(conditions) => conditions.push(condition.clone()),
                conditions => *conditions = json!([condition]),
            }
        }
    }
    plane.kubectl_as(stage::USER).apply(&list.to_string(), &["--server-side", "--force-conflicts"]).ok();
}

/// Waits until both kinds of webhooks are asked. Namespaces are refused while a Seawall is registered that has ended.
fn await_answers(plane: &ControlPlane, seawall: &Seawall) {
    let labels = [("seawall.dev/mode", "enforce"), ("seawall.dev/tier", "tier-2"), ("seawall.dev/patch", "enabled")];
    let namespace =
        eventually("a namespace can be made", Duration::from_secs(30), || plane.try_namespace("probe", &labels).ok());
    let api = plane.api("developer");
    let sets = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
    let pointer = "/spec/persistentVolumeClaimRetentionPolicy/whenDeleted";
    let set = objects::stateful_set("probe").with(pointer, "Delete");
    let lowers = json!({"metadata": {"labels": {"seawall.dev/mode": "off"}}});
    let what = format!("Seawall is asked\n{}", seawall.process.log_tail(10));
    eventually(&what, Duration::from_secs(30), || {
        let patched = api.post(&sets, &set).unwrap().1.pointer(pointer).is_some_and(|now| now == "Retain");
        let (status, answer) = api.merge(&format!("/api/v1/namespaces/{namespace}?dryRun=All"), &lowers).unwrap();
        let denied = status == 403 && answer["message"].as_str().is_some_and(|message| message.contains(PROOF));
        (patched && denied).then_some(())
    });
}
