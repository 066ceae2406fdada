//! Seawall in mode enforce as a group of cases wants it, registered for everybody but the user that builds the stage.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use ::seawall::config::Settings;
use ::seawall::context::kinds::Kinds;
use ::seawall::policy::metadata::Metadata;
use ::seawall::policy::mode::{Action, PatchSetting, Tier};
use ::seawall::policytest::cluster::Act;
use ::seawall::webhookconfig::{self, Configurations, Options, WebhookTarget};

use super::case::Case;
use super::stage;
use crate::coverage::policies;
use crate::harness::controlplane::{ControlPlane, next_number};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::process::eventually;
use crate::harness::seawall::{self, Seawall};

/// The policy that the start is proved with; it judges nothing but Namespaces.
const PROOF: &str = "mode-not-lowered";

/// What Seawall must be started with to see a case. Few differ, so cases share a start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guard {
    /// Whether policies reject. Where a case is about anything else, other policies' rejections of the same input would hide
    /// it, so they are warnings then.
    denies: bool,
    /// The defaults: an object without a namespace has no other tier and no other patch setting.
    tier: Tier,
    patch: PatchSetting,
    /// A policy and its parameters in the configuration, as JSON.
    parameters: Option<(String, String)>,
}

impl Guard {
    /// The one for a case.
    pub(super) fn of(case: &Case, kinds: &Kinds) -> Self {
        let text = |key: &str| case.input[key].as_str().unwrap_or_default();
        let namespaced = kinds.resolve(text("apiVersion"), text("kind")).namespaced;
        let (tier, patch) = match case.act {
            _ if namespaced => (Tier::Tier2, PatchSetting::Enabled),
            Act::Patch => (case.tier, PatchSetting::Enabled),
            // a case that expects no default can do without
            _ => (case.tier, PatchSetting::Disabled),
        };
        let parameters = case.configured().map(|parameters| (case.policy.clone(), parameters.to_string()));
        Self { denies: case.act == Act::Deny, tier, patch, parameters }
    }

    /// Starts and registers it, and waits until the API server asks it.
    pub(super) fn start(self, plane: &ControlPlane) -> Seawall {
        let Self { denies, tier, patch, parameters } = self;
        let name = format!("seawall-{}", next_number());
        let metadata: Vec<Metadata> = policies()
            .policies()
            .iter()
            .map(|policy| &policy.metadata)
            .map(|m| if denies { m.clone() } else { lowered(m) })
            .collect();
        let mut overrides: BTreeMap<&str, Value> =
            metadata.iter().map(|m| (m.id.as_str(), json!({"actions": m.actions}))).collect();
        if let Some((policy, parameters)) = &parameters {
            overrides.get_mut(policy.as_str()).unwrap()["parameters"] = serde_json::from_str(parameters).unwrap();
        }
        let defaults = json!({"tier": tier, "mode": "enforce", "patch": patch});
        let config = json!({"defaults": defaults, "policies": overrides}).to_string();
        let options = seawall::Options { config: &config, unregistered: true, ..seawall::Options::default() };
        let seawall = Seawall::start(plane, &name, &options);
        let settings = Settings::load(&plane.dir().join(format!("{name}.yaml"))).unwrap();
        let options = Options {
            target: WebhookTarget::Url(seawall.admission.clone()),
            ca_bundle: Some(fs::read_to_string(&seawall.ca).unwrap()),
            own_namespace: Some("seawall-system".to_owned()),
            own_user: None,
        };
        register(plane, &webhookconfig::generate(&metadata, &settings, &options).unwrap());
        await_answers(plane, &seawall);
        seawall
    }
}

/// The policy with Warn for Deny.
fn lowered(policy: &Metadata) -> Metadata {
    let mut policy = policy.clone();
    for tier in Tier::ALL.iter().filter(|_| policy.id != PROOF) {
        let action = policy.actions.get(*tier);
        policy.actions.set(*tier, action.at_most(Action::Warn));
    }
    policy
}

fn register(plane: &ControlPlane, configurations: &Configurations) {
    let expression = format!("request.userInfo.username != '{}'", stage::USER);
    let condition = json!({"name": "not-the-stage", "expression": expression});
    let mut list =
        json!({"apiVersion": "v1", "kind": "List", "items": [configurations.validating, configurations.mutating]});
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
