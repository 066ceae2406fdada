//! `docs/first-policy.md` works as typed, down to the rejection by a real API server.

#[path = "../guide/mod.rs"]
mod page;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::harness::controlplane::{ControlPlane, Options};
use crate::harness::objects::{self, Manifest as _};
use crate::harness::own;
use crate::harness::process::eventually;
use page::{Person, What, steps};

#[test]
fn the_first_policy_gets_from_its_first_line_to_a_rejection() {
    let Some(plane) = own(&Options { controllers: true, ..Options::default() }) else { return };
    let kubectl = plane.kubectl().program();
    let mut person = Person::new(&[Path::new(env!("CARGO_BIN_EXE_seawall")), &kubectl]);
    fs::create_dir_all(person.kubeconfig().parent().unwrap()).unwrap();
    fs::copy(plane.kubeconfig("admin"), person.kubeconfig()).unwrap();
    for step in steps(include_str!("../../docs/first-policy.md")) {
        person.does(&step).unwrap_or_else(|wrong| panic!("docs/first-policy.md:{}:\n{wrong}", step.line));
        match step.what {
            // the page says that a label holds within a second; of the webhook configurations the API server says nothing
            What::Command { goes_on: true, .. } => await_the_policy(&plane),
            What::Command { text, .. } if text.contains("kubectl label") => std::thread::sleep(Duration::from_secs(1)),
            _ => {}
        }
    }
}

/// Waits until the API server asks the policy of the page.
fn await_the_policy(plane: &ControlPlane) {
    let namespace = plane.namespace("probe", &[("seawall.dev/mode", "enforce"), ("seawall.dev/tier", "tier-1")]);
    let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets?dryRun=All");
    let hasty = objects::stateful_set("probe").without("/spec/template/spec/terminationGracePeriodSeconds");
    let api = plane.api("developer");
    eventually("the policy is in force", Duration::from_secs(30), || {
        api.post(&path, &hasty).is_ok_and(|(status, _)| status == 403).then_some(())
    });
}
